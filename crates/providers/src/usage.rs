//! What an agent says that it used: `tokensUsed` alone, or by kind and by tool.

use domain::money::usage::Usage;
use serde_json::{Map, Value};

use crate::answer::count;

/// The member that says how many tokens were used.
pub(crate) const TOKENS_USED: &str = "tokensUsed";

/// The member of a result that says it by kind.
const USAGE: &str = "usage";

/// Tools of one attempt that are counted: who has more has lost count.
const TOOLS_MAX: usize = 64;

/// Longest name of a tool.
const NAME_MAX: usize = 128;

/// What `members` say was used: of what has another form nothing is heard. As model providers count, the tokens of input include
/// those from a cache, and the tokens of output those of reasoning.
pub(crate) fn of(members: &Map<String, Value>) -> Usage {
    let told = |name: &str| members.get(name).and_then(count);
    let of_kind = |name: &str| told(name).unwrap_or(0);
    let (cached_input, reasoning) = (of_kind("cachedInputTokens"), of_kind("reasoningTokens"));
    let tools = members.get("tools").and_then(Value::as_object);
    let calls = tools.into_iter().flatten().filter_map(|(name, calls)| {
        let fits = name.len() <= NAME_MAX && !name.contains('\0');
        fits.then_some((name.clone(), count(calls)?))
    });
    Usage {
        total: told(TOKENS_USED),
        input: of_kind("inputTokens").saturating_sub(cached_input),
        cached_input,
        output: of_kind("outputTokens").saturating_sub(reasoning),
        reasoning,
        tools: calls.take(TOOLS_MAX).collect(),
        ..Usage::default()
    }
}

/// Takes out of a result what it says of its usage: `tokensUsed`, and `usage` where that says nothing else.
pub(crate) fn taken(data: &mut Map<String, Value>) -> Usage {
    let mut usage = Usage {
        total: data.get(TOKENS_USED).and_then(count),
        ..Usage::default()
    };
    if usage.total.is_some() {
        data.remove(TOKENS_USED);
    }
    let told = data.get(USAGE).and_then(Value::as_object);
    if let Some(told) = told.filter(|told| is_usage(told)) {
        usage.merge(&of(told));
        data.remove(USAGE);
    }
    usage
}

/// Whether these members say what was used, and nothing else: a result may have a `usage` that is part of its data.
fn is_usage(members: &Map<String, Value>) -> bool {
    let known = |(name, value): (&String, &Value)| match name.as_str() {
        TOKENS_USED | "inputTokens" | "cachedInputTokens" | "outputTokens" | "reasoningTokens" => {
            count(value).is_some()
        }
        "tools" => value
            .as_object()
            .is_some_and(|tools| tools.values().all(|calls| count(calls).is_some())),
        _ => false,
    };
    !members.is_empty() && members.iter().all(known)
}

/// What an answer that is an error says of usage, if it is JSON: work that failed was work.
pub(crate) fn of_error(said: &[u8]) -> Usage {
    match serde_json::from_slice(said) {
        Ok(Value::Object(mut members)) => taken(&mut members),
        _ => Usage::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn usage_is_taken_out_by_kind_and_by_tool() {
        let mut data = json!({"findings": [], "tokensUsed": 100, "usage": {
            "inputTokens": 60, "cachedInputTokens": 10, "outputTokens": 25.0, "reasoningTokens": 5, "tools": {"search": 3}}});
        let usage = taken(data.as_object_mut().unwrap());
        assert_eq!(data, json!({"findings": []}));
        let kinds = (
            usage.input,
            usage.cached_input,
            usage.output,
            usage.reasoning,
        );
        assert_eq!((usage.total, kinds), (Some(100), (50, 10, 20, 5)));
        assert_eq!(usage.tools["search"], 3);
    }

    #[test]
    fn a_usage_that_says_something_else_is_data() {
        for data in [
            json!({"usage": "heavy"}),
            json!({"usage": {}}),
            json!({"usage": {"inputTokens": 1, "by": "ann"}}),
            json!({"usage": {"inputTokens": -1}}),
            json!({"usage": {"tools": {"search": "often"}}}),
        ] {
            let mut left = data.clone();
            assert!(taken(left.as_object_mut().unwrap()).is_empty(), "{data}");
            assert_eq!(left, data);
        }
    }

    #[test]
    fn an_error_tells_what_it_used() {
        assert_eq!(
            of_error(br#"{"error":"no","tokensUsed":7}"#).tokens(),
            Some(7)
        );
        assert!(of_error(b"<html>").is_empty());
        assert!(of_error(b"[7]").is_empty());
    }
}
