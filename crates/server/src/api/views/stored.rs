//! The stored form of an event: exactly what its hash is taken over.

use domain::values::hash::ContentHash;
use serde::Serialize;
use store::rows::EventRow;
use utoipa::ToSchema;
use uuid::Uuid;

/// A stored event, as it stands in the chain:
/// `hash = SHA-256(hash before it || seq u64 BE || at i64 BE || kind || 0x00 || step || 0x00 || data)`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredEvent {
    /// The orchestration that it happened to.
    pub orchestration_id: Uuid,
    /// Its number in the orchestration: 1, 2, 3 … without gaps.
    #[schema(minimum = 1)]
    pub seq: i64,
    /// Its number in the account.
    #[schema(minimum = 1)]
    pub feed: i64,
    /// When it happened, in MICROseconds since 1970.
    pub at: i64,
    /// Its kind.
    pub kind: String,
    /// The step that it is about; empty in the hash where there is none.
    pub step: Option<String>,
    /// What it says: JSON as a text, since the hash is over just these bytes.
    pub data: String,
    /// The chain's hash after it: 64 hex digits.
    pub hash: String,
}

impl StoredEvent {
    /// A row as it is told.
    pub fn of(row: &EventRow) -> Self {
        Self {
            orchestration_id: Uuid::from_bytes(row.orchestration),
            seq: row.seq,
            feed: row.feed,
            at: row.at,
            kind: row.kind.clone(),
            step: row.step.clone(),
            data: row.data.clone(),
            hash: ContentHash::from_bytes(row.hash).to_string(),
        }
    }
}
