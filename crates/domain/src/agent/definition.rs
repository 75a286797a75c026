//! Agent definitions: who can perform a step, as data. Immutable once pinned: a change is a new version.
//!
//! The same names serve TOML files, the API and PlanExe's seed document; unknown keys are refused, since a typo must
//! not vanish. All times are in milliseconds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::conversing::{HttpTool, McpServer, OutputMode, ReasoningOptions};
use crate::agent::input::{InputRef, InvalidInput};
use crate::agent::reference::AgentReference;
use crate::canonical::{self, CanonicalError};
use crate::money::budget::Budget;
use crate::money::price::{Billing, CostMode};
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::AgentId;
use crate::values::time::Millis;

/// Longest attempt of an agent that converses and says no other: one answer alone may take as long.
pub const CONVERSATION_TIMEOUT: Millis = Millis::from_secs(600);

/// An enrichment agent: what it needs, what it gives, when and how it is performed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentDefinition {
    /// The agent's name, shared by all its versions.
    pub id: AgentId,
    /// Name for people.
    pub display_name: String,
    /// What it does, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// Version text; a changed definition needs another.
    #[serde(default = "first_version")]
    pub version: String,
    /// Which parts of the plan it reads.
    #[serde(default)]
    pub input_schema: InputSchema,
    /// What its output looks like.
    #[serde(default)]
    pub output_schema: OutputSchema,
    /// Agents that end before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// A CEL expression over `plan`, `enrichments` and `state`; the step is gated off when it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_condition: Option<String>,
    /// `false`: alone within its orchestration.
    #[serde(default = "yes")]
    pub parallel: bool,
    /// Longest time of one attempt: a minute where a definition does not say it, ten with the executors `model` and `script`.
    #[serde(default = "default_timeout")]
    pub timeout: Millis,
    /// Longest wait in the queue.
    #[serde(default = "default_queue_timeout")]
    pub queue_timeout: Millis,
    /// Longest time from first being ready to the end, all attempts and waits together.
    #[serde(default = "default_total_timeout")]
    pub total_timeout: Millis,
    /// Retries after the first attempt: 2 means three attempts.
    #[serde(default = "default_retries")]
    pub max_retries: u32,
    /// Language model, for agents that use one; where it is missing, the one that the program is configured with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens that one step is expected to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_tokens: Option<u64>,
    /// Flat price of one completed step.
    #[serde(default)]
    pub cost_per_run: Credits,
    /// What is charged: `fixed` (costPerRun), `token-based` (tokens at the model's rates), or `hybrid` (both).
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost_mode: CostMode,
    /// Credits a call, by tool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_rates: BTreeMap<String, Credits>,
    /// What is charged for attempts that give no whole result.
    #[serde(default, skip_serializing_if = "Billing::is_default")]
    pub billing: Billing,
    /// The most that one step may cost, all attempts together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Credits that are held before each attempt; by default what `costPerRun` and `estimatedTokens` give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Credits>,
    /// How it is performed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<Executor>,
    /// Whether an equal step's enrichment is taken over; by default only for analyses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse: Option<Reuse>,
    /// What its failure means for the orchestration.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What happens to it when a dependency was gated off.
    #[serde(default)]
    pub after_gate: AfterGate,
    /// Whether a person must say yes first.
    #[serde(default)]
    pub approval: Approval,
    /// A limit shared by all steps with the same key, over all orchestrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Most turns of one attempt, for agents that converse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// Settings given to the agent; part of the input hash.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Tools that a model agent may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_names: Vec<String>,
    /// Agents that it may spawn: `name`, `name@version`, `publisher/name`, `publisher/name@version`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spawnable_agents: Vec<AgentReference>,
    /// Most children of one step; 16 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_children: Option<u32>,
    /// Whose agent it is, where it came from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<AgentId>,
    /// Tells other agents when to spawn this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawner_prompt: Option<String>,
    /// As a child it begins with what its parent has heard and said.
    #[serde(default, skip_serializing_if = "is_default")]
    pub include_message_history: bool,
    /// As a child it has its parent's system prompt and tools, so that the provider's cache serves both.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inherit_parent_system_prompt: bool,
    /// System prompt of a model agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// Instructions of a model agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions_prompt: Option<String>,
    /// Said to a model agent before each turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_prompt: Option<String>,
    /// How a model agent's output is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_mode: Option<OutputMode>,
    /// Source of a generator that drives a conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle_steps: Option<String>,
    /// Tool servers by name. One of which `toolNames` names no tool (`server/tool`) gives all of its tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mcp_servers: BTreeMap<String, McpServer>,
    /// Tools that are HTTP requests, by name; `toolNames` need not name them again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, HttpTool>,
    /// Language models that are tried in this order when `model` fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_models: Vec<String>,
    /// Retries of one failed question to a model, before the next model is tried; 3 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm_retries: Option<u32>,
    /// How much the model thinks before it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_options: Option<ReasoningOptions>,
    /// Most tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Tokens that the model takes in: the history is trimmed to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// Further settings for the model, passed on as they are (`temperature`, `top_p`, `provider`, ...).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub model_settings: Map<String, Value>,
    /// Every citation in the output (an object with `pointer` and `artifact` or `agent`) must resolve, and every entry of a
    /// list at the output's top must hold one, or the output is invalid.
    #[serde(default, skip_serializing_if = "is_default")]
    pub check_citations: bool,
    /// Part of an orchestration only when it is asked for by name, or when an agent that is part of it depends on it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_request: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn yes() -> bool {
    true
}

fn first_version() -> String {
    "1".to_owned()
}

fn default_timeout() -> Millis {
    Millis::from_secs(60)
}

fn default_queue_timeout() -> Millis {
    Millis::from_secs(3_600)
}

fn default_total_timeout() -> Millis {
    Millis::from_secs(24 * 3_600)
}

fn default_retries() -> u32 {
    2
}

/// What an agent reads. `fields` are required unless they end in `?`; `context` is read where it is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputSchema {
    /// Logical names of artifacts, with JSON pointers if wanted: `project_plan_raw.json#/smart_criteria?`.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Further artifacts, read where the plan has them; `messages:<agent>` is what was said in that agent's conversation.
    #[serde(default)]
    pub context: Vec<String>,
    /// What the prompt is about that a parent gives it as its child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptSchema>,
    /// JSON Schema, of an object, of the parameters that a parent gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
}

/// The schema of a prompt, which is always text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PromptSchema {
    /// `string`, which may be left out.
    #[serde(rename = "type", default)]
    pub kind: PromptKind,
    /// What the prompt says, for who writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The one type of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// Text.
    #[default]
    String,
}

/// What an agent gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputSchema {
    /// A name for the kind of enrichment, for filters.
    #[serde(default)]
    pub enrichment_type: String,
    /// Required keys; `[]`, `{}`, `""`, `0` and `false` give their types.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// The full form: a JSON Schema of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// An edge of the graph. A bare agent id means `{ agent = id }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// Who ends first.
    pub agent: AgentId,
    /// A partial enrichment is good enough.
    pub accepts_partial: bool,
    /// It need only have ended, however it ended; and it may be absent.
    pub optional: bool,
}

/// How an agent is performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    tag = "kind",
    deny_unknown_fields
)]
pub enum Executor {
    /// A deterministic function of this program.
    Analysis {},
    /// One POST to a URL.
    Http {
        /// Where: http or https, with a host and without credentials.
        url: String,
        /// Asked by GET whether the agent is well; an answer of 2xx says that it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        health: Option<String>,
    },
    /// Pulled by an outside worker.
    Worker {},
    /// A conversation with a language model.
    Model {},
    /// A sandboxed script that drives such a conversation.
    Script {},
}

/// Whether an equal step's enrichment is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reuse {
    /// From any orchestration of the same account.
    Account,
    /// Always performed.
    Never,
}

/// What a failure means for the orchestration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// What needs this step is skipped; the rest goes on.
    #[default]
    Continue,
    /// The whole orchestration ends as failed.
    Abort,
}

/// What happens to a step when a dependency was gated off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AfterGate {
    /// It is gated off too.
    #[default]
    Skip,
    /// It starts as if the dependency were done.
    Run,
}

/// Whether a person must say yes before a step starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// It starts by itself.
    #[default]
    None,
    /// It is parked until it is approved.
    Required,
}

/// A limit over all orchestrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Shared by all steps that name it.
    pub key: String,
    /// Most attempts at one time.
    pub max: u32,
}

impl AgentDefinition {
    /// The artifacts that must be there and those that are read where they are, in the order declared.
    ///
    /// # Errors
    /// The first input that cannot be read.
    pub fn inputs(&self) -> Result<Vec<InputRef>, InvalidInput> {
        let fields = self
            .input_schema
            .fields
            .iter()
            .map(|text| text.parse::<InputRef>());
        let context = self.input_schema.context.iter().map(|text| {
            text.parse::<InputRef>().map(|input| InputRef {
                optional: true,
                ..input
            })
        });
        fields.chain(context).collect()
    }

    /// Whether an equal step's enrichment may be taken over: as declared, else only for analyses.
    pub fn reusable(&self) -> bool {
        match self.reuse {
            Some(reuse) => reuse == Reuse::Account,
            None => matches!(self.executor, Some(Executor::Analysis {})),
        }
    }

    /// SHA-256 over the definition's canonical JSON.
    ///
    /// # Errors
    /// When a parameter holds a number that canonical JSON lacks.
    pub fn hash(&self) -> Result<ContentHash, CanonicalError> {
        canonical::hash(self)
    }

    /// The output's JSON Schema: the one given, or the one that the `fields` spell.
    pub fn output_json_schema(&self) -> Value {
        if let Some(schema) = &self.output_schema.schema {
            return schema.clone();
        }
        let kind = |example: &Value| match example {
            Value::Array(_) => serde_json::json!({"type": "array"}),
            Value::Object(_) => serde_json::json!({"type": "object"}),
            Value::String(_) => serde_json::json!({"type": "string"}),
            Value::Number(_) => serde_json::json!({"type": "number"}),
            Value::Bool(_) => serde_json::json!({"type": "boolean"}),
            Value::Null => serde_json::json!({}),
        };
        let properties: Map<String, Value> = self
            .output_schema
            .fields
            .iter()
            .map(|(name, example)| (name.clone(), kind(example)))
            .collect();
        let required: Vec<&String> = self.output_schema.fields.keys().collect();
        serde_json::json!({"type": "object", "required": required, "properties": properties})
    }
}

/// The JSON Schema of an agent definition, generated from these types.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(AgentDefinition).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "Afterplan agent definition".into());
    }
    schema
}

/// A definition from TOML text.
///
/// # Errors
/// Line, column and what is wrong there: an unknown key, a wrong type, a missing field.
pub fn from_toml(text: &str) -> Result<AgentDefinition, toml::de::Error> {
    Ok(timed(toml::from_str(text)?, &toml::from_str(text)?))
}

/// A definition from JSON text.
///
/// # Errors
/// As [`from_toml`].
pub fn from_json(text: &str) -> Result<AgentDefinition, serde_json::Error> {
    Ok(timed(
        serde_json::from_str(text)?,
        &serde_json::from_str(text)?,
    ))
}

/// What a definition's text says of the time of an attempt.
#[derive(Deserialize)]
struct Said {
    timeout: Option<IgnoredAny>,
}

/// Who converses and says no `timeout` has the time that a conversation takes.
fn timed(mut definition: AgentDefinition, said: &Said) -> AgentDefinition {
    let converses = matches!(
        definition.executor,
        Some(Executor::Model {} | Executor::Script {})
    );
    if converses && said.timeout.is_none() {
        definition.timeout = CONVERSATION_TIMEOUT.min(definition.total_timeout);
    }
    definition
}
