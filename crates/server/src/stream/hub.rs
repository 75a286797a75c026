//! What the readers of one log share: one task that reads what is new in the store and passes it to all of them. The first
//! reader makes it, and with the last one it is gone.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use domain::values::ids::{AccountId, OrchestrationId};
use engine::handle::Engine;
use engine::live::{Delta, Listener};
use store::error::StoreError;
use store::events::EventFilter;
use store::rows::EventRow;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::api::error::Problem;
use crate::stream::cursor::Log;
use crate::stream::joining::joined;
use crate::stream::telling::{Passing, Telling, entries};

/// Stored events in one telling, at most.
const MOST: i64 = 64;

/// Batches that a reader may be behind before it is sent back to the store.
const BEHIND: usize = 64;

/// Deltas that a reader may be behind before it misses some.
const DELTAS: usize = 64;

/// Deltas that are passed on before the log is looked at again.
const AT_ONCE: usize = 256;

/// Replays that read the store at one time: a thousand readers who come back must not bury it.
const REPLAYS: usize = 4;

/// How long a hub waits after it could not read the store.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// A log that can be followed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// One orchestration's.
    Orchestration(OrchestrationId),
    /// An account's whole feed.
    Account(AccountId),
}

impl Topic {
    /// Which numbers it counts by.
    pub const fn log(&self) -> Log {
        match self {
            Self::Orchestration(_) => Log::Orchestration,
            Self::Account(_) => Log::Account,
        }
    }
}

/// The hubs of all logs that are followed here; clones share them.
#[derive(Clone)]
pub struct Hubs(Arc<Inner>);

struct Inner {
    engine: Engine,
    /// Where the store is read.
    here: Handle,
    /// Where readers are told: their thousands do not stand in line before the engine's own work.
    aside: Option<Runtime>,
    closing: CancellationToken,
    replays: Semaphore,
    open: Mutex<BTreeMap<Topic, Weak<Hub>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last to go may be one of those who are told there.
        if let Some(aside) = self.aside.take() {
            aside.shutdown_background();
        }
    }
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hubs({} followed)", self.followed())
    }
}

/// A log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event that this program cannot read.
    #[error("a stored event cannot be read: {0}")]
    Event(#[from] serde_json::Error),
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Store(error) => error.into(),
            error @ Unreadable::Event(_) => Self::internal(error),
        }
    }
}

impl Hubs {
    /// None followed yet. When `closing` is cancelled, readers are told to go. Called within a Tokio runtime.
    pub fn new(engine: Engine, closing: CancellationToken) -> Self {
        let mut aside = Builder::new_multi_thread();
        let aside = aside.worker_threads(1).thread_name("streams").enable_all();
        Self(Arc::new(Inner {
            engine,
            here: Handle::current(),
            // Without a thread of their own they are told where all else is done.
            aside: aside.build().ok(),
            closing,
            replays: Semaphore::new(REPLAYS),
            open: Mutex::default(),
        }))
    }

    /// Where readers are told.
    pub(crate) fn aside(&self) -> &Handle {
        self.0.aside.as_ref().map_or(&self.0.here, Runtime::handle)
    }

    /// Cancelled when the server is being stopped.
    pub fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// How many logs are followed.
    pub fn followed(&self) -> usize {
        self.open().len()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<Topic, Weak<Hub>>> {
        // A panic while the lock was held leaves a map that is still whole: each change of it is one call.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub of a log: the one there is, or a new one that begins behind `position`, which the caller has read from the store.
    pub(crate) fn join(&self, topic: &Topic, position: u64) -> Arc<Hub> {
        let mut open = self.open();
        if let Some(hub) = open.get(topic).and_then(Weak::upgrade) {
            return hub;
        }
        let (tellings, _) = broadcast::channel(BEHIND);
        let (deltas, _) = broadcast::channel(DELTAS);
        let stop = CancellationToken::new();
        let hub = Arc::new(Hub {
            tellings: tellings.clone(),
            deltas: deltas.clone(),
            hubs: self.clone(),
            topic: topic.clone(),
            _stop: stop.clone().drop_guard(),
        });
        open.insert(topic.clone(), Arc::downgrade(&hub));
        let pump = Pump {
            bell: self.bell(topic),
            passing: self.passing(topic),
            hubs: self.clone(),
            topic: topic.clone(),
            position,
            tellings,
            deltas,
        };
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = pump.work() => {}
            }
        });
        hub
    }

    fn bell(&self, topic: &Topic) -> Listener {
        match topic {
            Topic::Orchestration(id) => self.0.engine.live.listen_to(*id),
            Topic::Account(account) => self.0.engine.live.listen_to_account(account),
        }
    }

    fn passing(&self, topic: &Topic) -> Option<broadcast::Receiver<Arc<Delta>>> {
        match topic {
            Topic::Orchestration(id) => Some(self.0.engine.live.deltas(*id)),
            Topic::Account(_) => None,
        }
    }

    /// The stored events of a log behind `position`; of an orchestration only those that the filter wants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(
        &self,
        topic: &Topic,
        position: u64,
        limit: i64,
        filter: &EventFilter,
    ) -> Result<Vec<EventRow>, StoreError> {
        let after = i64::try_from(position).unwrap_or(i64::MAX);
        let store = &self.0.engine.store;
        match topic {
            Topic::Orchestration(id) if *filter == EventFilter::default() => {
                store.events(*id.0.as_bytes(), after, limit).await
            }
            Topic::Orchestration(id) => {
                let id = *id.0.as_bytes();
                store.events_filtered(id, after, limit, filter).await
            }
            Topic::Account(account) => store.feed(account.as_str(), after, limit).await,
        }
    }

    /// The stored events of a log behind `position` as a telling, for one who was not there; nothing where there are none.
    ///
    /// # Errors
    /// When the database fails or an event cannot be read.
    pub(crate) async fn replay(
        &self,
        topic: &Topic,
        position: u64,
        limit: i64,
    ) -> Result<Option<Arc<Telling>>, Unreadable> {
        let (hubs, topic) = (self.clone(), topic.clone());
        // The store's connections belong where the engine is.
        let read = self
            .0
            .here
            .spawn(async move { hubs.read(&topic, position, limit).await });
        read.await.map_err(|_| StoreError::Closed)?
    }

    async fn read(
        &self,
        topic: &Topic,
        position: u64,
        limit: i64,
    ) -> Result<Option<Arc<Telling>>, Unreadable> {
        // Never closed.
        let _turn = self.0.replays.acquire().await;
        let rows = self
            .rows(topic, position, limit, &EventFilter::default())
            .await?;
        telling(&rows, topic)
    }
}

fn telling(rows: &[EventRow], topic: &Topic) -> Result<Option<Arc<Telling>>, Unreadable> {
    let entries = entries(rows, topic.log())?;
    Ok((!entries.is_empty()).then(|| Telling::of(entries)))
}

/// One log's. Kept by its readers alone.
pub(crate) struct Hub {
    tellings: broadcast::Sender<Arc<Telling>>,
    deltas: broadcast::Sender<Passing>,
    hubs: Hubs,
    topic: Topic,
    _stop: DropGuard,
}

impl Hub {
    /// What is told from now on.
    pub(crate) fn tellings(&self) -> broadcast::Receiver<Arc<Telling>> {
        self.tellings.subscribe()
    }

    /// The deltas from now on.
    pub(crate) fn deltas(&self) -> broadcast::Receiver<Passing> {
        self.deltas.subscribe()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let mut open = self.hubs.open();
        // Another may have come into its place meanwhile.
        if open
            .get(&self.topic)
            .is_some_and(|hub| hub.strong_count() == 0)
        {
            open.remove(&self.topic);
        }
    }
}

/// Reads what is new, and passes it on.
struct Pump {
    hubs: Hubs,
    topic: Topic,
    position: u64,
    bell: Listener,
    passing: Option<broadcast::Receiver<Arc<Delta>>>,
    tellings: broadcast::Sender<Arc<Telling>>,
    deltas: broadcast::Sender<Passing>,
}

impl Pump {
    /// Until the orchestration has ended; an account's never ends.
    async fn work(mut self) {
        loop {
            match self.look().await {
                Ok(true) => return,
                Ok(false) => self.wait().await,
                Err(error) => {
                    tracing::warn!("The log of {:?} cannot be read: {error}", self.topic);
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    /// Passes on all that is new; whether that was the end.
    async fn look(&mut self) -> Result<bool, Unreadable> {
        loop {
            let all = EventFilter::default();
            let rows = self
                .hubs
                .rows(&self.topic, self.position, MOST, &all)
                .await?;
            let is_all = i64::try_from(rows.len()).is_ok_and(|count| count < MOST);
            if let Some(telling) = telling(&rows, &self.topic)? {
                self.position = telling.last();
                let ends = telling.ends() && self.topic.log() == Log::Orchestration;
                // Nobody may be listening at this moment: they read it from the store.
                let _ = self.tellings.send(telling);
                if ends {
                    return Ok(true);
                }
            }
            if is_all {
                return Ok(false);
            }
        }
    }

    /// Until the bell rings; deltas that come meanwhile are passed on.
    async fn wait(&mut self) {
        loop {
            let Some(passing) = &mut self.passing else {
                return self.bell.woken().await;
            };
            tokio::select! {
                biased;
                () = self.bell.woken() => return,
                delta = passing.recv() => match delta {
                    Ok(delta) => self.pass(delta),
                    Err(broadcast::error::RecvError::Closed) => self.passing = None,
                    // What passed by too fast is gone: a delta is no event.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                },
            }
        }
    }

    /// Passes on a delta, and those that have come meanwhile: text that follows upon text as one, so that readers keep up with a fast
    /// provider.
    fn pass(&mut self, first: Arc<Delta>) {
        let (Topic::Orchestration(id), Some(passing)) = (&self.topic, &mut self.passing) else {
            return;
        };
        let mut now = first;
        for _ in 0..AT_ONCE {
            let Ok(next) = passing.try_recv() else {
                break;
            };
            match joined(&now, &next) {
                Some(both) => now = Arc::new(both),
                None => {
                    let _ = self.deltas.send(Passing::of(id.0, &now));
                    now = next;
                }
            }
        }
        let _ = self.deltas.send(Passing::of(id.0, &now));
    }
}
