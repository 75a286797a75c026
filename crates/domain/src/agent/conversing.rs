//! What a definition says of a conversation with a language model: its output, its tools and its tool servers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::agent::definition::AgentDefinition;
use crate::values::time::Millis;

/// Turns of one attempt where the definition says nothing.
pub const TURNS_DEFAULT: u32 = 20;

/// Children of one step where the definition says nothing.
pub const CHILDREN_DEFAULT: u32 = 16;

/// Retries of one failed question to a model where the definition says nothing.
pub const LLM_RETRIES_DEFAULT: u32 = 3;

/// Longest call of an HTTP tool where the definition says nothing.
pub const TOOL_TIMEOUT_DEFAULT: Millis = Millis::from_secs(30);

/// The tool by which children are spawned.
pub const SPAWN_TOOL: &str = "spawn_agents";

/// The tools that need no declaration but their name in `toolNames`.
pub const BUILT_IN_TOOLS: [&str; 15] = [
    "add_message",
    "add_subgoal",
    "create_plan",
    "end_turn",
    "list_artifacts",
    "read_artifact",
    "read_enrichment",
    "search_artifacts",
    "set_messages",
    "set_output",
    SPAWN_TOOL,
    "suggest_followups",
    "task_completed",
    "think_deeply",
    "update_subgoal",
];

/// How an agent's output is taken from its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// What it said last.
    LastMessage,
    /// Everything that was said.
    AllMessages,
    /// What it handed in with `set_output`.
    StructuredOutput,
}

/// How much a model thinks before it speaks. One of `maxTokens` and `effort` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasoningOptions {
    /// `false`: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// `true`: it thinks, and its thoughts are not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
    /// Tokens to think with, at most.
    #[serde(default, alias = "max_tokens", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How hard it thinks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

/// How hard a model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// As hard as it can.
    High,
    /// Its middle.
    Medium,
    /// A little.
    Low,
    /// As little as it can.
    Minimal,
    /// Not at all.
    None,
}

/// A tool that is one HTTP request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTool {
    /// What it does, for the model.
    pub description: String,
    /// Where: http or https, with a host and without credentials.
    pub url: String,
    /// `POST` sends the input as JSON, `GET` as a query.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: Method,
    /// JSON Schema of its input, an object.
    #[serde(default = "any_object")]
    pub input_schema: Value,
    /// Sent with each request; a value `$NAME` stands for that environment variable of the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// It changes nothing: a call may be carried out as soon as it is complete, beside others, and again after a crash.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// A call ends the turn, whatever the model says after it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ends_turn: bool,
    /// Longest time of one call, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Millis>,
}

/// How an HTTP tool is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// The input is the body, as JSON.
    #[default]
    Post,
    /// The input's members are the query.
    Get,
}

/// A server of tools that speaks MCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum McpServer {
    /// A program that is started, spoken to over its input and output.
    Stdio(StdioServer),
    /// One that is reached over HTTP.
    Http(HttpServer),
}

/// A program that serves tools over its input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StdioServer {
    /// `stdio`, which may be left out.
    #[serde(rename = "type", default, skip_serializing_if = "is_default")]
    pub kind: StdioKind,
    /// The program.
    pub command: String,
    /// What it is started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment, nothing else of ours; a value `$NAME` stands for that environment variable of the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The one word for a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StdioKind {
    /// Over input and output.
    #[default]
    Stdio,
}

/// A server of tools that is reached over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpServer {
    /// `http` (streamable HTTP), which may be left out, or `sse`.
    #[serde(rename = "type", default, skip_serializing_if = "is_default")]
    pub kind: HttpKind,
    /// Where: http or https, with a host and without credentials.
    pub url: String,
    /// Query parameters; a value `$NAME` stands for that environment variable of the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Sent with each request; a value `$NAME` stands for that environment variable of the server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// How a server over HTTP is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpKind {
    /// Streamable HTTP.
    #[default]
    Http,
    /// The older form: events from one address, requests to another.
    Sse,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn any_object() -> Value {
    serde_json::json!({"type": "object"})
}

impl<'de> Deserialize<'de> for McpServer {
    /// `url` tells one over HTTP from a program, so that an error speaks of the form that was meant.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        let over_http = members.contains_key("url");
        let value = Value::Object(members);
        let read = if over_http {
            serde_json::from_value(value).map(Self::Http)
        } else {
            serde_json::from_value(value).map(Self::Stdio)
        };
        read.map_err(serde::de::Error::custom)
    }
}

impl AgentDefinition {
    /// How the output is taken: as declared, else handed in where the output has a schema, else what was said last.
    pub fn output_mode(&self) -> OutputMode {
        let shaped = self.output_schema.schema.is_some() || !self.output_schema.fields.is_empty();
        match self.output_mode {
            Some(mode) => mode,
            None if shaped => OutputMode::StructuredOutput,
            None => OutputMode::LastMessage,
        }
    }

    /// Models in the order in which they are tried.
    pub fn models(&self) -> Vec<String> {
        let own = self.model.iter();
        own.chain(&self.fallback_models).cloned().collect()
    }

    /// Most turns of one attempt.
    pub fn turns_max(&self) -> u32 {
        self.max_turns.unwrap_or(TURNS_DEFAULT)
    }

    /// Most children of one step.
    pub fn children_max(&self) -> u32 {
        self.max_children.unwrap_or(CHILDREN_DEFAULT)
    }
}
