//! Deltas of a text that follow upon one another are one delta.

use engine::live::Delta;
use serde_json::Value;

/// The longest text that pieces are put together to, in bytes. As JSON each may take six.
const JOINED_MAX: usize = 2 << 10;

/// What `first` and `next` say together, where they are text of one turn with nothing missing between, and short enough.
pub(crate) fn joined(first: &Delta, next: &Delta) -> Option<Delta> {
    if (&first.step, first.attempt, first.kind) != (&next.step, next.attempt, next.kind)
        || first.data["turn"] != next.data["turn"]
    {
        return None;
    }
    let kind = ["text", "reasoning"]
        .into_iter()
        .find(|kind| first.data.get(kind).is_some() && next.data.get(kind).is_some())?;
    let (text, more) = (first.data[kind].as_str()?, next.data[kind].as_str()?);
    let follows = first.data["at"].as_u64()? + text.len() as u64 == next.data["at"].as_u64()?;
    if !follows || text.len() + more.len() > JOINED_MAX {
        return None;
    }
    let mut both = first.clone();
    both.data[kind] = Value::from(format!("{text}{more}"));
    Some(both)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use domain::values::ids::StepId;
    use engine::live::DeltaKind;
    use serde_json::json;

    use super::*;

    fn delta(data: Value) -> Delta {
        Delta {
            step: StepId::new("a").unwrap(),
            attempt: 1,
            kind: DeltaKind::Progress,
            data,
        }
    }

    #[test]
    fn text_that_follows_is_put_together_and_keeps_its_place() {
        let first = delta(json!({"turn": 1, "at": 7, "text": "Grö"}));
        let next = delta(json!({"turn": 1, "at": 11, "text": "ße"}));
        let both = delta(json!({"turn": 1, "at": 7, "text": "Größe"}));
        assert_eq!(joined(&first, &next), Some(both));
    }

    #[test]
    fn what_does_not_follow_or_is_no_text_stays_apart() {
        let first = delta(json!({"turn": 1, "at": 0, "text": "abc"}));
        for next in [
            json!({"turn": 1, "at": 4, "text": "a hole before it"}),
            json!({"turn": 2, "at": 3, "text": "another turn"}),
            json!({"turn": 1, "at": 3, "reasoning": "another kind"}),
            json!({"turn": 1, "superseded": true}),
            json!({"turn": 1, "at": 3, "text": "x".repeat(JOINED_MAX)}),
            json!("what an agent outside says"),
        ] {
            assert_eq!(joined(&first, &delta(next.clone())), None, "{next}");
        }
        let mut other = delta(json!({"turn": 1, "at": 3, "text": "another attempt"}));
        other.attempt = 2;
        assert_eq!(joined(&first, &other), None);
    }
}
