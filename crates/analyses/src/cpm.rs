//! The critical path method: when each activity may start, when it must, and what lies between.

use crate::network::Network;

/// Differences up to this many days are rounding errors.
pub const TOLERANCE: f64 = 1e-9;

/// The times of one activity, in days from the start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Earliest start.
    pub es: f64,
    /// Earliest finish.
    pub ef: f64,
    /// Latest start that does not delay the finish.
    pub ls: f64,
    /// Latest finish that does not delay the finish.
    pub lf: f64,
    /// Days it may slip without delaying the finish.
    pub total_slack: f64,
    /// Days it may slip without delaying any other activity.
    pub free_slack: f64,
}

impl Times {
    /// Whether a delay of this activity delays the finish.
    pub fn critical(&self) -> bool {
        self.total_slack.abs() <= TOLERANCE
    }
}

/// The whole network's times.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Of each activity.
    pub times: Vec<Times>,
    /// Days to the last finish.
    pub finish: f64,
}

/// Forward pass, then backward pass, over `days` of each activity.
pub fn schedule(network: &Network, days: &[f64]) -> Schedule {
    let len = network.order.len();
    let (mut es, mut ef) = (vec![0.0; len], vec![0.0; len]);
    for &i in &network.order {
        es[i] = network.predecessors[i]
            .iter()
            .map(|&p| ef[p])
            .fold(0.0, f64::max);
        ef[i] = es[i] + days[i];
    }
    let finish = ef.iter().copied().fold(0.0, f64::max);
    let mut ls = vec![finish; len];
    let mut times = vec![
        Times {
            es: 0.0,
            ef: 0.0,
            ls: 0.0,
            lf: 0.0,
            total_slack: 0.0,
            free_slack: 0.0
        };
        len
    ];
    for &i in network.order.iter().rev() {
        let lf = network.successors[i]
            .iter()
            .map(|&s| ls[s])
            .fold(finish, f64::min);
        ls[i] = lf - days[i];
        let next = network.successors[i]
            .iter()
            .map(|&s| es[s])
            .fold(f64::INFINITY, f64::min);
        let free = if next.is_finite() {
            next - ef[i]
        } else {
            finish - ef[i]
        };
        times[i] = Times {
            es: es[i],
            ef: ef[i],
            ls: ls[i],
            lf,
            total_slack: ls[i] - es[i],
            free_slack: free,
        };
    }
    Schedule { times, finish }
}

/// The chains of critical activities that reach from a start to the finish: the first `listed` of them, and how many there
/// are (no further than [`CHAINS_MAX`]).
pub fn critical_chains(
    network: &Network,
    schedule: &Schedule,
    listed: usize,
) -> (Vec<Vec<usize>>, u64) {
    let times = &schedule.times;
    let near = |a: f64, b: f64| (a - b).abs() <= TOLERANCE;
    let follows = |a: usize, b: usize| times[b].critical() && near(times[a].ef, times[b].es);
    let ends = |i: usize| near(times[i].ef, schedule.finish);
    // Counted from the end: a chain through i is a chain from one of its successors, and one more when i can be the last.
    let mut chains = vec![0_u64; times.len()];
    for &i in network.order.iter().rev().filter(|&&i| times[i].critical()) {
        let on: u64 = network.successors[i]
            .iter()
            .filter(|&&s| follows(i, s))
            .map(|&s| chains[s])
            .sum();
        let last = on == 0 && ends(i);
        chains[i] = (on + u64::from(last)).min(CHAINS_MAX);
    }
    let starts: Vec<usize> = (0..times.len())
        .filter(|&i| {
            chains[i] > 0
                && network.predecessors[i]
                    .iter()
                    .all(|&p| !(times[p].critical() && follows(p, i)))
        })
        .collect();
    let total = starts
        .iter()
        .map(|&i| chains[i])
        .fold(0, u64::saturating_add)
        .min(CHAINS_MAX);
    let mut found = Vec::new();
    let mut open: Vec<Vec<usize>> = starts.iter().rev().map(|&i| vec![i]).collect();
    while let Some(chain) = open.pop() {
        if found.len() == listed {
            break;
        }
        let Some(&last) = chain.last() else { continue };
        let on: Vec<usize> = network.successors[last]
            .iter()
            .copied()
            .filter(|&s| follows(last, s) && chains[s] > 0)
            .collect();
        if on.is_empty() {
            found.push(chain);
            continue;
        }
        open.extend(
            on.into_iter()
                .rev()
                .map(|s| [chain.as_slice(), &[s]].concat()),
        );
    }
    (found, total)
}

/// Counting stops here: a plan with a million equal chains has said enough.
pub const CHAINS_MAX: u64 = 1_000_000;

/// Of each activity the lane (from 0) it is worked in when every activity starts as early as it can: activities by early
/// start, each in the first lane that is free by then. So few lanes are used as can be.
pub fn lanes(schedule: &Schedule) -> Vec<usize> {
    let times = &schedule.times;
    let mut by_start: Vec<usize> = (0..times.len()).collect();
    by_start.sort_by(|&a, &b| times[a].es.total_cmp(&times[b].es).then(a.cmp(&b)));
    let mut lane_of = vec![0; times.len()];
    let mut free_from: Vec<f64> = Vec::new();
    for i in by_start {
        let free = free_from
            .iter()
            .position(|&end| end <= times[i].es + TOLERANCE);
        let lane = free.unwrap_or_else(|| {
            free_from.push(0.0);
            free_from.len() - 1
        });
        free_from[lane] = times[i].ef;
        lane_of[i] = lane;
    }
    lane_of
}

/// The greatest number of activities at work at one time, those of no duration not counted.
pub fn most_at_once(schedule: &Schedule) -> usize {
    let at_work = |t: &&Times| t.ef - t.es > TOLERANCE;
    let begun = |now: f64| {
        schedule
            .times
            .iter()
            .filter(at_work)
            .filter(|t| t.es <= now + TOLERANCE && t.ef > now + TOLERANCE)
            .count()
    };
    schedule
        .times
        .iter()
        .filter(at_work)
        .map(|t| begun(t.es))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::untangle;

    /// The textbook case, reckoned by hand:
    /// A3 -> B4 -> D5, A3 -> C2 -> D5, C2 -> E1. Finish 12 over A, B, D.
    fn textbook() -> (Network, Schedule) {
        let network = untangle(5, &[(0, 1), (0, 2), (1, 3), (2, 3), (2, 4)]).network;
        let schedule = schedule(&network, &[3.0, 4.0, 2.0, 5.0, 1.0]);
        (network, schedule)
    }

    #[test]
    fn times_and_slack_are_those_of_the_hand_reckoned_case() {
        let (_, schedule) = textbook();
        let row = |i: usize| {
            let t = schedule.times[i];
            [t.es, t.ef, t.ls, t.lf, t.total_slack, t.free_slack]
        };
        assert_eq!(schedule.finish, 12.0);
        assert_eq!(row(0), [0.0, 3.0, 0.0, 3.0, 0.0, 0.0]);
        assert_eq!(row(1), [3.0, 7.0, 3.0, 7.0, 0.0, 0.0]);
        assert_eq!(row(2), [3.0, 5.0, 5.0, 7.0, 2.0, 0.0]);
        assert_eq!(row(3), [7.0, 12.0, 7.0, 12.0, 0.0, 0.0]);
        assert_eq!(row(4), [5.0, 6.0, 11.0, 12.0, 6.0, 6.0]);
    }

    #[test]
    fn the_critical_chain_reaches_from_the_start_to_the_finish() {
        let (network, schedule) = textbook();
        assert_eq!(
            critical_chains(&network, &schedule, 10),
            (vec![vec![0, 1, 3]], 1)
        );
    }

    #[test]
    fn equal_chains_are_all_counted_and_a_few_listed() {
        // Two diamonds of equal arms in a row: 2 x 2 chains.
        let edges = [
            (0, 1),
            (0, 2),
            (1, 3),
            (2, 3),
            (3, 4),
            (3, 5),
            (4, 6),
            (5, 6),
        ];
        let network = untangle(7, &edges).network;
        let schedule = schedule(&network, &[1.0; 7]);
        let (listed, total) = critical_chains(&network, &schedule, 3);
        assert_eq!(total, 4);
        assert_eq!(
            listed,
            [
                vec![0, 1, 3, 4, 6],
                vec![0, 1, 3, 5, 6],
                vec![0, 2, 3, 4, 6]
            ]
        );
    }

    #[test]
    fn without_dependencies_the_longest_activity_is_the_chain_and_all_are_worked_at_once() {
        let network = untangle(3, &[]).network;
        let schedule = schedule(&network, &[2.0, 5.0, 5.0]);
        assert_eq!(
            critical_chains(&network, &schedule, 10),
            (vec![vec![1], vec![2]], 2)
        );
        assert_eq!(lanes(&schedule), [0, 1, 2]);
        assert_eq!(most_at_once(&schedule), 3);
    }

    #[test]
    fn a_lane_is_used_again_once_it_is_free() {
        let (_, schedule) = textbook();
        // A, then B beside C, then E behind C, then D behind whichever lane is free.
        assert_eq!(lanes(&schedule), [0, 0, 1, 0, 1]);
        assert_eq!(most_at_once(&schedule), 2);
    }

    #[test]
    fn an_empty_network_ends_at_once() {
        let network = untangle(0, &[]).network;
        let schedule = schedule(&network, &[]);
        assert_eq!(
            (
                schedule.finish,
                critical_chains(&network, &schedule, 10),
                most_at_once(&schedule)
            ),
            (0.0, (vec![], 0), 0)
        );
    }
}
