//! Rows of money, and what a row set does to it. Amounts are nano-credits, times microseconds.

use crate::rows::Id;

/// What a row set does to its account's money, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoneyChange {
    /// Credits are kept back for an attempt.
    Hold {
        /// Id of the step.
        step: String,
        /// The agent.
        agent: String,
        /// The attempt.
        attempt: i64,
        /// How much; more than 0.
        amount: i64,
        /// Whether the row set is refused when the account has not so much available.
        must_fit: bool,
        /// When, in microseconds.
        at: i64,
    },
    /// What an attempt used is taken, and what was kept back for it given back. One that used nothing is a `Release`.
    Settle {
        /// Id of the step.
        step: String,
        /// The agent.
        agent: String,
        /// The attempt.
        attempt: i64,
        /// Which of the attempt's charges, from 0: with orchestration, step and attempt it is charged once.
        ordinal: i64,
        /// The step's number in the order of starting.
        number: i64,
        /// What was kept back for it and is given back; 0 for nothing.
        hold: i64,
        /// What is taken.
        charge: ChargeColumns,
        /// Whether the row set is refused when the account has not so much available: where nothing was kept back for it.
        must_fit: bool,
        /// When, in microseconds.
        at: i64,
    },
    /// What was kept back for an attempt is given back.
    Release {
        /// Id of the step.
        step: String,
        /// The agent.
        agent: String,
        /// The attempt.
        attempt: i64,
        /// How much; more than 0.
        hold: i64,
        /// When, in microseconds.
        at: i64,
    },
}

/// The parts of a charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChargeColumns {
    /// For tokens, in nano-credits.
    pub tokens: i64,
    /// For calls of tools, in nano-credits.
    pub tools: i64,
    /// The base, in nano-credits.
    pub base: i64,
    /// How many tokens were used.
    pub used: i64,
    /// Whether usage or price was estimated.
    pub estimated: bool,
}

impl ChargeColumns {
    /// All parts together, in nano-credits; `None` where that is more than can be held.
    pub fn total(&self) -> Option<i64> {
        self.tokens.checked_add(self.tools)?.checked_add(self.base)
    }
}

/// How an account stands. `balance + charged + expired = granted + adjusted`, always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerRow {
    /// The account.
    pub account: String,
    /// Number of its last transfer.
    pub seq: i64,
    /// What it has; below zero is debt.
    pub balance: i64,
    /// What of it is kept back for attempts.
    pub held: i64,
    /// All that was ever granted.
    pub granted: i64,
    /// All that was ever charged.
    pub charged: i64,
    /// All that ever expired.
    pub expired: i64,
    /// All adjustments together; may be below zero.
    pub adjusted: i64,
    /// What happens to what does not fit, in the words of the domain; none: as the program is configured.
    pub at_limit: Option<String>,
}

impl LedgerRow {
    /// What is free to be held; below zero when more is held than there is.
    pub const fn available(&self) -> i64 {
        self.balance.saturating_sub(self.held)
    }
}

/// What was granted, and what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// The account.
    pub account: String,
    /// Its name in the account.
    pub key: String,
    /// How much it was; 0 for one that an adjustment made.
    pub amount: i64,
    /// What is left.
    pub remaining: i64,
    /// Lower is used first.
    pub priority: i32,
    /// When what is left expires, in microseconds.
    pub expires_at: Option<i64>,
    /// When it was given, in microseconds.
    pub created_at: i64,
}

/// One change of an account's balance or of what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRow {
    /// The account.
    pub account: String,
    /// Its number in the account: 1, 2, 3, … without a gap.
    pub seq: i64,
    /// When, in microseconds.
    pub at: i64,
    /// `hold`, `settle`, `release`, `expire`, `grant` or `adjust`.
    pub kind: String,
    /// The change of the balance: below zero for `settle` and `expire`, 0 for `hold` and `release`.
    pub amount: i64,
    /// The change of what is held.
    pub hold: i64,
    /// The balance after it.
    pub balance: i64,
    /// What is held after it.
    pub held: i64,
    /// The orchestration, of `hold`, `settle` and `release`.
    pub orchestration: Option<Id>,
    /// The step, of the same.
    pub step: Option<String>,
    /// The agent, of the same.
    pub agent: Option<String>,
    /// The attempt, of the same.
    pub attempt: Option<i64>,
    /// Of `settle` which of the attempt's charges.
    pub ordinal: Option<i64>,
    /// Of `settle` the step's number in the order of starting.
    pub number: Option<i64>,
    /// Of `settle` its parts.
    pub charge: Option<ChargeColumns>,
    /// Of `grant` and `adjust` what makes a repeated one the same.
    pub key: Option<String>,
    /// Of `grant` and `adjust` what was said with it.
    pub note: Option<String>,
}

/// Credits to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// The account, made where it is not there.
    pub account: String,
    /// A grant with the same key is given once.
    pub key: String,
    /// How much; more than 0.
    pub amount: i64,
    /// Lower is used first.
    pub priority: i32,
    /// When what is left expires, in microseconds; after `at`.
    pub expires_at: Option<i64>,
    /// Something to show.
    pub note: String,
    /// When, in microseconds.
    pub at: i64,
}

/// A correction of a balance by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdjustment {
    /// The account, made where it is not there.
    pub account: String,
    /// An adjustment with the same key is made once.
    pub key: String,
    /// By how much, up or down; not 0.
    pub amount: i64,
    /// Something to show.
    pub note: String,
    /// When, in microseconds.
    pub at: i64,
}

/// What became of a grant or an adjustment; each with the number of its transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It stands now.
    New(i64),
    /// It stood already, with the same key and amount.
    Known(i64),
    /// Another amount or kind has this key.
    Conflict(i64),
}

/// A bound on what an account may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaRow {
    /// The account.
    pub account: String,
    /// The agent, or `*` for all together.
    pub agent: String,
    /// `hour`, `day` or `month`.
    pub per: String,
    /// `count` of attempts, or `nano` for credits.
    pub counts: String,
    /// The most of it.
    pub most: i64,
}

/// A counter of a quota that is to be set to what the account's transfers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recount {
    /// The counter.
    pub key: String,
    /// The agent; none for all together.
    pub agent: Option<String>,
    /// When its hour, day or month began, in microseconds.
    pub from: i64,
    /// Whether it counts nano-credits, not attempts.
    pub credits: bool,
}
