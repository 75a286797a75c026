//! Handing in: what an attempt has on the way and at its end, through the door.

use std::sync::Arc;

use domain::agent::retry::ErrorClass;
use domain::canonical;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Holder, Output, Report};
use domain::values::ids::StepId;
use domain::values::time::Millis;
use serde_json::Value;
use store::error::StoreError;
use store::write::NewBlob;
use tracing::{debug, error, warn};

use crate::error::TransitionError;
use crate::handle::Engine;
use crate::lane::Lane;
use crate::perform::{Kept, Performed};
use crate::project;
use crate::registry::Prepared;
use crate::transition::{transition, transition_here};

/// The pause before a report is handed in anew when the database did not take it: longer each time, up to
/// [`REPORT_PAUSES`] times as long.
const REPORT_PAUSE: Millis = Millis(1_000);

/// The longest pause, in such pauses.
const REPORT_PAUSES: u64 = 10;

/// After so many tries whoever waits for an end is told. The store has waited each time already, longer than a server's
/// restart takes.
const TOLD_AFTER: u64 = 2;

/// The least time between two commits of what one attempt has so far.
const KEEP_EVERY: Millis = Millis(200);

/// How long what an attempt tells of its usage may wait until it is stored: should its holder lapse, it is charged what is
/// stored. Most attempts end before, and their end tells it.
const USED_EVERY: Millis = Millis(2_000);

/// Which attempt hands in.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    pub(crate) step: StepId,
    pub(crate) attempt: u32,
    pub(crate) holder: Holder,
}

impl Fence {
    /// The attempt's end.
    pub(crate) fn finish(&self, report: Report, usage: Usage) -> Command {
        Command::Finish {
            step: self.step.clone(),
            attempt: self.attempt,
            holder: self.holder,
            report,
            usage,
        }
    }
}

/// Returns when what was told of usage is to be stored.
async fn told(engine: &Engine, kept: &Kept) {
    kept.told().await;
    engine.clock.sleep(USED_EVERY).await;
}

/// Keeps durably what the attempt leaves to be kept, and what it tells of its usage: the latest, one commit at a time.
/// Returns when nobody wants it.
pub(crate) async fn keep_so_far(engine: &Engine, lane: &Arc<Lane>, fence: &Fence, kept: &Kept) {
    loop {
        let data = tokio::select! {
            () = kept.news() => kept.look(),
            () = told(engine, kept) => None,
        };
        let (output, blobs) = match data.map(|data| output(engine, &data)).transpose() {
            Ok(given) => given.map(|(output, blob)| (output, vec![blob])).unzip(),
            Err(why) => {
                debug!(orchestration.id = %lane.id, step.id = %fence.step, "What {} has so far cannot be kept: {why}", fence.step);
                continue;
            }
        };
        let command = Command::Keep {
            step: fence.step.clone(),
            attempt: fence.attempt,
            holder: fence.holder,
            output,
            usage: kept.usage(),
        };
        match transition(engine, lane.id, command, blobs.unwrap_or_default()).await {
            Ok(_) => {}
            // The step has moved on: whoever moved it drops the attempt.
            Err(TransitionError::Rejected(_) | TransitionError::Unknown(_)) => {
                std::future::pending::<()>().await;
            }
            Err(error) => {
                warn!(orchestration.id = %lane.id, "What {} has so far could not be kept: {error}", fence.step);
            }
        }
        engine.clock.sleep(KEEP_EVERY).await;
    }
}

/// The reference to an output and its bytes, which stay in memory for a while.
fn output(engine: &Engine, data: &Value) -> Result<(Output, NewBlob), String> {
    let text = canonical::text_of(data).map_err(|error| error.to_string())?;
    let (hash, blob) = project::blob(text.into_bytes());
    engine.outputs.keep(hash, blob.bytes.clone());
    let output = Output { data: hash };
    Ok((output, blob))
}

/// The report and the bytes that it names. A whole output that is not what its schema promises is none.
pub(crate) fn report(
    engine: &Engine,
    agent: &Prepared,
    performed: Performed,
    kept: &Kept,
) -> (Report, Vec<NewBlob>) {
    let mut blobs = Vec::new();
    let mut output = |data: &Value| -> Result<Output, String> {
        let (output, blob) = output(engine, data)?;
        blobs.push(blob);
        Ok(output)
    };
    let invalid = |message| Report::Failed {
        class: ErrorClass::InvalidOutput,
        message,
        retry_after: None,
        kept: None,
    };
    let report = match performed {
        Performed::Completed(data) => match agent.check(&data) {
            Ok(()) => output(&data).map_or_else(invalid, Report::Completed),
            Err(misfit) => invalid(format!(
                "its output is not what outputSchema says: {misfit}"
            )),
        },
        Performed::Partial { data, reason } => {
            output(&data).map_or_else(invalid, |output| Report::Partial { output, reason })
        }
        Performed::Failed {
            class,
            message,
            retry_after,
        } => Report::Failed {
            class,
            message,
            retry_after,
            kept: kept.take().and_then(|data| output(&data).ok()),
        },
        Performed::Returned {
            class,
            message,
            until,
            needs,
        } => Report::Returned {
            class,
            message,
            until,
            needs,
            kept: kept.take().and_then(|data| output(&data).ok()),
        },
        Performed::Short(shortage) => Report::Short {
            shortage,
            kept: kept.take().and_then(|data| output(&data).ok()),
        },
        Performed::MissingInput { names } => Report::MissingInput { names },
        Performed::Cancelled | Performed::Parked => Report::Cancelled {
            kept: kept.take().and_then(|data| output(&data).ok()),
        },
    };
    (report, blobs)
}

/// Hands the report in until the database takes it, or it is plain that it never will. What was performed is not given up
/// while this replica lives: others take the step over when its lease lapses, and then the report is refused.
pub(crate) async fn hand_in(
    engine: &Engine,
    lane: &Arc<Lane>,
    mut command: Command,
    mut blobs: Vec<NewBlob>,
) {
    let mut tries = 0;
    loop {
        let error = match transition_here(engine, lane.id, command.clone(), blobs.clone()).await {
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
            usage,
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
            usage: usage.clone(),
        }),
        _ => None,
    }
}
