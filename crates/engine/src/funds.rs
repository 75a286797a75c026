//! What an account has for the next attempt: what the store said of it, less what the commit in the making takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use domain::money::budget::{AtLimit, Scope, Shortage};
use domain::orchestration::command::Short;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use domain::values::ids::AccountId;
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::money::QuotaRow;

use crate::draft::Learned;
use crate::handle::Engine;
use crate::movements::movements;
use crate::quota::{self, Need};

/// What an account had when the store was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Funds {
    /// The balance less what is held.
    pub(crate) available: Credits,
    /// Held for attempts in flight.
    pub(crate) held: Credits,
    /// What happens to what does not fit.
    pub(crate) at_limit: AtLimit,
}

impl Funds {
    /// As the store says it.
    pub(crate) fn of(available: i64, held: i64, at_limit: Option<&str>) -> Self {
        Self {
            available: Credits::from_nano(available),
            held: Credits::from_nano(held),
            at_limit: at_limit.and_then(AtLimit::named).unwrap_or_default(),
        }
    }
}

/// Accounts that had too little for a step a moment ago: before the next one their row is looked at.
#[derive(Debug, Default)]
pub struct ShortAccounts(Mutex<BTreeSet<AccountId>>);

impl ShortAccounts {
    fn known(&self) -> std::sync::MutexGuard<'_, BTreeSet<AccountId>> {
        // Each change of the set is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account had too little.
    pub(crate) fn note(&self, account: &AccountId) {
        self.known().insert(account.clone());
    }
}

/// What the commit in the making has changed so far.
pub(crate) struct Drafted<'a> {
    /// The head as it stood before.
    pub(crate) head: Option<&'a Head>,
    /// The touched steps as they stood before.
    pub(crate) before: &'a BTreeMap<StepIndex, domain::orchestration::state::Step>,
    /// What happens by it.
    pub(crate) events: &'a [domain::orchestration::event::Recorded],
    /// What the last try learned.
    pub(crate) learned: &'a Learned,
    /// When it happens.
    pub(crate) now: Timestamp,
}

/// A limit beyond the orchestration that a step does not fit.
#[derive(Debug)]
pub(crate) struct Beyond {
    pub(crate) short: Short,
    /// When a quota has room again.
    pub(crate) until: Option<Timestamp>,
}

/// The limit beyond the orchestration that what its step at `index` needs does not fit, as far as known: the account's credits,
/// or a quota. The store has the last word.
///
/// # Errors
/// When the database fails.
pub(crate) async fn beyond(
    engine: &Engine,
    state: &Orchestration,
    index: StepIndex,
    need: Need,
    drafted: &Drafted<'_>,
) -> Result<Option<Beyond>, StoreError> {
    let Some(head) = state.head.as_ref().filter(|_| !need.is_nothing()) else {
        return Ok(None);
    };
    let quotas = quota::of(engine, &head.account, drafted.now).await?;
    if !quotas.is_empty()
        && let Some(mut used_up) = used_up(engine, state, (index, need), &quotas, drafted).await?
    {
        if let Some(until) = used_up.until {
            engine.work.due(until);
            // Beside what it holds itself: that gives nothing back.
            let held = &mut used_up.short.held;
            *held = held.saturating_add(state.steps[index].hold);
        }
        return Ok(Some(Beyond {
            short: used_up.short,
            until: used_up.until,
        }));
    }
    if need.credits <= Credits::ZERO {
        return Ok(None);
    }
    let short = account(engine, head, need.credits, drafted).await?;
    Ok(short.map(|short| Beyond { short, until: None }))
}

/// The shortage of the account that `needed` would meet, as far as known.
///
/// # Errors
/// When the database fails.
async fn account(
    engine: &Engine,
    head: &Head,
    needed: Credits,
    drafted: &Drafted<'_>,
) -> Result<Option<Short>, StoreError> {
    let noted = engine.short_accounts.known().contains(&head.account);
    let funds = match drafted.learned.funds {
        Some(funds) => funds,
        None if noted => match engine.store.ledger(head.account.as_str()).await? {
            Some(row) => {
                let available = row.balance.saturating_sub(row.held);
                Funds::of(available, row.held, row.at_limit.as_deref())
            }
            None => Funds::of(0, 0, None),
        },
        None => return Ok(None),
    };
    let taken = |head: &Head| head.cost.saturating_add(head.held);
    let nothing = Credits::ZERO;
    let (cost, held) = drafted
        .head
        .map_or((nothing, nothing), |before| (taken(before), before.held));
    let left = funds
        .available
        .saturating_sub(taken(head).saturating_sub(cost));
    if needed <= left {
        if drafted.learned.funds.is_none() {
            engine.short_accounts.known().remove(&head.account);
            let balance = funds.available.saturating_add(funds.held);
            engine.shortages.lift(&head.account, left, balance);
        }
        return Ok(None);
    }
    let shortage = Shortage {
        scope: Scope::Account,
        needed,
        left,
        what: String::new(),
    };
    Ok(Some(Short {
        shortage,
        at_limit: funds.at_limit,
        held: funds.held.saturating_add(head.held.saturating_sub(held)),
    }))
}

async fn used_up(
    engine: &Engine,
    state: &Orchestration,
    (index, need): (StepIndex, Need),
    quotas: &[QuotaRow],
    drafted: &Drafted<'_>,
) -> Result<Option<quota::UsedUp>, StoreError> {
    let rules = state.graph.rules(index);
    let rows: Vec<_> = quota::for_agent(quotas, rules.agent.as_str()).collect();
    let keys: Vec<String> = rows.iter().map(|row| need.counter(row)).collect();
    let named: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut used = engine.store.counters(&named).await?;
    for (key, held) in &drafted.learned.full {
        used.entry(key.clone())
            .and_modify(|used| *used = (*used).max(*held))
            .or_insert(*held);
    }
    let moved = movements(state, drafted.before, drafted.events);
    for change in quota::counter_changes(state, quotas, &moved) {
        *used.entry(change.key).or_default() += change.delta;
    }
    let mut over = rows.iter().zip(&keys).filter_map(|(row, key)| {
        let used = used.get(key).copied().unwrap_or(0);
        quota::check(row, used, need)
    });
    Ok(over.next())
}
