//! Holders: replicas and workers, the only rows with a heartbeat.

use crate::db::{Database, Store};
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::no_nul;
use crate::presence::REPLICA;
use crate::record::Record;
use crate::rows::{HolderRow, Id};

impl Store {
    /// Opens a holder, or opens it again: answers its epoch, 1 the first time and one more each time after. `row.epoch` is ignored.
    /// On SQLite a holder of kind `replica` also takes its lock file, which says that this program lives.
    ///
    /// # Errors
    /// `CannotConnect` when the lock is another program's, else whatever the database said.
    pub async fn open_holder(&self, row: HolderRow) -> Result<i64, StoreError> {
        no_nul("holder.kind", &row.kind)?;
        no_nul("holder.label", &row.label)?;
        if let (Database::Sqlite(sqlite), REPLICA) = (&*self.database, row.kind.as_str()) {
            sqlite.presence.take(row.id)?;
        }
        let epoch = self.errand(Errand::OpenHolder(row)).await?[0];
        i64::try_from(epoch).map_err(|_| StoreError::Decode {
            column: "holder.epoch",
        })
    }

    /// Moves a holder's `until`; `false` when it was closed or opened again since (this epoch's leases are gone).
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn heartbeat(&self, id: Id, epoch: i64, until: i64) -> Result<bool, StoreError> {
        let errand = Errand::Heartbeat(id, epoch, until);
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// Removes a holder of this epoch; what it still holds counts as lapsed at once. `false` when it was not there.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn close_holder(&self, id: Id, epoch: i64) -> Result<bool, StoreError> {
        let closed = self.errand(Errand::CloseHolder(id, epoch)).await?[0] > 0;
        if let Database::Sqlite(sqlite) = &*self.database {
            sqlite.presence.give_back(&id);
        }
        Ok(closed)
    }

    /// Closes the replicas whose program has died, which only SQLite can tell (their lock is free): what they held counts as lapsed
    /// at once. Answers how many there were; on PostgreSQL none, there `until` decides.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn close_dead_holders(&self) -> Result<u64, StoreError> {
        let Database::Sqlite(sqlite) = &*self.database else {
            return Ok(0);
        };
        let mut closed = 0;
        for holder in self.holders().await? {
            if holder.kind == REPLICA && !sqlite.presence.is_alive(&holder.id) {
                let errand = Errand::CloseHolder(holder.id, holder.epoch);
                closed += self.errand(errand).await?[0];
            }
        }
        Ok(closed)
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
