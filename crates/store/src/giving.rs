//! Money outside the batch: grants, adjustments, what expires, bounds of accounts, and how far it was told to a bookkeeping outside.

use crate::db::Store;
use crate::errand::Errand;
use crate::errand_money::MoneyErrand;
use crate::error::StoreError;
use crate::money::{Given, NewAdjustment, NewGrant, QuotaRow, Recount};
use crate::prepare::no_nul;
use crate::record::Value;

impl Store {
    /// Gives credits, once a key. A grant pays debt first.
    ///
    /// # Errors
    /// `Refused` for an amount that cannot be meant or an expiry that is past; else whatever the database said.
    pub async fn grant(&self, grant: NewGrant) -> Result<Given, StoreError> {
        no_nul("account.id", &grant.account)?;
        no_nul("transfer.key", &grant.key)?;
        no_nul("transfer.note", &grant.note)?;
        let done = self.errand(Errand::Money(MoneyErrand::Grant(grant)));
        done.await.map(Given::read)
    }

    /// Corrects a balance, once a key.
    ///
    /// # Errors
    /// `Refused` for an amount that cannot be meant; else whatever the database said.
    pub async fn adjust(&self, adjustment: NewAdjustment) -> Result<Given, StoreError> {
        no_nul("account.id", &adjustment.account)?;
        no_nul("transfer.key", &adjustment.key)?;
        no_nul("transfer.note", &adjustment.note)?;
        let done = self.errand(Errand::Money(MoneyErrand::Adjust(adjustment)));
        done.await.map(Given::read)
    }

    /// Says what happens to what an account has not enough for, in the words of the domain; none: as the program is configured. `at` is
    /// now, in microseconds.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn set_at_limit(
        &self,
        account: &str,
        at_limit: Option<&str>,
        at: i64,
    ) -> Result<(), StoreError> {
        no_nul("account.id", account)?;
        let at_limit = at_limit.map(str::to_owned);
        let errand = MoneyErrand::AtLimit(account.to_owned(), at_limit, at);
        self.errand(Errand::Money(errand)).await.map(|_| ())
    }

    /// Takes what is left of grants that are past their time and that no hold needs, of `limit` grants at most; answers how many accounts
    /// that changed. A batch does the same for the accounts that it moves.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn expire_grants(&self, now: i64, limit: i64) -> Result<u64, StoreError> {
        // Most times nothing is: then nobody waits for a lock.
        const DUE: &str = "select 1 from credit_grant where spent = 0 and expires_at <= $1 limit 1";
        if self.query(DUE, vec![now.into()]).await?.is_empty() {
            return Ok(0);
        }
        let errand = Errand::Money(MoneyErrand::Expire(now, limit));
        self.errand(errand).await.map(|[accounts, _, _]| accounts)
    }

    /// The bounds of an account, in the order of their keys.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn quotas(&self, account: &str) -> Result<Vec<QuotaRow>, StoreError> {
        const TEXT: &str = "
            select account, agent, per, counts, most
            from quota
            where account = $1
            order by agent, per, counts";
        let rows = self.query(TEXT, vec![account.into()]).await?;
        rows.into_iter()
            .map(|mut r| {
                Ok(QuotaRow {
                    account: r.text("quota.account")?,
                    agent: r.text("quota.agent")?,
                    per: r.text("quota.per")?,
                    counts: r.text("quota.counts")?,
                    most: r.int("quota.most")?,
                })
            })
            .collect()
    }

    /// Sets a bound, in place of one with the same key.
    ///
    /// # Errors
    /// `Refused` for less than nothing; else whatever the database said.
    pub async fn set_quota(&self, row: QuotaRow) -> Result<(), StoreError> {
        if row.most < 0 {
            return Err(StoreError::Refused("a quota is below zero".to_owned()));
        }
        no_nul("quota.account", &row.account)?;
        no_nul("quota.agent", &row.agent)?;
        let errand = Errand::Money(MoneyErrand::Quota(row, true));
        self.errand(errand).await.map(|_| ())
    }

    /// Drops the bound with this row's key; whether there was one.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn drop_quota(&self, row: QuotaRow) -> Result<bool, StoreError> {
        let errand = Errand::Money(MoneyErrand::Quota(row, false));
        self.errand(errand).await.map(|[dropped, _, _]| dropped > 0)
    }

    /// Sets counters of an account's quotas to what its transfers say: what attempts that began in the quota's time hold, or
    /// were charged, and how many there were. Attempts that hold nothing are not among them: of a count what stands stays, where it is more.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn recount_quotas(
        &self,
        account: &str,
        counts: Vec<Recount>,
    ) -> Result<(), StoreError> {
        no_nul("account.id", account)?;
        let errand = MoneyErrand::Recount(account.to_owned(), counts);
        self.errand(Errand::Money(errand)).await.map(|_| ())
    }

    /// Drops counters of quotas (`quota/<account>/<agent or *>/<hour|day|month>/<start in microseconds>/<count|nano>`) whose time passed
    /// an hour, a day or a month ago; answers how many.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn delete_old_quotas(&self, now: i64) -> Result<u64, StoreError> {
        const ANY: &str = "select 1 from counter where key >= 'quota/' and key < 'quota0' limit 1";
        if self.query(ANY, Vec::new()).await?.is_empty() {
            return Ok(0);
        }
        let errand = Errand::Money(MoneyErrand::OldQuotas(now));
        self.errand(errand).await.map(|[dropped, _, _]| dropped)
    }

    /// The number of the last transfer of an account that `target` was told of; 0 before the first.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn exported_until(&self, target: &str, account: &str) -> Result<i64, StoreError> {
        const TEXT: &str = "select seq from credit_export where target = $1 and account = $2";
        let parameters = vec![Value::from(target), Value::from(account)];
        let mut rows = self.query(TEXT, parameters).await?;
        rows.pop().map_or(Ok(0), |mut r| r.int("credit_export.seq"))
    }

    /// Notes that `target` was told of an account's transfers up to this number; never goes back.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn mark_exported(
        &self,
        target: &str,
        account: &str,
        seq: i64,
    ) -> Result<(), StoreError> {
        no_nul("credit_export.target", target)?;
        no_nul("credit_export.account", account)?;
        let errand = MoneyErrand::Exported(target.to_owned(), account.to_owned(), seq);
        self.errand(Errand::Money(errand)).await.map(|_| ())
    }
}
