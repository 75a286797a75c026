//! Writes outside the batch: plans, holders, retention. Each is one transaction, one text for both databases.
//!
//! On SQLite an errand is done by the writer between its batches, on PostgreSQL on a connection of the pool. Rows are locked in the
//! order of the batch: accounts, orchestrations, plans, blobs by hash.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::errand_money::MoneyErrand;
use crate::error::StoreError;
use crate::prepare::PackedPlan;
use crate::record::{Record, Value};
use crate::rows::{AgentRow, Hash, HolderRow, Id, KeyRow};
use crate::{errand_callers, errand_money, errand_plan, errand_retention};

/// An open transaction, or a connection on which each statement is its own.
pub(crate) trait Tx {
    /// Asks.
    async fn query(&self, text: &str, parameters: &[Value]) -> Result<Vec<Record>, StoreError>;
    /// Changes; answers how many rows.
    async fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, StoreError>;
}

/// An errand. Cloned nowhere, performed once (or again after a deadlock, when nothing of it stands).
pub(crate) enum Errand {
    /// Notes that a plan was put again: 1 when it is there.
    TouchPlan(PackedPlan),
    /// A new plan: 1 when it is stored, 0 when another was faster.
    PutPlan(PackedPlan),
    /// The holder's epoch.
    OpenHolder(HolderRow),
    /// 1 when the row is of this epoch.
    Heartbeat(Id, i64, i64),
    /// 1 when the row was of this epoch.
    CloseHolder(Id, i64),
    /// Orchestrations, plans and blobs that were deleted.
    DeleteEnded(i64, i64),
    /// 1 when it is new.
    PutAgent(AgentRow),
    /// Id, version and time: 1 when it was not retired.
    RetireAgent(String, String, i64),
    /// 1 when it is new.
    PutKey(KeyRow),
    /// Id and time: 1 when it was not revoked.
    RevokeKey(String, i64),
    /// 1 when the key was not known, or had expired.
    BeginWrite {
        scope: String,
        key: String,
        request: Hash,
        subject: Id,
        now: i64,
        expires: i64,
    },
    /// Scope, key, since when it seemed to be under way, now, and when it expires: 1 when it still was.
    TakeOverWrite(String, String, i64, i64, i64),
    /// 1 when it was under way.
    EndWrite {
        scope: String,
        key: String,
        status: i64,
        headers: String,
        body: Vec<u8>,
    },
    /// Scope, key, since when it is under way, and what it led to: 1 when it still was.
    WriteLedTo(String, String, i64, Id),
    /// Scope, key, and since when it is under way: 1 when it still was.
    ReleaseWrite(String, String, i64),
    /// How many there were.
    DeleteExpiredWrites(i64),
    /// What each says.
    Money(MoneyErrand),
}

/// What an errand answers: its meaning stands with the errand.
pub(crate) type Numbers = [u64; 3];

/// Does it, inside a transaction that the caller began and will end.
pub(crate) async fn perform(tx: &impl Tx, errand: &Errand) -> Result<Numbers, StoreError> {
    let one = match errand {
        Errand::TouchPlan(plan) => errand_plan::touch(tx, plan).await?,
        Errand::PutPlan(plan) => errand_plan::put(tx, plan).await?,
        Errand::OpenHolder(row) => open_holder(tx, row).await?,
        Errand::Heartbeat(id, epoch, until) => {
            let text = "update holder set until = $3 where id = $1 and epoch = $2";
            let parameters = [Value::from(id), Value::from(*epoch), Value::from(*until)];
            tx.execute(text, &parameters).await?
        }
        Errand::CloseHolder(id, epoch) => {
            let text = "delete from holder where id = $1 and epoch = $2";
            tx.execute(text, &[Value::from(id), Value::from(*epoch)])
                .await?
        }
        Errand::DeleteEnded(time, limit) => {
            return errand_retention::delete_ended(tx, *time, *limit).await;
        }
        Errand::Money(errand) => return errand_money::perform(tx, errand).await,
        other => errand_callers::perform(tx, other).await?,
    };
    Ok([one, 0, 0])
}

async fn open_holder(tx: &impl Tx, row: &HolderRow) -> Result<u64, StoreError> {
    let text = "
        insert into holder (id, kind, epoch, until, label, opened_at)
        values ($1, $2, 1, $3, $4, $5)
        on conflict (id) do update
        set kind = excluded.kind, epoch = holder.epoch + 1, until = excluded.until, label = excluded.label,
            opened_at = excluded.opened_at
        returning epoch";
    let parameters = [
        Value::from(&row.id),
        Value::from(row.kind.as_str()),
        Value::from(row.until),
        Value::from(row.label.as_str()),
        Value::from(row.opened_at),
    ];
    let mut rows = tx.query(text, &parameters).await?;
    let epoch = rows.pop().map_or(Ok(0), |mut r| r.int("holder.epoch"))?;
    Ok(epoch.unsigned_abs())
}

/// Ends a future that never waits: SQLite answers at once.
pub(crate) fn at_once<T>(
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(StoreError::Closed),
    }
}
