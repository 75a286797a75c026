//! Counts what a step uses, and says when it is too much.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::Spent;
use crate::limits::Limits;

/// Calls and backward jumps between two looks of the engine at the meter.
const BETWEEN: u64 = 10_000;

/// The meter of one sandbox.
pub(crate) struct Meter {
    fuel: u64,
    step_time: Duration,
    left: Cell<u64>,
    until: Cell<Instant>,
    spent: Cell<Option<Spent>>,
}

impl Meter {
    /// A meter with a first step begun.
    pub(crate) fn new(limits: &Limits) -> Self {
        Meter {
            fuel: limits.fuel,
            step_time: limits.step_time,
            left: Cell::new(limits.fuel / BETWEEN),
            until: Cell::new(Instant::now() + limits.step_time),
            spent: Cell::new(None),
        }
    }

    /// A new step with all that one may use. What ran out once stays out: the script is in no known state any more.
    pub(crate) fn begin(&self) {
        self.left.set(self.fuel / BETWEEN);
        self.until.set(Instant::now() + self.step_time);
    }

    /// Whether the script must stop: the engine asks while it works.
    pub(crate) fn must_stop(&self) -> bool {
        if self.spent.get().is_none() {
            match self.left.get().checked_sub(1) {
                None => self.spent.set(Some(Spent::Fuel(self.fuel))),
                Some(left) => {
                    self.left.set(left);
                    if Instant::now() > self.until.get() {
                        let ms = u64::try_from(self.step_time.as_millis()).unwrap_or(u64::MAX);
                        self.spent.set(Some(Spent::Time(ms)));
                    }
                }
            }
        }
        self.spent.get().is_some()
    }

    /// What ran out.
    pub(crate) fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }
}
