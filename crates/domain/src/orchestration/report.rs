//! How an attempt's end is taken: whole, in part, failed, stopped, or with a holder that lapsed.

use crate::agent::retry::{self, ErrorClass};
use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::orchestration::command::{Holder, Output, Rejected, Report};
use crate::orchestration::decide::{LAPSES_MAX, cancelled, fail};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{EndedAs, Event, FailCause, SkipCause};
use crate::orchestration::graph::StepIndex;
use crate::orchestration::state::{KeptPartial, Orchestration, StepState};
use crate::values::ids::StepId;
use crate::values::time::{Millis, Timestamp};

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
fn held(
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
    output: &Output,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    Ok(kept_event(state, index, output).into_iter().collect())
}

/// Says what is kept from now on; nothing where just this is kept already.
fn kept_event(state: &Orchestration, index: StepIndex, output: &Output) -> Option<Event> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let Output { data, tokens_used } = *output;
    let kept = KeptPartial {
        data,
        attempt: step.attempt,
        tokens_used,
    };
    (step.kept != Some(kept)).then(|| Event::PartialKept {
        step: rules.id.clone(),
        attempt: step.attempt,
        data,
        tokens_used,
    })
}

/// An attempt's own report.
pub(super) fn finish(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    report: &Report,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    let in_part = |output, reason: &str| {
        let status = EnrichmentStatus::Partial;
        enriched(state, index, output, status, Some(reason.to_owned()))
    };
    // What this attempt has outlives it: the next one may leave nothing.
    let again = |kept: &Option<Output>, failed, retry| {
        let kept = kept.as_ref();
        let kept = kept.and_then(|output| kept_event(state, index, output));
        kept.into_iter().chain([failed, retry]).collect()
    };
    Ok(match report {
        Report::Completed(output) => {
            enriched(state, index, output, EnrichmentStatus::Completed, None)
        }
        Report::Partial { output, reason } => in_part(output, reason),
        Report::MissingInput { names } => skipped(state, index, names),
        Report::Cancelled { kept } => match (cancel_reason(state, index), kept) {
            (Some(reason), Some(output)) => in_part(output, &reason),
            (Some(reason), None) => cancelled(state, index, &reason),
            (None, _) => {
                let failed = failed_event(id, attempt, ErrorClass::Transient, "its holder stopped");
                again(kept, failed, again_at(state, index, now))
            }
        },
        Report::Failed {
            class,
            message,
            retry_after,
            kept,
        } => {
            let failed = failed_event(id, attempt, *class, message);
            let retry = retry_event(state, index, attempt, *class, *retry_after, now);
            let in_time = retry
                .as_ref()
                .is_some_and(|retry| is_in_time(state, index, retry));
            let end = match (cancel_reason(state, index), retry, kept) {
                (None, Some(retry), _) if in_time => return Ok(again(kept, failed, retry)),
                (Some(reason), _, None) => cancelled(state, index, &reason),
                (_, _, Some(output)) => in_part(output, message),
                (None, Some(_), None) => {
                    fail(state, index, EndedAs::Timeout, FailCause::TotalTimeout)
                }
                (None, None, None) => failed_for_good(state, index, *class, message),
            };
            [failed].into_iter().chain(end).collect()
        }
    })
}

/// The step ends with what the attempt gave.
fn enriched(
    state: &Orchestration,
    index: StepIndex,
    output: &Output,
    status: EnrichmentStatus,
    reason: Option<String>,
) -> Vec<Event> {
    let step = &state.steps[index];
    let enrichment = Enrichment {
        status,
        input: step.input.unwrap_or_default(),
        data: output.data,
        reason,
        cost: state.graph.rules(index).cost,
        reused_from: None,
        tokens_used: output.tokens_used,
    };
    let mut ending = Ending::of(state);
    ending.enrich(
        index,
        step.number.unwrap_or(0),
        Some(step.attempt),
        enrichment,
    );
    ending.settle()
}

/// The attempt found that it cannot start: no failure of the agent, and nothing that a retry would mend.
fn skipped(state: &Orchestration, index: StepIndex, names: &[String]) -> Vec<Event> {
    let cause = SkipCause::MissingInput {
        names: names.to_vec(),
    };
    let step = state.graph.rules(index).id.clone();
    let mut ending = Ending::of(state);
    ending.end(index, EndedAs::Skipped, Event::StepSkipped { step, cause });
    ending.settle()
}

fn failed_for_good(
    state: &Orchestration,
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
    fail(state, index, ended, FailCause::Attempt { class, message })
}

/// Back into the queue, with no retry used.
fn again_at(state: &Orchestration, index: StepIndex, due_at: Timestamp) -> Event {
    Event::RetryScheduled {
        step: state.graph.rules(index).id.clone(),
        retries: state.steps[index].retries,
        due_at,
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
    let mut events = vec![Event::AttemptExpired {
        step: id.clone(),
        attempt,
        lapses,
    }];
    events.extend(if let Some(reason) = cancel_reason(state, index) {
        cancelled(state, index, &reason)
    } else if lapses >= LAPSES_MAX {
        fail(state, index, EndedAs::Failed, FailCause::Lapsed)
    } else {
        vec![again_at(state, index, now)]
    });
    Ok(events)
}

fn failed_event(id: &StepId, attempt: u32, class: ErrorClass, message: &str) -> Event {
    Event::AttemptFailed {
        step: id.clone(),
        attempt,
        class,
        message: message.to_owned(),
    }
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
    let wait = retry::delay(&name, attempt, step.retries, retry_after);
    Some(Event::RetryScheduled {
        step: rules.id.clone(),
        retries: step.retries + u32::from(counts),
        due_at: now + wait,
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
