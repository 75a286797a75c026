//! The Beta-PERT distribution of a duration: its moments, and exact draws from it.

use crate::generator::Generator;

/// A duration between `min` and `max` days, most likely `mode`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pert {
    /// The least days.
    pub min: f64,
    /// The most likely days.
    pub mode: f64,
    /// The most days.
    pub max: f64,
    /// The weight of the mode; 4 is the classical one, 0 makes the distribution uniform.
    pub lambda: f64,
}

impl Pert {
    /// The distribution of three estimates; they are put in order, so that the mode lies between the bounds.
    pub fn new(min: f64, mode: f64, max: f64, lambda: f64) -> Self {
        let (low, high) = (min.min(max).min(mode), max.max(min).max(mode));
        Self {
            min: low,
            mode: mode.clamp(low, high),
            max: high,
            lambda,
        }
    }

    /// Whether nothing is left to chance.
    pub fn fixed(&self) -> bool {
        self.max <= self.min
    }

    /// The shape parameters alpha and beta. Both are at least 1.
    pub fn shapes(&self) -> (f64, f64) {
        let width = self.max - self.min;
        (
            1.0 + self.lambda * (self.mode - self.min) / width,
            1.0 + self.lambda * (self.max - self.mode) / width,
        )
    }

    /// The mean: `(min + lambda mode + max) / (lambda + 2)`.
    pub fn mean(&self) -> f64 {
        (self.min + self.lambda * self.mode + self.max) / (self.lambda + 2.0)
    }

    /// The standard deviation: `sqrt((mean - min)(max - mean) / (lambda + 3))`.
    pub fn sd(&self) -> f64 {
        libm::sqrt(
            ((self.mean() - self.min) * (self.max - self.mean()) / (self.lambda + 3.0)).max(0.0),
        )
    }

    /// What is needed to draw from this distribution, reckoned once.
    pub fn sampler(&self) -> Sampler {
        if self.fixed() {
            return Sampler {
                min: self.min,
                width: 0.0,
                shape: Shape::Fixed,
            };
        }
        let (alpha, beta) = self.shapes();
        let shape = if alpha <= 1.0 {
            Shape::Falling { power: 1.0 / beta }
        } else if beta <= 1.0 {
            Shape::Rising { power: 1.0 / alpha }
        } else {
            Shape::Cheng(Cheng::new(alpha, beta))
        };
        Sampler {
            min: self.min,
            width: self.max - self.min,
            shape,
        }
    }
}

/// Draws durations of one [`Pert`].
#[derive(Clone, Debug)]
pub struct Sampler {
    min: f64,
    width: f64,
    shape: Shape,
}

#[derive(Clone, Debug)]
enum Shape {
    /// No width: nothing is drawn.
    Fixed,
    /// alpha = 1: the distribution function `1 - (1 - x)^beta` is inverted.
    Falling { power: f64 },
    /// beta = 1: the distribution function `x^alpha` is inverted.
    Rising { power: f64 },
    /// Both above 1: rejection.
    Cheng(Cheng),
}

impl Sampler {
    /// One duration, in days.
    pub fn draw(&self, generator: &mut Generator) -> f64 {
        let x = match &self.shape {
            Shape::Fixed => return self.min,
            Shape::Falling { power } => 1.0 - libm::pow(generator.uniform(), *power),
            Shape::Rising { power } => libm::pow(generator.uniform(), *power),
            Shape::Cheng(cheng) => cheng.draw(generator),
        };
        self.min + self.width * x
    }
}

/// Algorithm BB of R. Cheng (1978), "Generating beta variates with nonintegral shape parameters": exact for shapes above 1.
#[derive(Clone, Debug)]
struct Cheng {
    smaller: f64,
    larger: f64,
    sum: f64,
    scale: f64,
    gamma: f64,
    swapped: bool,
}

impl Cheng {
    fn new(alpha: f64, beta: f64) -> Self {
        let (smaller, larger, sum) = (alpha.min(beta), alpha.max(beta), alpha + beta);
        let scale = libm::sqrt((sum - 2.0) / (2.0 * smaller * larger - sum));
        Self {
            smaller,
            larger,
            sum,
            scale,
            gamma: smaller + 1.0 / scale,
            swapped: alpha > beta,
        }
    }

    fn draw(&self, generator: &mut Generator) -> f64 {
        const LOG_4: f64 = 1.386_294_361_119_890_6;
        const ONE_AND_LOG_5: f64 = 2.609_437_912_434_100_3;
        loop {
            let (u, other) = (generator.uniform(), generator.uniform());
            let v = self.scale * libm::log(u / (1.0 - u));
            let w = self.smaller * libm::exp(v);
            let z = u * u * other;
            let r = self.gamma * v - LOG_4;
            let s = self.smaller + r - w;
            // The first two tests are cheap and sure; the third is the exact one.
            let accepted = s + ONE_AND_LOG_5 >= 5.0 * z || {
                let log_z = libm::log(z);
                s >= log_z || r + self.sum * libm::log(self.sum / (self.larger + w)) >= log_z
            };
            if accepted {
                let part = if self.swapped { self.larger } else { w };
                return part / (self.larger + w);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(pert: Pert, count: usize) -> Vec<f64> {
        let (sampler, mut generator) = (pert.sampler(), Generator::new(11));
        let mut drawn: Vec<f64> = (0..count).map(|_| sampler.draw(&mut generator)).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    /// The regularised incomplete beta function, by Simpson's rule over the density: slow, simple, and not the code under test.
    fn beta_cdf(alpha: f64, beta: f64, x: f64) -> f64 {
        let density = |t: f64| libm::pow(t, alpha - 1.0) * libm::pow(1.0 - t, beta - 1.0);
        let area = |to: f64| {
            let n = 20_000;
            let h = to / f64::from(n);
            let inner: f64 = (1..n)
                .map(|i| density(f64::from(i) * h) * if i % 2 == 0 { 2.0 } else { 4.0 })
                .sum();
            (density(0.0) + inner + density(to)) * h / 3.0
        };
        area(x) / area(1.0)
    }

    #[test]
    fn draws_follow_the_exact_distribution_function() {
        // Symmetric, skewed either way, nearly at a bound, at a bound (inversion), uniform.
        for (mode, lambda) in [
            (0.5, 4.0),
            (0.2, 4.0),
            (0.8, 4.0),
            (0.01, 4.0),
            (0.0, 4.0),
            (1.0, 4.0),
            (0.3, 0.0),
            (0.3, 12.0),
        ] {
            let pert = Pert::new(0.0, mode, 1.0, lambda);
            let (alpha, beta) = pert.shapes();
            let drawn = draws(pert, 40_000);
            for i in 1..40 {
                let x = f64::from(i) / 40.0;
                let share = drawn.partition_point(|&d| d <= x) as f64 / 40_000.0;
                // Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed in all but one of a thousand samples.
                let gap = (share - beta_cdf(alpha, beta, x)).abs();
                assert!(gap < 0.00975, "mode {mode} lambda {lambda} at {x}: {gap}");
            }
        }
    }

    #[test]
    fn moments_are_those_of_the_formula_and_of_the_draws() {
        let pert = Pert::new(2.0, 4.0, 12.0, 4.0);
        assert!((pert.mean() - 5.0).abs() < 1e-12);
        // alpha 1.8, beta 4.2: variance = 100 * 1.8 * 4.2 / (36 * 7) = 3.
        assert!((pert.sd() - 3.0_f64.sqrt()).abs() < 1e-12);
        let drawn = draws(pert, 100_000);
        let mean = drawn.iter().sum::<f64>() / 1e5;
        assert!((mean - 5.0).abs() < 0.03, "{mean}");
        assert!(drawn.iter().all(|&d| (2.0..=12.0).contains(&d)));
    }

    #[test]
    fn estimates_out_of_order_are_put_in_order_and_equal_ones_are_fixed() {
        assert_eq!(
            Pert::new(9.0, 4.0, 3.0, 4.0),
            Pert {
                min: 3.0,
                mode: 4.0,
                max: 9.0,
                lambda: 4.0
            }
        );
        let fixed = Pert::new(5.0, 5.0, 5.0, 4.0);
        assert!(fixed.fixed() && fixed.sd() == 0.0);
        assert_eq!(draws(fixed, 3), [5.0, 5.0, 5.0]);
    }
}
