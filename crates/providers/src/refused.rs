//! What an answer that is no success means: whether to try again, and when.

use domain::agent::retry::ErrorClass;
use domain::values::time::{Millis, Timestamp};
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use crate::failure::Failure;
use crate::target::Target;
use crate::usage;

/// The longest piece of the agent's own words that a message repeats, in characters.
const SAID_MAX: usize = 200;

/// The failure that a status means. `said` is the beginning of the body; without `now` a date is held against the peer's own.
///
/// - 429, and 503 with `Retry-After`: the peer asked to wait.
/// - 408, 425 and other 5xx may pass by themselves. So may 409: the attempt before, under the same idempotency key, is still at work.
/// - Other 4xx, 422 among them (the same key with another body, or content that it cannot use): asking again brings the same.
pub(crate) fn failure(
    target: &Target,
    status: StatusCode,
    headers: &HeaderMap,
    said: &[u8],
    now: Option<Timestamp>,
) -> Failure {
    let retry_after = retry_after(headers, now);
    let class = match status.as_u16() {
        429 => ErrorClass::RateLimited,
        503 if retry_after.is_some() => ErrorClass::RateLimited,
        408 | 409 | 425 | 500..=599 => ErrorClass::Transient,
        _ => ErrorClass::Fatal,
    };
    let mut message = format!("{target} answered {status}");
    if let Some(words) = words(said) {
        message.push_str(&format!(": {words}"));
    }
    Failure {
        class,
        message,
        retry_after,
        usage: Box::new(usage::of_error(said)),
    }
}

/// How long `retry-after-ms` or `Retry-After` asks to wait: milliseconds; seconds, or a date. A date is held against the peer's own `Date` where it gives one,
/// so that its clock and ours need not agree.
fn retry_after(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Millis> {
    let precise = headers
        .get("retry-after-ms")
        .and_then(|value| value.to_str().ok());
    let precise = precise.and_then(|text| text.trim().parse::<f64>().ok());
    if let Some(precise) = precise.filter(|precise| *precise >= 0.0) {
        return Some(Millis(precise.ceil() as u64));
    }
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds: u64 = text.parse().unwrap_or(u64::MAX);
        return Some(Millis(seconds.saturating_mul(1_000)));
    }
    let until = date(text)?;
    let from = headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(date)
        .or(now)?;
    Some(until - from)
}

fn date(text: &str) -> Option<Timestamp> {
    let parsed = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp(parsed.as_microsecond()))
}

/// What the body says in the usual places, cut and on one line.
fn words(said: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(said).ok()?;
    let text = ["detail", "error", "message", "title"]
        .iter()
        .find_map(|key| match body.get(key)? {
            Value::String(text) => Some(text.as_str()),
            Value::Object(inner) => inner.get("message")?.as_str(),
            _ => None,
        })?;
    let words: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SAID_MAX)
        .collect();
    Some(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn asked(status: u16, headers: &[(&str, &str)]) -> (ErrorClass, Option<u64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(
                http::HeaderName::try_from(*name).unwrap(),
                value.parse().unwrap(),
            );
        }
        let target = Target::read("http://user:hush@agent.example/invoke?key=hush#hush").unwrap();
        // 2026-11-22T10:00:00Z
        let now = Timestamp(1_795_341_600_000_000);
        let failure = failure(
            &target,
            StatusCode::from_u16(status).unwrap(),
            &map,
            b"",
            Some(now),
        );
        assert!(!failure.message.contains("hush"), "{}", failure.message);
        assert!(
            failure.message.contains("`http://agent.example/invoke`"),
            "{}",
            failure.message
        );
        (failure.class, failure.retry_after.map(|wait| wait.0))
    }

    #[test]
    fn statuses_have_their_class() {
        for (status, class) in [
            (400, ErrorClass::Fatal),
            (401, ErrorClass::Fatal),
            (404, ErrorClass::Fatal),
            (408, ErrorClass::Transient),
            (409, ErrorClass::Transient),
            (422, ErrorClass::Fatal),
            (425, ErrorClass::Transient),
            (429, ErrorClass::RateLimited),
            (500, ErrorClass::Transient),
            (502, ErrorClass::Transient),
            (503, ErrorClass::Transient),
            (504, ErrorClass::Transient),
            (599, ErrorClass::Transient),
            (304, ErrorClass::Fatal),
        ] {
            assert_eq!(asked(status, &[]), (class, None), "{status}");
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_date() {
        let limited = |wait| (ErrorClass::RateLimited, Some(wait));
        assert_eq!(asked(429, &[("retry-after", "7")]), limited(7_000));
        assert_eq!(asked(503, &[("retry-after", "120")]), limited(120_000));
        assert_eq!(
            asked(409, &[("retry-after", "1")]),
            (ErrorClass::Transient, Some(1_000))
        );
        let later = "Sun, 22 Nov 2026 10:00:30 GMT";
        assert_eq!(asked(429, &[("retry-after", later)]), limited(30_000));
        let theirs = "Sun, 22 Nov 2026 10:00:25 GMT";
        assert_eq!(
            asked(429, &[("retry-after", later), ("date", theirs)]),
            limited(5_000)
        );
        let past = "Sun, 22 Nov 2026 09:00:00 GMT";
        assert_eq!(asked(429, &[("retry-after", past)]), limited(0));
        let precise = [("retry-after-ms", "1500.5"), ("retry-after", "7")];
        assert_eq!(asked(429, &precise), limited(1_501));
        let endless = "99999999999999999999999999";
        assert_eq!(asked(429, &[("retry-after", endless)]).1, Some(u64::MAX));
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(
                asked(503, &[("retry-after", nonsense)]),
                (ErrorClass::Transient, None),
                "{nonsense}"
            );
        }
    }

    #[test]
    fn the_agents_own_words_are_repeated_short_and_on_one_line() {
        assert_eq!(words(br#"{"detail":"no\nroom"}"#).unwrap(), "no room");
        assert_eq!(words(br#"{"error":{"message":"busy"}}"#).unwrap(), "busy");
        assert_eq!(
            words(format!(r#"{{"error":"{}"}}"#, "x".repeat(999)).as_bytes())
                .unwrap()
                .len(),
            SAID_MAX
        );
        for nothing in ["", "<html>", "[]", r#"{"error":7}"#, "\u{0}"] {
            assert_eq!(words(nothing.as_bytes()), None);
        }
    }
}
