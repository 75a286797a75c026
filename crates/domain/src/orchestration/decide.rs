//! What a command makes happen: a function of the state, the command and the facts.

use crate::agent::retry::{self, ErrorClass};
use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::orchestration::command::{Command, Facts, Holder, Output, Rejected, Report};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{Created, EndedAs, Event, FailCause, SkipCause};
use crate::orchestration::graph::{Graph, StepIndex};
use crate::orchestration::standing::{Standing, Wait};
use crate::orchestration::state::{Head, Orchestration, Status, StepState};
use crate::orchestration::tick;
use crate::values::hash::ContentHash;
use crate::values::ids::StepId;
use crate::values::time::{Millis, Timestamp};

/// A step whose holders lapse this often fails: it may be what kills them.
pub const LAPSES_MAX: u32 = 3;

/// Decides `command`. No events means that nothing is left to do for it.
///
/// # Errors
/// Why the command does not fit the state.
pub fn decide(
    state: &Orchestration,
    command: &Command,
    facts: &Facts,
) -> Result<Vec<Event>, Rejected> {
    if let Command::Create(created) = command {
        return create(state, created);
    }
    let head = state
        .head
        .as_ref()
        .ok_or(Rejected::Ended(Status::New.name()))?;
    match command {
        Command::Create(_) => Err(Rejected::Exists),
        Command::Finish {
            step,
            attempt,
            holder,
            report,
        } => finish(state, step, *attempt, *holder, report, facts.now),
        _ if head.status.ended() => Err(Rejected::Ended(head.status.name())),
        Command::OpenGates => open_gates(state, facts),
        Command::Start { step, holder } => start(state, head, step, *holder, facts),
        Command::Expire { step, attempt } => expire(state, step, *attempt, facts.now),
        Command::Tick => Ok(tick::tick(state, head, facts.now)),
        Command::Pause { step } => pause(state, head, step.as_ref()),
        Command::Resume { step } => resume(state, head, step.as_ref()),
        Command::Cancel {
            step: None,
            reason,
            grace,
        } => Ok(cancel_all(
            state,
            head,
            reason,
            facts.now + *grace,
            facts.now,
        )),
        Command::Cancel {
            step: Some(step),
            reason,
            grace,
        } => cancel_step(state, step, reason, facts.now + *grace, facts.now),
        Command::Approve { step, by } => approve(state, step, by),
    }
}

fn create(state: &Orchestration, created: &Created) -> Result<Vec<Event>, Rejected> {
    if state.head.is_some() {
        return Err(Rejected::Exists);
    }
    if created.steps.is_empty() {
        return Err(Rejected::NoSteps);
    }
    Graph::build(created.steps.clone())?;
    let begun = Event::OrchestrationCreated(Box::new(created.clone()));
    let mut empty = Orchestration::default();
    super::evolve::evolve(
        &mut empty,
        &super::event::Recorded {
            seq: 0,
            at: Timestamp(0),
            event: begun.clone(),
        },
    );
    let mut ending = Ending::of(&empty);
    ending.note(begun);
    for (index, rules) in empty.graph.all().iter().enumerate() {
        if !rules.missing.is_empty() {
            let cause = SkipCause::MissingInput {
                names: rules.missing.clone(),
            };
            ending.end(
                index,
                EndedAs::Skipped,
                Event::StepSkipped {
                    step: rules.id.clone(),
                    cause,
                },
            );
        } else if empty.steps[index].waiting_on == 0 {
            ending.unblock(index);
        }
    }
    Ok(ending.settle())
}

fn open_gates(state: &Orchestration, facts: &Facts) -> Result<Vec<Event>, Rejected> {
    use crate::agent::gate::Verdict;
    let mut ending = Ending::of(state);
    for &index in &state.tally.gates_due {
        let step = state.graph.rules(index).id.clone();
        let verdict = facts
            .verdicts
            .get(&step)
            .ok_or(Rejected::MissingFacts("a gate's verdict"))?;
        if *verdict == Verdict::Open {
            ending.admit(index, Some(verdict.clone()));
        } else {
            let event = Event::StepGatedOff {
                step,
                gate: Some(verdict.clone()),
                dependency: None,
            };
            ending.end(index, EndedAs::GatedOff, event);
        }
    }
    Ok(ending.settle())
}

/// The counters that an attempt with this `input` holds while it is in flight, with the most that each may reach.
/// Equal work in flight is a counter of one: who comes second waits, and then takes the result over or does the work.
pub fn counters(state: &Orchestration, index: StepIndex, input: ContentHash) -> Vec<(String, i64)> {
    let rules = state.graph.rules(index);
    let mut counters = Vec::new();
    if let Some(concurrency) = &rules.concurrency {
        counters.push((
            format!("key/{}", concurrency.key),
            i64::from(concurrency.max),
        ));
    }
    if let Some(head) = state
        .head
        .as_ref()
        .filter(|head| head.reuse && rules.reusable)
    {
        counters.push((format!("flight/{}/{input}", head.account), 1));
    }
    counters
}

fn start(
    state: &Orchestration,
    head: &Head,
    id: &StepId,
    holder: Holder,
    facts: &Facts,
) -> Result<Vec<Event>, Rejected> {
    let (index, step) = state
        .step(id)
        .ok_or_else(|| Rejected::UnknownStep(id.clone()))?;
    match state.standing(index, facts.now) {
        Standing::Claimable => {}
        Standing::Held(_) => {
            return Err(Rejected::Stale {
                step: id.clone(),
                attempt: step.attempt,
            });
        }
        Standing::Waits(wait) => {
            return Err(Rejected::NotStartable {
                step: id.clone(),
                wait,
            });
        }
        Standing::Ended(ended) => {
            return Err(Rejected::StepEnded {
                step: id.clone(),
                ended: ended.name(),
            });
        }
    }
    let known = facts
        .start
        .as_ref()
        .ok_or(Rejected::MissingFacts("the input hash"))?;
    let rules = state.graph.rules(index);
    let number = step.number.unwrap_or(head.last_number + 1);
    if let Some((data, from)) = known.reusable.filter(|_| head.reuse && rules.reusable) {
        let enrichment = Enrichment {
            status: EnrichmentStatus::Completed,
            input: known.input,
            data,
            reason: None,
            cost: crate::values::credits::Credits::ZERO,
            reused_from: Some(from),
        };
        return Ok(complete(state, head, index, number, None, enrichment).settle());
    }
    for (key, limit) in counters(state, index, known.input) {
        let held = known.held.get(&key).copied().unwrap_or(0);
        if held >= limit {
            return Err(Rejected::NotStartable {
                step: id.clone(),
                wait: Wait::Counter { key, held, limit },
            });
        }
    }
    let Holder { id: holder, epoch } = holder;
    Ok(vec![Event::AttemptStarted {
        step: id.clone(),
        attempt: step.attempt + 1,
        number,
        holder,
        epoch,
        input: known.input,
    }])
}

fn complete<'a>(
    state: &'a Orchestration,
    head: &Head,
    index: StepIndex,
    number: u32,
    attempt: Option<u32>,
    enrichment: Enrichment,
) -> Ending<'a> {
    let ended = match enrichment.status {
        EnrichmentStatus::Completed => EndedAs::Completed,
        EnrichmentStatus::Partial => EndedAs::Partial,
    };
    let step = state.graph.rules(index).id.clone();
    let mut ending = Ending::of(state);
    ending.end(
        index,
        ended,
        Event::StepCompleted {
            step,
            attempt,
            number,
            enrichment,
            version: head.version + 1,
        },
    );
    ending
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

fn finish(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    report: &Report,
    now: Timestamp,
) -> Result<Vec<Event>, Rejected> {
    let index = current(state, id, attempt)?;
    let (Some(head), true) = (&state.head, state.steps[index].holder == Some(holder)) else {
        return Err(Rejected::Stale {
            step: id.clone(),
            attempt,
        });
    };
    let keep = |output: &Output, status, reason: Option<String>| {
        let rules = state.graph.rules(index);
        let input = state.steps[index].input.unwrap_or_default();
        let enrichment = Enrichment {
            status,
            input,
            data: output.data,
            reason,
            cost: rules.cost,
            reused_from: None,
        };
        complete(
            state,
            head,
            index,
            state.steps[index].number.unwrap_or(0),
            Some(attempt),
            enrichment,
        )
        .settle()
    };
    let asked = cancel_reason(state, index);
    match report {
        Report::Completed(output) => Ok(keep(output, EnrichmentStatus::Completed, None)),
        Report::Partial { output, reason } => Ok(keep(
            output,
            EnrichmentStatus::Partial,
            Some(reason.clone()),
        )),
        Report::Cancelled { kept } => match (asked, kept) {
            (Some(reason), Some(output)) => {
                Ok(keep(output, EnrichmentStatus::Partial, Some(reason)))
            }
            (Some(reason), None) => Ok(cancelled(state, index, reason)),
            (None, _) => Ok(vec![
                failed_event(id, attempt, ErrorClass::Transient, "its holder stopped"),
                Event::RetryScheduled {
                    step: id.clone(),
                    retries: state.steps[index].retries,
                    due_at: now,
                },
            ]),
        },
        Report::Failed {
            class,
            message,
            retry_after,
            kept,
        } => {
            let mut events = vec![failed_event(id, attempt, *class, message)];
            let retry = || retry_event(state, index, attempt, *class, *retry_after, now);
            events.extend(match (asked, kept) {
                (Some(reason), None) => cancelled(state, index, reason),
                (None, _) if retry().is_some() => retry().into_iter().collect(),
                (_, Some(output)) => keep(output, EnrichmentStatus::Partial, Some(message.clone())),
                (None, None) => {
                    let ended = if *class == ErrorClass::Timeout {
                        EndedAs::Timeout
                    } else {
                        EndedAs::Failed
                    };
                    fail(
                        state,
                        index,
                        ended,
                        FailCause::Attempt {
                            class: *class,
                            message: message.clone(),
                        },
                    )
                }
            });
            Ok(events)
        }
    }
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

/// The step ends without an enrichment; the whole too when it aborts.
pub fn fail(
    state: &Orchestration,
    index: StepIndex,
    ended: EndedAs,
    cause: FailCause,
) -> Vec<Event> {
    let rules = state.graph.rules(index);
    let mut ending = Ending::of(state);
    ending.end(
        index,
        ended,
        Event::StepFailed {
            step: rules.id.clone(),
            ended,
            cause,
        },
    );
    if rules.aborts {
        ending.abort(format!(
            "`{}` failed, and its definition says that this ends the orchestration",
            rules.id
        ));
    }
    ending.settle()
}

fn cancelled(state: &Orchestration, index: StepIndex, reason: String) -> Vec<Event> {
    let mut ending = Ending::of(state);
    ending.end(
        index,
        EndedAs::Cancelled,
        Event::StepCancelled {
            step: state.graph.rules(index).id.clone(),
            reason,
        },
    );
    ending.settle()
}

fn expire(
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
        cancelled(state, index, reason)
    } else if lapses >= LAPSES_MAX {
        fail(state, index, EndedAs::Failed, FailCause::Lapsed)
    } else {
        vec![Event::RetryScheduled {
            step: id.clone(),
            retries: state.steps[index].retries,
            due_at: now,
        }]
    });
    Ok(events)
}

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

fn pause(
    state: &Orchestration,
    head: &Head,
    step: Option<&StepId>,
) -> Result<Vec<Event>, Rejected> {
    let paused_at = match step {
        Some(id) => state.steps[unended(state, id)?].paused_at,
        None => head.paused_at,
    };
    Ok(if paused_at.is_some() {
        Vec::new()
    } else {
        vec![Event::Paused {
            step: step.cloned(),
        }]
    })
}

fn resume(
    state: &Orchestration,
    head: &Head,
    step: Option<&StepId>,
) -> Result<Vec<Event>, Rejected> {
    let paused_at = match step {
        Some(id) => state.steps[unended(state, id)?].paused_at,
        None => head.paused_at,
    };
    Ok(if paused_at.is_none() {
        Vec::new()
    } else {
        vec![Event::Resumed {
            step: step.cloned(),
        }]
    })
}

fn cancel_all(
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
            let event = Event::StepCancelled {
                step: state.graph.rules(index).id.clone(),
                reason: reason.to_owned(),
            };
            ending.end(index, EndedAs::Cancelled, event);
        }
    }
    ending.settle()
}

fn cancel_step(
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
        events.extend(cancelled(state, index, reason.to_owned()));
    }
    Ok(events)
}

fn approve(state: &Orchestration, id: &StepId, by: &str) -> Result<Vec<Event>, Rejected> {
    let index = unended(state, id)?;
    if state.steps[index].state != StepState::Parked {
        return Err(Rejected::NotParked(id.clone()));
    }
    Ok(vec![Event::StepReady {
        step: id.clone(),
        gate: None,
        approved_by: Some(by.to_owned()),
    }])
}
