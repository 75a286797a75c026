//! How often a key may come: a bucket each that fills at a steady rate.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::Access;

/// The count of each key's requests; clones share it.
#[derive(Clone, Default)]
pub struct Rates(Option<Arc<DefaultKeyedRateLimiter<String>>>);

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rates").field(&self.0.is_some()).finish()
    }
}

impl Rates {
    /// As the settings say; no limit where they say none.
    pub fn of(access: &Access) -> Self {
        let quota = NonZeroU32::new(access.requests_per_second).map(|rate| {
            let burst = NonZeroU32::new(access.burst).unwrap_or(rate);
            Quota::per_second(rate).allow_burst(burst)
        });
        Self(quota.map(|quota| Arc::new(RateLimiter::dashmap(quota))))
    }

    /// Counts a request of `key`.
    ///
    /// # Errors
    /// Milliseconds after which it may come again.
    pub fn count(&self, key: &str) -> Result<(), u64> {
        let Some(limiter) = &self.0 else {
            return Ok(());
        };
        limiter.check_key(&key.to_owned()).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1)
        })
    }

    /// Forgets the keys that have not come for a while.
    pub fn sweep(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}
