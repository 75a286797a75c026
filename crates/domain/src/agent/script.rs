//! How a script (`handleSteps`) and the conversation that it drives speak to each other: what it is given, and what it
//! yields. The protocol is that of Codebuff's generators.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a script is called with, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// The agent's state as scripts see it: agentId, runId, parentId, messageHistory, output, systemPrompt, ...
    pub agent_state: Value,
    /// The prompt, if there is one.
    pub prompt: Option<String>,
    /// Parameters.
    pub params: Map<String, Value>,
    /// The agent's model.
    pub model: Option<String>,
}

/// What a script is resumed with, the first time too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// The agent's state as scripts see it.
    pub agent_state: Value,
    /// What the last tool gave: a list of `{type: "json", value}`; empty at first and after a turn of the model.
    pub tool_result: Vec<Value>,
    /// Whether the model's turn just before would have ended the conversation.
    pub steps_complete: bool,
    /// The alternatives that it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_responses: Option<Vec<String>>,
}

/// What a script yields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "kind",
    content = "value"
)]
pub enum Yield {
    /// One turn of the model.
    Step,
    /// Turns of the model until one ends the conversation.
    StepAll,
    /// Text said as if by the model, with calls in text form carried out in order.
    StepText(String),
    /// So many alternative answers.
    GenerateN(u32),
    /// A call of a tool.
    Tool {
        /// Which.
        tool_name: String,
        /// Its input.
        input: Value,
        /// Whether call and result enter the history.
        include_tool_call: bool,
    },
    /// The script returned: the conversation ends.
    Done,
}
