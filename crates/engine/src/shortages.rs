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
use crate::quota;

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
    /// Whether a step in the queue waits for what attempts in flight may give back, and not only parked ones for a grant.
    queued: bool,
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

    /// Whether those who wait need not look, with so much in the account and so much of it available. Who is in the queue
    /// looks too when nothing that is in flight can help any more: he fails, or is parked.
    fn is_short(&self, available: Credits, balance: Credits) -> bool {
        let needed = self.shortage.needed;
        needed > available && !(self.queued && needed > balance)
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

    /// A step of the agent, in the queue or parked, did not fit; a quota gives room again at `until`. Answers whether that is
    /// new: what was read before it may be over by now.
    pub(crate) fn note(
        &self,
        (account, agent): (&AccountId, &AgentId),
        shortage: Shortage,
        queued: bool,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let mut known = self.lock();
        let agents = known.entry(account.clone()).or_default();
        let before = agents.get_mut(agent).filter(|noted| noted.stands(now));
        let queued_before = before.as_ref().is_some_and(|noted| noted.queued);
        let new = before.is_none() || (queued && !queued_before);
        match before {
            Some(least) if least.shortage.needed < shortage.needed => least.queued |= queued,
            _ => {
                let noted = Noted {
                    shortage,
                    queued: queued || queued_before,
                    at: now,
                    again: until.unwrap_or(now + AGAIN),
                };
                agents.insert(agent.clone(), noted);
            }
        }
        self.count.store(known.len(), Ordering::Release);
        new
    }

    /// Whether a step of the agent, in the queue or parked, that needs so much need not be looked at. Where only parked ones
    /// wait, the next in the queue is: it is to be parked too, or to fail.
    pub(crate) fn closes(
        &self,
        (account, agent): (&AccountId, &AgentId),
        needed: Credits,
        queued: bool,
        now: Timestamp,
    ) -> bool {
        let known = self.lock();
        let noted = known.get(account).and_then(|agents| agents.get(agent));
        noted.is_some_and(|noted| {
            let enough = noted.is_credits() && needed < noted.shortage.needed;
            noted.stands(now) && !enough && (noted.queued || !queued)
        })
    }

    /// The agents whose steps wait, each behind its account and a tabulator: those of whom all do, and those of whom only the
    /// parked ones do.
    pub(crate) fn pairs(&self, now: Timestamp) -> (BTreeSet<String>, BTreeSet<String>) {
        let (mut all, mut parked) = (BTreeSet::new(), BTreeSet::new());
        if self.is_none() {
            return (all, parked);
        }
        let mut known = self.lock();
        for agents in known.values_mut() {
            agents.retain(|_, noted| noted.stands(now));
        }
        known.retain(|_, agents| !agents.is_empty());
        self.count.store(known.len(), Ordering::Release);
        for (account, agents) in known.iter() {
            for (agent, noted) in agents {
                let pairs = if noted.queued { &mut all } else { &mut parked };
                pairs.insert(format!("{account}\t{agent}"));
            }
        }
        (all, parked)
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

    /// The account has so much, and so much of it available: who waits for no more may look again.
    pub(crate) fn lift(&self, account: &AccountId, available: Credits, balance: Credits) {
        if self.is_none() {
            return;
        }
        if let Some(agents) = self.lock().get_mut(account) {
            agents.retain(|_, noted| !noted.is_credits() || noted.is_short(available, balance));
        }
    }

    /// The account's limits have changed.
    pub(crate) fn forget(&self, account: &AccountId) {
        let mut known = self.lock();
        known.remove(account);
        self.count.store(known.len(), Ordering::Release);
    }

    fn behind_quotas(&self) -> Vec<(AccountId, Vec<(AgentId, Credits)>)> {
        let known = self.lock();
        let of = |agents: &BTreeMap<AgentId, Noted>| {
            let noted = agents.iter().filter(|(_, noted)| !noted.is_credits());
            let needed = noted.map(|(agent, noted)| (agent.clone(), noted.shortage.needed));
            needed.collect::<Vec<_>>()
        };
        let all = known
            .iter()
            .map(|(account, agents)| (account.clone(), of(agents)));
        all.filter(|(_, agents)| !agents.is_empty()).collect()
    }

    fn open(&self, account: &AccountId, agents: &[AgentId]) {
        if let Some(known) = self.lock().get_mut(account) {
            known.retain(|agent, noted| noted.is_credits() || !agents.contains(agent));
        }
    }

    fn short_of_credits(&self) -> Vec<AccountId> {
        let known = self.lock();
        let short = known
            .iter()
            .filter(|(_, agents)| agents.values().any(Noted::is_credits));
        short.map(|(account, _)| account.clone()).collect()
    }
}

/// Looks whether accounts that were short have enough again, and used up quotas room.
///
/// # Errors
/// When the database fails.
pub(crate) async fn look_again(engine: &Engine) -> Result<(), StoreError> {
    if engine.shortages.is_none() {
        return Ok(());
    }
    // Who waits is not looked at, and would not say so: an attempt's end makes us look here again.
    engine.work.finds_full();
    for (account, agents) in engine.shortages.behind_quotas() {
        let open = quota::with_room(engine, &account, agents).await?;
        engine.shortages.open(&account, &open);
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
            let balance = Credits::from_nano(row.balance);
            engine.shortages.lift(&account, available, balance);
        }
    }
    Ok(())
}
