//! What time has done to an orchestration: deadlines and timeouts.

use crate::agent::retry::ErrorClass;
use crate::orchestration::command::{Command, Facts};
use crate::orchestration::command::{Rejected, Report};
use crate::orchestration::decide::{decide, fail};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{EndedAs, Event, FailCause, Recorded};
use crate::orchestration::evolve::evolve;
use crate::orchestration::graph::StepIndex;
use crate::orchestration::standing::Standing;
use crate::orchestration::state::{Head, Orchestration, StepState};
use crate::values::time::{Millis, Timestamp};

/// How much longer than its time an attempt is waited for: its holder ends it itself and hands in what it kept; this is the
/// net for a holder that beats but does not act. Longer than a lease: the attempt of a holder that is dead is a lapse, which
/// uses no retry, and never a timeout.
pub const TIMEOUT_GRACE: Millis = Millis(20_000);

/// What time has done to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lapse {
    Cancelled,
    Total,
    Queue,
    Attempt,
}

impl Orchestration {
    /// When time will next do something to the step at `index`, if no command comes before.
    pub fn wake_at(&self, index: StepIndex) -> Option<Timestamp> {
        self.lapses(index).map(|(at, _)| at).min()
    }

    /// When time will next do something to the whole: force a cancel, or give due gates to whoever sweeps.
    pub fn wake_whole_at(&self) -> Option<Timestamp> {
        let head = self.head.as_ref().filter(|head| !head.status.ended())?;
        if !self.tally.gates_due.is_empty() {
            return Some(Timestamp(0));
        }
        head.cancelling
            .as_ref()
            .map(|cancelling| cancelling.deadline)
    }

    /// The deadlines that hold for a step as it stands. A pause stops the clocks of what is not in flight.
    fn lapses(&self, index: StepIndex) -> impl Iterator<Item = (Timestamp, Lapse)> {
        let (rules, step) = (self.graph.rules(index), &self.steps[index]);
        let head = self.head.as_ref();
        let running = step.state == StepState::Running;
        let paused = !running && self.is_paused(index);
        let live = (running || step.state == StepState::Ready) && !paused;
        let whole = head.and_then(|head| head.cancelling.as_ref());
        let asked = step.cancelling.iter().chain(whole);
        let forced = asked
            .map(|cancelling| cancelling.deadline)
            .min()
            .filter(|_| running);
        let total = step
            .first_ready_at
            .filter(|_| live)
            .map(|first| first + rules.total_timeout)
            .map(|end| if running { end + TIMEOUT_GRACE } else { end });
        let queue = step
            .ready_at
            .filter(|_| live && !running)
            .map(|ready| ready.max(step.due_at.unwrap_or(ready)) + rules.queue_timeout);
        let attempt = step
            .started_at
            .filter(|_| running)
            .map(|started| started + rules.timeout + TIMEOUT_GRACE);
        [
            (forced, Lapse::Cancelled),
            (total, Lapse::Total),
            (queue, Lapse::Queue),
            (attempt, Lapse::Attempt),
        ]
        .into_iter()
        .filter_map(|(at, lapse)| Some((at?, lapse)))
    }
}

/// Everything that time has done by `now`, step by step: each is decided on what the one before left.
pub(super) fn tick(state: &Orchestration, head: &Head, facts: &Facts) -> Vec<Event> {
    let now = facts.now;
    let due = |state: &Orchestration, index| {
        state
            .lapses(index)
            .filter(|(at, _)| *at <= now)
            .min_by_key(|(at, _)| *at)
    };
    if !(0..state.steps.len()).any(|index| due(state, index).is_some()) {
        return Vec::new();
    }
    let mut working = state.clone();
    let mut happened = Vec::new();
    for index in 0..state.steps.len() {
        let Some((_, lapse)) = due(&working, index).filter(|_| !working.status().ended()) else {
            continue;
        };
        for event in lapsed(&working, index, lapse, facts) {
            evolve(
                &mut working,
                &Recorded {
                    seq: head.cursor,
                    at: now,
                    event: event.clone(),
                },
            );
            happened.push(event);
        }
    }
    happened
}

fn lapsed(state: &Orchestration, index: StepIndex, lapse: Lapse, facts: &Facts) -> Vec<Event> {
    let now = facts.now;
    let step = &state.steps[index];
    let id = state.graph.rules(index).id.clone();
    let report = |report| -> Result<Vec<Event>, Rejected> {
        let holder = step.holder.ok_or(Rejected::Stale {
            step: id.clone(),
            attempt: step.attempt,
        })?;
        let command = Command::Finish {
            step: id.clone(),
            attempt: step.attempt,
            holder,
            report,
            usage: step.used.as_deref().cloned().unwrap_or_default(),
        };
        decide(
            state,
            &command,
            &Facts {
                now,
                ..Facts::default()
            },
        )
    };
    match lapse {
        Lapse::Cancelled => report(Report::Cancelled { kept: None }).unwrap_or_default(),
        Lapse::Attempt => {
            let message = format!("no answer within {} ms", state.graph.rules(index).timeout.0);
            report(Report::Failed {
                class: ErrorClass::Timeout,
                message,
                retry_after: None,
                kept: None,
            })
            .unwrap_or_default()
        }
        Lapse::Total => fail(
            Ending::of(state),
            index,
            EndedAs::Timeout,
            FailCause::TotalTimeout,
        ),
        Lapse::Queue => {
            let waited_for = waited_for(state, index, facts);
            let cause = FailCause::QueueTimeout { waited_for };
            fail(Ending::of(state), index, EndedAs::Timeout, cause)
        }
    }
}

/// What keeps a step in the queue, as far as the facts and the orchestration say it.
fn waited_for(state: &Orchestration, index: StepIndex, facts: &Facts) -> Option<String> {
    let blocked = facts.blocked.get(&state.graph.rules(index).agent);
    blocked.cloned().or_else(
        || match state.standing_while(index, facts.now, &facts.blocked) {
            Standing::Waits(wait) => Some(wait.to_string()),
            _ => None,
        },
    )
}
