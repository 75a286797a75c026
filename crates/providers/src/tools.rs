//! The tools of one attempt that are not the program's own: HTTP requests and MCP servers. Whatever goes wrong with one is
//! told to the model as what the call gave; it never fails the step.

mod cut;
mod http;
#[cfg(feature = "mcp")]
mod mcp;
#[cfg(feature = "mcp")]
mod mcp_wire;
mod secrets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::agent::asking::ToolSpec;
use domain::agent::conversing::HttpTool;
use domain::agent::definition::AgentDefinition;
use domain::agent::message::ToolCall;
use domain::values::time::Millis;
use serde_json::{Value, json};

use crate::outgoing::Outgoing;
use crate::tools::cut::Kept;
use crate::tools::secrets::Variables;

/// The tool by which a model reads on in what was cut.
pub const READ_ON: &str = "read_result";

/// What the operator lets agents' tools do.
#[derive(Clone, Debug)]
pub struct ToolSettings {
    /// Programs that may be started as MCP servers, by the `command` that a definition names; nothing: any.
    pub commands: Option<Vec<String>>,
    /// Variables of the program's environment that definitions may name; nothing: any.
    pub variables: Option<Vec<String>>,
    /// The longest that an MCP server may take until its tools are known.
    pub open_timeout: Millis,
    /// The longest call of an MCP server's tool.
    pub call_timeout: Millis,
    /// The most bytes of a result on the wire.
    pub answer_max: usize,
    /// The most bytes of a result that a model is shown at once.
    pub shown_max: usize,
}

impl Default for ToolSettings {
    /// Closed: no program, no variable.
    fn default() -> Self {
        Self {
            commands: Some(Vec::new()),
            variables: Some(Vec::new()),
            open_timeout: Millis(30_000),
            call_timeout: Millis(60_000),
            answer_max: 4_000_000,
            shown_max: 16 * 1024,
        }
    }
}

/// Gives variables' values by their names.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a call gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What it gave; where it failed, `{"errorMessage": ...}` or what the tool itself said.
    pub output: Value,
    /// Whether that is an error.
    pub failed: bool,
}

impl Outcome {
    fn good(output: Value) -> Self {
        Self {
            output,
            failed: false,
        }
    }

    fn bad(why: impl Into<String>) -> Self {
        Self {
            output: json!({"errorMessage": why.into()}),
            failed: true,
        }
    }
}

/// The outside tools of one attempt. Dropping it closes what it opened: programs are ended, connections closed.
#[derive(Debug)]
pub struct Toolbox {
    outgoing: Outgoing,
    settings: ToolSettings,
    variables: Variables,
    /// Names this attempt's step: what repeats a call after a crash says so to the tool.
    key: String,
    http: BTreeMap<String, HttpTool>,
    #[cfg(feature = "mcp")]
    servers: mcp::Servers,
    specs: Vec<ToolSpec>,
    notes: Vec<String>,
    kept: Mutex<Kept>,
}

impl Toolbox {
    /// Opens the tools that a definition declares; `key` names the step for ever, `environment` gives variables' values. Servers
    /// are opened side by side. Of one that does not open, or not in time, there is a note in place of its tools.
    pub async fn open(
        outgoing: &Outgoing,
        settings: &ToolSettings,
        definition: &AgentDefinition,
        key: &str,
        environment: Environment,
    ) -> Self {
        let variables = Variables::new(environment, settings.variables.clone());
        let http = definition.tools.clone();
        let mut specs: Vec<ToolSpec> = http.iter().map(|(name, tool)| spec(name, tool)).collect();
        let mut notes = Vec::new();
        #[cfg(feature = "mcp")]
        let servers = {
            let (servers, offered, failed) =
                mcp::Servers::open(outgoing, settings, definition, &variables).await;
            specs.extend(offered);
            notes.extend(failed);
            servers
        };
        #[cfg(not(feature = "mcp"))]
        notes.extend(
            definition
                .mcp_servers
                .keys()
                .map(|name| format!("tool server `{name}`: this program was built without MCP")),
        );
        if !specs.is_empty() {
            specs.push(cut::spec());
        }
        Self {
            outgoing: outgoing.clone(),
            settings: settings.clone(),
            variables,
            key: key.to_owned(),
            http,
            #[cfg(feature = "mcp")]
            servers,
            specs,
            notes,
            kept: Mutex::default(),
        }
    }

    /// The tools as a model is told of them, by the names under which they are called. With any there is [`READ_ON`] too.
    pub fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// What is missing and why, one sentence a server: for the model and for people. No secrets, no traces.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether a tool of this name is here.
    pub fn has(&self, name: &str) -> bool {
        self.specs.iter().any(|spec| spec.name == name)
    }

    /// Carries out a call within the tool's time. A result that is too long to be shown at once is cut, and kept for
    /// [`READ_ON`] as long as this stands.
    pub async fn call(&self, call: &ToolCall) -> Outcome {
        if call.name == READ_ON {
            return self.lock().read_on(&call.input, self.settings.shown_max);
        }
        let outcome = self.carried_out(call).await;
        let output = self.variables.out_of(outcome.output);
        let max = self.settings.shown_max;
        let output = self.lock().shown(&call.id, output, max);
        Outcome { output, ..outcome }
    }

    async fn carried_out(&self, call: &ToolCall) -> Outcome {
        if let Some(tool) = self.http.get(&call.name) {
            return http::call(self, tool, call).await;
        }
        #[cfg(feature = "mcp")]
        if let Some(outcome) = self.servers.call(call, &self.settings).await {
            return outcome;
        }
        Outcome::bad(format!("there is no tool `{}`", call.name))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spec(name: &str, tool: &HttpTool) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: tool.description.clone(),
        input_schema: tool.input_schema.clone(),
        read_only: tool.read_only,
    }
}
