//! The sweep: finds what time has done, here and to others.

use std::collections::BTreeMap;

use domain::orchestration::command::{Command, Holder};
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use store::error::StoreError;
use store::rows::HolderRow;
use tokio::task::JoinSet;
use tracing::{debug, error, info};

use crate::claims::tick_all;
use crate::error::TransitionError;
use crate::handle::Engine;
use crate::transition::{load, transition};

/// Most of each kind in one pass: a bound on how long the pass keeps the database busy.
pub const BATCH: i64 = 256;

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts of lapsed holders that were expired.
    pub expired: usize,
    /// Orchestrations whose time had come.
    pub woken: usize,
}

impl Swept {
    /// Whether the pass came to its bound, and another one has something to do.
    pub fn is_full(&self) -> bool {
        let bound = usize::try_from(BATCH).unwrap_or(usize::MAX);
        self.expired >= bound || self.woken >= bound
    }
}

/// One pass. 1. Close the rows of replicas known to be dead. 2. Now and then, delete what has expired. 3. Expire the
/// attempts of lapsed holders. 4. Let time act on the orchestrations whose deadline has come. Bounded: [`BATCH`] of each. An orchestration that cannot be read keeps
/// nobody else waiting.
///
/// # Errors
/// When the database cannot be asked; the next pass goes on.
pub async fn sweep(engine: &Engine) -> Result<Swept, StoreError> {
    engine.store.close_dead_holders().await?;
    forget_old(engine).await?;
    let expired = expire_lapsed(engine).await?;
    let waking = engine.store.waking(engine.clock.now().0, BATCH).await?;
    let waking: Vec<_> = waking
        .into_iter()
        .map(|id| OrchestrationId(uuid::Uuid::from_bytes(id)))
        .collect();
    Ok(Swept {
        expired,
        woken: tick_all(engine, &waking).await,
    })
}

/// What expires by the hour, day or month, and holds nobody up until it is deleted: a look now and then is enough. Grants whose
/// time is over count for nothing from then on; here what is left of them is booked.
async fn forget_old(engine: &Engine) -> Result<(), StoreError> {
    if engine.is_time_to_forget() {
        let now = engine.clock.now().0;
        engine.store.delete_expired_writes(now).await?;
        engine.store.delete_old_quotas(now).await?;
        engine.store.expire_grants(now, BATCH).await?;
    }
    Ok(())
}

async fn expire_lapsed(engine: &Engine) -> Result<usize, StoreError> {
    let lapsed = engine
        .store
        .held_by_lapsed(engine.clock.now().0, BATCH)
        .await?;
    if lapsed.is_empty() {
        return Ok(0);
    }
    let mut holding = Holding {
        rows: engine.store.holders().await?,
        now: engine.clock.now(),
    };
    // Our own row may be late, after a machine's sleep or behind a slow disk: the next beat tells whether it was lost.
    if let Some(own) = engine.holder() {
        for row in &mut holding.rows {
            if row.id == *own.id.0.as_bytes() {
                row.until = i64::MAX;
            }
        }
    }
    let mut orchestrations: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for key in lapsed {
        let id = OrchestrationId(uuid::Uuid::from_bytes(key.orchestration));
        let steps = orchestrations.entry(id).or_default();
        steps.push(usize::try_from(key.step).unwrap_or(usize::MAX));
    }
    let holding = std::sync::Arc::new(holding);
    let mut expiring = JoinSet::new();
    for (id, steps) in orchestrations {
        let (engine, holding) = (engine.clone(), holding.clone());
        expiring.spawn(async move { expire(&engine, id, &steps, &holding).await });
    }
    Ok(expiring.join_all().await.into_iter().sum())
}

/// Who may hold what.
struct Holding {
    rows: Vec<HolderRow>,
    now: Timestamp,
}

impl Holding {
    fn stands(&self, holder: Holder) -> bool {
        self.rows.iter().any(|row| {
            row.id == *holder.id.0.as_bytes()
                && u64::try_from(row.epoch) == Ok(holder.epoch)
                && row.until > self.now.0
        })
    }
}

/// Expires the attempts at these steps whose holders have really lapsed: between the look and the command they may have
/// reported, and others may hold the steps now. The attempt's number is the fence.
async fn expire(engine: &Engine, id: OrchestrationId, steps: &[usize], holding: &Holding) -> usize {
    let state = match load(engine, id).await {
        Ok(hot) => hot.state,
        Err(error) => {
            error!(orchestration.id = %id, "An orchestration is passed over: {error}");
            return 0;
        }
    };
    let mut commands = JoinSet::new();
    for &index in steps {
        let held = state
            .steps
            .get(index)
            .and_then(|step| Some((step.attempt, step.holder?)));
        let Some((attempt, _)) = held.filter(|(_, holder)| !holding.stands(*holder)) else {
            continue;
        };
        let step = state.graph.rules(index).id.clone();
        info!(orchestration.id = %id, step.id = %step, attempt, "The holder of {step} has lapsed");
        let engine = engine.clone();
        let command = Command::Expire { step, attempt };
        commands.spawn(async move { transition(&engine, id, command, Vec::new()).await });
    }
    let mut expired = 0;
    for answer in commands.join_all().await {
        match answer {
            Ok(_) => expired += 1,
            Err(TransitionError::Store(error)) => {
                error!(orchestration.id = %id, "An attempt could not be expired: {error}");
            }
            // A command that no longer fits was overtaken by what it was meant to bring about.
            Err(other) => debug!("The sweep came too late: {other}"),
        }
    }
    expired
}
