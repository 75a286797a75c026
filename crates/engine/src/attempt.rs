//! Attempts: a claimed step is performed and reported, within its time, until it is stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::retry::ErrorClass;
use domain::canonical;
use domain::orchestration::command::{Command, Holder, Output, Report};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Orchestration, StepState};
use domain::values::hash::ContentHash;
use domain::values::ids::StepId;
use domain::values::time::Millis;
use serde_json::Value;
use store::error::StoreError;
use store::write::NewBlob;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::context::Around;
use crate::error::TransitionError;
use crate::gather::{self, data, pinned};
use crate::handle::Engine;
use crate::lane::{Hot, InFlight, Lane};
use crate::perform::{self, Assignment, Kept, Performed};
use crate::project;
use crate::request;
use crate::transition::transition;

/// The pause before a report is handed in anew when the database did not take it: longer each time, up to
/// [`REPORT_PAUSES`] times as long.
const REPORT_PAUSE: Millis = Millis(1_000);

/// The longest pause, in such pauses.
const REPORT_PAUSES: u64 = 10;

/// After so many tries whoever waits for an end is told. The store has waited each time already, longer than a server's
/// restart takes.
const TOLD_AFTER: u64 = 2;

/// A claimed step, ready to be performed.
pub struct Started {
    step: StepId,
    attempt: u32,
    holder: Holder,
    timeout: Millis,
    assignment: Assignment,
    built_on: Vec<(StepId, ContentHash)>,
    forced: CancellationToken,
    /// Room for one attempt, given back when this one is over.
    permit: OwnedSemaphorePermit,
}

impl Started {
    /// Everything that the attempt at the step at `index` is given.
    ///
    /// # Errors
    /// When the database fails or lacks what was pinned.
    pub async fn of(
        engine: &Engine,
        lane: &Lane,
        hot: &mut Hot,
        index: StepIndex,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, StoreError> {
        let lost = |detail: &str| StoreError::Corrupt {
            database: engine.store.name(),
            detail: detail.to_owned(),
        };
        let pinned = pinned(engine, hot).await?;
        let rules = hot.state.graph.rules(index).clone();
        let step = &hot.state.steps[index];
        let (Some(head), Some(holder)) = (&hot.state.head, step.holder) else {
            return Err(lost("a started step without a holder"));
        };
        let agent = gather::definition(&pinned, rules.agent.as_str())
            .ok_or_else(|| lost("a step without its definition"))?;
        let plan = engine
            .plans
            .load(&engine.store, &head.account, head.plan)
            .await?;
        let end = step.first_ready_at.map(|first| first + rules.total_timeout);
        let now = engine.clock.now();
        let left = end.map_or(rules.timeout, |end| end - now);
        let timeout = rules.timeout.min(left);
        let sends = engine.performer.sends(agent);
        let around = sends.then(|| {
            let prepared = engine.registry.prepared(rules.definition, agent);
            let plan = plan.clone();
            Arc::new(Around::of(
                &hot.state,
                head,
                index,
                plan,
                prepared,
                now + timeout,
            ))
        });
        let inputs = if sends {
            Vec::new()
        } else {
            agent.inputs().map_err(|error| lost(&error.to_string()))?
        };
        let built_on = hot
            .state
            .graph
            .dependencies(index)
            .filter(|_| !sends)
            .filter_map(|dependency| {
                let enrichment = hot.state.steps[dependency].enrichment.as_ref()?;
                Some((
                    hot.state.graph.rules(dependency).id.clone(),
                    enrichment.data,
                ))
            });
        let assignment = Assignment {
            orchestration: lane.id,
            step: rules.id.clone(),
            attempt: step.attempt,
            agent: agent.clone(),
            plan: plan.plan.select(
                inputs
                    .iter()
                    .flat_map(|input| plan.manifest.named(&input.artifact))
                    .map(|(name, _)| name),
            ),
            dependencies: BTreeMap::new(),
            around,
            parameters: pinned.parameters_of(agent),
            cancelled: engine.stopping.child_token(),
            kept: Kept::default(),
        };
        Ok(Self {
            step: rules.id,
            attempt: step.attempt,
            holder,
            timeout,
            built_on: built_on.collect(),
            assignment,
            forced: CancellationToken::new(),
            permit,
        })
    }
}

/// Performs the attempt in the background.
pub fn spawn(engine: &Engine, lane: &Arc<Lane>, started: Started) {
    let in_flight = InFlight {
        attempt: started.attempt,
        cancelled: started.assignment.cancelled.clone(),
        forced: started.forced.clone(),
    };
    let replaced = lane.in_flight().insert(started.step.clone(), in_flight);
    if let Some(replaced) = replaced {
        replaced.forced.cancel();
    }
    let (engine, lane) = (engine.clone(), lane.clone());
    engine
        .clone()
        .spawned
        .spawn(async move { attempt(&engine, &lane, started).await });
}

/// A claimed step that cannot be prepared has failed as any other attempt: its retries bound how often that is tried.
pub fn give_up(
    engine: &Engine,
    lane: &Arc<Lane>,
    state: &Orchestration,
    index: StepIndex,
    why: &StoreError,
) {
    let step = &state.steps[index];
    let Some(holder) = step.holder else { return };
    let command = Command::Finish {
        step: state.graph.rules(index).id.clone(),
        attempt: step.attempt,
        holder,
        report: Report::Failed {
            class: ErrorClass::Transient,
            message: format!("it could not be prepared: {why}"),
            retry_after: None,
            kept: None,
        },
    };
    let (engine, lane) = (engine.clone(), lane.clone());
    engine
        .clone()
        .spawned
        .spawn(async move { hand_in(&engine, &lane, command, Vec::new()).await });
}

/// Stops the attempts that the state no longer wants: asks those that are being cancelled, drops those that were replaced.
pub fn stop_what_should_stop(lane: &Lane, state: &Orchestration) {
    let cancelling = state
        .head
        .as_ref()
        .is_some_and(|head| head.cancelling.is_some());
    lane.in_flight().retain(|id, in_flight| {
        let step = state.step(id).map(|(_, step)| step);
        let wanted = step.is_some_and(|step| {
            step.state == StepState::Running && step.attempt == in_flight.attempt
        });
        if !wanted {
            in_flight.forced.cancel();
        } else if cancelling || step.is_some_and(|step| step.cancelling.is_some()) {
            in_flight.cancelled.cancel();
        }
        wanted
    });
}

/// One attempt. 1. Fetch what the dependencies gave. 2. Perform, within the timeout. 3. Report through the door.
async fn attempt(engine: &Engine, lane: &Lane, started: Started) {
    let Started {
        step,
        attempt,
        holder,
        timeout,
        mut assignment,
        built_on,
        forced,
        permit,
    } = started;
    let kept = assignment.kept.clone();
    let mut performed = None;
    for (id, hash) in built_on {
        match data(engine, hash).await {
            Ok(value) => {
                assignment
                    .dependencies
                    .insert(id.as_str().to_owned(), value);
            }
            Err(error) => {
                performed = Some(failed(
                    ErrorClass::Transient,
                    format!("what `{id}` gave cannot be read: {error}"),
                ))
            }
        }
    }
    let performed = match performed {
        Some(failed) => failed,
        None => {
            // The call too is made in there: a panic in it ends the attempt and nothing else.
            let (agent, performing) = (assignment.agent.id.clone(), engine.clone());
            let sent = assignment.around.is_some();
            let work =
                tokio::spawn(
                    async move { performing.performer.perform(&performing, assignment).await },
                );
            let abort = work.abort_handle();
            let performed = tokio::select! {
                performed = work => performed.unwrap_or_else(|error| failed(ErrorClass::Fatal, perform::breakdown(error))),
                () = engine.clock.sleep(timeout) => {
                    if sent {
                        request::timed_out(engine, &agent, timeout);
                    }
                    failed(ErrorClass::Timeout, format!("no answer within {} ms", timeout.0))
                }
                // It was asked to stop and did not: what it has is handed in, and the step returns to the queue.
                () = engine.leaving.cancelled() => Performed::Cancelled,
                () = forced.cancelled() => {
                    abort.abort();
                    debug!(orchestration.id = %lane.id, step.id = %step, "Attempt {attempt} of {step} was dropped");
                    drop(permit);
                    engine.work.room();
                    return;
                }
            };
            abort.abort();
            performed
        }
    };
    lane.in_flight()
        .retain(|id, in_flight| *id != step || in_flight.attempt != attempt);
    drop(permit);
    let (report, blobs) = report(engine, performed, kept.take());
    let command = Command::Finish {
        step: step.clone(),
        attempt,
        holder,
        report,
    };
    hand_in(engine, lane, command, blobs).await;
}

/// Hands the report in until the database takes it, or it is plain that it never will. What was performed is not given up
/// while this replica lives: others take the step over when its lease lapses, and then the report is refused.
async fn hand_in(engine: &Engine, lane: &Lane, mut command: Command, mut blobs: Vec<NewBlob>) {
    let mut tries = 0;
    loop {
        let error = match transition(engine, lane.id, command.clone(), blobs.clone()).await {
            Ok(_) => {
                if tries > 0 {
                    engine.clear_trouble();
                }
                return;
            }
            Err(error @ (TransitionError::Rejected(_) | TransitionError::Unknown(_))) => {
                debug!(orchestration.id = %lane.id, "A report came too late: {error}");
                return;
            }
            Err(error) => error,
        };
        tries += 1;
        if let TransitionError::Store(
            error @ (StoreError::Nul { .. }
            | StoreError::Refused(_)
            | StoreError::Constraint { .. }),
        ) = &error
            && let Some(instead) = unstorable(&command, error)
        {
            error!(orchestration.id = %lane.id, "A report cannot be stored: {error}");
            (command, blobs) = (instead, Vec::new());
            continue;
        }
        warn!(orchestration.id = %lane.id, "A report could not be stored, trying again: {error}");
        if let TransitionError::Store(error) = error
            && (tries >= TOLD_AFTER || !may_pass(&error))
        {
            engine.set_trouble(error);
        }
        let pause = Millis(REPORT_PAUSE.0 * tries.min(REPORT_PAUSES));
        tokio::select! { () = engine.clock.sleep(pause) => {}, () = engine.leaving.cancelled() => return }
    }
}

/// Whether waiting may help by itself.
fn may_pass(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Lost { .. } | StoreError::Locked { .. } | StoreError::CannotConnect { .. }
    )
}

/// The report that stands in for one that the database refuses; none when it is one already.
fn unstorable(command: &Command, why: &StoreError) -> Option<Command> {
    let message = format!("its report cannot be stored: {why}");
    match command {
        Command::Finish {
            report: Report::Failed {
                message: earlier, ..
            },
            ..
        } if *earlier == message => None,
        Command::Finish {
            step,
            attempt,
            holder,
            ..
        } => Some(Command::Finish {
            step: step.clone(),
            attempt: *attempt,
            holder: *holder,
            report: Report::Failed {
                class: ErrorClass::Fatal,
                message,
                retry_after: None,
                kept: None,
            },
        }),
        _ => None,
    }
}

fn failed(class: ErrorClass, message: String) -> Performed {
    Performed::Failed {
        class,
        message,
        retry_after: None,
    }
}

/// The report and the bytes that it names.
fn report(engine: &Engine, performed: Performed, kept: Option<Value>) -> (Report, Vec<NewBlob>) {
    let mut blobs = Vec::new();
    let mut output = |data: &Value| -> Result<Output, String> {
        let text = canonical::to_string(data).map_err(|error| error.to_string())?;
        let (hash, blob) = project::blob(text.into_bytes());
        engine.outputs.keep(hash, blob.bytes.clone());
        blobs.push(blob);
        Ok(Output {
            data: hash,
            tokens_used: None,
        })
    };
    let invalid = |message| Report::Failed {
        class: ErrorClass::InvalidOutput,
        message,
        retry_after: None,
        kept: None,
    };
    let report = match performed {
        Performed::Completed(data) => output(&data).map_or_else(invalid, Report::Completed),
        Performed::Partial { data, reason } => {
            output(&data).map_or_else(invalid, |output| Report::Partial { output, reason })
        }
        Performed::Failed {
            class,
            message,
            retry_after,
        } => {
            let kept = kept.and_then(|data| output(&data).ok());
            Report::Failed {
                class,
                message,
                retry_after,
                kept,
            }
        }
        Performed::MissingInput { names } => Report::MissingInput { names },
        Performed::Cancelled => Report::Cancelled {
            kept: kept.and_then(|data| output(&data).ok()),
        },
    };
    (report, blobs)
}
