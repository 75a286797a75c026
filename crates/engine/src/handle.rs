//! The engine's handle: what all parts share. It knows none of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::orchestration::command::Holder;
use domain::orchestration::standing::Throttled;
use domain::orchestration::submission::Pinned;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, AgentId, OrchestrationId};
use domain::values::time::{Millis, Timestamp};
use store::db::Store;
use store::error::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::billing::Billing;
use crate::breaker::Breakers;
use crate::clock::Clock;
use crate::funds::ShortAccounts;
use crate::lane::Lane;
use crate::line::Lines;
use crate::live::{Bell, Live};
use crate::outside::Outside;
use crate::perform::Performer;
use crate::plans::Plans;
use crate::quota::Quotas;
use crate::recent::Recent;
use crate::registry::Registry;
use crate::selected::Selections;
use crate::sharing::Sharing;
use crate::shortages::Shortages;
use crate::throttles::Throttles;
use crate::work::Work;

/// How long the word of a holder that has nothing under way stands: it beats seldom.
pub const LEASE_IDLE: Millis = Millis(180_000);

/// How long a holder's word stands without a heartbeat. Three beats fit in; a laptop's short stall does not lapse it.
pub const LEASE: Millis = Millis(15_000);

/// Between two deletions of what has expired.
const FORGET_EVERY: Millis = Millis(60_000);

/// Between two looks at the agents that others have registered.
const REFRESH_EVERY: Millis = Millis(2_000);

/// Between two looks for accounts that wait, while there is no room.
const NOTE_EVERY: Millis = Millis(1_000);

/// Lanes kept in memory: beyond that, those without an attempt in flight are loaded when they are next needed. At some
/// ten kilobytes each.
const LANES_KEPT: usize = 1_024;

/// Which orchestrations this replica performs steps of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None: it only passes commands.
    Nothing,
    /// These.
    Only(Vec<OrchestrationId>),
    /// All.
    Everything,
}

/// What an engine is made of.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The agents.
    pub registry: Registry,
    /// Who does the work.
    pub performer: Performer,
    /// How agents outside are reached.
    pub outside: Outside,
    /// What is billed by.
    pub billing: Billing,
    /// How what is scarce is shared.
    pub sharing: Sharing,
    /// Most attempts at one time.
    pub slots: usize,
}

/// A running engine; clones share everything.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

/// What the clones share.
pub struct Inner {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// The agents.
    pub registry: Registry,
    /// Who does the work.
    pub performer: Performer,
    /// How agents outside are reached.
    pub outside: Outside,
    /// What is billed by.
    pub billing: Billing,
    /// How what is scarce is shared.
    pub sharing: Sharing,
    /// Agents whose providers let none in for now.
    pub(crate) throttles: Throttles,
    /// Who waits there, and whose turn it is.
    pub(crate) lines: Lines,
    /// Whom this replica leaves alone for a while.
    pub breakers: Breakers,
    /// What accounts and agents may use in an hour, day or month.
    pub(crate) quotas: Quotas,
    /// Accounts that had too little a moment ago.
    pub(crate) short_accounts: ShortAccounts,
    /// Whose steps found too little.
    pub(crate) shortages: Shortages,
    /// Rung after each commit.
    pub live: Live,
    /// Rung when there may be something to claim.
    pub work: Work,
    /// Rung when something is under way here after nothing was.
    pub(crate) stirred: Bell,
    /// Plans in memory.
    pub plans: Plans,
    /// Pinned definitions in memory: equal sets are one.
    pub pins: Pins,
    /// What was selected for the latest submissions.
    pub(crate) selections: Selections,
    /// Outputs that are being committed or were a moment ago.
    pub outputs: Outputs,
    /// Room for attempts.
    pub slots: Arc<Semaphore>,
    /// Cancelled when the engine stops: attempts are asked to hand in what they have.
    pub stopping: CancellationToken,
    /// Cancelled when it waits for them no longer.
    pub leaving: CancellationToken,
    /// Everything that was spawned.
    pub spawned: TaskTracker,
    lanes: Mutex<BTreeMap<OrchestrationId, Arc<Lane>>>,
    holder: Mutex<Option<Holder>>,
    scope: Mutex<Scope>,
    trouble: Mutex<Option<StoreError>>,
    forgot_at: Mutex<Timestamp>,
    refreshed_at: Mutex<Timestamp>,
    noted_at: Mutex<Timestamp>,
}

impl std::ops::Deref for Engine {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held leaves a map that is still whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is time for what was last done at `last`; then it was done now.
fn is_time(last: &Mutex<Timestamp>, now: Timestamp, every: Millis) -> bool {
    let mut last = lock(last);
    let is_time = now - *last >= every;
    if is_time {
        *last = now;
    }
    is_time
}

impl Engine {
    /// An engine that passes commands and performs nothing until [`crate::replica::Replica::start`].
    pub fn new(parts: Parts) -> Self {
        let Parts {
            store,
            clock,
            registry,
            performer,
            outside,
            billing,
            sharing,
            slots,
        } = parts;
        Self(Arc::new(Inner {
            store,
            clock,
            registry,
            performer,
            billing: billing.at(&outside),
            outside,
            breakers: Breakers::default(),
            quotas: Quotas::default(),
            short_accounts: ShortAccounts::default(),
            shortages: Shortages::default(),
            live: Live::default(),
            work: Work::weighted(sharing.weights.clone()),
            lines: Lines::weighted(sharing.weights.clone()),
            sharing,
            throttles: Throttles::default(),
            stirred: Bell::default(),
            plans: Plans::default(),
            pins: Pins::default(),
            selections: Selections::default(),
            outputs: Outputs::default(),
            slots: Arc::new(Semaphore::new(slots)),
            trouble: Mutex::new(None),
            forgot_at: Mutex::default(),
            refreshed_at: Mutex::default(),
            noted_at: Mutex::default(),
            stopping: CancellationToken::new(),
            leaving: CancellationToken::new(),
            spawned: TaskTracker::new(),
            lanes: Mutex::default(),
            holder: Mutex::new(None),
            scope: Mutex::new(Scope::Nothing),
        }))
    }

    /// The lane of an orchestration.
    pub fn lane(&self, id: OrchestrationId) -> Arc<Lane> {
        let mut lanes = lock(&self.lanes);
        if lanes.is_empty() {
            self.stirred.ring();
        }
        lanes
            .entry(id)
            .or_insert_with(|| Arc::new(Lane::new(id)))
            .clone()
    }

    /// The lanes in memory.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        lock(&self.lanes).values().cloned().collect()
    }

    /// Whether more lanes are in memory than are worth it.
    pub fn is_crowded(&self) -> bool {
        lock(&self.lanes).len() > LANES_KEPT
    }

    /// Whether no lane is in memory: nothing that this replica began is under way.
    pub fn is_idle(&self) -> bool {
        lock(&self.lanes).is_empty()
    }

    /// Whether this replica has the orchestration's state in memory, and it has not ended: then its end is told here.
    pub fn is_under_way(&self, id: OrchestrationId) -> bool {
        // The map is let go of first: whoever drives a lane asks, with its queue in hand, how many lanes there are.
        let lane = lock(&self.lanes).get(&id).cloned();
        lane.is_some_and(|lane| lane.is_under_way())
    }

    /// Lets go of a lane that is gone. A newer one of the same orchestration stays.
    pub fn forget(&self, lane: &Arc<Lane>) {
        let mut lanes = lock(&self.lanes);
        if lanes
            .get(&lane.id)
            .is_some_and(|kept| Arc::ptr_eq(kept, lane))
        {
            lanes.remove(&lane.id);
        }
    }

    /// As whom this replica holds attempts, when it may hold any.
    pub fn holder(&self) -> Option<Holder> {
        *lock(&self.holder)
    }

    /// Sets as whom this replica holds attempts.
    pub fn set_holder(&self, holder: Option<Holder>) {
        *lock(&self.holder) = holder;
    }

    /// Sets which orchestrations this replica performs.
    pub fn set_scope(&self, scope: Scope) {
        *lock(&self.scope) = scope;
    }

    /// Whether this replica performs steps of `id`.
    pub fn performs(&self, id: OrchestrationId) -> bool {
        match &*lock(&self.scope) {
            Scope::Nothing => false,
            Scope::Only(ids) => ids.contains(&id),
            Scope::Everything => true,
        }
    }

    /// What this replica performs.
    pub fn scope(&self) -> Scope {
        lock(&self.scope).clone()
    }

    /// This replica performs steps of `id` from now on.
    pub fn take_on(&self, id: OrchestrationId) {
        let mut scope = lock(&self.scope);
        match &mut *scope {
            Scope::Nothing => *scope = Scope::Only(vec![id]),
            Scope::Only(ids) if !ids.contains(&id) => ids.push(id),
            Scope::Only(_) | Scope::Everything => {}
        }
    }

    /// Room for one attempt at a step of `id`, if there is any, and it is not another account's turn. Else whoever claims
    /// comes back to it.
    pub fn take_slot(
        &self,
        id: OrchestrationId,
        account: &AccountId,
    ) -> Option<OwnedSemaphorePermit> {
        if self.work.gives_way(id, account) {
            return None;
        }
        let take = || self.slots.clone().try_acquire_owned().ok();
        take().or_else(|| {
            // Left lying first, then looked at once more: room that was made in between would not be told.
            self.work.leave(id, account);
            take()
        })
    }

    /// The agents that no attempt of may start here now, each with the reason: they fail, or their provider is `closed`.
    pub(crate) fn blocked(
        &self,
        closed: &BTreeMap<AgentId, Throttled>,
        now: Timestamp,
    ) -> BTreeMap<AgentId, String> {
        let mut blocked = self.breakers.blocked(now);
        for (agent, throttled) in closed {
            blocked
                .entry(agent.clone())
                .or_insert_with(|| throttled.to_string());
        }
        blocked
    }

    /// It is another's turn at a provider: that one is looked for, be it a question or a step.
    pub(crate) fn look_whose_turn(&self) {
        self.lines.call();
        self.work.lacks_room();
        self.work.room();
    }

    /// A provider may take another one: who waits only for that may look again.
    pub(crate) fn provider_may_take_more(&self) {
        self.throttles.ended();
        self.lines.call();
    }

    /// Whether there is room for an attempt. Where there is none, whoever claims is told when room is made.
    pub fn has_room(&self) -> bool {
        self.slots.available_permits() > 0 || {
            self.work.lacks_room();
            self.slots.available_permits() > 0
        }
    }

    /// Whether what has expired is to be deleted now: once in [`FORGET_EVERY`].
    pub(crate) fn is_time_to_forget(&self) -> bool {
        is_time(&self.forgot_at, self.clock.now(), FORGET_EVERY)
    }

    /// Whether the accounts with due steps are to be noted now, although there is no room: once in [`NOTE_EVERY`].
    pub(crate) fn is_time_to_note(&self) -> bool {
        is_time(&self.noted_at, self.clock.now(), NOTE_EVERY)
    }

    /// Whether the agents that others have registered are to be looked at now: once in [`REFRESH_EVERY`].
    pub(crate) fn is_time_to_refresh(&self) -> bool {
        is_time(&self.refreshed_at, self.clock.now(), REFRESH_EVERY)
    }

    /// An orchestration has ended: there is nothing more to perform.
    pub fn let_go(&self, id: OrchestrationId) {
        if let Scope::Only(ids) = &mut *lock(&self.scope) {
            ids.retain(|kept| *kept != id);
        }
    }

    /// The store failed in a way that keeps reports from being stored: whoever waits for an end should know.
    pub fn set_trouble(&self, error: StoreError) {
        *lock(&self.trouble) = Some(error);
        self.live.ring_all();
    }

    /// Reports are stored again.
    pub fn clear_trouble(&self) {
        *lock(&self.trouble) = None;
    }

    /// The store's failure, if reports could not be stored.
    pub fn trouble(&self) -> Option<StoreError> {
        lock(&self.trouble).clone()
    }
}

/// Pinned definitions by hash, shared by all orchestrations that pin the same; and which of them the store has.
#[derive(Debug)]
pub struct Pins {
    kept: Recent<ContentHash, Arc<Pinned>>,
    stored: Recent<ContentHash, ()>,
}

/// Sets of pinned definitions that are kept in memory.
const PINS_KEPT: usize = 256;

impl Default for Pins {
    fn default() -> Self {
        Self {
            kept: Recent::new(PINS_KEPT),
            stored: Recent::new(PINS_KEPT),
        }
    }
}

impl Pins {
    /// Keeps a set of definitions.
    pub fn keep(&self, hash: ContentHash, pinned: Arc<Pinned>) {
        self.kept.keep(hash, pinned, 1);
    }

    /// A set that was kept.
    pub fn get(&self, hash: ContentHash) -> Option<Arc<Pinned>> {
        self.kept.get(hash)
    }

    /// Whether the store had these definitions a moment ago: then their bytes need not be given again.
    pub(crate) fn are_stored(&self, hash: ContentHash) -> bool {
        self.stored.get(hash).is_some()
    }

    /// Notes whether the store has these definitions.
    pub(crate) fn set_stored(&self, hash: ContentHash, stored: bool) {
        if stored {
            self.stored.keep(hash, (), 1);
        } else {
            self.stored.drop_one(hash);
        }
    }
}

/// The latest outputs by hash: the next step reads them without asking the database.
#[derive(Debug)]
pub struct Outputs(Recent<ContentHash, Arc<[u8]>>);

/// Bytes of outputs that are kept.
const OUTPUTS_KEPT: usize = 4 << 20;

/// What an output takes in memory beside its bytes, about.
const OUTPUT: usize = 200;

impl Default for Outputs {
    fn default() -> Self {
        Self(Recent::new(OUTPUTS_KEPT))
    }
}

impl Outputs {
    /// Keeps an output for a while, unless it is very large.
    pub fn keep(&self, hash: ContentHash, bytes: Arc<[u8]>) {
        let size = bytes.len() + OUTPUT;
        self.0.keep(hash, bytes, size);
    }

    /// An output that was kept.
    pub fn get(&self, hash: ContentHash) -> Option<Arc<[u8]>> {
        self.0.get(hash)
    }
}
