//! Whose turn it is: orchestrations that were left lying, by account, each account served by its weight (stride
//! scheduling: Waldspurger and Weihl, 1995).

use std::collections::{BTreeMap, HashSet, VecDeque};

use domain::values::ids::{AccountId, OrchestrationId};

/// Orchestrations that are noted as left lying. Of more than these the store knows; an account that has none noted may
/// always note one.
pub(crate) const LEFT_KEPT: usize = 4_096;

/// How far one place takes an account of weight 1.
const STRIDE: u64 = 1 << 20;

/// What was left lying.
#[derive(Debug, Default)]
pub(crate) struct Left {
    accounts: BTreeMap<AccountId, Waiting>,
    weights: BTreeMap<String, u32>,
    /// How many are noted.
    noted: usize,
    /// How far those have come that wait: who comes anew begins here, and has nothing to catch up.
    reached: u64,
}

/// One account's.
#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<OrchestrationId>,
    known: HashSet<OrchestrationId>,
    /// Handed out to be looked at, and not looked at yet.
    looked_at: usize,
    /// How far it has come: the places that it took, each by its weight.
    come: u64,
}

impl Waiting {
    fn waits(&self) -> bool {
        !self.order.is_empty() || self.looked_at > 0
    }
}

impl Left {
    pub(crate) fn weighted(weights: BTreeMap<String, u32>) -> Self {
        Self {
            weights,
            ..Self::default()
        }
    }

    fn stride(&self, account: &AccountId) -> u64 {
        let weight = self.weights.get(account.as_str()).copied().unwrap_or(1);
        STRIDE / u64::from(weight.max(1))
    }

    /// Notes an orchestration, those that have waited longest first. Answers whether there was room for the note.
    pub(crate) fn leave(&mut self, id: OrchestrationId, account: &AccountId) -> bool {
        let reached = self.reached;
        if !self.accounts.contains_key(account) {
            self.accounts.insert(account.clone(), Waiting::default());
        }
        let Some(waiting) = self.accounts.get_mut(account) else {
            return false;
        };
        if !waiting.waits() {
            waiting.come = waiting.come.max(reached);
        }
        if self.noted >= LEFT_KEPT && !waiting.order.is_empty() && !waiting.known.contains(&id) {
            return false;
        }
        if waiting.known.insert(id) {
            waiting.order.push_back(id);
            self.noted += 1;
        }
        true
    }

    /// Someone of the account waits who is not handed out; until that one is said to have been looked at.
    pub(crate) fn stand(&mut self, account: &AccountId) {
        let reached = self.reached;
        let waiting = self.accounts.entry(account.clone()).or_default();
        if !waiting.waits() {
            waiting.come = waiting.come.max(reached);
        }
        waiting.looked_at += 1;
    }

    /// Whose turn it is, and whether one of its orchestrations is noted.
    pub(crate) fn first(&self) -> Option<(&AccountId, bool)> {
        let waiting = self.accounts.iter().filter(|(_, waiting)| waiting.waits());
        let first = waiting.min_by_key(|(_, waiting)| waiting.come);
        first.map(|(account, waiting)| (account, !waiting.order.is_empty()))
    }

    /// Whether the account waits.
    pub(crate) fn waits(&self, account: &AccountId) -> bool {
        self.accounts.get(account).is_some_and(Waiting::waits)
    }

    /// Up to so many of those that were noted: by the accounts' turns, and within an account those that waited longest.
    pub(crate) fn next(&mut self, most: usize) -> Vec<(AccountId, OrchestrationId)> {
        let mut next = Vec::new();
        let mut ahead: BTreeMap<AccountId, u64> = BTreeMap::new();
        while next.len() < most {
            let turn = self
                .accounts
                .iter()
                .filter(|(_, waiting)| !waiting.order.is_empty())
                .min_by_key(|(account, waiting)| {
                    waiting.come + ahead.get(*account).copied().unwrap_or(0)
                });
            let Some(account) = turn.map(|(account, _)| account.clone()) else {
                break;
            };
            let Some(waiting) = self.accounts.get_mut(&account) else {
                break;
            };
            if let Some(id) = waiting.order.pop_front() {
                waiting.known.remove(&id);
                waiting.looked_at += 1;
                self.noted -= 1;
                next.push((account.clone(), id));
            }
            *ahead.entry(account.clone()).or_default() += self.stride(&account);
        }
        next
    }

    /// What was handed out has been looked at.
    pub(crate) fn looked_at(&mut self, account: &AccountId) {
        let reached = self.reached;
        if let Some(waiting) = self.accounts.get_mut(account) {
            waiting.looked_at = waiting.looked_at.saturating_sub(1);
            if !waiting.waits() && waiting.come <= reached {
                self.accounts.remove(account);
            }
        }
    }

    /// Whether no account waits.
    pub(crate) fn is_empty(&self) -> bool {
        !self.accounts.values().any(Waiting::waits)
    }

    /// Whether another account's turn comes before this one's.
    pub(crate) fn is_turn_of_another(&self, account: &AccountId) -> bool {
        let own = self.accounts.get(account);
        let waits = own.is_some_and(Waiting::waits);
        let come = match own {
            Some(own) if waits => own.come,
            own => own.map_or(0, |own| own.come).max(self.reached),
        };
        self.accounts.iter().any(|(other, waiting)| {
            other != account
                && waiting.waits()
                // Who waits comes before who does not.
                && (waiting.come < come || (waiting.come == come && !waits))
        })
    }

    /// An attempt of the account took a place while others wait.
    pub(crate) fn took(&mut self, account: &AccountId) {
        let (stride, reached) = (self.stride(account), self.reached);
        let waiting = self.accounts.entry(account.clone()).or_default();
        if !waiting.waits() {
            waiting.come = waiting.come.max(reached);
        }
        let from = waiting.come;
        waiting.come = from.saturating_add(stride);
        let waiting = self.accounts.values().filter(|other| other.waits());
        let least = waiting.map(|other| other.come).min().unwrap_or(from);
        self.reached = reached.max(least.min(from));
    }

    /// The place that the account took last was none.
    pub(crate) fn give_back(&mut self, account: &AccountId) {
        let stride = self.stride(account);
        if let Some(waiting) = self.accounts.get_mut(account) {
            waiting.come = waiting.come.saturating_sub(stride);
        }
        // Who comes anew is not to begin behind those that wait.
        let waiting = self.accounts.values().filter(|other| other.waits());
        let least = waiting.map(|other| other.come).min();
        self.reached = least.map_or(self.reached, |least| least.min(self.reached));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id(n: u128) -> OrchestrationId {
        OrchestrationId(uuid::Uuid::from_u128(n))
    }

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    fn ids(next: Vec<(AccountId, OrchestrationId)>) -> Vec<OrchestrationId> {
        next.into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn within_an_account_what_waited_longest_is_taken_first_and_once() {
        let mut left = Left::default();
        for n in [1, 2, 1, 3] {
            assert!(left.leave(id(n), &account("a")));
        }
        assert_eq!(ids(left.next(2)), [id(1), id(2)]);
        assert!(left.leave(id(1), &account("a")));
        assert_eq!(ids(left.next(9)), [id(3), id(1)]);
    }

    #[test]
    fn of_too_many_an_account_may_still_note_its_first() {
        let mut left = Left::default();
        for n in 0..LEFT_KEPT as u128 {
            assert!(left.leave(id(n), &account("a")));
        }
        assert!(!left.leave(id(1 << 20), &account("a")));
        assert!(left.leave(id(2 << 20), &account("b")));
        assert!(!left.leave(id(3 << 20), &account("b")));
        // Each account's first comes before anyone's second.
        assert_eq!(ids(left.next(2)), [id(0), id(2 << 20)]);
    }

    /// Who takes the next place, over and over, while all of them wait.
    fn served(weights: &[(&str, u32)], places: usize) -> BTreeMap<AccountId, usize> {
        let named = weights
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight));
        let mut left = Left::weighted(named.collect());
        for (n, (name, _)) in weights.iter().enumerate() {
            left.leave(id(n as u128), &account(name));
        }
        let mut served = BTreeMap::new();
        for _ in 0..places {
            let (name, id) = left.next(1).pop().unwrap();
            assert!(!left.is_turn_of_another(&name));
            left.took(&name);
            left.leave(id, &name);
            left.looked_at(&name);
            *served.entry(name).or_default() += 1;
        }
        served
    }

    #[test]
    fn accounts_are_served_by_their_weights() {
        let served = served(&[("a", 1), ("b", 3), ("c", 0)], 5_000);
        assert_eq!(served[&account("a")], 1_000);
        assert_eq!(served[&account("b")], 3_000);
        assert_eq!(served[&account("c")], 1_000);
    }

    #[test]
    fn who_was_away_comes_next_and_has_nothing_to_catch_up() {
        let mut left = Left::default();
        left.leave(id(1), &account("a"));
        left.leave(id(2), &account("c"));
        for _ in 0..100 {
            left.took(&account("a"));
            left.took(&account("c"));
        }
        assert!(!left.is_turn_of_another(&account("a")));
        left.leave(id(3), &account("b"));
        let first: Vec<_> = left.next(1);
        assert_eq!(first[0].0, account("b"));
        assert!(left.is_turn_of_another(&account("a")));
        left.took(&account("b"));
        left.took(&account("b"));
        assert!(
            left.is_turn_of_another(&account("b")),
            "it does not take 100 in a row"
        );
    }

    #[test]
    fn places_that_were_given_back_keep_nobody_who_comes_anew_waiting() {
        let mut left = Left::default();
        left.leave(id(1), &account("a"));
        // Ten steps of it ask at one time, and one gets in.
        (0..10).for_each(|_| left.took(&account("a")));
        (0..9).for_each(|_| left.give_back(&account("a")));
        left.leave(id(2), &account("b"));
        assert!(!left.is_turn_of_another(&account("b")));
        left.took(&account("b"));
        assert!(left.is_turn_of_another(&account("b")));
    }
}
