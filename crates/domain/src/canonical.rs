//! Canonical JSON (RFC 8785) and its hash, so that others can check what we call equal.

use serde::Serialize;

use crate::values::hash::ContentHash;

/// The value cannot be written as canonical JSON.
#[derive(Debug, thiserror::Error)]
#[error("cannot write canonical JSON: {0}")]
pub struct CanonicalError(#[from] serde_json::Error);

/// `value` as canonical JSON text.
///
/// # Errors
/// When the value has a key that is not a string or a number that JSON lacks.
pub fn to_string(value: &impl Serialize) -> Result<String, CanonicalError> {
    Ok(serde_jcs::to_string(value)?)
}

/// SHA-256 over the canonical JSON of `value`.
///
/// # Errors
/// As [`to_string`].
pub fn hash(value: &impl Serialize) -> Result<ContentHash, CanonicalError> {
    Ok(ContentHash::of(to_string(value)?.as_bytes()))
}
