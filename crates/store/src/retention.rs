//! Retention: ended orchestrations are deleted whole, then plans and blobs that nothing refers to any more.

use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;

/// What a pass of retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Orchestrations with their steps, events and enrichments.
    pub orchestrations: u64,
    /// Plans that no orchestration uses any more.
    pub plans: u64,
    /// Blobs that no row refers to any more.
    pub blobs: u64,
}

impl Store {
    /// Deletes at most `limit` orchestrations that ended before `time` (microseconds), the oldest first, in one transaction.
    /// Repeat until `orchestrations` is less than `limit`.
    ///
    /// # Errors
    /// Whatever the database said; then nothing is deleted.
    pub async fn delete_ended_before(&self, time: i64, limit: i64) -> Result<Deleted, StoreError> {
        let [orchestrations, plans, blobs] = self.errand(Errand::DeleteEnded(time, limit)).await?;
        Ok(Deleted {
            orchestrations,
            plans,
            blobs,
        })
    }
}
