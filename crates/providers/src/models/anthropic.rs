//! A question in the words of Anthropic's messages.

use domain::agent::asking::ModelCall;
use domain::agent::message::{Message, Part, Role, ToolCall, ToolResult};
use serde_json::{Map, Value, json};

use crate::models::endpoint::Endpoint;
use crate::models::names::{Names, plain};
use crate::models::openai::is_object;
use crate::models::reasoning;

/// The most tokens of an answer where nobody says: Anthropic wants a number.
const TOKENS: u64 = 8_192;

/// The tool whose input is the answer, where that is held to a schema.
pub(crate) const ANSWER: &str = "answer";

/// What stands before the signature of thoughts that only their provider can read.
pub(crate) const REDACTED: &str = "redacted:";

/// Whether the answer comes as the input of the tool [`ANSWER`].
pub(crate) fn forced(call: &ModelCall) -> bool {
    call.tools.is_empty() && call.output_schema.as_ref().is_some_and(is_object)
}

/// The body of a question.
pub(crate) fn body(endpoint: &Endpoint, model: &str, call: &ModelCall, names: &Names) -> Value {
    let mut body = call.settings.clone();
    body.remove("provider");
    let most = call.max_tokens.map_or(TOKENS, u64::from);
    let thinking = reasoning::taken(&mut body).map(|wish| wish.tokens());
    // Thoughts count as a part of the answer.
    let most = thinking.map_or(most, |tokens| most.max(tokens + TOKENS));
    if let Some(tokens) = thinking {
        for refused in ["temperature", "top_k"] {
            body.remove(refused);
        }
        let budget = json!({"type": "enabled", "budget_tokens": tokens});
        body.insert("thinking".to_owned(), budget);
    }
    body.insert("model".to_owned(), model.into());
    body.insert("max_tokens".to_owned(), most.into());
    body.insert("stream".to_owned(), true.into());
    if let Some(system) = call.system.as_deref().filter(|system| !system.is_empty()) {
        let mut block = json!({"type": "text", "text": system});
        cached(&mut block);
        body.insert("system".to_owned(), json!([block]));
    }
    body.insert("messages".to_owned(), messages(call, names));
    if !call.stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(call.stop));
    }
    let mut tools: Vec<Value> = call.tools.iter().map(|tool| {
        json!({"name": names.there(&tool.name), "description": tool.description, "input_schema": tool.input_schema})
    }).collect();
    if let Some(schema) = call.output_schema.as_ref().filter(|_| forced(call))
        && endpoint.structured_output
    {
        let description = "Give your whole answer as this tool's input.";
        tools.push(json!({"name": ANSWER, "description": description, "input_schema": schema}));
        // A model that thinks may not be forced.
        let choice = match thinking {
            Some(_) => json!({"type": "auto"}),
            None => json!({"type": "tool", "name": ANSWER}),
        };
        body.insert("tool_choice".to_owned(), choice);
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.into());
    }
    Value::Object(body)
}

/// Marks the end of what the provider may keep for the next question, which begins alike.
fn cached(block: &mut Value) {
    block["cache_control"] = json!({"type": "ephemeral"});
}

/// Turns by turns: who speaks twice in a row speaks once, results of calls come first, and a user has the first and last word.
fn messages(call: &ModelCall, names: &Names) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &call.messages {
        let blocks = blocks(message, names);
        if blocks.is_empty() {
            continue;
        }
        let role = match message.role {
            Role::Assistant => "assistant",
            _ => "user",
        };
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let go_on = || ("user", vec![json!({"type": "text", "text": "Go on."})]);
    if turns.first().is_none_or(|(role, _)| *role == "assistant") {
        turns.insert(0, go_on());
    }
    if turns.last().is_some_and(|(role, _)| *role == "assistant") {
        turns.push(go_on());
    }
    for (_, blocks) in turns.iter_mut().filter(|(role, _)| *role == "user") {
        blocks.sort_by_key(|block| block["type"] != "tool_result");
    }
    if let Some(block) = turns.last_mut().and_then(|(_, blocks)| blocks.last_mut()) {
        cached(block);
    }
    let said = turns
        .into_iter()
        .map(|(role, blocks)| json!({"role": role, "content": blocks}));
    said.collect()
}

fn blocks(message: &Message, names: &Names) -> Vec<Value> {
    let block = |part: &Part| match part {
        Part::Text { text } if text.trim().is_empty() => None,
        Part::Text { text } => Some(json!({"type": "text", "text": text})),
        Part::Reasoning { text, signature } => thought(text, signature.as_deref()?),
        Part::ToolCall(call) => Some(tool_use(call, names)),
        Part::ToolResult(result) => Some(tool_result(result)),
    };
    message.parts.iter().filter_map(block).collect()
}

/// Thoughts go back only with their signature, to where it can be read.
fn thought(text: &str, signature: &str) -> Option<Value> {
    Some(match signature.strip_prefix(REDACTED) {
        Some(data) => json!({"type": "redacted_thinking", "data": data}),
        None => json!({"type": "thinking", "thinking": text, "signature": signature}),
    })
}

fn tool_use(call: &ToolCall, names: &Names) -> Value {
    // An input must be an object; what is none is shown as it was.
    let input = match &call.input {
        Value::Object(input) => input.clone(),
        other => Map::from_iter([("input".to_owned(), other.clone())]),
    };
    json!({"type": "tool_use", "id": id(&call.id), "name": names.there(&call.name), "input": input})
}

fn tool_result(result: &ToolResult) -> Value {
    let text = match &result.output {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut block = json!({"type": "tool_result", "tool_use_id": id(&result.call)});
    if !text.is_empty() {
        block["content"] = text.into();
    }
    if result.failed {
        block["is_error"] = true.into();
    }
    block
}

/// An id as Anthropic takes it.
fn id(ours: &str) -> String {
    ours.chars().map(plain).collect()
}
