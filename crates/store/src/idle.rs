//! What a replica asks that has nothing under way: one query that says whether there is anything to look at.

use crate::db::{Database, Store};
use crate::error::StoreError;
use crate::record::Value;

/// How the whole database stands at a moment, for a replica that sleeps. Times are microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdleLook {
    /// The earliest time at which a step may be claimed, as far as the step itself goes; past times too.
    pub due_at: Option<i64>,
    /// The earliest time at which the sweep must look at an orchestration.
    pub wake_at: Option<i64>,
    /// Whether a step is held whose holder is gone, has lapsed or was opened again.
    pub lapsed: bool,
    /// How many holders there are, the one who asks among them.
    pub holders: i64,
    /// `Store::agents_stamp`.
    pub agents_stamp: i64,
    /// Whether answers to repeated writes have expired.
    pub expired_writes: bool,
}

impl Store {
    /// Looks at everything that a sleeping replica must not miss, in one query. On SQLite it also brings a long write-ahead log into
    /// the file.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn idle_look(&self, now: i64) -> Result<IdleLook, StoreError> {
        const TEXT: &str = "
            select (select min(due_at) from step where due_at is not null),
                   (select min(wake_at) from step where holder is null and wake_at is not null),
                   (select min(wake_at) from step where holder is not null),
                   (select min(wake_at) from orchestration where wake_at is not null),
                   (select count(*)
                    from (select 1
                          from step s
                          left join holder h on h.id = s.holder
                          where s.holder is not null and (h.id is null or h.until <= $1 or h.epoch <> s.epoch)
                          limit 1) l),
                   (select count(*) from holder),
                   (select count(*) + count(retired_at) from agent),
                   (select count(*) from (select 1 from idempotency where expires <= $1 limit 1) w)";
        if let Database::Sqlite(sqlite) = &*self.database {
            sqlite.tidy_log().await?;
        }
        let Some(mut r) = self.query(TEXT, vec![Value::Int(now)]).await?.pop() else {
            return Ok(IdleLook::default());
        };
        let due_at = r.opt_int("step.due_at")?;
        let mut wakes = Vec::new();
        for column in ["step.wake_at", "step.wake_at", "orchestration.wake_at"] {
            wakes.extend(r.opt_int(column)?);
        }
        Ok(IdleLook {
            due_at,
            wake_at: wakes.into_iter().min(),
            lapsed: r.flag("step.lapsed")?,
            holders: r.int("holder.count")?,
            agents_stamp: r.int("agent.stamp")?,
            expired_writes: r.flag("idempotency.expired")?,
        })
    }
}
