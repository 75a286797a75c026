//! Names, bytes and the manifest of what is written out.

use std::collections::BTreeMap;

use domain::values::hash::ContentHash;
use domain::values::time::{Millis, Timestamp};
use report::files::files;
use serde_json::Value;

use crate::sample::{sample, without};

fn by_path(plan: &report::enriched::EnrichedPlan) -> BTreeMap<String, Vec<u8>> {
    files(plan)
        .into_iter()
        .map(|file| (file.path, file.bytes))
        .collect()
}

#[test]
fn an_enriched_plan_has_a_file_for_each_enrichment_and_three_more() {
    let names: Vec<String> = files(&sample()).into_iter().map(|file| file.path).collect();
    assert_eq!(
        names,
        [
            "enrichment_manifest.json",
            "enrichment_report.html",
            "enrichments/critical-path.json",
            "enrichments/plan-inventory.json",
            "enrichments/plan-lint.json",
            "enrichments/readiness-score.json",
            "enrichments/risk-exposure.json",
            "enrichments/schedule-monte-carlo.json",
            "plan_summary.json",
        ]
    );
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    assert_eq!(files(&sample()), files(&sample()));
}

#[test]
fn an_enrichment_file_does_not_know_when_where_or_at_what_cost() {
    let first = by_path(&sample());
    let mut later = sample();
    later.orchestration.id = "0193a7c0-0000-7000-8000-00000000ffff".to_owned();
    later.orchestration.created = Timestamp(0);
    for entry in &mut later.enrichments {
        entry.started = Some(Timestamp(5));
        entry.ended = Some(Timestamp(5) + Millis(9));
        entry.attempts = 3;
        entry.cost = "0.25".parse().unwrap();
        entry.reused_from = Some("0193a7c0-0000-7000-8000-00000000eeee".to_owned());
    }
    let second = by_path(&later);
    for (path, bytes) in first
        .iter()
        .filter(|(path, _)| path.starts_with("enrichments/"))
    {
        assert_eq!(bytes, &second[path], "{path}");
        assert!(bytes.ends_with(b"\n"));
    }
    assert_ne!(
        first["enrichment_manifest.json"],
        second["enrichment_manifest.json"]
    );
}

#[test]
fn keys_stand_in_order_at_every_depth() {
    let mut plan = sample();
    plan.enrichments[0].data =
        serde_json::from_str(r#"{"b":[{"z":1,"a":2}],"a":{"y":1,"x":2}}"#).unwrap();
    let text =
        String::from_utf8(by_path(&plan)["enrichments/plan-inventory.json"].clone()).unwrap();
    let order: Vec<usize> = [
        "\"agent\"",
        "\"data\"",
        "\"x\"",
        "\"y\"",
        "\"z\"",
        "\"inputHash\"",
        "\"status\"",
        "\"version\"",
    ]
    .iter()
    .map(|key| text.find(key).unwrap())
    .collect();
    assert!(order.is_sorted(), "{text}");
}

#[test]
fn the_manifest_names_every_file_with_the_hash_of_its_bytes() {
    let files = by_path(&sample());
    let manifest: Value = serde_json::from_slice(&files["enrichment_manifest.json"]).unwrap();
    let entries = manifest["enrichments"].as_array().unwrap();
    assert_eq!(entries.len(), 6);
    for entry in entries {
        let path = entry["file"].as_str().unwrap();
        assert_eq!(
            entry["sha256"],
            ContentHash::of(&files[path]).to_string(),
            "{path}"
        );
        let written: Value = serde_json::from_slice(&files[path]).unwrap();
        let data = domain::canonical::hash(&written["data"]).unwrap();
        assert_eq!(entry["dataHash"], data.to_string(), "{path}");
    }
    assert_eq!(
        manifest["summary"]["sha256"],
        ContentHash::of(&files["plan_summary.json"]).to_string()
    );
    assert_eq!(
        manifest["plan"]["artifacts"][1]["path"],
        "022-2-task_durations.json"
    );
    assert_eq!(
        manifest["orchestration"]["createdAt"],
        "2026-11-23T09:30:00.000Z"
    );
    assert_eq!(manifest["excluded"][0]["agent"], "supplier-check");
    assert_eq!(manifest["notCompleted"], Value::Array(Vec::new()));
}

#[test]
fn the_manifest_says_what_did_not_complete_and_why() {
    let plan = without(
        "risk-exposure",
        "skipped",
        "missing_input: identify_risks_raw.json",
    );
    let manifest: Value =
        serde_json::from_slice(&by_path(&plan)["enrichment_manifest.json"]).unwrap();
    let open = &manifest["notCompleted"][0];
    assert_eq!(
        (open["agent"].as_str(), open["state"].as_str()),
        (Some("risk-exposure"), Some("skipped"))
    );
    assert_eq!(open["cause"], "missing_input: identify_risks_raw.json");
}

#[test]
fn an_agent_id_cannot_lead_out_of_its_folder() {
    assert_eq!(
        report::files::path_of("../../etc/passwd"),
        "enrichments/_.._etc_passwd.json"
    );
}
