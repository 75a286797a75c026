//! How a rate is kept in a shared counter: it holds a time (ITU-T I.371's generic cell rate algorithm), by when all that was
//! asked so far would have been asked evenly.

use domain::values::time::{Millis, Timestamp};
use store::write::CounterChange;

/// What a counter leads the time of day by, at most, in nanoseconds: a minute sees no more than a minute's.
const WINDOW: u64 = 60_000_000_000;

/// The longest that a provider is left alone for a 429, whatever it asks for. Then it may say so again.
pub(crate) const CLOSED_MAX: Millis = Millis(300_000);

/// A tenth of a minute's may come at once, and the rest evenly, so that no minute sees more than the rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    /// Nanoseconds from one to the next.
    each: u64,
    /// So many may come at once.
    burst: u64,
}

impl Meter {
    pub(crate) fn of(per_minute: u64) -> Self {
        let most = per_minute.clamp(1, WINDOW);
        let burst = (most / 10).max(1);
        Self {
            each: WINDOW.div_ceil(most - burst + 1),
            burst,
        }
    }

    fn nanos(self, units: u64) -> i64 {
        units.saturating_mul(self.each).min(WINDOW).cast_signed()
    }

    /// What drawing so many units changes. More than a burst has to wait until nothing else is owed.
    pub(crate) fn draw(self, key: String, units: u64, at: Timestamp) -> CounterChange {
        let now = nanos(at);
        CounterChange {
            key,
            floor: Some(now),
            believed: Some(believed(at)),
            delta: self.nanos(units),
            limit: Some(now.saturating_add(self.nanos(units.max(self.burst)))),
            ..CounterChange::default()
        }
    }

    /// What it changes that so many were used and not `drawn`; nothing where it is as expected.
    pub(crate) fn set_right(
        self,
        key: String,
        drawn: u64,
        used: u64,
        at: Timestamp,
    ) -> Option<CounterChange> {
        let delta = self.nanos(used) - self.nanos(drawn);
        (delta != 0).then(|| CounterChange {
            key,
            // What was given back long ago is not owed; what comes on top is owed from now on.
            floor: (delta > 0).then(|| nanos(at)),
            believed: Some(believed(at)),
            delta,
            ceiling: Some(nanos(at).saturating_add(WINDOW.cast_signed())),
            limit: None,
        })
    }

    /// From when on so many may be drawn where the counter holds `held`, in nanoseconds.
    pub(crate) fn opens(self, held: i64, units: u64, now: Timestamp) -> i64 {
        if held > believed(now) {
            return 0;
        }
        held.saturating_sub(self.nanos(units.max(self.burst)) - self.nanos(units))
    }
}

/// A counter that leads by more than two windows was written by a clock that was wrong: it counts as nothing.
fn believed(now: Timestamp) -> i64 {
    nanos(now).saturating_add(2 * WINDOW.cast_signed())
}

/// A time as counters hold it.
pub(crate) fn nanos(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000)
}

/// Nobody draws before `until`, by a counter of its own.
pub(crate) fn close(key: String, until: Timestamp, now: Timestamp) -> CounterChange {
    let most = nanos(now + CLOSED_MAX);
    CounterChange {
        key,
        floor: Some(nanos(until).min(most)),
        believed: Some(most),
        ..CounterChange::default()
    }
}

/// From when on what `held` says is closed is open, in nanoseconds. No closing lasts longer than [`CLOSED_MAX`]: one that does
/// was written by a clock that was wrong.
pub(crate) fn opens(held: i64, now: Timestamp) -> i64 {
    if held > nanos(now + CLOSED_MAX) {
        return 0;
    }
    held
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const START: Timestamp = Timestamp(1_700_000_000_000_000);

    /// When each of so many requests is let in, asked as early as can be.
    fn let_in(per_minute: u64, count: usize, units: u64) -> Vec<i64> {
        let meter = Meter::of(per_minute);
        let (mut now, mut held) = (START, 0);
        let mut times = Vec::new();
        while times.len() < count {
            let opens = meter.opens(held, units, now);
            if opens > nanos(now) {
                now = Timestamp(opens / 1_000 + 1);
            }
            let draw = meter.draw(String::new(), units, now);
            assert!(
                draw.after(held) <= draw.limit.unwrap(),
                "it said it was open"
            );
            held = draw.after(held);
            times.push(now.0);
        }
        times
    }

    #[test]
    fn no_minute_sees_more_than_the_rate_and_a_full_queue_gets_nine_tenths_of_it() {
        for per_minute in [1, 2, 3, 7, 10, 60, 500, 10_000] {
            let most = usize::try_from(per_minute).unwrap();
            let times = let_in(per_minute, 3 * most + 1, 1);
            for window in times.windows(most + 1) {
                assert!(window[most] - window[0] >= 60_000_000, "{per_minute}");
            }
            let took = times[3 * most] - times[0];
            assert!(took <= 200_000_000, "{per_minute}: {took}");
        }
    }

    #[test]
    fn what_is_more_than_a_burst_waits_until_nothing_is_owed() {
        let times = let_in(1_000, 4, 500);
        for pair in times.windows(2) {
            let apart = pair[1] - pair[0];
            assert!((30_000_000..37_000_000).contains(&apart), "{apart}");
        }
    }

    #[test]
    fn what_is_closed_opens_just_then() {
        let until = START + Millis(60_000);
        let held = close(String::new(), until, START).after(0);
        assert_eq!(opens(held, START), nanos(until));
        let forever = close(String::new(), START + Millis(86_400_000), START).after(0);
        assert_eq!(opens(forever, START), nanos(START + CLOSED_MAX));
    }

    #[test]
    fn a_clock_that_was_an_hour_ahead_for_one_request_shuts_nobody_out() {
        let ahead = START + Millis(3_600_000);
        let meter = Meter::of(20);
        let held = meter.draw(String::new(), 1, ahead).after(0);
        assert!(meter.opens(held, 1, START) <= nanos(START));
        let draw = meter.draw(String::new(), 1, START);
        assert!(draw.after(held) <= draw.limit.unwrap());
        let closed = close(String::new(), ahead + Millis(60_000), ahead).after(0);
        assert!(opens(closed, START) <= nanos(START));
    }

    #[test]
    fn however_much_is_used_at_once_no_more_than_a_minute_is_owed() {
        let (meter, mut held) = (Meter::of(6_000), 0);
        for _ in 0..5 {
            let more = meter.set_right(String::new(), 1, 1_000_000, START);
            held = more.unwrap().after(held);
        }
        assert_eq!(held, nanos(START + Millis(60_000)));
        assert_eq!(meter.opens(held, 600, START), held);
    }
}
