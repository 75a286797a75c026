//! A call's text read as JSON: what can be read is a call, the rest is told to the model.

use serde_json::{Map, Value};

use crate::agent::asking::Piece;
use crate::agent::stream::CALL_MAX;

/// Longest text of a call that is shown to the model again, in bytes.
const TOLD_MAX: usize = 2_000;

/// Holds the tool's name in a call in text form.
const NAME: &str = "cb_tool_name";

/// Marks the end of a call in text form for providers that stop at texts.
const END_MARK: &str = "cb_easp";

/// How often an input that is JSON within a JSON string is unwrapped.
const UNWRAPPED: usize = 3;

/// A call's text as it comes, up to the longest that is read.
#[derive(Debug, Default)]
pub(super) struct Body {
    text: String,
    /// Bytes that were too many.
    beyond: usize,
}

impl Body {
    pub(super) fn push(&mut self, text: &str) {
        let mut kept = match self.beyond {
            0 => text.len().min(CALL_MAX - self.text.len()),
            _ => 0,
        };
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
        self.text.push_str(&text[..kept]);
        self.beyond += text.len() - kept;
    }

    /// Bytes that came.
    pub(super) fn length(&self) -> usize {
        self.text.len() + self.beyond
    }

    /// Whether all of it was kept.
    pub(super) fn is_whole(&self) -> bool {
        self.beyond == 0
    }

    /// Whether it is JSON.
    pub(super) fn is_json(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(self.text.trim()).is_ok()
    }

    /// Takes so many bytes off the end.
    pub(super) fn shorten(&mut self, by: usize) {
        if self.beyond == 0 {
            self.text.truncate(self.text.len().saturating_sub(by));
        }
    }

    /// Takes off what stands behind `at`.
    pub(super) fn split_off(&mut self, at: usize) -> String {
        self.text.split_off(at)
    }

    /// The text, or how much of it would be too much.
    fn read(&self) -> Result<&str, String> {
        if self.beyond == 0 {
            return Ok(self.text.trim());
        }
        Err(format!(
            "the call is longer than the {CALL_MAX} bytes that are read"
        ))
    }
}

/// A call in text form. `whole`: its end tag came.
pub(super) fn tagged(id: String, body: Body, whole: bool) -> Piece {
    let bad = |why: String| bad(id.clone(), name_in(&body.text), &body.text, why);
    if !whole {
        return bad("the answer ended before the call did".to_owned());
    }
    let text = match body.read() {
        Ok(text) => text,
        Err(why) => return bad(why),
    };
    let mut members = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return bad(format!("a call is a JSON object with `{NAME}`")),
        Err(error) => return bad(format!("invalid JSON: {error}")),
    };
    match members.remove(NAME) {
        Some(Value::String(name)) => {
            members.remove(END_MARK);
            let input = Value::Object(members);
            Piece::Call { id, name, input }
        }
        Some(_) => bad(format!("`{NAME}` must be a text")),
        None => bad(format!("`{NAME}` is missing: it says which tool is called")),
    }
}

/// A native call. `told`: the provider said that it is whole.
pub(super) fn native(id: String, name: Option<String>, body: &Body, told: bool) -> Piece {
    let Some(name) = name else {
        let why = "the provider did not say which tool is called".to_owned();
        return bad(id, None, &body.text, why);
    };
    match body.read().and_then(|text| input(text, told)) {
        Ok(input) => Piece::Call { id, name, input },
        Err(why) => bad(id, Some(name), &body.text, why),
    }
}

/// A native call's input. Nothing is an empty object; models that wrap the object into a text are understood.
fn input(text: &str, told: bool) -> Result<Value, String> {
    if text.is_empty() && told {
        return Ok(Value::Object(Map::new()));
    }
    let mut read = serde_json::from_str::<Value>(text).map_err(|error| match told {
        true => format!("invalid JSON: {error}"),
        false => "the answer ended before the call did".to_owned(),
    })?;
    for _ in 0..UNWRAPPED {
        let Value::String(inner) = &read else { break };
        match serde_json::from_str(inner) {
            Ok(value) => read = value,
            Err(_) => break,
        }
    }
    match read {
        Value::Object(_) => Ok(read),
        Value::Null => Ok(Value::Object(Map::new())),
        _ => Err("the input of a tool is a JSON object".to_owned()),
    }
}

fn bad(id: String, name: Option<String>, text: &str, why: String) -> Piece {
    let mut end = text.len().min(TOLD_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text[..end].to_owned();
    Piece::BadCall {
        id,
        name,
        text,
        why,
    }
}

/// The tool's name in a text that is no JSON, where it can be made out.
fn name_in(text: &str) -> Option<String> {
    let (_, behind) = text.split_once(&format!("\"{NAME}\""))?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start();
    let (name, _) = value.strip_prefix('"')?.split_once('"')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-/".contains(c);
    (name.len() <= 64 && name.chars().all(plain)).then(|| name.to_owned())
}
