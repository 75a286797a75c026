//! How an attempt's end is taken: whole, in part, failed, stopped, or with a holder that lapsed.

use crate::agent::conversation::asks::gives_nothing;
use crate::agent::retry::{self, ErrorClass};
use crate::artifact::EnrichmentStatus;
use crate::money::budget::Shortage;
use crate::money::charge::Outcome;
use crate::money::usage::Usage;
use crate::orchestration::command::{Holder, Output, Rejected, Report};
use crate::orchestration::decide::{LAPSES_MAX, cancelled, fail};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{EndedAs, Event, FailCause, ParkedFor, SkipCause};
use crate::orchestration::graph::StepIndex;
use crate::orchestration::spending;
use crate::orchestration::state::{KeptPartial, Orchestration, StepState};
use crate::values::credits::Credits;
use crate::values::ids::StepId;
use crate::values::time::{Millis, Timestamp};

/// What an attempt tells at its end.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) report: &'a Report,
    pub(super) usage: &'a Usage,
}

/// The step at `id`, if `attempt` is the one in flight.
fn current(state: &Orchestration, id: &StepId, attempt: u32) -> Result<StepIndex, Rejected> {
    let (index, step) = state
        .step(id)
        .ok_or_else(|| Rejected::UnknownStep(id.clone()))?;
    if step.state == StepState::Running && step.attempt == attempt {
        Ok(index)
    } else {
        Err(Rejected::Stale {
            step: id.clone(),
            attempt,
        })
    }
}

/// The step at `id`, if `attempt` is the one in flight and `holder` holds it.
pub(super) fn held(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
) -> Result<StepIndex, Rejected> {
    let index = current(state, id, attempt)?;
    if state.steps[index].holder == Some(holder) {
        Ok(index)
    } else {
        Err(Rejected::Stale {
            step: id.clone(),
            attempt,
        })
    }
}

/// What an attempt has so far.
pub(super) fn keep(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    output: Option<&Output>,
    usage: &Usage,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    let event = match output {
        Some(output) => kept_event(state, index, output, usage),
        None => used_event(state, index, usage),
    };
    Ok(event.into_iter().collect())
}

/// What the attempt in flight used, with what it tells now.
fn used(state: &Orchestration, index: StepIndex, told: &Usage) -> Usage {
    let mut used = state.steps[index].used.as_deref().cloned();
    let used = used.get_or_insert_default();
    used.merge(told);
    std::mem::take(used)
}

/// Says what was used so far; nothing where that is known already, or nothing is ever charged for it.
fn used_event(state: &Orchestration, index: StepIndex, told: &Usage) -> Option<Event> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let used = used(state, index, told);
    let known = step.used.as_deref().is_some_and(|known| *known == used);
    (rules.price.is_some() && !known && !used.is_empty()).then(|| Event::UsageTold {
        step: rules.id.clone(),
        attempt: step.attempt,
        usage: Box::new(used),
    })
}

/// Says what is kept from now on; nothing where just this is kept already.
fn kept_event(
    state: &Orchestration,
    index: StepIndex,
    output: &Output,
    usage: &Usage,
) -> Option<Event> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let kept = KeptPartial {
        data: output.data,
        attempt: step.attempt,
        tokens_used: usage.tokens(),
    };
    if step.kept == Some(kept) {
        return None;
    }
    let used = used(state, index, usage);
    Some(Event::PartialKept {
        step: rules.id.clone(),
        attempt: step.attempt,
        data: kept.data,
        tokens_used: kept.tokens_used,
        usage: (!used.is_empty()).then(|| Box::new(used)),
    })
}

/// An attempt's own report.
pub(super) fn finish(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    told: Told<'_>,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    let ending = || Ending::of(state).told(index, told.usage);
    let in_part = |output, reason: &str| {
        let status = EnrichmentStatus::Partial;
        enriched(ending(), index, output, status, Some(reason.to_owned()))
    };
    Ok(match told.report {
        Report::Completed(output) => {
            enriched(ending(), index, output, EnrichmentStatus::Completed, None)
        }
        Report::Partial { output, reason } => in_part(output, reason),
        Report::MissingInput { names } => skipped(ending(), index, names),
        Report::Cancelled { kept } => match (cancel_reason(state, index), kept) {
            (Some(reason), Some(output)) => in_part(output, &reason),
            (Some(reason), None) => cancelled(ending(), index, &reason),
            (None, kept) => {
                let mut ending = ending();
                ending.keep(kept_by(state, index, kept.as_ref(), told.usage));
                let said = (ErrorClass::Transient, "its holder stopped");
                ending.attempt_failed(index, said, Outcome::Cancelled);
                ending.note(again_at(state, index, now, Credits::ZERO));
                ending.settle()
            }
        },
        Report::Failed {
            class,
            message,
            retry_after,
            kept,
        } => {
            let attempt = state.steps[index].attempt;
            let failing = Failing {
                class: *class,
                message,
                kept: kept.as_ref(),
                retry: retry_event(state, index, attempt, *class, *retry_after, now),
                outcome: Outcome::Failed,
            };
            failed(state, index, told.usage, failing)
        }
        Report::Returned {
            class,
            message,
            until,
            needs,
            kept,
        } => {
            let failing = Failing {
                class: *class,
                message,
                kept: kept.as_ref(),
                retry: Some(again_at(state, index, (*until).max(now), *needs)),
                outcome: Outcome::Parked,
            };
            failed(state, index, told.usage, failing)
        }
        Report::Short { shortage, kept } => {
            short(state, index, told.usage, shortage, kept.as_ref())
        }
    })
}

fn kept_by(
    state: &Orchestration,
    index: StepIndex,
    kept: Option<&Output>,
    usage: &Usage,
) -> Option<Event> {
    kept.and_then(|output| kept_event(state, index, output, usage))
}

/// An attempt that ended without a whole output.
struct Failing<'a> {
    class: ErrorClass,
    message: &'a str,
    kept: Option<&'a Output>,
    /// The next attempt, where there may be one.
    retry: Option<Event>,
    /// What it is charged as, where that follows.
    outcome: Outcome,
}

/// Another attempt follows in time, or the step ends.
fn failed(
    state: &Orchestration,
    index: StepIndex,
    usage: &Usage,
    failing: Failing<'_>,
) -> Vec<Event> {
    let Failing {
        class,
        message,
        kept,
        retry,
        outcome,
    } = failing;
    let in_time = retry
        .as_ref()
        .is_some_and(|retry| is_in_time(state, index, retry));
    let reason = cancel_reason(state, index);
    let mut ending = Ending::of(state).told(index, usage);
    let said = (class, message);
    if let (None, Some(retry), true) = (&reason, &retry, in_time) {
        // What this attempt has outlives it: the next one may leave nothing.
        ending.keep(kept_by(state, index, kept, usage));
        ending.attempt_failed(index, said, outcome);
        ending.note(retry.clone());
        return ending.settle();
    }
    let stands = state.steps[index].kept.is_some() && !gives_nothing(message);
    let outcome = match (&reason, kept.is_some() || stands) {
        (_, true) => Outcome::Partial,
        (Some(_), false) => Outcome::Cancelled,
        (None, false) => Outcome::Failed,
    };
    ending.attempt_failed(index, said, outcome);
    match (reason, retry, kept) {
        (Some(reason), _, None) => cancelled(ending, index, &reason),
        (_, _, Some(output)) => {
            let status = EnrichmentStatus::Partial;
            enriched(ending, index, output, status, Some(message.to_owned()))
        }
        (None, Some(_), None) => fail(ending, index, EndedAs::Timeout, FailCause::TotalTimeout),
        (None, None, None) => failed_for_good(ending, index, class, message),
    }
}

/// The attempt goes on when a person says yes to more than a limit allows.
fn short(
    state: &Orchestration,
    index: StepIndex,
    usage: &Usage,
    shortage: &Shortage,
    kept: Option<&Output>,
) -> Vec<Event> {
    let mut ending = Ending::of(state).told(index, usage);
    if let Some(reason) = cancel_reason(state, index) {
        return cancelled(ending, index, &reason);
    }
    ending.keep(kept_by(state, index, kept, usage));
    ending.note(Event::StepParked {
        step: state.graph.rules(index).id.clone(),
        parked_for: ParkedFor::Budget,
        gate: None,
        short: Some(Box::new(shortage.clone())),
        charge: spending::at_end(state, index, Outcome::Parked, usage).map(Box::new),
    });
    ending.settle()
}

/// The step ends with what the attempt gave.
fn enriched(
    mut ending: Ending<'_>,
    index: StepIndex,
    output: &Output,
    status: EnrichmentStatus,
    reason: Option<String>,
) -> Vec<Event> {
    ending.give(index, output.data, status, reason);
    ending.settle()
}

/// The attempt found that it cannot start: no failure of the agent, and nothing that a retry would mend.
fn skipped(mut ending: Ending<'_>, index: StepIndex, names: &[String]) -> Vec<Event> {
    let cause = SkipCause::MissingInput {
        names: names.to_vec(),
    };
    ending.lacks(index, cause);
    ending.settle()
}

fn failed_for_good(
    ending: Ending<'_>,
    index: StepIndex,
    class: ErrorClass,
    message: &str,
) -> Vec<Event> {
    let ended = if class == ErrorClass::Timeout {
        EndedAs::Timeout
    } else {
        EndedAs::Failed
    };
    let message = message.to_owned();
    fail(ending, index, ended, FailCause::Attempt { class, message })
}

/// Back into the queue, with no retry used.
fn again_at(state: &Orchestration, index: StepIndex, due_at: Timestamp, needs: Credits) -> Event {
    Event::RetryScheduled {
        step: state.graph.rules(index).id.clone(),
        retries: state.steps[index].retries,
        due_at,
        needs,
    }
}

/// The end of an attempt whose holder lapsed.
pub(super) fn expire(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let index = current(state, id, attempt)?;
    let lapses = state.steps[index].lapses + 1;
    let reason = cancel_reason(state, index);
    let ends = reason.is_some() || lapses >= LAPSES_MAX;
    let stands = ends && state.steps[index].kept.is_some();
    let mut ending = Ending::of(state);
    ending.attempt_expired(
        index,
        lapses,
        if stands {
            Outcome::Partial
        } else {
            Outcome::Lapsed
        },
    );
    Ok(if let Some(reason) = reason {
        cancelled(ending, index, &reason)
    } else if ends {
        fail(ending, index, EndedAs::Failed, FailCause::Lapsed)
    } else {
        ending.note(again_at(state, index, now, Credits::ZERO));
        ending.settle()
    })
}

/// Why the step was asked to stop, if it was.
fn cancel_reason(state: &Orchestration, index: StepIndex) -> Option<String> {
    let whole = state.head.as_ref()?.cancelling.as_ref();
    let asked = whole.or(state.steps[index].cancelling.as_ref());
    asked.map(|cancelling| cancelling.reason.clone())
}

/// The retry that the limits allow, if any. A rate limit uses no retry.
fn retry_event(
    state: &Orchestration,
    index: StepIndex,
    attempt: u32,
    class: ErrorClass,
    retry_after: Option<Millis>,
    now: Timestamp,
) -> Option<Event> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let counts = class != ErrorClass::RateLimited;
    if !class.retryable() || (counts && step.retries >= rules.max_retries) {
        return None;
    }
    // The jitter hashes the orchestration's pinned graph and place: derived, so that one log gives the same times.
    let name = format!(
        "{}/{}/{}",
        state.head.as_ref()?.pinned,
        state.head.as_ref()?.created_at.0,
        rules.id
    );
    // A rate limit uses no retry, and yet a peer that goes on saying so is asked ever more rarely: by its attempts.
    let before = if counts {
        step.retries
    } else {
        attempt.saturating_sub(1)
    };
    let wait = retry::delay(&name, attempt, before, retry_after);
    Some(Event::RetryScheduled {
        step: rules.id.clone(),
        retries: step.retries + u32::from(counts),
        due_at: now + wait,
        needs: Credits::ZERO,
    })
}

/// Whether the retry comes before the step's whole time is over. One that does not is not waited for: what the attempt kept
/// would be lost meanwhile.
fn is_in_time(state: &Orchestration, index: StepIndex, retry: &Event) -> bool {
    let Event::RetryScheduled { due_at, .. } = retry else {
        return false;
    };
    let first = state.steps[index].first_ready_at;
    first.is_none_or(|first| *due_at < first + state.graph.rules(index).total_timeout)
}
