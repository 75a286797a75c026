//! The five real plans, where they are at hand.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plan::{enrichments, files, json};
use crate::shell::Shell;

/// The zips of real plans; none, said aloud, where there are none.
pub fn plans() -> Vec<PathBuf> {
    let shared = std::env::var_os("AFTERPLAN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("plans");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut zips: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "zip"))
        .collect();
    zips.sort();
    if zips.is_empty() {
        println!("SKIPPED: real plans ({} has none)", folder.display());
    }
    zips
}

/// No panic, a status that says what happened, and each step that did not complete with its reason; the same bytes on two
/// fresh databases.
#[test]
fn every_real_plan_is_enriched_twice_to_the_same_bytes() {
    for plan in plans() {
        let enriched = || {
            let shell = Shell::new();
            let arguments = [
                "enrich",
                plan.to_str().unwrap(),
                "--json",
                "--seed",
                "11",
                "--out",
                "enriched",
            ];
            let answer = shell.call(&arguments);
            assert!(
                [0, 3].contains(&answer.exit),
                "{}: {answer}",
                plan.display()
            );
            assert!(!answer.err.contains("panicked"), "{answer}");
            let outcome: Value = serde_json::from_str(&answer.out).unwrap();
            let status = if answer.exit == 0 {
                "complete"
            } else {
                "partial"
            };
            assert_eq!(outcome["status"], status);
            for step in outcome["steps"].as_array().unwrap() {
                assert!(
                    step["state"] == "completed" || step["cause"].is_string(),
                    "{step}"
                );
            }
            for excluded in outcome["excluded"].as_array().unwrap() {
                assert!(
                    !excluded["reason"].as_str().unwrap().is_empty(),
                    "{excluded}"
                );
            }
            let found = files(&shell.at("enriched"));
            let manifest = json(&found, "enrichment_manifest.json");
            assert_eq!(manifest["plan"]["hash"], outcome["planHash"]);
            assert_eq!(shell.call(&["check"]).exit, 0);
            enrichments(&found)
        };
        let (first, second) = (enriched(), enriched());
        assert!(
            first.contains_key("enrichments/plan-inventory.json"),
            "{}",
            plan.display()
        );
        assert_eq!(
            first.keys().collect::<Vec<_>>(),
            second.keys().collect::<Vec<_>>()
        );
        for (path, bytes) in &first {
            assert!(
                second[path] == *bytes,
                "{path} of {} differs",
                plan.display()
            );
        }
    }
}
