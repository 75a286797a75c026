//! When a failed attempt is tried again.

use serde::{Deserialize, Serialize};

use crate::values::hash::ContentHash;
use crate::values::time::Millis;

/// What kind of failure an attempt ended in: decides whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// May well succeed the next time: a lost connection, an overloaded peer.
    Transient,
    /// The peer asked to wait. Returns to the queue and counts against no limit.
    RateLimited,
    /// The output does not fit its schema.
    InvalidOutput,
    /// The attempt took longer than the agent's `timeout`.
    Timeout,
    /// Trying again cannot help.
    Fatal,
}

impl ErrorClass {
    /// Whether another attempt may be made at all.
    pub const fn retryable(self) -> bool {
        !matches!(self, Self::Fatal)
    }
}

/// First delay, before jitter.
pub const BASE_DELAY: Millis = Millis(2_000);

/// No delay is longer, whatever a peer asks for: an hour keeps a mistaken `Retry-After` from parking a step for ever.
pub const MAX_DELAY: Millis = Millis(3_600_000);

/// Longest delay that backoff itself reaches.
pub const MAX_BACKOFF: Millis = Millis(300_000);

/// The delay before the next attempt: exponential with full jitter (Brooker, "Exponential Backoff And Jitter", 2015):
/// uniform in `0..=min(MAX_BACKOFF, BASE_DELAY * 2^retries)`, the chance being a hash of the attempt's name (`step` must
/// name it among all orchestrations), so that one log always gives the same times. A peer's own `retry_after` is a floor under it, capped by [`MAX_DELAY`].
pub fn delay(step: &str, attempt: u32, retries: u32, retry_after: Option<Millis>) -> Millis {
    let ceiling = BASE_DELAY
        .0
        .saturating_mul(1 << retries.min(20))
        .min(MAX_BACKOFF.0);
    let jittered = ContentHash::of(format!("{step}/{attempt}").as_bytes()).seed() % (ceiling + 1);
    Millis(
        jittered
            .max(retry_after.map_or(0, |asked| asked.0))
            .min(MAX_DELAY.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(attempt: u32, retries: u32, retry_after: Option<Millis>) -> Millis {
        delay(
            "some orchestration/plan-lint",
            attempt,
            retries,
            retry_after,
        )
    }

    #[test]
    fn delays_spread_under_a_doubling_ceiling() {
        for retries in 0..12 {
            let ceiling = (2_000_u64 << retries).min(300_000);
            let delays: Vec<u64> = (0..200)
                .map(|attempt| sample(attempt, retries, None).0)
                .collect();
            assert!(delays.iter().all(|delay| *delay <= ceiling));
            let mean = delays.iter().sum::<u64>() / 200;
            assert!(
                mean > ceiling * 4 / 10 && mean < ceiling * 6 / 10,
                "full jitter has mean near {ceiling}/2, not {mean}"
            );
        }
        assert_eq!(sample(1, 3, None), sample(1, 3, None));
    }

    #[test]
    fn a_peers_wish_is_a_floor_but_not_for_ever() {
        assert!(sample(1, 0, Some(Millis(60_000))).0 >= 60_000);
        assert_eq!(sample(1, 0, Some(Millis(u64::MAX))), MAX_DELAY);
    }
}
