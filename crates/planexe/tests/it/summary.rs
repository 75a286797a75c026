//! The summary: always the same keys, never too large.

use planexe::plan::Plan;
use planexe::summary::{SUMMARY_MAX, plan_summary};
use serde_json::{Value, json};

use crate::support::plan;

#[test]
fn a_plan_of_nothing_has_all_keys() {
    let (empty, full) = (plan_summary(&Plan::default()), plan_summary(&small()));
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&empty), keys(&full));
    assert_eq!(
        (
            &empty["title"],
            &empty["deadline"],
            &empty["counts"]["risks"]
        ),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(empty["completeness"]["kind"], "not-a-plan");
}

fn small() -> Plan {
    plan(&[
        (
            "001-1-start_time.json",
            r#"{"server_iso_utc": "2026-03-10T00:00:00Z"}"#,
        ),
        ("018-2-wbs_level1.json", r#"{"project_title": "Tram"}"#),
        (
            "005-1-project_plan_raw.json",
            r#"{"goal_statement": "Run it", "smart_criteria": {"time_bound": "Within 10 days."}}"#,
        ),
        (
            "004-2-pre_project_assessment.json",
            r#"{"go_no_go_recommendation": "Go"}"#,
        ),
        (
            "003-1-identify_risks_raw.json",
            r#"{"risks": [{"risk_description": "small", "likelihood": "low", "severity": "low"}, {"risk_description": "big", "likelihood": "high", "severity": "high"}]}"#,
        ),
    ])
}

#[test]
fn the_summary_states_what_the_plan_states() {
    let summary = plan_summary(&small());
    assert_eq!(
        (&summary["title"], &summary["goal"], &summary["startDate"]),
        (&json!("Tram"), &json!("Run it"), &json!("2026-03-10"))
    );
    assert_eq!(
        (
            &summary["deadline"]["highDays"],
            &summary["deadline"]["latest"]
        ),
        (&json!(10.0), &json!("2026-03-20"))
    );
    assert_eq!(
        (
            &summary["goNoGo"]["verdict"],
            &summary["topRisks"][0]["description"]
        ),
        (&json!("go"), &json!("big"))
    );
    assert_eq!(
        (&summary["counts"]["risks"], &summary["counts"]["durations"]),
        (&json!(2), &Value::Null)
    );
}

#[test]
fn no_plan_makes_a_summary_that_is_too_large() {
    for filler in ["\u{1}", "\"", "\u{1f6d1}"] {
        let long = filler.repeat(20_000);
        let risk = json!({"risk_area": long, "risk_description": long, "likelihood": "high", "severity": "high"});
        let project = json!({"goal_statement": long, "tags": vec![&long; 50], "smart_criteria": {"time_bound": format!("Within 2 years {long}")}}).to_string();
        let files = [
            ("wbs_level1.json", json!({"project_title": long}).to_string()),
            ("identify_purpose_raw.json", json!({"topic": long, "purpose": long, "purpose_detailed": long}).to_string()),
            ("project_plan_raw.json", project),
            ("identify_risks_raw.json", json!({"risks": vec![risk; 50]}).to_string()),
            ("pre_project_assessment.json", json!({"go_no_go_recommendation": long}).to_string()),
            ("currency_strategy_raw.json", json!({"primary_currency": long, "currency_list": vec![json!({"currency": long}); 50]}).to_string()),
            ("selected_scenario.json", json!({"final_choice": {"chosen_scenario_name": long}}).to_string()),
            ("expected_filenames1.json", json!((0..500).map(|index| format!("{index}{}", "x".repeat(90))).collect::<Vec<_>>()).to_string()),
        ];
        let borrowed: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, content)| (*name, content.as_str()))
            .collect();
        let size = plan_summary(&plan(&borrowed)).to_string().len();
        assert!(size <= SUMMARY_MAX, "{size} bytes with {filler:?}");
    }
}
