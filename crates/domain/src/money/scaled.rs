//! An agent's past costs, brought to the size of the plan in hand: a line through the logarithms, and what lies around it.

use crate::money::forecast::Past;
use crate::values::credits::Credits;

/// A line is believed where its slope is this many standard errors away from none.
const CLEAR: f64 = 2.0;

/// What the agent's past steps would have cost with a plan of one size, in nano-credits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scaled {
    /// Ascending.
    pub(super) costs: Vec<f64>,
    /// The power of the size by which costs grow; none where size tells nothing.
    pub(super) exponent: Option<f64>,
}

/// The least-squares line through `(log size, log cost)` of the steps that cost something.
struct Line {
    centre: (f64, f64),
    slope: f64,
    /// Sum of the squared distances of the log sizes from their centre.
    spread: f64,
    points: f64,
}

impl Scaled {
    /// `past` as with a plan of `bytes`. A step that cost nothing costs nothing at any size.
    pub(super) fn to(bytes: u64, past: &[Past]) -> Self {
        let charged = past.iter().filter(|past| past.charged > Credits::ZERO);
        let points: Vec<(f64, f64)> = charged
            .clone()
            .map(|past| (size(past.bytes), libm::log(past.charged.nano() as f64)))
            .collect();
        let varies = past.windows(2).any(|two| two[0].charged != two[1].charged);
        // What always cost the same does so at any size, to the last nano-credit.
        let line = Line::through(&points).filter(|line| varies && line.is_clear(&points));
        let mut costs = vec![0.0; past.len() - points.len()];
        match &line {
            Some(line) => costs.extend(
                points
                    .iter()
                    .map(|&(x, y)| libm::exp(line.at(size(bytes)) + line.residual(x, y))),
            ),
            None => costs.extend(charged.map(|past| past.charged.nano() as f64)),
        }
        costs.sort_unstable_by(f64::total_cmp);
        Self {
            costs,
            exponent: line.map(|line| line.slope),
        }
    }

    /// The `share` twentieths quantile as an order statistic: of n costs and one more that is to come, the one to come is
    /// no larger than the k-th with probability k / (n + 1).
    pub(super) fn quantile(&self, share: usize) -> f64 {
        let place = (share * (self.costs.len() + 1)).div_ceil(20);
        self.place(place)
    }

    /// The cost in the cell that `chance` (0 to 1) falls into, of n + 1 equal ones.
    pub(super) fn draw(&self, chance: f64) -> f64 {
        let cells = (self.costs.len() + 1) as f64;
        self.place(libm::ceil(chance * cells) as usize)
    }

    fn place(&self, place: usize) -> f64 {
        let last = self.costs.len().saturating_sub(1);
        let at = place.saturating_sub(1).min(last);
        self.costs.get(at).copied().unwrap_or(0.0)
    }

    /// The mean; 0 of nothing.
    pub(super) fn mean(&self) -> f64 {
        self.costs.iter().sum::<f64>() / self.costs.len().max(1) as f64
    }
}

fn size(bytes: u64) -> f64 {
    libm::log(bytes.max(1) as f64)
}

impl Line {
    fn through(points: &[(f64, f64)]) -> Option<Self> {
        let n = points.len() as f64;
        let sum = |part: fn(&(f64, f64)) -> f64| points.iter().map(part).sum::<f64>();
        let centre = (sum(|point| point.0) / n, sum(|point| point.1) / n);
        let (mut spread, mut joint) = (0.0, 0.0);
        for (x, y) in points {
            spread += (x - centre.0) * (x - centre.0);
            joint += (x - centre.0) * (y - centre.1);
        }
        // Sizes that differ by rounding alone span no line.
        (points.len() > 2 && spread > 1e-9 * n).then(|| Self {
            centre,
            slope: joint / spread,
            spread,
            points: n,
        })
    }

    fn at(&self, x: f64) -> f64 {
        self.centre.1 + self.slope * (x - self.centre.0)
    }

    /// Costs grow with the size, not faster than its square, and not by chance alone.
    fn is_clear(&self, points: &[(f64, f64)]) -> bool {
        let squares = points.iter().map(|&(x, y)| {
            let beside = y - self.at(x);
            beside * beside
        });
        let variance = squares.sum::<f64>() / (self.points - 2.0);
        let error = libm::sqrt(variance / self.spread);
        self.slope > CLEAR * error && self.slope <= 2.0
    }

    /// How far the point lies from the line through all others: the step that is forecast takes no part in the line either.
    fn residual(&self, x: f64, y: f64) -> f64 {
        let beside = x - self.centre.0;
        let leverage = 1.0 / self.points + beside * beside / self.spread;
        // One point alone at its size draws the line to itself: then nothing is known of it.
        (y - self.at(x)) / (1.0 - leverage).max(0.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(costs: impl IntoIterator<Item = (u64, i64)>) -> Vec<Past> {
        let past = |(bytes, nano)| Past {
            bytes,
            charged: Credits::from_nano(nano),
        };
        costs.into_iter().map(past).collect()
    }

    #[test]
    fn costs_that_grow_with_the_size_are_brought_to_the_size_in_hand() {
        let linear = past((1..=40).map(|i| (i * 1_000, i as i64 * 5_000_000)));
        let scaled = Scaled::to(100_000, &linear);
        assert!((scaled.exponent.unwrap_or(0.0) - 1.0).abs() < 1e-9);
        assert!(
            scaled
                .costs
                .iter()
                .all(|cost| (cost / 500_000_000.0 - 1.0).abs() < 1e-6)
        );
    }

    #[test]
    fn where_size_tells_nothing_the_costs_stay_as_they_were() {
        let one_size = past((1..=40).map(|i| (1_000, i)));
        let scaled = Scaled::to(1_000_000, &one_size);
        assert_eq!(scaled.exponent, None);
        assert!((scaled.quantile(19) - 39.0).abs() < 1e-9, "the 39th of 41");
        let falling = past((1..=40).map(|i| (i * 1_000, 1_000_000 / i as i64)));
        assert_eq!(Scaled::to(1, &falling).exponent, None);
    }

    #[test]
    fn what_cost_nothing_costs_nothing_at_any_size() {
        let half = past((1..=40).map(|i| (i * 1_000, if i % 2 == 0 { 0 } else { i as i64 })));
        let scaled = Scaled::to(1_000_000, &half);
        assert_eq!(scaled.costs.iter().filter(|cost| **cost == 0.0).count(), 20);
        assert!(scaled.costs[39] > 500.0);
    }

    #[test]
    fn a_quantile_is_that_place_among_all_and_the_one_to_come() {
        let hundred = past((1..=99).map(|i| (1, i)));
        let scaled = Scaled::to(1, &hundred);
        assert_eq!((scaled.quantile(19), scaled.quantile(1)), (95.0, 5.0));
        assert_eq!((scaled.draw(0.9499), scaled.draw(0.9999)), (95.0, 99.0));
        let few = Scaled::to(1, &past((1..=5).map(|i| (1, i))));
        assert_eq!(
            few.quantile(19),
            5.0,
            "the largest, for want of a larger one"
        );
    }
}
