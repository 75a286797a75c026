//! Credits: what accounts have, what moved them, and what an operator does to them.

use domain::money::budget::AtLimit;
use domain::money::ledger::Kind;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::money::{Given, GrantRow, LedgerRow, NewAdjustment, NewGrant, TransferRow};
use store::transfers::TransferFilter;
use uuid::Uuid;

use crate::days;
use crate::handle::Engine;

/// Under which key the account `system` gets its first grant.
pub const INITIAL: &str = "initial";

/// The priority of a grant that does not say its own.
pub const PRIORITY: i32 = 50;

/// What was not done to an account, and why.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CreditsError {
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
    /// It cannot be meant.
    #[error("{0}")]
    Refused(String),
    /// The key was used before, for something else.
    #[error("the key `{0}` was used for another amount or deed before")]
    Conflict(String),
}

impl From<StoreError> for CreditsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(why) => Self::Refused(why),
            error => Self::Store(error),
        }
    }
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose.
    pub account: AccountId,
    /// What its grants have left less its debt.
    pub balance: Credits,
    /// Kept back for attempts in flight.
    pub held: Credits,
    /// The balance less what is held: what the next attempt may hold.
    pub available: Credits,
    /// What was used and no grant covered.
    pub debt: Credits,
    /// All that it was ever charged.
    pub charged: Credits,
    /// What happens to a step that does not fit.
    pub at_limit: AtLimit,
    /// Grants with something left, in the order of their use; empty in lists of accounts.
    pub grants: Vec<Grant>,
}

/// Credits given, of which something is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its name within the account.
    pub key: String,
    /// How much was given.
    pub amount: Credits,
    /// What is left of it.
    pub remaining: Credits,
    /// Lower ones are used first.
    pub priority: i32,
    /// When what is left lapses.
    pub expires_at: Option<Timestamp>,
    /// When it was given.
    pub created_at: Timestamp,
}

/// Which entries of a history are wanted; the default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these of one kind.
    pub kind: Option<Kind>,
    /// Only these of one orchestration.
    pub orchestration: Option<OrchestrationId>,
    /// Only these of one agent.
    pub agent: Option<String>,
    /// Only these of one step.
    pub step: Option<String>,
    /// Only these from this time on.
    pub from: Option<Timestamp>,
    /// Only these before this time.
    pub to: Option<Timestamp>,
}

/// One movement of an account's credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the account: 1, 2, 3 … without gaps.
    pub seq: i64,
    /// What kind of movement.
    pub kind: Kind,
    /// By how much the balance changed.
    pub amount: Credits,
    /// By how much what is held changed.
    pub hold: Credits,
    /// The balance after it.
    pub balance: Credits,
    /// What is held after it.
    pub held: Credits,
    /// When.
    pub at: Timestamp,
    /// For which orchestration.
    pub orchestration: Option<OrchestrationId>,
    /// For which step.
    pub step: Option<String>,
    /// For which agent.
    pub agent: Option<String>,
    /// For which attempt; 0 where a result took none.
    pub attempt: Option<u32>,
    /// Which charge of that attempt.
    pub ordinal: Option<u32>,
    /// The step's number in the order of starting.
    pub number: Option<u32>,
    /// The parts of a charge.
    pub parts: Option<Parts>,
    /// What makes a repeated grant or adjustment the same one.
    pub key: Option<String>,
    /// Said with it.
    pub note: Option<String>,
}

/// The parts of a charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// For tokens.
    pub llm_tokens: Credits,
    /// For calls of tools.
    pub tool_executions: Credits,
    /// The flat part.
    pub base: Credits,
    /// How many tokens were used in all.
    pub tokens_used: u64,
    /// Whether the tokens' part is an estimate.
    pub estimated: bool,
}

/// What an agent was charged on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaySum {
    /// The day in UTC: `2026-11-23`.
    pub day: String,
    /// The agent.
    pub agent: String,
    /// What it was charged.
    pub charged: Credits,
    /// How many charges.
    pub charges: i64,
    /// Tokens used.
    pub tokens_used: i64,
}

/// A grant to be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantOrder {
    /// Given once, however often it is asked for under the same key.
    pub key: String,
    /// How much; above 0.
    pub amount: Credits,
    /// Lower ones are used first; see [`PRIORITY`].
    pub priority: i32,
    /// When what is left of it lapses.
    pub expires_at: Option<Timestamp>,
    /// Said with it.
    pub note: String,
}

/// What became of a grant or an adjustment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Whether it was not there before.
    pub new: bool,
    /// How the account stands now.
    pub balance: Balance,
}

/// How an account stands: with zeros, where nothing ever moved its credits.
///
/// # Errors
/// When the database fails.
pub async fn balance(engine: &Engine, account: &AccountId) -> Result<Balance, CreditsError> {
    let found = engine.store.balance(account.as_str()).await?;
    Ok(match found {
        Some(found) => standing(account.clone(), &found.ledger, found.grants),
        None => standing(account.clone(), &LedgerRow::default(), Vec::new()),
    })
}

/// How all accounts stand whose credits ever moved, by name and without their grants.
///
/// # Errors
/// When the database fails.
pub async fn balances(engine: &Engine) -> Result<Vec<Balance>, CreditsError> {
    let rows = engine.store.ledgers().await?;
    let standing = |row: LedgerRow| {
        let account = AccountId::new(&row.account).ok()?;
        Some(standing(account, &row, Vec::new()))
    };
    Ok(rows.into_iter().filter_map(standing).collect())
}

fn standing(account: AccountId, row: &LedgerRow, grants: Vec<GrantRow>) -> Balance {
    let (balance, held) = (
        Credits::from_nano(row.balance),
        Credits::from_nano(row.held),
    );
    let grant = |row: GrantRow| Grant {
        key: row.key,
        amount: Credits::from_nano(row.amount),
        remaining: Credits::from_nano(row.remaining),
        priority: row.priority,
        expires_at: row.expires_at.map(Timestamp),
        created_at: Timestamp(row.created_at),
    };
    Balance {
        account,
        balance,
        held,
        available: balance.saturating_sub(held),
        debt: Credits::ZERO.saturating_sub(balance).max(Credits::ZERO),
        charged: Credits::from_nano(row.charged),
        at_limit: row
            .at_limit
            .as_deref()
            .and_then(AtLimit::named)
            .unwrap_or_default(),
        grants: grants.into_iter().map(grant).collect(),
    }
}

/// What moved an account's credits, the newest first: those before the entry numbered `before`, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn history(
    engine: &Engine,
    account: &AccountId,
    filter: &Filter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Entry>, CreditsError> {
    let filter = stored(filter);
    let rows = engine
        .store
        .history(account.as_str(), &filter, before, limit);
    Ok(rows.await?.into_iter().filter_map(entry).collect())
}

/// The same, the oldest first: those after the entry numbered `after`.
///
/// # Errors
/// When the database fails.
pub async fn history_from(
    engine: &Engine,
    account: &AccountId,
    filter: &Filter,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>, CreditsError> {
    let filter = stored(filter);
    let rows = engine
        .store
        .history_after(account.as_str(), &filter, after, limit);
    Ok(rows.await?.into_iter().filter_map(entry).collect())
}

/// What an account was charged, by day and agent.
///
/// # Errors
/// When the database fails.
pub async fn by_day(
    engine: &Engine,
    account: &AccountId,
    filter: &Filter,
) -> Result<Vec<DaySum>, CreditsError> {
    let rows = engine
        .store
        .charged_by_day(account.as_str(), &stored(filter))
        .await?;
    let sums = rows.into_iter().map(|row| DaySum {
        day: days::date(row.day),
        agent: row.agent,
        charged: Credits::from_nano(row.charged),
        charges: row.charges,
        tokens_used: row.used,
    });
    Ok(sums.collect())
}

/// All that an orchestration was charged, in order.
///
/// # Errors
/// When the database fails.
pub async fn of_orchestration(
    engine: &Engine,
    id: OrchestrationId,
) -> Result<Vec<Entry>, CreditsError> {
    let rows = engine.store.credits_of(*id.0.as_bytes()).await?;
    Ok(rows.into_iter().filter_map(entry).collect())
}

fn stored(filter: &Filter) -> TransferFilter {
    TransferFilter {
        kind: filter.kind.map(|kind| kind.name().to_owned()),
        orchestration: filter.orchestration.map(|id| *id.0.as_bytes()),
        step: filter.step.clone(),
        agent: filter.agent.clone(),
        from: filter.from.map(|at| at.0),
        to: filter.to.map(|at| at.0),
    }
}

/// A transfer as it is shown; nothing for one of a kind that a newer program wrote.
pub(crate) fn entry(row: TransferRow) -> Option<Entry> {
    let small = |number: Option<i64>| number.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    Some(Entry {
        seq: row.seq,
        kind: Kind::named(&row.kind)?,
        amount: Credits::from_nano(row.amount),
        hold: Credits::from_nano(row.hold),
        balance: Credits::from_nano(row.balance),
        held: Credits::from_nano(row.held),
        at: Timestamp(row.at),
        orchestration: row
            .orchestration
            .map(|id| OrchestrationId(Uuid::from_bytes(id))),
        step: row.step,
        agent: row.agent,
        attempt: small(row.attempt),
        ordinal: small(row.ordinal),
        number: small(row.number),
        parts: row.charge.map(|charge| Parts {
            llm_tokens: Credits::from_nano(charge.tokens),
            tool_executions: Credits::from_nano(charge.tools),
            base: Credits::from_nano(charge.base),
            tokens_used: charge.used.unsigned_abs(),
            estimated: charge.estimated,
        }),
        key: row.key,
        note: row.note,
    })
}

/// Gives credits, once a key. They pay debt first.
///
/// # Errors
/// An amount that cannot be meant, an expiry that is past, a key of another grant; or the database failed.
pub async fn grant(
    engine: &Engine,
    account: &AccountId,
    order: GrantOrder,
) -> Result<Granted, CreditsError> {
    let given = engine.store.grant(NewGrant {
        account: account.as_str().to_owned(),
        key: order.key.clone(),
        amount: order.amount.nano(),
        priority: order.priority,
        expires_at: order.expires_at.map(|at| at.0),
        note: order.note,
        at: engine.clock.now().0,
    });
    granted(engine, account, order.key, given.await?).await
}

/// Corrects a balance, up or down, once a key.
///
/// # Errors
/// An amount that cannot be meant, a key of something else; or the database failed.
pub async fn adjust(
    engine: &Engine,
    account: &AccountId,
    key: String,
    amount: Credits,
    note: String,
) -> Result<Granted, CreditsError> {
    let given = engine.store.adjust(NewAdjustment {
        account: account.as_str().to_owned(),
        key: key.clone(),
        amount: amount.nano(),
        note,
        at: engine.clock.now().0,
    });
    granted(engine, account, key, given.await?).await
}

async fn granted(
    engine: &Engine,
    account: &AccountId,
    key: String,
    given: Given,
) -> Result<Granted, CreditsError> {
    let new = match given {
        Given::New(_) => true,
        Given::Known(_) => false,
        Given::Conflict(_) => return Err(CreditsError::Conflict(key)),
    };
    // Whoever waits for credits may find some now.
    engine.shortages.forget(account);
    engine.work.look();
    let balance = balance(engine, account).await?;
    Ok(Granted { new, balance })
}

/// Says what happens to steps that do not fit what the account has.
///
/// # Errors
/// When the database fails.
pub async fn set_at_limit(
    engine: &Engine,
    account: &AccountId,
    at_limit: AtLimit,
) -> Result<(), CreditsError> {
    let now = engine.clock.now().0;
    let set = engine
        .store
        .set_at_limit(account.as_str(), Some(at_limit.name()), now);
    set.await?;
    engine.shortages.forget(account);
    engine.work.look();
    Ok(())
}

/// Gives the account `system` what it begins with, once on each database.
///
/// # Errors
/// When the database fails.
pub(crate) async fn begin(engine: &Engine) -> Result<(), StoreError> {
    let amount = engine.billing.initial_grant;
    if amount <= Credits::ZERO {
        return Ok(());
    }
    let system = AccountId::system();
    // Its key tells: with another amount configured since, what was given stands.
    let given = engine.store.grant(NewGrant {
        account: system.as_str().to_owned(),
        key: INITIAL.to_owned(),
        amount: amount.nano(),
        priority: PRIORITY,
        expires_at: None,
        note: "what the account begins with".to_owned(),
        at: engine.clock.now().0,
    });
    given.await.map(|_| ())
}
