//! What is said in a conversation with a language model: messages, each of parts in the order they were said.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who sets the conversation up.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// The tools, answering the model's calls.
    Tool,
}

/// How long a message stays in the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// To the end.
    #[default]
    Conversation,
    /// Until the current prompt is answered.
    Prompt,
    /// Until the next turn.
    Turn,
}

/// What a message is there for, where that matters for keeping or dropping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The prompt and its parameters.
    UserPrompt,
    /// The agent's instructions.
    Instructions,
    /// What is said before each turn.
    StepPrompt,
    /// Tells the model that a call of its own could not be carried out.
    CallError,
    /// The one reminder that an output is still owed.
    Reminder,
    /// Stands where messages were left out for lack of room.
    Omitted,
    /// Recorded by another agent and given as context.
    Context,
    /// Parts of the plan and earlier enrichments.
    Data,
    /// Asks the model to go on: its answer was cut, or was none yet.
    GoOn,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub parts: Vec<Part>,
    /// How long it stays.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lifetime: Lifetime,
    /// What it is there for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "kind",
    deny_unknown_fields
)]
pub enum Part {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// What a model thought before it spoke.
    Reasoning {
        /// The thoughts.
        text: String,
        /// What its provider wants to see again beside them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// A call that the model makes.
    ToolCall(ToolCall),
    /// What a call gave.
    ToolResult(ToolResult),
}

/// A call of a tool, well-formed: its input is JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolCall {
    /// Unique within the conversation.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// Its input.
    pub input: Value,
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolResult {
    /// The call's id.
    pub call: String,
    /// Which tool.
    pub name: String,
    /// What it gave.
    pub output: Value,
    /// Whether that is an error, which the model sees as such.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
}

impl Message {
    /// A text by `role` that stays to the end.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            parts: vec![Part::Text { text: text.into() }],
            lifetime: Lifetime::Conversation,
            purpose: None,
        }
    }

    /// All its text, without reasoning and calls.
    pub fn plain(&self) -> String {
        let texts = self.parts.iter().map(|part| match part {
            Part::Text { text } => text.as_str(),
            _ => "",
        });
        texts.collect()
    }
}
