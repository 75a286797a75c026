//! Provider limits: whether an attempt may ask its model's provider now, and what its start and end change for all replicas.
//!
//! Each limit is a shared counter, changed in the transaction of the start. One of a rate holds a time (ITU-T I.371's
//! generic cell rate algorithm): by when all that was asked so far would have been asked evenly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::agent::model::ModelUse;
use domain::agent::retry::ErrorClass;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::standing::Throttled;
use domain::orchestration::state::{Orchestration, Step};
use domain::values::ids::AgentId;
use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;
use store::write::CounterChange;

use crate::gather::{Pending, definition, pinned_as};
use crate::handle::Engine;
use crate::sharing::{Limits, Sharing};

/// How long a provider is left alone that says 429, and not for how long, when the attempt was the step's last.
const CLOSED_FOR: Millis = Millis(10_000);

/// The longest until a limit on attempts in flight is looked at again, where none was heard to end.
const LOOK_AGAIN: Millis = Millis(1_000);

const MINUTE: u64 = 60_000_000_000;

/// How a rate is kept: a tenth of a minute's may come at once, and the rest evenly, so that no minute sees more than it.
#[derive(Clone, Copy, Debug)]
struct Meter {
    /// Nanoseconds from one to the next.
    each: u64,
    /// So many may come at once.
    burst: u64,
}

impl Meter {
    fn of(per_minute: u64) -> Self {
        let most = per_minute.clamp(1, MINUTE);
        let burst = (most / 10).max(1);
        Self {
            each: MINUTE.div_ceil(most - burst + 1),
            burst,
        }
    }

    /// A rate that only a 429 ever closes.
    const OPEN: Self = Self {
        each: 1,
        burst: 1_000_000_000,
    };

    fn nanos(self, units: u64) -> i64 {
        i64::try_from(units.saturating_mul(self.each)).unwrap_or(i64::MAX / 4)
    }

    /// What drawing so many units changes. More than a burst has to wait until nothing else is owed.
    fn draw(self, key: String, units: u64, at: Timestamp) -> CounterChange {
        let now = nanos(at);
        CounterChange {
            key,
            floor: Some(now),
            delta: self.nanos(units),
            limit: Some(now.saturating_add(self.nanos(units.max(self.burst)))),
        }
    }

    /// From when on so many may be drawn where the counter holds `held`, in nanoseconds.
    fn opens(self, held: i64, units: u64) -> i64 {
        held.saturating_sub(self.nanos(units.max(self.burst)) - self.nanos(units))
    }

    /// What the counter holds at least so that nothing may be drawn before `until`.
    fn closed(self, until: Timestamp) -> i64 {
        nanos(until).saturating_add(self.nanos(self.burst - 1))
    }
}

fn nanos(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000)
}

impl Limits {
    fn requests(self) -> Meter {
        self.requests_per_minute.map_or(Meter::OPEN, Meter::of)
    }

    fn tokens(self) -> Option<Meter> {
        self.tokens_per_minute.map(Meter::of)
    }
}

/// The counters of attempts in flight: held whatever the limits are, so that what is let go of was held.
fn in_flight(asks: &ModelUse) -> [String; 2] {
    let ModelUse {
        provider, model, ..
    } = asks;
    [
        format!("asks/{provider}"),
        format!("asks/{provider}/{model}"),
    ]
}

/// The limit that keeps an attempt from asking its provider now, as far as known.
///
/// # Errors
/// When the database fails.
pub(crate) async fn throttled(
    engine: &Engine,
    state: &Orchestration,
    asks: &ModelUse,
    pending: Option<&Pending<'_>>,
) -> Result<Option<Throttled>, StoreError> {
    let sharing = &engine.sharing;
    let mut keys = in_flight(asks).to_vec();
    for (whose, limits) in sharing.limits(asks) {
        keys.push(format!("requests/{whose}"));
        if limits.tokens().is_some() {
            keys.push(format!("tokens/{whose}"));
        }
    }
    let named: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut held = engine.store.counters(&named).await?;
    if let Some(pending) = pending {
        for (key, full) in pending.full.iter().filter(|(key, _)| keys.contains(key)) {
            held.insert(key.clone(), *full);
        }
        for change in changes(sharing, state, pending.before, pending.events) {
            let held = held.entry(change.key.clone()).or_default();
            *held = change.after(*held);
        }
    }
    Ok(which(sharing, asks, &held, engine.clock.now()))
}

/// The limit of a provider's that keeps the step at `index` waiting now.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_step(
    engine: &Engine,
    state: &Orchestration,
    index: StepIndex,
) -> Result<Option<Throttled>, StoreError> {
    let Some(head) = state
        .head
        .as_ref()
        .filter(|_| !engine.sharing.providers.is_empty())
    else {
        return Ok(None);
    };
    let pinned = pinned_as(engine, head.pinned).await?;
    let agent = definition(&pinned, state.graph.rules(index));
    match agent.and_then(|agent| engine.sharing.asks(agent)) {
        Some(asks) => throttled(engine, state, &asks, None).await,
        None => Ok(None),
    }
}

/// The limit that lets it in last.
fn which(
    sharing: &Sharing,
    asks: &ModelUse,
    held: &BTreeMap<String, i64>,
    now: Timestamp,
) -> Option<Throttled> {
    let held = |key: String| held.get(&key).copied().unwrap_or(0);
    let mut found: Option<Throttled> = None;
    for (whose, limits) in sharing.limits(asks) {
        let mut opens = limits
            .requests()
            .opens(held(format!("requests/{whose}")), 1);
        if let Some(meter) = limits.tokens() {
            opens = opens.max(meter.opens(held(format!("tokens/{whose}")), asks.tokens));
        }
        let until = (opens > nanos(now)).then(|| Timestamp(opens / 1_000 + 1));
        let full = limits
            .concurrency
            .is_some_and(|most| held(format!("asks/{whose}")) >= i64::from(most));
        let later = found.as_ref().is_none_or(|found| found.until < until);
        if (until.is_some() || full) && later {
            found = Some(Throttled { whose, until });
        }
    }
    found
}

/// What starts and ends of attempts among `events` change in the counters of their providers.
pub(crate) fn changes(
    sharing: &Sharing,
    state: &Orchestration,
    before: &BTreeMap<StepIndex, Step>,
    events: &[Recorded],
) -> Vec<CounterChange> {
    let starts = |recorded: &Recorded| {
        matches!(recorded.event, Event::AttemptStarted { model: Some(_), .. })
    };
    if before.values().all(|step| step.model.is_none()) && !events.iter().any(starts) {
        return Vec::new();
    }
    let mut in_flight: BTreeMap<StepIndex, &ModelUse> = before
        .iter()
        .filter_map(|(&index, step)| Some((index, step.model.as_deref()?)))
        .collect();
    let mut changes = Changes(BTreeMap::new());
    for (place, Recorded { at, event, .. }) in events.iter().enumerate() {
        let Some(index) = event.step().and_then(|id| state.graph.index(id)) else {
            continue;
        };
        match event {
            Event::AttemptStarted { model, .. } => {
                if let Some(asks) = model.as_deref() {
                    in_flight.insert(index, asks);
                    changes.start(sharing, asks, *at);
                }
            }
            event if leaves_flight(event) => {
                let Some(asks) = in_flight.remove(&index) else {
                    continue;
                };
                let used = event.charge().and_then(|charge| charge.usage.tokens());
                changes.end(sharing, asks, used, *at);
                if let Event::AttemptFailed {
                    class: ErrorClass::RateLimited,
                    ..
                } = event
                {
                    changes.close(sharing, asks, due_again(&events[place..], *at));
                }
            }
            _ => {}
        }
    }
    changes.into_rows()
}

fn leaves_flight(event: &Event) -> bool {
    matches!(
        event,
        Event::AttemptFailed { .. }
            | Event::AttemptExpired { .. }
            | Event::StepCompleted { .. }
            | Event::ChildCompleted { .. }
            | Event::StepParked { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepGatedOff { .. }
            | Event::StepCancelled { .. }
    )
}

/// When the step of the first of these events is tried again: no sooner than its provider asked for.
fn due_again(events: &[Recorded], at: Timestamp) -> Timestamp {
    let failed = events.first().and_then(|recorded| recorded.event.step());
    let again = events.iter().find_map(|recorded| match &recorded.event {
        Event::RetryScheduled { step, due_at, .. } if Some(step) == failed => Some(*due_at),
        _ => None,
    });
    again.unwrap_or(at + CLOSED_FOR)
}

/// Changes by counter: each counter at most once.
struct Changes(BTreeMap<String, CounterChange>);

impl Changes {
    fn add(&mut self, change: CounterChange) {
        match self.0.get_mut(&change.key) {
            None => drop(self.0.insert(change.key.clone(), change)),
            Some(sum) => {
                sum.floor = sum.floor.max(change.floor);
                sum.delta = sum.delta.saturating_add(change.delta);
                sum.limit = sum.limit.max(change.limit);
            }
        }
    }

    fn start(&mut self, sharing: &Sharing, asks: &ModelUse, at: Timestamp) {
        let limits = sharing.limits(asks);
        for key in in_flight(asks) {
            let own = limits
                .iter()
                .find(|(whose, _)| key.strip_prefix("asks/") == Some(whose));
            self.add(CounterChange {
                floor: None,
                delta: 1,
                limit: own.and_then(|(_, limits)| limits.concurrency.map(i64::from)),
                key,
            });
        }
        for (whose, limits) in limits {
            self.add(limits.requests().draw(format!("requests/{whose}"), 1, at));
            if let Some(meter) = limits.tokens() {
                self.add(meter.draw(format!("tokens/{whose}"), asks.tokens, at));
            }
        }
    }

    /// What was used is set right: none told is as many as were expected.
    fn end(&mut self, sharing: &Sharing, asks: &ModelUse, used: Option<u64>, at: Timestamp) {
        for key in in_flight(asks) {
            self.add(CounterChange {
                key,
                floor: None,
                delta: -1,
                limit: None,
            });
        }
        let used = used.unwrap_or(asks.tokens);
        if used == asks.tokens {
            return;
        }
        for (whose, limits) in sharing.limits(asks) {
            let Some(meter) = limits.tokens() else {
                continue;
            };
            let delta = meter.nanos(used).saturating_sub(meter.nanos(asks.tokens));
            self.add(CounterChange {
                key: format!("tokens/{whose}"),
                // What was given back long ago is not owed; what comes on top is owed from now on.
                floor: (delta > 0).then(|| nanos(at)),
                delta,
                limit: None,
            });
        }
    }

    /// Nobody asks before `until`: the model, where it has limits of its own, else the provider.
    fn close(&mut self, sharing: &Sharing, asks: &ModelUse, until: Timestamp) {
        if let Some((whose, limits)) = sharing.limits(asks).pop() {
            self.add(CounterChange {
                key: format!("requests/{whose}"),
                floor: Some(limits.requests().closed(until)),
                delta: 0,
                limit: None,
            });
        }
    }

    fn into_rows(self) -> Vec<CounterChange> {
        let changes = self.0.into_values();
        changes
            .filter(|change| change.delta != 0 || change.floor.is_some())
            .collect()
    }
}

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
        if self.count.load(Ordering::Acquire) == 0 {
            return BTreeMap::new();
        }
        let mut by_agent = self.lock();
        by_agent.retain(|_, (again, _)| *again > now);
        self.count.store(by_agent.len(), Ordering::Release);
        let told = by_agent.iter();
        told.map(|(agent, (_, throttled))| (agent.clone(), throttled.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000_000);

    /// When each of so many requests is let in, asked as early as can be.
    fn let_in(per_minute: u64, count: usize, units: u64) -> Vec<i64> {
        let meter = Meter::of(per_minute);
        let (mut now, mut held) = (START, 0);
        let mut times = Vec::new();
        while times.len() < count {
            let opens = meter.opens(held, units);
            if opens > nanos(now) {
                now = Timestamp(opens / 1_000 + 1);
            }
            let draw = meter.draw(String::new(), units, now);
            assert!(
                draw.after(held) <= draw.limit.unwrap(),
                "it said it was open"
            );
            held = draw.after(held);
            times.push(now.0);
        }
        times
    }

    #[test]
    fn no_minute_sees_more_than_the_rate_and_a_full_queue_gets_nine_tenths_of_it() {
        for per_minute in [1, 2, 3, 7, 10, 60, 500, 10_000] {
            let most = usize::try_from(per_minute).unwrap();
            let times = let_in(per_minute, 3 * most + 1, 1);
            for window in times.windows(most + 1) {
                assert!(window[most] - window[0] >= 60_000_000, "{per_minute}");
            }
            let took = times[3 * most] - times[0];
            assert!(took <= 200_000_000, "{per_minute}: {took}");
        }
    }

    #[test]
    fn what_is_more_than_a_burst_waits_until_nothing_is_owed() {
        let times = let_in(1_000, 4, 500);
        for pair in times.windows(2) {
            let apart = pair[1] - pair[0];
            assert!((30_000_000..37_000_000).contains(&apart), "{apart}");
        }
    }

    #[test]
    fn what_is_closed_opens_just_then() {
        for meter in [Meter::of(20), Meter::of(1), Meter::OPEN] {
            let until = START + Millis(60_000);
            let held = meter.closed(until);
            assert_eq!(meter.opens(held, 1), nanos(until));
        }
    }
}
