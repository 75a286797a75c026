//! The sample plan: what its README says is wrong with it is found, and nothing else.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::plans::{Outputs, perform_all, read, root};

fn outputs() -> &'static Outputs {
    static OUTPUTS: OnceLock<Outputs> = OnceLock::new();
    OUTPUTS.get_or_init(|| perform_all(&read(&root().join("examples/plans/harbour-ferry-solveig"))))
}

fn of<'o>(outputs: &'o Outputs, id: &str) -> &'o Value {
    outputs[id]
        .as_ref()
        .unwrap_or_else(|error| panic!("{id}: {error}"))
}

/// `rule artifact pointer` of each finding.
fn findings(output: &Value) -> BTreeSet<String> {
    let told = |f: &Value| {
        let text = |key: &str| f[key].as_str().unwrap().to_owned();
        format!("{} {} {}", text("rule"), text("artifact"), text("pointer"))
            .trim_end()
            .to_owned()
    };
    output["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(told)
        .collect()
}

fn set(lines: &str) -> BTreeSet<String> {
    lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn lint_finds_every_planted_flaw_and_no_other() {
    let outputs = outputs();
    let lint = of(outputs, "plan-lint");
    let tree = "wbs_project_level1_and_level2_and_level3.json";
    let expected = format!(
        "deadline-vs-schedule project_plan_raw.json /smart_criteria/time_bound
        date-before-start self_audit.md line 58
        date-before-start self_audit.md line 157
        parent-shorter-than-child task_durations.json /24
        parent-vs-sum task_durations.json /18
        parent-vs-sum task_durations.json /24
        duration-order task_durations.json /15
        duration-order task_durations.json /37
        duration-missing task_durations.json /38
        duration-duplicate task_durations.json /41
        duration-without-task task_durations.json /42
        dependency-unknown task_dependencies_raw.json /task_dependency_details/20/depends_on_task_id_list/2
        dependency-backward task_dependencies_raw.json /task_dependency_details/4/depends_on_task_id_list/0
        dependency-cycle task_dependencies_raw.json /task_dependency_details/18/depends_on_task_id_list/0
        dependency-self task_dependencies_raw.json /task_dependency_details/21/depends_on_task_id_list/1
        dependency-duplicate task_dependencies_raw.json /task_dependency_details/10/depends_on_task_id_list/2
        dependency-explanations task_dependencies_raw.json /task_dependency_details/15
        name-duplicate {tree} /wbs_project/task_children/2/task_children/3/task_children/3
        name-duplicate {tree} /wbs_project/task_children/2/task_children/4/task_children/1
        currency-not-listed identify_risks_raw.json /risks/4/potential_impact
        rating-out-of-range premortem_raw.json /failure_modes/5/impact_5
        unreadable distill_assumptions_raw.json"
    );
    assert_eq!(findings(lint), set(&expected));
    let all_applied = lint["rules"]
        .as_array()
        .unwrap()
        .iter()
        .all(|rule| rule["applied"] == true);
    assert!(all_applied, "{}", lint["rules"]);
}

#[test]
fn the_inventory_finds_what_only_looks_whole() {
    let outputs = outputs();
    let inventory = of(outputs, "plan-inventory");
    let expected = "
        empty-list identified_documents_to_find.json
        placeholder-text pitch.md line 27
        empty-artifact questions_and_answers.html
        truncated-text distill_assumptions_raw.json
        missing-expected pitch_to_markdown_raw.json";
    assert_eq!(findings(inventory), set(expected));
    assert_eq!(
        (&inventory["kind"], &inventory["counts"]["phases"]),
        (&"complete".into(), &7.into())
    );
    assert_eq!(
        inventory["missing"],
        serde_json::json!(["pitch_to_markdown_raw.json"])
    );
    let states = |state: &str| {
        inventory["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|a| a["state"] == state)
            .count()
    };
    assert_eq!(
        (states("missing"), states("empty"), states("truncated")),
        (1, 1, 1)
    );
}

#[test]
fn the_schedule_is_the_one_its_author_reckoned() {
    let outputs = outputs();
    let path = of(outputs, "critical-path");
    assert_eq!(path["activities"].as_array().unwrap().len(), 34);
    assert_eq!(path["network"]["finishDays"], 393.0);
    assert_eq!(path["network"]["finishDate"], "2027-03-30");
    assert_eq!(path["waterfall"]["finishDays"], 1092.0);
    assert_eq!(path["criticalChains"][0].as_array().unwrap().len(), 13);
    assert_eq!(path["cycles"].as_array().unwrap().len(), 1);
    let dropped: BTreeSet<&str> = path["dropped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        dropped,
        BTreeSet::from(["cycle", "duplicate", "self", "unknown-id"])
    );
}

#[test]
fn the_deadline_is_met_by_the_dependencies_and_not_one_after_another() {
    let outputs = outputs();
    let deadline = &of(outputs, "schedule-monte-carlo")["deadline"];
    assert_eq!(deadline["highDays"], 426.13);
    assert!(
        deadline["chanceNetwork"].as_f64().unwrap() > 0.5,
        "{deadline}"
    );
    assert_eq!(deadline["chanceWaterfall"], 0.0);
}

#[test]
fn risks_without_a_usable_rating_are_ranked_last_and_said() {
    let outputs = outputs();
    let risk = of(outputs, "risk-exposure");
    assert_eq!(risk["counts"]["unrated"], 2);
    let items = risk["items"].as_array().unwrap();
    let last: Vec<&str> = items[items.len() - 2..]
        .iter()
        .map(|i| i["id"].as_str().unwrap())
        .collect();
    assert_eq!(last, ["F6", "F7"]);
    let scores: Vec<f64> = items.iter().filter_map(|i| i["score"].as_f64()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    let counted: u64 = risk["matrix"]["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted as usize, items.len() - 2);
}

#[test]
fn every_link_between_a_risk_and_an_activity_quotes_the_risk() {
    let outputs = outputs();
    for item in of(outputs, "risk-exposure")["items"].as_array().unwrap() {
        for link in item["links"].as_array().unwrap() {
            let quote = link["quote"].as_str().unwrap().to_lowercase();
            let term = link["terms"][0].as_str().unwrap();
            assert!(quote.contains(term), "{term}: {quote}");
        }
    }
}

#[test]
fn every_point_of_the_score_names_evidence_that_can_be_looked_up() {
    let outputs = outputs();
    let score = of(outputs, "readiness-score");
    assert_eq!(score["confidence"], 1.0);
    let components = score["components"].as_array().unwrap();
    assert_eq!(
        components
            .iter()
            .map(|c| c["of"].as_f64().unwrap())
            .sum::<f64>(),
        100.0
    );
    for component in components {
        assert!(
            !component["evidence"].as_array().unwrap().is_empty(),
            "{}",
            component["id"]
        );
        for evidence in component["evidence"].as_array().unwrap() {
            let Some(agent) = evidence["agent"].as_str() else {
                continue;
            };
            let stands = of(outputs, agent).pointer(evidence["pointer"].as_str().unwrap());
            assert!(stands.is_some(), "{evidence}");
            // Of a list its length is told.
            if !stands.unwrap().is_array() {
                assert_eq!(
                    stands.unwrap().as_f64(),
                    evidence["value"].as_f64(),
                    "{evidence}"
                );
            }
        }
    }
}
