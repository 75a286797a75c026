//! Text that a script says as if it were the model: plain text, and calls in text form between it.

use serde_json::Value;

/// A call stands between these, each with a line break on its inner side. Since JSON has none within its strings, a text in
/// the call cannot end it.
const BEGINS: &str = "<codebuff_tool_call>\n";
const ENDS: &str = "\n</codebuff_tool_call>";

/// A part of such a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segment {
    /// Plain text, trimmed.
    Text(String),
    /// A call.
    Call { name: String, input: Value },
    /// A call that cannot be read.
    Bad { text: String, why: String },
}

/// The parts in the order said.
pub(super) fn segments(text: &str) -> Vec<Segment> {
    let mut found = Vec::new();
    let say = |text: &str, found: &mut Vec<Segment>| {
        let text = text.trim();
        if !text.is_empty() {
            found.push(Segment::Text(text.to_owned()));
        }
    };
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGINS) {
        let Some((inner, behind)) = after.split_once(ENDS) else {
            break;
        };
        say(before, &mut found);
        found.push(call(inner.trim()));
        rest = behind;
    }
    say(rest, &mut found);
    found
}

fn call(text: &str) -> Segment {
    let bad = |why: String| Segment::Bad {
        text: text.chars().take(500).collect(),
        why,
    };
    let mut members = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return bad("it is no JSON object".to_owned()),
        Err(error) => return bad(format!("it is no JSON ({error})")),
    };
    members.remove("cb_easp");
    match members.remove("cb_tool_name") {
        Some(Value::String(name)) => Segment::Call {
            name,
            input: Value::Object(members),
        },
        _ => bad("it has no cb_tool_name".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_and_calls_alternate_in_the_order_said() {
        let text = "Before.\n<codebuff_tool_call>\n{\"cb_tool_name\": \"note\", \"text\": \"</codebuff_tool_call>\", \"cb_easp\": true}\n</codebuff_tool_call>\n After. ";
        let expected = [
            Segment::Text("Before.".to_owned()),
            Segment::Call {
                name: "note".to_owned(),
                input: json!({"text": "</codebuff_tool_call>"}),
            },
            Segment::Text("After.".to_owned()),
        ];
        assert_eq!(segments(text), expected);
    }

    #[test]
    fn what_cannot_be_read_is_said_to_be_so() {
        for inner in ["{", "[]", "{\"text\": 1}", ""] {
            let text = format!("<codebuff_tool_call>\n{inner}\n</codebuff_tool_call>");
            let found = segments(&text);
            assert!(
                matches!(found.as_slice(), [Segment::Bad { .. }]),
                "{inner}: {found:?}"
            );
        }
    }

    #[test]
    fn without_its_line_breaks_or_its_end_it_is_text() {
        for text in [
            "<codebuff_tool_call>{\"cb_tool_name\": \"x\"}</codebuff_tool_call>",
            "<codebuff_tool_call>\n{\"cb_tool_name\": \"x\"}",
        ] {
            assert_eq!(segments(text), [Segment::Text(text.to_owned())]);
        }
    }
}
