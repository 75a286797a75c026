//! Whose turn it is at a limit of a provider's: those that wait there, by account, each account served by its weight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::agent::model::ModelUse;
use domain::values::ids::{AccountId, OrchestrationId};
use tokio::sync::Notify;

use crate::left::Left;
use crate::throttle::names;

/// Who waits at which limit, as this replica found it. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<All>);

#[derive(Debug, Default)]
struct All {
    weights: BTreeMap<String, u32>,
    /// By whose limit it is.
    lines: Mutex<BTreeMap<String, Line>>,
    /// How many there are: while there is none, who asks a model looks at this number and nothing else.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Line {
    left: Left,
    /// Handed out to be looked at.
    looking: BTreeSet<OrchestrationId>,
    /// Questions of conversations, which wait in place: those of an account that have waited longest first.
    asking: BTreeMap<AccountId, VecDeque<Arc<Notify>>>,
}

impl Line {
    /// Whose turn it is, where that is a question's: it is told.
    fn call(&self) {
        let first = self.left.first();
        let asking = first.and_then(|(account, _)| self.asking.get(account));
        if let Some(next) = asking.and_then(VecDeque::front) {
            next.notify_one();
        }
    }
}

impl Lines {
    /// Accounts are served by these weights; by 1 where there is none.
    pub(crate) fn weighted(weights: BTreeMap<String, u32>) -> Self {
        Self(Arc::new(All {
            weights,
            ..All::default()
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        // A panic while the lock was held leaves at worst someone in line who is not there: who is looked at leaves.
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nobody_waits(&self) -> bool {
        self.0.count.load(Ordering::SeqCst) == 0
    }

    /// Changes the line at `whose`; one where nobody waits any more is forgotten.
    fn change<T>(&self, whose: &str, change: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.lock();
        let line = lines.entry(whose.to_owned()).or_insert_with(|| Line {
            left: Left::weighted(self.0.weights.clone()),
            ..Line::default()
        });
        let changed = change(line);
        if line.left.is_empty() {
            lines.remove(whose);
        }
        self.0.count.store(lines.len(), Ordering::SeqCst);
        changed
    }

    /// A step of `id` waits at the limit.
    pub(crate) fn leave(&self, whose: &str, id: OrchestrationId, account: &AccountId) {
        // Of one that is not noted the store knows.
        self.change(whose, |line| line.left.leave(id, account));
    }

    /// A question of the account's waits there until what this answers is dropped.
    pub(crate) fn stand(&self, whose: &str, account: &AccountId) -> Place {
        let called = Arc::new(Notify::new());
        self.change(whose, |line| {
            line.left.stand(account);
            let asking = line.asking.entry(account.clone()).or_default();
            asking.push_back(called.clone());
        });
        Place {
            lines: self.clone(),
            whose: whose.to_owned(),
            account: account.clone(),
            called,
        }
    }

    /// The limit at which others come before the account that would ask. Who is the first at one of its limits gives way
    /// at none: else two could wait for each other.
    pub(crate) fn gives_way(&self, asks: &ModelUse, account: &AccountId) -> Option<String> {
        if self.nobody_waits() || !asks.is_counted() {
            return None;
        }
        let lines = self.lock();
        let mut found = None;
        for whose in names(asks) {
            match lines.get(&whose) {
                Some(line) if line.left.is_turn_of_another(account) => found = Some(whose),
                Some(line) if line.left.waits(account) => return None,
                _ => {}
            }
        }
        found
    }

    /// The account asks, while others may wait.
    pub(crate) fn took(&self, asks: &ModelUse, account: &AccountId) {
        self.count(asks, |line| line.left.took(account));
    }

    /// It does not ask after all: what was to be stored is not.
    pub(crate) fn give_back(&self, asks: &ModelUse, account: &AccountId) {
        self.count(asks, |line| line.left.give_back(account));
    }

    fn count(&self, asks: &ModelUse, count: impl Fn(&mut Line)) {
        if !self.nobody_waits() && asks.is_counted() {
            let mut lines = self.lock();
            for whose in names(asks) {
                lines.get_mut(&whose).into_iter().for_each(&count);
            }
        }
    }

    /// The limits at which someone waits.
    pub(crate) fn all(&self) -> Vec<String> {
        if self.nobody_waits() {
            return Vec::new();
        }
        self.lock().keys().cloned().collect()
    }

    /// Up to so many of those whose turn it is, each to be given back to [`Self::looked_at`]; none while it is a question's.
    pub(crate) fn next(&self, whose: &str, most: usize) -> Vec<(AccountId, OrchestrationId)> {
        let mut lines = self.lock();
        let line = lines.get_mut(whose);
        let line = line.filter(|line| line.left.first().is_some_and(|(_, noted)| noted));
        line.map_or_else(Vec::new, |line| {
            let next = line.left.next(most);
            line.looking.extend(next.iter().map(|(_, id)| *id));
            next
        })
    }

    /// There was no room here to look whether `id` gets in: it keeps the places that it has in line.
    pub(crate) fn keep(&self, id: OrchestrationId, account: &AccountId) {
        if !self.nobody_waits() {
            for line in self.lock().values_mut() {
                if line.looking.remove(&id) {
                    line.left.leave(id, account);
                }
            }
        }
    }

    /// These have claimed what they could. Answers whether there was room for all of them to look.
    pub(crate) fn looked_at(&self, whose: &str, taken: &[(AccountId, OrchestrationId)]) -> bool {
        self.change(whose, |line| {
            let mut room = true;
            for (account, id) in taken {
                room &= line.looking.remove(id);
                line.left.looked_at(account);
            }
            room
        })
    }

    /// Questions whose turn it is look again: a place may be free.
    pub(crate) fn call(&self) {
        if !self.nobody_waits() {
            self.lock().values().for_each(Line::call);
        }
    }
}

/// A question's place in line.
#[derive(Debug)]
pub(crate) struct Place {
    lines: Lines,
    whose: String,
    account: AccountId,
    called: Arc<Notify>,
}

impl Place {
    /// Whether it is one in this line.
    pub(crate) fn is_at(&self, whose: &str) -> bool {
        self.whose == whose
    }

    /// Returns when its turn may have come.
    pub(crate) async fn called(&self) {
        self.called.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.lines.change(&self.whose, |line| {
            line.left.looked_at(&self.account);
            if let Some(asking) = line.asking.get_mut(&self.account) {
                asking.retain(|called| !Arc::ptr_eq(called, &self.called));
                if asking.is_empty() {
                    line.asking.remove(&self.account);
                }
            }
            line.call();
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use domain::agent::model::Counts;

    use super::*;

    fn id(n: u128) -> OrchestrationId {
        OrchestrationId(uuid::Uuid::from_u128(n))
    }

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    #[test]
    fn who_finds_no_room_here_keeps_its_turn() {
        let lines = Lines::default();
        let asks = ModelUse::of("openai/gpt-4o", 0, Counts::Attempt);
        lines.leave("openai", id(1), &account("a"));
        lines.took(&asks, &account("a"));
        lines.leave("openai", id(2), &account("b"));
        let next = lines.next("openai", 1);
        assert_eq!(next, [(account("b"), id(2))]);
        lines.keep(id(2), &account("b"));
        assert!(!lines.looked_at("openai", &next));
        assert_eq!(
            lines.gives_way(&asks, &account("a")),
            Some("openai".to_owned())
        );
        // Once it has looked, it stands no longer.
        let next = lines.next("openai", 1);
        assert_eq!(next, [(account("b"), id(2))]);
        assert!(lines.looked_at("openai", &next));
        assert_eq!(lines.gives_way(&asks, &account("a")), None);
    }
}
