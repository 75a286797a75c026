//! What a command makes happen: a function of the state, the command and the facts.

use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::orchestration::asked::{approve, cancel_all, cancel_step, pause, resume};
use crate::orchestration::command::{Command, Facts, Holder, Rejected};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{Created, EndedAs, Event, FailCause, SkipCause};
use crate::orchestration::graph::{Graph, StepIndex};
use crate::orchestration::report::{expire, finish};
use crate::orchestration::standing::{Standing, Wait};
use crate::orchestration::state::{Head, Orchestration, Status};
use crate::orchestration::tick;
use crate::values::hash::ContentHash;
use crate::values::ids::StepId;
use crate::values::time::Timestamp;

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

/// The step ends with an enrichment, which makes the next version.
pub(super) fn complete<'a>(
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

/// The step ends without an enrichment; the whole too when it aborts.
pub(super) fn fail(
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

/// The step is stopped, as asked.
pub(super) fn cancelled(state: &Orchestration, index: StepIndex, reason: String) -> Vec<Event> {
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
