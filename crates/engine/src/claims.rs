//! Claims: finding steps that may be performed here. The claim itself is decided behind the door.

use std::collections::BTreeSet;

use domain::orchestration::command::Command;
use domain::values::ids::{AccountId, OrchestrationId};
use store::error::StoreError;
use store::steps::{DueStep, Without};
use tokio::task::JoinSet;
use tracing::error;

use crate::error::TransitionError;
use crate::handle::{Engine, Scope};
use crate::shortages;
use crate::transition::transition;

/// Due steps asked for at first; more while those that were found leave room.
const BATCH: i64 = 256;

/// Due steps asked for at last.
const BATCH_MAX: i64 = 65_536;

/// Pages asked for at most in one look at what is due: each after the first leaves out the accounts that have one.
const PAGES: usize = 16;

/// Lets those claim that were left lying for lack of room, as long as there is some: first those whose turn it is at a provider.
/// No query. Answers how many orchestrations were looked at.
pub async fn claim_left(engine: &Engine) -> usize {
    let mut looked_at = 0;
    for whose in engine.lines.all() {
        looked_at += claim_in_turn(engine, &whose).await;
    }
    while engine.has_room() {
        let left = engine
            .work
            .take_left(engine.slots.available_permits().max(1));
        if left.is_empty() {
            break;
        }
        looked_at += left.len();
        let ids: Vec<_> = left.iter().map(|(_, id)| *id).collect();
        tick_all(engine, &ids).await;
        engine.work.looked_at(&left);
    }
    looked_at
}

/// Lets those claim that stand in line at a provider's limit, by their accounts' turns, until it lets in no more. One at first,
/// since that is what there mostly is room for, and more while it does.
async fn claim_in_turn(engine: &Engine, whose: &str) -> usize {
    let mut looked_at = 0;
    let mut most = 1;
    while engine.has_room() && !engine.throttles.is_shut(whose, engine.clock.now()) {
        let next = engine.lines.next(whose, most);
        if next.is_empty() {
            break;
        }
        looked_at += next.len();
        let ids: Vec<_> = next.iter().map(|(_, id)| *id).collect();
        tick_all(engine, &ids).await;
        if !engine.lines.looked_at(whose, &next) {
            break;
        }
        most = (2 * most).min(engine.slots.available_permits().max(1));
    }
    looked_at
}

/// One pass: lets every orchestration with due steps claim what there is room for: account by account, and within one those
/// that have waited longest first. Answers how many orchestrations were looked at.
///
/// # Errors
/// When the database cannot be asked.
pub async fn claim(engine: &Engine) -> Result<usize, StoreError> {
    match engine.scope() {
        Scope::Nothing => return Ok(0),
        Scope::Only(ids) => {
            shortages::look_again(engine).await?;
            visit(engine, &ids).await;
            return Ok(ids.len());
        }
        Scope::Everything => {}
    }
    if !engine.has_room() {
        note_accounts(engine).await?;
        return Ok(0);
    }
    let mut looked_at = 0;
    let mut visited = BTreeSet::new();
    let mut limit = BATCH;
    while engine.has_room() {
        let (due, all) = due_steps(engine, limit).await?;
        for step in due {
            let id = OrchestrationId(uuid::Uuid::from_bytes(step.orchestration));
            let Ok(account) = AccountId::new(&step.account) else {
                continue;
            };
            if visited.insert(id) {
                engine.work.leave(id, &account);
            }
        }
        looked_at += claim_left(engine).await;
        if all || limit >= BATCH_MAX {
            break;
        }
        // What was found cannot start (it may wait for equal work in flight): look behind it.
        limit *= 4;
    }
    Ok(looked_at)
}

/// Notes one orchestration of each account that has due steps: so that it has its turn when a place is free, although those
/// that have all of them would take it again.
async fn note_accounts(engine: &Engine) -> Result<(), StoreError> {
    if !engine.is_time_to_note() {
        return Ok(());
    }
    let (due, _) = due_steps(engine, BATCH).await?;
    let mut noted = BTreeSet::new();
    for step in due {
        if let Ok(account) = AccountId::new(&step.account)
            && noted.insert(account.clone())
        {
            let id = OrchestrationId(uuid::Uuid::from_bytes(step.orchestration));
            engine.work.leave(id, &account);
        }
    }
    Ok(())
}

/// Due steps, some of each account; and whether these are all.
async fn due_steps(engine: &Engine, limit: i64) -> Result<(Vec<DueStep>, bool), StoreError> {
    shortages::look_again(engine).await?;
    let now = engine.clock.now();
    let (agents_of, parked_of) = engine.shortages.pairs(now);
    let mut without = Without {
        agents_of,
        parked_of,
        agents: engine
            .throttles
            .closed(now)
            .into_keys()
            .map(|agent| agent.to_string())
            .collect(),
        accounts: BTreeSet::new(),
    };
    let mut due = Vec::new();
    for page in 0..PAGES {
        let found = engine.store.due_steps(now.0, limit, &without).await?;
        let full = i64::try_from(found.len()).is_ok_and(|found| found >= limit);
        let accounts = found.iter().map(|step| step.account.clone());
        without.accounts.extend(accounts);
        due.extend(found);
        if !full {
            return Ok((due, page == 0));
        }
    }
    Ok((due, false))
}

/// Lets time act on these orchestrations and claim what fits, as many at once as there is room for. One that cannot be
/// read keeps nobody else waiting.
async fn visit(engine: &Engine, ids: &[OrchestrationId]) {
    let mut left = ids;
    while !left.is_empty() {
        if !engine.has_room() {
            return;
        }
        let room = engine.slots.available_permits().min(left.len());
        let (now, later) = left.split_at(room.max(1));
        tick_all(engine, now).await;
        left = later;
    }
}

/// A tick asks for nothing but to look at the time; behind the door, what is due and fits is claimed. All at once, so that
/// their commits share transactions. Answers how many were carried out.
pub async fn tick_all(engine: &Engine, ids: &[OrchestrationId]) -> usize {
    let mut ticks = JoinSet::new();
    for &id in ids {
        let engine = engine.clone();
        ticks.spawn(async move {
            match transition(&engine, id, Command::Tick, Vec::new()).await {
                Err(error @ (TransitionError::Store(_) | TransitionError::Corrupt { .. })) => {
                    error!(orchestration.id = %id, "An orchestration is passed over: {error}");
                    false
                }
                answer => answer.is_ok(),
            }
        });
    }
    ticks
        .join_all()
        .await
        .into_iter()
        .filter(|done| *done)
        .count()
}
