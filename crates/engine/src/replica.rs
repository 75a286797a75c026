//! A replica at work: the loops that keep its lease, sweep, claim and notice others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::orchestration::command::Command;
use domain::values::ids::{HolderId, OrchestrationId};
use domain::values::time::{Millis, Timestamp};
use store::error::StoreError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::agents;
use crate::claims::{claim, claim_left};
use crate::credits;
use crate::error::TransitionError;
use crate::handle::{Engine, LEASE, LEASE_IDLE};
use crate::idle;
use crate::lease;
use crate::probe;
use crate::sweep::sweep;
use crate::transition::transition;

/// Between two sweeps: a lapse is noticed within this after it came.
pub const SWEEP_EVERY: Millis = Millis(1_000);

/// Sweeps without a pause between them at most.
const SWEEPS_AT_ONCE: usize = 64;

/// The slow poll for due steps: the net under the wake-ups.
pub const CLAIM_EVERY: Millis = Millis(1_000);

/// Between two looks of a replica that has nothing under way and is alone. One query each time, with a beat in each
/// [`BEAT_IDLE`]: an idle replica costs a server less than a query in five seconds.
pub const LOOK_IDLE: Millis = Millis(10_000);

/// The same where there are other holders, of whom one may die.
pub const LOOK_BESIDE: Millis = Millis(6_000);

/// Between two beats of a replica that has nothing under way.
pub const BEAT_IDLE: Millis = Millis(60_000);

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
        credits::begin(engine).await?;
        sweep(engine).await?;
        replica.keep_lease(label.to_owned());
        replica.keep_sweeping();
        replica.keep_claiming();
        replica.keep_looking_elsewhere();
        replica.keep_watching();
        Ok(replica)
    }

    /// Beats often while something is under way, so that others take over soon when it dies; and seldom else.
    fn keep_lease(&self, label: String) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            let mut stirred = engine.stirred.listen();
            let mut busy = true;
            loop {
                let pause = if busy { Millis(LEASE.0 / 3) } else { BEAT_IDLE };
                busy = tokio::select! {
                    () = ended.cancelled() => break,
                    () = engine.clock.sleep(pause) => stirred.take() || !engine.is_idle(),
                    () = stirred.woken(), if !busy => true,
                };
                let span = if busy { LEASE } else { LEASE_IDLE };
                report_trouble("heartbeat", lease::beat(&engine, &label, span).await);
            }
        });
    }

    /// Sweeps often while something is under way; else looks now and then whether there is something to sweep.
    fn keep_sweeping(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            let mut stirred = engine.stirred.listen();
            // How long to rest, where nothing is under way.
            let mut idle = None;
            loop {
                let pause = idle.unwrap_or(SWEEP_EVERY);
                tokio::select! {
                    () = ended.cancelled() => break,
                    () = engine.clock.sleep(pause) => {}
                    () = stirred.woken(), if idle.is_some() => { idle = None; continue }
                }
                if idle.is_some() && !stirred.take() && engine.is_idle() {
                    let looked = report_trouble("look", idle::look(&engine).await);
                    idle = Some(looked.as_ref().map_or(LOOK_IDLE, |looked| looked.pause));
                    if !looked.is_some_and(|looked| looked.sweep) {
                        continue;
                    }
                }
                sweep_all(&engine).await;
                if engine.is_idle() && !stirred.take() {
                    idle.get_or_insert(SWEEP_EVERY);
                } else {
                    idle = None;
                }
            }
        });
    }

    /// Claims what was left lying as soon as there is room; and asks the store where it is told to, and each
    /// [`CLAIM_EVERY`] while something is under way. Else the looks of the idle find what is due.
    fn keep_claiming(&self) {
        let (engine, ended) = (self.engine.clone(), self.ended.clone());
        self.loops.spawn(async move {
            let mut stirred = engine.stirred.listen();
            let mut ask_at = Some(engine.clock.now());
            loop {
                let mut work = engine.work.listen();
                let now = engine.clock.now();
                let due = ask_at.into_iter().chain([engine.work.due_at()]).min();
                if engine.work.take_unknown() || due.is_some_and(|due| due <= now) {
                    engine.work.forget_due();
                    report_trouble("claim", claim(&engine).await);
                    ask_at = next_due(&engine).await;
                }
                claim_left(&engine).await;
                if !engine.is_idle() {
                    ask_at.get_or_insert(now + CLAIM_EVERY);
                }
                let until = ask_at.into_iter().chain([engine.work.due_at()]).min();
                let wait = until.map_or(LOOK_IDLE, |until| {
                    (until - now).max(Millis(1)).min(LOOK_IDLE)
                });
                tokio::select! {
                    () = ended.cancelled() => break,
                    () = work.woken() => {}
                    () = stirred.woken() => {}
                    () = engine.clock.sleep(wait) => {}
                }
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
            let mut seen = BTreeMap::new();
            let mut again = false;
            loop {
                tokio::select! {
                    () = ended.cancelled() => break,
                    () = woken.wait(LOOK_ELSEWHERE_EVERY) => {}
                    () = tokio::time::sleep(LOOK_ELSEWHERE_EVERY), if again => {}
                }
                let looked = report_trouble("look elsewhere", look_elsewhere(&engine, &mut seen).await);
                again = looked.unwrap_or(true);
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

/// Sweeps until nothing is left: after the fall of a busy replica a full pass is no time to rest.
async fn sweep_all(engine: &Engine) {
    report_trouble("look at the agents", refresh_agents(engine).await);
    for _ in 0..SWEEPS_AT_ONCE {
        let swept = report_trouble("sweep", sweep(engine).await);
        if !swept.is_some_and(|swept| swept.is_full()) {
            break;
        }
    }
}

fn report_trouble<T>(what: &str, answer: Result<T, StoreError>) -> Option<T> {
    answer
        .inspect_err(|trouble| error!("The {what} failed and will be tried again: {trouble}"))
        .ok()
}

/// When the store is to be asked again: when the next step is due, and soon while something is under way.
async fn next_due(engine: &Engine) -> Option<Timestamp> {
    let now = engine.clock.now();
    let due = engine.store.next_due(now.0).await.ok().flatten();
    let due = due.map(|due| Timestamp(due).max(now + Millis(1)));
    let net = (!engine.is_idle()).then_some(now + CLAIM_EVERY);
    due.into_iter().chain(net).min()
}

/// Loads anew what others have changed, and rings for whoever follows. Answers whether something could not be loaded.
async fn look_elsewhere(
    engine: &Engine,
    seen: &mut BTreeMap<OrchestrationId, i64>,
) -> Result<bool, StoreError> {
    let lanes = engine.lanes();
    let listened = engine.live.listened_to();
    let ids: BTreeSet<_> = lanes.iter().map(|lane| lane.id).chain(listened).collect();
    let keys: Vec<_> = ids.iter().map(|id| *id.0.as_bytes()).collect();
    let versions: BTreeMap<_, _> = if keys.is_empty() {
        BTreeMap::new()
    } else {
        let versions = engine.store.versions(&keys).await?.into_iter();
        versions
            .map(|(id, version)| (OrchestrationId(uuid::Uuid::from_bytes(id)), version))
            .collect()
    };
    let mut again = false;
    for lane in lanes {
        let stored = versions.get(&lane.id).copied();
        // Without a row others have ended and deleted it.
        if stored > lane.version() || (stored.is_none() && lane.version().is_some()) {
            lane.mark_stale();
            // The tick makes the door load the state, stop what should stop and claim what may start.
            let ticked = transition(engine, lane.id, Command::Tick, Vec::new()).await;
            // Read while it was being deleted, say: no further news may come of it.
            again |= matches!(
                ticked,
                Err(TransitionError::Corrupt { .. } | TransitionError::Store(_))
            );
        }
    }
    let news = ids.iter().filter(|id| versions.get(id) != seen.get(id));
    news.for_each(|id| engine.live.ring_elsewhere(*id));
    *seen = versions;
    engine.live.ring_accounts();
    engine.provider_may_take_more();
    engine.work.look();
    refresh_agents(engine).await?;
    Ok(again)
}

/// Takes in what others have registered, where that was not done a moment ago.
async fn refresh_agents(engine: &Engine) -> Result<(), StoreError> {
    if engine.is_time_to_refresh() {
        agents::refresh(engine).await?;
    }
    Ok(())
}
