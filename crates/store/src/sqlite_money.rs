//! Money in SQLite's batch: accounts read when the first row set moves them, transfers written with their row set, accounts at the end.

use rusqlite::{Connection, Row, params};

use crate::ledger::{Ledger, Moved};
use crate::money::{GrantRow, LedgerRow};
use crate::money_statements::{ADD_TRANSFER, PUT_LEDGER, READ_LEDGER, SPEND_GRANT, USE_GRANT};
use crate::prepare::Prepared;
use crate::shared::Shared;
use crate::sqlite_write::one;

/// Reads the account's money, unless the row set does not touch it or an earlier one of the batch did.
pub(crate) fn load(
    connection: &Connection,
    shared: &mut Shared,
    set: &Prepared,
) -> rusqlite::Result<()> {
    let account = &set.rows.orchestration.account;
    if set.rows.money.is_empty() || shared.ledgers.contains_key(account) {
        return Ok(());
    }
    let mut statement = one(connection, READ_LEDGER.sqlite)?;
    let mut rows = statement.query([account])?;
    let (mut ledger, mut grants) = (None, Vec::new());
    while let Some(row) = rows.next()? {
        if ledger.is_none() {
            ledger = Some(ledger_row(row)?);
        }
        grants.extend(grant_row(row)?);
    }
    let read = match ledger {
        Some(ledger) => Ledger::read(ledger, grants),
        None => Ledger::new(account),
    };
    shared.ledgers.insert(account.clone(), read);
    Ok(())
}

fn ledger_row(row: &Row<'_>) -> rusqlite::Result<LedgerRow> {
    Ok(LedgerRow {
        account: row.get(0)?,
        seq: row.get(1)?,
        balance: row.get(2)?,
        held: row.get(3)?,
        granted: row.get(4)?,
        charged: row.get(5)?,
        expired: row.get(6)?,
        adjusted: row.get(7)?,
        at_limit: row.get(8)?,
    })
}

/// None where the account has none with something left.
fn grant_row(row: &Row<'_>) -> rusqlite::Result<Option<GrantRow>> {
    let Some(key) = row.get(9)? else {
        return Ok(None);
    };
    Ok(Some(GrantRow {
        account: row.get(0)?,
        key,
        amount: row.get(10)?,
        remaining: row.get(11)?,
        priority: row.get(12)?,
        expires_at: row.get(13)?,
        created_at: row.get(14)?,
    }))
}

/// The transfers of an admitted row set.
pub(crate) fn put(
    connection: &Connection,
    set: &Prepared,
    moved: &[Moved],
) -> rusqlite::Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let mut add = one(connection, ADD_TRANSFER)?;
    let o = &set.rows.orchestration;
    for m in moved {
        let of = m.of.map(|place| set.rows.money[place].columns());
        let charge = of.as_ref().and_then(|c| c.charge);
        add.execute(params![
            o.account,
            m.seq,
            m.at,
            m.kind,
            m.amount,
            m.hold,
            m.balance,
            m.held,
            of.as_ref().map(|_| &o.id[..]),
            of.as_ref().map(|c| c.step),
            of.as_ref().map(|c| c.agent),
            of.as_ref().map(|c| c.attempt),
            of.as_ref().and_then(|c| c.ordinal),
            of.as_ref().and_then(|c| c.number),
            charge.map(|c| c.tokens),
            charge.map(|c| c.tools),
            charge.map(|c| c.base),
            charge.map(|c| c.used),
            charge.map(|c| c.estimated),
            None::<&str>,
            None::<&str>,
        ])?;
    }
    Ok(())
}

/// The accounts and their grants as they stand after the batch.
pub(crate) fn end(connection: &Connection, shared: &Shared) -> rusqlite::Result<()> {
    for ledger in shared.ledgers.values().filter(|l| l.is_changed()) {
        let row = &ledger.row;
        one(connection, PUT_LEDGER)?.execute(params![
            row.account,
            row.seq,
            row.balance,
            row.held,
            row.granted,
            row.charged,
            row.expired,
            row.adjusted,
            row.at_limit,
        ])?;
        for (key, left) in ledger.used() {
            match left {
                0 => one(connection, SPEND_GRANT)?.execute(params![row.account, key])?,
                left => one(connection, USE_GRANT)?.execute(params![left, row.account, key])?,
            };
        }
    }
    Ok(())
}
