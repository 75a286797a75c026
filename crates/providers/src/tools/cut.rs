//! Results that are too long to be shown at once: their beginning, and a way to read on.

use domain::agent::asking::ToolSpec;
use serde_json::{Value, json};

use crate::tools::{Outcome, READ_ON};

/// The most bytes that are kept for one attempt; what was kept first goes first.
const KEPT_MAX: usize = 16 * 1024 * 1024;

/// What was cut, whole.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// By the ids of the calls that gave them: those mean the same after a crash, where nothing is kept any more.
    texts: Vec<(String, String)>,
}

/// The tool to read on with.
pub(crate) fn spec() -> ToolSpec {
    ToolSpec {
        name: READ_ON.to_owned(),
        description:
            "Reads on in a tool's result that was cut: give the result's id and nextOffset."
                .to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {"id": {"type": "string"}, "offset": {"type": "integer", "minimum": 0}},
            "required": ["id", "offset"],
        }),
        read_only: true,
    }
}

impl Kept {
    /// The result of a call as it is shown: whole where it fits, else its beginning and where it goes on.
    pub(crate) fn shown(&mut self, call: &str, output: Value, max: usize) -> Value {
        // A call of an answer that broke off has the id of one in the next.
        self.texts.retain(|(known, _)| known != call);
        let text = match output {
            Value::String(text) if text.len() <= max => return Value::String(text),
            Value::String(text) => text,
            other => {
                let text = other.to_string();
                if text.len() <= max {
                    return other;
                }
                text
            }
        };
        let shown = part(call, &text, 0, max);
        self.texts.push((call.to_owned(), text));
        let held =
            |texts: &[(String, String)]| texts.iter().map(|(_, text)| text.len()).sum::<usize>();
        while self.texts.len() > 1 && held(&self.texts) > KEPT_MAX {
            self.texts.remove(0);
        }
        shown
    }

    /// More of what was cut.
    pub(crate) fn read_on(&self, input: &Value, max: usize) -> Outcome {
        let id = input.get("id").and_then(Value::as_str).unwrap_or_default();
        let offset = input.get("offset").and_then(Value::as_u64);
        let offset = usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX);
        match self.texts.iter().find(|(known, _)| known == id) {
            Some((id, text)) => Outcome::good(part(id, text, offset, max)),
            None => Outcome::bad(format!("no result `{id}` is kept: call its tool again")),
        }
    }
}

fn part(id: &str, text: &str, offset: usize, max: usize) -> Value {
    let from = text.floor_char_boundary(offset.min(text.len()));
    let to = text.floor_char_boundary(from.saturating_add(max).min(text.len()));
    let mut part = json!({"id": id, "offset": from, "of": text.len(), "text": &text[from..to]});
    if to < text.len() {
        part["nextOffset"] = to.into();
        part["note"] = format!("This is not all: read on with {READ_ON}.").into();
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_result_is_read_to_its_end_and_no_character_is_cut() {
        let mut kept = Kept::default();
        assert_eq!(kept.shown("call-1-1", json!({"a": 1}), 16), json!({"a": 1}));
        let long = "é".repeat(100);
        let mut shown = kept.shown("call-1-2", json!(long), 33);
        let mut read = String::new();
        loop {
            read.push_str(shown["text"].as_str().unwrap_or_default());
            let Some(offset) = shown["nextOffset"].as_u64() else {
                break;
            };
            shown = kept
                .read_on(&json!({"id": shown["id"], "offset": offset}), 33)
                .output;
        }
        assert_eq!(read, long);
        assert!(
            kept.read_on(&json!({"id": "call-1-1", "offset": 0}), 33)
                .failed
        );
        let beyond = kept.read_on(&json!({"id": "call-1-2", "offset": 9_999}), 33);
        assert_eq!((beyond.failed, &beyond.output["text"]), (false, &json!("")));
    }

    #[test]
    fn what_is_read_on_is_what_the_named_call_gave_last() {
        let read = |kept: &Kept, id: &str| kept.read_on(&json!({"id": id, "offset": 4}), 9);
        let mut kept = Kept::default();
        let shown = kept.shown("call-3-1", json!("the first call's result"), 4);
        assert_eq!(shown["id"], "call-3-1", "as the model knows its call");
        kept.shown("call-3-2", json!("and the second's"), 4);
        assert_eq!(read(&kept, "call-3-1").output["text"], "first cal");
        kept.shown("call-3-1", json!("now another answer's"), 4);
        assert_eq!(read(&kept, "call-3-1").output["text"], "another a");
        kept.shown("call-3-1", json!("ok"), 4);
        assert!(read(&kept, "call-3-1").failed, "that one was shown whole");

        let mut after_a_crash = Kept::default();
        after_a_crash.shown("call-4-1", json!("what another call gives"), 4);
        assert!(
            read(&after_a_crash, "call-3-2").failed,
            "never another's text"
        );
    }
}
