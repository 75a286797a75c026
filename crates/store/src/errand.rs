//! Writes outside the batch: plans, holders, retention. Each is one transaction, one text for both databases.
//!
//! On SQLite an errand is done by the writer between its batches, on PostgreSQL on a connection of the pool. Rows are locked in the
//! order of the batch: accounts, orchestrations, plans, blobs by hash.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::errand_service;
use crate::error::StoreError;
use crate::prepare::PackedBlob;
use crate::record::{Record, Value};
use crate::rows::{AgentRow, Hash, HolderRow, Id, KeyRow, PlanRow};

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
    TouchPlan(PlanRow),
    /// A new plan: 1 when it is stored, 0 when another was faster.
    PutPlan(PlanRow, Vec<PackedBlob>, Vec<Hash>),
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
    /// Scope and key: 1 when it was under way.
    DropWrite(String, String),
    /// How many there were.
    DeleteExpiredWrites(i64),
}

/// What an errand answers: its meaning stands with the errand.
pub(crate) type Numbers = [u64; 3];

/// Does it, inside a transaction that the caller began and will end.
pub(crate) async fn perform(tx: &impl Tx, errand: &Errand) -> Result<Numbers, StoreError> {
    let one = match errand {
        Errand::TouchPlan(row) => touch_plan(tx, row).await?,
        Errand::PutPlan(row, blobs, artifacts) => put_plan(tx, row, blobs, artifacts).await?,
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
        Errand::DeleteEnded(time, limit) => return delete_ended(tx, *time, *limit).await,
        other => errand_service::perform(tx, other).await?,
    };
    Ok([one, 0, 0])
}

async fn touch_plan(tx: &impl Tx, row: &PlanRow) -> Result<u64, StoreError> {
    let text = "update plan set created_at = $3 where account = $1 and hash = $2";
    let parameters = [
        Value::from(row.account.as_str()),
        Value::from(&row.hash),
        Value::from(row.created_at),
    ];
    tx.execute(text, &parameters).await
}

async fn put_plan(
    tx: &impl Tx,
    row: &PlanRow,
    blobs: &[PackedBlob],
    artifacts: &[Hash],
) -> Result<u64, StoreError> {
    let text = "
        insert into plan (account, hash, manifest_hash, title, bytes, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (account, hash) do nothing";
    let parameters = [
        Value::from(row.account.as_str()),
        Value::from(&row.hash),
        Value::from(&row.manifest_hash),
        Value::from(row.title.as_str()),
        Value::from(row.bytes),
        Value::from(row.created_at),
    ];
    if tx.execute(text, &parameters).await? == 0 {
        return Ok(0);
    }
    for hash in artifacts {
        let text = "insert into plan_blob (account, plan, hash) values ($1, $2, $3)";
        let parameters = [
            Value::from(row.account.as_str()),
            Value::from(&row.hash),
            Value::from(hash),
        ];
        tx.execute(text, &parameters).await?;
    }
    for blob in blobs {
        let text = "
            insert into blob (hash, size, encoding, stored, refs)
            values ($1, $2, $3, $4, $5)
            on conflict (hash) do update set refs = blob.refs + excluded.refs";
        let parameters = [
            Value::from(&blob.hash),
            Value::from(blob.size),
            Value::from(blob.encoding),
            Value::Bytes(blob.stored.clone()),
            Value::from(blob.refs),
        ];
        tx.execute(text, &parameters).await?;
    }
    Ok(1)
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

/// In this order: 1. the oldest ended orchestrations; 2. their accounts, locked; 3. their rows, and what these referred to;
/// 4. plans that nobody put since and no orchestration uses; 5. references released, blobs without any deleted.
async fn delete_ended(tx: &impl Tx, time: i64, limit: i64) -> Result<Numbers, StoreError> {
    let text = "
        select id, account, pinned_hash
        from orchestration
        where ended_at < $1
        order by ended_at, id
        limit $2";
    let mut ended: Vec<(Id, String, Hash)> = Vec::new();
    for mut r in tx.query(text, &[time.into(), limit.into()]).await? {
        ended.push((
            r.fixed("orchestration.id")?,
            r.text("orchestration.account")?,
            r.fixed("orchestration.pinned_hash")?,
        ));
    }
    ended.sort_unstable();
    let accounts: BTreeSet<&str> = ended
        .iter()
        .map(|(_, account, _)| account.as_str())
        .collect();
    for account in accounts {
        let lock = "update account set pruned = pruned where id = $1";
        tx.execute(lock, &[account.into()]).await?;
    }
    let mut released: BTreeMap<Hash, i64> = BTreeMap::new();
    let mut orchestrations = 0;
    for (id, account, pinned) in &ended {
        let text = "delete from orchestration where id = $1 and ended_at < $2";
        if tx.execute(text, &[Value::from(id), time.into()]).await? == 0 {
            continue; // another replica was faster
        }
        orchestrations += 1;
        *released.entry(*pinned).or_default() += 1;
        delete_parts(tx, id, account, &mut released).await?;
    }
    let plans = delete_plans(tx, time, limit, &mut released).await?;
    let mut blobs = 0;
    for (hash, refs) in released {
        let text = "update blob set refs = refs - $2 where hash = $1";
        tx.execute(text, &[Value::from(&hash), refs.into()]).await?;
        let text = "delete from blob where hash = $1 and refs <= 0";
        blobs += tx.execute(text, &[Value::from(&hash)]).await?;
    }
    Ok([orchestrations, plans, blobs])
}

async fn delete_parts(
    tx: &impl Tx,
    id: &Id,
    account: &str,
    released: &mut BTreeMap<Hash, i64>,
) -> Result<(), StoreError> {
    let key = [Value::from(id)];
    let text = "
        select data_hash
        from enrichment
        where orchestration = $1 and data_hash is not null
        order by version";
    for mut r in tx.query(text, &key).await? {
        *released
            .entry(r.fixed("enrichment.data_hash")?)
            .or_default() += 1;
    }
    for text in [
        "delete from enrichment where orchestration = $1",
        "delete from step where orchestration = $1",
    ] {
        tx.execute(text, &key).await?;
    }
    let events = tx
        .execute("delete from event where orchestration = $1", &key)
        .await?;
    let text = "update account set pruned = pruned + $2 where id = $1";
    let pruned = i64::try_from(events).unwrap_or(i64::MAX);
    tx.execute(text, &[account.into(), pruned.into()]).await?;
    Ok(())
}

async fn delete_plans(
    tx: &impl Tx,
    time: i64,
    limit: i64,
    released: &mut BTreeMap<Hash, i64>,
) -> Result<u64, StoreError> {
    let text = "
        select p.account, p.hash, p.manifest_hash
        from plan p
        where p.created_at < $1
          and not exists (select 1 from orchestration o where o.account = p.account and o.plan_hash = p.hash)
        order by p.created_at, p.account, p.hash
        limit $2";
    let mut plans = 0;
    for mut r in tx.query(text, &[time.into(), limit.into()]).await? {
        let account = Value::Text(r.text("plan.account")?);
        let hash: Hash = r.fixed("plan.hash")?;
        let manifest: Hash = r.fixed("plan.manifest_hash")?;
        let key = [account, Value::from(&hash)];
        let text = "delete from plan where account = $1 and hash = $2 and created_at < $3";
        let still_old = [key[0].clone(), key[1].clone(), time.into()];
        if tx.execute(text, &still_old).await? == 0 {
            continue; // put again meanwhile
        }
        plans += 1;
        *released.entry(manifest).or_default() += 1;
        let text = "select hash from plan_blob where account = $1 and plan = $2 order by hash";
        for mut r in tx.query(text, &key).await? {
            *released.entry(r.fixed("plan_blob.hash")?).or_default() += 1;
        }
        let text = "delete from plan_blob where account = $1 and plan = $2";
        tx.execute(text, &key).await?;
    }
    Ok(plans)
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
