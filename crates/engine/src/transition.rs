//! The one door: the only place where an orchestration changes. Gather, decide, commit, announce.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::orchestration::command::Command;
use domain::orchestration::event::{Created, Event, Recorded};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Step, StepState};
use domain::values::hash::ContentHash;
use domain::values::ids::OrchestrationId;
use store::error::StoreError;
use store::write::{CommitError, NewBlob, NewPlan};
use tokio::sync::oneshot;

use crate::attempt::{self, Started};
use crate::draft::{Draft, Learned, decide_all};
use crate::error::TransitionError;
use crate::follow::Ended;
use crate::gather;
use crate::handle::Engine;
use crate::lane::{Asked, Hot, Lane, Outcome, Pushed};
use crate::project::{self, Change, row_set};
use crate::quota;

/// How often, before a commit, a look round brings more commands for it. Each but the last brought at least one.
const LOOKS_MAX: usize = 64;

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
    ask(engine, id, Passed::new(command, blobs), false).await
}

/// The same for who is not dropped while waiting, as a spawned future of this engine: it carries the command out itself.
///
/// # Errors
/// Why it was not carried out; nothing of it is stored then.
pub(crate) async fn transition_here(
    engine: &Engine,
    id: OrchestrationId,
    command: Command,
    blobs: Vec<NewBlob>,
) -> Result<Outcome, TransitionError> {
    ask(engine, id, Passed::new(command, blobs), true).await
}

/// Begins an orchestration and stores its plan, in one commit.
///
/// # Errors
/// Why it was not begun; nothing of it is stored then.
pub async fn create(
    engine: &Engine,
    id: OrchestrationId,
    created: Created,
    blobs: Vec<NewBlob>,
    plan: NewPlan,
) -> Result<Outcome, TransitionError> {
    let passed = Passed {
        command: Command::Create(Box::new(created)),
        blobs,
        plan: Some(Box::new(plan)),
    };
    ask(engine, id, passed, false).await
}

/// A command with what its events will name.
struct Passed {
    command: Command,
    blobs: Vec<NewBlob>,
    plan: Option<Box<NewPlan>>,
}

impl Passed {
    fn new(command: Command, blobs: Vec<NewBlob>) -> Self {
        Self {
            command,
            blobs,
            plan: None,
        }
    }
}

async fn ask(
    engine: &Engine,
    id: OrchestrationId,
    passed: Passed,
    here: bool,
) -> Result<Outcome, TransitionError> {
    let (reply, answer) = oneshot::channel();
    let Passed {
        command,
        blobs,
        plan,
    } = passed;
    if let Command::Create(created) = &command {
        let pinned = blobs
            .iter()
            .find(|blob| blob.hash == *created.pinned.as_bytes());
        if let Some(blob) = pinned {
            engine.outputs.keep(created.pinned, blob.bytes.clone());
        }
    }
    let mut asked = Asked {
        command,
        blobs,
        plan,
        reply,
    };
    loop {
        let lane = engine.lane(id);
        match lane.push(asked) {
            Pushed::Waits => break,
            Pushed::Drives if here => {
                Box::pin(drive(engine.clone(), lane)).await;
                break;
            }
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
        wait_for_others(&lane).await;
        let asked = lane.take(|| engine.is_crowded());
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

/// While other attempts of the orchestration are in flight, lets them go on for as long as that brings reports: those that
/// come at the same moment share a commit, and its sync. No time is waited: who is not about to report is not waited for.
async fn wait_for_others(lane: &Lane) {
    for _ in 0..LOOKS_MAX {
        let waiting = lane.waiting();
        if waiting == 0 || lane.in_flight().is_empty() {
            return;
        }
        // The first lets all go on that can, and looks at the sockets; the second, those that were woken by that.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        if lane.waiting() == waiting {
            return;
        }
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

/// Decides all that was asked, one after another, and commits it as one row set.
async fn carry_out(engine: &Engine, lane: &Arc<Lane>, asked: Vec<Asked>) {
    let mut slot = lane.hot.lock().await;
    let mut learned = Learned::default();
    for round in 0..ROUNDS_MAX {
        let mut hot = match current(engine, lane, &mut slot, &asked, round == 0).await {
            Ok(hot) => hot,
            Err(error) => return refuse_all(asked, &error),
        };
        let unseen = round == 0 && hot.version.is_none();
        let mut draft = Draft {
            head_before: hot.state.head.clone(),
            ..Draft::default()
        };
        if let Err(error) =
            decide_all(engine, lane.id, &mut hot, &asked, &mut draft, &learned).await
        {
            return refuse_all(asked, &error.into());
        }
        let committed = commit(engine, lane, &mut hot, &asked, &draft).await;
        if committed.is_err() {
            draft.give_back(engine, &hot.state);
        }
        match committed {
            Ok(()) => {
                let ended = hot.state.status().ended();
                // Before the end is told: who begins to wait after that finds the lane spent, and looks at the rows.
                lane.set_spent(ended);
                settle(engine, lane, &mut hot, asked, draft).await;
                if learned.is_something() {
                    // Room may have been made since the store found none: whoever claims looks again.
                    engine.work.look();
                }
                if ended {
                    engine.let_go(lane.id);
                    engine.live.tell_end(lane.id, || Ended::of(lane.id, hot));
                } else {
                    *slot = Some(hot);
                }
                return;
            }
            Err(refused @ (CommitError::CounterFull { .. } | CommitError::Short { .. })) => {
                learned.learn(engine, &hot, refused);
                if hot.version.is_some() {
                    draft.undo(&mut hot);
                    *slot = Some(hot);
                }
            }
            // The orchestration itself was there before its equal, and nobody has looked.
            Err(CommitError::Duplicate { .. }) if unseen => {}
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
            Err(CommitError::Unknown(_)) => {
                match Box::pin(is_stored(engine, lane.id, &draft)).await {
                    Ok(true) => return Box::pin(answer_all(engine, lane, asked, draft)).await,
                    Ok(false) => {}
                    Err(error) => return refuse_all(asked, &error.into()),
                }
            }
        }
    }
    refuse_all(asked, &TransitionError::Overtaken(lane.id));
}

/// The state to decide on: from memory unless others have changed it, else from the rows. Only a creation begins with none:
/// `first` it is not even looked for, since the commit is overtaken where it is there.
async fn current(
    engine: &Engine,
    lane: &Lane,
    slot: &mut Option<Hot>,
    asked: &[Asked],
    first: bool,
) -> Result<Hot, TransitionError> {
    if lane.take_stale() {
        *slot = None;
    }
    let creates = |asked: &Asked| matches!(asked.command, Command::Create(_));
    let hot = match slot.take() {
        Some(hot) => hot,
        None if first && asked.iter().any(creates) => Hot::default(),
        // Rare and large: boxed, so that the future of every command stays small.
        None => Box::pin(load(engine, lane.id)).await?,
    };
    if hot.version.is_none() && !asked.iter().any(creates) {
        // It may have been there, and others have ended and deleted it.
        lane.drop_attempts();
        lane.set_spent(true);
        return Err(TransitionError::Unknown(lane.id));
    }
    Ok(hot)
}

/// The state as the rows hold it; an empty one when there is no row.
///
/// # Errors
/// When the database fails or the rows contradict each other.
pub async fn load(engine: &Engine, id: OrchestrationId) -> Result<Hot, TransitionError> {
    let key = *id.0.as_bytes();
    let Some(row) = engine.store.orchestration(key).await? else {
        return Ok(Hot::default());
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
        ..Hot::default()
    })
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
    let accepted = || {
        let answered = asked.iter().zip(&draft.answers);
        answered.filter_map(|(asked, answer)| answer.is_ok().then_some(asked))
    };
    let pinned_hash = hot.state.head.as_ref().map(|head| head.pinned);
    let is_stored = |blob: &NewBlob| {
        pinned_hash
            .is_some_and(|hash| *hash.as_bytes() == blob.hash && engine.pins.are_stored(hash))
    };
    // Their kinds are written with the enrichments.
    let enriches = |recorded: &Recorded| {
        matches!(
            recorded.event,
            Event::StepCompleted { .. } | Event::OrchestrationCreated(_)
        )
    };
    let pinned = if draft.events.iter().any(enriches) {
        Some(gather::pinned(engine, hot).await?)
    } else {
        None
    };
    let quotas = quota::of_commit(engine, &hot.state, ends_attempts(draft)).await?;
    let change = Change {
        id: lane.id,
        expected_version: hot.version,
        chain: hot.chain,
        state: &hot.state,
        before: &draft.before,
        events: &draft.events,
        lenient: &draft.lenient,
        quotas: &quotas,
        sharing: &engine.sharing,
        pinned: pinned.as_deref(),
        plan: accepted().find_map(|asked| asked.plan.as_deref().cloned()),
        blobs: accepted()
            .flat_map(|asked| asked.blobs.iter())
            .filter(|blob| !is_stored(blob))
            .cloned()
            .collect(),
    };
    let rows = row_set(change)
        .map_err(|error| StoreError::Refused(format!("a row that is not JSON: {error}")))?;
    let Some(rows) = rows else { return Ok(()) };
    let committed = engine.store.commit(rows).await;
    let committed = committed.inspect_err(|error| {
        if let CommitError::BlobMissing { hash } = error {
            engine
                .pins
                .set_stored(ContentHash::from_bytes(*hash), false);
        }
    })?;
    if let (None, Some(hash)) = (hot.version, pinned_hash) {
        engine.pins.set_stored(hash, true);
    }
    hot.version = Some(committed.version);
    hot.first_revision |= committed.first_revision;
    hot.chain = committed.chain;
    Ok(())
}

/// Whether attempts end with it, or are charged: then quotas that count them move.
fn ends_attempts(draft: &Draft) -> bool {
    let mut before = draft.before.values();
    let mut events = draft.events.iter();
    before.any(|step| step.state == StepState::Running)
        || events.any(|recorded| recorded.event.charge().is_some())
}

/// After the commit: rings the bell, answers, starts what was claimed, stops what should no longer be performed.
async fn settle(engine: &Engine, lane: &Arc<Lane>, hot: &mut Hot, asked: Vec<Asked>, draft: Draft) {
    lane.set_version(hot.version);
    if let (false, Some(head)) = (draft.events.is_empty(), &hot.state.head) {
        engine.live.ring(lane.id, &head.account);
    }
    // Before the answers: who is told that its turn is stored knows whether it may ask on.
    attempt::stop_what_should_stop(lane, &hot.state);
    let outcome = Outcome {
        cursor: hot.state.cursor(),
        status: hot.state.status(),
    };
    for (asked, answer) in asked.into_iter().zip(draft.answers) {
        // A caller who has gone away does not want the answer.
        let _ = asked.reply.send(answer.map(|()| outcome));
    }
    tell_who_claims(engine, hot, &draft.before);
    tell_when_due(engine, hot, &draft.before);
    for (index, number, permit) in draft.started {
        let step = &hot.state.steps[index];
        if step.state != StepState::Running || step.attempt != number {
            continue; // what was stored has moved on since
        }
        match Box::pin(Started::of(engine, lane, hot, index, permit)).await {
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
    // Its provider takes another one.
    let asked = before.iter().any(|(&index, before)| {
        let counted = before.model.as_ref().is_some_and(|asks| asks.is_counted());
        counted && hot.state.steps[index].model.is_none()
    });
    if asked {
        engine.provider_may_take_more();
    }
    let mut over = before.iter().filter(|entry| is_over(*entry)).peekable();
    if over.peek().is_none() && !asked {
        // Only room that a claim took and gave back.
        engine.work.room();
    } else if asked || over.any(|(index, _)| hot.state.graph.rules(*index).concurrency.is_some()) {
        // Steps behind a full key are not even found: nobody can have noted that they were left lying.
        engine.work.look();
    } else {
        engine.work.ended();
    }
}

/// Whoever claims looks again when a step's pause is over.
fn tell_when_due(engine: &Engine, hot: &Hot, before: &BTreeMap<StepIndex, Step>) {
    let steps = before.keys().map(|index| &hot.state.steps[*index]);
    let paused = steps.filter(|step| step.state == StepState::Ready && step.attempt > 0);
    if let Some(due) = paused.filter_map(|step| step.due_at).min() {
        engine.work.due(due);
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
