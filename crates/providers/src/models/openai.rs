//! A question in the words of OpenAI's chat completions, which most providers understand.

use domain::agent::asking::ModelCall;
use domain::agent::message::{Message, Part, Role, ToolResult};
use serde_json::{Map, Value, json};

use crate::models::endpoint::Endpoint;
use crate::models::names::Names;
use crate::models::reasoning;

/// The tool by which an output is handed in.
pub(crate) const OUTPUT: &str = "set_output";

/// What may stand in a schema that a provider is to hold the model to letter by letter.
const STRICT: [&str; 8] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "title",
    "description",
];

/// The body of a question.
pub(crate) fn body(endpoint: &Endpoint, model: &str, call: &ModelCall, names: &Names) -> Value {
    let router = endpoint.provider == "openrouter";
    let mut body = call.settings.clone();
    if router {
        reasoning::spelled(&mut body);
    } else {
        // OpenRouter's own words.
        body.remove("provider");
        if let Some(effort) = reasoning::taken(&mut body).and_then(|wish| wish.effort()) {
            body.entry("reasoning_effort").or_insert(effort.into());
        }
    }
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages(call, names, router));
    body.insert("stream".to_owned(), true.into());
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    if router {
        body.insert("usage".to_owned(), json!({"include": true}));
    }
    if let Some(most) = call.max_tokens {
        // OpenAI's newer models know only the one, most others only the other.
        let name = match endpoint.provider.as_str() {
            "openai" => "max_completion_tokens",
            _ => "max_tokens",
        };
        body.insert(name.to_owned(), most.into());
    }
    if !call.stop.is_empty() {
        body.insert("stop".to_owned(), json!(call.stop));
    }
    if !call.tools.is_empty() {
        body.insert("tools".to_owned(), tools(endpoint, call, names));
    }
    if let Some(schema) = call
        .output_schema
        .as_ref()
        .filter(|schema| is_object(schema))
        && endpoint.structured_output
    {
        let format = json!({"name": "answer", "schema": schema, "strict": is_strict(schema)});
        let format = json!({"type": "json_schema", "json_schema": format});
        body.insert("response_format".to_owned(), format);
    }
    Value::Object(body)
}

fn tools(endpoint: &Endpoint, call: &ModelCall, names: &Names) -> Value {
    let tools = call.tools.iter().map(|tool| {
        let mut function = json!({
            "name": names.there(&tool.name),
            "description": tool.description,
            "parameters": tool.input_schema,
        });
        let held = endpoint.structured_output && tool.name == OUTPUT;
        if held && is_object(&tool.input_schema) && is_strict(&tool.input_schema) {
            function["strict"] = true.into();
        }
        json!({"type": "function", "function": function})
    });
    tools.collect()
}

fn messages(call: &ModelCall, names: &Names, router: bool) -> Value {
    let mut messages = Vec::with_capacity(call.messages.len() + 1);
    if let Some(system) = call.system.as_deref().filter(|system| !system.is_empty()) {
        messages.push(json!({"role": "system", "content": system}));
    }
    for message in &call.messages {
        match message.role {
            Role::System => messages.push(json!({"role": "system", "content": message.plain()})),
            Role::User => messages.push(json!({"role": "user", "content": message.plain()})),
            Role::Assistant => messages.extend(assistant(message, names, router)),
            Role::Tool => {
                for part in &message.parts {
                    if let Part::ToolResult(result) = part {
                        messages.push(json!({
                            "role": "tool",
                            "tool_call_id": result.call,
                            "content": output(result),
                        }));
                    }
                }
            }
        }
    }
    Value::Array(messages)
}

/// What the model said; nothing where that was nothing.
fn assistant(message: &Message, names: &Names, router: bool) -> Option<Value> {
    let text = message.plain();
    let (mut calls, mut thoughts) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            Part::ToolCall(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": {"name": names.there(&call.name), "arguments": call.input.to_string()},
            })),
            Part::Reasoning {
                text,
                signature: Some(signature),
            } if router => thoughts.push(json!({
                "type": "reasoning.text", "text": text, "signature": signature,
            })),
            _ => {}
        }
    }
    if text.is_empty() && calls.is_empty() {
        return None;
    }
    let mut said = Map::new();
    said.insert("role".to_owned(), "assistant".into());
    let content = match text.is_empty() {
        true => Value::Null,
        false => text.into(),
    };
    said.insert("content".to_owned(), content);
    if !calls.is_empty() {
        said.insert("tool_calls".to_owned(), calls.into());
    }
    if !thoughts.is_empty() {
        said.insert("reasoning_details".to_owned(), thoughts.into());
    }
    Some(Value::Object(said))
}

/// What a call gave, as text: this format has no word for errors.
pub(crate) fn output(result: &ToolResult) -> String {
    match &result.output {
        Value::String(text) if result.failed => format!("Error: {text}"),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The root must be an object.
pub(crate) fn is_object(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("object")
}

/// Whether the schema is one that providers hold the model to letter by letter: no object in it has members that are optional or
/// unnamed, and it says nothing that some of them refuse.
fn is_strict(schema: &Value) -> bool {
    let Some(members) = schema.as_object() else {
        return false;
    };
    if !members.keys().all(|name| STRICT.contains(&name.as_str())) {
        return false;
    }
    let kind = members.get("type").and_then(Value::as_str);
    match kind {
        Some("object") => {
            let properties = members.get("properties").and_then(Value::as_object);
            let required = members.get("required").and_then(Value::as_array);
            let named = |name: &String| {
                required.is_some_and(|names| names.iter().any(|known| known == name))
            };
            members.get("additionalProperties") == Some(&Value::Bool(false))
                && properties
                    .is_some_and(|all| all.keys().all(named) && all.values().all(is_strict))
        }
        Some("array") => members.get("items").is_some_and(is_strict),
        Some(_) => true,
        None => members.contains_key("enum"),
    }
}
