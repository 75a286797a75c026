//! Plans: stored once an account, with their artifacts as blobs.

use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::{PackedBlob, no_nul};
use crate::record::Value;
use crate::rows::{Hash, PlanRow};
use crate::write::{NewBlob, NewPlan};

impl Store {
    /// One plan of an account.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn plan(&self, account: &str, hash: Hash) -> Result<Option<PlanRow>, StoreError> {
        const TEXT: &str = "
            select account, hash, manifest_hash, title, bytes, created_at
            from plan
            where account = $1 and hash = $2";
        let parameters = vec![Value::from(account), Value::from(&hash)];
        let Some(mut r) = self.query(TEXT, parameters).await?.pop() else {
            return Ok(None);
        };
        Ok(Some(PlanRow {
            account: r.text("plan.account")?,
            hash: r.fixed("plan.hash")?,
            manifest_hash: r.fixed("plan.manifest_hash")?,
            title: r.text("plan.title")?,
            bytes: r.int("plan.bytes")?,
            created_at: r.int("plan.created_at")?,
        }))
    }

    /// Stores a plan with its manifest and artifacts, durably; `false` when the account already had it (then nothing is written).
    /// References are counted once a plan, however often it is put.
    ///
    /// # Errors
    /// `Nul` for a text with a NUL character, else whatever the database said.
    pub async fn put_plan(&self, plan: NewPlan) -> Result<bool, StoreError> {
        no_nul("plan.account", &plan.row.account)?;
        no_nul("plan.title", &plan.row.title)?;
        if self.errand(Errand::TouchPlan(plan.row.clone())).await?[0] > 0 {
            return Ok(false);
        }
        let packed = tokio::task::spawn_blocking(move || pack_plan(plan)).await;
        let (row, blobs, artifacts) = packed.map_err(|_| StoreError::Closed)?;
        let done = self.errand(Errand::PutPlan(row, blobs, artifacts)).await?;
        Ok(done[0] > 0)
    }
}

/// Packs each blob once, with the references that the plan holds to it: one as its manifest, one as an artifact.
fn pack_plan(plan: NewPlan) -> (PlanRow, Vec<PackedBlob>, Vec<Hash>) {
    let NewPlan {
        row,
        plan_id: _,
        manifest,
        mut artifacts,
    } = plan;
    artifacts.sort_unstable_by_key(|b| b.hash);
    artifacts.dedup_by_key(|b| b.hash);
    let hashes: Vec<Hash> = artifacts.iter().map(|b| b.hash).collect();
    let mut blobs: Vec<PackedBlob> = artifacts.iter().map(|b| PackedBlob::new(b, 1)).collect();
    match blobs.binary_search_by_key(&row.manifest_hash, |b| b.hash) {
        Ok(at) => blobs[at].refs += 1,
        Err(at) => {
            let manifest = NewBlob {
                hash: row.manifest_hash,
                bytes: manifest,
            };
            blobs.insert(at, PackedBlob::new(&manifest, 1));
        }
    }
    (row, blobs, hashes)
}
