//! The clock: the only place where time enters. Tests turn it by hand.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use domain::values::time::{Millis, Timestamp};
use tokio::sync::watch;

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that moves when it is told to.
    Manual(ManualClock),
}

/// A clock that stands still until it is moved.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(start)))
    }

    /// Moves it on and wakes whoever sleeps until then.
    pub fn advance(&self, span: Millis) {
        self.0.send_modify(|now| *now = *now + span);
    }

    /// Sets it, forward or back, as a clock is set right that was wrong.
    pub fn set(&self, to: Timestamp) {
        self.0.send_replace(to);
    }
}

impl Clock {
    /// The time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place where time enters"
    )]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since = std::time::SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(clock) => *clock.0.borrow(),
        }
    }

    /// Waits for `span` on this clock.
    pub async fn sleep(&self, span: Millis) {
        match self {
            Self::System => tokio::time::sleep(Duration::from_millis(span.0)).await,
            Self::Manual(clock) => {
                let until = self.now() + span;
                let mut changes = clock.0.subscribe();
                // An error means that the clock is gone, and with it whoever could move it: sleep on.
                if changes.wait_for(|now| *now >= until).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
