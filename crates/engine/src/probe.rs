//! The watch over agents outside: looks whether those that can be asked are well, tells who claims when a breaker's pause is
//! over, and takes in what was registered elsewhere.

use domain::agent::definition::{AgentDefinition, Executor};
use domain::values::ids::AgentId;
use domain::values::time::{Millis, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::agents;
use crate::handle::Engine;

/// Between two looks at all agents that can be asked.
pub const EVERY: Millis = Millis(30_000);

/// Between two looks at those whose breaker is open.
pub const WHILE_OPEN: Millis = Millis(2_000);

/// How long an agent may take to say that it is well.
const PATIENCE: Millis = Millis(5_000);

/// Watches until `ended`.
pub async fn watch(engine: &Engine, ended: &CancellationToken) {
    let mut all_at = engine.clock.now() + EVERY;
    loop {
        let pause = pause(engine, all_at);
        tokio::select! {
            () = ended.cancelled() => return,
            () = engine.breakers.opened() => continue,
            () = engine.clock.sleep(pause) => {}
        }
        let now = engine.clock.now();
        let all = now >= all_at;
        if all {
            all_at = now + EVERY;
            if let Err(trouble) = agents::refresh(engine).await {
                error!("The agents could not be read anew and will be again: {trouble}");
            }
        }
        tokio::select! { () = ended.cancelled() => return, () = probe(engine, all) => {} }
        if engine.breakers.any_open() {
            // A pause may be over: whoever claims sees for himself.
            engine.work.look();
        }
    }
}

/// How long nothing needs to be done.
fn pause(engine: &Engine, all_at: Timestamp) -> Millis {
    let now = engine.clock.now();
    let until_all = all_at - now;
    if !engine.breakers.any_open() {
        return until_all.max(Millis(1));
    }
    let over = engine.breakers.next_over(now);
    let until_over = over.map_or(WHILE_OPEN, |over| over - now);
    until_over.min(WHILE_OPEN).min(until_all).max(Millis(1))
}

/// Asks the agents that can be asked, all of them or those whose breaker is open, at once.
async fn probe(engine: &Engine, all: bool) {
    let Some(outgoing) = &engine.outside.outgoing else {
        return;
    };
    let now = engine.clock.now();
    let agents = engine.registry.snapshot();
    let mut probes = tokio::task::JoinSet::new();
    for definition in agents.enabled().values() {
        let blocked = engine.breakers.open(&definition.id, now).is_some();
        if let Some(url) = health(definition).filter(|_| all || blocked) {
            let (outgoing, url, id) = (outgoing.clone(), url.to_owned(), definition.id.clone());
            probes.spawn(async move { (id, outgoing.healthy(&url, PATIENCE).await) });
        }
    }
    while let Some(probed) = probes.join_next().await {
        let Ok((id, answer)) = probed else { continue };
        match answer {
            Ok(()) => tell_well(engine, &id),
            Err(failure) => engine.breakers.unwell(&id, &failure.message),
        }
    }
}

fn tell_well(engine: &Engine, id: &AgentId) {
    if engine.breakers.well(id, engine.clock.now()) {
        info!(agent.id = %id, "`{id}` says that it is well: one attempt may try");
    }
}

/// Where the agent is asked whether it is well.
fn health(definition: &AgentDefinition) -> Option<&str> {
    match &definition.executor {
        Some(Executor::Http {
            health: Some(url), ..
        }) => Some(url),
        _ => None,
    }
}
