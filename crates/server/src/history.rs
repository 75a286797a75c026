//! How long agents take: the middle of their latest durations, and what follows for an orchestration under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration, Step};
use domain::values::time::Timestamp;
use engine::handle::Engine;
use store::accounts::EnrichmentFilter;
use store::error::StoreError;

/// Durations that are looked at: an odd number has a middle.
const LATEST: i64 = 9;

/// How long a middle is believed, in microseconds.
const BELIEVED: i64 = 30_000_000;

/// Middles remembered at most; beyond that all are forgotten.
const REMEMBERED: usize = 10_000;

/// An account, one of its agents, and what was found when.
type Middles = HashMap<(String, String), (i64, Option<u64>)>;

/// The agents' middles by account; clones share them.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Middles>>);

impl History {
    /// Milliseconds until the orchestration ends: the longest way through its unfinished steps, each with the middle of its
    /// agent's durations. None where an agent has no history.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remaining(
        &self,
        engine: &Engine,
        orchestration: &Orchestration,
        head: &Head,
    ) -> Result<Option<u64>, StoreError> {
        let now = engine.clock.now();
        let mut until = vec![0_u64; orchestration.steps.len()];
        // Steps stand behind those that they depend on.
        for index in 0..orchestration.steps.len() {
            let step = &orchestration.steps[index];
            if step.state.ended().is_some() {
                continue;
            }
            let agent = orchestration.graph.rules(index).agent.as_str();
            let Some(middle) = self
                .middle(engine, head.account.as_str(), agent, now)
                .await?
            else {
                return Ok(None);
            };
            let spent = step
                .holder
                .and(step.started_at)
                .map_or(0, |started| (now - started).0);
            let before = before(orchestration, index, &until);
            until[index] = before + middle.saturating_sub(spent);
        }
        Ok(until.into_iter().max())
    }

    async fn middle(
        &self,
        engine: &Engine,
        account: &str,
        agent: &str,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let key = (account.to_owned(), agent.to_owned());
        if let Some((at, middle)) = self.remembered().get(&key)
            && now.0 - at < BELIEVED
        {
            return Ok(*middle);
        }
        let middle = middle_of(durations(engine, account, agent).await?);
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key, (now.0, middle));
        Ok(middle)
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Middles> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn before(orchestration: &Orchestration, index: StepIndex, until: &[u64]) -> u64 {
    let dependencies = orchestration.graph.dependencies(index);
    dependencies
        .map(|dependency| until[dependency])
        .max()
        .unwrap_or(0)
}

/// The durations of the agent's latest enrichments, in milliseconds.
async fn durations(engine: &Engine, account: &str, agent: &str) -> Result<Vec<u64>, StoreError> {
    let filter = EnrichmentFilter {
        agent: Some(agent.to_owned()),
        ..EnrichmentFilter::default()
    };
    let mut durations = Vec::new();
    for row in engine
        .store
        .enrichments_of(account, &filter, None, LATEST)
        .await?
    {
        let steps = engine.store.steps(row.orchestration).await?;
        let step = steps.iter().find(|step| step.id == row.step);
        let step = step.and_then(|step| serde_json::from_str::<Step>(&step.detail).ok());
        let took = step.and_then(|step| Some(step.ended_at? - step.started_at?));
        durations.extend(took.map(|took| took.0));
    }
    Ok(durations)
}

fn middle_of(mut durations: Vec<u64>) -> Option<u64> {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}
