//! A replica at work: the loops that keep its lease, sweep, claim and notice others.

use std::time::Duration;

use domain::orchestration::command::Command;
use domain::values::ids::HolderId;
use domain::values::time::Millis;
use store::error::StoreError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::claims::claim;
use crate::handle::{Engine, LEASE};
use crate::lease;
use crate::probe;
use crate::sweep::sweep;
use crate::transition::transition;

/// Between two sweeps: a lapse is noticed within this after it came.
pub const SWEEP_EVERY: Millis = Millis(1_000);

/// Between two sweeps of a replica that has nothing under way.
pub const SWEEP_IDLE: Millis = Millis(5_000);

/// Sweeps without a pause between them at most.
const SWEEPS_AT_ONCE: usize = 64;

/// The slow poll for due steps: the net under the wake-ups.
pub const CLAIM_EVERY: Millis = Millis(1_000);

/// The same where nothing is under way. Two queries in each of these and of [`SWEEP_IDLE`], and a heartbeat: an idle
/// replica costs a server less than one query a second.
pub const CLAIM_IDLE: Millis = Millis(10_000);

/// How often an embedded file is asked whether others have written it. One cheap pragma each time.
const LOOK_ELSEWHERE_EVERY: Duration = Duration::from_millis(200);

/// The least time between two looks at what busy others have written.
const LOOK_ELSEWHERE_PAUSE: Duration = Duration::from_millis(20);

/// How long attempts may take to stop when the replica does.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A replica: an engine that holds attempts.
pub struct Replica {
    engine: Engine,
    ended: CancellationToken,
    loops: TaskTracker,
}

impl Replica {
    /// Opens the lease, sweeps once (recovery: what was held by the dead is free again) and starts the loops.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(engine: &Engine, id: HolderId, label: &str) -> Result<Self, StoreError> {
        lease::open(engine, id, label).await?;
        let replica = Self {
            engine: engine.clone(),
            ended: CancellationToken::new(),
            loops: TaskTracker::new(),
        };
        sweep(engine).await?;
        replica.keep_lease(label.to_owned());
        replica.keep_sweeping();
        replica.keep_claiming();
        replica.keep_looking_elsewhere();
        replica.keep_watching();
        Ok(replica)
    }

    fn keep_lease(&self, label: String) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            loop {
                tokio::select! { () = ended.cancelled() => break, () = engine.clock.sleep(Millis(LEASE.0 / 3)) => {} }
                report_trouble("heartbeat", lease::beat(&engine, &label).await);
            }
        });
    }

    fn keep_sweeping(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            loop {
                let every = if engine.is_idle() {
                    SWEEP_IDLE
                } else {
                    SWEEP_EVERY
                };
                tokio::select! { () = ended.cancelled() => break, () = engine.clock.sleep(every) => {} }
                // A full pass has left some: after the fall of a busy replica that is no time to rest.
                for _ in 0..SWEEPS_AT_ONCE {
                    let swept = report_trouble("sweep", sweep(&engine).await);
                    if !swept.is_some_and(|swept| swept.is_full()) {
                        break;
                    }
                }
            }
        });
    }

    fn keep_claiming(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            loop {
                let mut work = engine.work.listen();
                report_trouble("claim", claim(&engine).await);
                let wait = wait_for_due(&engine).await;
                tokio::select! { () = ended.cancelled() => break, () = work.woken() => {}, () = engine.clock.sleep(wait) => {} }
            }
        });
    }

    /// Agents outside may fail and recover, and be registered elsewhere.
    fn keep_watching(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops
            .spawn(async move { probe::watch(&engine, &ended).await });
    }

    /// Commands may come from another shell or another replica: what they changed is loaded anew.
    fn keep_looking_elsewhere(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            let woken = tokio::select! { () = ended.cancelled() => return, woken = engine.store.woken() => woken };
            let Ok(mut woken) = woken else {
                return;
            };
            loop {
                tokio::select! { () = ended.cancelled() => break, () = woken.wait(LOOK_ELSEWHERE_EVERY) => {} }
                report_trouble("look elsewhere", look_elsewhere(&engine).await);
                tokio::select! { () = ended.cancelled() => break, () = tokio::time::sleep(LOOK_ELSEWHERE_PAUSE) => {} }
            }
        });
    }

    /// Stops claiming, asks the attempts in flight to stop, waits a little for their reports, hands in what the others have,
    /// gives the lease back.
    ///
    /// # Errors
    /// When the database fails; the lapse will free what is held.
    pub async fn stop(self) -> Result<(), StoreError> {
        self.engine.stopping.cancel();
        self.engine.spawned.close();
        if tokio::time::timeout(STOP_GRACE, self.engine.spawned.wait())
            .await
            .is_err()
        {
            // Who does not stop is left alone, and what it has is handed in for it: the step returns to the queue.
            self.engine.leaving.cancel();
            let _ = tokio::time::timeout(STOP_GRACE, self.engine.spawned.wait()).await;
        }
        self.ended.cancel();
        self.loops.close();
        // A loop in the midst of its work would find the store closed, and complain.
        let _ = tokio::time::timeout(STOP_GRACE, self.loops.wait()).await;
        lease::close(&self.engine).await
    }
}

fn report_trouble<T>(what: &str, answer: Result<T, StoreError>) -> Option<T> {
    answer
        .inspect_err(|trouble| error!("The {what} failed and will be tried again: {trouble}"))
        .ok()
}

async fn wait_for_due(engine: &Engine) -> Millis {
    let longest = if engine.is_idle() {
        CLAIM_IDLE
    } else {
        CLAIM_EVERY
    };
    let now = engine.clock.now();
    match engine.store.next_due(now.0).await {
        Ok(Some(due)) => (domain::values::time::Timestamp(due) - now)
            .max(Millis(1))
            .min(longest),
        _ => longest,
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
        // Without a row others have ended and deleted it.
        if stored > lane.version() || (stored.is_none() && lane.version().is_some()) {
            lane.mark_stale();
            // The tick makes the door load the state, stop what should stop and claim what may start.
            let _ = transition(engine, lane.id, Command::Tick, Vec::new()).await;
        }
    }
    engine.live.ring_all();
    engine.work.look();
    Ok(())
}
