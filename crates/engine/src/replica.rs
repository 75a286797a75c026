//! A replica at work: the loops that keep its lease, sweep, claim and notice others.

use std::time::Duration;

use domain::orchestration::command::Command;
use domain::values::ids::HolderId;
use domain::values::time::Millis;
use store::error::StoreError;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::claims::claim;
use crate::handle::{Engine, LEASE};
use crate::lease::{self, Lock};
use crate::sweep::sweep;
use crate::transition::transition;

/// Between two sweeps: a lapse is noticed within this after it came.
pub const SWEEP_EVERY: Millis = Millis(1_000);

/// The slow poll for due steps: the net under the wake-ups.
pub const CLAIM_EVERY: Millis = Millis(1_000);

/// How often an embedded file is asked whether others have written it. One cheap pragma each time.
const LOOK_ELSEWHERE_EVERY: Duration = Duration::from_millis(200);

/// How long attempts may take to stop when the replica does.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A replica: an engine that holds attempts.
pub struct Replica {
    engine: Engine,
    ended: CancellationToken,
    _lock: Option<Lock>,
}

impl Replica {
    /// Opens the lease, sweeps once (recovery: what was held by the dead is free again) and starts the loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(engine: &Engine, id: HolderId, label: &str) -> Result<Self, StoreError> {
        let lock = lease::open(engine, id, label).await?;
        let replica = Self {
            engine: engine.clone(),
            ended: CancellationToken::new(),
            _lock: lock,
        };
        if let Err(crate::error::TransitionError::Store(error)) = sweep(engine).await {
            return Err(error);
        }
        replica.keep_lease(label.to_owned());
        replica.keep_sweeping();
        replica.keep_claiming();
        replica.keep_looking_elsewhere();
        Ok(replica)
    }

    fn keep_lease(&self, label: String) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! { () = ended.cancelled() => break, () = engine.clock.sleep(Millis(LEASE.0 / 3)) => {} }
                report_trouble("heartbeat", lease::beat(&engine, &label).await);
            }
        });
    }

    fn keep_sweeping(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! { () = ended.cancelled() => break, () = engine.clock.sleep(SWEEP_EVERY) => {} }
                report_trouble("sweep", sweep(&engine).await);
            }
        });
    }

    fn keep_claiming(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        tokio::spawn(async move {
            loop {
                let mut work = engine.work.listen();
                report_trouble("claim", claim(&engine).await);
                let wait = wait_for_due(&engine).await;
                tokio::select! { () = ended.cancelled() => break, () = work.woken() => {}, () = engine.clock.sleep(wait) => {} }
            }
        });
    }

    /// Commands may come from another shell or another replica: what they changed is loaded anew.
    fn keep_looking_elsewhere(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        tokio::spawn(async move {
            let Ok(mut woken) = engine.store.woken().await else {
                return;
            };
            loop {
                tokio::select! { () = ended.cancelled() => break, () = woken.wait(LOOK_ELSEWHERE_EVERY) => {} }
                report_trouble("look elsewhere", look_elsewhere(&engine).await);
            }
        });
    }

    /// Stops claiming, asks the attempts in flight to stop, waits a little for their reports, gives the lease back.
    ///
    /// # Errors
    /// When the database fails; the lapse will free what is held.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.engine.stopping.cancel();
        for lane in self.engine.lanes() {
            lane.in_flight()
                .values()
                .for_each(|attempt| attempt.cancelled.cancel());
        }
        self.engine.spawned.close();
        // Who has not stopped by then is left to the lapse.
        let _ = tokio::time::timeout(STOP_GRACE, self.engine.spawned.wait()).await;
        self.ended.cancel();
        lease::close(&self.engine).await
    }
}

fn report_trouble<T, E: std::fmt::Display>(what: &str, answer: Result<T, E>) {
    if let Err(trouble) = answer {
        error!("The {what} failed and will be tried again: {trouble}");
    }
}

async fn wait_for_due(engine: &Engine) -> Millis {
    let now = engine.clock.now();
    match engine.store.next_due(now.0).await {
        Ok(Some(due)) => (domain::values::time::Timestamp(due) - now)
            .max(Millis(1))
            .min(CLAIM_EVERY),
        _ => CLAIM_EVERY,
    }
}

/// Loads anew what others have changed, and rings for whoever follows.
async fn look_elsewhere(engine: &Engine) -> Result<(), StoreError> {
    let lanes = engine.lanes();
    let ids: Vec<_> = lanes.iter().map(|lane| *lane.id.0.as_bytes()).collect();
    let versions = engine.store.versions(&ids).await?;
    for lane in lanes {
        let stored = versions
            .iter()
            .find(|(id, _)| id == lane.id.0.as_bytes())
            .map(|(_, version)| *version);
        if stored.is_some() && stored > lane.version() {
            lane.mark_stale();
            // The tick makes the door load the state, stop what should stop and claim what may start.
            let _ = transition(engine, lane.id, Command::Tick, Vec::new()).await;
        }
    }
    engine.live.ring();
    engine.work.look();
    Ok(())
}
