//! What a conversation asks of whoever carries it out, and what it is answered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::asking::{ModelAnswer, ModelCall};
use crate::agent::message::{Message, ToolCall, ToolResult};
use crate::agent::retry::ErrorClass;
use crate::agent::script::{Resume, Yield};

/// What a conversation asks next.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// An answer of a model.
    Model(ModelCall),
    /// To carry out these calls, in this order; those that change nothing may have been carried out already.
    Tools(Vec<ToolCall>),
    /// To spawn these children, all together, and to wait for all.
    Children(Vec<ChildAsk>),
    /// To resume its script.
    Script(Resume),
    /// Nothing more.
    End(End),
}

/// A child that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChildAsk {
    /// The call that wants it, by id.
    pub call: String,
    /// The entry of `spawnableAgents` that it is to be: its reference.
    pub agent: String,
    /// Its prompt, empty where none is given.
    pub prompt: String,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// What it begins with, where it begins with what its parent has heard and said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Arc<Message>>,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "status",
    deny_unknown_fields
)]
pub enum ChildOutcome {
    /// With an output.
    Completed {
        /// Its enrichment's data: what its own conversation ended with.
        value: Value,
    },
    /// With a part of one.
    Partial {
        /// What it kept.
        value: Value,
        /// Why there is no more.
        message: String,
    },
    /// Without one: failed, timed out, skipped or cancelled.
    Failed {
        /// Why, for the model. It holds no stack trace.
        message: String,
    },
}

/// What an ask is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "answer")]
pub enum Answer {
    /// The model's answer, or why there is none after all retries.
    Model(Result<ModelAnswer, Failure>),
    /// A result for each call, in any order; or for the first ones, and the others are asked for again.
    Tools(Vec<ToolResult>),
    /// An outcome for each child, in the order asked.
    Children(Vec<ChildOutcome>),
    /// What the script yielded, or the error that it ended with.
    Script(Result<Yield, String>),
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// Whether trying again can help.
    pub class: ErrorClass,
    /// Why. It holds no stack trace.
    pub message: String,
}

/// Begins the message of who was not done when the turns were used up.
pub const TURN_LIMIT: &str = "turn-limit";

/// Whether a conversation that failed with this message gives nothing, whatever was kept of it: it was not done, and what was said
/// on the way is no output.
pub fn gives_nothing(message: &str) -> bool {
    message.starts_with(TURN_LIMIT)
}

/// How a conversation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With an output: the value handed in, or `{type: "lastMessage" | "allMessages", value: [message, ...]}`.
    Completed(Value),
    /// Without one. The message begins with a word for programs: `turn-limit: ...`.
    Failed(Failure),
}

/// An answer of another kind than what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation asked for {asked} and was answered {answered}")]
pub struct Unasked {
    /// What was asked.
    pub asked: &'static str,
    /// What was answered.
    pub answered: &'static str,
}
