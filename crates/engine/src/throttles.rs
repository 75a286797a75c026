//! Who waits for a provider that lets none in for now, as this replica found it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::orchestration::standing::Throttled;
use domain::values::ids::AgentId;
use domain::values::time::{Millis, Timestamp};

/// The longest until a limit on what is in flight is looked at again, where nothing was heard to end.
const LOOK_AGAIN: Millis = Millis(1_000);

/// Agents whose provider lets none in for now, as this replica found it: their steps are not asked one by one.
#[derive(Debug, Default)]
pub struct Throttles {
    by_agent: Mutex<BTreeMap<AgentId, (Timestamp, Throttled)>>,
    /// How many there are: while there is none, a claim looks at this number and nothing else.
    count: AtomicUsize,
    ends: AtomicUsize,
}

impl Throttles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, (Timestamp, Throttled)>> {
        // Each change of the map is one call.
        self.by_agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many that asked have ended. Read BEFORE a limit is looked at.
    pub(crate) fn ends(&self) -> usize {
        self.ends.load(Ordering::SeqCst)
    }

    /// The agent's provider lets none in. Answers when to look again; nothing where it was full `before` one ended, since it
    /// may take another now.
    pub(crate) fn note(
        &self,
        agent: &AgentId,
        throttled: Throttled,
        (before, now): (usize, Timestamp),
    ) -> Option<Timestamp> {
        let again = throttled.until.unwrap_or(now + LOOK_AGAIN);
        let mut by_agent = self.lock();
        // First counted: who ends from here on waits for the lock, and finds the note.
        self.count.store(by_agent.len() + 1, Ordering::SeqCst);
        let noted = throttled.until.is_some() || self.ends() == before;
        if noted {
            by_agent.insert(agent.clone(), (again, throttled));
        }
        self.count.store(by_agent.len(), Ordering::SeqCst);
        noted.then_some(again)
    }

    /// An attempt has ended: who waits only for that may look again.
    pub(crate) fn ended(&self) {
        self.ends.fetch_add(1, Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            let mut by_agent = self.lock();
            by_agent.retain(|_, (_, throttled)| throttled.until.is_some());
            self.count.store(by_agent.len(), Ordering::Release);
        }
    }

    /// The agents whose steps wait now, each with the reason.
    pub(crate) fn closed(&self, now: Timestamp) -> BTreeMap<AgentId, Throttled> {
        if self.count.load(Ordering::Acquire) == 0 {
            return BTreeMap::new();
        }
        let mut by_agent = self.lock();
        by_agent.retain(|_, (again, _)| *again > now);
        self.count.store(by_agent.len(), Ordering::Release);
        let noted = by_agent.iter();
        noted
            .map(|(agent, (_, why))| (agent.clone(), why.clone()))
            .collect()
    }

    /// Whether an agent waits at this limit now.
    pub(crate) fn is_shut(&self, whose: &str, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0 && {
            let by_agent = self.lock();
            let mut noted = by_agent.values();
            noted.any(|(again, throttled)| *again > now && throttled.whose == whose)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn full() -> Throttled {
        Throttled {
            whose: "openai".to_owned(),
            until: None,
            others_turn: false,
        }
    }

    #[test]
    fn what_was_full_before_one_ended_is_not_noted_after_it() {
        let throttles = Throttles::default();
        let agent = AgentId::new("asks").unwrap();
        let before = throttles.ends();
        throttles.ended();
        assert_eq!(throttles.note(&agent, full(), (before, NOW)), None);
        assert!(!throttles.is_shut("openai", NOW));
        // A time to wait for is not over because one has ended.
        let until = Some(NOW + Millis(5_000));
        let closed = Throttled { until, ..full() };
        assert_eq!(throttles.note(&agent, closed, (before, NOW)), until);
        assert!(throttles.is_shut("openai", NOW));
    }

    #[test]
    fn who_ends_frees_those_that_waited_for_it() {
        let throttles = Throttles::default();
        let agent = AgentId::new("asks").unwrap();
        let noted = throttles.note(&agent, full(), (throttles.ends(), NOW));
        assert_eq!(noted, Some(NOW + LOOK_AGAIN));
        assert!(throttles.closed(NOW).contains_key(&agent));
        throttles.ended();
        assert!(throttles.closed(NOW).is_empty());
    }
}
