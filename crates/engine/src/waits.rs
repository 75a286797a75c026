//! Why a step in the queue does not start: what its orchestration says, and what lies outside of it.

use std::collections::BTreeMap;

use domain::orchestration::graph::StepIndex;
use domain::orchestration::standing::{Standing, Wait};
use domain::orchestration::state::Orchestration;
use store::error::StoreError;

use crate::draft::Learned;
use crate::funds::{Drafted, beyond};
use crate::handle::Engine;
use crate::quota::Need;
use crate::throttle;

/// What the step at `index` waits for at this time, for people; nothing when it is held or has ended. What counts across
/// orchestrations is asked of the store, whether there is room and whom the breakers stop is said of this replica.
///
/// # Errors
/// When the database fails.
pub async fn wait_of(
    engine: &Engine,
    state: &Orchestration,
    index: StepIndex,
) -> Result<Option<String>, StoreError> {
    let now = engine.clock.now();
    match state.standing(index, now) {
        Standing::Held(_) | Standing::Ended(_) => return Ok(None),
        Standing::Waits(wait) => return Ok(Some(wait.to_string())),
        Standing::Claimable => {}
    }
    let rules = state.graph.rules(index);
    if let Some(why) = engine.breakers.open(&rules.agent, now) {
        return Ok(Some(why));
    }
    if let Some(limit) = &rules.concurrency {
        let key = format!("key/{}", limit.key);
        let held = engine.store.counters(&[&key]).await?;
        let (held, limit) = (held.get(&key).copied().unwrap_or(0), i64::from(limit.max));
        if held >= limit {
            return Ok(Some(Wait::Counter { key, held, limit }.to_string()));
        }
    }
    if let Some(throttled) = throttle::of_step(engine, state, index).await? {
        return Ok(Some(Wait::Provider(throttled).to_string()));
    }
    // It was found closed a moment ago, though it may take one just now.
    if let Some(why) = engine.throttles.closed(now).remove(&rules.agent) {
        return Ok(Some(why.to_string()));
    }
    let nothing_drafted = Drafted {
        head: state.head.as_ref(),
        before: &BTreeMap::new(),
        events: &[],
        learned: &Learned::default(),
        now,
    };
    // Whoever performs nothing, or has not tried, has not found it short.
    if let Some(head) = &state.head {
        engine.short_accounts.note(&head.account);
    }
    let need = Need::start(state.needed(index), now);
    if let Some(beyond) = beyond(engine, state, index, need, &nothing_drafted).await? {
        return Ok(Some(Wait::Credits(beyond.short.shortage).to_string()));
    }
    let places = engine.slots.available_permits();
    Ok(Some(if engine.holder().is_none() {
        "no replica has claimed it yet".to_owned()
    } else if places == 0 {
        "there is no room: as many attempts are in flight as this replica may perform".to_owned()
    } else if rules.reusable {
        "it may wait for equal work in flight, whose result it would take over".to_owned()
    } else {
        "it is about to start".to_owned()
    }))
}
