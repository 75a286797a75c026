//! The tools that are done inside a conversation and never asked for: how a model is told of them.

use serde_json::{Value, json};

use super::setup::{Output, Setup};
use crate::agent::asking::ToolSpec;

/// Names of the tools that are done inside a conversation.
pub const NAMES: [&str; 10] = [
    "set_output",
    "end_turn",
    "task_completed",
    "think_deeply",
    "add_subgoal",
    "update_subgoal",
    "create_plan",
    "suggest_followups",
    "add_message",
    "set_messages",
];

/// How a model is told of the tool `name`, if it is one that is done inside.
pub(super) fn spec(name: &str, setup: &Setup) -> Option<ToolSpec> {
    let (description, input_schema) = match name {
        "set_output" => return Some(set_output(&setup.output)),
        "end_turn" => (
            "Ends your turn. Call it when nothing is left to do.",
            json!({"type": "object", "properties": {}}),
        ),
        "task_completed" => (
            "Says that the whole task is completed. Until you call it you are asked to go on.",
            json!({"type": "object", "properties": {}}),
        ),
        "think_deeply" => (
            "Think about the task step by step, and write the thoughts down.",
            json!({"type": "object", "properties": {"thought": {"type": "string"}}, "required": ["thought"]}),
        ),
        "add_subgoal" => (
            "Writes down a part of the task, to be kept in mind.",
            subgoal(&["objective"]),
        ),
        "update_subgoal" => (
            "Changes a part of the task that was written down.",
            subgoal(&[]),
        ),
        "create_plan" => (
            "Writes down a plan of what to do.",
            json!({"type": "object", "properties": {"path": {"type": "string"}, "plan": {"type": "string"}}, "required": ["plan"]}),
        ),
        "suggest_followups" => (
            "Suggests what could be asked next.",
            json!({"type": "object", "properties": {"followups": {"type": "array"}}, "required": ["followups"]}),
        ),
        "add_message" => (
            "Adds a message to the conversation.",
            json!({"type": "object", "properties": {"role": {"enum": ["user", "assistant"]}, "content": {}}, "required": ["role", "content"]}),
        ),
        "set_messages" => (
            "Replaces all messages of the conversation.",
            json!({"type": "object", "properties": {"messages": {"type": "array"}}, "required": ["messages"]}),
        ),
        _ => return None,
    };
    Some(ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        input_schema,
        read_only: false,
    })
}

fn subgoal(further: &[&str]) -> Value {
    let required: Vec<&str> = ["id"].iter().chain(further).copied().collect();
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "objective": {"type": "string"},
            "status": {"enum": ["NOT_STARTED", "IN_PROGRESS", "COMPLETE", "ABORTED"]},
            "plan": {"type": "string"},
            "log": {"type": "string"}
        },
        "required": required
    })
}

/// The output's own schema is the tool's, so that a provider can hold the model to it.
fn set_output(output: &Output) -> ToolSpec {
    let any = || json!({"type": "object", "additionalProperties": true});
    let input_schema = match output {
        Output::Structured(Some(schema)) => {
            let json = schema.json();
            if json.get("type").and_then(Value::as_str) == Some("object") {
                json.clone()
            } else {
                json!({"type": "object", "properties": {"data": json}, "required": ["data"]})
            }
        }
        _ => any(),
    };
    ToolSpec {
        name: "set_output".to_owned(),
        description: "Hands in your output. The last call counts; what is handed in replaces what was before.".to_owned(),
        input_schema,
        read_only: false,
    }
}
