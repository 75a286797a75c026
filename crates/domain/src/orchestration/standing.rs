//! How an unended step stands: claimable, held, or waiting for a cause that has a name.

use std::collections::BTreeMap;
use std::fmt;

use crate::money::budget::{Scope, Shortage};
use crate::orchestration::command::Holder;
use crate::orchestration::event::EndedAs;
use crate::orchestration::graph::StepIndex;
use crate::orchestration::state::{Orchestration, StepState};
use crate::values::ids::{AgentId, StepId};
use crate::values::time::Timestamp;

/// What a step waits for. Time or a command clears each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Dependencies that have not ended.
    Dependencies(Vec<StepId>),
    /// Its gate's verdict.
    Gate,
    /// Its children.
    Children(Vec<StepId>),
    /// A person's yes.
    Approval,
    /// A person's yes to going beyond a limit.
    Budget(Shortage),
    /// The end of a pause: of the step, or of the orchestration.
    Resume,
    /// What attempts in flight hold of a limit that it does not fit beside them.
    Credits(Shortage),
    /// The orchestration is being cancelled.
    Cancelling,
    /// The time of its next attempt.
    Due(Timestamp),
    /// An exclusive step that is in flight.
    Exclusive,
    /// The end of all attempts in flight, since it wants to be alone.
    Alone,
    /// An exclusive step that was in the queue before it.
    Turn(StepId),
    /// A counter that is full: a concurrency key, or equal work in flight.
    Counter {
        /// Which.
        key: String,
        /// How many are in flight.
        held: i64,
        /// How many may be.
        limit: i64,
    },
    /// A limit of the provider's whose model it asks.
    Provider(Throttled),
}

/// A limit of a provider's that lets no attempt in now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttled {
    /// The provider, or its model.
    pub whose: String,
    /// When it lets one in again; none where an attempt in flight must end first.
    pub until: Option<Timestamp>,
    /// Whether it takes one more, and another account that waits comes first.
    pub others_turn: bool,
}

impl fmt::Display for Throttled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = &self.whose;
        match self.until {
            _ if self.others_turn => write!(f, "what `{whose}` takes next is another account's"),
            Some(until) => write!(f, "`{whose}` takes no more requests until {until}"),
            None => write!(
                f,
                "as many attempts are in flight as `{whose}` takes at one time"
            ),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependencies(steps) => {
                let names: Vec<_> = steps.iter().map(|step| format!("`{step}`")).collect();
                write!(f, "it waits for {}", names.join(", "))
            }
            Self::Children(steps) => {
                let names: Vec<_> = steps.iter().map(|step| format!("`{step}`")).collect();
                write!(f, "it waits for its children {}", names.join(", "))
            }
            Self::Gate => f.write_str("its gate has no verdict yet"),
            Self::Approval => f.write_str("it waits for approval"),
            Self::Budget(shortage) => write!(f, "it waits for approval: {shortage}"),
            Self::Credits(shortage) if shortage.scope == Scope::Quota => {
                write!(f, "it waits for a quota's next time: {shortage}")
            }
            Self::Credits(shortage) if shortage.scope == Scope::Account => {
                write!(f, "it waits for credits: {shortage}")
            }
            Self::Credits(shortage) => {
                write!(f, "it waits for what attempts in flight hold: {shortage}")
            }
            Self::Resume => f.write_str("it is paused"),
            Self::Cancelling => f.write_str("the orchestration is being cancelled"),
            Self::Due(due) => write!(f, "its next attempt is due at {due}"),
            Self::Exclusive => f.write_str("a step that must be alone is in flight"),
            Self::Alone => f.write_str("it must be alone and other steps are in flight"),
            Self::Turn(step) => write!(f, "`{step}`, which must be alone, comes first"),
            Self::Provider(throttled) => throttled.fmt(f),
            Self::Counter { key, held, limit } => {
                write!(f, "{held} of at most {limit} are in flight for `{key}`")
            }
        }
    }
}

/// How a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// May be claimed now, as far as this orchestration goes.
    Claimable,
    /// An attempt holds it.
    Held(Holder),
    /// Waits.
    Waits(Wait),
    /// Is over.
    Ended(EndedAs),
}

impl Orchestration {
    /// How the step at `index` stands at `now`.
    pub fn standing(&self, index: StepIndex, now: Timestamp) -> Standing {
        self.standing_while(index, now, &BTreeMap::new())
    }

    /// How the step at `index` stands at `now`, while nobody may claim steps of the agents that are `blocked`.
    pub fn standing_while(
        &self,
        index: StepIndex,
        now: Timestamp,
        blocked: &BTreeMap<AgentId, String>,
    ) -> Standing {
        let step = &self.steps[index];
        match step.state {
            StepState::Ended(ended) => Standing::Ended(ended),
            StepState::Running => step
                .holder
                .map_or(Standing::Waits(Wait::Gate), Standing::Held),
            StepState::Parked if step.waits_for_account() => self
                .wait_of_ready(index, now, blocked)
                .map_or(Standing::Claimable, Standing::Waits),
            StepState::Parked => Standing::Waits(match &step.short {
                Some(short) => Wait::Budget((**short).clone()),
                None if step.awaits > 0 => Wait::Children(self.unended_children(index)),
                None => Wait::Approval,
            }),
            StepState::Waiting if step.waiting_on == 0 => Standing::Waits(Wait::Gate),
            StepState::Waiting => {
                let unended = self
                    .graph
                    .dependencies(index)
                    .filter(|&dependency| self.steps[dependency].state.ended().is_none());
                Standing::Waits(Wait::Dependencies(
                    unended
                        .map(|dependency| self.graph.rules(dependency).id.clone())
                        .collect(),
                ))
            }
            StepState::Ready => self
                .wait_of_ready(index, now, blocked)
                .map_or(Standing::Claimable, Standing::Waits),
        }
    }

    fn unended_children(&self, index: StepIndex) -> Vec<StepId> {
        let children = self.graph.children(index).iter();
        children
            .filter(|&&child| self.steps[child].state.ended().is_none())
            .map(|&child| self.graph.rules(child).id.clone())
            .collect()
    }

    /// Whether the step, or the whole, is paused.
    pub fn is_paused(&self, index: StepIndex) -> bool {
        let head = self.head.as_ref();
        self.steps[index].paused_at.is_some() || head.is_some_and(|head| head.paused_at.is_some())
    }

    /// What a step in the queue waits for, if anything. Costs no scan.
    fn wait_of_ready(
        &self,
        index: StepIndex,
        now: Timestamp,
        blocked: &BTreeMap<AgentId, String>,
    ) -> Option<Wait> {
        let step = &self.steps[index];
        let head = self.head.as_ref()?;
        if head.cancelling.is_some() {
            return Some(Wait::Cancelling);
        }
        if self.is_paused(index) {
            return Some(Wait::Resume);
        }
        if let Some(due) = step.due_at.filter(|due| *due > now) {
            return Some(Wait::Due(due));
        }
        if self.tally.exclusive_running {
            return Some(Wait::Exclusive);
        }
        if self.graph.rules(index).exclusive {
            return (self.tally.running > 0).then_some(Wait::Alone);
        }
        self.exclusive_before(index, now, blocked)
            .map(|first| Wait::Turn(self.graph.rules(first).id.clone()))
    }

    /// An exclusive step that could start but for others in flight, and has waited at least as long: without its turn
    /// a stream of other steps could keep it waiting for ever. One with a concurrency key, which other orchestrations may
    /// fill for as long as they like, and one of a blocked agent have no turn: their siblings, which are only so many, need
    /// not wait for what has nothing to do with them.
    fn exclusive_before(
        &self,
        index: StepIndex,
        now: Timestamp,
        blocked: &BTreeMap<AgentId, String>,
    ) -> Option<StepIndex> {
        let since = self.steps[index].ready_at;
        self.tally.exclusive_ready.iter().copied().find(|&other| {
            let (rules, step) = (self.graph.rules(other), &self.steps[other]);
            rules.concurrency.is_none()
                && !blocked.contains_key(&rules.agent)
                && step.paused_at.is_none()
                && step.due_at.is_none_or(|due| due <= now)
                && step.ready_at <= since
        })
    }
}
