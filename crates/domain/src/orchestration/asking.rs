//! Questions of an attempt in flight that the limits of providers count one by one, and what it holds for them.

use serde::{Deserialize, Serialize};

use crate::agent::model::ModelUse;
use crate::money::budget::{AtLimit, Shortage};
use crate::money::charge::is_zero;
use crate::orchestration::command::{Facts, Holder, Rejected, Short};
use crate::orchestration::event::Event;
use crate::orchestration::graph::StepIndex;
use crate::orchestration::report::held;
use crate::orchestration::spending::{self, Room};
use crate::orchestration::standing::{Throttled, Wait};
use crate::orchestration::state::{Head, Orchestration, Step};
use crate::values::credits::Credits;
use crate::values::ids::StepId;
use crate::values::time::Timestamp;

/// What an attempt in flight asks from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asking {
    /// The step.
    pub step: StepId,
    /// The fence.
    pub attempt: u32,
    /// What its next question asks of a provider; nothing while it asks nobody whose limits count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<ModelUse>>,
    /// The question before, where that failed: whom it asked, and the tokens that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Box<ModelUse>>,
    /// Until when whom that question asked is to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_until: Option<Timestamp>,
    /// What the attempt holds from now on, where that is more than before; of a command what it is to hold at least.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold: Credits,
    /// Whether it holds that although it does not fit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_budget: bool,
}

/// What a question may know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskFacts {
    /// The limit of its provider's that keeps it waiting, as far as known; the store has the last word.
    pub throttled: Option<Throttled>,
    /// A limit of the account's that its hold did not fit when it was tried last.
    pub short: Option<Short>,
}

/// A question that its limits leave no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// Which limit, and what is missing.
    pub shortage: Shortage,
    /// What the limit says to do; nothing where it may fit once attempts in flight have ended.
    pub then: Option<AtLimit>,
}

/// The attempt in flight is about to ask, or asks no longer.
pub(super) fn ask(
    state: &Orchestration,
    head: &Head,
    holder: Holder,
    asking: &Asking,
    facts: &Facts,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, &asking.step, asking.attempt, holder)?;
    let known = facts.ask.as_ref();
    if let Some(throttled) = known.and_then(|known| known.throttled.clone()) {
        return Err(Rejected::NotStartable {
            step: asking.step.clone(),
            wait: Wait::Provider(throttled),
        });
    }
    let mut asking = asking.clone();
    let more = asking.hold.saturating_sub(state.steps[index].hold);
    if more <= Credits::ZERO {
        asking.hold = Credits::ZERO;
    } else {
        let short = known.and_then(|known| known.short.as_ref());
        let (shortage, then) = match spending::room(state, head, index, more, short) {
            Room::Fits(_) => (None, None),
            Room::Over(_) => {
                asking.over_budget = true;
                (None, None)
            }
            Room::Stops(shortage) => (Some(shortage), Some(AtLimit::Stop)),
            Room::Pauses(shortage) => (Some(shortage), Some(AtLimit::Pause)),
            Room::Waits(shortage) => (Some(shortage), None),
        };
        if let Some(shortage) = shortage {
            return Err(Rejected::NoRoom(Box::new(NoRoom { shortage, then })));
        }
    }
    let changes = asking.model != state.steps[index].model
        || asking.hold > Credits::ZERO
        || asking.closed_until.is_some();
    Ok(Vec::from_iter(
        changes.then(|| Event::Asking(Box::new(asking))),
    ))
}

impl Step {
    /// It is in the queue again.
    pub(super) fn comes_again(&mut self, event: &Event) {
        if let Event::RetryScheduled { retries, needs, .. } = event {
            (self.retries, self.needs) = (*retries, *needs);
        }
    }
}

impl Orchestration {
    /// What the next attempt at a step holds: as its rules say, and at least what the last one could not go on without.
    pub fn needed(&self, index: StepIndex) -> Credits {
        crate::money::charge::hold(self.graph.rules(index)).max(self.steps[index].needs)
    }

    /// An attempt asks.
    pub(super) fn asks(&mut self, index: StepIndex, asking: &Asking) {
        self.steps[index].model.clone_from(&asking.model);
        if asking.hold > Credits::ZERO {
            self.hold(index, asking.hold);
        }
    }
}
