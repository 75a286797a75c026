//! Connections put aside for the next request to the same origin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::connection::Connection;

/// The most connections that are kept for one origin.
const KEPT_MAX: usize = 256;

/// How long one is kept without being used.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// How often those kept too long are looked for, while there are any.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// What is put aside, by origin; the last used comes first.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: BTreeMap<String, Vec<Connection>>,
    swept: bool,
}

impl Pool {
    /// A connection over which a request may be sent.
    pub(crate) async fn take(&self, origin: &str) -> Option<Connection> {
        loop {
            let mut connection = self.lock().connections.get_mut(origin)?.pop()?;
            if connection.usable().await {
                return Some(connection);
            }
        }
    }

    /// Puts a connection aside, if it can be used again.
    pub(crate) async fn put(self: &Arc<Self>, origin: &str, mut connection: Connection) {
        if !connection.usable().await {
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.lock();
        match idle.connections.get_mut(origin) {
            Some(kept) if kept.len() < KEPT_MAX => kept.push(connection),
            Some(_) => return,
            None => {
                idle.connections.insert(origin.to_owned(), vec![connection]);
            }
        }
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes what was kept too long. Whether anything is left.
    fn close_old(&self) -> bool {
        let now = Instant::now();
        let mut idle = self.lock();
        for kept in idle.connections.values_mut() {
            kept.retain(|connection| now.duration_since(connection.idle_since) < KEPT_FOR);
        }
        idle.connections.retain(|_, kept| !kept.is_empty());
        idle.swept = !idle.connections.is_empty();
        idle.swept
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Pool>) {
    loop {
        sleep(SWEEP_EVERY).await;
        if !pool.upgrade().is_some_and(|pool| pool.close_old()) {
            return;
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept: usize = self.lock().connections.values().map(Vec::len).sum();
        write!(f, "Pool({kept} kept)")
    }
}
