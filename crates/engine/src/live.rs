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
    deferred: Arc<AtomicBool>,
}

impl Work {
    /// Something was left lying.
    pub fn defer(&self) {
        self.deferred.store(true, Ordering::Release);
    }

    /// Room was made: whoever claims looks again, if something was left lying.
    pub fn room(&self) {
        if self.deferred.swap(false, Ordering::AcqRel) {
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
