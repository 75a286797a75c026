//! Holders: replicas and workers, the only rows with a heartbeat.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::Record;
use crate::rows::{HolderRow, Id};

impl Store {
    /// Opens a holder, or opens it again: answers its epoch, 1 the first time and one more each time after. `row.epoch` is ignored.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn open_holder(&self, row: HolderRow) -> Result<i64, StoreError> {
        let _ = row;
        Err(StoreError::Closed)
    }

    /// Moves a holder's `until`; `false` when it was closed or opened again since (this epoch's leases are gone).
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn heartbeat(&self, id: Id, epoch: i64, until: i64) -> Result<bool, StoreError> {
        let _ = (id, epoch, until);
        Err(StoreError::Closed)
    }

    /// Removes a holder of this epoch; what it still holds counts as lapsed at once. `false` when it was not there.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn close_holder(&self, id: Id, epoch: i64) -> Result<bool, StoreError> {
        let _ = (id, epoch);
        Err(StoreError::Closed)
    }

    /// All holders, by id.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn holders(&self) -> Result<Vec<HolderRow>, StoreError> {
        const TEXT: &str = "
            select id, kind, epoch, until, label, opened_at
            from holder
            order by id";
        let rows = self.query(TEXT, Vec::new()).await?;
        rows.into_iter().map(decode).collect()
    }
}

fn decode(mut r: Record) -> Result<HolderRow, StoreError> {
    Ok(HolderRow {
        id: r.fixed("holder.id")?,
        kind: r.text("holder.kind")?,
        epoch: r.int("holder.epoch")?,
        until: r.int("holder.until")?,
        label: r.text("holder.label")?,
        opened_at: r.int("holder.opened_at")?,
    })
}
