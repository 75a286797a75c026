//! How a script (`handleSteps`) and the conversation that it drives speak to each other: what it is given, and what it
//! yields. The protocol is that of Codebuff's generators.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a script is called with, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// What stays of the agent's state as scripts see it: agentId, runId, parentId, systemPrompt, toolDefinitions.
    pub agent_state: Value,
    /// The rest of it.
    pub news: News,
    /// The prompt, if there is one.
    pub prompt: Option<String>,
    /// Parameters.
    pub params: Map<String, Value>,
    /// The agent's model.
    pub model: Option<String>,
}

/// What is new in the agent's state: a history may be long, so that each message is told once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Members beside those that stay: output and contextTokenCount; at the start agentType, stepsRemaining and others too.
    pub state: Map<String, Value>,
    /// How many of the messages that were told before still stand, from the first on. What came behind them is gone.
    pub kept: usize,
    /// The messages that follow, each as JSON text: with those before them the state's messageHistory.
    pub messages: Vec<String>,
}

/// What a script is resumed with, the first time too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// What is new in the agent's state since it was called or resumed last.
    pub news: News,
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
