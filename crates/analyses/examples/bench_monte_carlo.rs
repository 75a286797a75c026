//! Times the Monte Carlo analysis: `cargo run --release -p analyses --example bench_monte_carlo [trials] [activities]`.
//!
//! Prints the median of nine rounds; the target is that of 20,000 trials over 50 activities.

#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::time::Instant;

use analyses::network::untangle;
use analyses::pert::Pert;
use analyses::simulate::simulate;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<usize>().ok());
    let (trials, activities) = (
        numbers.next().unwrap_or(20_000),
        numbers.next().unwrap_or(50),
    );
    // Each activity waits for one about a third of the way back, every other one for the one before it too.
    let edges: Vec<(usize, usize)> = (1..activities)
        .flat_map(|i| [(i * 2 / 3, i), (i - 1, if i % 2 == 0 { i } else { i - 1 })])
        .collect();
    let network = untangle(activities, &edges).network;
    let durations: Vec<Pert> = (0..activities)
        .map(|i| {
            let mode = 5.0 + (i * 7 % 31) as f64;
            Pert::new(mode * 0.7, mode, mode * (1.3 + (i % 5) as f64 * 0.3), 4.0)
        })
        .collect();
    let mut rounds: Vec<f64> = (0..9)
        .map(|round| {
            let begun = Instant::now();
            let made = simulate(&network, &durations, trials, round);
            assert_eq!(made.network.len(), trials);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("bench monte-carlo-best-of-9 {:.1} ms", rounds[0]);
    println!(
        "bench monte-carlo-{trials}x{activities} {:.1} ms target <=200",
        rounds[4]
    );
}
