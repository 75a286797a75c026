//! Where in a JSON text a reader stopped, in words: `planArtifact.createdAt`, `enrichmentRequest.agents[2]`.

/// Keys longer than this are cut: they are what somebody sent.
const KEY_MAX: usize = 80;

/// What is open at a place of the text: the member of an object, or the item of a list.
enum Open {
    Member(String),
    Item(usize),
}

/// The value at which a reader of `text` stopped, at `line` and `column` as `serde_json` counts them (from 1; columns are bytes).
/// Empty at the top.
pub fn place(text: &[u8], line: usize, column: usize) -> String {
    let mut open = Vec::new();
    let rest = &text[..end(text, line, column)];
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => {
                let text = quoted(&rest[at + 1..]);
                at += text.len() + 1;
                // A text where a key may stand is one; else it is a value.
                if let Some(Open::Member(key)) = open.last_mut()
                    && key.is_empty()
                {
                    *key = String::from_utf8_lossy(text)
                        .chars()
                        .take(KEY_MAX)
                        .collect();
                }
            }
            b'{' => open.push(Open::Member(String::new())),
            // Who stopped at the bracket itself wanted no list: its items were not looked at.
            b'[' if at + 1 < rest.len() => open.push(Open::Item(0)),
            b'}' | b']' => drop(open.pop()),
            b',' => match open.last_mut() {
                Some(Open::Member(key)) => key.clear(),
                Some(Open::Item(number)) => *number += 1,
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    written(&open)
}

/// Bytes up to a line and column.
fn end(text: &[u8], line: usize, column: usize) -> usize {
    let newlines = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let begins = |line: usize| match line.checked_sub(2) {
        None => Some(0),
        Some(before) => newlines.clone().nth(before).map(|(at, _)| at + 1),
    };
    let begin = begins(line).unwrap_or(text.len());
    begin.saturating_add(column).min(text.len())
}

/// What stands before the quotation mark that ends a text; all, where none does.
fn quoted(text: &[u8]) -> &[u8] {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    &text[..end.unwrap_or(text.len())]
}

fn written(open: &[Open]) -> String {
    let mut place = String::new();
    for level in open {
        match level {
            Open::Member(key) if key.is_empty() => {}
            Open::Member(key) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(key);
            }
            Open::Item(number) => place.push_str(&format!("[{number}]")),
        }
    }
    place
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::from_str;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Wish {
        count: Option<u32>,
        names: Option<Vec<String>>,
        inner: Option<BTreeMap<String, Box<Wish>>>,
        cost: Option<domain::values::credits::Credits>,
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_by_its_place() {
        for (text, expected) in [
            (r#"{"count": -1}"#, "count"),
            (r#"{"count": "x", "names": []}"#, "count"),
            (r#"{"names": ["a", "b", 5]}"#, "names[2]"),
            (r#"{"names": ["a,[{\"", {"b": 1}]}"#, "names[1]"),
            (r#"{"inner": {"a b": {"count": 1.5}}}"#, "inner.a b.count"),
            (
                "{\"count\": 1,\n \"inner\":\n  {\"a\": {\"odd\": 5}}}",
                "inner.a.odd",
            ),
            (r#"{"count": 1, "odd": {}}"#, "odd"),
            (r#"{"cost": "x"}"#, "cost"),
            (
                r#"{"inner": {"a": {"cost": [1, 2]}}, "count": 1}"#,
                "inner.a.cost",
            ),
            // Of what is judged when all of it is read, the whole is named.
            (
                r#"{"inner": {"a": {"count": 1, "count": 2}}}"#,
                "inner.a.count",
            ),
            ("5", ""),
        ] {
            let error = from_str::<Wish>(text).unwrap_err();
            let place = place(text.as_bytes(), error.line(), error.column());
            assert_eq!(place, expected, "{error} in {text}");
        }
    }

    #[test]
    fn any_place_of_any_text_can_be_asked_for() {
        let text = "{\"a\": [\"\\\"\", {\"ü\n\": }]\n]]}";
        for line in 0..5 {
            for column in 0..20 {
                place(text.as_bytes(), line, column);
            }
        }
        assert_eq!(place(b"", 9, 9), "");
    }
}
