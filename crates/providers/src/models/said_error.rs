//! Errors that providers tell in an answer's body or in the midst of a stream, under a status that promised well.

use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use serde_json::Value;

use crate::failure::Failure;

/// The longest piece of a provider's own words that a message repeats, in characters.
const SAID_MAX: usize = 300;

/// Words in an error's type or code by which waiting helps, asking again may help, and neither does.
const LIMITED: [&str; 2] = ["rate_limit", "too_many"];
const FATAL: [&str; 10] = [
    "insufficient_quota",
    "invalid_request",
    "invalid_api_key",
    "authentication",
    "permission",
    "not_found",
    "billing",
    "context_length",
    "content_policy",
    "unsupported",
];

/// The failure that an error means: `{message, type, code}` in any part, or a text.
pub(crate) fn failure(error: &Value) -> Failure {
    let message = match error {
        Value::String(text) => text.clone(),
        _ => text(error, "message").unwrap_or_else(|| "no reason given".to_owned()),
    };
    let words: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SAID_MAX)
        .collect();
    let mut failure = Failure::new(class(error), format!("the provider told an error: {words}"));
    let seconds = error.get("retry_after").and_then(Value::as_f64);
    let seconds = seconds.filter(|seconds| (0.0..1e9).contains(seconds));
    failure.retry_after = seconds.map(|seconds| Millis((seconds * 1_000.0) as u64));
    failure
}

/// The failure that an event or a body means which is no answer: as JSON, under `error` or by itself, or as a text.
pub(crate) fn of_text(text: &[u8]) -> Failure {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => failure(value.get("error").unwrap_or(&value)),
        Err(_) => failure(&Value::String(String::from_utf8_lossy(text).into_owned())),
    }
}

/// Whether an answer's body says that no money is left.
pub(crate) fn is_spent(body: &Value) -> bool {
    let error = body.get("error").unwrap_or(body);
    kinds(error).contains("insufficient_quota")
}

fn class(error: &Value) -> ErrorClass {
    let kinds = kinds(error);
    let has = |words: &[&str]| words.iter().any(|word| kinds.contains(word));
    if has(&FATAL) {
        return ErrorClass::Fatal;
    }
    if has(&LIMITED) {
        return ErrorClass::RateLimited;
    }
    let code = error.get("code").or_else(|| error.get("status"));
    let status = code.and_then(|code| match code {
        Value::String(text) => text.parse().ok(),
        code => code.as_u64(),
    });
    match status {
        Some(429) => ErrorClass::RateLimited,
        Some(408 | 409 | 425) => ErrorClass::Transient,
        Some(400..=499) => ErrorClass::Fatal,
        _ => ErrorClass::Transient,
    }
}

/// Type and code, as far as they are words.
fn kinds(error: &Value) -> String {
    let words = ["type", "code"].map(|name| text(error, name).unwrap_or_default());
    words.join(" ")
}

fn text(error: &Value, name: &str) -> Option<String> {
    error.get(name)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_have_their_class_however_they_are_told() {
        for (error, class) in [
            (
                json!({"message": "x", "code": 429}),
                ErrorClass::RateLimited,
            ),
            (json!({"type": "rate_limit_error"}), ErrorClass::RateLimited),
            (json!({"type": "overloaded_error"}), ErrorClass::Transient),
            (json!({"code": "502"}), ErrorClass::Transient),
            (json!({"code": 402}), ErrorClass::Fatal),
            (
                json!({"code": "insufficient_quota", "status": 429}),
                ErrorClass::Fatal,
            ),
            (json!({"type": "invalid_request_error"}), ErrorClass::Fatal),
            (
                json!({"code": "context_length_exceeded"}),
                ErrorClass::Fatal,
            ),
            (json!("boom"), ErrorClass::Transient),
            (json!({"code": null}), ErrorClass::Transient),
        ] {
            assert_eq!(failure(&error).class, class, "{error}");
        }
        assert!(failure(&json!("bo\nom")).message.ends_with("bo om"));
        assert!(
            failure(&json!({"message": "m".repeat(9_999)}))
                .message
                .len()
                < 400
        );
    }
}
