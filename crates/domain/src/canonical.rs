//! Canonical JSON (RFC 8785) and its hash, so that others can check what we call equal.

use serde::Serialize;
use serde_json::Value;

use crate::values::hash::ContentHash;

/// The largest integer that canonical JSON can tell from its neighbours: it writes all numbers as doubles.
pub const INTEGER_MAX: u64 = 1 << 53;

/// The value cannot be written as canonical JSON.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// A key that is not a string, or a number that JSON lacks.
    #[error("cannot write canonical JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// An integer that would become another one.
    #[error(
        "the integer {0} is too large to be hashed exactly (beyond 2^53): write it as a string"
    )]
    TooLarge(serde_json::Number),
}

/// `value` as canonical JSON text.
///
/// # Errors
/// When the value has a key that is not a string, a number that JSON lacks, or an integer beyond [`INTEGER_MAX`].
pub fn to_string(value: &impl Serialize) -> Result<String, CanonicalError> {
    text_of(&serde_json::to_value(value)?)
}

/// `value` as canonical JSON text, without the copy that [`to_string`] makes of it.
///
/// # Errors
/// As [`to_string`].
pub fn text_of(value: &Value) -> Result<String, CanonicalError> {
    refuse_inexact(value)?;
    // Most outputs are plain: there the ordinary text is the canonical one, and a third of the cost.
    Ok(if is_plain(value) {
        serde_json::to_string(value)?
    } else {
        serde_jcs::to_string(value)?
    })
}

/// Whether ordinary JSON text is canonical already. RFC 8785 differs from it in how fractions are written, and in the order
/// of keys beyond ASCII (by UTF-16 there, by code point in our maps).
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(members) => members
            .iter()
            .all(|(key, value)| key.is_ascii() && is_plain(value)),
        Value::Number(number) => !number.is_f64(),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Two integers that canonical JSON writes alike must not pass for one: equal hashes mean equal work.
fn refuse_inexact(value: &Value) -> Result<(), CanonicalError> {
    match value {
        Value::Array(items) => items.iter().try_for_each(refuse_inexact),
        Value::Object(members) => members.values().try_for_each(refuse_inexact),
        Value::Number(number) => {
            let magnitude = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            match magnitude {
                Some(magnitude) if magnitude > INTEGER_MAX => {
                    Err(CanonicalError::TooLarge(number.clone()))
                }
                _ => Ok(()),
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

/// SHA-256 over the canonical JSON of `value`.
///
/// # Errors
/// As [`to_string`].
pub fn hash(value: &impl Serialize) -> Result<ContentHash, CanonicalError> {
    Ok(ContentHash::of(to_string(value)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_text_whatever_the_order_of_their_keys() {
        let text = to_string(&json!({"b": [1, 2.50], "a": "\u{e9}"})).unwrap();
        assert_eq!(text, "{\"a\":\"\u{e9}\",\"b\":[1,2.5]}");
    }

    #[test]
    fn plain_values_are_written_as_the_standard_says_too() {
        let text = "\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}\u{2028}\u{e9}\u{1f600}";
        let value =
            json!({"z": [1, -7, true, null, {}], "a": {"B": text, "": [], "a": "", "\t": 0}});
        assert!(is_plain(&value));
        assert_eq!(
            text_of(&value).unwrap(),
            serde_jcs::to_string(&value).unwrap()
        );
        for other in [json!(1.5), json!({"\u{e9}": 1}), json!([[1e30]])] {
            assert!(!is_plain(&other));
            assert_eq!(
                text_of(&other).unwrap(),
                serde_jcs::to_string(&other).unwrap()
            );
        }
    }

    #[test]
    fn an_integer_that_would_pass_for_another_is_refused() {
        assert!(hash(&json!({"seed": INTEGER_MAX})).is_ok());
        for seed in [
            json!(INTEGER_MAX + 1),
            json!(-9_007_199_254_740_993_i64),
            json!(u64::MAX),
        ] {
            assert!(matches!(
                hash(&json!([{"seed": seed}])),
                Err(CanonicalError::TooLarge(_))
            ));
        }
    }
}
