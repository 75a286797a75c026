//! Provider limits: whether a model may be asked now, and what questions and attempts change for all replicas.
//!
//! Each limit is a shared counter, changed in the transaction of the start or of the question.

use std::collections::BTreeMap;

use domain::agent::definition::AgentDefinition;
use domain::agent::model::{Counts, ModelUse};
use domain::agent::retry::ErrorClass;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::standing::Throttled;
use domain::orchestration::state::{Orchestration, Step};
use domain::orchestration::turns::Asked;
use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;
use store::write::CounterChange;

use crate::gather::{Pending, definition, pinned_as, told};
use crate::handle::Engine;
use crate::meter::{self, Meter, nanos};
use crate::movements::ends_attempt;
use crate::sharing::{Limits, Sharing};

/// How long a provider is left alone that says 429, and not for how long, when the attempt was the step's last.
pub(crate) const CLOSED_FOR: Millis = Millis(10_000);

/// Tokens that an answer is expected to have that nothing bounds.
const EXPECTED_ANSWER: u64 = 1_000;

/// How many bytes a token is taken to be.
const BYTES_PER_TOKEN: u64 = 4;

impl Limits {
    fn requests(self) -> Option<Meter> {
        self.requests_per_minute.map(Meter::of)
    }

    fn tokens(self) -> Option<Meter> {
        self.tokens_per_minute.map(Meter::of)
    }
}

/// A provider and its model, as counters name them.
pub(crate) fn names(asks: &ModelUse) -> [String; 2] {
    let ModelUse {
        provider, model, ..
    } = asks;
    [provider.clone(), format!("{provider}/{model}")]
}

/// The counters of what is in flight: held whatever the limits are, so that what is let go of was held.
fn in_flight(asks: &ModelUse) -> [String; 2] {
    names(asks).map(|whose| format!("asks/{whose}"))
}

/// Of the models in `chain` the first that lets a question in now; where none does, the one that lets it in first, and why it
/// waits, as far as known. The store has the last word.
///
/// # Errors
/// When the database fails.
pub(crate) async fn first_open(
    engine: &Engine,
    state: &Orchestration,
    chain: &[ModelUse],
    pending: Option<&Pending<'_>>,
) -> Result<(usize, Option<Throttled>), StoreError> {
    let sharing = &engine.sharing;
    let mut keys = Vec::new();
    for asks in chain {
        keys.extend(names(asks).map(|whose| format!("closed/{whose}")));
        for (whose, limits) in sharing.limits(asks) {
            for (kind, counts) in [
                ("asks", limits.concurrency.is_some()),
                ("requests", limits.requests().is_some()),
                ("tokens", limits.tokens().is_some()),
            ] {
                keys.extend(counts.then(|| format!("{kind}/{whose}")));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
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
    let now = engine.clock.now();
    let mut soonest: Option<(usize, Throttled)> = None;
    let account = state.head.as_ref().map(|head| &head.account);
    for (place, asks) in chain.iter().enumerate() {
        let gives_way = || engine.lines.gives_way(asks, account?);
        let throttled = which(sharing, asks, &held, now).or_else(|| {
            Some(Throttled {
                whose: gives_way()?,
                until: None,
                others_turn: true,
            })
        });
        let Some(throttled) = throttled else {
            return Ok((place, None));
        };
        let sooner = soonest.as_ref();
        if sooner.is_none_or(|(_, known)| throttled.until < known.until) {
            soonest = Some((place, throttled));
        }
    }
    Ok(soonest.map_or((0, None), |(place, throttled)| (place, Some(throttled))))
}

impl Engine {
    /// The models that the agent asks, in their order, each with the tokens that its first question is expected to use: as its
    /// definition says, else a quarter of the bytes that it is `told` and what it may answer.
    pub(crate) fn chain(
        &self,
        agent: &AgentDefinition,
        told: impl FnOnce() -> u64,
    ) -> Vec<ModelUse> {
        let models = self.billing.prices.models_of(agent);
        if models.is_empty() {
            return Vec::new();
        }
        let counts = if self.performer.converses(self, agent) {
            Counts::Question
        } else {
            Counts::Attempt
        };
        let answer = expected_answer(agent.max_output_tokens);
        let expected = || (told() / BYTES_PER_TOKEN).saturating_add(answer);
        let tokens = agent.estimated_tokens.unwrap_or_else(expected);
        let asks = |name: &String| self.sharing.asks(name, tokens, counts);
        models.iter().map(asks).collect()
    }
}

/// Tokens that an answer is expected to have, at most where they are bounded.
pub(crate) fn expected_answer(max_tokens: Option<u32>) -> u64 {
    max_tokens.map_or(EXPECTED_ANSWER, u64::from)
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
    let Some(head) = &state.head else {
        return Ok(None);
    };
    let pinned = pinned_as(engine, head.pinned).await?;
    let Some(agent) = definition(&pinned, state.graph.rules(index)) else {
        return Ok(None);
    };
    let plan = engine.plans.load(&engine.store, &head.account, head.plan);
    let plan = plan.await?;
    let chain = engine.chain(agent, || told(agent, &plan));
    if chain.is_empty() {
        return Ok(None);
    }
    let (_, throttled) = first_open(engine, state, &chain, None).await?;
    Ok(throttled)
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
    let mut find = |whose: String, opens: i64, full: bool| {
        let until = (opens > nanos(now)).then(|| Timestamp(opens / 1_000 + 1));
        let later = found.as_ref().is_none_or(|found| found.until < until);
        if (until.is_some() || full) && later {
            found = Some(Throttled {
                whose,
                until,
                others_turn: false,
            });
        }
    };
    for whose in names(asks) {
        let opens = meter::opens(held(format!("closed/{whose}")), now);
        find(whose, opens, false);
    }
    for (whose, limits) in sharing.limits(asks) {
        let mut opens = 0;
        if let Some(meter) = limits.requests() {
            opens = meter.opens(held(format!("requests/{whose}")), 1, now);
        }
        if let Some(meter) = limits.tokens() {
            let held = held(format!("tokens/{whose}"));
            opens = opens.max(meter.opens(held, asks.tokens, now));
        }
        let full = limits
            .concurrency
            .is_some_and(|most| held(format!("asks/{whose}")) >= i64::from(most));
        find(whose, opens, full);
    }
    found
}

/// What starts, questions and ends of attempts among `events` change in the counters of their providers.
pub(crate) fn changes(
    sharing: &Sharing,
    state: &Orchestration,
    before: &BTreeMap<StepIndex, Step>,
    events: &[Recorded],
) -> Vec<CounterChange> {
    let asks = |recorded: &Recorded| match &recorded.event {
        Event::AttemptStarted { model, .. } => model.is_some(),
        Event::Asking(_) => true,
        _ => false,
    };
    if before.values().all(|step| step.model.is_none()) && !events.iter().any(asks) {
        return Vec::new();
    }
    let in_flight = before
        .iter()
        .filter_map(|(&index, step)| Some((index, step.model.as_deref()?)));
    let mut changing = Changing {
        sharing,
        in_flight: in_flight.collect(),
        changes: BTreeMap::new(),
    };
    for (place, recorded) in events.iter().enumerate() {
        let step = recorded.event.step();
        if let Some(index) = step.and_then(|id| state.graph.index(id)) {
            changing.take(index, recorded, &events[place..]);
        }
    }
    changing.into_rows()
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
struct Changing<'a> {
    sharing: &'a Sharing,
    /// What asks now, by step.
    in_flight: BTreeMap<StepIndex, &'a ModelUse>,
    changes: BTreeMap<String, CounterChange>,
}

impl<'a> Changing<'a> {
    /// Takes in an event of the step at `index`, the first of `rest`.
    fn take(&mut self, index: StepIndex, recorded: &'a Recorded, rest: &[Recorded]) {
        let Recorded { at, event, .. } = recorded;
        match event {
            Event::AttemptStarted { model, .. } => self.start(index, model.as_deref(), *at),
            Event::Asking(asking) => {
                let known = self.in_flight.get(&index).copied();
                if known.is_some() && known == asking.model.as_deref() {
                    return; // it holds more, and asks as before
                }
                let unanswered = asking.unanswered.as_deref();
                if let Some(asks) = self.in_flight.remove(&index) {
                    let used = unanswered.map_or(asks.tokens, |unanswered| unanswered.tokens);
                    self.end(asks, used, *at);
                }
                if let (Some(asks), Some(until)) = (unanswered, asking.closed_until) {
                    self.close(asks, until, *at);
                }
                self.start(index, asking.model.as_deref(), *at);
            }
            Event::TurnRecorded {
                asked: Asked::Model,
                tokens,
                ..
            } => {
                if let Some(asks) = self.in_flight.remove(&index) {
                    self.end(asks, tokens.unwrap_or(asks.tokens), *at);
                }
            }
            event if ends_attempt(event) => {
                let Some(asks) = self.in_flight.remove(&index) else {
                    return;
                };
                let told = event.charge().and_then(|charge| charge.usage.tokens());
                // What an attempt used in all is not what its last question did. None told is as many as were expected.
                let used = told.filter(|_| asks.counts != Counts::Question);
                self.end(asks, used.unwrap_or(asks.tokens), *at);
                if let Event::AttemptFailed {
                    class: ErrorClass::RateLimited,
                    ..
                } = event
                {
                    self.close(asks, due_again(rest, *at), *at);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, change: CounterChange) {
        match self.changes.get_mut(&change.key) {
            None => drop(self.changes.insert(change.key.clone(), change)),
            Some(sum) => {
                sum.floor = sum.floor.max(change.floor);
                sum.believed = sum.believed.max(change.believed);
                sum.delta = sum.delta.saturating_add(change.delta);
                sum.limit = sum.limit.max(change.limit);
                sum.ceiling = sum.ceiling.max(change.ceiling);
            }
        }
    }

    fn start(&mut self, index: StepIndex, asks: Option<&'a ModelUse>, at: Timestamp) {
        let Some(asks) = asks else { return };
        self.in_flight.insert(index, asks);
        if !asks.is_counted() {
            return;
        }
        let limits = self.sharing.limits(asks);
        for key in in_flight(asks) {
            let own = limits
                .iter()
                .find(|(whose, _)| key.strip_prefix("asks/") == Some(whose));
            self.add(CounterChange {
                delta: 1,
                limit: own.and_then(|(_, limits)| limits.concurrency.map(i64::from)),
                key,
                ..CounterChange::default()
            });
        }
        for (whose, limits) in limits {
            if let Some(meter) = limits.requests() {
                self.add(meter.draw(format!("requests/{whose}"), 1, at));
            }
            if let Some(meter) = limits.tokens() {
                self.add(meter.draw(format!("tokens/{whose}"), asks.tokens, at));
            }
        }
    }

    /// What was `used` is set right.
    fn end(&mut self, asks: &ModelUse, used: u64, at: Timestamp) {
        if !asks.is_counted() {
            return;
        }
        for key in in_flight(asks) {
            self.add(CounterChange {
                key,
                delta: -1,
                ..CounterChange::default()
            });
        }
        for (whose, limits) in self.sharing.limits(asks) {
            let meter = limits.tokens();
            let key = format!("tokens/{whose}");
            let change = meter.and_then(|meter| meter.set_right(key, asks.tokens, used, at));
            change.into_iter().for_each(|change| self.add(change));
        }
    }

    /// Nobody asks before `until`: the provider, where it has limits and its model none of its own, else the model.
    fn close(&mut self, asks: &ModelUse, until: Timestamp, now: Timestamp) {
        let [provider, model] = names(asks);
        let whose = match self.sharing.limits(asks).as_slice() {
            [_] => provider,
            _ => model,
        };
        self.add(meter::close(format!("closed/{whose}"), until, now));
    }

    fn into_rows(self) -> Vec<CounterChange> {
        let changes = self.changes.into_values();
        changes
            .filter(|change| change.delta != 0 || change.floor.is_some())
            .collect()
    }
}
