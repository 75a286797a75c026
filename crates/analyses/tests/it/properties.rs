//! Properties over random networks and over plans that came to harm.

use std::sync::OnceLock;

use analyses::catalog::AnalysisError;
use analyses::cpm::{critical_chains, lanes, most_at_once, schedule};
use analyses::network::{Network, untangle};
use analyses::pert::Pert;
use analyses::simulate::simulate;
use analyses::statistics::quantile;
use planexe::plan::Plan;
use proptest::prelude::*;

use crate::plans::{perform_all_with, read, root};

/// Days of up to eight activities, and edges that only lead forward.
fn network() -> impl Strategy<Value = (Vec<f64>, Network)> {
    let days = prop::collection::vec((0_u32..20).prop_map(|d| f64::from(d) / 2.0), 1..9);
    (days, prop::collection::vec((0_usize..8, 0_usize..8), 0..16)).prop_map(|(days, pairs)| {
        let len = days.len();
        let forward = |(a, b): (usize, usize)| (a.min(b) % len, a.max(b) % len);
        let edges: Vec<_> = pairs
            .into_iter()
            .map(forward)
            .filter(|(a, b)| a < b)
            .collect();
        let network = untangle(len, &edges).network;
        (days, network)
    })
}

/// All paths from an activity to an end, by brute force.
fn paths(network: &Network, from: usize) -> Vec<Vec<usize>> {
    let mut found = Vec::new();
    for &next in &network.successors[from] {
        found.extend(
            paths(network, next)
                .into_iter()
                .map(|rest| [vec![from], rest].concat()),
        );
    }
    if found.is_empty() {
        vec![vec![from]]
    } else {
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_finish_is_the_longest_of_all_paths_and_slack_what_is_left((days, network) in network()) {
        let made = schedule(&network, &days);
        let all: Vec<Vec<usize>> = (0..days.len()).flat_map(|i| paths(&network, i)).collect();
        let length = |path: &Vec<usize>| path.iter().map(|&i| days[i]).sum::<f64>();
        let longest = all.iter().map(length).fold(0.0, f64::max);
        prop_assert!((made.finish - longest).abs() < 1e-9);
        for (i, times) in made.times.iter().enumerate() {
            let through = all.iter().filter(|path| path.contains(&i)).map(length).fold(0.0, f64::max);
            prop_assert!((times.total_slack - (longest - through)).abs() < 1e-9);
            prop_assert!(times.free_slack <= times.total_slack + 1e-9 && times.free_slack >= -1e-9);
        }
        let sum: f64 = days.iter().sum();
        prop_assert!(made.finish <= sum + 1e-9, "no network is later than one after another");
    }

    #[test]
    fn a_critical_chain_is_as_long_as_the_schedule_and_has_no_slack((days, network) in network()) {
        let made = schedule(&network, &days);
        let (chains, total) = critical_chains(&network, &made, 1000);
        prop_assert!(!chains.is_empty());
        prop_assert_eq!(chains.len() as u64, total.min(1000));
        for chain in &chains {
            let length: f64 = chain.iter().map(|&i| days[i]).sum();
            prop_assert!((length - made.finish).abs() < 1e-9);
            prop_assert!(chain.iter().all(|&i| made.times[i].critical()));
            prop_assert!(chain.windows(2).all(|pair| network.successors[pair[0]].contains(&pair[1])));
        }
    }

    #[test]
    fn no_two_activities_of_a_lane_are_at_work_at_once((days, network) in network()) {
        let made = schedule(&network, &days);
        let lane_of = lanes(&made);
        for i in 0..days.len() {
            for j in 0..i {
                let (a, b) = (made.times[i], made.times[j]);
                let apart = a.es >= b.ef - 1e-9 || b.es >= a.ef - 1e-9;
                prop_assert!(lane_of[i] != lane_of[j] || apart);
            }
        }
        prop_assert!(most_at_once(&made) <= lane_of.iter().max().map_or(0, |last| last + 1));
    }

    #[test]
    fn trials_are_ordered_and_the_waterfall_is_never_earlier((days, network) in network(), seed in any::<u64>()) {
        let perts: Vec<Pert> = days.iter().map(|&d| Pert::new(d * 0.5, d, d * 2.0, 4.0)).collect();
        let made = simulate(&network, &perts, 200, seed);
        let at = |share: f64| quantile(&made.network, share);
        prop_assert!(at(0.1) <= at(0.5) && at(0.5) <= at(0.8) && at(0.8) <= at(0.9));
        // Sorted samples keep the order that every single trial has.
        let pairs = made.network.iter().zip(&made.waterfall);
        prop_assert!(pairs.into_iter().all(|(network, waterfall)| *network <= waterfall + 1e-9));
        prop_assert!(made.criticality.iter().all(|share| (0.0..=1.0).contains(share)));
        prop_assert!(made.criticality.iter().any(|share| *share > 0.0));
    }
}

/// What may happen to a file.
#[derive(Clone, Debug)]
enum Harm {
    Gone,
    Cut(usize),
    Replaced(&'static str, &'static str),
    Filled(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let swaps = prop::sample::select(vec![
        ("\"days_", "\"tage_"),
        (": [", ": null, \"x\": ["),
        ("1", "-1"),
        ("2", "1e308"),
        ("\"", "\"\u{0}"),
        ("[", "{"),
        ("-", ""),
        ("a", "é"),
    ]);
    prop_oneof![
        Just(Harm::Gone),
        any::<usize>().prop_map(Harm::Cut),
        swaps.prop_map(|(from, to)| Harm::Replaced(from, to)),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Harm::Filled),
    ]
}

const HARMED: [&str; 9] = [
    "task_durations.json",
    "task_dependencies_raw.json",
    "wbs_project_level1_and_level2_and_level3.json",
    "identify_risks_raw.json",
    "premortem_raw.json",
    "project_plan_raw.json",
    "start_time.json",
    "currency_strategy_raw.json",
    "self_audit.md",
];

fn sample() -> &'static Plan {
    static SAMPLE: OnceLock<Plan> = OnceLock::new();
    SAMPLE.get_or_init(|| read(&root().join("examples/plans/harbour-ferry-solveig")))
}

fn harmed(which: &[(usize, Harm)]) -> Plan {
    let mut plan = sample().clone();
    for (at, harm) in which {
        let name = HARMED[at % HARMED.len()];
        let Some(artifact) = plan.artifacts.get_mut(name) else {
            continue;
        };
        let bytes = artifact.bytes.to_vec();
        artifact.bytes = match harm {
            Harm::Gone => {
                plan.artifacts.remove(name);
                continue;
            }
            Harm::Cut(place) => bytes[..place % bytes.len().max(1)].into(),
            Harm::Replaced(from, to) => String::from_utf8_lossy(&bytes)
                .replace(from, to)
                .into_bytes()
                .into(),
            Harm::Filled(bytes) => bytes.as_slice().into(),
        };
    }
    plan
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_harmed_plan_is_analysed_or_refused_by_name(which in prop::collection::vec((0_usize..9, harm()), 1..4)) {
        let few = [("trials".to_owned(), 50.into())].into_iter().collect();
        for (id, output) in perform_all_with(&harmed(&which), &few) {
            match output {
                Ok(_) | Err(AnalysisError::MissingInput(_)) => {}
                Err(error) => prop_assert!(false, "{id}: {error}"),
            }
        }
    }
}
