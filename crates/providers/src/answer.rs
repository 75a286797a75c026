//! What an agent's words mean: the result's members that are about the answer itself are taken out of its data.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::http_agent::Answer;
use crate::usage;

/// Said where an agent calls its answer partial and does not say why.
const NO_REASON: &str = "the agent says so, without a reason";

/// A whole JSON body as an answer.
pub(crate) fn of_json(body: &[u8], content_type: Option<&str>) -> Result<Answer, Failure> {
    match serde_json::from_slice(body) {
        Ok(value) => of_value(value),
        Err(_) if body.is_empty() => Err(Failure::invalid("the agent answered with nothing")),
        Err(error) => {
            let declared = content_type.unwrap_or("no content type");
            let message = format!(
                "the agent's answer ({}) is not JSON: {error}",
                shortened(declared)
            );
            Err(Failure::invalid(message))
        }
    }
}

/// A result as an answer. It must be an object: an enrichment has named members.
pub(crate) fn of_value(value: Value) -> Result<Answer, Failure> {
    let Value::Object(mut data) = value else {
        return Err(Failure::invalid("the agent's result is not a JSON object"));
    };
    let usage = usage::taken(&mut data);
    let partial = taken_reason(&mut data);
    Ok(Answer {
        data: Value::Object(data),
        usage,
        partial,
    })
}

/// Takes `status` and `reason` out where the agent calls its answer partial. Any other `status` is data.
pub(crate) fn taken_reason(data: &mut Map<String, Value>) -> Option<String> {
    if data.get("status").and_then(Value::as_str) != Some("partial") {
        return None;
    }
    data.remove("status");
    match data.remove("reason") {
        Some(Value::String(reason)) => Some(reason),
        _ => Some(NO_REASON.to_owned()),
    }
}

/// A number of things, however JSON writes it: `2100` and `2100.0` are the same.
pub(crate) fn count(value: &Value) -> Option<u64> {
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(whole).map(|number| number as u64))
}

/// At most 80 characters, none of them a control.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_about_the_answer_is_taken_out_of_its_data() {
        let answer = of_value(json!({"findings": [1], "tokensUsed": 2100})).unwrap();
        assert_eq!(answer.data, json!({"findings": [1]}));
        assert_eq!((answer.usage.tokens(), answer.partial), (Some(2100), None));
        let answer =
            of_value(json!({"status": "partial", "reason": "no time", "a": 1, "tokensUsed": 5.0}))
                .unwrap();
        assert_eq!(answer.data, json!({"a": 1}));
        assert_eq!(
            (answer.usage.tokens(), answer.partial.as_deref()),
            (Some(5), Some("no time"))
        );
        let answer = of_value(json!({"status": "partial"})).unwrap();
        assert_eq!(answer.partial.as_deref(), Some(NO_REASON));
    }

    #[test]
    fn what_only_looks_alike_stays_data() {
        for data in [
            json!({"status": "completed", "reason": "x"}),
            json!({"status": {"partial": true}}),
            json!({"tokensUsed": "many"}),
            json!({"tokensUsed": -1}),
            json!({"tokensUsed": 1.5}),
            json!({"tokensUsed": 1e300}),
        ] {
            let answer = of_value(data.clone()).unwrap();
            assert_eq!(
                (answer.data, answer.usage.tokens(), answer.partial),
                (data, None, None)
            );
        }
    }
}
