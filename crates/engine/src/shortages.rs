//! Whose steps found too little a moment ago: agents of accounts that are short or whose quota is used up. They are looked
//! at again when that has changed, and not one by one at each look for work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::money::budget::{Scope, Shortage};
use domain::orchestration::standing::Wait;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;

use crate::handle::Engine;

/// The longest until steps are looked at again: an agent's other versions may need less.
const AGAIN: Millis = Millis(60_000);

/// So many accounts are asked for one by one, more all at once.
const FEW: usize = 16;

/// What was found too little, by account and agent.
#[derive(Debug, Default)]
pub struct Shortages {
    known: Mutex<BTreeMap<AccountId, BTreeMap<AgentId, Noted>>>,
    /// How many accounts there are: while there is none, a claim looks at this number and nothing else.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Noted {
    shortage: Shortage,
    at: Timestamp,
    again: Timestamp,
}

impl Noted {
    /// Before the time of the note the clock was set back: then nothing is known.
    fn stands(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.again
    }

    fn is_credits(&self) -> bool {
        self.shortage.scope == Scope::Account
    }
}

impl Shortages {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AccountId, BTreeMap<AgentId, Noted>>> {
        // Each change of the map leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is known to be short.
    pub(crate) fn is_none(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// A step of the agent did not fit; a quota gives room again at `until`.
    pub(crate) fn note(
        &self,
        (account, agent): (&AccountId, &AgentId),
        shortage: Shortage,
        until: Option<Timestamp>,
        now: Timestamp,
    ) {
        let mut known = self.lock();
        let agents = known.entry(account.clone()).or_default();
        let least = |noted: &Noted| noted.stands(now) && noted.shortage.needed < shortage.needed;
        if !agents.get(agent).is_some_and(least) {
            let again = until.unwrap_or(now + AGAIN);
            let noted = Noted {
                shortage,
                at: now,
                again,
            };
            agents.insert(agent.clone(), noted);
        }
        self.count.store(known.len(), Ordering::Release);
    }

    /// Whether a step of the agent that needs so much need not be looked at.
    pub(crate) fn closes(
        &self,
        account: &AccountId,
        agent: &AgentId,
        needed: Credits,
        now: Timestamp,
    ) -> bool {
        let known = self.lock();
        let noted = known.get(account).and_then(|agents| agents.get(agent));
        noted.is_some_and(|noted| {
            noted.stands(now) && (!noted.is_credits() || needed >= noted.shortage.needed)
        })
    }

    /// The agents whose steps wait, each between its account and a line's end.
    pub(crate) fn pairs(&self, now: Timestamp) -> BTreeSet<String> {
        if self.is_none() {
            return BTreeSet::new();
        }
        let mut known = self.lock();
        for agents in known.values_mut() {
            agents.retain(|_, noted| noted.stands(now));
        }
        known.retain(|_, agents| !agents.is_empty());
        self.count.store(known.len(), Ordering::Release);
        let pairs = known.iter().flat_map(|(account, agents)| {
            let pair = move |agent| format!("{account}\t{agent}");
            agents.keys().map(pair)
        });
        pairs.collect()
    }

    /// What the account's agents wait for, for people.
    pub(crate) fn said(&self, account: &AccountId, now: Timestamp) -> BTreeMap<AgentId, String> {
        if self.is_none() {
            return BTreeMap::new();
        }
        let known = self.lock();
        let agents = known.get(account).into_iter().flatten();
        agents
            .filter(|(_, noted)| noted.stands(now))
            .map(|(agent, noted)| {
                let wait = Wait::Credits(noted.shortage.clone());
                (agent.clone(), wait.to_string())
            })
            .collect()
    }

    /// The account has so much available: who needs no more may look again.
    pub(crate) fn lift(&self, account: &AccountId, available: Credits) {
        if self.is_none() {
            return;
        }
        if let Some(agents) = self.lock().get_mut(account) {
            agents.retain(|_, noted| !noted.is_credits() || noted.shortage.needed > available);
        }
    }

    /// The account's limits have changed.
    pub(crate) fn forget(&self, account: &AccountId) {
        let mut known = self.lock();
        known.remove(account);
        self.count.store(known.len(), Ordering::Release);
    }

    fn short_of_credits(&self) -> Vec<AccountId> {
        let known = self.lock();
        let short = known
            .iter()
            .filter(|(_, agents)| agents.values().any(Noted::is_credits));
        short.map(|(account, _)| account.clone()).collect()
    }
}

/// Looks whether accounts that were short have enough again.
///
/// # Errors
/// When the database fails.
pub(crate) async fn look_again(engine: &Engine) -> Result<(), StoreError> {
    if engine.shortages.is_none() {
        return Ok(());
    }
    let accounts = engine.shortages.short_of_credits();
    let mut rows = Vec::new();
    if accounts.len() > FEW {
        rows = engine.store.ledgers().await?;
    } else {
        for account in &accounts {
            rows.extend(engine.store.ledger(account.as_str()).await?);
        }
    }
    for row in rows {
        if let Ok(account) = AccountId::new(&row.account) {
            let available = Credits::from_nano(row.available());
            engine.shortages.lift(&account, available);
        }
    }
    Ok(())
}
