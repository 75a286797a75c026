//! The errands of a plan that is put apart from an orchestration.

use crate::errand::Tx;
use crate::error::StoreError;
use crate::prepare::PackedPlan;
use crate::record::Value;
use crate::rows::Hash;

/// Notes that a plan is wanted still: 1 when it is there.
pub(crate) async fn touch(tx: &impl Tx, plan: &PackedPlan) -> Result<u64, StoreError> {
    let row = &plan.row;
    let text = "update plan set created_at = $3, plan_id = coalesce($4, plan_id) where account = $1 and hash = $2";
    let parameters = [
        Value::from(row.account.as_str()),
        Value::from(&row.hash),
        Value::from(row.created_at),
        Value::from(plan.plan_id.as_deref()),
    ];
    let touched = tx.execute(text, &parameters).await?;
    if touched > 0 {
        revise(tx, plan).await?;
    }
    Ok(touched)
}

/// 1 when it is stored, 0 when another was faster.
pub(crate) async fn put(tx: &impl Tx, plan: &PackedPlan) -> Result<u64, StoreError> {
    let row = &plan.row;
    let text = "
        insert into plan (account, hash, manifest_hash, title, bytes, created_at, artifacts, plan_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (account, hash) do nothing";
    let parameters = [
        Value::from(row.account.as_str()),
        Value::from(&row.hash),
        Value::from(&row.manifest_hash),
        Value::from(row.title.as_str()),
        Value::from(row.bytes),
        Value::from(row.created_at),
        Value::Bytes(plan.artifacts.clone()),
        Value::from(plan.plan_id.as_deref()),
    ];
    let stored = tx.execute(text, &parameters).await?;
    revise(tx, plan).await?;
    if stored == 0 {
        return Ok(0);
    }
    for blob in &plan.blobs {
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

/// The next revision of what the account calls by this id, where the last one is another plan.
async fn revise(tx: &impl Tx, plan: &PackedPlan) -> Result<(), StoreError> {
    let Some(plan_id) = &plan.plan_id else {
        return Ok(());
    };
    let row = &plan.row;
    let key = [row.account.as_str().into(), plan_id.as_str().into()];
    let text = "
        select revision, plan_hash
        from plan_revision
        where account = $1 and plan_id = $2
        order by revision desc
        limit 1";
    let mut last = 0;
    if let Some(mut r) = tx.query(text, &key).await?.pop() {
        last = r.int("plan_revision.revision")?;
        let hash: Hash = r.fixed("plan_revision.plan_hash")?;
        if hash == row.hash {
            return Ok(());
        }
    }
    let text = "
        insert into plan_revision (account, plan_id, revision, plan_hash, created_at)
        values ($1, $2, $3, $4, $5)";
    let [account, plan_id] = key;
    let parameters = [
        account,
        plan_id,
        Value::Int(last + 1),
        Value::from(&row.hash),
        Value::Int(row.created_at),
    ];
    tx.execute(text, &parameters).await.map(|_| ())
}
