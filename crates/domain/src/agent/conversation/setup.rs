//! All that a conversation is made of before its first word: prompts, what is given as data, tools, limits.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::agent::asking::ToolSpec;
use crate::agent::message::Message;
use crate::agent::schema::Schema;

/// What a conversation is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The agent, by id.
    pub agent: String,
    /// Its name for people.
    pub display_name: String,
    /// Names this conversation among all: what scripts see as `agentId` and `runId`.
    pub id: String,
    /// The conversation that spawned it.
    pub parent: Option<String>,
    /// Models in the order in which they are tried.
    pub models: Vec<String>,
    /// The system prompt: the agent's own, or its parent's where it inherits that.
    pub system: Option<Arc<str>>,
    /// The parent's tools where its system prompt is inherited: they are shown to the model in front of the agent's own, so that
    /// the provider's cache serves both; only the agent's own can be called.
    pub inherited_tools: Option<Arc<[ToolSpec]>>,
    /// The agent's instructions.
    pub instructions: Option<String>,
    /// Said before each turn.
    pub step_prompt: Option<String>,
    /// The prompt.
    pub prompt: Option<String>,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// Parts of the plan and earlier enrichments, as data.
    pub given: Vec<Given>,
    /// What was said in other agents' conversations, as data.
    pub recorded: Vec<Recorded>,
    /// What the parent has heard and said, where the agent begins with it ([`ChildAsk::history`]).
    ///
    /// [`ChildAsk::history`]: super::asks::ChildAsk::history
    pub history: Vec<Arc<Message>>,
    /// The definition's `toolNames`: which of the tools that are done inside the conversation the
    /// model may call, and whether it may spawn.
    pub tool_names: Vec<String>,
    /// The tools that are done outside: of the plan, HTTP, MCP.
    pub tools: Vec<Tool>,
    /// Agents that it may spawn, in the definition's order.
    pub spawnable: Vec<Spawnable>,
    /// How its output is taken.
    pub output: Output,
    /// What an output must pass beside its schema.
    pub check: Option<OutputCheck>,
    /// Whether a script drives the conversation.
    pub script: bool,
    /// The most tokens of an answer.
    pub max_tokens: Option<u32>,
    /// Further settings for the model, passed on as they are.
    pub settings: Map<String, Value>,
    /// What bounds it.
    pub limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            agent: String::new(),
            display_name: String::new(),
            id: String::new(),
            parent: None,
            models: Vec::new(),
            system: None,
            inherited_tools: None,
            instructions: None,
            step_prompt: None,
            prompt: None,
            params: Map::new(),
            given: Vec::new(),
            recorded: Vec::new(),
            history: Vec::new(),
            tool_names: Vec::new(),
            tools: Vec::new(),
            spawnable: Vec::new(),
            output: Output::LastMessage,
            check: None,
            script: false,
            max_tokens: None,
            settings: Map::new(),
            limits: Limits::default(),
        }
    }
}

/// A part of the plan, or another agent's enrichment: data, never instructions.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// What it is called: an artifact's logical name with its pointer, or `enrichments/<agent>`.
    pub name: String,
    /// What it holds.
    pub value: Arc<Value>,
}

/// What was said in another agent's conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Whose conversation.
    pub agent: String,
    /// Its messages.
    pub messages: Vec<Arc<Message>>,
}

/// A tool that is done outside the conversation.
#[derive(Clone, Debug)]
pub struct Tool {
    /// As the model is told of it. An MCP tool is named `server__tool`; calls of `server/tool` reach it too.
    pub spec: ToolSpec,
    /// Whether the model may call it; a script may call every tool.
    pub for_model: bool,
    /// Whether a call ends the turn as `end_turn` does.
    pub ends_turn: bool,
    /// What its input is held against. Shared between conversations by whoever keeps definitions.
    pub input: Arc<Schema>,
}

impl Tool {
    /// A tool that the model may call, and whose input is held against its spec's schema.
    pub fn new(spec: ToolSpec) -> Self {
        let input = Arc::new(Schema::new(spec.input_schema.clone()));
        Self {
            spec,
            for_model: true,
            ends_turn: false,
            input,
        }
    }
}

/// An agent that may be spawned.
#[derive(Clone, Debug)]
pub struct Spawnable {
    /// As `spawnableAgents` names it: `name`, `name@version`, `publisher/name`, `publisher/name@version`.
    pub reference: String,
    /// Its name for people.
    pub display_name: String,
    /// When to spawn it.
    pub spawner_prompt: Option<String>,
    /// What the prompt says, for who writes it.
    pub prompt: Option<String>,
    /// What its parameters are held against.
    pub params: Option<Arc<Schema>>,
    /// Whether it begins with what this conversation has heard and said.
    pub include_history: bool,
    /// Whether its outputs are handed in (`structured_output`), so that parents see them as such.
    pub structured: bool,
}

/// How an output is taken.
#[derive(Clone, Debug)]
pub enum Output {
    /// `last_message`.
    LastMessage,
    /// `all_messages`.
    AllMessages,
    /// `structured_output`: handed in with `set_output`, held against the schema if there is one.
    Structured(Option<Arc<Schema>>),
}

/// What an output must pass beside its schema, such as that its citations resolve. The same output must always be judged the
/// same.
#[derive(Clone)]
pub struct OutputCheck(pub Arc<Judge>);

/// Says what is wrong with an output.
pub type Judge = dyn Fn(&Value) -> Result<(), String> + Send + Sync;

impl fmt::Debug for OutputCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputCheck")
    }
}

/// What bounds a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most questions to a model.
    pub turns: u32,
    /// The same call so many times in a row is told as an error, once more ends the attempt.
    pub repeats: u32,
    /// Tokens that the model takes in, its answer included; nothing where they are not known.
    pub window: Option<u64>,
    /// Children that may yet be spawned.
    pub children: u32,
    /// Levels of children that may yet lie below this one.
    pub depth: u32,
    /// Most yields of a script between two turns of the model.
    pub script_steps: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 20,
            repeats: 4,
            window: Some(128_000),
            children: 16,
            depth: 4,
            script_steps: 1_000,
        }
    }
}
