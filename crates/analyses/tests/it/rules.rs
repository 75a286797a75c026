//! Every rule of the consistency check stays silent on a clean plan, and speaks when its flaw is put in.

use serde_json::{Value, json};

use crate::bakery::{
    DEPENDENCIES, DURATIONS, Files, TREE, clean, duration, made, rules, waits, with,
};
use crate::plans::{Outputs, perform, plan};

fn lint(files: &Files) -> Value {
    perform("plan-lint", &made(files), &Outputs::new()).unwrap()
}

#[test]
fn every_rule_is_applied_to_a_clean_plan_and_finds_nothing() {
    let output = lint(&clean());
    assert_eq!(output["findings"], json!([]), "{}", output["summary"]);
    for rule in output["rules"].as_array().unwrap() {
        assert_eq!(rule["applied"], true, "{rule}");
    }
    assert_eq!(output["summary"], "No contradictions were found.");
}

fn flaws_of_time() -> Vec<(&'static str, Files)> {
    vec![
        (
            "deadline-vs-schedule",
            with(
                "project_plan_raw.json",
                "/smart_criteria/time_bound",
                json!("Done within 40 days."),
            ),
        ),
        (
            "date-before-start",
            with(
                "identify_risks_raw.json",
                "/risks/0/action",
                json!("Order by 2026-02-20."),
            ),
        ),
        (
            "parent-vs-sum",
            with(DURATIONS, "/0", duration("p", 70, 80, 90)),
        ),
        (
            "duration-order",
            with(DURATIONS, "/1", duration("a", 12, 10, 14)),
        ),
        (
            "duration-missing",
            with(DURATIONS, "/1", duration("a", -1, -1, -1)),
        ),
        (
            "duration-without-task",
            with(DURATIONS, "/0/task_id", json!("ghost")),
        ),
        (
            "duration-duplicate",
            with(DURATIONS, "/0", duration("a", 8, 10, 14)),
        ),
    ]
}

fn flaws_of_dependencies() -> Vec<(&'static str, Files)> {
    vec![
        (
            "dependency-unknown",
            with(
                DEPENDENCIES,
                "/task_dependency_details/0",
                waits("b", &["ghost"]),
            ),
        ),
        (
            "dependency-self",
            with(
                DEPENDENCIES,
                "/task_dependency_details/0",
                waits("b", &["b"]),
            ),
        ),
        (
            "dependency-duplicate",
            with(
                DEPENDENCIES,
                "/task_dependency_details/0",
                waits("b", &["a", "a"]),
            ),
        ),
        (
            "dependency-backward",
            with(
                DEPENDENCIES,
                "/task_dependency_details/0",
                waits("b", &["c"]),
            ),
        ),
        (
            "dependency-explanations",
            with(
                DEPENDENCIES,
                "/task_dependency_details/0/depends_on_task_explanation_list",
                json!(["x", "y"]),
            ),
        ),
    ]
}

fn flaws_of_words() -> Vec<(&'static str, Files)> {
    vec![
        (
            "name-duplicate",
            with(
                TREE,
                "/wbs_project/task_children/0/task_children/1/description",
                json!("rent  a Shop"),
            ),
        ),
        (
            "currency-not-listed",
            with(
                "identify_risks_raw.json",
                "/risks/0/potential_impact",
                json!("It costs 900 GBP."),
            ),
        ),
        (
            "rating-out-of-range",
            with("premortem_raw.json", "/failure_modes/0/impact_5", json!(7)),
        ),
    ]
}

#[test]
fn each_flaw_is_found_by_its_own_rule_and_no_other() {
    for (rule, files) in [flaws_of_time(), flaws_of_dependencies(), flaws_of_words()].concat() {
        let output = lint(&files);
        assert_eq!(rules(&output), [rule], "{output}");
        let finding = &output["findings"][0];
        assert!(!finding["artifact"].as_str().unwrap().is_empty());
        assert!(finding["message"].as_str().unwrap().len() > 10);
    }
}

#[test]
fn a_phase_shorter_than_its_longest_task_is_a_warning_beside_the_note_on_its_sum() {
    let output = lint(&with(DURATIONS, "/0", duration("p", 5, 9, 12)));
    assert_eq!(
        rules(&output),
        ["parent-shorter-than-child", "parent-vs-sum"]
    );
    assert_eq!(
        output["findings"][0]["numbers"],
        json!({ "parentDays": 9.0, "childDays": 20.0 })
    );
}

#[test]
fn tasks_that_wait_for_each_other_are_told_with_their_statements() {
    let details = json!([waits("b", &["a"]), waits("a", &["b"])]);
    let output = lint(&with(DEPENDENCIES, "/task_dependency_details", details));
    assert_eq!(rules(&output), ["dependency-cycle"]);
    let pointers = &output["findings"][0]["numbers"]["pointers"];
    assert_eq!(
        pointers[1],
        "/task_dependency_details/1/depends_on_task_id_list/0"
    );
}

#[test]
fn a_deadline_that_even_the_dependencies_miss_is_an_error() {
    let severity = |deadline: &str| {
        let output = lint(&with(
            "project_plan_raw.json",
            "/smart_criteria/time_bound",
            json!(deadline),
        ));
        output["findings"][0]["severity"].clone()
    };
    assert_eq!(severity("Done within 20 days."), "error");
    assert_eq!(severity("Done within 40 days."), "warning");
    assert_eq!(severity("Done within 51 days."), Value::Null);
}

#[test]
fn a_rule_without_its_artifact_says_so() {
    let mut files = clean();
    files.remove("currency_strategy_raw.json");
    let output = lint(&files);
    let rule = output["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["rule"] == "currency-not-listed")
        .unwrap();
    assert_eq!(rule["applied"], false);
    assert!(
        rule["reason"]
            .as_str()
            .unwrap()
            .contains("currency_strategy_raw.json")
    );
    assert_eq!(output["findings"], json!([]));
}

#[test]
fn an_artifact_that_cannot_be_read_is_an_error_and_nothing_else_falls() {
    let mut output = perform(
        "plan-lint",
        &plan(&[(DURATIONS, "[{\"task_id\": \"a\", ")]),
        &Outputs::new(),
    )
    .unwrap();
    assert_eq!(rules(&output), ["unreadable"]);
    output = perform(
        "plan-lint",
        &plan(&[(DURATIONS, "\u{feff}[]")]),
        &Outputs::new(),
    )
    .unwrap();
    assert_eq!(rules(&output), Vec::<&str>::new());
}
