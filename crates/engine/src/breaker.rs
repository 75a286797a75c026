//! Breakers: an agent that fails again and again is left alone for a while, and its steps wait without using attempts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::agent::retry::ErrorClass;
use domain::values::ids::AgentId;
use domain::values::time::{Millis, Timestamp};
use tokio::sync::Notify;

/// So many failures one after another open a breaker.
pub const FAILURES: u32 = 5;

/// How long it stays open the first time; each trial that fails doubles it.
pub const FIRST_PAUSE: Millis = Millis(10_000);

/// It stays open no longer than this at one time.
pub const LONGEST_PAUSE: Millis = Millis(300_000);

/// A trial that says nothing for so long counts as none: the next one may try.
const TRIAL_PATIENCE: Millis = Millis(60_000);

/// Longest reason that is kept, in characters.
const REASON_MAX: usize = 300;

/// Whether attempts pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// All.
    Closed,
    /// None, until the pause is over.
    Open,
    /// One, as a trial.
    HalfOpen,
}

impl State {
    /// As shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How an agent's breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerState {
    /// Whose.
    pub agent: AgentId,
    /// Whether attempts pass.
    pub state: State,
    /// Failures one after another.
    pub failures: u32,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// When the pause is over.
    pub retry_at: Option<Timestamp>,
    /// The last failure, for people.
    pub reason: Option<String>,
}

/// What an attempt says of its agent's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It answered: what the answer was worth is another matter.
    Answered,
    /// It did not, or not in time.
    Failed(&'a str),
    /// Nothing: the attempt was stopped from here.
    Nothing,
}

impl<'a> Verdict<'a> {
    /// What a failure of this class says.
    pub fn of(class: ErrorClass, message: &'a str) -> Self {
        match class {
            ErrorClass::Transient | ErrorClass::Timeout => Self::Failed(message),
            ErrorClass::RateLimited | ErrorClass::InvalidOutput | ErrorClass::Fatal => {
                Self::Answered
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Breaker {
    failures: u32,
    opened_at: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    pause: Millis,
    trial_at: Option<Timestamp>,
    reason: Option<String>,
}

impl Breaker {
    fn state(&self, now: Timestamp) -> State {
        match self.retry_at {
            None => State::Closed,
            Some(retry_at) if now < retry_at => State::Open,
            Some(_) => State::HalfOpen,
        }
    }

    fn on_trial(&self, now: Timestamp) -> bool {
        self.trial_at
            .is_some_and(|began| now - began < TRIAL_PATIENCE)
    }
}

/// The breakers of this replica, by agent. In memory: each replica finds out for itself whom it cannot reach.
#[derive(Clone, Debug, Default)]
pub struct Breakers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_agent: Mutex<BTreeMap<AgentId, Breaker>>,
    /// How many are not closed: while none is, a claim looks at this number and nothing else.
    open: AtomicUsize,
    /// What the last probe said, by agent.
    unwell: Mutex<BTreeMap<AgentId, String>>,
    opened: Notify,
}

impl Breakers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgentId, Breaker>> {
        self.0
            .by_agent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any breaker is not closed.
    pub fn any_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    /// Why no attempt of `agent` may start now, if none may.
    pub fn open(&self, agent: &AgentId, now: Timestamp) -> Option<String> {
        if !self.any_open() {
            return None;
        }
        let by_agent = self.lock();
        let breaker = by_agent.get(agent)?;
        let reason = breaker.reason.as_deref().unwrap_or("it failed");
        match breaker.state(now) {
            State::Closed => None,
            State::Open => Some(format!(
                "the breaker of `{agent}` is open after {} failures, until {}: {reason}",
                breaker.failures,
                breaker.retry_at.unwrap_or(now)
            )),
            State::HalfOpen => breaker.on_trial(now).then(|| {
                format!("the breaker of `{agent}` is half open, one attempt is on trial: {reason}")
            }),
        }
    }

    /// An attempt of `agent` is about to start. Of a half-open breaker the first one is the trial, and the others wait.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, agent: &AgentId, now: Timestamp) -> Result<(), String> {
        if !self.any_open() {
            return Ok(());
        }
        if let Some(why) = self.open(agent, now) {
            return Err(why);
        }
        if let Some(breaker) = self.lock().get_mut(agent)
            && breaker.state(now) == State::HalfOpen
        {
            breaker.trial_at = Some(now);
        }
        Ok(())
    }

    /// The attempt that was admitted does not start after all: the next one may try.
    pub fn withdraw(&self, agent: &AgentId) {
        if self.any_open()
            && let Some(breaker) = self.lock().get_mut(agent)
        {
            breaker.trial_at = None;
        }
    }

    /// The agents that no attempt of may start now, each with the reason.
    pub fn blocked(&self, now: Timestamp) -> BTreeMap<AgentId, String> {
        if !self.any_open() {
            return BTreeMap::new();
        }
        let agents: Vec<AgentId> = self.lock().keys().cloned().collect();
        let why = |agent: AgentId| self.open(&agent, now).map(|why| (agent, why));
        agents.into_iter().filter_map(why).collect()
    }

    /// What an attempt has shown. Answers whether the breaker let attempts pass again: then whoever claims looks again.
    pub fn heard(&self, agent: &AgentId, verdict: Verdict<'_>, now: Timestamp) -> bool {
        match verdict {
            Verdict::Answered => self.close(agent),
            Verdict::Failed(reason) => {
                self.fail(agent, reason, now);
                false
            }
            Verdict::Nothing => self
                .lock()
                .get_mut(agent)
                .is_some_and(|breaker| breaker.trial_at.take().is_some()),
        }
    }

    fn close(&self, agent: &AgentId) -> bool {
        let Some(breaker) = self.lock().remove(agent) else {
            return false;
        };
        let was_open = breaker.retry_at.is_some();
        if was_open {
            self.0.open.fetch_sub(1, Ordering::AcqRel);
        }
        was_open
    }

    fn fail(&self, agent: &AgentId, reason: &str, now: Timestamp) {
        let mut by_agent = self.lock();
        let breaker = by_agent.entry(agent.clone()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        breaker.reason = Some(reason.chars().take(REASON_MAX).collect());
        let trial_failed = breaker.trial_at.take().is_some();
        let pause = match breaker.retry_at {
            None if breaker.failures >= FAILURES => {
                self.0.open.fetch_add(1, Ordering::AcqRel);
                self.0.opened.notify_one();
                FIRST_PAUSE
            }
            Some(_) if trial_failed => Millis((breaker.pause.0 * 2).min(LONGEST_PAUSE.0)),
            // Attempts that were under way when it opened say nothing new.
            _ => return,
        };
        breaker.pause = pause;
        breaker.opened_at.get_or_insert(now);
        breaker.retry_at = Some(now + pause);
    }

    /// The agent says that it is well: of an open breaker one attempt may try now. Answers whether that is news.
    pub fn well(&self, agent: &AgentId, now: Timestamp) -> bool {
        self.lock_unwell().remove(agent);
        let mut by_agent = self.lock();
        let Some(breaker) = by_agent.get_mut(agent) else {
            return false;
        };
        let news = breaker.state(now) == State::Open;
        if news {
            breaker.retry_at = Some(now);
        }
        news
    }

    /// The agent did not say that it is well. That alone opens nothing: attempts tell more than probes.
    pub fn unwell(&self, agent: &AgentId, reason: &str) {
        self.lock_unwell()
            .insert(agent.clone(), reason.chars().take(REASON_MAX).collect());
    }

    /// What the last look said of agents that are not well.
    pub fn all_unwell(&self) -> BTreeMap<AgentId, String> {
        self.lock_unwell().clone()
    }

    fn lock_unwell(&self) -> MutexGuard<'_, BTreeMap<AgentId, String>> {
        self.0.unwell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the first pause is over that is not over yet.
    pub fn next_over(&self, now: Timestamp) -> Option<Timestamp> {
        let by_agent = self.lock();
        let over = by_agent.values().filter_map(|breaker| breaker.retry_at);
        over.filter(|over| *over > now).min()
    }

    /// Returns when a breaker has opened, or at once when that went unheard. One listener.
    pub async fn opened(&self) {
        self.0.opened.notified().await;
    }

    /// All breakers that have something to tell, by agent.
    pub fn all(&self, now: Timestamp) -> Vec<BreakerState> {
        let tell = |(agent, breaker): (&AgentId, &Breaker)| BreakerState {
            agent: agent.clone(),
            state: breaker.state(now),
            failures: breaker.failures,
            opened_at: breaker.opened_at,
            retry_at: breaker.retry_at,
            reason: breaker.reason.clone(),
        };
        self.lock().iter().map(tell).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000_000);

    fn agent() -> AgentId {
        AgentId::new("a").unwrap()
    }

    fn broken(breakers: &Breakers, now: Timestamp) {
        for _ in 0..FAILURES {
            assert_eq!(breakers.open(&agent(), now), None);
            breakers.heard(&agent(), Verdict::Failed("refused"), now);
        }
    }

    #[test]
    fn five_failures_one_after_another_open_it_and_an_answer_between_them_does_not_count() {
        let breakers = Breakers::default();
        for _ in 0..3 {
            for _ in 1..FAILURES {
                breakers.heard(&agent(), Verdict::Failed("refused"), START);
            }
            breakers.heard(&agent(), Verdict::Answered, START);
        }
        assert_eq!(breakers.blocked(START), BTreeMap::new());
        broken(&breakers, START);
        let why = breakers.open(&agent(), START).unwrap();
        assert!(
            why.contains("after 5 failures") && why.contains("refused"),
            "{why}"
        );
        assert_eq!(breakers.all(START)[0].state, State::Open);
    }

    #[test]
    fn after_the_pause_one_attempt_is_the_trial_and_its_failure_doubles_the_pause() {
        let breakers = Breakers::default();
        broken(&breakers, START);
        let mut now = START;
        for pause in [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
            assert!(breakers.admit(&agent(), now + Millis(pause - 1)).is_err());
            now = now + Millis(pause);
            assert_eq!(breakers.all(now)[0].state, State::HalfOpen);
            assert_eq!(breakers.admit(&agent(), now), Ok(()));
            let second = breakers.admit(&agent(), now).unwrap_err();
            assert!(second.contains("on trial"), "{second}");
            assert!(!breakers.heard(&agent(), Verdict::Failed("still"), now));
        }
        now = now + LONGEST_PAUSE;
        assert_eq!(breakers.admit(&agent(), now), Ok(()));
        assert!(breakers.heard(&agent(), Verdict::Answered, now));
        assert!(!breakers.any_open() && breakers.all(now).is_empty());
    }

    #[test]
    fn a_trial_that_does_not_start_or_is_stopped_leaves_room_for_the_next() {
        let breakers = Breakers::default();
        broken(&breakers, START);
        let now = START + FIRST_PAUSE;
        assert_eq!(breakers.admit(&agent(), now), Ok(()));
        breakers.withdraw(&agent());
        assert_eq!(breakers.admit(&agent(), now), Ok(()));
        assert!(breakers.heard(&agent(), Verdict::Nothing, now));
        assert_eq!(breakers.admit(&agent(), now), Ok(()));
        assert_eq!(breakers.open(&agent(), now + TRIAL_PATIENCE), None);
    }

    #[test]
    fn a_probe_that_is_answered_ends_the_pause_and_an_unanswered_one_opens_nothing() {
        let breakers = Breakers::default();
        breakers.unwell(&agent(), "no route");
        assert_eq!(breakers.open(&agent(), START), None);
        assert_eq!(breakers.all_unwell().len(), 1);
        broken(&breakers, START);
        assert!(breakers.well(&agent(), START));
        assert!(breakers.all_unwell().is_empty());
        assert_eq!(breakers.admit(&agent(), START), Ok(()));
    }
}
