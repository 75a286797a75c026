//! Money in memory while it is written: an account as it was read, moved by the domain's ledger, and the transfers that come of it.

use std::sync::Arc;

use domain::money::ledger::{AMOUNT_MAX, Account, Entry, Grant, Kind, Movement, Refused, apply};
use domain::values::credits::Credits;
use domain::values::time::Timestamp;

use crate::error::StoreError;
use crate::money::{ChargeColumns, GrantRow, LedgerRow, MoneyChange};
use crate::prepare::Prepared;
use crate::write::CommitError;

/// An account's money in a transaction that holds the account's lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// As it shall stand.
    pub(crate) row: LedgerRow,
    account: Account,
    /// What was left of each grant when it was read, by key.
    read: Arc<Vec<(String, i64)>>,
    changed: bool,
}

/// A transfer in numbers; what else its row has stands in the change that it comes of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moved {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) kind: &'static str,
    pub(crate) amount: i64,
    pub(crate) hold: i64,
    pub(crate) balance: i64,
    pub(crate) held: i64,
    /// The place of its change in the row set; none for what expired meanwhile.
    pub(crate) of: Option<usize>,
}

impl Ledger {
    /// An account that has none yet.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            row: LedgerRow {
                account: account.to_owned(),
                ..LedgerRow::default()
            },
            ..Self::default()
        }
    }

    /// As it was read; `grants` are those with something left, in the order of their use.
    pub(crate) fn read(row: LedgerRow, grants: Vec<GrantRow>) -> Self {
        let left: Vec<_> = grants
            .iter()
            .map(|g| (g.key.clone(), g.remaining))
            .collect();
        let debt = row.balance.min(0).saturating_neg();
        let grants = grants.into_iter().map(|g| Grant {
            key: g.key,
            remaining: Credits::from_nano(g.remaining),
            priority: g.priority,
            expires_at: g.expires_at.map(Timestamp),
            created_at: Timestamp(g.created_at),
        });
        Self {
            account: Account {
                grants: grants.collect(),
                debt: Credits::from_nano(debt),
                held: Credits::from_nano(row.held),
            },
            row,
            read: Arc::new(left),
            changed: false,
        }
    }

    /// Whether it must be written.
    pub(crate) const fn is_changed(&self) -> bool {
        self.changed
    }

    /// Grants that something was taken from: key and what is left.
    pub(crate) fn used(&self) -> impl Iterator<Item = (&str, i64)> {
        // Both are in the order of use; only a grant of now was not read.
        let mut read = self.read.iter().peekable();
        self.account.grants.iter().filter_map(move |grant| {
            let (_, before) = read.next_if(|(key, _)| *key == grant.key)?;
            let left = grant.remaining.nano();
            (*before != left).then_some((grant.key.as_str(), left))
        })
    }

    /// The grant of this key, as it stands.
    pub(crate) fn grant(&self, key: &str) -> Option<&Grant> {
        self.account.grants.iter().find(|grant| grant.key == key)
    }

    /// All that a row set changes, in order; what is past its time expires first.
    pub(crate) fn change(
        &mut self,
        set: &Prepared,
        moved: &mut Vec<Moved>,
    ) -> Result<(), CommitError> {
        let changes = &set.rows.money;
        let Some(first) = changes.first() else {
            return Ok(());
        };
        if self.row.account.is_empty() {
            self.row.account.clone_from(&set.rows.orchestration.account);
        }
        let now = Timestamp(first.at());
        let (available, held) = (self.account.available(now).nano(), self.row.held);
        self.expire(now, moved);
        for (place, change) in changes.iter().enumerate() {
            let done = self.movement(change.movement(), Timestamp(change.at()));
            match done {
                Ok(done) => moved.push(Moved {
                    of: Some(place),
                    ..done
                }),
                Err(Refused::Short { needed, .. }) => {
                    return Err(CommitError::Short {
                        account: self.row.account.clone(),
                        needed: needed.nano(),
                        available,
                        held,
                        at_limit: self.row.at_limit.clone(),
                    });
                }
                Err(other) => return Err(StoreError::Refused(other.to_string()).into()),
            }
        }
        Ok(())
    }

    /// Takes what is past its time and needed by no hold.
    pub(crate) fn expire(&mut self, now: Timestamp, moved: &mut Vec<Moved>) {
        if self.account.is_due(now) {
            moved.extend(self.movement(Movement::Expire, now));
        }
    }

    /// One movement, as the account's next transfer.
    pub(crate) fn movement(
        &mut self,
        movement: Movement,
        now: Timestamp,
    ) -> Result<Moved, Refused> {
        let entry = apply(&mut self.account, movement, now)?;
        Ok(self.entered(&entry, now))
    }

    fn entered(&mut self, entry: &Entry, now: Timestamp) -> Moved {
        let (row, amount) = (&mut self.row, entry.amount.nano());
        match entry.kind {
            Kind::Hold | Kind::Release => {}
            Kind::Settle => row.charged = row.charged.saturating_sub(amount),
            Kind::Expire => row.expired = row.expired.saturating_sub(amount),
            Kind::Grant => row.granted = row.granted.saturating_add(amount),
            Kind::Adjust => row.adjusted = row.adjusted.saturating_add(amount),
        }
        row.seq += 1;
        row.balance = entry.balance_after.nano();
        row.held = entry.held_after.nano();
        self.changed = true;
        Moved {
            seq: row.seq,
            at: now.0,
            kind: entry.kind.name(),
            amount,
            hold: entry.held.nano(),
            balance: row.balance,
            held: row.held,
            of: None,
        }
    }
}

/// What of a change stands in its transfer's row as it is.
#[derive(Debug)]
pub(crate) struct Columns<'s> {
    pub(crate) step: &'s str,
    pub(crate) agent: &'s str,
    pub(crate) attempt: i64,
    pub(crate) ordinal: Option<i64>,
    pub(crate) number: Option<i64>,
    pub(crate) charge: Option<&'s ChargeColumns>,
}

impl MoneyChange {
    pub(crate) fn columns(&self) -> Columns<'_> {
        let (Self::Hold {
            step,
            agent,
            attempt,
            ..
        }
        | Self::Settle {
            step,
            agent,
            attempt,
            ..
        }
        | Self::Release {
            step,
            agent,
            attempt,
            ..
        }) = self;
        let (ordinal, number, charge) = match self {
            Self::Settle {
                ordinal,
                number,
                charge,
                ..
            } => (Some(*ordinal), Some(*number), Some(charge)),
            Self::Hold { .. } | Self::Release { .. } => (None, None, None),
        };
        Columns {
            step,
            agent,
            attempt: *attempt,
            ordinal,
            number,
            charge,
        }
    }

    const fn at(&self) -> i64 {
        let (Self::Hold { at, .. } | Self::Settle { at, .. } | Self::Release { at, .. }) = self;
        *at
    }

    fn movement(&self) -> Movement {
        let credits = Credits::from_nano;
        match self {
            Self::Hold {
                amount, must_fit, ..
            } => Movement::Hold {
                amount: credits(*amount),
                must_fit: *must_fit,
            },
            Self::Settle {
                hold,
                charge,
                must_fit,
                ..
            } => Movement::Settle {
                hold: credits(*hold),
                charge: credits(charge.total().unwrap_or(i64::MAX)),
                must_fit: *must_fit,
            },
            Self::Release { hold, .. } => Movement::Release {
                hold: credits(*hold),
            },
        }
    }
}

/// Nothing below zero, nothing absurd.
///
/// # Errors
/// `Refused`, naming the step.
pub(crate) fn check_amounts(money: &[MoneyChange]) -> Result<(), StoreError> {
    let fine = |amount: i64| (0..=AMOUNT_MAX.nano()).contains(&amount);
    for change in money {
        let (step, sound) = match change {
            MoneyChange::Hold { step, amount, .. } => (step, fine(*amount)),
            MoneyChange::Release { step, hold, .. } => (step, fine(*hold)),
            MoneyChange::Settle {
                step, hold, charge, ..
            } => {
                let parts = [charge.tokens, charge.tools, charge.base];
                let total = charge.total().is_some_and(fine);
                (step, fine(*hold) && total && parts.into_iter().all(fine))
            }
        };
        if !sound {
            return Err(StoreError::Refused(format!(
                "the money of step {step} is below zero or more than can be meant"
            )));
        }
    }
    Ok(())
}
