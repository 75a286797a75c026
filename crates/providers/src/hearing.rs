//! What an agent says over a stream, line by line: progress, merge patches, usage, and one result.

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::{self, shortened};
use crate::failure::Failure;
use crate::frames::Frame;
use crate::http_agent::{Answer, Heard};
use crate::usage::{self, TOKENS_USED};

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    /// All patches applied; nothing before the first.
    merged: Option<Value>,
    /// There are patches that were not told yet.
    untold: bool,
    usage: Usage,
    result: Option<Answer>,
    /// The first type of line that means nothing here.
    unknown: Option<String>,
    frames: u64,
}

/// A line, or an event without a name.
#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
    #[serde(rename = "tokensUsed")]
    tokens_used: Option<Value>,
    status: Option<Value>,
    reason: Option<Value>,
}

impl Hearing {
    /// Whether the result is there.
    pub(crate) fn has_result(&self) -> bool {
        self.result.is_some()
    }

    /// Whether there are patches that were not told yet.
    pub(crate) fn untold(&self) -> bool {
        self.untold
    }

    /// What the agent said that it used.
    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Tells what was merged, if it was not told yet.
    pub(crate) fn tell(&mut self, hear: &mut impl FnMut(Heard)) {
        if std::mem::take(&mut self.untold)
            && let Some(merged) = &self.merged
        {
            hear(Heard::Partial(merged.clone()));
        }
    }

    /// Takes one line or event.
    pub(crate) fn take(
        &mut self,
        frame: Frame<'_>,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), Failure> {
        self.frames += 1;
        // The farewell that streams of language models end with: their libraries write it for any stream.
        if frame.name.is_none() && frame.text == b"[DONE]" {
            return Ok(());
        }
        let said = match frame.name {
            None | Some("message") => self.parsed(frame.text)?,
            Some(kind @ ("progress" | "partial" | "usage" | "result")) => Said {
                kind: kind.to_owned(),
                data: self.parsed(frame.text)?,
                tokens_used: None,
                status: None,
                reason: None,
            },
            Some(other) => {
                self.unknown.get_or_insert_with(|| shortened(other));
                return Ok(());
            }
        };
        self.said(said, hear)
    }

    /// The stream has ended: `rest` is the line that it ended in.
    pub(crate) fn ended(
        &mut self,
        rest: Option<Frame<'_>>,
        hear: &mut impl FnMut(Heard),
    ) -> Result<(), Failure> {
        let Some(frame) = rest else {
            return Ok(());
        };
        self.take(frame, hear)
            .map_err(|failure| match failure.class {
                // What is cut off is no lie.
                ErrorClass::InvalidOutput if !self.has_result() => Failure {
                    class: ErrorClass::Transient,
                    message: format!("the stream ended within a line: {}", failure.message),
                    ..failure
                },
                _ => failure,
            })
    }

    /// The result, once nothing more comes.
    pub(crate) fn answer(self) -> Result<Answer, Failure> {
        if let Some(mut answer) = self.result {
            answer.usage.merge(&self.usage);
            return Ok(answer);
        }
        let unknown = match self.unknown {
            Some(kind) => format!("; it has lines of the unknown type `{kind}`"),
            None => String::new(),
        };
        let message = format!(
            "the stream ended after {} lines without a result{unknown}",
            self.frames
        );
        Err(Failure::transient(message))
    }

    fn parsed<'a, T: Deserialize<'a>>(&self, text: &'a [u8]) -> Result<T, Failure> {
        serde_json::from_slice(text).map_err(|error| {
            Failure::invalid(format!(
                "line {} of the stream cannot be read: {error}",
                self.frames
            ))
        })
    }

    fn said(&mut self, said: Said, hear: &mut impl FnMut(Heard)) -> Result<(), Failure> {
        match said.kind.as_str() {
            "usage" => self.note_usage(&said, hear),
            "progress" | "partial" | "result" if self.has_result() => {
                let message = format!("the agent said `{}` after its result", said.kind);
                return Err(Failure::invalid(message));
            }
            "progress" => hear(Heard::Progress(said.data)),
            "partial" => self.patch(said.data)?,
            "result" => {
                let answer = result(said)?;
                self.usage.merge(&answer.usage);
                self.result = Some(answer);
            }
            other => {
                self.unknown.get_or_insert_with(|| shortened(other));
            }
        }
        Ok(())
    }

    /// Totals so far: of two numbers the higher stands, so that a line that comes twice counts once.
    fn note_usage(&mut self, said: &Said, hear: &mut impl FnMut(Heard)) {
        let mut members = said.data.as_object().cloned().unwrap_or_default();
        if let Some(tokens) = &said.tokens_used {
            members.entry(TOKENS_USED).or_insert_with(|| tokens.clone());
        }
        let told = usage::of(&members);
        if !told.is_empty() {
            self.usage.merge(&told);
            hear(Heard::Usage(self.usage.clone()));
        }
    }

    fn patch(&mut self, patch: Value) -> Result<(), Failure> {
        if !patch.is_object() {
            let message = format!(
                "line {} of the stream is no JSON merge patch of an object",
                self.frames
            );
            return Err(Failure::invalid(message));
        }
        let merged = self.merged.get_or_insert_with(|| Value::Object(Map::new()));
        merge(merged, patch);
        self.untold = true;
        Ok(())
    }
}

/// What stands beside a result's data counts as if it stood in it; where both say something, the data does.
fn result(said: Said) -> Result<Answer, Failure> {
    let mut answer = answer::of_value(said.data)?;
    let beside = said.tokens_used.as_ref().and_then(answer::count);
    answer.usage.total = answer.usage.total.or(beside);
    if answer.partial.is_none() {
        let mut beside = Map::new();
        beside.extend(said.status.map(|status| ("status".to_owned(), status)));
        beside.extend(said.reason.map(|reason| ("reason".to_owned(), reason)));
        answer.partial = answer::taken_reason(&mut beside);
    }
    Ok(answer)
}

/// Applies a JSON merge patch (RFC 7396).
pub(crate) fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else {
        return;
    };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn a_farewell_is_no_line() {
        let mut hearing = Hearing::default();
        for text in [&br#"{"type": "result", "data": {"a": 1}}"#[..], b"[DONE]"] {
            let frame = Frame { name: None, text };
            hearing.take(frame, &mut |_| {}).unwrap();
        }
        assert_eq!(hearing.answer().unwrap().data, json!({"a": 1}));
    }

    #[test]
    fn merge_patches_do_what_the_rfc_lists() {
        // RFC 7396, appendix A.
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a": "b"}), json!(["c"]), json!(["c"])),
            (json!({"a": "foo"}), Value::Null, Value::Null),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!([1, 2]),
                json!({"a": "b", "c": null}),
                json!({"a": "b"}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let mut found = target.clone();
            merge(&mut found, patch.clone());
            assert_eq!(found, merged, "{target} with {patch}");
        }
    }
}
