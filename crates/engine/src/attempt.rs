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

use crate::error::TransitionError;
use crate::gather::{self, data, pinned};
use crate::handle::Engine;
use crate::lane::{Hot, InFlight, Lane};
use crate::perform::{Assignment, Kept, Performed};
use crate::project;
use crate::transition::transition;

/// How often a report is handed in anew when the database does not take it.
const REPORT_TRIES: u32 = 10;

/// The pause between such tries.
const REPORT_PAUSE: Millis = Millis(1_000);

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
        let inputs = agent.inputs().map_err(|error| lost(&error.to_string()))?;
        let built_on = hot
            .state
            .graph
            .dependencies(index)
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
            parameters: pinned.parameters_of(agent),
            cancelled: CancellationToken::new(),
            kept: Kept::default(),
        };
        Ok(Self {
            step: rules.id,
            attempt: step.attempt,
            holder,
            timeout: rules.timeout,
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
    lane.in_flight().insert(started.step.clone(), in_flight);
    let (engine, lane) = (engine.clone(), lane.clone());
    engine
        .clone()
        .spawned
        .spawn(async move { attempt(&engine, &lane, started).await });
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
            let work = tokio::spawn(engine.performer.perform(assignment));
            let abort = work.abort_handle();
            let performed = tokio::select! {
                performed = work => performed.unwrap_or_else(|error| failed(ErrorClass::Fatal, format!("the agent broke down: {error}"))),
                () = engine.clock.sleep(timeout) => failed(ErrorClass::Timeout, format!("no answer within {} ms", timeout.0)),
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
    engine.work.room();
}

/// Hands the report in until the database takes it, or it is plain that it will not.
async fn hand_in(engine: &Engine, lane: &Lane, command: Command, blobs: Vec<NewBlob>) {
    for _ in 0..REPORT_TRIES {
        match transition(engine, lane.id, command.clone(), blobs.clone()).await {
            Ok(_) => return,
            Err(TransitionError::Rejected(stale)) => {
                debug!(orchestration.id = %lane.id, "A report came too late: {stale}");
                return;
            }
            Err(TransitionError::Store(
                error @ (StoreError::Lost { .. }
                | StoreError::Locked { .. }
                | StoreError::CannotConnect { .. }),
            )) => {
                warn!(orchestration.id = %lane.id, "A report could not be stored, trying again: {error}");
                engine.clock.sleep(REPORT_PAUSE).await;
            }
            Err(TransitionError::Overtaken(_)) => engine.clock.sleep(REPORT_PAUSE).await,
            Err(error) => {
                error!(orchestration.id = %lane.id, "A report could not be stored: {error}");
                if let TransitionError::Store(error) = error {
                    engine.set_trouble(error);
                }
                return;
            }
        }
    }
    engine.set_trouble(StoreError::Other {
        database: engine.store.name(),
        detail: format!("a report could not be stored within {REPORT_TRIES} tries"),
    });
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
        Ok(Output { data: hash })
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
        Performed::Cancelled => Report::Cancelled {
            kept: kept.and_then(|data| output(&data).ok()),
        },
    };
    (report, blobs)
}
