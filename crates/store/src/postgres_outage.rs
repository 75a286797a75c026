//! A server that cannot be reached: restarted, not up yet, or gone. What is certainly not stored is tried again for a while.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// How long a server may be away before callers hear of it: the restart of a large one, and more than SQLite's 10 s for a lock.
const PATIENCE: Duration = Duration::from_secs(15);

/// The first pause between two tries, and the longest; each is twice the one before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Since when the server has been away, as the callers of this store have found: together they wait `PATIENCE`, not each after another.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    since: Mutex<Option<Instant>>,
}

impl Outage {
    /// The server has answered.
    pub(crate) fn over(&self) {
        if let Ok(mut since) = self.since.lock() {
            *since = None;
        }
    }

    fn since(&self, now: Instant) -> Instant {
        match self.since.lock() {
            Ok(mut since) => *since.get_or_insert(now),
            Err(_) => now,
        }
    }

    /// For one call.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience {
            outage: self,
            first: None,
            pause: PAUSE.0,
        }
    }
}

/// How much longer one call may wait. A call has a limit of its own too: one that itself brings the server down must end.
pub(crate) struct Patience<'o> {
    outage: &'o Outage,
    first: Option<Instant>,
    pause: Duration,
}

impl Patience<'_> {
    /// Whether to try again after this answer; pauses before it says so.
    pub(crate) async fn again<T>(&mut self, answer: &Result<T, StoreError>) -> bool {
        let Err(error @ StoreError::Lost { .. }) = answer else {
            self.outage.over();
            return false;
        };
        let now = Instant::now();
        if self.first.is_none() {
            tracing::warn!("{error}; trying again");
        }
        let since = self.outage.since(now).min(*self.first.get_or_insert(now));
        if now + self.pause > since + PATIENCE {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Result<(), StoreError> {
        Err(StoreError::Lost {
            database: "postgres://here/plans".to_owned(),
            detail: "Connection refused".to_owned(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_away_is_given_fifteen_seconds_by_all_callers_together() {
        let outage = Outage::default();
        let started = Instant::now();
        let mut patience = outage.patience();
        let mut tries = 1;
        while patience.again(&lost()).await {
            tries += 1;
        }
        let waited = started.elapsed();
        assert!(waited > Duration::from_secs(13) && waited <= PATIENCE);
        assert!((15..25).contains(&tries), "{tries} tries");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!outage.patience().again(&lost()).await);

        outage.over();
        assert!(outage.patience().again(&lost()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_brings_the_server_down_each_time_ends_although_others_succeed() {
        let outage = Outage::default();
        let mut patience = outage.patience();
        let started = Instant::now();
        while patience.again(&lost()).await {
            outage.over();
        }
        assert!(started.elapsed() <= PATIENCE);
    }

    #[tokio::test]
    async fn nothing_but_a_loss_is_tried_again() {
        let outage = Outage::default();
        assert!(!outage.patience().again(&Ok(())).await);
        let refused = Err::<(), _>(StoreError::Refused("no".to_owned()));
        assert!(!outage.patience().again(&refused).await);
    }
}
