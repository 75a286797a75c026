//! Revisions of plans: what an account calls by one id, as it came in.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::Value;
use crate::rows::{Hash, RevisionRow};

impl Store {
    /// All revisions of what the account calls by `plan_id`, the first first.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn plan_revisions(
        &self,
        account: &str,
        plan_id: &str,
    ) -> Result<Vec<RevisionRow>, StoreError> {
        const TEXT: &str = "
            select account, plan_id, revision, plan_hash, created_at
            from plan_revision
            where account = $1 and plan_id = $2
            order by revision";
        let parameters = vec![Value::from(account), Value::from(plan_id)];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter()
            .map(|mut r| {
                Ok(RevisionRow {
                    account: r.text("plan_revision.account")?,
                    plan_id: r.text("plan_revision.plan_id")?,
                    revision: r.int("plan_revision.revision")?,
                    plan_hash: r.fixed("plan_revision.plan_hash")?,
                    created_at: r.int("plan_revision.created_at")?,
                })
            })
            .collect()
    }

    /// The plan that went by `plan_id` before `plan_hash` did, which may have been deleted since; none when that was the first, or
    /// never went by it.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn previous_revision(
        &self,
        account: &str,
        plan_id: &str,
        plan_hash: Hash,
    ) -> Result<Option<Hash>, StoreError> {
        let revisions = self.plan_revisions(account, plan_id).await?;
        let at = revisions.iter().rposition(|r| r.plan_hash == plan_hash);
        let before = at.and_then(|at| at.checked_sub(1));
        Ok(before.map(|at| revisions[at].plan_hash))
    }
}
