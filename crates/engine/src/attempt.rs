//! Attempts: a claimed step is performed and reported, within its time, until it is stopped.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::command::Report;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Orchestration, StepState};
use domain::values::hash::ContentHash;
use domain::values::ids::StepId;
use domain::values::time::Millis;
use planexe::plan::Plan;
use store::error::StoreError;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::context::Around;
use crate::converse::brief::Brief;
use crate::gather::{self, data, pinned};
use crate::handing::{self, Fence};
use crate::handle::Engine;
use crate::lane::{Hot, InFlight, Lane};
use crate::perform::{self, Assignment, Kept, Performed, Performing};
use crate::plans::LoadedPlan;
use crate::registry::Prepared;
use crate::request;

/// A claimed step, ready to be performed.
pub struct Started {
    fence: Fence,
    timeout: Millis,
    prepared: Arc<Prepared>,
    assignment: Assignment,
    built_on: Vec<(StepId, ContentHash)>,
    forced: CancellationToken,
    /// Room for one attempt, given back when this one is over.
    permit: Option<OwnedSemaphorePermit>,
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
        let rules = hot.state.graph.rules(index);
        let step = &hot.state.steps[index];
        let (Some(head), Some(holder)) = (&hot.state.head, step.holder) else {
            return Err(lost("a started step without a holder"));
        };
        let agent = gather::definition(&pinned, rules)
            .ok_or_else(|| lost("a step without its definition"))?;
        let plan = engine
            .plans
            .load(&engine.store, &head.account, head.plan)
            .await?;
        let end = step.first_ready_at.map(|first| first + rules.total_timeout);
        let now = engine.clock.now();
        let left = end.map_or(rules.timeout, |end| end - now);
        let timeout = rules.timeout.min(left);
        let prepared = engine.registry.prepared(rules.definition, agent);
        let (around, read, built_on) = if engine.performer.sends(engine, agent) {
            let (plan, prepared, deadline) = (plan.clone(), prepared.clone(), now + timeout);
            let mut around = Around::of(&hot.state, head, index, plan, prepared, deadline);
            around.revised &= !hot.first_revision;
            (Some(Arc::new(around)), Plan::default(), Vec::new())
        } else {
            let built_on = built_on(&hot.state, index);
            (None, declared(&plan, &prepared), built_on)
        };
        let brief = engine.performer.converses(engine, agent).then(|| {
            let agent = (prepared.clone(), pinned.clone());
            Arc::new(Brief::of(&hot.state, index, holder, plan.clone(), agent))
        });
        let assignment = Assignment {
            orchestration: lane.id,
            step: rules.id.clone(),
            attempt: step.attempt,
            agent: prepared.definition.clone(),
            plan: read,
            dependencies: BTreeMap::new(),
            around,
            brief,
            parameters: pinned.parameters_of(agent),
            cancelled: engine.stopping.child_token(),
            paused: Arc::new(AtomicBool::new(hot.state.is_paused(index))),
            kept: Kept::default(),
        };
        let fence = Fence {
            step: rules.id.clone(),
            attempt: step.attempt,
            holder,
        };
        Ok(Self {
            fence,
            timeout,
            prepared,
            built_on,
            assignment,
            forced: CancellationToken::new(),
            permit: Some(permit),
        })
    }
}

/// The artifacts that the agent declares.
fn declared(plan: &LoadedPlan, prepared: &Prepared) -> Plan {
    let inputs = prepared.inputs.iter();
    let named = inputs.flat_map(|input| plan.manifest.named(&input.artifact));
    plan.plan.select(named.map(|(name, _)| name))
}

/// The direct dependencies that left an enrichment, with its data.
fn built_on(state: &Orchestration, index: StepIndex) -> Vec<(StepId, ContentHash)> {
    let given = state.graph.dependencies(index).filter_map(|dependency| {
        let enrichment = state.steps[dependency].enrichment.as_ref()?;
        Some((state.graph.rules(dependency).id.clone(), enrichment.data))
    });
    given.collect()
}

/// Performs the attempt in the background.
pub fn spawn(engine: &Engine, lane: &Arc<Lane>, started: Started) {
    let in_flight = InFlight {
        attempt: started.fence.attempt,
        cancelled: started.assignment.cancelled.clone(),
        forced: started.forced.clone(),
        paused: started.assignment.paused.clone(),
    };
    let replaced = lane
        .in_flight()
        .insert(started.fence.step.clone(), in_flight);
    if let Some(replaced) = replaced {
        replaced.forced.cancel();
    }
    let expected = lane.expected(|| engine.store.expect());
    let (engine, lane) = (engine.clone(), lane.clone());
    engine.clone().spawned.spawn(async move {
        attempt(&engine, &lane, started).await;
        drop(expected);
    });
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
    let fence = Fence {
        step: state.graph.rules(index).id.clone(),
        attempt: step.attempt,
        holder,
    };
    let command = fence.finish(
        Report::Failed {
            class: ErrorClass::Transient,
            message: format!("it could not be prepared: {why}"),
            retry_after: None,
            kept: None,
        },
        Usage::default(),
    );
    let (engine, lane) = (engine.clone(), lane.clone());
    engine
        .clone()
        .spawned
        .spawn(async move { handing::hand_in(&engine, &lane, command, Vec::new()).await });
}

/// Stops the attempts that the state no longer wants: asks those that are being cancelled, drops those that were replaced, and
/// tells all whether they are paused.
pub fn stop_what_should_stop(lane: &Lane, state: &Orchestration) {
    let cancelling = state
        .head
        .as_ref()
        .is_some_and(|head| head.cancelling.is_some());
    lane.in_flight().retain(|id, in_flight| {
        let found = state.step(id);
        let step = found.map(|(_, step)| step);
        let wanted = step.is_some_and(|step| {
            step.state == StepState::Running && step.attempt == in_flight.attempt
        });
        let paused = found.is_some_and(|(index, _)| state.is_paused(index));
        in_flight.paused.store(paused, Ordering::Relaxed);
        if !wanted {
            in_flight.forced.cancel();
        } else if cancelling || step.is_some_and(|step| step.cancelling.is_some()) {
            in_flight.cancelled.cancel();
        }
        wanted
    });
}

/// One attempt. 1. Fetch what the dependencies gave. 2. Perform, within the timeout. 3. Hold the output against its schema.
/// 4. Report through the door.
async fn attempt(engine: &Engine, lane: &Arc<Lane>, mut started: Started) {
    let fence = started.fence.clone();
    let (forced, permit) = (started.forced.clone(), started.permit.take());
    let kept = started.assignment.kept.clone();
    let checked = started.prepared.clone();
    let performed = match fetch(engine, lane, &mut started).await {
        Some(failed) => Some(failed),
        None => performed(engine, lane, started, &forced).await,
    };
    let Some(performed) = performed else {
        debug!(orchestration.id = %lane.id, step.id = %fence.step, "Attempt {} of {} was dropped", fence.attempt, fence.step);
        drop(permit);
        engine.work.room();
        return;
    };
    lane.in_flight()
        .retain(|id, in_flight| *id != fence.step || in_flight.attempt != fence.attempt);
    drop(permit);
    let (report, blobs) = handing::report(engine, &checked, performed, &kept);
    handing::hand_in(engine, lane, fence.finish(report, kept.usage()), blobs).await;
}

/// What the dependencies gave, for an agent of this program; the failure if it cannot be read.
async fn fetch(engine: &Engine, lane: &Lane, started: &mut Started) -> Option<Performed> {
    for (id, hash) in std::mem::take(&mut started.built_on) {
        match data(engine, lane.id, hash).await {
            Ok(value) => {
                let dependencies = &mut started.assignment.dependencies;
                dependencies.insert(id.as_str().to_owned(), value);
            }
            Err(error) => {
                let message = format!("what `{id}` gave cannot be read: {error}");
                return Some(failed(ErrorClass::Transient, message));
            }
        }
    }
    None
}

/// Performs, keeping on the way what is worth it; nothing where nobody wants the report any more.
async fn performed(
    engine: &Engine,
    lane: &Arc<Lane>,
    started: Started,
    forced: &CancellationToken,
) -> Option<Performed> {
    let Started {
        fence,
        timeout,
        assignment,
        ..
    } = started;
    let (agent, sent) = (assignment.agent.id.clone(), assignment.around.is_some());
    let kept = assignment.kept.clone();
    let work = Caught::new(engine, assignment);
    let keeping = handing::keep_so_far(engine, lane, &fence, &kept);
    tokio::select! {
        performed = work => Some(performed).filter(|performed| *performed != Performed::Parked),
        () = keeping => None,
        () = engine.clock.sleep(timeout) => {
            if sent {
                request::timed_out(engine, &agent, timeout);
            }
            Some(failed(ErrorClass::Timeout, format!("no answer within {} ms", timeout.0)))
        }
        // It was asked to stop and did not: what it has is handed in, and the step returns to the queue.
        () = engine.leaving.cancelled() => Some(Performed::Cancelled),
        () = forced.cancelled() => None,
    }
}

/// The performer's work, in which a panic ends the attempt and nothing else. The call too is made in there.
struct Caught(Result<Performing, Option<Performed>>);

impl Caught {
    fn new(engine: &Engine, assignment: Assignment) -> Self {
        let call = || engine.performer.perform(engine, assignment);
        Self(catch_unwind(AssertUnwindSafe(call)).map_err(|panic| Some(broke_down(panic))))
    }
}

impl Future for Caught {
    type Output = Performed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Performed> {
        let work = match &mut self.0 {
            Ok(work) => work,
            Err(failed) => {
                return failed.take().map_or(Poll::Pending, Poll::Ready);
            }
        };
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(broke_down(panic)))
    }
}

fn broke_down(panic: Box<dyn Any + Send>) -> Performed {
    failed(ErrorClass::Fatal, perform::said(&*panic))
}

pub(crate) fn failed(class: ErrorClass, message: String) -> Performed {
    Performed::Failed {
        class,
        message,
        retry_after: None,
    }
}
