//! The tools of one conversation that are done outside of it: those over the plan, and those that agents bring along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::agent::conversation::setup::Tool;
use domain::agent::message::{ToolCall, ToolResult};
use domain::values::hash::ContentHash;
use domain::values::ids::OrchestrationId;
use providers::tools::Toolbox as Brought;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::asking::failed;
use super::plan_tools;
use super::window::Window;
use crate::gather;
use crate::handle::Engine;
use crate::plans::LoadedPlan;

/// Most calls of one conversation that are carried out at one time.
const AT_ONCE: usize = 8;

/// What calls are carried out with.
pub(super) struct Toolbox {
    pub(super) engine: Engine,
    pub(super) orchestration: OrchestrationId,
    pub(super) plan: Arc<LoadedPlan>,
    /// Enrichments that may be read, by step.
    pub(super) built_on: BTreeMap<String, ContentHash>,
    /// As the conversation knows them.
    pub(super) tools: Vec<Tool>,
    /// What the agent's definition brings along, where it brings any.
    brought: Option<Brought>,
    /// Bytes that one call gives at once.
    given: usize,
    room: Arc<Semaphore>,
    begun: Mutex<BTreeSet<String>>,
}

impl Toolbox {
    pub(super) fn new(
        engine: &Engine,
        orchestration: OrchestrationId,
        plan: Arc<LoadedPlan>,
        built_on: BTreeMap<String, ContentHash>,
        (tools, brought): (Vec<Tool>, Option<Brought>),
        window: Window,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: engine.clone(),
            orchestration,
            plan,
            built_on,
            tools,
            brought,
            given: window.given,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            begun: Mutex::default(),
        })
    }

    fn begun(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call of the tool changes nothing.
    pub(super) fn is_read_only(&self, name: &str) -> bool {
        let tool = self.tools.iter().find(|tool| tool.spec.name == name);
        tool.is_some_and(|tool| tool.spec.read_only)
    }

    /// Whether the call was begun for the answer at hand.
    pub(super) fn has_begun(&self, call: &str) -> bool {
        self.begun().contains(call)
    }

    /// Another answer comes.
    pub(super) fn forget_begun(&self) {
        self.begun().clear();
    }

    /// Begins a call; it is given up when `among` is dropped.
    pub(super) fn begin(
        self: &Arc<Self>,
        call: ToolCall,
        among: &mut JoinSet<(String, ToolResult)>,
    ) {
        self.begun().insert(call.id.clone());
        let toolbox = self.clone();
        among.spawn(async move {
            let _room = toolbox.room.acquire().await;
            let result = toolbox.carry_out(&call).await;
            (call.id, result)
        });
    }

    async fn carry_out(&self, call: &ToolCall) -> ToolResult {
        let given = match call.name.as_str() {
            plan_tools::READ_ENRICHMENT => self.read_enrichment(&call.input).await,
            name if plan_tools::is_one(name) => self.look_into_plan(call).await,
            name => match &self.brought {
                Some(brought) if brought.has(name) => return self.ask_outside(brought, call).await,
                _ => Err(format!("there is no tool `{name}` here")),
            },
        };
        match given {
            Ok(output) => ToolResult {
                call: call.id.clone(),
                name: call.name.clone(),
                output,
                failed: false,
            },
            Err(why) => failed(call, &why),
        }
    }

    async fn ask_outside(&self, brought: &Brought, call: &ToolCall) -> ToolResult {
        let outcome = brought.call(call).await;
        ToolResult {
            call: call.id.clone(),
            name: call.name.clone(),
            output: outcome.output,
            failed: outcome.failed,
        }
    }

    /// A plan may be large: what is looked for in it keeps no other conversation waiting.
    async fn look_into_plan(&self, call: &ToolCall) -> Result<Value, String> {
        let (plan, call, most) = (self.plan.clone(), call.clone(), self.given);
        let looking =
            tokio::task::spawn_blocking(move || plan_tools::carry_out(&plan, &call, most));
        let found = looking.await;
        found.unwrap_or_else(|_| Err("the tool broke down".to_owned()))
    }

    async fn read_enrichment(&self, input: &Value) -> Result<Value, String> {
        let agent = plan_tools::text(input, "agent").unwrap_or_default();
        let Some(hash) = self.built_on.get(agent) else {
            let known: Vec<&str> = self.built_on.keys().map(String::as_str).collect();
            return Err(format!(
                "there is no enrichment of `{agent}` to read; there are: {}",
                known.join(", ")
            ));
        };
        let data = gather::data(&self.engine, self.orchestration, *hash).await;
        let data = data.map_err(|_| format!("the enrichment of `{agent}` cannot be read"))?;
        plan_tools::part_of(&data, input, self.given)
    }
}
