//! Plans far beyond any real one: reckoned whole, listed in part, and told so.

use serde_json::{Value, json};

use crate::bakery::{DEPENDENCIES, DURATIONS, TREE, clean, duration, made, waits};
use crate::plans::{Outputs, perform, perform_with};

fn reasons(output: &Value) -> String {
    output["skipped"].to_string()
}

/// A chain of so many tasks of one phase.
fn chain(count: usize) -> planexe::plan::Plan {
    let mut files = clean();
    let id = |i: usize| format!("t{i}");
    let tasks: Vec<Value> = (0..count)
        .map(|i| json!({ "id": id(i), "description": id(i), "extra_fields": {}, "task_children": [] }))
        .collect();
    let phase =
        json!({ "id": "p", "description": "All", "extra_fields": {}, "task_children": tasks });
    let root = json!({ "id": "r", "description": "A chain", "extra_fields": {}, "task_children": [phase] });
    files.insert(TREE, json!({ "wbs_project": root }));
    let durations: Vec<Value> = (0..count).map(|i| duration(&id(i), 1, 2, 4)).collect();
    files.insert(DURATIONS, Value::from(durations));
    let links: Vec<Value> = (1..count).map(|i| waits(&id(i), &[&id(i - 1)])).collect();
    files.insert(DEPENDENCIES, json!({ "task_dependency_details": links }));
    made(&files)
}

#[test]
fn a_long_chain_is_reckoned_whole_and_listed_in_part() {
    let output = perform("critical-path", &chain(6_000), &Outputs::new()).unwrap();
    assert_eq!(output["network"]["finishDays"], 12_000.0);
    assert_eq!(output["coverage"]["usedLinks"], 5_999);
    for key in ["activities", "links"] {
        assert_eq!(output[key].as_array().unwrap().len(), 5_000, "{key}");
    }
    assert!(reasons(&output).contains("of 6000 activities 5000 are listed"));
}

#[test]
fn of_a_large_plan_the_most_critical_activities_are_listed() {
    let few = serde_json::Map::from_iter([("trials".to_owned(), json!(50))]);
    let none = Outputs::new();
    let output = perform_with("schedule-monte-carlo", &chain(3_000), &none, &few).unwrap();
    assert_eq!(output["activities"].as_array().unwrap().len(), 500);
    assert!(reasons(&output).contains("of 3000 activities 500 are listed"));
}

#[test]
fn a_plan_too_large_to_draw_is_refused_with_the_figures() {
    let error = perform("schedule-monte-carlo", &chain(20_001), &Outputs::new()).unwrap_err();
    assert!(
        error.to_string().contains("its 20001 activities"),
        "{error}"
    );
}

#[test]
fn of_very_many_risks_all_are_counted_and_the_highest_listed() {
    let mut files = clean();
    let risk = |i: usize| {
        let severity = if i == 1_999 { "high" } else { "low" };
        json!({ "risk_area": format!("Area {i}"), "risk_description": format!("Risk {i}."), "likelihood": "medium",
                "potential_impact": "", "severity": severity, "action": "None." })
    };
    let risks: Vec<Value> = (0..2_000).map(risk).collect();
    files.insert("identify_risks_raw.json", json!({ "risks": risks }));
    let output = perform("risk-exposure", &made(&files), &Outputs::new()).unwrap();
    assert_eq!(output["counts"]["risks"], 2_000);
    assert_eq!(output["items"].as_array().unwrap().len(), 500);
    assert!(output["areas"].as_array().unwrap().len() <= 200);
    let cells = output["matrix"]["cells"].as_array().unwrap();
    let low = cells.iter().find(|cell| cell["count"] == 1_999).unwrap();
    assert!(low["ids"].as_array().unwrap().len() < 500);
    assert!(reasons(&output).contains("500 are listed: the highest"));
}
