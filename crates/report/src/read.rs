//! Reading what agents said: every answer may be absent or of another shape, and none of that may break a page.

use serde_json::Value;

/// The value at a JSON pointer, unless it is `null`.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    value.pointer(pointer).filter(|found| !found.is_null())
}

/// The text at a pointer, unless it is blank.
pub fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    at(value, pointer)?
        .as_str()
        .filter(|text| !text.trim().is_empty())
}

/// The finite number at a pointer.
pub fn number(value: &Value, pointer: &str) -> Option<f64> {
    at(value, pointer)?
        .as_f64()
        .filter(|number| number.is_finite())
}

/// The whole, non-negative number at a pointer.
pub fn count(value: &Value, pointer: &str) -> Option<u64> {
    at(value, pointer)?.as_u64()
}

/// The list at a pointer; empty when there is none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The texts of the list at a pointer; what is no text is left out.
pub fn texts<'a>(value: &'a Value, pointer: &str) -> Vec<&'a str> {
    list(value, pointer)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// Whether the flag at a pointer is set.
pub fn flag(value: &Value, pointer: &str) -> bool {
    at(value, pointer).and_then(Value::as_bool).unwrap_or(false)
}

/// A scalar in one line: texts as they are, numbers in short form, yes and no.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("–".to_owned()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(decimal)) => crate::format::number(decimal, 4),
            (None, None) => number.to_string(),
        }),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// A scalar, or a list of scalars joined by commas.
pub fn line(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => Some(
            items
                .iter()
                .map(scalar)
                .collect::<Option<Vec<_>>>()?
                .join(", "),
        ),
        other => scalar(other),
    }
}
