//! The one door: the only place where an orchestration changes. Gather, decide, commit, announce.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::orchestration::command::{Command, Facts, Rejected};
use domain::orchestration::decide::decide;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::evolve::evolve;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::needs::needs;
use domain::orchestration::standing::Standing;
use domain::orchestration::state::{Head, Orchestration, Step, StepState};
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::write::{CommitError, NewBlob};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::warn;

use crate::attempt::{self, Started};
use crate::error::TransitionError;
use crate::gather::{Pending, gather};
use crate::handle::Engine;
use crate::lane::{Asked, Hot, Lane, Outcome, Pushed};
use crate::project::{self, Change, row_set};

/// How often one batch is decided anew because others were faster or a counter was full.
const ROUNDS_MAX: usize = 32;

/// Passes `command` through the door; `blobs` are bytes that its events will name.
///
/// # Errors
/// Why it was not carried out; nothing of it is stored then.
pub async fn transition(
    engine: &Engine,
    id: OrchestrationId,
    command: Command,
    blobs: Vec<NewBlob>,
) -> Result<Outcome, TransitionError> {
    let (reply, answer) = oneshot::channel();
    let mut asked = Asked {
        command,
        blobs,
        reply,
    };
    loop {
        let lane = engine.lane(id);
        match lane.push(asked) {
            Pushed::Waits => break,
            Pushed::Drives => {
                // Spawned, so that a caller who goes away does not leave the others waiting.
                engine.spawned.spawn(drive(engine.clone(), lane));
                break;
            }
            Pushed::Gone(back) => {
                engine.forget(&lane);
                asked = *back;
            }
        }
    }
    answer.await.unwrap_or(Err(TransitionError::Stopping))
}

/// Carries out what waits in the lane until nothing does.
async fn drive(engine: Engine, lane: Arc<Lane>) {
    let mut driving = Driving {
        lane: &lane,
        done: false,
    };
    loop {
        let asked = lane.take(engine.is_crowded());
        if asked.is_empty() {
            break;
        }
        carry_out(&engine, &lane, asked).await;
    }
    driving.done = true;
    if lane.is_gone() {
        engine.forget(&lane);
    }
}

/// Whoever drives a lane and breaks down must not leave it without a driver for ever.
struct Driving<'a> {
    lane: &'a Lane,
    done: bool,
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.lane.abandon();
        }
    }
}

/// One commit in the making.
#[derive(Default)]
struct Draft {
    before: BTreeMap<StepIndex, Step>,
    head_before: Option<Head>,
    events: Vec<Recorded>,
    answers: Vec<Result<(), TransitionError>>,
    /// Claimed, with the attempt's number and the room that it takes.
    started: Vec<(StepIndex, u32, OwnedSemaphorePermit)>,
}

/// Decides all that was asked, one after another, and commits it as one row set.
async fn carry_out(engine: &Engine, lane: &Arc<Lane>, asked: Vec<Asked>) {
    let mut slot = lane.hot.lock().await;
    let mut full = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        if lane.take_stale() {
            *slot = None;
        }
        let mut hot = match slot.take() {
            Some(hot) => hot,
            None => match load(engine, lane.id).await {
                Ok(hot) => hot,
                Err(error) => return refuse_all(asked, &error),
            },
        };
        if hot.version.is_none()
            && !asked
                .iter()
                .any(|asked| matches!(asked.command, Command::Create(_)))
        {
            // It may have been there, and others have ended and deleted it.
            lane.drop_attempts();
            lane.set_spent(true);
            return refuse_all(asked, &TransitionError::Unknown(lane.id));
        }
        let mut draft = Draft {
            head_before: hot.state.head.clone(),
            ..Draft::default()
        };
        if let Err(error) = decide_all(engine, lane.id, &mut hot, &asked, &mut draft, &full).await {
            return refuse_all(asked, &error.into());
        }
        match commit(engine, lane, &mut hot, &asked, &draft).await {
            Ok(()) => {
                settle(engine, lane, &mut hot, asked, draft).await;
                let ended = hot.state.status().ended();
                lane.set_spent(ended);
                if !full.is_empty() {
                    // Room may have been made since the store found none: whoever claims looks again.
                    engine.work.look();
                }
                if ended {
                    engine.let_go(lane.id);
                } else {
                    *slot = Some(hot);
                }
                return;
            }
            Err(CommitError::CounterFull { key, held }) => {
                full.insert(key, held);
                if hot.version.is_some() {
                    draft.undo(&mut hot);
                    *slot = Some(hot);
                }
            }
            Err(CommitError::Duplicate { existing }) => {
                lane.set_spent(true);
                return refuse_all(
                    asked,
                    &TransitionError::Duplicate(OrchestrationId(uuid::Uuid::from_bytes(existing))),
                );
            }
            Err(CommitError::Store(error)) => return refuse_all(asked, &error.into()),
            // Loaded anew: what was stored shows whether it was this commit.
            Err(CommitError::Overtaken | CommitError::BlobMissing { .. }) => {}
            Err(CommitError::Unknown(_)) => match is_stored(engine, lane.id, &draft).await {
                Ok(true) => return answer_all(engine, lane, asked, draft).await,
                Ok(false) => {}
                Err(error) => return refuse_all(asked, &error.into()),
            },
        }
    }
    refuse_all(asked, &TransitionError::Overtaken(lane.id));
}

/// The state as the rows hold it; an empty one when there is no row.
///
/// # Errors
/// When the database fails or the rows contradict each other.
pub async fn load(engine: &Engine, id: OrchestrationId) -> Result<Hot, TransitionError> {
    let key = *id.0.as_bytes();
    let Some(row) = engine.store.orchestration(key).await? else {
        return Ok(Hot {
            state: Orchestration::default(),
            version: None,
            chain: [0; 32],
            pinned: None,
        });
    };
    let steps = engine.store.steps(key).await?;
    let first = engine.store.events(key, 0, 1).await?.pop();
    let first = first.ok_or_else(|| TransitionError::Corrupt {
        id,
        reason: "it has no event".to_owned(),
    })?;
    let state = project::assemble(&row, &steps, &first)?;
    Ok(Hot {
        state,
        version: Some(row.version),
        chain: row.chain,
        pinned: None,
    })
}

async fn decide_all(
    engine: &Engine,
    id: OrchestrationId,
    hot: &mut Hot,
    asked: &[Asked],
    draft: &mut Draft,
    full: &BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    let world = World {
        engine,
        asked,
        full,
    };
    for Asked { command, .. } in asked {
        let answer = draft.carry(&world, hot, command).await?;
        draft.answers.push(answer.map_err(TransitionError::from));
        draft.open_gates(&world, hot).await;
    }
    if engine.performs(id) && !engine.stopping.is_cancelled() {
        draft.claim(&world, hot).await;
    }
    Ok(())
}

/// What decisions are made with, beside the state.
struct World<'a> {
    engine: &'a Engine,
    asked: &'a [Asked],
    full: &'a BTreeMap<String, i64>,
}

impl Draft {
    /// Decides one command and folds what it makes happen.
    async fn carry(
        &mut self,
        world: &World<'_>,
        hot: &mut Hot,
        command: &Command,
    ) -> Result<Result<(), Rejected>, StoreError> {
        let needs = needs(&hot.state, command);
        let pending = Pending {
            before: &self.before,
            full: world.full,
            asked: world.asked,
        };
        let facts = gather(world.engine, hot, &needs, &pending).await?;
        Ok(self.decide(hot, command, &facts))
    }

    fn decide(&mut self, hot: &mut Hot, command: &Command, facts: &Facts) -> Result<(), Rejected> {
        for event in decide(&hot.state, command, facts)? {
            self.record(&mut hot.state, event, facts.now);
        }
        Ok(())
    }

    /// Gates become due by what has just happened; their verdicts belong into the same commit. Where the database fails
    /// them they stay due, and the sweep comes back to them: what was reported must not be lost for it.
    async fn open_gates(&mut self, world: &World<'_>, hot: &mut Hot) {
        while !hot.state.tally.gates_due.is_empty() && !hot.state.status().ended() {
            match self.carry(world, hot, &Command::OpenGates).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => break,
                Err(error) => {
                    warn!("A gate could not be evaluated and will be tried again: {error}");
                    break;
                }
            }
        }
    }

    /// Claims what may start while there is room. Taking over an equal enrichment can make more steps ready: look again.
    /// A step that cannot be looked at keeps nobody else waiting.
    async fn claim(&mut self, world: &World<'_>, hot: &mut Hot) {
        let engine = world.engine;
        let Some(holder) = engine.holder() else {
            return;
        };
        let mut tried = std::collections::BTreeSet::new();
        loop {
            let now = engine.clock.now();
            let next = hot.state.tally.ready.iter().copied().find(|index| {
                !tried.contains(index) && hot.state.standing(*index, now) == Standing::Claimable
            });
            let Some(index) = next else { return };
            let Some(permit) = engine.take_slot() else {
                return;
            };
            tried.insert(index);
            let step = hot.state.graph.rules(index).id.clone();
            let start = Command::Start { step, holder };
            let mut answer = self.carry(world, hot, &start).await;
            if let Ok(Err(Rejected::NotStartable { .. })) = answer {
                // Left lying, then looked at once more: room that was made in between would not be told.
                engine.work.finds_full();
                answer = self.carry(world, hot, &start).await;
            }
            match answer {
                Ok(Ok(())) => {
                    let step = &hot.state.steps[index];
                    if step.holder.is_some() {
                        self.started.push((index, step.attempt, permit));
                    }
                    self.open_gates(world, hot).await;
                }
                Ok(Err(_)) => {}
                Err(error) => {
                    let step = &hot.state.graph.rules(index).id;
                    warn!(step.id = %step, "Whether {step} may start cannot be told and will be looked at again: {error}");
                }
            }
        }
    }

    /// Folds one event, keeping what it touches as it stood before.
    fn record(&mut self, state: &mut Orchestration, event: Event, at: Timestamp) {
        let recorded = Recorded {
            seq: state.cursor() + 1,
            at,
            event,
        };
        match recorded.event.step().and_then(|id| state.graph.index(id)) {
            Some(index) => {
                self.touch(state, index);
                if ends_a_step(&recorded.event) {
                    for position in 0..state.graph.dependents(index).len() {
                        self.touch(state, state.graph.dependents(index)[position].step);
                    }
                }
                evolve(state, &recorded);
            }
            None => {
                if matches!(
                    recorded.event,
                    Event::Paused { .. } | Event::Resumed { .. } | Event::CancelRequested { .. }
                ) {
                    (0..state.steps.len()).for_each(|index| self.touch(state, index));
                }
                evolve(state, &recorded);
                if matches!(recorded.event, Event::OrchestrationCreated(_)) {
                    (0..state.steps.len()).for_each(|index| self.touch(state, index));
                }
            }
        }
        self.events.push(recorded);
    }

    fn touch(&mut self, state: &Orchestration, index: StepIndex) {
        self.before
            .entry(index)
            .or_insert_with(|| state.steps[index].clone());
    }

    /// Takes everything back.
    fn undo(self, hot: &mut Hot) {
        for (index, step) in self.before {
            hot.state.steps[index] = step;
        }
        hot.state.head = self.head_before;
        hot.state.tally = hot.state.count();
    }
}

fn ends_a_step(event: &Event) -> bool {
    matches!(
        event,
        Event::StepCompleted { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepGatedOff { .. }
            | Event::StepCancelled { .. }
    )
}

async fn commit(
    engine: &Engine,
    lane: &Lane,
    hot: &mut Hot,
    asked: &[Asked],
    draft: &Draft,
) -> Result<(), CommitError> {
    if draft.events.is_empty() {
        return Ok(());
    }
    let accepted = asked
        .iter()
        .zip(&draft.answers)
        .filter(|(_, answer)| answer.is_ok());
    let change = Change {
        id: lane.id,
        expected_version: hot.version,
        chain: hot.chain,
        state: &hot.state,
        before: &draft.before,
        events: &draft.events,
        blobs: accepted
            .flat_map(|(asked, _)| asked.blobs.iter().cloned())
            .collect(),
    };
    let rows = row_set(change)
        .map_err(|error| StoreError::Refused(format!("a row that is not JSON: {error}")))?;
    let Some(rows) = rows else { return Ok(()) };
    let committed = engine.store.commit(rows).await?;
    hot.version = Some(committed.version);
    hot.chain = committed.chain;
    Ok(())
}

/// After the commit: rings the bell, answers, starts what was claimed, stops what should no longer be performed.
async fn settle(engine: &Engine, lane: &Arc<Lane>, hot: &mut Hot, asked: Vec<Asked>, draft: Draft) {
    lane.set_version(hot.version);
    if !draft.events.is_empty() {
        engine.live.ring();
    }
    let outcome = Outcome {
        cursor: hot.state.cursor(),
        status: hot.state.status(),
    };
    for (asked, answer) in asked.into_iter().zip(draft.answers) {
        // A caller who has gone away does not want the answer.
        let _ = asked.reply.send(answer.map(|()| outcome));
    }
    tell_who_claims(engine, hot, &draft.before);
    attempt::stop_what_should_stop(lane, &hot.state);
    for (index, number, permit) in draft.started {
        let step = &hot.state.steps[index];
        if step.state != StepState::Running || step.attempt != number {
            continue; // what was stored has moved on since
        }
        match Started::of(engine, lane, hot, index, permit).await {
            Ok(started) => attempt::spawn(engine, lane, started),
            Err(error) => attempt::give_up(engine, lane, &hot.state, index, &error),
        }
    }
}

/// Whoever claims looks again where this commit has made room.
fn tell_who_claims(engine: &Engine, hot: &Hot, before: &BTreeMap<StepIndex, Step>) {
    let is_over = |(index, before): (&StepIndex, &Step)| {
        let now = &hot.state.steps[*index];
        before.state == StepState::Running
            && (now.state != StepState::Running || now.attempt != before.attempt)
    };
    let mut over = before.iter().filter(|entry| is_over(*entry)).peekable();
    if over.peek().is_none() {
        // Only room that a claim took and gave back.
        engine.work.room();
    } else if over.any(|(index, _)| hot.state.graph.rules(*index).concurrency.is_some()) {
        // Steps behind a full key are not even found: nobody can have noted that they were left lying.
        engine.work.look();
    } else {
        engine.work.ended();
    }
}

/// Whether the commit whose outcome is unknown is stored: then its last event is.
async fn is_stored(
    engine: &Engine,
    id: OrchestrationId,
    draft: &Draft,
) -> Result<bool, StoreError> {
    let Some(last) = draft.events.last() else {
        return Ok(true);
    };
    let before = i64::try_from(last.seq).unwrap_or(i64::MAX) - 1;
    let stored = engine.store.events(*id.0.as_bytes(), before, 1).await?;
    Ok(stored
        .first()
        .and_then(|row| project::recorded(row).ok())
        .is_some_and(|stored| stored == *last))
}

/// As [`settle`], on the state that is stored.
async fn answer_all(engine: &Engine, lane: &Arc<Lane>, asked: Vec<Asked>, draft: Draft) {
    match load(engine, lane.id).await {
        Ok(mut hot) => settle(engine, lane, &mut hot, asked, draft).await,
        Err(error) => refuse_all(asked, &error),
    }
}

fn refuse_all(asked: Vec<Asked>, error: &TransitionError) {
    for asked in asked {
        let _ = asked.reply.send(Err(error.clone()));
    }
}
