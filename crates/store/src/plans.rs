//! Plans: stored once an account, with their artifacts as blobs.

use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::PackedPlan;
use crate::record::Value;
use crate::rows::{Hash, PlanRow};
use crate::write::NewPlan;

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
        let known = self.plan(&plan.row.account, plan.row.hash).await?.is_some();
        if known {
            let touch = PackedPlan::new(plan.clone(), true)?;
            if self.errand(Errand::TouchPlan(touch)).await?[0] > 0 {
                return Ok(false);
            }
        }
        let packed = tokio::task::spawn_blocking(move || PackedPlan::new(plan, false)).await;
        let packed = packed.map_err(|_| StoreError::Closed)??;
        Ok(self.errand(Errand::PutPlan(packed)).await?[0] > 0)
    }
}
