//! The books of one account, as a function of movements: grants, debt, and what is held back for attempts in flight.
//!
//! The balance is what its grants have left less its debt; available is the balance less what is held. Every movement
//! that changes the balance has another side, so that over all accounts the sum is zero.

use crate::values::credits::Credits;
use crate::values::time::Timestamp;

/// The most that one grant or adjustment may give, or that a charge may take: a hundred million credits.
pub const AMOUNT_MAX: Credits = Credits::from_nano(100_000_000_000_000_000);

/// The most that an account may be given or owe: a tenth of what a row can count.
pub const BALANCE_MAX: Credits = Credits::from_nano(1_000_000_000_000_000_000);

/// Credits given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name within the account: who grants again under the same key grants nothing.
    pub key: String,
    /// What is left of it.
    pub remaining: Credits,
    /// Lower ones are used first.
    pub priority: i32,
    /// When what is left of it lapses; never, where absent.
    pub expires_at: Option<Timestamp>,
    /// When it was given.
    pub created_at: Timestamp,
}

impl Grant {
    /// Whether its time is over.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|expires| expires <= now)
    }

    /// The order of use: by priority, then what expires first, then age, then key.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |grant: &Self| {
            let expires = grant.expires_at.map_or(i64::MAX, |at| at.0);
            (grant.priority, expires, grant.created_at)
        };
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.key.cmp(&other.key))
    }
}

/// One account's books. There is debt only where no grant has anything left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// In the order of use. Used-up ones may be left out, as long as their keys are known elsewhere.
    pub grants: Vec<Grant>,
    /// What was used and no grant covered.
    pub debt: Credits,
    /// Kept back for attempts in flight.
    pub held: Credits,
}

/// A movement in an account's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Keeps back before the work.
    Hold {
        /// How much.
        amount: Credits,
        /// Refused where less is available.
        must_fit: bool,
    },
    /// Takes what was used and gives the hold back.
    Settle {
        /// What was held.
        hold: Credits,
        /// What is taken.
        charge: Credits,
        /// Refused where less is available: nothing was held for it.
        must_fit: bool,
    },
    /// Gives a hold back.
    Release {
        /// What was held.
        hold: Credits,
    },
    /// Takes what is left of grants whose time is over, as far as no hold needs it.
    Expire,
    /// Gives credits.
    Grant(Grant),
    /// Corrects the balance, up or down.
    Adjust {
        /// Its name within the account: the same again changes nothing.
        key: String,
        /// By how much.
        amount: Credits,
    },
}

/// What kind of movement an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kept back.
    Hold,
    /// Taken.
    Settle,
    /// Given back.
    Release,
    /// Lapsed.
    Expire,
    /// Given.
    Grant,
    /// Corrected.
    Adjust,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Hold,
        Self::Settle,
        Self::Release,
        Self::Expire,
        Self::Grant,
        Self::Adjust,
    ];

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Settle => "settle",
            Self::Release => "release",
            Self::Expire => "expire",
            Self::Grant => "grant",
            Self::Adjust => "adjust",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The account on the other side: it changes by as much in the other direction. Holds and releases change no balance.
    pub const fn other_side(self) -> Option<&'static str> {
        match self {
            Self::Hold | Self::Release => None,
            Self::Settle => Some("earned"),
            Self::Expire => Some("expired"),
            Self::Grant => Some("granted"),
            Self::Adjust => Some("adjusted"),
        }
    }
}

/// What a movement did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What kind it was.
    pub kind: Kind,
    /// By how much the balance changed.
    pub amount: Credits,
    /// By how much what is held changed: above zero for a hold, below for what was given back.
    pub held: Credits,
    /// The balance after it.
    pub balance_after: Credits,
    /// What is held after it.
    pub held_after: Credits,
}

/// A movement that the books do not take. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Less is available than is to be held.
    #[error("{available} credits are available, and {needed} are needed")]
    Short {
        /// What was to be held.
        needed: Credits,
        /// What is available; less than nothing where there is debt.
        available: Credits,
    },
    /// A grant under a key that was used before.
    #[error("there is a grant `{0}` already")]
    Repeated(String),
    /// A grant whose time is over before it begins.
    #[error("it would expire at {0}, which is past")]
    Past(Timestamp),
    /// Nothing, less than nothing, or more than can be meant.
    #[error("{0} credits cannot be meant: above 0 and at most 100000000")]
    Amount(Credits),
    /// A grant or a correction after which the account would have more, or owe more, than can be counted exactly.
    #[error("no account has, or owes, more than 1000000000 credits")]
    Balance,
}

impl Account {
    /// What the grants have left less the debt.
    pub fn balance(&self) -> Credits {
        self.remaining().saturating_sub(self.debt)
    }

    /// What may be held at `now`: the balance less what is held, without what is past its time.
    pub fn available(&self, now: Timestamp) -> Credits {
        self.balance()
            .saturating_sub(self.held)
            .saturating_sub(self.expirable(now))
    }

    fn remaining(&self) -> Credits {
        let remaining = self.grants.iter().map(|grant| grant.remaining);
        remaining.fold(Credits::ZERO, Credits::saturating_add)
    }

    /// Whether [`Movement::Expire`] would take anything at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.expirable(now) > Credits::ZERO
    }

    /// What is past its time and needed by no hold.
    fn expirable(&self, now: Timestamp) -> Credits {
        let due = self.grants.iter().filter(|grant| grant.is_due(now));
        let due = due.fold(Credits::ZERO, |sum, grant| {
            sum.saturating_add(grant.remaining)
        });
        let free = self.balance().saturating_sub(self.held);
        due.min(free).max(Credits::ZERO)
    }

    /// Uses `amount`, grant by grant; what none covers becomes debt.
    fn consume(&mut self, amount: Credits) {
        let mut left = amount;
        for grant in &mut self.grants {
            if left == Credits::ZERO {
                return;
            }
            let taken = grant.remaining.min(left);
            grant.remaining = grant.remaining.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
        self.debt = self.debt.saturating_add(left);
    }

    /// Adds a grant in the order of use, less the debt that it pays first.
    fn give(&mut self, mut grant: Grant) {
        let paid = self.debt.min(grant.remaining);
        self.debt = self.debt.saturating_sub(paid);
        grant.remaining = grant.remaining.saturating_sub(paid);
        let place = self
            .grants
            .partition_point(|other| other.order(&grant).is_le());
        self.grants.insert(place, grant);
    }

    fn expire(&mut self, now: Timestamp) {
        let mut left = self.expirable(now);
        for grant in self.grants.iter_mut().filter(|grant| grant.is_due(now)) {
            let taken = grant.remaining.min(left);
            grant.remaining = grant.remaining.saturating_sub(taken);
            left = left.saturating_sub(taken);
        }
    }

    fn give_back(&mut self, hold: Credits) {
        self.held = self.held.saturating_sub(hold).max(Credits::ZERO);
    }
}

fn checked(amount: Credits) -> Result<Credits, Refused> {
    if amount <= Credits::ZERO || amount > AMOUNT_MAX {
        return Err(Refused::Amount(amount));
    }
    Ok(amount)
}

/// What an account may come to have by grants and corrections.
fn in_bounds(balance: Credits) -> Result<(), Refused> {
    if balance > BALANCE_MAX || balance < Credits::ZERO.saturating_sub(BALANCE_MAX) {
        return Err(Refused::Balance);
    }
    Ok(())
}

fn enough(account: &Account, needed: Credits, now: Timestamp) -> Result<(), Refused> {
    let available = account.available(now);
    if needed > available {
        return Err(Refused::Short { needed, available });
    }
    Ok(())
}

fn adjust(
    account: &mut Account,
    key: String,
    amount: Credits,
    now: Timestamp,
) -> Result<(), Refused> {
    if account.grants.iter().any(|known| known.key == key) {
        return Err(Refused::Repeated(key));
    }
    let down = Credits::ZERO.saturating_sub(amount);
    checked(amount.max(down))?;
    in_bounds(account.balance().saturating_add(amount))?;
    if amount < Credits::ZERO {
        account.consume(down);
    } else {
        account.give(Grant {
            key,
            remaining: amount,
            priority: ADJUSTED,
            expires_at: None,
            created_at: now,
        });
    }
    Ok(())
}

/// Moves. Costs a pass over the grants that have something left.
///
/// # Errors
/// Why the books do not take it; then nothing has changed.
pub fn apply(account: &mut Account, movement: Movement, now: Timestamp) -> Result<Entry, Refused> {
    let (balance, held) = (account.balance(), account.held);
    let kind = match movement {
        Movement::Hold { amount, must_fit } => {
            if must_fit {
                enough(account, amount, now)?;
            }
            account.held = account.held.saturating_add(amount);
            Kind::Hold
        }
        Movement::Settle {
            hold,
            charge,
            must_fit,
        } => {
            if must_fit {
                enough(account, charge.saturating_sub(hold), now)?;
            }
            account.give_back(hold);
            account.consume(charge);
            Kind::Settle
        }
        Movement::Release { hold } => {
            account.give_back(hold);
            Kind::Release
        }
        Movement::Expire => {
            account.expire(now);
            Kind::Expire
        }
        Movement::Grant(grant) => {
            checked(grant.remaining)?;
            if account.grants.iter().any(|known| known.key == grant.key) {
                return Err(Refused::Repeated(grant.key));
            }
            if let Some(expires) = grant.expires_at.filter(|_| grant.is_due(now)) {
                return Err(Refused::Past(expires));
            }
            in_bounds(balance.saturating_add(grant.remaining))?;
            account.give(grant);
            Kind::Grant
        }
        Movement::Adjust { key, amount } => {
            adjust(account, key, amount, now)?;
            Kind::Adjust
        }
    };
    let (balance_after, held_after) = (account.balance(), account.held);
    Ok(Entry {
        kind,
        amount: balance_after.saturating_sub(balance),
        held: held_after.saturating_sub(held),
        balance_after,
        held_after,
    })
}

/// The priority of what an adjustment gave: after grants that say nothing else.
pub const ADJUSTED: i32 = 100;
