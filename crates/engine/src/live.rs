//! Who waits for news: woken after each commit, they look in the store. Nothing is delivered from memory, so that what
//! was told is always what is stored, in order and without gaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// A bell that rings after each commit.
#[derive(Clone, Debug)]
pub struct Live(Arc<watch::Sender<u64>>);

impl Default for Live {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Live {
    /// Something was committed, here or elsewhere.
    pub fn ring(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Register BEFORE looking: then nothing slips between the look and the wait.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Hears every ring since it began to listen or last woke.
#[derive(Debug)]
pub struct Listener(watch::Receiver<u64>);

impl Listener {
    /// Returns at the next ring, or at once when one was missed.
    pub async fn woken(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Work that could not be claimed when it was seen, for lack of room or because a counter was full.
#[derive(Clone, Debug, Default)]
pub struct Work {
    bell: Live,
    without_room: Arc<AtomicBool>,
    behind_counters: Arc<AtomicBool>,
}

impl Work {
    /// Something was left lying for lack of room here.
    pub fn lacks_room(&self) {
        self.without_room.store(true, Ordering::SeqCst);
    }

    /// Something was left lying since a counter is full.
    pub fn finds_full(&self) {
        self.behind_counters.store(true, Ordering::SeqCst);
    }

    /// Room was made: whoever claims looks again, if something was left lying for lack of it.
    pub fn room(&self) {
        if self.without_room.swap(false, Ordering::SeqCst) {
            self.bell.ring();
        }
    }

    /// An attempt is over: there is room, and its counters have fallen.
    pub fn ended(&self) {
        let behind = self.behind_counters.swap(false, Ordering::SeqCst);
        if self.without_room.swap(false, Ordering::SeqCst) || behind {
            self.bell.ring();
        }
    }

    /// Others have changed something: whoever claims looks again.
    pub fn look(&self) {
        self.bell.ring();
    }

    /// Register BEFORE looking.
    pub fn listen(&self) -> Listener {
        self.bell.listen()
    }
}
