//! How a step starts: for an attempt, or by taking over an equal one's enrichment.

use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::money::budget::Scope;
use crate::money::charge::Charge;
use crate::orchestration::command::{Facts, Holder, Rejected, StartFacts};
use crate::orchestration::decide::{counters, fail};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{EndedAs, Event, FailCause, ParkedFor};
use crate::orchestration::graph::StepIndex;
use crate::orchestration::spending::{self, Room};
use crate::orchestration::standing::{Standing, Wait};
use crate::orchestration::state::{Head, Orchestration};
use crate::values::credits::Credits;
use crate::values::ids::StepId;

/// Claims the step named `id` for `holder`, or ends it at once.
pub(super) fn start(
    state: &Orchestration,
    head: &Head,
    id: &StepId,
    holder: Holder,
    facts: &Facts,
) -> Result<Vec<Event>, Rejected> {
    let index = claimable(state, id, facts)?;
    let known = facts
        .start
        .as_ref()
        .ok_or(Rejected::MissingFacts("the input hash"))?;
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let number = step.number.unwrap_or(head.last_number + 1);
    if let Some((data, from)) = known.reusable.filter(|_| head.reuse && rules.reusable) {
        let enrichment = Enrichment {
            status: EnrichmentStatus::Completed,
            input: known.input,
            data,
            reason: None,
            cost: Credits::ZERO,
            reused_from: Some(from),
            tokens_used: None,
        };
        return take_over(state, head, index, number, enrichment, known);
    }
    for (key, limit) in counters(state, index, known.input) {
        let held = known.held.get(&key).copied().unwrap_or(0);
        if held >= limit {
            let wait = Wait::Counter { key, held, limit };
            return Err(not_startable(state, index, wait));
        }
    }
    if let Some(throttled) = &known.throttled {
        let wait = Wait::Provider(throttled.clone());
        return Err(not_startable(state, index, wait));
    }
    let needed = state.needed(index);
    let room = spending::room(state, head, index, needed, known.short.as_ref());
    within(state, index, room, |hold, over_budget| {
        vec![Event::AttemptStarted {
            step: id.clone(),
            attempt: step.attempt + 1,
            number,
            holder: holder.id,
            epoch: holder.epoch,
            input: known.input,
            hold,
            over_budget,
            model: known.model.clone(),
        }]
    })
}

/// The place of the step named `id`, if it may be claimed.
fn claimable(state: &Orchestration, id: &StepId, facts: &Facts) -> Result<StepIndex, Rejected> {
    let (index, step) = state
        .step(id)
        .ok_or_else(|| Rejected::UnknownStep(id.clone()))?;
    match state.standing_while(index, facts.now, &facts.blocked) {
        Standing::Claimable => Ok(index),
        Standing::Held(_) => Err(Rejected::Stale {
            step: id.clone(),
            attempt: step.attempt,
        }),
        Standing::Waits(wait) => Err(not_startable(state, index, wait)),
        Standing::Ended(ended) => Err(Rejected::StepEnded {
            step: id.clone(),
            ended: ended.name(),
        }),
    }
}

fn not_startable(state: &Orchestration, index: StepIndex, wait: Wait) -> Rejected {
    let step = state.graph.rules(index).id.clone();
    Rejected::NotStartable { step, wait }
}

/// The step ends with an equal one's enrichment. What that costs nothing is no matter of budgets.
fn take_over(
    state: &Orchestration,
    head: &Head,
    index: StepIndex,
    number: u32,
    enrichment: Enrichment,
    known: &StartFacts,
) -> Result<Vec<Event>, Rejected> {
    let charge = spending::taken_over(state, index);
    let room = match charge.as_ref().map(Charge::total) {
        Some(needed) => spending::room(state, head, index, needed, known.short.as_ref()),
        None => Room::Fits(Credits::ZERO),
    };
    within(state, index, room, |_, _| {
        let mut ending = Ending::of(state);
        ending.enrich(index, number, None, enrichment, charge);
        ending.settle()
    })
}

/// What happens where there is `room` (given what is to be held, and whether that goes beyond a limit), and where there is
/// none.
fn within(
    state: &Orchestration,
    index: StepIndex,
    room: Room,
    happens: impl FnOnce(Credits, bool) -> Vec<Event>,
) -> Result<Vec<Event>, Rejected> {
    Ok(match room {
        Room::Fits(hold) => happens(hold, false),
        Room::Over(hold) => happens(hold, true),
        Room::Waits(shortage) => {
            return Err(not_startable(state, index, Wait::Credits(shortage)));
        }
        Room::Stops(shortage) => {
            let cause = FailCause::Budget(shortage);
            fail(Ending::of(state), index, EndedAs::Failed, cause)
        }
        // It is told once that it waits for its account.
        Room::Pauses(shortage)
            if shortage.scope == Scope::Account && state.steps[index].waits_for_account() =>
        {
            return Err(not_startable(state, index, Wait::Credits(shortage)));
        }
        Room::Pauses(shortage) => vec![Event::StepParked {
            step: state.graph.rules(index).id.clone(),
            parked_for: ParkedFor::Budget,
            gate: None,
            short: Some(Box::new(shortage)),
            charge: None,
        }],
    })
}
