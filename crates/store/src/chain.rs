//! The chain over an orchestration's events: whoever changes, drops or inserts one breaks every hash after it.
//!
//! `hash = SHA-256(previous || seq u64 BE || at i64 BE || kind || 0x00 || step || 0x00 || data)`, where `previous` is 32 zero bytes
//! before the first event, texts are UTF-8 and `step` is empty for an event that is about none. No text holds a NUL, so that
//! the zero bytes part them for certain.

use sha2::{Digest, Sha256};

use crate::rows::Hash;

/// What stands before the first event.
pub const START: Hash = [0; 32];

/// The hash after an event, given the hash before it.
pub fn link(
    previous: &Hash,
    seq: i64,
    at: i64,
    kind: &str,
    step: Option<&str>,
    data: &str,
) -> Hash {
    let mut sha = Sha256::new();
    sha.update(previous);
    sha.update(seq.to_be_bytes());
    sha.update(at.to_be_bytes());
    sha.update(kind.as_bytes());
    sha.update([0]);
    sha.update(step.unwrap_or("").as_bytes());
    sha.update([0]);
    sha.update(data.as_bytes());
    sha.finalize().into()
}

/// SHA-256 over plain bytes: the name of a blob.
pub fn content_hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}
