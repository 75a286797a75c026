//! Claims: finding steps that may be performed here. The claim itself is decided behind the door.

use std::collections::BTreeSet;

use domain::orchestration::command::Command;
use domain::values::ids::OrchestrationId;
use store::error::StoreError;
use tokio::task::JoinSet;
use tracing::error;

use crate::error::TransitionError;
use crate::handle::{Engine, Scope};
use crate::transition::transition;

/// Due steps asked for at first; more while those that were found leave room.
const BATCH: i64 = 256;

/// Due steps asked for at last.
const BATCH_MAX: i64 = 65_536;

/// Lets those claim that were left lying for lack of room, as long as there is some. No query.
pub async fn claim_left(engine: &Engine) {
    while engine.has_room() {
        let left = engine
            .work
            .take_left(engine.slots.available_permits().max(1));
        if left.is_empty() {
            return;
        }
        tick_all(engine, &left).await;
    }
}

/// One pass: lets every orchestration with due steps claim what there is room for, those that have waited longest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn claim(engine: &Engine) -> Result<(), StoreError> {
    let mut visited = BTreeSet::new();
    let mut limit = BATCH;
    while engine.has_room() {
        let (ids, all) = match engine.scope() {
            Scope::Nothing => return Ok(()),
            Scope::Only(ids) => (ids, true),
            Scope::Everything => {
                let due = engine.store.due_steps(engine.clock.now().0, limit).await?;
                let all = i64::try_from(due.len()).unwrap_or(i64::MAX) < limit;
                let id = |key: &[u8; 16]| OrchestrationId(uuid::Uuid::from_bytes(*key));
                (due.iter().map(|due| id(&due.orchestration)).collect(), all)
            }
        };
        let new: Vec<_> = ids.into_iter().filter(|id| visited.insert(*id)).collect();
        visit(engine, &new).await;
        if all || limit >= BATCH_MAX {
            break;
        }
        // What was found cannot start (it may wait for equal work in flight): look behind it.
        limit *= 4;
    }
    Ok(())
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
