//! The check of money: each account's transfers go on from one another to where its row stands, its grants are what is left, all is zero.

use crate::check::{PAGE, Problem};
use crate::errand::Tx;
use crate::error::StoreError;
use crate::ledgers::{LEDGERS, ledger_row};
use crate::money::{LedgerRow, TransferRow};
use crate::transfers::{AFTER, decode};

/// All accounts' money, as of one moment.
pub(crate) async fn money(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let mut sum = 0_i128;
    for mut r in tx.query(LEDGERS, &[]).await? {
        let ledger = ledger_row(&mut r)?;
        let added = added(tx, &ledger.account).await?;
        let mut found = added.findings;
        let left = left(tx, &ledger.account).await?;
        sum += i128::from(added.row.balance);
        sum -= i128::from(ledger.granted) + i128::from(ledger.adjusted);
        sum += i128::from(ledger.charged) + i128::from(ledger.expired);
        let stands = LedgerRow {
            at_limit: None,
            ..ledger.clone()
        };
        if stands != added.row {
            found.push(format!(
                "stands at {stands:?}, but its transfers add up to {:?}",
                added.row
            ));
        }
        if left != ledger.balance.max(0) {
            let balance = ledger.balance;
            found.push(format!(
                "has a balance of {balance}, but its grants have {left} left"
            ));
        }
        if ledger.held < 0 {
            found.push(format!("holds {}", ledger.held));
        }
        problems.extend(found.into_iter().map(|finding| Problem {
            subject: format!("account {}", ledger.account),
            finding: format!("its money: {finding}"),
        }));
    }
    if sum != 0 {
        problems.push(Problem {
            subject: "all accounts".to_owned(),
            finding: format!("with the other sides of their transfers they sum to {sum}, not to 0"),
        });
    }
    pathless(tx, problems).await?;
    strays(tx, problems).await
}

/// Charges that their orchestration's events do not lead to: nobody who asks what it was charged would find them.
async fn pathless(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    let text = "
        select t.account, t.seq
        from transfer t
        join orchestration o on o.id = t.orchestration
        where t.kind = 'settle'
          and not exists (select 1 from event e
                          where e.orchestration = t.orchestration and e.account = t.account
                            and t.seq > e.transfer - e.transfers and t.seq <= e.transfer)
        order by t.account, t.seq";
    for mut r in tx.query(text, &[]).await? {
        let (account, seq) = (r.text("transfer.account")?, r.int("transfer.seq")?);
        problems.push(Problem {
            subject: format!("account {account}"),
            finding: format!("its money: no event of its orchestration leads to transfer {seq}"),
        });
    }
    Ok(())
}

/// What an account's transfers come to.
struct Added {
    row: LedgerRow,
    findings: Vec<String>,
}

async fn added(tx: &impl Tx, account: &str) -> Result<Added, StoreError> {
    let mut added = Added {
        row: LedgerRow {
            account: account.to_owned(),
            ..LedgerRow::default()
        },
        findings: Vec::new(),
    };
    loop {
        let parameters = [account.into(), added.row.seq.into(), PAGE.into()];
        let page = tx.query(AFTER, &parameters).await?;
        if page.is_empty() {
            return Ok(added);
        }
        for r in page {
            added.add(&decode(r)?);
        }
    }
}

impl Added {
    fn add(&mut self, t: &TransferRow) {
        let (row, seq) = (&mut self.row, t.seq);
        if seq != row.seq + 1 {
            let before = row.seq;
            self.findings
                .push(format!("transfer {seq} follows transfer {before}"));
        }
        row.seq = seq;
        row.balance = row.balance.saturating_add(t.amount);
        row.held = row.held.saturating_add(t.hold);
        match t.kind.as_str() {
            "hold" | "release" if t.amount == 0 => {}
            "settle" if t.charge.and_then(|c| c.total()) == t.amount.checked_neg() => {
                row.charged = row.charged.saturating_sub(t.amount);
            }
            "expire" => row.expired = row.expired.saturating_sub(t.amount),
            "grant" => row.granted = row.granted.saturating_add(t.amount),
            "adjust" => row.adjusted = row.adjusted.saturating_add(t.amount),
            kind => self
                .findings
                .push(format!("transfer {seq} is no {kind} by its amounts")),
        }
        if (t.balance, t.held) != (row.balance, row.held) {
            let (balance, held) = (row.balance, row.held);
            self.findings.push(format!(
                "transfer {seq} leaves {} with {} held, but adds up to {balance} with {held}",
                t.balance, t.held
            ));
            (row.balance, row.held) = (t.balance, t.held);
        }
    }
}

async fn left(tx: &impl Tx, account: &str) -> Result<i64, StoreError> {
    let text = "
        select cast(coalesce(sum(remaining), 0) as bigint)
        from credit_grant
        where account = $1 and spent = 0";
    let mut rows = tx.query(text, &[account.into()]).await?;
    rows.pop().map_or(Ok(0), |mut r| r.int("credit_grant.left"))
}

/// Transfers and grants of accounts that have no row.
async fn strays(tx: &impl Tx, problems: &mut Vec<Problem>) -> Result<(), StoreError> {
    for (table, text) in [
        (
            "transfer",
            "select distinct t.account from transfer t
             where not exists (select 1 from ledger l where l.account = t.account) order by 1",
        ),
        (
            "credit_grant",
            "select distinct t.account from credit_grant t
             where not exists (select 1 from ledger l where l.account = t.account) order by 1",
        ),
    ] {
        for mut r in tx.query(text, &[]).await? {
            problems.push(Problem {
                subject: format!("account {}", r.text("account")?),
                finding: format!("has {table} rows, but no ledger"),
            });
        }
    }
    Ok(())
}
