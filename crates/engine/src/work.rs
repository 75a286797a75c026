//! Work that could not be claimed when it was seen: for lack of room, because a counter was full, or before its time.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;

use crate::live::{Bell, Listener};

/// Orchestrations that are noted as left lying. Of more than these the store knows.
const LEFT_KEPT: usize = 4_096;

/// What was left lying, and the bell for whoever claims. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Work(Arc<Lying>);

#[derive(Debug)]
struct Lying {
    bell: Bell,
    left: Mutex<Left>,
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
            without_room: AtomicBool::new(false),
            behind_counters: AtomicBool::new(false),
            unknown: AtomicBool::new(false),
            due_at: AtomicI64::new(i64::MAX),
        }
    }
}

/// Orchestrations with steps that found no room, those that have waited longest first.
#[derive(Debug, Default)]
struct Left {
    order: VecDeque<OrchestrationId>,
    known: HashSet<OrchestrationId>,
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

    /// A step of `id` was left lying for lack of room here. Said BEFORE room is looked for a last time.
    pub fn leave(&self, id: OrchestrationId) {
        let mut left = self.left();
        if left.known.len() >= LEFT_KEPT {
            self.0.unknown.store(true, Ordering::SeqCst);
        } else if left.known.insert(id) {
            left.order.push_back(id);
        }
        drop(left);
        self.lacks_room();
    }

    /// Up to so many of the orchestrations that were left lying, those that have waited longest.
    pub fn take_left(&self, most: usize) -> Vec<OrchestrationId> {
        let mut left = self.left();
        let count = most.min(left.order.len());
        let taken: Vec<_> = left.order.drain(..count).collect();
        for id in &taken {
            left.known.remove(id);
        }
        taken
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u128) -> OrchestrationId {
        OrchestrationId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn what_waited_longest_is_taken_first_and_once() {
        let work = Work::default();
        for n in [1, 2, 1, 3] {
            work.leave(id(n));
        }
        assert_eq!(work.take_left(2), [id(1), id(2)]);
        assert!(!work.take_unknown());
        work.leave(id(1));
        assert_eq!(work.take_left(9), [id(3), id(1)]);
    }

    #[test]
    fn what_is_too_much_to_note_is_asked_of_the_store() {
        let work = Work::default();
        for n in 0..=LEFT_KEPT as u128 {
            work.leave(id(n));
        }
        assert_eq!(work.take_left(usize::MAX).len(), LEFT_KEPT);
        assert!(work.take_unknown());
        assert!(!work.take_unknown());
    }
}
