//! Proving a database: every log, folded, gives the state that the rows hold.

use std::collections::{BTreeMap, BTreeSet};

use domain::orchestration::decide;
use domain::orchestration::event::Recorded;
use domain::orchestration::evolve::fold;
use domain::orchestration::state::{Orchestration, StepState};
use domain::values::ids::OrchestrationId;
use store::error::StoreError;
use store::rows::{OrchestrationRow, StepRow};

use crate::artifact::stored_events;
use crate::error::TransitionError;
use crate::handle::Engine;
use crate::project;
use crate::reconcile;
use crate::transition::load;

/// Orchestrations fetched at one time.
const PAGE: i64 = 200;

/// How often counters are counted before one that is never what it should be is a finding: attempts begin and end meanwhile.
const COUNTS: usize = 4;

/// What a check has looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Orchestrations looked at.
    pub orchestrations: usize,
    /// Events folded.
    pub events: usize,
    /// What is wrong, each naming its place.
    pub problems: Vec<String>,
}

/// Checks the whole database: 1. the store's own promises (hash chains, cursors, feeds, blob references and contents,
/// counters, the ledger). 2. Every log folded against its snapshot, and against what its account was charged. 3. What attempts
/// in flight hold, of counters and of credits, counted anew.
///
/// # Errors
/// When the database fails. What is wrong with its contents is not an error but found.
pub async fn check(engine: &Engine) -> Result<Checked, StoreError> {
    let mut checked = Checked::default();
    checked.problems.extend(
        engine
            .store
            .check()
            .await?
            .into_iter()
            .map(|problem| problem.to_string()),
    );
    let mut after = None;
    loop {
        let rows = engine.store.orchestrations_after(after, PAGE).await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = Some(last.id);
        for row in rows {
            let id = OrchestrationId(uuid::Uuid::from_bytes(row.id));
            checked.orchestrations += 1;
            match refold(engine, id).await {
                Ok((events, problems)) => {
                    checked.events += events;
                    let problems = problems.into_iter();
                    let named = problems.map(|problem| format!("orchestration {id}: {problem}"));
                    checked.problems.extend(named);
                }
                Err(TransitionError::Store(error)) => return Err(error),
                Err(error) => checked.problems.push(error.to_string()),
            }
        }
    }
    checked.problems.extend(miscounted(engine).await?);
    checked.problems.extend(reconcile::holds(engine).await?);
    Ok(checked)
}

/// Counters of equal work in flight that do not hold what the steps say: who waits for work that nobody does would wait for ever.
/// No column names them, so that the store cannot count them.
async fn miscounted(engine: &Engine) -> Result<Vec<String>, StoreError> {
    let mut wrong: Option<BTreeMap<String, (i64, i64)>> = None;
    for _ in 0..COUNTS {
        let counted = count(engine).await?;
        let held = engine.store.all_counters().await?;
        let keys: BTreeSet<&String> = counted.keys().chain(held.keys()).collect();
        let differing = keys.into_iter().filter_map(|key| {
            let of = |counts: &BTreeMap<String, i64>| counts.get(key).copied().unwrap_or(0);
            let (counted, held) = (of(&counted), of(&held));
            let ours = key.starts_with(decide::FLIGHT);
            (ours && counted != held).then(|| (key.clone(), (counted, held)))
        });
        let differing: BTreeMap<_, _> = differing
            .filter(|(key, _)| wrong.as_ref().is_none_or(|wrong| wrong.contains_key(key)))
            .collect();
        if differing.is_empty() {
            return Ok(Vec::new());
        }
        wrong = Some(differing);
    }
    let told = wrong.into_iter().flatten().map(|(key, (counted, held))| {
        format!("counter {key}: holds {held}, but {counted} attempts in flight name it")
    });
    Ok(told.collect())
}

/// What the steps in flight say that counters hold.
async fn count(engine: &Engine) -> Result<BTreeMap<String, i64>, StoreError> {
    let (mut counted, mut after) = (BTreeMap::new(), None);
    loop {
        let rows = engine.store.orchestrations_after(after, PAGE).await?;
        let Some(last) = rows.last() else {
            return Ok(counted);
        };
        after = Some(last.id);
        for row in rows.iter().filter(|row| row.running > 0) {
            let id = OrchestrationId(uuid::Uuid::from_bytes(row.id));
            match load(engine, id).await {
                Ok(loaded) => add_in_flight(&loaded.state, &mut counted),
                Err(TransitionError::Store(error)) => return Err(error),
                // What cannot be read was told when its log was folded, or it is gone.
                Err(_) => {}
            }
        }
    }
}

fn add_in_flight(state: &Orchestration, counted: &mut BTreeMap<String, i64>) {
    for (index, step) in state.steps.iter().enumerate() {
        let Some(input) = step.input.filter(|_| step.state == StepState::Running) else {
            continue;
        };
        for (key, _) in decide::counters(state, index, input) {
            *counted.entry(key).or_default() += 1;
        }
    }
}

/// How many events there are, in what the folded log differs from the rows, and in what from what was charged.
async fn refold(
    engine: &Engine,
    id: OrchestrationId,
) -> Result<(usize, Vec<String>), TransitionError> {
    // Loaded before and after: an orchestration that moves on meanwhile is looked at again.
    loop {
        let before = load(engine, id).await?;
        let mut log: Vec<Recorded> = Vec::new();
        loop {
            let page = stored_events(engine, id, log.last().map_or(0, |last| last.seq)).await?;
            if page.is_empty() {
                break;
            }
            log.extend(page);
        }
        let row = engine.store.orchestration(*id.0.as_bytes()).await?;
        let steps = engine.store.steps(*id.0.as_bytes()).await?;
        let charged = engine.store.credits_of(*id.0.as_bytes()).await?;
        if load(engine, id).await?.version != before.version {
            continue;
        }
        let folded = fold(&log);
        let differs = [
            (folded.head != before.state.head, "the head"),
            (folded.steps != before.state.steps, "the steps"),
            (folded.tally != before.state.tally, "the counts"),
        ];
        let differing: Vec<_> = differs
            .iter()
            .filter(|(differs, _)| *differs)
            .map(|(_, what)| *what)
            .collect();
        let problem = (!differing.is_empty()).then(|| {
            format!(
                "{} of the folded log and of the rows differ",
                differing.join(", ")
            )
        });
        let problem = problem.or_else(|| columns(id, &folded, row.as_ref(), &steps));
        let unbooked = reconcile::charges(&folded, &log, &charged);
        return Ok((log.len(), problem.into_iter().chain(unbooked).collect()));
    }
}

/// The first column that is not what the folded log says. Claims and sweeps look at columns alone: a step with a wrong one might
/// wait for ever.
fn columns(
    id: OrchestrationId,
    folded: &Orchestration,
    row: Option<&OrchestrationRow>,
    steps: &[StepRow],
) -> Option<String> {
    let (head, row) = (folded.head.as_ref()?, row?);
    let expected = project::orchestration_row(id, folded, head, row.chain, row.updated_at).ok()?;
    let differs = [
        (expected.account != row.account, "account"),
        (expected.plan_hash != row.plan_hash, "plan_hash"),
        (
            expected.submission_key != row.submission_key,
            "submission_key",
        ),
        (expected.pinned_hash != row.pinned_hash, "pinned_hash"),
        (expected.status != row.status, "status"),
        (expected.claimable != row.claimable, "claimable"),
        (
            expected.artifact_version != row.artifact_version,
            "artifact_version",
        ),
        (expected.wake_at != row.wake_at, "wake_at"),
        (expected.ended_at != row.ended_at, "ended_at"),
    ];
    if let Some((_, column)) = differs.iter().find(|(differs, _)| *differs) {
        return Some(format!("the column {column} is not what the log says"));
    }
    steps.iter().find_map(|row| {
        let index = usize::try_from(row.step).ok()?;
        let expected = project::step_row(folded, index).ok()?;
        let differs = [
            (expected.id != row.id, "id"),
            (expected.agent != row.agent, "agent"),
            (expected.state != row.state, "state"),
            (expected.due_at != row.due_at, "due_at"),
            (expected.wake_at != row.wake_at, "wake_at"),
            (expected.exclusive != row.exclusive, "exclusive"),
            (
                expected.concurrency_key != row.concurrency_key,
                "concurrency_key",
            ),
            (
                expected.concurrency_max != row.concurrency_max,
                "concurrency_max",
            ),
            (expected.holder != row.holder, "holder"),
            (expected.epoch != row.epoch, "epoch"),
            (expected.attempt != row.attempt, "attempt"),
        ];
        let (_, column) = differs.iter().find(|(differs, _)| *differs)?;
        Some(format!(
            "the column {column} of `{}` is not what the log says",
            expected.id
        ))
    })
}
