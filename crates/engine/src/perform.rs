//! How an attempt's work is done: by a function of this program, by a request to an agent outside, by whatever a test puts
//! in its place.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use analyses::catalog::{self, AnalysisError};
use domain::agent::definition::{AgentDefinition, Executor};
use domain::agent::retry::ErrorClass;
use domain::money::budget::Shortage;
use domain::money::usage::Usage;
use domain::values::credits::Credits;
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use planexe::plan::Plan;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::context::Around;
use crate::converse;
use crate::converse::brief::Brief;
use crate::endpoint;
use crate::handle::Engine;
use crate::request;

/// Everything that an attempt is given.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// For which orchestration.
    pub orchestration: OrchestrationId,
    /// For which step.
    pub step: StepId,
    /// The attempt's number.
    pub attempt: u32,
    /// Who performs it.
    pub agent: Arc<AgentDefinition>,
    /// The artifacts that it declares, each whole (a pointer says what must be there), and nothing else of the plan.
    pub plan: Plan,
    /// Data of the direct dependencies that left an enrichment.
    pub dependencies: BTreeMap<String, Value>,
    /// What an agent outside is told instead of these two.
    pub around: Option<Arc<Around>>,
    /// What a conversation must know of its orchestration.
    pub brief: Option<Arc<Brief>>,
    /// Its parameters.
    pub parameters: Map<String, Value>,
    /// Cancelled when it should stop and hand in what it has.
    pub cancelled: CancellationToken,
    /// Whether its step is paused. Who can go on later without doing anything twice gives itself back to the queue; others go on.
    pub paused: Arc<AtomicBool>,
    /// Where it leaves what is worth keeping if it does not get to its end.
    pub kept: Kept,
}

/// What an attempt has so far.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<SoFar>);

#[derive(Debug, Default)]
struct SoFar {
    data: Mutex<Option<Value>>,
    usage: Mutex<Usage>,
    news: Notify,
    told: Notify,
}

impl Kept {
    fn data(&self) -> MutexGuard<'_, Option<Value>> {
        self.0.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves `data` to be kept.
    pub fn put(&self, data: Value) {
        *self.data() = Some(data);
        self.0.news.notify_one();
    }

    /// Leaves `data` for a report, without keeping it on the way: what led to it is stored.
    pub fn leave(&self, data: Value) {
        *self.data() = Some(data);
    }

    /// Takes what there is.
    pub fn take(&self) -> Option<Value> {
        self.data().take()
    }

    /// What there is.
    pub fn look(&self) -> Option<Value> {
        self.data().clone()
    }

    /// Returns when something was put, or at once when that went unheard. One listener at a time.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }

    /// Notes what was used so far, in all. It does not go backwards.
    pub fn note(&self, usage: &Usage) {
        let mut known = self.0.usage.lock().unwrap_or_else(PoisonError::into_inner);
        known.merge(usage);
        self.0.told.notify_one();
    }

    /// Returns when usage was noted, or at once when that went unheard. One listener at a time.
    pub async fn told(&self) {
        self.0.told.notified().await;
    }

    /// What was used, as far as it was said.
    pub fn usage(&self) -> Usage {
        let known = self.0.usage.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }
}

/// How the work ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Performed {
    /// With a whole output.
    Completed(Value),
    /// With a part of one, and no wish to try again.
    Partial {
        /// What there is.
        data: Value,
        /// Why it is not whole.
        reason: String,
    },
    /// Without.
    Failed {
        /// What kind of failure.
        class: ErrorClass,
        /// What happened.
        message: String,
        /// Asked to wait this long.
        retry_after: Option<Millis>,
    },
    /// Back into the queue, for no fault of its own.
    Returned {
        /// What kind of hindrance.
        class: ErrorClass,
        /// Why, for people.
        message: String,
        /// Not before.
        until: Timestamp,
        /// What its next attempt is to hold at least.
        needs: Credits,
    },
    /// It goes on when a person says yes to going beyond a limit.
    Short(Shortage),
    /// Stopped because it was asked to.
    Cancelled,
    /// Not ended: its step waits for its children, as the door has said.
    Parked,
    /// With nothing to work on.
    MissingInput {
        /// What is missing, each with its reason.
        names: Vec<String>,
    },
}

/// The future of an attempt's work.
pub type Performing = Pin<Box<dyn Future<Output = Performed> + Send>>;

/// Who does the work.
#[derive(Clone)]
pub enum Performer {
    /// Each agent as its executor says: an analysis by a function of this program, an agent outside by a request.
    Executors,
    /// A function given in: how tests put every failure on the stage.
    Given(Arc<dyn Fn(Assignment) -> Performing + Send + Sync>),
}

impl Performer {
    /// Does the work.
    pub fn perform(&self, engine: &Engine, assignment: Assignment) -> Performing {
        match self {
            Self::Executors if endpoint::converses(&assignment.agent, &engine.outside) => {
                let engine = engine.clone();
                Box::pin(async move { converse::perform(&engine, assignment).await })
            }
            Self::Executors if endpoint::is_outside(&assignment.agent) => {
                let engine = engine.clone();
                Box::pin(async move { request::perform(&engine, assignment).await })
            }
            Self::Executors => Box::pin(analyse(assignment)),
            Self::Given(perform) => perform(assignment),
        }
    }

    /// Whether `agent` is performed by a request to the outside: then it needs its surroundings and no plan.
    pub fn sends(&self, engine: &Engine, agent: &AgentDefinition) -> bool {
        matches!(self, Self::Executors)
            && endpoint::is_outside(agent)
            && !self.converses(engine, agent)
    }

    /// Whether `agent` is performed by a conversation: then it needs a brief.
    pub fn converses(&self, engine: &Engine, agent: &AgentDefinition) -> bool {
        matches!(self, Self::Executors) && endpoint::converses(agent, &engine.outside)
    }
}

pub(crate) fn fatal(message: String) -> Performed {
    Performed::Failed {
        class: ErrorClass::Fatal,
        message,
        retry_after: None,
    }
}

/// What a panic said.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!(
        "the agent broke down: {}",
        said.unwrap_or("it does not say why")
    )
}

fn breakdown(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => said(&*panic),
        Err(_) => "the agent's work was dropped".to_owned(),
    }
}

/// Performs a built-in analysis on the blocking pool, where a panic ends the attempt and nothing else.
async fn analyse(assignment: Assignment) -> Performed {
    if !matches!(assignment.agent.executor, Some(Executor::Analysis {})) {
        let id = &assignment.agent.id;
        return fatal(format!(
            "`{id}` is not a built-in analysis, and nothing else is performed in this way"
        ));
    }
    let Some(analysis) = catalog::find(assignment.agent.id.as_str()) else {
        return fatal(format!(
            "this program has no analysis named `{}`",
            assignment.agent.id
        ));
    };
    let work = tokio::task::spawn_blocking(move || {
        let Assignment {
            plan,
            dependencies,
            parameters,
            ..
        } = &assignment;
        (analysis.perform)(&catalog::Input {
            plan,
            dependencies,
            parameters,
        })
    });
    match work.await {
        Ok(Ok(data)) => Performed::Completed(data),
        Ok(Err(AnalysisError::MissingInput(names))) => Performed::MissingInput { names },
        Ok(Err(error)) => fatal(error.to_string()),
        Err(error) => fatal(breakdown(error)),
    }
}
