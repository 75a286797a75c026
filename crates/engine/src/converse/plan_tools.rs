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

/// Most places that a search tells.
const FOUND_MAX: usize = 50;

/// Most characters shown around what was found, on each side.
const AROUND: usize = 80;

/// Most artifacts that a list names in one go.
const LISTED_MAX: usize = 200;

/// About how many bytes an artifact takes in a list.
const LISTED_BYTES: usize = 64;

/// About how many bytes a place takes that was found.
const FOUND_BYTES: usize = 300;

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

/// Carries out a call over the artifacts, which gives about `most` bytes.
///
/// # Errors
/// Why it cannot be, for the model.
pub(super) fn carry_out(
    plan: &Arc<LoadedPlan>,
    call: &ToolCall,
    most: usize,
) -> Result<Value, String> {
    let input = &call.input;
    match call.name.as_str() {
        LIST => Ok(list(plan, offset(input), most)),
        READ => read(plan, input, most),
        _ => search(plan, input, most),
    }
}

pub(super) fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

fn offset(input: &Value) -> usize {
    let given = input.get("offset").and_then(Value::as_u64);
    usize::try_from(given.unwrap_or(0)).unwrap_or(usize::MAX)
}

fn list(plan: &LoadedPlan, offset: usize, most: usize) -> Value {
    let all = plan.manifest.artifacts.iter();
    let shown: Vec<Value> = all
        .skip(offset)
        .take(LISTED_MAX.min(most / LISTED_BYTES))
        .map(|(name, entry)| json!({"name": name, "bytes": entry.bytes}))
        .collect();
    let next = offset + shown.len();
    with_next(
        json!({"artifacts": shown}),
        (next < plan.manifest.artifacts.len()).then_some(next),
    )
}

fn read(plan: &LoadedPlan, input: &Value, most: usize) -> Result<Value, String> {
    let name = text(input, "name").unwrap_or_default();
    if text(input, "pointer").is_some_and(|pointer| !pointer.is_empty()) {
        let whole = plan.plan.json(name).map_err(|error| error.to_string())?;
        return part_of(&whole, input, most);
    }
    let whole = plan.plan.text(name).map_err(|error| error.to_string())?;
    cut(whole, offset(input), most)
}

/// The part of `whole` that `pointer` means, as text.
///
/// # Errors
/// When there is nothing there.
pub(super) fn part_of(whole: &Value, input: &Value, most: usize) -> Result<Value, String> {
    let pointer = text(input, "pointer").unwrap_or_default();
    let part = whole
        .pointer(pointer)
        .ok_or_else(|| format!("there is nothing at `{pointer}`"))?;
    let text = match part {
        Value::String(text) => text.clone(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    };
    cut(&text, offset(input), most)
}

fn cut(whole: &str, from: usize, most: usize) -> Result<Value, String> {
    if from > whole.len() || !whole.is_char_boundary(from) {
        return Err(format!(
            "there is no offset {from} in {} bytes",
            whole.len()
        ));
    }
    let mut to = whole.len().min(from + most);
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

fn search(plan: &LoadedPlan, input: &Value, most: usize) -> Result<Value, String> {
    let wanted = text(input, "text").unwrap_or_default().to_lowercase();
    if wanted.len() < 2 {
        return Err("the text must have at least two characters".to_owned());
    }
    let most = FOUND_MAX.min(most / FOUND_BYTES);
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
        for place in places(plan, name, whole, &wanted) {
            seen += 1;
            if seen <= skip {
                continue;
            }
            if found.len() == most {
                return Ok(with_next(json!({"found": found}), Some(seen - 1)));
            }
            found.push(place);
        }
    }
    Ok(json!({"found": found}))
}

/// The places of an artifact that hold `wanted`: in JSON the pointers of its texts, as citations have them, else offsets.
fn places(plan: &LoadedPlan, name: &str, whole: &str, wanted: &str) -> Vec<Value> {
    let mut places = Vec::new();
    if let Ok(json) = plan.plan.json(name) {
        texts_holding(&json, wanted, &mut String::new(), &mut |pointer, around| {
            places.push(json!({"artifact": name, "pointer": pointer, "around": around}));
        });
        if !places.is_empty() {
            return places;
        }
    }
    // Lower case may be of another length: where a match stands in the text itself is found by going along with both.
    let lower = whole.to_lowercase();
    let mut along = whole.char_indices();
    let (mut here, mut in_lower) = (0, 0);
    places.extend(lower.match_indices(wanted).map(|(at, _)| {
        while in_lower < at {
            let Some((start, passed)) = along.next() else {
                break;
            };
            here = start + passed.len_utf8();
            in_lower += passed.to_lowercase().map(char::len_utf8).sum::<usize>();
        }
        let shown = around(whole, here, wanted.len());
        json!({"artifact": name, "offset": here, "around": shown})
    }));
    places
}

/// Tells each member, text or number below `value` that holds `wanted`, and what stands around that.
fn texts_holding(
    value: &Value,
    wanted: &str,
    pointer: &mut String,
    tell: &mut impl FnMut(&str, &str),
) {
    let text = match value {
        Value::Object(members) => {
            for (key, value) in members {
                let before = pointer.len();
                let key = key.replace('~', "~0").replace('/', "~1");
                pointer.push('/');
                pointer.push_str(&key);
                if key.to_lowercase().contains(wanted) {
                    tell(pointer, &key);
                }
                texts_holding(value, wanted, pointer, tell);
                pointer.truncate(before);
            }
            return;
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                let before = pointer.len();
                pointer.push_str(&format!("/{at}"));
                texts_holding(value, wanted, pointer, tell);
                pointer.truncate(before);
            }
            return;
        }
        Value::String(text) => text.to_lowercase(),
        Value::Number(number) => number.to_string(),
        Value::Bool(_) | Value::Null => return,
    };
    if let Some(at) = text.find(wanted) {
        tell(pointer, around(&text, at, wanted.len()));
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use planexe::plan::Plan;

    const MOST: usize = 16 << 10;

    fn plan(files: impl IntoIterator<Item = (String, String)>) -> Arc<LoadedPlan> {
        let files = files.into_iter();
        let named = files.map(|(name, text)| (name, Arc::<[u8]>::from(text.into_bytes())));
        Arc::new(LoadedPlan::of(Plan::from_named_bytes(named)).unwrap())
    }

    fn call(plan: &Arc<LoadedPlan>, name: &str, input: Value, most: usize) -> Value {
        let call = ToolCall {
            id: "call-1-0".to_owned(),
            name: name.to_owned(),
            input,
        };
        carry_out(plan, &call, most).unwrap()
    }

    /// Reads all pages; each item once, as `tell` names it.
    fn pages(
        plan: &Arc<LoadedPlan>,
        (name, member): (&str, &str),
        mut input: Value,
        most: usize,
    ) -> (Vec<Value>, usize) {
        let (mut items, mut pages) = (Vec::new(), 0);
        loop {
            let page = call(plan, name, input.clone(), most);
            items.extend(page[member].as_array().unwrap().iter().cloned());
            pages += 1;
            match page.get("nextOffset") {
                Some(next) => input["offset"] = next.clone(),
                None => return (items, pages),
            }
        }
    }

    #[test]
    fn an_offset_is_one_of_the_text_itself_though_its_lower_case_is_longer() {
        let text = format!("{} At the Wharf.", "İ".repeat(10));
        let plan = plan([("a.md".to_owned(), text.clone())]);
        let found = call(&plan, SEARCH, json!({"text": "wharf"}), MOST);
        let place = &found["found"][0];
        let at = place["offset"].as_u64().unwrap() as usize;
        assert!(text[at..].starts_with("Wharf"), "{place}");
        assert!(place["around"].as_str().unwrap().contains("Wharf"));
    }

    #[test]
    fn a_list_and_a_search_go_on_where_they_ended_and_miss_nothing() {
        let files = (0..230).map(|n| (format!("note_{n:03}.md"), format!("Ice on day {n}.")));
        let plan = plan(files);
        for (most, lists, searches) in [(MOST, 2, 5), (3_072, 5, 23)] {
            let (listed, pages_of) = pages(&plan, (LIST, "artifacts"), json!({}), most);
            assert_eq!(pages_of, lists);
            let names = listed.iter().map(|one| one["name"].as_str().unwrap());
            let all = plan.manifest.artifacts.keys().map(String::as_str);
            assert!(names.eq(all), "each once, in order");
            let (found, pages_of) = pages(&plan, (SEARCH, "found"), json!({"text": "ICE"}), most);
            assert_eq!(pages_of, searches);
            let names = found.iter().map(|one| one["artifact"].as_str().unwrap());
            assert!(names.eq(plan.manifest.artifacts.keys().map(String::as_str)));
        }
    }

    #[test]
    fn what_is_found_in_json_is_told_by_its_pointer_and_in_texts_by_its_offset() {
        let risks = r#"{"risks": [{"a/b": "calm"}, {"a/b": "The ferry meets \u0049ce."}], "ice days": 12, "on": true}"#;
        let files = [("risks_raw.json", risks), ("team.md", "Nobody knows ice.")];
        let plan = plan(files.map(|(name, text)| (name.to_owned(), text.to_owned())));
        let found = call(&plan, SEARCH, json!({"text": "ice"}), MOST);
        let found = found["found"].as_array().unwrap();
        let places: Vec<Value> = found
            .iter()
            .map(|one| json!([one["artifact"], one["pointer"], one["offset"]]))
            .collect();
        assert_eq!(
            places,
            [
                json!(["risks_raw.json", "/ice days", null]),
                json!(["risks_raw.json", "/risks/1/a~1b", null]),
                json!(["team.md", null, 13]),
            ]
        );
        let whole = plan.plan.json("risks_raw.json").unwrap();
        let text = whole.pointer("/risks/1/a~1b").unwrap().as_str().unwrap();
        assert!(text.contains("Ice"), "what a citation wants: {text}");
        let number = call(
            &plan,
            SEARCH,
            json!({"text": "12", "name": "risks_raw.json"}),
            MOST,
        );
        assert_eq!(number["found"][0]["pointer"], "/ice days");
    }

    #[test]
    fn a_text_is_read_to_its_end_in_pieces_as_large_as_the_window_allows() {
        let text = "Größe ".repeat(2_000);
        let plan = plan([("plan.txt".to_owned(), text.clone())]);
        for (most, times) in [(MOST, 1), (3_072, 6)] {
            let (mut read, mut offset, mut calls) = (String::new(), json!(0), 0);
            loop {
                let part = call(
                    &plan,
                    READ,
                    json!({"name": "plan.txt", "offset": offset}),
                    most,
                );
                read.push_str(part["text"].as_str().unwrap());
                calls += 1;
                match part.get("nextOffset") {
                    Some(next) => offset = next.clone(),
                    None => break,
                }
            }
            assert_eq!((read.as_str(), calls), (text.as_str(), times));
        }
    }
}
