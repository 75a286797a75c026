//! What is asked of a language model, and what it answers: the same for every provider.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::message::Message;
use crate::money::usage::Usage;

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolSpec {
    /// Its name, unique among the model's tools.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of its input, an object.
    pub input_schema: Value,
    /// It changes nothing: a call may be carried out as soon as it is complete, beside others.
    #[serde(default)]
    pub read_only: bool,
}

/// One question to a model: everything that goes over the wire, and nothing that a provider must guess.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelCall {
    /// Models in the order in which they are tried: the agent's own, then its fallbacks.
    pub models: Vec<String>,
    /// The system prompt, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Arc<str>>,
    /// What was said so far. Shared with whoever keeps the conversation: a long history is not copied for each question.
    pub messages: Vec<Arc<Message>>,
    /// What the model may call.
    #[serde(default = "no_tools", skip_serializing_if = "<[ToolSpec]>::is_empty")]
    pub tools: Arc<[ToolSpec]>,
    /// JSON Schema of the answer, where the provider can hold the model to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// So many alternative answers are wanted, as one JSON array of strings, and no tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<u32>,
    /// The most tokens of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts that end an answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Further settings, passed on as they are (`temperature`, `top_p`, `reasoning`, ...).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

fn no_tools() -> Arc<[ToolSpec]> {
    Arc::from([])
}

/// A piece of an answer on its way, as a provider streams it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Thoughts.
    Reasoning {
        /// The thoughts.
        text: String,
        /// What the provider wants to see again, at their end.
        signature: Option<String>,
    },
    /// A native call begins. `place` tells calls apart that come interleaved.
    CallBegins {
        /// Its place among the answer's calls.
        place: u32,
        /// The provider's id, empty where it gives none.
        id: String,
        /// Which tool.
        name: String,
    },
    /// More of a native call's input, as JSON text.
    CallInput {
        /// Its place among the answer's calls.
        place: u32,
        /// The text.
        text: String,
    },
    /// A native call is whole.
    CallEnds {
        /// Its place among the answer's calls.
        place: u32,
    },
}

/// A piece of a whole answer, in the order in which it was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "kind",
    deny_unknown_fields
)]
pub enum Piece {
    /// Text, byte for byte what readers saw.
    Text {
        /// The text.
        text: String,
    },
    /// Thoughts.
    Reasoning {
        /// The thoughts.
        text: String,
        /// What the provider wants to see again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A call whose input is JSON.
    Call {
        /// Unique within the answer, never empty.
        id: String,
        /// Which tool.
        name: String,
        /// Its input.
        input: Value,
    },
    /// A call that cannot be read; the model is told.
    BadCall {
        /// Unique within the answer, never empty.
        id: String,
        /// Which tool, where that can be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its text, cut to what helps.
        text: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model was done, or came to a stop text.
    Stop,
    /// It waits for what its calls give.
    Calls,
    /// It came to its most tokens.
    Length,
    /// The provider held the rest back.
    Filtered,
    /// The provider does not say.
    Unknown,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelAnswer {
    /// Which model gave it, as the provider names it.
    pub model: String,
    /// What it said, in order.
    pub pieces: Vec<Piece>,
    /// Why it ended.
    pub finish: Finish,
    /// What it used.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
}
