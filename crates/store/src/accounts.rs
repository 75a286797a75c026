//! Reads of accounts, and of enrichments across an account's orchestrations.

use crate::db::Store;
use crate::enrichments;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{AccountRow, EnrichmentRow, Hash, Id};

/// Which enrichments of an account are wanted; the default wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnrichmentFilter {
    /// Only these of one agent.
    pub agent: Option<String>,
    /// Only these of one enrichment type.
    pub enrichment_type: Option<String>,
    /// Only these of one status.
    pub status: Option<String>,
    /// Only these of one plan.
    pub plan_hash: Option<Hash>,
}

impl Store {
    /// All accounts, by id. Each begins to be with its first orchestration, or with its first credits.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        const TEXT: &str = "
            select a.id, a.feed, count(o.id), count(o.id) - count(o.ended_at), a.created_at
            from account a
            left join orchestration o on o.account = a.id
            group by a.id, a.feed, a.created_at
            order by a.id";
        let rows = self.query(TEXT, Vec::new()).await?;
        rows.into_iter().map(decode).collect()
    }

    /// One account; none before its first orchestration or credits. Cheap but for the counts: for those its orchestrations are counted.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn account(&self, id: &str) -> Result<Option<AccountRow>, StoreError> {
        const TEXT: &str = "
            select a.id, a.feed, count(o.id), count(o.id) - count(o.ended_at), a.created_at
            from account a
            left join orchestration o on o.account = a.id
            where a.id = $1
            group by a.id, a.feed, a.created_at";
        let mut rows = self.query(TEXT, vec![Value::from(id)]).await?;
        rows.pop().map(decode).transpose()
    }

    /// The account's last feed number given, 0 before its first event: one look by the primary key.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn last_feed(&self, account: &str) -> Result<i64, StoreError> {
        const TEXT: &str = "select feed from account where id = $1";
        match self.query(TEXT, vec![Value::from(account)]).await?.pop() {
            Some(mut row) => row.int("account.feed"),
            None => Ok(0),
        }
    }

    /// The account's enrichments, the newest orchestration first and in it the last version first; those after `cursor` (the last
    /// one's orchestration and version) in that order. Uses `orchestration_list`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn enrichments_of(
        &self,
        account: &str,
        filter: &EnrichmentFilter,
        cursor: Option<(Id, i64)>,
        limit: i64,
    ) -> Result<Vec<EnrichmentRow>, StoreError> {
        const TEXT: &str = concat!(
            enrichments::columns!(),
            "
            from orchestration o
            join enrichment e on e.orchestration = o.id
            where o.account = $1
              and ($2 = 1 or o.id <= $3)
              and ($2 = 1 or o.id < $3 or e.version < $4)
              and ($5 = 1 or e.agent = $6)
              and ($7 = 1 or e.enrichment_type = $8)
              and ($9 = 1 or e.status = $10)
              and ($11 = 1 or o.plan_hash = $12)
            order by o.id desc, e.version desc
            limit $13"
        );
        let any = |given: bool| Value::Int(i64::from(!given));
        let (id, version) = cursor.unwrap_or_default();
        let parameters = vec![
            Value::from(account),
            any(cursor.is_some()),
            Value::from(&id),
            Value::Int(version),
            any(filter.agent.is_some()),
            Value::from(filter.agent.as_deref().unwrap_or("")),
            any(filter.enrichment_type.is_some()),
            Value::from(filter.enrichment_type.as_deref().unwrap_or("")),
            any(filter.status.is_some()),
            Value::from(filter.status.as_deref().unwrap_or("")),
            any(filter.plan_hash.is_some()),
            Value::from(&filter.plan_hash.unwrap_or_default()),
            Value::Int(limit),
        ];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(enrichments::decode).collect()
    }
}

fn decode(mut r: Record) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        id: r.text("account.id")?,
        feed: r.int("account.feed")?,
        orchestrations: r.int("account.orchestrations")?,
        running: r.int("account.running")?,
        created_at: r.int("account.created_at")?,
    })
}
