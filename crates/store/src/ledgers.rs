//! Reads of accounts' money: how they stand, and their grants.

use crate::db::Store;
use crate::error::StoreError;
use crate::money::{GrantRow, LedgerRow};
use crate::money_statements::READ_LEDGER;
use crate::record::{Record, Value};

/// How an account stands, with its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// The account's row.
    pub ledger: LedgerRow,
    /// Grants with something left, in the order of their use.
    pub grants: Vec<GrantRow>,
}

/// All accounts; used by the check too.
pub(crate) const LEDGERS: &str = "
    select account, seq, balance, held, granted, charged, expired, adjusted, at_limit
    from ledger
    order by account";

impl Store {
    /// How an account stands; none before its first grant, adjustment or charge. Found by its primary key.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn ledger(&self, account: &str) -> Result<Option<LedgerRow>, StoreError> {
        const TEXT: &str = "
            select account, seq, balance, held, granted, charged, expired, adjusted, at_limit
            from ledger
            where account = $1";
        let mut rows = self.query(TEXT, vec![Value::from(account)]).await?;
        rows.pop().map(|mut r| ledger_row(&mut r)).transpose()
    }

    /// All accounts that have money or had, by id.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn ledgers(&self) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = self.query(LEDGERS, Vec::new()).await?;
        rows.into_iter().map(|mut r| ledger_row(&mut r)).collect()
    }

    /// How an account stands, with its grants, all as of one moment.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn balance(&self, account: &str) -> Result<Option<Balance>, StoreError> {
        let rows = self
            .query(READ_LEDGER.sqlite, vec![Value::from(account)])
            .await?;
        balance(rows)
    }
}

/// The answer of `READ_LEDGER` for one account.
pub(crate) fn balance(rows: Vec<Record>) -> Result<Option<Balance>, StoreError> {
    let mut found: Option<Balance> = None;
    for mut r in rows {
        let ledger = ledger_row(&mut r)?;
        let grant = grant_row(&ledger.account, r)?;
        let balance = found.get_or_insert_with(|| Balance {
            ledger,
            grants: Vec::new(),
        });
        balance.grants.extend(grant);
    }
    Ok(found)
}

pub(crate) fn ledger_row(r: &mut Record) -> Result<LedgerRow, StoreError> {
    Ok(LedgerRow {
        account: r.text("ledger.account")?,
        seq: r.int("ledger.seq")?,
        balance: r.int("ledger.balance")?,
        held: r.int("ledger.held")?,
        granted: r.int("ledger.granted")?,
        charged: r.int("ledger.charged")?,
        expired: r.int("ledger.expired")?,
        adjusted: r.int("ledger.adjusted")?,
        at_limit: r.opt_text("ledger.at_limit")?,
    })
}

fn grant_row(account: &str, mut r: Record) -> Result<Option<GrantRow>, StoreError> {
    let Some(key) = r.opt_text("credit_grant.key")? else {
        return Ok(None);
    };
    Ok(Some(GrantRow {
        account: account.to_owned(),
        key,
        amount: r.int("credit_grant.amount")?,
        remaining: r.int("credit_grant.remaining")?,
        priority: i32::try_from(r.int("credit_grant.priority")?).unwrap_or(i32::MAX),
        expires_at: r.opt_int("credit_grant.expires_at")?,
        created_at: r.int("credit_grant.created_at")?,
    }))
}
