//! Work that could not be claimed when it was seen: for lack of room, because a counter was full, or before its time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Timestamp;

use crate::left::Left;
use crate::live::{Bell, Listener};

/// What was left lying, and the bell for whoever claims. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<Lying>);

#[derive(Debug)]
struct Lying {
    bell: Bell,
    left: Mutex<Left>,
    /// Whether any account waits: while none does, a claim looks at this and nothing else.
    waited_for: AtomicBool,
    without_room: AtomicBool,
    behind_counters: AtomicBool,
    /// There may be work that nobody here has noted: the store is to be asked.
    unknown: AtomicBool,
    due_at: AtomicI64,
}

impl Default for Lying {
    fn default() -> Self {
        Self {
            bell: Bell::default(),
            left: Mutex::default(),
            waited_for: AtomicBool::new(false),
            without_room: AtomicBool::new(false),
            behind_counters: AtomicBool::new(false),
            unknown: AtomicBool::new(false),
            due_at: AtomicI64::new(i64::MAX),
        }
    }
}

impl Work {
    fn left(&self) -> std::sync::MutexGuard<'_, Left> {
        // A panic while the lock was held leaves at worst an orchestration that the slow poll finds.
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was left lying for lack of room here.
    pub fn lacks_room(&self) {
        self.0.without_room.store(true, Ordering::SeqCst);
    }

    /// Work of accounts that are served by these weights; 1 where there is none.
    pub(crate) fn weighted(weights: BTreeMap<String, u32>) -> Self {
        let work = Self::default();
        *work.left() = Left::weighted(weights);
        work
    }

    /// A step of `id` was left lying for lack of room here. Said BEFORE room is looked for a last time.
    pub fn leave(&self, id: OrchestrationId, account: &AccountId) {
        let noted = self.left().leave(id, account);
        self.0.waited_for.store(true, Ordering::SeqCst);
        if !noted {
            self.0.unknown.store(true, Ordering::SeqCst);
        }
        self.lacks_room();
    }

    /// Up to so many of the orchestrations that were left lying: by their accounts' turns, and within an account those that
    /// have waited longest. Each is to be given back to [`Self::looked_at`].
    pub fn take_left(&self, most: usize) -> Vec<(AccountId, OrchestrationId)> {
        self.left().next(most)
    }

    /// These have claimed what they could.
    pub fn looked_at(&self, taken: &[(AccountId, OrchestrationId)]) {
        let mut left = self.left();
        taken
            .iter()
            .for_each(|(account, _)| left.looked_at(account));
        self.0.waited_for.store(!left.is_empty(), Ordering::SeqCst);
    }

    /// Whether the next place is not this account's, since another one waits whose turn comes first. Then `id` is left
    /// lying, and whoever claims looks for the other.
    pub fn gives_way(&self, id: OrchestrationId, account: &AccountId) -> bool {
        let gives_way =
            self.0.waited_for.load(Ordering::SeqCst) && self.left().is_turn_of_another(account);
        if gives_way {
            self.leave(id, account);
            self.room();
        }
        gives_way
    }

    /// An attempt of the account took a place.
    pub fn took(&self, account: &AccountId) {
        if self.0.waited_for.load(Ordering::SeqCst) {
            self.left().took(account);
        }
    }

    /// Something was left lying since a counter is full.
    pub fn finds_full(&self) {
        self.0.behind_counters.store(true, Ordering::SeqCst);
    }

    /// Room was made: whoever claims looks again, if something was left lying for lack of it.
    pub fn room(&self) {
        if self.0.without_room.swap(false, Ordering::SeqCst) {
            self.0.bell.ring();
        }
    }

    /// An attempt is over: there is room, and its counters have fallen.
    pub fn ended(&self) {
        if self.0.behind_counters.swap(false, Ordering::SeqCst) {
            self.look();
        }
        self.room();
    }

    /// Others have changed something: whoever claims asks the store.
    pub fn look(&self) {
        self.0.unknown.store(true, Ordering::SeqCst);
        self.0.bell.ring();
    }

    /// Whether the store is to be asked, since the last time this was asked.
    pub fn take_unknown(&self) -> bool {
        self.0.unknown.swap(false, Ordering::SeqCst)
    }

    /// A step may be claimed from `at` on: whoever claims looks then.
    pub fn due(&self, at: Timestamp) {
        if self.0.due_at.fetch_min(at.0, Ordering::SeqCst) > at.0 {
            self.0.bell.ring();
        }
    }

    /// The earliest time that was noted.
    pub fn due_at(&self) -> Timestamp {
        Timestamp(self.0.due_at.load(Ordering::SeqCst))
    }

    /// Forgets the noted times: the store is about to be asked for all of them.
    pub fn forget_due(&self) {
        self.0.due_at.store(i64::MAX, Ordering::SeqCst);
    }

    /// Register BEFORE looking.
    pub fn listen(&self) -> Listener {
        self.0.bell.listen()
    }
}
