//! The errand of retention: what has ended goes whole, then plans and blobs that nothing refers to any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::errand::{Numbers, Tx};
use crate::errand_callers::delete_expired_writes;
use crate::error::StoreError;
use crate::record::Value;
use crate::rows::{Hash, Id};

/// In this order: 1. the oldest ended orchestrations; 2. their accounts, locked; 3. their rows, and what these referred to;
/// 4. plans that nobody put since and no orchestration uses; 5. references released, blobs without any deleted.
pub(crate) async fn delete_ended(
    tx: &impl Tx,
    time: i64,
    limit: i64,
) -> Result<Numbers, StoreError> {
    // Whose its charges are stands with it: where they are told to a bookkeeping outside, what was not told yet is kept.
    let text = "
        select o.id, o.account, o.pinned_hash
        from orchestration o
        where o.ended_at < $1
          and not exists (
            select 1
            from (select distinct target from credit_export) x
            join event e on e.orchestration = o.id and e.transfers > 0
            join transfer t on t.account = o.account and t.seq > e.transfer - e.transfers and t.seq <= e.transfer
            left join credit_export told on told.target = x.target and told.account = o.account
            where t.kind = 'settle' and t.orchestration = o.id and t.seq > coalesce(told.seq, 0))
        order by o.ended_at, o.id
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
    delete_expired_writes(tx, time).await?;
    Ok([orchestrations, plans, blobs])
}

async fn delete_parts(
    tx: &impl Tx,
    id: &Id,
    account: &str,
    released: &mut BTreeMap<Hash, i64>,
) -> Result<(), StoreError> {
    let key = [Value::from(id)];
    for text in [
        "select data_hash from enrichment where orchestration = $1 and data_hash is not null and stored is null order by version",
        "select data_hash from turn where orchestration = $1 and stored is null order by step, conversation, turn",
        "select kept_hash from step where orchestration = $1 and kept_hash is not null order by step",
    ] {
        for mut r in tx.query(text, &key).await? {
            *released.entry(r.fixed("blob.hash")?).or_default() += 1;
        }
    }
    let text =
        "select cast(coalesce(sum(events), 0) as bigint) from event where orchestration = $1";
    for mut r in tx.query(text, &key).await? {
        let pruned = r.int("event.events")?;
        let text = "update account set pruned = pruned + $2 where id = $1";
        tx.execute(text, &[account.into(), pruned.into()]).await?;
    }
    for text in [
        "delete from enrichment where orchestration = $1",
        "delete from turn where orchestration = $1",
        "delete from step where orchestration = $1",
        "delete from event where orchestration = $1",
    ] {
        tx.execute(text, &key).await?;
    }
    Ok(())
}

async fn delete_plans(
    tx: &impl Tx,
    time: i64,
    limit: i64,
    released: &mut BTreeMap<Hash, i64>,
) -> Result<u64, StoreError> {
    let text = "
        select p.account, p.hash, p.manifest_hash, p.artifacts, p.plan_id
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
        let artifacts = r.bytes("plan.artifacts")?;
        let plan_id = Value::from(r.opt_text("plan.plan_id")?.as_deref());
        let key = [account, Value::from(&hash)];
        let text = "delete from plan where account = $1 and hash = $2 and created_at < $3";
        let still_old = [key[0].clone(), key[1].clone(), time.into()];
        if tx.execute(text, &still_old).await? == 0 {
            continue; // put again meanwhile
        }
        plans += 1;
        *released.entry(manifest).or_default() += 1;
        for hash in artifacts.chunks_exact(size_of::<Hash>()) {
            let mut artifact = [0; size_of::<Hash>()];
            artifact.copy_from_slice(hash);
            *released.entry(artifact).or_default() += 1;
        }
        let text =
            "delete from plan_revision where account = $1 and plan_id = $3 and plan_hash = $2";
        let [account, hash] = key;
        tx.execute(text, &[account, hash, plan_id]).await?;
    }
    Ok(plans)
}
