//! The real plans: every analysis says something sane about each, twice the same.

use serde_json::Value;

use crate::plans::{Outputs, perform_all_with, read, shared};

fn of<'o>(outputs: &'o Outputs, id: &str) -> &'o Value {
    outputs[id]
        .as_ref()
        .unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// Waterfall and network finish in days, as an independent program reckons them from the files.
const FINISHES: [(&str, f64); 5] = [
    ("20250210_arxiv_distillation", 101.0),
    ("20250517_tea_eshop", 236.0),
    ("20251016_minecraft_escape", 363.0),
    ("20260308_sovereign_identity", 605.0),
    ("20260310_hong_kong_game", 1270.0),
];

#[test]
fn every_real_plan_is_analysed_without_an_error_and_twice_the_same() {
    let Some(shared) = shared() else { return };
    for (name, waterfall) in FINISHES {
        let plan = read(&shared.join(format!("{name}.zip")));
        let few = [("trials".to_owned(), 3_000.into())].into_iter().collect();
        let outputs = perform_all_with(&plan, &few);
        let again = perform_all_with(&plan, &few);
        let partial = name.starts_with("20250210");
        for (id, output) in &outputs {
            // The partial plan has neither risks nor a premortem.
            if partial && id == "risk-exposure" {
                assert!(output.is_err());
                continue;
            }
            let (first, second) = (output.as_ref().unwrap(), again[id].as_ref().unwrap());
            assert_eq!(first.to_string(), second.to_string(), "{name} {id}");
            assert!(
                first["summary"]
                    .as_str()
                    .is_some_and(|text| text.len() > 20),
                "{name} {id}"
            );
            println!("{name} {id}: {}", first["summary"].as_str().unwrap());
        }
        let path = of(&outputs, "critical-path");
        assert_eq!(path["waterfall"]["finishDays"], waterfall, "{name}");
        let network = path["network"]["finishDays"].as_f64().unwrap();
        assert!(network > 0.0 && network < waterfall, "{name}: {network}");
        let monte_carlo = of(&outputs, "schedule-monte-carlo");
        assert!(
            monte_carlo["network"]["p50"].as_f64().unwrap() >= network * 0.7,
            "{name}"
        );
        let score = of(&outputs, "readiness-score");
        assert!(
            (0.0..=100.0).contains(&score["score"].as_f64().unwrap()),
            "{name}"
        );
    }
}
