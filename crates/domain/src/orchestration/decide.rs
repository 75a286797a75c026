//! What a command makes happen: a function of the state, the command and the facts.

use crate::orchestration::asked::{approve, cancel_all, cancel_step, pause, resume};
use crate::orchestration::command::{Command, Facts, Rejected};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{BARE, Created, EndedAs, Event, FailCause, SkipCause};
use crate::orchestration::graph::{Edge, Graph, StepIndex};
use crate::orchestration::report::{Told, expire, finish, keep};
use crate::orchestration::start::start;
use crate::orchestration::state::{Orchestration, Status};
use crate::orchestration::{asking, children, tick, turns};
use crate::values::hash::ContentHash;
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
        Command::Keep {
            step,
            attempt,
            holder,
            output,
            usage,
        } => keep(state, step, *attempt, *holder, output.as_ref(), usage),
        Command::RecordTurn {
            step,
            attempt,
            holder,
            turn,
        } => turns::record(state, step, *attempt, *holder, turn),
        Command::Spawn {
            step,
            attempt,
            holder,
            spawn,
        } => children::spawn(state, step, *attempt, *holder, spawn),
        Command::Finish {
            step,
            attempt,
            holder,
            report,
            usage,
        } => {
            let told = Told { report, usage };
            finish(state, step, *attempt, *holder, told, facts.now)
        }
        Command::Ask { holder, asking } => asking::ask(state, head, *holder, asking, facts),
        _ if head.status.ended() => Err(Rejected::Ended(head.status.name())),
        Command::OpenGates => open_gates(state, facts),
        Command::Start { step, holder } => start(state, head, step, *holder, facts),
        Command::Expire { step, attempt } => expire(state, step, *attempt, facts.now),
        Command::Tick => Ok(tick::tick(state, head, facts)),
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
    check_versions(created)?;
    Graph::of(created)?;
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
    for index in 0..empty.steps.len() {
        if empty.steps[index].state.ended().is_some() {
            continue;
        }
        if let Some(cause) = skipped_from_the_start(&empty, index) {
            let step = empty.graph.rules(index).id.clone();
            let event = Event::StepSkipped {
                step,
                cause,
                charge: None,
            };
            ending.end(index, EndedAs::Skipped, event);
        } else if empty.steps[index].waiting_on == 0 {
            ending.unblock(index);
        }
    }
    Ok(ending.settle())
}

/// Priors are the versions before the first enrichment of this orchestration, and the bare plan comes before them.
fn check_versions(created: &Created) -> Result<(), Rejected> {
    let priors = created
        .steps
        .iter()
        .filter_map(|rules| rules.prior.as_ref());
    let mut versions: Vec<u64> = priors.map(|prior| prior.version).collect();
    versions.sort_unstable();
    let (count, version) = (versions.len(), created.version);
    let bare = version.checked_sub(count as u64);
    match bare {
        Some(bare @ BARE..) if versions.into_iter().eq(bare + 1..=version) => Ok(()),
        _ => Err(Rejected::PriorVersions {
            priors: count,
            version,
        }),
    }
}

/// The plan lacks what the step requires, or came with an enrichment that is not whole enough for it.
fn skipped_from_the_start(state: &Orchestration, index: StepIndex) -> Option<SkipCause> {
    let rules = state.graph.rules(index);
    if !rules.missing.is_empty() {
        let names = rules.missing.clone();
        return Some(SkipCause::MissingInput { names });
    }
    let unusable = |edge: &&Edge| {
        let prior = state
            .step(&edge.step)
            .and_then(|(_, step)| step.state.ended());
        prior == Some(EndedAs::Partial) && !edge.optional && !edge.accepts_partial
    };
    let edge = rules.dependencies.iter().find(unusable)?;
    Some(SkipCause::Dependency {
        step: edge.step.clone(),
        ended: EndedAs::Partial,
    })
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

/// How the counters of equal work in flight begin.
pub const FLIGHT: &str = "flight/";

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
        counters.push((format!("{FLIGHT}{}/{input}", head.account), 1));
    }
    counters
}

/// The step ends with no enrichment of its own; the whole too when it aborts, and nothing that was kept stands.
pub(super) fn fail(
    mut ending: Ending<'_>,
    index: StepIndex,
    ended: EndedAs,
    cause: FailCause,
) -> Vec<Event> {
    let stands = ending.fail(index, ended, cause);
    if !stands {
        ending.abort_if_ruled(index);
    }
    ending.settle()
}

/// The step is stopped, as asked.
pub(super) fn cancelled(mut ending: Ending<'_>, index: StepIndex, reason: &str) -> Vec<Event> {
    ending.cancel_step(index, reason);
    ending.settle()
}
