//! What came out: the plan artifact of an orchestration, and its events as they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::orchestration::event::Recorded;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::Orchestration;
use domain::orchestration::submission::Pinned;
use domain::values::ids::OrchestrationId;
use serde_json::Value;

use crate::error::TransitionError;
use crate::gather::{data, pinned};
use crate::handle::Engine;
use crate::plans::LoadedPlan;
use crate::project;
use crate::transition::load;

/// Most events fetched at one time.
const PAGE: i64 = 500;

/// An orchestration with everything that belongs to it.
pub struct EnrichedPlan {
    /// Its state.
    pub state: Orchestration,
    /// Its plan.
    pub plan: Arc<LoadedPlan>,
    /// Its pinned definitions.
    pub pinned: Arc<Pinned>,
    /// What the steps gave, by place; not what children gave their parents.
    pub data: BTreeMap<StepIndex, Value>,
}

/// Loads an orchestration with its plan and enrichments.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn enriched_plan(
    engine: &Engine,
    id: OrchestrationId,
) -> Result<EnrichedPlan, TransitionError> {
    let mut hot = load(engine, id).await?;
    if hot.state.head.is_none() {
        return Err(TransitionError::Unknown(id));
    }
    let pinned = pinned(engine, &mut hot).await?;
    collect(engine, id, hot.state, pinned).await
}

async fn collect(
    engine: &Engine,
    id: OrchestrationId,
    state: Orchestration,
    pinned: Arc<Pinned>,
) -> Result<EnrichedPlan, TransitionError> {
    let head = state.head.as_ref().ok_or(TransitionError::Unknown(id))?;
    let plan = engine
        .plans
        .load(&engine.store, &head.account, head.plan)
        .await?;
    let mut given = BTreeMap::new();
    for (index, step) in state.steps.iter().enumerate() {
        if let Some(enrichment) = step.enrichment.as_ref().filter(|_| step.child.is_none()) {
            given.insert(index, data(engine, id, enrichment.data).await?);
        }
    }
    Ok(EnrichedPlan {
        state,
        plan,
        pinned,
        data: given,
    })
}

/// The events after `after`, as stored: those there are, or the next ones to come.
///
/// # Errors
/// When the database fails, or an event cannot be read.
pub async fn next_events(
    engine: &Engine,
    id: OrchestrationId,
    after: u64,
) -> Result<Vec<Recorded>, TransitionError> {
    loop {
        let mut news = engine.live.listen_to(id);
        let stored = stored_events(engine, id, after).await?;
        if !stored.is_empty() {
            return Ok(stored);
        }
        if let Some(trouble) = engine.trouble() {
            return Err(trouble.into());
        }
        news.woken().await;
    }
}

/// The stored events after `after`, at most a page.
///
/// # Errors
/// When the database fails, or an event cannot be read.
pub async fn stored_events(
    engine: &Engine,
    id: OrchestrationId,
    after: u64,
) -> Result<Vec<Recorded>, TransitionError> {
    let rows = engine
        .store
        .events(
            *id.0.as_bytes(),
            i64::try_from(after).unwrap_or(i64::MAX),
            PAGE,
        )
        .await?;
    let corrupt = |error: serde_json::Error| TransitionError::Corrupt {
        id,
        reason: format!("an event: {error}"),
    };
    rows.iter()
        .map(|row| project::recorded(row).map_err(corrupt))
        .collect()
}
