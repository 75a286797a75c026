//! Messages in the public form of Codebuff's, as scripts, parents and readers see them: one message for each thing that was
//! said, called or given.

use serde_json::{Map, Value, json};

use super::pairs;
use crate::agent::message::{Lifetime, Message, Part, Purpose, Role, ToolCall, ToolResult};

/// What was said, without what was thought.
pub(super) fn said<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Value> {
    let mut written = Vec::new();
    for message in messages {
        write(message, false, &mut written);
    }
    written
}

/// What was said and thought.
pub(super) fn all<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Vec<Value> {
    let mut written = Vec::new();
    for message in messages {
        write(message, true, &mut written);
    }
    written
}

/// The parts of a message that are messages of their own here.
pub(super) fn parts(message: &Message) -> impl Iterator<Item = &Part> {
    let empty = |part: &Part| matches!(part, Part::Text { text } if text.is_empty());
    message.parts.iter().filter(move |part| !empty(part))
}

fn write(message: &Message, thoughts: bool, written: &mut Vec<Value>) {
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    };
    for part in parts(message) {
        let mut one = match part {
            Part::Text { text } => {
                json!({"role": role, "content": [{"type": "text", "text": text}]})
            }
            Part::Reasoning { .. } if !thoughts => continue,
            Part::Reasoning { text, signature } => {
                let mut content = json!({"type": "reasoning", "text": text});
                if let Some(signature) = signature {
                    content["signature"] = Value::from(signature.as_str());
                }
                json!({"role": role, "content": [content]})
            }
            Part::ToolCall(call) => json!({"role": role, "content": [{
                "type": "tool-call", "toolCallId": call.id, "toolName": call.name, "input": call.input
            }]}),
            Part::ToolResult(result) => json!({
                "role": role, "toolCallId": result.call, "toolName": result.name,
                "content": [{"type": "json", "value": result.output}]
            }),
        };
        if let Some(ttl) = match message.lifetime {
            Lifetime::Conversation => None,
            Lifetime::Prompt => Some("userPrompt"),
            Lifetime::Turn => Some("agentStep"),
        } {
            one["timeToLive"] = Value::from(ttl);
        }
        match message.purpose {
            Some(Purpose::UserPrompt) => {
                one["tags"] = json!(["USER_PROMPT"]);
                one["keepDuringTruncation"] = Value::Bool(true);
            }
            Some(Purpose::Instructions) => one["tags"] = json!(["INSTRUCTIONS_PROMPT"]),
            Some(Purpose::Data) => {
                one["tags"] = json!(["PLAN_DATA"]);
                one["keepDuringTruncation"] = Value::Bool(true);
            }
            _ => {}
        }
        written.push(one);
    }
}

/// Messages that a script gives in. Those of one speaker in a row become one; calls and results that stand alone go.
///
/// # Errors
/// What is wrong with the first one that cannot be read.
pub(super) fn read(value: &Value) -> Result<Vec<Message>, String> {
    let Some(list) = value.as_array() else {
        return Err("`messages` must be a list".to_owned());
    };
    let mut messages: Vec<Message> = Vec::with_capacity(list.len());
    for (at, one) in list.iter().enumerate() {
        let message = read_one(one).map_err(|fault| format!("message {at}: {fault}"))?;
        match messages.last_mut() {
            Some(last) if joins(last, &message) => last.parts.extend(message.parts),
            _ => messages.push(message),
        }
    }
    Ok(pairs::repaired(messages))
}

fn joins(last: &Message, next: &Message) -> bool {
    last.role == next.role
        && matches!(last.role, Role::Assistant | Role::Tool)
        && last.lifetime == next.lifetime
}

/// One message: `{role, content}`, the content a text or a list of parts.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_one(value: &Value) -> Result<Message, String> {
    let text_of = |key: &str| value.get(key).and_then(Value::as_str);
    let role = match text_of("role") {
        Some("system") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool") => Role::Tool,
        _ => return Err("`role` must be system, user, assistant or tool".to_owned()),
    };
    let content = value.get("content").unwrap_or(&Value::Null);
    let parts = if role == Role::Tool {
        vec![Part::ToolResult(ToolResult {
            call: text_of("toolCallId").unwrap_or_default().to_owned(),
            name: text_of("toolName").unwrap_or_default().to_owned(),
            output: given(content),
            failed: false,
        })]
    } else {
        match content {
            Value::String(text) => vec![Part::Text { text: text.clone() }],
            Value::Array(parts) => parts.iter().map(read_part).collect(),
            _ => return Err("`content` must be a text or a list of parts".to_owned()),
        }
    };
    let tagged = |tag: &str| {
        let tags = value.get("tags").and_then(Value::as_array);
        tags.is_some_and(|tags| tags.iter().any(|each| each == tag))
    };
    let purpose = if tagged("USER_PROMPT") {
        Some(Purpose::UserPrompt)
    } else if tagged("INSTRUCTIONS_PROMPT") {
        Some(Purpose::Instructions)
    } else if tagged("PLAN_DATA") {
        Some(Purpose::Data)
    } else {
        None
    };
    Ok(Message {
        role,
        parts,
        lifetime: match text_of("timeToLive") {
            Some("agentStep") => Lifetime::Turn,
            Some("userPrompt") => Lifetime::Prompt,
            _ => Lifetime::Conversation,
        },
        purpose,
    })
}

fn read_part(part: &Value) -> Part {
    let text_of = |key: &str| part.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
    match (text_of("type").as_deref(), text_of("text")) {
        (Some("text"), Some(text)) => Part::Text { text },
        (Some("reasoning"), Some(text)) => Part::Reasoning {
            text,
            signature: text_of("signature"),
        },
        (Some("tool-call"), _) => Part::ToolCall(ToolCall {
            id: text_of("toolCallId").unwrap_or_default(),
            name: text_of("toolName").unwrap_or_default(),
            input: part
                .get("input")
                .cloned()
                .unwrap_or_else(|| Value::Object(Map::new())),
        }),
        // Of a kind that is not known here: nothing is lost silently.
        _ => Part::Text {
            text: part.to_string(),
        },
    }
}

/// What a tool gave, from its list of `{type: "json", value}`.
fn given(content: &Value) -> Value {
    match content.as_array().map(Vec::as_slice) {
        Some([one]) if one.get("type").and_then(Value::as_str) == Some("json") => {
            one.get("value").cloned().unwrap_or(Value::Null)
        }
        _ => content.clone(),
    }
}
