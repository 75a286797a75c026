//! Who waits for news: a bell for each orchestration and account, rung after each commit. Who is woken looks in the store, so
//! that what was told is always what is stored. Two things come from memory: how an orchestration ended, to who waits for
//! that alone, and live deltas, which nothing keeps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::values::ids::{AccountId, OrchestrationId, StepId};
use serde_json::Value;
use tokio::sync::{broadcast, oneshot, watch};

use crate::follow::Ended;

/// Deltas that a reader may be behind before it misses some.
const DELTAS: usize = 1024;

/// One bell. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<watch::Sender<u64>>);

impl Default for Bell {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener {
            heard: self.0.subscribe(),
            place: None,
        }
    }
}

/// All bells of a replica. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Bells>);

#[derive(Debug, Default)]
struct Bells {
    all: Bell,
    orchestrations: Mutex<HashMap<OrchestrationId, Ears>>,
    accounts: Mutex<HashMap<AccountId, Bell>>,
    deltas: Mutex<HashMap<OrchestrationId, broadcast::Sender<Arc<Delta>>>>,
}

/// Who listens to one orchestration.
#[derive(Debug, Default)]
struct Ears {
    bell: Option<Bell>,
    ends: Vec<oneshot::Sender<End>>,
}

/// What is told to who waits for an end.
#[derive(Debug)]
pub(crate) enum End {
    /// It has come.
    Ended(Arc<Ended>),
    /// Something happened elsewhere, or the store is in trouble: look.
    Look,
}

/// Text or progress passing by: shown, not stored as an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Of which step.
    pub step: StepId,
    /// Of which attempt at it.
    pub attempt: u32,
    /// What it is.
    pub kind: DeltaKind,
    /// What the agent said.
    pub data: Value,
}

/// What a delta is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaKind {
    /// How far it has come.
    Progress,
    /// What there is so far, merged.
    Partial,
    /// What was used so far.
    Usage,
}

impl DeltaKind {
    /// The name, as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::Partial => "partial",
            Self::Usage => "usage",
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held leaves a map that is still whole: each change of it is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// Something of this orchestration was committed: who listens to it, to its account or to anything is woken.
    pub fn ring(&self, id: OrchestrationId, account: &AccountId) {
        self.0.all.ring();
        if let Some(ears) = lock(&self.0.orchestrations).get(&id)
            && let Some(bell) = &ears.bell
        {
            bell.ring();
        }
        if let Some(bell) = lock(&self.0.accounts).get(account) {
            bell.ring();
        }
    }

    /// It has ended: `how` is asked only where somebody waits for it.
    pub(crate) fn tell_end(&self, id: OrchestrationId, how: impl FnOnce() -> Arc<Ended>) {
        let ends = match lock(&self.0.orchestrations).get_mut(&id) {
            Some(ears) => std::mem::take(&mut ears.ends),
            None => return,
        };
        if ends.is_empty() {
            return;
        }
        let ended = how();
        for end in ends {
            // Who has gone away does not want to know.
            let _ = end.send(End::Ended(ended.clone()));
        }
    }

    /// Others have changed this orchestration: who listens to it looks.
    pub(crate) fn ring_elsewhere(&self, id: OrchestrationId) {
        if let Some(ears) = lock(&self.0.orchestrations).get_mut(&id) {
            look(ears);
        }
    }

    /// Others have changed something: who listens to accounts or to anything looks.
    pub(crate) fn ring_accounts(&self) {
        self.0.all.ring();
        lock(&self.0.accounts).values().for_each(Bell::ring);
    }

    /// Everybody looks.
    pub fn ring_all(&self) {
        self.ring_accounts();
        lock(&self.0.orchestrations).values_mut().for_each(look);
    }

    /// The orchestrations that somebody listens to.
    pub(crate) fn listened_to(&self) -> Vec<OrchestrationId> {
        lock(&self.0.orchestrations).keys().copied().collect()
    }

    /// Hears every commit. Register BEFORE looking: then nothing slips between the look and the wait.
    pub fn listen(&self) -> Listener {
        self.0.all.listen()
    }

    /// Hears the commits of one orchestration. Register BEFORE looking.
    pub fn listen_to(&self, id: OrchestrationId) -> Listener {
        let mut orchestrations = lock(&self.0.orchestrations);
        let bell = orchestrations
            .entry(id)
            .or_default()
            .bell
            .get_or_insert_default();
        Listener {
            heard: bell.0.subscribe(),
            place: Some((self.clone(), Place::Orchestration(id))),
        }
    }

    /// Hears the commits of one account. Register BEFORE looking.
    pub fn listen_to_account(&self, account: &AccountId) -> Listener {
        let mut accounts = lock(&self.0.accounts);
        let heard = accounts.entry(account.clone()).or_default().0.subscribe();
        Listener {
            heard,
            place: Some((self.clone(), Place::Account(account.clone()))),
        }
    }

    /// Is told once how the orchestration ends, or to look. Register BEFORE looking.
    pub(crate) fn listen_to_end(&self, id: OrchestrationId) -> EndListener {
        let (end, told) = oneshot::channel();
        lock(&self.0.orchestrations)
            .entry(id)
            .or_default()
            .ends
            .push(end);
        EndListener {
            told,
            live: self.clone(),
            id,
        }
    }

    /// Passes a delta to who listens to this orchestration's now; nothing is kept for others.
    pub fn tell(&self, id: OrchestrationId, delta: Delta) {
        let mut deltas = lock(&self.0.deltas);
        if let Some(sender) = deltas.get(&id)
            && sender.send(Arc::new(delta)).is_err()
        {
            deltas.remove(&id);
        }
    }

    /// Whether anybody listens to this orchestration's deltas: making one may not be worth it.
    pub fn wants_deltas(&self, id: OrchestrationId) -> bool {
        lock(&self.0.deltas)
            .get(&id)
            .is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// The deltas of one orchestration from now on. Who is too slow misses some, and is told how many.
    pub fn deltas(&self, id: OrchestrationId) -> broadcast::Receiver<Arc<Delta>> {
        let mut deltas = lock(&self.0.deltas);
        deltas.retain(|_, sender| sender.receiver_count() > 0);
        deltas
            .entry(id)
            .or_insert_with(|| broadcast::Sender::new(DELTAS))
            .subscribe()
    }
}

fn look(ears: &mut Ears) {
    if let Some(bell) = &ears.bell {
        bell.ring();
    }
    for end in std::mem::take(&mut ears.ends) {
        let _ = end.send(End::Look);
    }
}

/// What a listener listens to.
#[derive(Debug)]
enum Place {
    Orchestration(OrchestrationId),
    Account(AccountId),
}

/// Hears every ring since it began to listen or last woke.
#[derive(Debug)]
pub struct Listener {
    heard: watch::Receiver<u64>,
    place: Option<(Live, Place)>,
}

impl Listener {
    /// Whether there was a ring since it began to listen, last woke, or was last asked.
    pub(crate) fn take(&mut self) -> bool {
        let rung = self.heard.has_changed().unwrap_or(false);
        self.heard.mark_unchanged();
        rung
    }

    /// Returns at the next ring, or at once when one was missed.
    pub async fn woken(&mut self) {
        if self.heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Listener {
    /// The last one to leave takes the bell down. Nobody can come in between: who comes holds the same lock.
    fn drop(&mut self) {
        let is_last = |bell: &Bell| bell.0.receiver_count() <= 1;
        match &self.place {
            Some((live, Place::Orchestration(id))) => {
                let mut orchestrations = lock(&live.0.orchestrations);
                if let Some(ears) = orchestrations.get_mut(id) {
                    if ears.bell.as_ref().is_some_and(is_last) {
                        ears.bell = None;
                    }
                    if ears.is_empty() {
                        orchestrations.remove(id);
                    }
                }
            }
            Some((live, Place::Account(account))) => {
                let mut accounts = lock(&live.0.accounts);
                if accounts.get(account).is_some_and(is_last) {
                    accounts.remove(account);
                }
            }
            None => {}
        }
    }
}

impl Ears {
    fn is_empty(&self) -> bool {
        self.bell.is_none() && self.ends.is_empty()
    }
}

/// Waits for one end.
#[derive(Debug)]
pub(crate) struct EndListener {
    told: oneshot::Receiver<End>,
    live: Live,
    id: OrchestrationId,
}

impl EndListener {
    /// How it ended, where that was told already.
    pub(crate) fn ended(&mut self) -> Option<Arc<Ended>> {
        match self.told.try_recv() {
            Ok(End::Ended(ended)) => Some(ended),
            // To be looked at in any case; who waits for it again would wait in vain.
            Ok(End::Look) => {
                *self = self.live.listen_to_end(self.id);
                None
            }
            Err(_) => None,
        }
    }

    /// How it ended, or that there is something to look at.
    pub(crate) async fn told(&mut self) -> End {
        (&mut self.told).await.unwrap_or(End::Look)
    }
}

impl Drop for EndListener {
    fn drop(&mut self) {
        self.told.close();
        let mut orchestrations = lock(&self.live.0.orchestrations);
        if let Some(ears) = orchestrations.get_mut(&self.id) {
            ears.ends.retain(|end| !end.is_closed());
            if ears.is_empty() {
                orchestrations.remove(&self.id);
            }
        }
    }
}
