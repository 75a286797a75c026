//! Reads of orchestrations: one by id, lists by account, versions for those who hold some in memory.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{Hash, Id, OrchestrationRow};

/// The columns of an orchestration, in the order of `decode`.
macro_rules! columns {
    () => {
        "id, account, plan_hash, submission_key, pinned_hash, status, claimable, exclusive, running, version,
         artifact_version, cursor, chain, wake_at, detail, created_at, updated_at, ended_at"
    };
}

/// What a list shows; the default shows all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrchestrationFilter {
    /// Only these of one status.
    pub status: Option<String>,
    /// Only these of one plan.
    pub plan_hash: Option<Hash>,
    /// Only these that have not ended.
    pub unended: bool,
}

impl Store {
    /// One orchestration.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn orchestration(&self, id: Id) -> Result<Option<OrchestrationRow>, StoreError> {
        const TEXT: &str = concat!("select ", columns!(), " from orchestration where id = $1");
        let mut rows = self.query(TEXT, vec![Value::from(&id)]).await?;
        rows.pop().map(decode).transpose()
    }

    /// The account's orchestrations, newest first (ids are UUIDv7), those after `cursor` in that order.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn list(
        &self,
        account: &str,
        filter: &OrchestrationFilter,
        cursor: Option<Id>,
        limit: i64,
    ) -> Result<Vec<OrchestrationRow>, StoreError> {
        const TEXT: &str = concat!(
            "select ",
            columns!(),
            " from orchestration
             where account = $1
               and ($2 = 1 or id < $3)
               and ($4 = 1 or status = $5)
               and ($6 = 1 or plan_hash = $7)
               and ($8 = 0 or ended_at is null)
             order by id desc
             limit $9"
        );
        let parameters = vec![
            Value::from(account),
            Value::Int(i64::from(cursor.is_none())),
            Value::from(&cursor.unwrap_or_default()),
            Value::Int(i64::from(filter.status.is_none())),
            Value::from(filter.status.as_deref().unwrap_or("")),
            Value::Int(i64::from(filter.plan_hash.is_none())),
            Value::from(&filter.plan_hash.unwrap_or_default()),
            Value::Int(i64::from(filter.unended)),
            Value::Int(limit),
        ];
        decode_all(self.query(TEXT, parameters).await?)
    }

    /// All orchestrations of all accounts in the order of their ids, those after `after`: a pager for checks and recovery.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn orchestrations_after(
        &self,
        after: Option<Id>,
        limit: i64,
    ) -> Result<Vec<OrchestrationRow>, StoreError> {
        const TEXT: &str = concat!(
            "select ",
            columns!(),
            " from orchestration where id > $1 order by id limit $2"
        );
        // The nil UUID is nobody's id, so that "after nil" is all.
        let parameters = vec![Value::from(&after.unwrap_or_default()), Value::Int(limit)];
        decode_all(self.query(TEXT, parameters).await?)
    }

    /// Versions of these orchestrations, for those who keep them in memory; an id without a row is left out.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn versions(&self, ids: &[Id]) -> Result<Vec<(Id, i64)>, StoreError> {
        let keys = ids.iter().map(Value::from).collect();
        let rows = self
            .query_in("select id, version from orchestration where id in", keys)
            .await?;
        rows.into_iter()
            .map(|mut r| {
                Ok((
                    r.fixed("orchestration.id")?,
                    r.int("orchestration.version")?,
                ))
            })
            .collect()
    }

    /// The account's orchestration of this submission over this plan that was open at `since` (microseconds) or later: the first of them.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn open_by_submission(
        &self,
        account: &str,
        plan: Hash,
        key: Hash,
        since: i64,
    ) -> Result<Option<OrchestrationRow>, StoreError> {
        const TEXT: &str = concat!(
            "select ",
            columns!(),
            " from orchestration
              where account = $1 and plan_hash = $2 and submission_key = $3 and (ended_at is null or ended_at >= $4)
              order by id
              limit 1"
        );
        let parameters = vec![
            Value::from(account),
            Value::from(&plan),
            Value::from(&key),
            Value::Int(since),
        ];
        let mut rows = self.query(TEXT, parameters).await?;
        rows.pop().map(decode).transpose()
    }
}

pub(crate) fn decode_all(rows: Vec<Record>) -> Result<Vec<OrchestrationRow>, StoreError> {
    rows.into_iter().map(decode).collect()
}

fn decode(mut r: Record) -> Result<OrchestrationRow, StoreError> {
    Ok(OrchestrationRow {
        id: r.fixed("orchestration.id")?,
        account: r.text("orchestration.account")?,
        plan_hash: r.fixed("orchestration.plan_hash")?,
        submission_key: r.opt_fixed("orchestration.submission_key")?,
        pinned_hash: r.fixed("orchestration.pinned_hash")?,
        status: r.text("orchestration.status")?,
        claimable: r.flag("orchestration.claimable")?,
        exclusive: r.flag("orchestration.exclusive")?,
        running: r.int("orchestration.running")?,
        version: r.int("orchestration.version")?,
        artifact_version: r.int("orchestration.artifact_version")?,
        cursor: r.int("orchestration.cursor")?,
        chain: r.fixed("orchestration.chain")?,
        wake_at: r.opt_int("orchestration.wake_at")?,
        detail: r.packed("orchestration.detail")?,
        created_at: r.int("orchestration.created_at")?,
        updated_at: r.int("orchestration.updated_at")?,
        ended_at: r.opt_int("orchestration.ended_at")?,
    })
}
