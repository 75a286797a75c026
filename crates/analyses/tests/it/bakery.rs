//! A small plan without a flaw: how to open a bakery.

use std::collections::BTreeMap;

use planexe::plan::Plan;
use serde_json::{Value, json};

use crate::plans::plan;

/// Artifacts by name.
pub type Files = BTreeMap<&'static str, Value>;

/// Where the durations stand.
pub const DURATIONS: &str = "task_durations.json";
/// Where the dependencies stand.
pub const DEPENDENCIES: &str = "task_dependencies_raw.json";
/// Where the work breakdown stands.
pub const TREE: &str = "wbs_project_level1_and_level2_and_level3.json";

fn task(id: &str, name: &str, children: Vec<Value>) -> Value {
    json!({ "id": id, "description": name, "extra_fields": {}, "task_children": children })
}

/// An estimate.
pub fn duration(id: &str, min: i64, realistic: i64, max: i64) -> Value {
    json!({ "task_id": id, "days_min": min, "days_realistic": realistic, "days_max": max,
            "delay_risks": "rain", "mitigation_strategy": "wait" })
}

/// A dependency.
pub fn waits(dependent: &str, depends_on: &[&str]) -> Value {
    json!({ "dependent_task_id": dependent, "depends_on_task_id_list": depends_on,
            "depends_on_task_explanation_list": vec!["because"; depends_on.len()] })
}

/// Two phases of two tasks: a 10 -> b 20, and c 5 -> d 15; d also waits for a. Finish 30 by dependencies, 50 one after another.
pub fn clean() -> Files {
    BTreeMap::from([
        (
            "start_time.json",
            json!({ "server_iso_utc": "2026-03-02T08:00:00Z" }),
        ),
        (
            TREE,
            json!({ "wbs_project": task("root", "A bakery", vec![
                task("p", "Prepare", vec![task("a", "Rent a shop", vec![]), task("b", "Fit the oven", vec![])]),
                task("q", "Open", vec![task("c", "Hire a baker", vec![]), task("d", "Bake the first loaf", vec![])]),
            ]) }),
        ),
        (
            DURATIONS,
            json!([
                duration("p", 25, 30, 40),
                duration("a", 8, 10, 14),
                duration("b", 15, 20, 30),
                duration("q", 15, 20, 25),
                duration("c", 3, 5, 9),
                duration("d", 10, 15, 16),
            ]),
        ),
        (
            DEPENDENCIES,
            json!({ "task_dependency_details": [waits("b", &["a"]), waits("d", &["a", "c"])] }),
        ),
        (
            "project_plan_raw.json",
            json!({
                "goal_statement": "Open a bakery for EUR 40,000.",
                "smart_criteria": { "time_bound": "The bakery is to be opened within 6 months." },
            }),
        ),
        (
            "currency_strategy_raw.json",
            json!({ "money_involved": true, "primary_currency": "EUR", "currency_list": [{ "currency": "EUR" }] }),
        ),
        (
            "identify_risks_raw.json",
            json!({ "risks": [{
                "risk_area": "Supply", "risk_description": "The oven comes late.", "likelihood": "medium",
                "potential_impact": "A delay of 2-4 weeks and EUR 3,000 of rent.", "severity": "high",
                "action": "Order by 2026-03-20.",
            }] }),
        ),
        (
            "premortem_raw.json",
            json!({
                "assumptions_to_kill": [{ "assumption_id": "A1", "statement": "People like bread.",
                                          "test_now": "Ask ten.", "falsifier": "Nine do not." }],
                "failure_modes": [{
                    "failure_mode_index": 1, "root_cause_assumption_id": "A1", "failure_mode_archetype": "Market",
                    "failure_mode_title": "Nobody comes", "risk_analysis": "They bake at home.",
                    "early_warning_signs": ["Empty street"], "owner": "Baker", "likelihood_5": 2, "impact_5": 4,
                    "tripwires": ["Fewer than 10 guests a day"], "playbook": ["Bake cake"], "stop_rule": "No guest in a week",
                }],
            }),
        ),
        (
            "pre_project_assessment.json",
            json!({ "go_no_go_recommendation": "Go", "feedback": [] }),
        ),
    ])
}

/// The plan of the files.
pub fn made(files: &Files) -> Plan {
    let texts: Vec<(&str, String)> = files
        .iter()
        .map(|(name, value)| (*name, value.to_string()))
        .collect();
    plan(
        &texts
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect::<Vec<_>>(),
    )
}

/// The clean plan with the value at a pointer replaced.
pub fn with(artifact: &'static str, pointer: &str, value: Value) -> Files {
    let mut files = clean();
    *files
        .get_mut(artifact)
        .unwrap()
        .pointer_mut(pointer)
        .unwrap() = value;
    files
}

/// The rules of an output's findings.
pub fn rules(output: &Value) -> Vec<&str> {
    output["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["rule"].as_str().unwrap())
        .collect()
}
