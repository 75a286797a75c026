//! Tools over the plan: they read, and change nothing. What they give is capped, with the place to read on from.

use std::sync::Arc;

use domain::agent::asking::ToolSpec;
use domain::agent::conversation::setup::Tool;
use domain::agent::message::ToolCall;
use serde_json::{Value, json};

use crate::plans::LoadedPlan;

/// Names the artifacts.
pub(super) const LIST: &str = "list_artifacts";
/// Reads one.
pub(super) const READ: &str = "read_artifact";
/// Finds a text in all.
pub(super) const SEARCH: &str = "search_artifacts";
/// Reads what an earlier agent gave.
pub(super) const READ_ENRICHMENT: &str = "read_enrichment";

/// Most bytes of text that one call gives.
const TEXT_MAX: usize = 16 << 10;

/// Most places that a search tells.
const FOUND_MAX: usize = 50;

/// Most characters shown around what was found, on each side.
const AROUND: usize = 80;

/// Most artifacts that a list names in one go.
const LISTED_MAX: usize = 200;

/// Whether this is a tool over the plan's artifacts.
pub(super) fn is_one(name: &str) -> bool {
    [LIST, READ, SEARCH].contains(&name)
}

/// All of them; the model is offered those that the agent names.
pub(super) fn all(named: &[String]) -> Vec<Tool> {
    let object = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let offset = json!({"type": "integer", "minimum": 0, "description": "Where to read on: the nextOffset of the call before."});
    let pointer = json!({"type": "string", "description": "A JSON pointer such as /tasks/0, for a part of it."});
    let specs = [
        (
            LIST,
            "Lists the plan's artifacts by name, with their sizes in bytes.",
            object(json!({"offset": offset}), json!([])),
        ),
        (
            READ,
            "Reads an artifact of the plan, or a part of it.",
            object(
                json!({"name": {"type": "string"}, "pointer": pointer, "offset": offset}),
                json!(["name"]),
            ),
        ),
        (
            SEARCH,
            "Finds a text in the plan's artifacts, or in the one named, whatever its case, and shows what stands around it.",
            object(
                json!({"text": {"type": "string", "minLength": 2}, "name": {"type": "string"}, "offset": offset}),
                json!(["text"]),
            ),
        ),
        (
            READ_ENRICHMENT,
            "Reads what another agent has found out about the plan, or a part of it.",
            object(
                json!({"agent": {"type": "string"}, "pointer": pointer, "offset": offset}),
                json!(["agent"]),
            ),
        ),
    ];
    let tools = specs.into_iter().map(|(name, description, schema)| Tool {
        for_model: named.iter().any(|named| named == name),
        ..Tool::new(ToolSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            input_schema: schema,
            read_only: true,
        })
    });
    tools.collect()
}

/// Carries out a call over the artifacts.
///
/// # Errors
/// Why it cannot be, for the model.
pub(super) fn carry_out(plan: &Arc<LoadedPlan>, call: &ToolCall) -> Result<Value, String> {
    let input = &call.input;
    match call.name.as_str() {
        LIST => Ok(list(plan, offset(input))),
        READ => read(plan, input),
        _ => search(plan, input),
    }
}

pub(super) fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

fn offset(input: &Value) -> usize {
    let given = input.get("offset").and_then(Value::as_u64);
    usize::try_from(given.unwrap_or(0)).unwrap_or(usize::MAX)
}

fn list(plan: &LoadedPlan, offset: usize) -> Value {
    let all = plan.manifest.artifacts.iter();
    let shown: Vec<Value> = all
        .skip(offset)
        .take(LISTED_MAX)
        .map(|(name, entry)| json!({"name": name, "bytes": entry.bytes}))
        .collect();
    let next = offset + shown.len();
    with_next(
        json!({"artifacts": shown}),
        (next < plan.manifest.artifacts.len()).then_some(next),
    )
}

fn read(plan: &LoadedPlan, input: &Value) -> Result<Value, String> {
    let name = text(input, "name").unwrap_or_default();
    if text(input, "pointer").is_some_and(|pointer| !pointer.is_empty()) {
        let whole = plan.plan.json(name).map_err(|error| error.to_string())?;
        return part_of(&whole, input);
    }
    let whole = plan.plan.text(name).map_err(|error| error.to_string())?;
    cut(whole, offset(input))
}

/// The part of `whole` that `pointer` means, as text.
///
/// # Errors
/// When there is nothing there.
pub(super) fn part_of(whole: &Value, input: &Value) -> Result<Value, String> {
    let pointer = text(input, "pointer").unwrap_or_default();
    let part = whole
        .pointer(pointer)
        .ok_or_else(|| format!("there is nothing at `{pointer}`"))?;
    let text = match part {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    cut(&text, offset(input))
}

fn cut(whole: &str, from: usize) -> Result<Value, String> {
    if from > whole.len() || !whole.is_char_boundary(from) {
        return Err(format!(
            "there is no offset {from} in {} bytes",
            whole.len()
        ));
    }
    let mut to = whole.len().min(from + TEXT_MAX);
    while !whole.is_char_boundary(to) {
        to -= 1;
    }
    Ok(with_next(
        json!({"text": &whole[from..to], "bytes": whole.len()}),
        (to < whole.len()).then_some(to),
    ))
}

fn with_next(mut given: Value, next: Option<usize>) -> Value {
    if let (Some(next), Some(members)) = (next, given.as_object_mut()) {
        members.insert("nextOffset".to_owned(), json!(next));
    }
    given
}

fn search(plan: &LoadedPlan, input: &Value) -> Result<Value, String> {
    let wanted = text(input, "text").unwrap_or_default().to_lowercase();
    if wanted.len() < 2 {
        return Err("the text must have at least two characters".to_owned());
    }
    let skip = offset(input);
    let (mut seen, mut found) = (0, Vec::new());
    let within = text(input, "name");
    if let Some(name) = within {
        plan.plan.text(name).map_err(|error| error.to_string())?;
    }
    let all = plan.manifest.artifacts.keys();
    for name in all.filter(|name| within.is_none_or(|within| name.as_str() == within)) {
        let Ok(whole) = plan.plan.text(name) else {
            continue; // no text
        };
        // Lower case may be of another length: places are then those of the lower text, near enough for who reads on.
        let lower = whole.to_lowercase();
        for (at, _) in lower.match_indices(&wanted) {
            seen += 1;
            if seen <= skip {
                continue;
            }
            if found.len() == FOUND_MAX {
                return Ok(with_next(json!({"found": found}), Some(seen - 1)));
            }
            let shown = around(&lower, at, wanted.len());
            found.push(json!({"artifact": name, "offset": at, "around": shown}));
        }
    }
    Ok(json!({"found": found}))
}

fn around(text: &str, at: usize, len: usize) -> &str {
    let mut from = at.saturating_sub(AROUND);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = text.len().min(at + len + AROUND);
    while !text.is_char_boundary(to) {
        to += 1;
    }
    &text[from..to]
}
