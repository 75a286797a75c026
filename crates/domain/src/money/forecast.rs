//! What steps may cost, before they start: from each agent's own history by input size, else from what it declares.
//!
//! The method and its sources stand in `docs/billing.md`: log cost on log size by least squares, quantiles as order
//! statistics of the leave-one-out residuals, several agents by Latin hypercube sampling and never by adding their p95s.

use std::fmt;

use crate::money::scaled::Scaled;
use crate::values::credits::Credits;

/// Fewer steps than this bound no 95th percentile: the largest of 19 is the first that does.
pub const HISTORY_MIN: usize = 19;

/// Sums that are drawn.
const DRAWS: usize = 10_000;

/// `p95` and `low` in twentieths.
const HIGH: usize = 19;
const LOW: usize = 1;

/// A step that was performed, all its attempts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Bytes of its plan.
    pub bytes: u64,
    /// What it was charged.
    pub charged: Credits,
}

/// What is known of a step's price without any history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// What it is expected to cost.
    pub estimate: Credits,
    /// The most that its last attempt may hold.
    pub ceiling: Credits,
    /// The most that all its attempts together may be charged.
    pub worst: Credits,
    /// The price depends on nothing that is not known yet.
    pub flat: bool,
    /// It may turn out that nothing is to be done.
    pub may_be_idle: bool,
}

/// A step that has not started.
#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    /// Bytes of its plan.
    pub bytes: u64,
    /// What its agent's latest steps cost.
    pub past: Vec<Past>,
    /// What its definition says.
    pub declared: Declared,
}

/// What something may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// When all goes well: of 20 like it about one costs less; or what is declared.
    pub low: Credits,
    /// On average.
    pub expected: Credits,
    /// Of 20 like it 19 cost no more.
    pub p95: Credits,
    /// With every retry, each as dear as it may be.
    pub worst: Credits,
}

/// What a step's figures rest on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// A flat price.
    Flat,
    /// The agent's latest steps.
    History {
        /// How many.
        steps: usize,
        /// The power of the plan's size by which their costs grow; none where size tells nothing.
        exponent: Option<f64>,
    },
    /// What the definition declares, raised to what was seen in these few steps.
    Declared {
        /// How many.
        seen: usize,
    },
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat => f.write_str("flat price"),
            Self::History {
                steps,
                exponent: None,
            } => write!(f, "its last {steps} steps"),
            Self::History {
                steps,
                exponent: Some(exponent),
            } => write!(f, "its last {steps} steps, cost ~ size^{exponent:.2}"),
            Self::Declared { seen: 0 } => f.write_str("as declared: no history"),
            Self::Declared { seen } => write!(f, "as declared: only {seen} steps so far"),
        }
    }
}

/// What a step may cost, and what that rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepForecast {
    /// What it may cost.
    pub figures: Figures,
    /// What that rests on.
    pub basis: Basis,
}

/// What steps may cost, each and together.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// Each, in the order given.
    pub steps: Vec<StepForecast>,
    /// All together.
    pub total: Figures,
}

/// The forecast of these steps. Equal seeds give equal figures on every machine.
pub fn forecast(steps: &[Ahead], seed: u64) -> Forecast {
    let scaled: Vec<Option<Scaled>> = steps.iter().map(history).collect();
    let each: Vec<StepForecast> = steps
        .iter()
        .zip(&scaled)
        .map(|(ahead, scaled)| one(ahead, scaled.as_ref()))
        .collect();
    let mut total = Figures::default();
    for step in &each {
        let Figures {
            expected, worst, ..
        } = step.figures;
        total.expected = total.expected.saturating_add(expected);
        total.worst = total.worst.saturating_add(worst);
    }
    let (low, p95) = quantiles(steps, &scaled, seed);
    for (step, scaled) in each.iter().zip(&scaled) {
        if scaled.is_none() {
            total.low = total.low.saturating_add(step.figures.low);
            total.p95 = total.p95.saturating_add(step.figures.p95);
        }
    }
    total.low = total.low.saturating_add(credits(libm::floor(low)));
    let p95 = total.p95.saturating_add(credits(libm::ceil(p95)));
    total.p95 = p95.min(total.worst);
    Forecast { steps: each, total }
}

/// The forecast of one step.
pub fn of_step(ahead: &Ahead) -> StepForecast {
    one(ahead, history(ahead).as_ref())
}

/// The agent's costs at the size in hand, where there is a history to speak of and something to learn from it.
fn history(ahead: &Ahead) -> Option<Scaled> {
    let enough = !ahead.declared.flat && ahead.past.len() >= HISTORY_MIN;
    enough.then(|| Scaled::to(ahead.bytes, &ahead.past))
}

fn one(ahead: &Ahead, scaled: Option<&Scaled>) -> StepForecast {
    let declared = &ahead.declared;
    let (figures, basis) = match scaled {
        Some(scaled) => from_history(scaled, declared),
        None => from_declared(ahead),
    };
    let low = if declared.may_be_idle {
        Credits::ZERO
    } else {
        figures.low
    };
    let figures = Figures {
        low: low.min(figures.expected),
        worst: figures.worst.max(figures.p95).max(figures.expected),
        ..figures
    };
    StepForecast { figures, basis }
}

fn from_history(scaled: &Scaled, declared: &Declared) -> (Figures, Basis) {
    let figures = Figures {
        low: credits(libm::floor(scaled.quantile(LOW))),
        expected: credits(libm::round(scaled.mean())),
        p95: credits(libm::ceil(scaled.quantile(HIGH))),
        worst: declared.worst,
    };
    let basis = Basis::History {
        steps: scaled.costs.len(),
        exponent: scaled.exponent,
    };
    (figures, basis)
}

fn from_declared(ahead: &Ahead) -> (Figures, Basis) {
    let declared = &ahead.declared;
    let mut figures = Figures {
        low: declared.estimate,
        expected: declared.estimate,
        p95: declared.ceiling.max(declared.estimate),
        worst: declared.worst,
    };
    if declared.flat {
        return (figures, Basis::Flat);
    }
    let seen = ahead.past.len();
    if seen > 0 {
        // Too few for a percentile, but not for the knowledge that it costs so little, and may cost so much.
        let scaled = Scaled::to(ahead.bytes, &ahead.past);
        figures.low = credits(libm::floor(scaled.quantile(0)));
        figures.expected = figures.expected.max(credits(libm::round(scaled.mean())));
        figures.p95 = figures.p95.max(credits(libm::ceil(scaled.quantile(20))));
    }
    (figures, Basis::Declared { seen })
}

/// The low and the high quantile of the sum of all steps with a history. Each step's range of chances is cut into as many
/// equal parts as there are sums, and each sum gets one part of each step's, in an order of chance: with one step the
/// quantiles are that step's own.
fn quantiles(steps: &[Ahead], scaled: &[Option<Scaled>], seed: u64) -> (f64, f64) {
    let (mut lows, mut highs) = (vec![0.0; DRAWS], vec![0.0; DRAWS]);
    let mut order: Vec<u32> = (0..).take(DRAWS).collect();
    let mut chance = Chance(seed);
    for (ahead, scaled) in steps.iter().zip(scaled) {
        let Some(scaled) = scaled else {
            continue;
        };
        chance.shuffle(&mut order);
        for (sum, part) in order.iter().enumerate() {
            let cost = scaled.draw((f64::from(*part) + 0.5) / DRAWS as f64);
            highs[sum] += cost;
            if !ahead.declared.may_be_idle {
                lows[sum] += cost;
            }
        }
    }
    let place = |mut sums: Vec<f64>, twentieths: usize| {
        let at = DRAWS * twentieths / 20 - 1;
        *sums.select_nth_unstable_by(at, f64::total_cmp).1
    };
    (place(lows, LOW), place(highs, HIGH))
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = (u128::from(self.next()) * (last as u128 + 1)) >> 64;
            items.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}

/// Nano-credits; what is too large for any amount is the largest.
fn credits(nano: f64) -> Credits {
    // A cast of a float saturates, and makes 0 of what is no number.
    Credits::from_nano(nano.max(0.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_what_fits() {
        assert_eq!(credits(f64::INFINITY), Credits::from_nano(i64::MAX));
        assert_eq!(
            (credits(f64::NAN), credits(-1.0)),
            (Credits::ZERO, Credits::ZERO)
        );
    }
}
