//! What people ask of an orchestration on its way: pause, resume, cancel and approve.

use crate::orchestration::command::Rejected;
use crate::orchestration::decide::cancelled;
use crate::orchestration::ending::Ending;
use crate::orchestration::event::Event;
use crate::orchestration::graph::StepIndex;
use crate::orchestration::spending;
use crate::orchestration::state::{Head, Orchestration, StepState};
use crate::values::ids::StepId;
use crate::values::time::Timestamp;

/// The unended step at `id`.
fn unended(state: &Orchestration, id: &StepId) -> Result<StepIndex, Rejected> {
    let (index, step) = state
        .step(id)
        .ok_or_else(|| Rejected::UnknownStep(id.clone()))?;
    match step.state.ended() {
        Some(ended) => Err(Rejected::StepEnded {
            step: id.clone(),
            ended: ended.name(),
        }),
        None => Ok(index),
    }
}

/// Whether the step, or without one the whole, is paused.
fn is_paused(state: &Orchestration, head: &Head, step: Option<&StepId>) -> Result<bool, Rejected> {
    let paused_at = match step {
        Some(id) => state.steps[unended(state, id)?].paused_at,
        None => head.paused_at,
    };
    Ok(paused_at.is_some())
}

pub(super) fn pause(
    state: &Orchestration,
    head: &Head,
    step: Option<&StepId>,
) -> Result<Vec<Event>, Rejected> {
    let paused = || Event::Paused {
        step: step.cloned(),
    };
    let is_paused = is_paused(state, head, step)?;
    Ok((!is_paused).then(paused).into_iter().collect())
}

pub(super) fn resume(
    state: &Orchestration,
    head: &Head,
    step: Option<&StepId>,
) -> Result<Vec<Event>, Rejected> {
    let resumed = || Event::Resumed {
        step: step.cloned(),
    };
    let is_paused = is_paused(state, head, step)?;
    Ok(is_paused.then(resumed).into_iter().collect())
}

pub(super) fn cancel_all(
    state: &Orchestration,
    head: &Head,
    reason: &str,
    deadline: Timestamp,
    now: Timestamp,
) -> Vec<Event> {
    if head
        .cancelling
        .as_ref()
        .is_some_and(|cancelling| cancelling.deadline <= deadline)
    {
        return Vec::new();
    }
    let mut ending = Ending::of(state);
    ending.cancel(reason);
    ending.note(Event::CancelRequested {
        step: None,
        reason: reason.to_owned(),
        deadline,
    });
    for (index, step) in state.steps.iter().enumerate() {
        let spared = step.state == StepState::Running && deadline > now;
        if step.state.ended().is_none() && !spared {
            ending.cancel_step(index, reason);
        }
    }
    ending.settle()
}

pub(super) fn cancel_step(
    state: &Orchestration,
    id: &StepId,
    reason: &str,
    deadline: Timestamp,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let index = unended(state, id)?;
    let step = &state.steps[index];
    if step
        .cancelling
        .as_ref()
        .is_some_and(|earlier| earlier.deadline <= deadline)
    {
        return Ok(Vec::new());
    }
    let mut events = vec![Event::CancelRequested {
        step: Some(id.clone()),
        reason: reason.to_owned(),
        deadline,
    }];
    if step.state != StepState::Running || deadline <= now {
        events.extend(cancelled(Ending::of(state), index, reason));
    }
    Ok(events)
}

pub(super) fn approve(
    state: &Orchestration,
    id: &StepId,
    by: &str,
) -> Result<Vec<Event>, Rejected> {
    let index = unended(state, id)?;
    let step = &state.steps[index];
    if step.state != StepState::Parked || step.awaits > 0 {
        return Err(Rejected::NotParked(id.clone()));
    }
    let raised = step
        .short
        .as_ref()
        .and_then(|_| spending::raised(state, index));
    Ok(vec![Event::StepReady {
        step: id.clone(),
        gate: None,
        approved_by: Some(by.to_owned()),
        raised,
    }])
}
