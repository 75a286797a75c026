//! The critical path method: when each activity may start, when it must, and what lies between.

use std::collections::BTreeSet;

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
    let (follows, chains) = (&follows, &chains);
    let next = |i: usize| {
        network.successors[i]
            .iter()
            .copied()
            .filter(move |&s| follows(i, s) && chains[s] > 0)
    };
    (first_chains(&starts, next, listed), total)
}

/// The first `listed` walks from the starts to where there is no next, in order. One path is kept, not one for each branch.
fn first_chains<I>(starts: &[usize], next: impl Fn(usize) -> I, listed: usize) -> Vec<Vec<usize>>
where
    I: Iterator<Item = usize>,
{
    let mut found = Vec::new();
    for &start in starts {
        let (mut path, mut open) = (vec![start], vec![next(start)]);
        let mut at_end = true;
        while found.len() < listed {
            let Some(last) = open.last_mut() else { break };
            if let Some(child) = last.next() {
                path.push(child);
                open.push(next(child));
                at_end = true;
                continue;
            }
            // Nothing follows: the end of a chain, unless we came back to it from one.
            if std::mem::take(&mut at_end) {
                found.push(path.clone());
            }
            path.pop();
            open.pop();
        }
    }
    found
}

/// Counting stops here: a plan with a million equal chains has said enough.
pub const CHAINS_MAX: u64 = 1_000_000;

/// Of each activity the lane (from 0) it is worked in when every activity starts as early as it can: activities by early
/// start, each in the first lane that is free by then. So few lanes are used as can be.
pub fn lanes(schedule: &Schedule) -> Vec<usize> {
    let times = &schedule.times;
    let mut by_start: Vec<usize> = (0..times.len()).collect();
    by_start.sort_by(|&a, &b| times[a].es.total_cmp(&times[b].es).then(a.cmp(&b)));
    let mut by_end = by_start.clone();
    let end = |i: usize| (times[i].ef, times[i].es);
    by_end.sort_by(|&a, &b| {
        let ((a_end, a_start), (b_end, b_start)) = (end(a), end(b));
        a_end
            .total_cmp(&b_end)
            .then(a_start.total_cmp(&b_start))
            .then(a.cmp(&b))
    });
    let mut lane_of = vec![usize::MAX; times.len()];
    let (mut free, mut lanes) = (BTreeSet::new(), 0);
    let mut ended = by_end.into_iter().peekable();
    for i in by_start {
        // One that has a lane and has ended gives it back. One of no duration may end before it has been given a lane.
        while let Some(done) =
            ended.next_if(|&e| times[e].ef <= times[i].es + TOLERANCE && lane_of[e] != usize::MAX)
        {
            free.insert(lane_of[done]);
        }
        lane_of[i] = free.pop_first().unwrap_or_else(|| {
            lanes += 1;
            lanes - 1
        });
    }
    lane_of
}

/// The greatest number of activities at work at one time, those of no duration not counted.
pub fn most_at_once(schedule: &Schedule) -> usize {
    let at_work = || {
        schedule
            .times
            .iter()
            .filter(|times| times.ef - times.es > TOLERANCE)
    };
    // At one moment ends come before starts.
    let mut changes: Vec<(f64, bool)> = at_work()
        .flat_map(|times| [(times.es + TOLERANCE, true), (times.ef, false)])
        .collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut now, mut most) = (0_usize, 0);
    for (_, starts) in changes {
        now = if starts {
            now + 1
        } else {
            now.saturating_sub(1)
        };
        most = most.max(now);
    }
    most
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
