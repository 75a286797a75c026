//! Many trials of one network: how long it takes, dependencies alone and one after another.

use crate::generator::Generator;
use crate::network::Network;
use crate::pert::{Pert, Sampler};
use crate::statistics::{correlation, ranks};

/// Rank correlations are taken over this many trials at most: they are settled to two places by then, and the columns of
/// all activities must be kept for them.
pub const SENSITIVITY_TRIALS_MAX: usize = 20_000;

/// Durations kept for them, at most: 40 MB. A plan of very many activities is correlated over fewer trials.
const KEPT_MAX: usize = 5_000_000;

/// What the trials showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    /// Finishes by the dependency network, ascending, in days.
    pub network: Vec<f64>,
    /// Finishes one after another, ascending, in days.
    pub waterfall: Vec<f64>,
    /// Of each activity, the share of trials in which it was on a longest path of the network.
    pub criticality: Vec<f64>,
    /// Of each activity, the rank correlation of its duration with the network's finish; `None` when it does not vary.
    pub sensitivity: Vec<Option<f64>>,
    /// The same with the waterfall's finish.
    pub waterfall_sensitivity: Vec<Option<f64>>,
}

/// Draws every activity `trials` times, independently of each other, and reckons both finishes.
pub fn simulate(network: &Network, durations: &[Pert], trials: usize, seed: u64) -> Trials {
    let samplers: Vec<Sampler> = durations.iter().map(Pert::sampler).collect();
    let kept = trials
        .min(SENSITIVITY_TRIALS_MAX)
        .min(KEPT_MAX / samplers.len().max(1));
    let mut columns: Vec<Vec<f64>> = samplers.iter().map(|_| Vec::with_capacity(kept)).collect();
    let (mut by_network, mut by_waterfall) =
        (Vec::with_capacity(trials), Vec::with_capacity(trials));
    let mut on_path = vec![0_u64; samplers.len()];
    let mut trial = Trial::of(samplers.len());
    let mut generator = Generator::new(seed);
    for number in 0..trials {
        for (days, sampler) in trial.days.iter_mut().zip(&samplers) {
            *days = sampler.draw(&mut generator);
        }
        if number < kept {
            for (column, days) in columns.iter_mut().zip(&trial.days) {
                column.push(*days);
            }
        }
        by_network.push(trial.longest_path(network));
        by_waterfall.push(trial.days.iter().sum());
        for (count, critical) in on_path.iter_mut().zip(&trial.critical) {
            *count += u64::from(*critical);
        }
    }
    let (network_ranks, waterfall_ranks) =
        (ranks(&by_network[..kept]), ranks(&by_waterfall[..kept]));
    let columns: Vec<Option<Vec<f64>>> = columns
        .into_iter()
        .zip(durations)
        .map(|(column, pert)| (!pert.fixed()).then(|| ranks(&column)))
        .collect();
    let against = |finish: &[f64]| {
        columns
            .iter()
            .map(|column| {
                column
                    .as_ref()
                    .and_then(|column| correlation(column, finish))
            })
            .collect()
    };
    let (sensitivity, waterfall_sensitivity) = (against(&network_ranks), against(&waterfall_ranks));
    by_network.sort_unstable_by(f64::total_cmp);
    by_waterfall.sort_unstable_by(f64::total_cmp);
    Trials {
        network: by_network,
        waterfall: by_waterfall,
        criticality: on_path
            .iter()
            .map(|&count| count as f64 / trials.max(1) as f64)
            .collect(),
        sensitivity,
        waterfall_sensitivity,
    }
}

/// The room that one trial works in, used again by the next.
struct Trial {
    days: Vec<f64>,
    starts: Vec<f64>,
    ends: Vec<f64>,
    critical: Vec<bool>,
}

impl Trial {
    fn of(len: usize) -> Self {
        Self {
            days: vec![0.0; len],
            starts: vec![0.0; len],
            ends: vec![0.0; len],
            critical: vec![false; len],
        }
    }

    /// The finish of the network; marks the activities on a longest path. An early start IS the end of a predecessor, bit for
    /// bit, so that equality finds the path.
    fn longest_path(&mut self, network: &Network) -> f64 {
        for &i in &network.order {
            self.starts[i] = network.predecessors[i]
                .iter()
                .map(|&p| self.ends[p])
                .fold(0.0, f64::max);
            self.ends[i] = self.starts[i] + self.days[i];
        }
        let finish = self.ends.iter().copied().fold(0.0, f64::max);
        for &i in network.order.iter().rev() {
            self.critical[i] = self.ends[i] == finish
                || network.successors[i]
                    .iter()
                    .any(|&s| self.critical[s] && self.starts[s] == self.ends[i]);
        }
        finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::untangle;
    use crate::statistics::{mean, quantile, sd};

    const TRIALS: usize = 40_000;

    fn pert(min: f64, mode: f64, max: f64) -> Pert {
        Pert::new(min, mode, max, 4.0)
    }

    #[test]
    fn one_activity_has_the_mean_and_quantiles_of_its_own_distribution() {
        let trials = simulate(
            &untangle(1, &[]).network,
            &[pert(2.0, 4.0, 12.0)],
            TRIALS,
            5,
        );
        assert!((mean(&trials.network) - 5.0).abs() < 0.04);
        assert!((sd(&trials.network) - 3.0_f64.sqrt()).abs() < 0.03);
        assert_eq!(trials.network, trials.waterfall);
        assert_eq!(
            (trials.criticality[0], trials.sensitivity[0]),
            (1.0, Some(1.0))
        );
        // Mode at the least: F(x) = 1 - (1 - x)^5, so that the quantile at q is 1 - (1 - q)^(1/5).
        let falling = simulate(&untangle(1, &[]).network, &[pert(0.0, 0.0, 1.0)], TRIALS, 5);
        for share in [0.1, 0.5, 0.8, 0.9] {
            let exact = 1.0 - libm::pow(1.0 - share, 0.2);
            assert!(
                (quantile(&falling.network, share) - exact).abs() < 0.005,
                "{share}"
            );
        }
    }

    #[test]
    fn two_in_a_row_add_their_means_and_variances_and_two_abreast_take_the_longer() {
        let both = [pert(1.0, 2.0, 9.0), pert(3.0, 6.0, 9.0)];
        let row = simulate(&untangle(2, &[(0, 1)]).network, &both, TRIALS, 6);
        let variance = both.iter().map(|pert| pert.sd() * pert.sd()).sum::<f64>();
        assert!((mean(&row.network) - both[0].mean() - both[1].mean()).abs() < 0.05);
        assert!((sd(&row.network) - variance.sqrt()).abs() < 0.03);
        let abreast = simulate(&untangle(2, &[]).network, &both, TRIALS, 6);
        assert_eq!(abreast.waterfall, row.waterfall);
        assert!((abreast.criticality[0] + abreast.criticality[1] - 1.0).abs() < 1e-12);
        assert!(mean(&abreast.network) > 6.0 && mean(&abreast.network) < mean(&row.network));
    }

    #[test]
    fn two_uniforms_abreast_have_the_known_longest() {
        // The longer of two uniforms on 0..1 has mean 2/3 and distribution function x^2.
        let both = [Pert::new(0.0, 0.5, 1.0, 0.0); 2];
        let trials = simulate(&untangle(2, &[]).network, &both, TRIALS, 9);
        assert!((mean(&trials.network) - 2.0 / 3.0).abs() < 0.005);
        assert!((quantile(&trials.network, 0.5) - 0.5_f64.sqrt()).abs() < 0.006);
        assert!((trials.criticality[0] - 0.5).abs() < 0.01);
    }

    #[test]
    fn an_activity_that_can_never_matter_is_never_critical() {
        let trials = simulate(
            &untangle(2, &[]).network,
            &[pert(1.0, 2.0, 3.0), pert(10.0, 11.0, 20.0)],
            5_000,
            1,
        );
        assert_eq!(trials.criticality, [0.0, 1.0]);
        assert!(
            trials.sensitivity[0].is_some_and(|s| s.abs() < 0.05)
                && trials.sensitivity[1] == Some(1.0)
        );
    }

    #[test]
    fn a_seed_fixes_everything_and_another_seed_changes_it() {
        let durations = [pert(1.0, 2.0, 9.0), pert(2.0, 2.0, 2.0)];
        let network = untangle(2, &[(0, 1)]).network;
        assert_eq!(
            simulate(&network, &durations, 500, 3),
            simulate(&network, &durations, 500, 3)
        );
        assert_ne!(
            simulate(&network, &durations, 500, 3).network,
            simulate(&network, &durations, 500, 4).network
        );
        assert_eq!(simulate(&network, &durations, 500, 3).sensitivity[1], None);
    }
}
