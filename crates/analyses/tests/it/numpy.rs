//! The Monte Carlo analysis against NumPy, which shares no line with it.

use std::io::Write;
use std::process::{Command, Stdio};

use analyses::network::untangle;
use analyses::pert::Pert;
use analyses::simulate::simulate;
use analyses::statistics::{mean, quantile, sd};
use serde_json::{Value, json};

const TRIALS: usize = 100_000;

/// A Python that has NumPy; `None`, said aloud, where there is none.
fn python() -> Option<String> {
    let python = std::env::var("AFTERPLAN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import numpy"])
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        println!("SKIPPED: {python} has no NumPy; set AFTERPLAN_PYTHON to one that has");
        return None;
    }
    Some(python)
}

fn ask(python: &str, question: &Value) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/monte_carlo.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(question.to_string().as_bytes())
        .unwrap();
    let answer = child.wait_with_output().unwrap();
    assert!(answer.status.success());
    serde_json::from_slice(&answer.stdout).unwrap()
}

#[test]
fn finishes_and_criticality_agree_with_numpy() {
    let Some(python) = python() else { return };
    // Fifteen activities: skewed both ways, one with its mode at the least, one fixed; three rows that join.
    let estimates: Vec<(f64, f64, f64)> = (0..15)
        .map(|i| {
            let mode = 5.0 + f64::from(i * 7 % 11);
            match i {
                4 => (mode, mode, mode),
                9 => (mode, mode, mode * 2.0),
                _ => (mode * 0.6, mode, mode * (1.1 + f64::from(i % 4) * 0.4)),
            }
        })
        .collect();
    let edges: Vec<(usize, usize)> = (3..15)
        .map(|i| (i - 3, i))
        .chain([(0, 7), (4, 11), (8, 12), (10, 14)])
        .collect();
    let perts: Vec<Pert> = estimates
        .iter()
        .map(|&(a, m, b)| Pert::new(a, m, b, 4.0))
        .collect();
    let ours = simulate(&untangle(15, &edges).network, &perts, TRIALS, 20_26);
    let activities: Vec<Value> = estimates
        .iter()
        .map(|(a, m, b)| json!({ "min": a, "mode": m, "max": b }))
        .collect();
    let question = json!({ "activities": activities, "edges": edges, "lambda": 4, "trials": TRIALS, "seed": 1 });
    let theirs = ask(&python, &question);
    for (name, finishes) in [("network", &ours.network), ("waterfall", &ours.waterfall)] {
        let of = |key: &str| theirs[name][key].as_f64().unwrap();
        // Both are samples: the difference of two means has a standard deviation of sd * sqrt(2 / n); quantiles far from the
        // middle have up to twice that.
        let unit = of("sd") * (2.0 / TRIALS as f64).sqrt();
        let close = |a: f64, key: &str, units: f64| {
            assert!(
                (a - of(key)).abs() < units * unit,
                "{name} {key}: {a} and {}",
                of(key)
            );
        };
        close(mean(finishes), "mean", 5.0);
        close(sd(finishes), "sd", 5.0);
        for (share, key) in [(0.1, "p10"), (0.5, "p50"), (0.8, "p80"), (0.9, "p90")] {
            close(quantile(finishes, share), key, 10.0);
        }
    }
    for (i, share) in ours.criticality.iter().enumerate() {
        let theirs = theirs["criticality"][i].as_f64().unwrap();
        assert!(
            (share - theirs).abs() < 0.012,
            "activity {i}: {share} and {theirs}"
        );
    }
}
