//! Errands of money: grants, adjustments, what expires, bounds. Each locks its account as a batch does.

use domain::money::ledger::{Grant, Movement, Refused};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;

use crate::errand::{Numbers, Tx};
use crate::errand_quota;
use crate::error::StoreError;
use crate::ledger::{Ledger, Moved};
use crate::ledgers::balance;
use crate::money::{Given, NewAdjustment, NewGrant, QuotaRow, Recount};
use crate::money_statements::{
    ADD_GRANT, ADD_TRANSFER, PUT_LEDGER, READ_LEDGER, SPEND_GRANT, USE_GRANT,
};
use crate::record::Value;

/// An errand of money.
pub(crate) enum MoneyErrand {
    /// What became of it, as `Given` in numbers.
    Grant(NewGrant),
    /// The same.
    Adjust(NewAdjustment),
    /// Account, what happens to what does not fit, and when: 1.
    AtLimit(String, Option<String>, i64),
    /// Now, and how many accounts at most: how many had something that expired.
    Expire(i64, i64),
    /// A bound, or no such bound any more: 1 where something changed.
    Quota(QuotaRow, bool),
    /// Now: how many counters of quotas were for times long past.
    OldQuotas(i64),
    /// Of one account: what counters must hold of it: how many were set.
    Recount(String, Vec<Recount>),
    /// Target, account and number: 1.
    Exported(String, String, i64),
}

/// Does it, inside a transaction that the caller began and will end.
pub(crate) async fn perform(tx: &impl Tx, errand: &MoneyErrand) -> Result<Numbers, StoreError> {
    let one = match errand {
        MoneyErrand::Grant(grant) => return give(tx, grant).await,
        MoneyErrand::Adjust(adjustment) => return adjust(tx, adjustment).await,
        MoneyErrand::AtLimit(account, at_limit, at) => {
            let mut ledger = lock(tx, account, *at).await?;
            ledger.row.at_limit.clone_from(at_limit);
            write(tx, &ledger, &[], None).await?;
            1
        }
        MoneyErrand::Expire(now, limit) => expire(tx, *now, *limit).await?,
        MoneyErrand::Quota(row, set) => errand_quota::set(tx, row, *set).await?,
        MoneyErrand::OldQuotas(now) => errand_quota::drop_old(tx, *now).await?,
        MoneyErrand::Recount(account, counts) => errand_quota::recount(tx, account, counts).await?,
        MoneyErrand::Exported(target, account, seq) => {
            let text = "
                insert into credit_export (target, account, seq)
                values ($1, $2, $3)
                on conflict (target, account) do update set seq = excluded.seq
                where credit_export.seq < excluded.seq";
            let parameters = [
                target.as_str().into(),
                account.as_str().into(),
                (*seq).into(),
            ];
            tx.execute(text, &parameters).await?
        }
    };
    Ok([one, 0, 0])
}

/// The account's money, locked, and made where it is not there.
async fn lock(tx: &impl Tx, account: &str, at: i64) -> Result<Ledger, StoreError> {
    let text = "
        insert into account (id, feed, pruned, created_at)
        values ($1, 0, 0, $2)
        on conflict (id) do nothing";
    tx.execute(text, &[account.into(), at.into()]).await?;
    let text = "update account set pruned = pruned where id = $1";
    tx.execute(text, &[account.into()]).await?;
    let found = tx.query(READ_LEDGER.sqlite, &[account.into()]).await?;
    Ok(match balance(found)? {
        Some(found) => Ledger::read(found.ledger, found.grants),
        None => Ledger::new(account),
    })
}

/// What was granted or adjusted under this key before: its number, kind and amount.
async fn known(
    tx: &impl Tx,
    account: &str,
    key: &str,
) -> Result<Option<(i64, String, i64)>, StoreError> {
    let text = "select seq, kind, amount from transfer where account = $1 and key = $2";
    let mut found = tx.query(text, &[account.into(), key.into()]).await?;
    let Some(mut r) = found.pop() else {
        return Ok(None);
    };
    Ok(Some((
        r.int("transfer.seq")?,
        r.text("transfer.kind")?,
        r.int("transfer.amount")?,
    )))
}

/// A key and what is said with it.
type Said<'a> = (&'a str, &'a str);

async fn give(tx: &impl Tx, grant: &NewGrant) -> Result<Numbers, StoreError> {
    let movement = Movement::Grant(Grant {
        key: grant.key.clone(),
        remaining: Credits::from_nano(grant.amount),
        priority: grant.priority,
        expires_at: grant.expires_at.map(Timestamp),
        created_at: Timestamp(grant.at),
    });
    let said = (grant.key.as_str(), grant.note.as_str());
    once(tx, &grant.account, said, grant.amount, movement, grant.at).await
}

async fn adjust(tx: &impl Tx, adjustment: &NewAdjustment) -> Result<Numbers, StoreError> {
    let NewAdjustment {
        account,
        key,
        amount,
        note,
        at,
    } = adjustment;
    let movement = Movement::Adjust {
        key: key.clone(),
        amount: Credits::from_nano(*amount),
    };
    once(tx, account, (key, note), *amount, movement, *at).await
}

/// A movement that has a key, once. What is past its time expires first.
async fn once(
    tx: &impl Tx,
    account: &str,
    said: Said<'_>,
    amount: i64,
    movement: Movement,
    at: i64,
) -> Result<Numbers, StoreError> {
    let mut ledger = lock(tx, account, at).await?;
    let kind = match &movement {
        Movement::Grant(_) => "grant",
        _ => "adjust",
    };
    if let Some((seq, before, given)) = known(tx, account, said.0).await? {
        let same = before == kind && given == amount;
        return Ok(if same {
            Given::Known(seq)
        } else {
            Given::Conflict(seq)
        }
        .numbers());
    }
    let mut moved = Vec::new();
    ledger.expire(Timestamp(at), &mut moved);
    let refused = |e: Refused| StoreError::Refused(e.to_string());
    let done = ledger.movement(movement, Timestamp(at)).map_err(refused)?;
    moved.push(done);
    write(tx, &ledger, &moved, Some(said)).await?;
    if let Some(grant) = ledger.grant(said.0) {
        let left = grant.remaining.nano();
        let parameters = [
            account.into(),
            said.0.into(),
            amount.into(),
            left.into(),
            i64::from(grant.priority).into(),
            grant.expires_at.map(|at| at.0).into(),
            at.into(),
            i64::from(left == 0).into(),
        ];
        tx.execute(ADD_GRANT, &parameters).await?;
    }
    Ok(Given::New(done.seq).numbers())
}

/// Writes an account, its grants and its transfers; the last one with key and note.
async fn write(
    tx: &impl Tx,
    ledger: &Ledger,
    moved: &[Moved],
    said: Option<Said<'_>>,
) -> Result<(), StoreError> {
    let row = &ledger.row;
    let account = || Value::from(row.account.as_str());
    let parameters = [
        account(),
        row.seq.into(),
        row.balance.into(),
        row.held.into(),
        row.granted.into(),
        row.charged.into(),
        row.expired.into(),
        row.adjusted.into(),
        row.at_limit.as_deref().into(),
    ];
    tx.execute(PUT_LEDGER, &parameters).await?;
    for (key, left) in ledger.used() {
        match left {
            0 => tx.execute(SPEND_GRANT, &[account(), key.into()]).await?,
            left => {
                let parameters = [left.into(), account(), key.into()];
                tx.execute(USE_GRANT, &parameters).await?
            }
        };
    }
    for m in moved {
        let mut parameters = vec![
            account(),
            m.seq.into(),
            m.at.into(),
            m.kind.into(),
            m.amount.into(),
            m.hold.into(),
            m.balance.into(),
            m.held.into(),
        ];
        parameters.resize(19, Value::Null);
        let said = said.filter(|_| m.seq == row.seq);
        parameters.push(said.map(|(key, _)| key).into());
        parameters.push(said.map(|(_, note)| note).into());
        tx.execute(ADD_TRANSFER, &parameters).await?;
    }
    Ok(())
}

/// Accounts in the order of their ids, as a batch locks them.
async fn expire(tx: &impl Tx, now: i64, limit: i64) -> Result<u64, StoreError> {
    let text = "
        select distinct account
        from (select account from credit_grant where spent = 0 and expires_at <= $1 order by expires_at, account limit $2) as due
        order by account";
    let mut expired = 0;
    for mut r in tx.query(text, &[now.into(), limit.into()]).await? {
        let account = r.text("credit_grant.account")?;
        let mut ledger = lock(tx, &account, now).await?;
        let mut moved = Vec::new();
        ledger.expire(Timestamp(now), &mut moved);
        if ledger.is_changed() {
            write(tx, &ledger, &moved, None).await?;
            expired += 1;
        }
    }
    Ok(expired)
}

impl Given {
    fn numbers(self) -> Numbers {
        let (what, seq) = match self {
            Self::New(seq) => (0, seq),
            Self::Known(seq) => (1, seq),
            Self::Conflict(seq) => (2, seq),
        };
        [what, seq.unsigned_abs(), 0]
    }

    pub(crate) fn read([what, seq, _]: Numbers) -> Self {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        match what {
            0 => Self::New(seq),
            1 => Self::Known(seq),
            _ => Self::Conflict(seq),
        }
    }
}
