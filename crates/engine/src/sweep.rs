//! The sweep: finds what time has done, here and to others.

use std::collections::BTreeMap;

use domain::orchestration::command::Command;
use domain::values::ids::OrchestrationId;
use store::error::StoreError;
use tracing::{debug, info};

use crate::error::TransitionError;
use crate::handle::Engine;
use crate::lease;
use crate::transition::{load, transition};

/// Most of each kind in one pass: a bound on how long the pass keeps the database busy.
const BATCH: i64 = 256;

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts of lapsed holders that were expired.
    pub expired: usize,
    /// Orchestrations whose time had come.
    pub woken: usize,
}

/// One pass. 1. Close the rows of replicas known to be dead. 2. Expire the attempts of lapsed holders. 3. Let time act on
/// the orchestrations whose deadline has come. Bounded: [`BATCH`] of each.
///
/// # Errors
/// When the database fails; the next pass goes on.
pub async fn sweep(engine: &Engine) -> Result<Swept, TransitionError> {
    let mut swept = Swept::default();
    lease::bury_dead(engine).await?;
    let now = engine.clock.now();
    let lapsed = engine.store.held_by_lapsed(now.0, BATCH).await?;
    if !lapsed.is_empty() {
        let until: BTreeMap<_, _> = engine
            .store
            .holders()
            .await?
            .into_iter()
            .map(|row| (row.id, (row.epoch, row.until)))
            .collect();
        for key in lapsed {
            let id = OrchestrationId(uuid::Uuid::from_bytes(key.orchestration));
            swept.expired += usize::from(
                expire(engine, id, usize::try_from(key.step).unwrap_or(0), &until).await?,
            );
        }
    }
    for id in engine.store.waking(engine.clock.now().0, BATCH).await? {
        let id = OrchestrationId(uuid::Uuid::from_bytes(id));
        forgive(
            transition(engine, id, Command::Tick, Vec::new())
                .await
                .map(|_| ()),
        )?;
        swept.woken += 1;
    }
    Ok(swept)
}

/// Expires the attempt at a step if its holder has really lapsed: between the look and the command it may have reported,
/// and another may hold the step now. The attempt's number is the fence.
async fn expire(
    engine: &Engine,
    id: OrchestrationId,
    index: usize,
    until: &BTreeMap<[u8; 16], (i64, i64)>,
) -> Result<bool, TransitionError> {
    let state = load(engine, id).await?.state;
    let Some((step, holder)) = state
        .steps
        .get(index)
        .and_then(|step| Some((step, step.holder?)))
    else {
        return Ok(false);
    };
    let now = engine.clock.now().0;
    let stands = until
        .get(holder.id.0.as_bytes())
        .is_some_and(|(epoch, until)| {
            u64::try_from(*epoch).unwrap_or(0) == holder.epoch && *until > now
        });
    if stands {
        return Ok(false);
    }
    let name = state.graph.rules(index).id.clone();
    info!(orchestration.id = %id, step.id = %name, attempt = step.attempt, "The holder of {name} has lapsed");
    let command = Command::Expire {
        step: name,
        attempt: step.attempt,
    };
    forgive(
        transition(engine, id, command, Vec::new())
            .await
            .map(|_| ()),
    )?;
    Ok(true)
}

/// A command that no longer fits was overtaken by what it was meant to bring about.
fn forgive(answer: Result<(), TransitionError>) -> Result<(), StoreError> {
    match answer {
        Ok(()) => Ok(()),
        Err(TransitionError::Store(error)) => Err(error),
        Err(other) => {
            debug!("The sweep came too late: {other}");
            Ok(())
        }
    }
}
