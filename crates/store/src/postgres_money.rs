//! Money in PostgreSQL's batch: accounts and grants as they were read, and the columns of one statement for all that changed.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::ledger::{Ledger, Moved};
use crate::money::{GrantRow, LedgerRow};
use crate::postgres_columns::columns;
use crate::prepare::Prepared;
use crate::shared::Shared;

columns! {
    /// `MONEY`, its first part.
    Accounts {
        account: &'s str, seq: i64, balance: i64, held: i64, granted: i64, charged: i64, expired: i64, adjusted: i64,
        at_limit: Option<&'s str>,
    }
}

columns! {
    /// `MONEY`, its second part.
    Grants { account: &'s str, key: &'s str, remaining: i64, spent: i64 }
}

columns! {
    /// `MONEY`, its third part.
    Transfers {
        account: &'s str, seq: i64, at: i64, kind: &'s str, amount: i64, hold: i64, balance: i64, held: i64,
        orchestration: Option<&'s [u8]>, step: Option<&'s str>, agent: Option<&'s str>, attempt: Option<i64>, ordinal: Option<i64>,
        number: Option<i64>, tokens: Option<i64>, tools: Option<i64>, base: Option<i64>, used: Option<i64>, estimated: Option<i64>,
    }
}

impl<'s> Transfers<'s> {
    /// The transfers of an admitted row set.
    pub(crate) fn put(&mut self, set: &'s Prepared, moved: &[Moved]) {
        let o = &set.rows.orchestration;
        for m in moved {
            let of = m.of.map(|place| set.rows.money[place].columns());
            let of = of.as_ref();
            let charge = of.and_then(|c| c.charge);
            self.push(
                &o.account,
                m.seq,
                m.at,
                m.kind,
                m.amount,
                m.hold,
                m.balance,
                m.held,
                of.map(|_| &o.id[..]),
                of.map(|c| c.step),
                of.map(|c| c.agent),
                of.map(|c| c.attempt),
                of.and_then(|c| c.ordinal),
                of.and_then(|c| c.number),
                charge.map(|c| c.tokens),
                charge.map(|c| c.tools),
                charge.map(|c| c.base),
                charge.map(|c| c.used),
                charge.map(|c| i64::from(c.estimated)),
            );
        }
    }
}

/// The accounts of a batch whose money changed, and their grants.
#[derive(Default)]
pub(crate) struct Ledgers<'s> {
    accounts: Accounts<'s>,
    grants: Grants<'s>,
}

impl<'s> Ledgers<'s> {
    pub(crate) fn of(shared: &'s Shared) -> Self {
        let mut all = Self::default();
        for ledger in shared.ledgers.values().filter(|l| l.is_changed()) {
            let row = &ledger.row;
            all.accounts.push(
                &row.account,
                row.seq,
                row.balance,
                row.held,
                row.granted,
                row.charged,
                row.expired,
                row.adjusted,
                row.at_limit.as_deref(),
            );
            for (key, left) in ledger.used() {
                let spent = i64::from(left == 0);
                all.grants.push(&row.account, key, left, spent);
            }
        }
        all
    }

    /// The parameters of `MONEY`.
    pub(crate) fn and<'p>(&'p self, transfers: &'p Transfers<'s>) -> Vec<&'p (dyn ToSql + Sync)> {
        let mut all = self.accounts.parameters();
        all.extend(self.grants.parameters());
        all.extend(transfers.parameters());
        all
    }
}

/// The answer of `READ_LEDGER`.
pub(crate) fn read(rows: &[Row], shared: &mut Shared) -> Result<(), tokio_postgres::Error> {
    let mut found: BTreeMap<String, (LedgerRow, Vec<GrantRow>)> = BTreeMap::new();
    for r in rows {
        let account: String = r.try_get(0)?;
        let row = LedgerRow {
            account: account.clone(),
            seq: r.try_get(1)?,
            balance: r.try_get(2)?,
            held: r.try_get(3)?,
            granted: r.try_get(4)?,
            charged: r.try_get(5)?,
            expired: r.try_get(6)?,
            adjusted: r.try_get(7)?,
            at_limit: r.try_get(8)?,
        };
        let (_, grants) = found
            .entry(account.clone())
            .or_insert_with(|| (row, Vec::new()));
        if let Some(key) = r.try_get(9)? {
            grants.push(GrantRow {
                account,
                key,
                amount: r.try_get(10)?,
                remaining: r.try_get(11)?,
                priority: i32::try_from(r.try_get::<_, i64>(12)?).unwrap_or(i32::MAX),
                expires_at: r.try_get(13)?,
                created_at: r.try_get(14)?,
            });
        }
    }
    for (account, (row, grants)) in found {
        shared.ledgers.insert(account, Ledger::read(row, grants));
    }
    Ok(())
}
