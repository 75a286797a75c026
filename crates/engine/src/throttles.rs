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
}

impl Throttles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, (Timestamp, Throttled)>> {
        // Each change of the map is one call.
        self.by_agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent's provider lets none in. Answers when to look again.
    pub(crate) fn note(&self, agent: &AgentId, throttled: Throttled, now: Timestamp) -> Timestamp {
        let again = throttled.until.unwrap_or(now + LOOK_AGAIN);
        let mut by_agent = self.lock();
        by_agent.insert(agent.clone(), (again, throttled));
        self.count.store(by_agent.len(), Ordering::Release);
        again
    }

    /// An attempt has ended: who waits only for that may look again.
    pub(crate) fn ended(&self) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut by_agent = self.lock();
            by_agent.retain(|_, (_, throttled)| throttled.until.is_some());
            self.count.store(by_agent.len(), Ordering::Release);
        }
    }

    /// The agents whose steps wait now, each with the reason.
    pub(crate) fn closed(&self, now: Timestamp) -> BTreeMap<AgentId, String> {
        self.each(now, |agent, throttled| {
            (agent.clone(), throttled.to_string())
        })
    }

    /// The same, each with the limit at which they wait.
    pub(crate) fn limits(&self, now: Timestamp) -> BTreeMap<AgentId, String> {
        self.each(now, |agent, throttled| {
            (agent.clone(), throttled.whose.clone())
        })
    }

    /// Whether an agent waits at this limit now.
    pub(crate) fn is_shut(&self, whose: &str, now: Timestamp) -> bool {
        self.count.load(Ordering::Acquire) > 0 && {
            let by_agent = self.lock();
            let mut noted = by_agent.values();
            noted.any(|(again, throttled)| *again > now && throttled.whose == whose)
        }
    }

    fn each<T: FromIterator<E>, E>(
        &self,
        now: Timestamp,
        told: impl Fn(&AgentId, &Throttled) -> E,
    ) -> T {
        if self.count.load(Ordering::Acquire) == 0 {
            return T::from_iter([]);
        }
        let mut by_agent = self.lock();
        by_agent.retain(|_, (again, _)| *again > now);
        self.count.store(by_agent.len(), Ordering::Release);
        let noted = by_agent.iter();
        noted.map(|(agent, (_, why))| told(agent, why)).collect()
    }
}
