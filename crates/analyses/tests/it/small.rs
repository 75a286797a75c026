//! A small plan without a flaw: every rule stays silent on it, and speaks when its flaw is put in.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use analyses::catalog::{self, AnalysisError};
use domain::agent::definition::AgentDefinition;
use planexe::plan::Plan;

use crate::plans::{Outputs, definition, perform, perform_all, perform_with, plan};

type Files = BTreeMap<&'static str, Value>;

const DURATIONS: &str = "task_durations.json";
const DEPENDENCIES: &str = "task_dependencies_raw.json";
const TREE: &str = "wbs_project_level1_and_level2_and_level3.json";

fn task(id: &str, name: &str, children: Vec<Value>) -> Value {
    json!({ "id": id, "description": name, "extra_fields": {}, "task_children": children })
}

fn duration(id: &str, min: i64, realistic: i64, max: i64) -> Value {
    json!({ "task_id": id, "days_min": min, "days_realistic": realistic, "days_max": max,
            "delay_risks": "rain", "mitigation_strategy": "wait" })
}

fn waits(dependent: &str, depends_on: &[&str]) -> Value {
    json!({ "dependent_task_id": dependent, "depends_on_task_id_list": depends_on,
            "depends_on_task_explanation_list": vec!["because"; depends_on.len()] })
}

/// Two phases of two tasks: a 10 -> b 20, and c 5 -> d 15; d also waits for a. Finish 30 by dependencies, 50 one after another.
fn clean() -> Files {
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

fn made(files: &Files) -> Plan {
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

fn lint(files: &Files) -> Value {
    perform("plan-lint", &made(files), &Outputs::new()).unwrap()
}

/// The clean plan with the value at a pointer replaced.
fn with(artifact: &'static str, pointer: &str, value: Value) -> Files {
    let mut files = clean();
    *files
        .get_mut(artifact)
        .unwrap()
        .pointer_mut(pointer)
        .unwrap() = value;
    files
}

fn rules(output: &Value) -> Vec<&str> {
    output["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["rule"].as_str().unwrap())
        .collect()
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

#[test]
fn each_flaw_is_found_by_its_own_rule_and_no_other() {
    let flaws: Vec<(&str, Files)> = vec![
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
    ];
    for (rule, files) in flaws {
        let output = lint(&files);
        assert_eq!(rules(&output), [rule], "{output}");
        let finding = &output["findings"][0];
        assert!(
            !finding["artifact"].as_str().unwrap().is_empty()
                && finding["message"].as_str().unwrap().len() > 10
        );
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

#[test]
fn the_critical_path_of_the_small_plan_is_the_hand_reckoned_one() {
    let output = perform("critical-path", &made(&clean()), &Outputs::new()).unwrap();
    assert_eq!(
        output["network"],
        json!({ "finishDays": 30.0, "finishDate": "2026-04-01" })
    );
    assert_eq!(
        output["waterfall"],
        json!({ "finishDays": 50.0, "finishDate": "2026-04-21" })
    );
    assert_eq!(output["criticalChains"], json!([["a", "b"]]));
    let row = |i: usize| {
        let a = &output["activities"][i];
        [
            "es",
            "ef",
            "ls",
            "lf",
            "totalSlack",
            "freeSlack",
            "waterfallFinish",
        ]
        .map(|key| a[key].as_f64().unwrap())
    };
    assert_eq!(row(0), [0.0, 10.0, 0.0, 10.0, 0.0, 0.0, 10.0]);
    assert_eq!(row(2), [0.0, 5.0, 10.0, 15.0, 10.0, 5.0, 35.0]);
    assert_eq!(row(3), [10.0, 25.0, 15.0, 30.0, 5.0, 5.0, 50.0]);
    assert_eq!(output["phases"][1]["sumDays"], 20.0);
    assert_eq!(output["lanes"]["maxConcurrent"], 2);
    assert_eq!(output["coverage"]["linkedShare"], 1.0);
}

#[test]
fn without_a_task_or_a_duration_the_schedule_names_what_is_missing() {
    for (gone, id) in [
        (DURATIONS, "critical-path"),
        (TREE, "critical-path"),
        (TREE, "schedule-monte-carlo"),
    ] {
        let mut files = clean();
        files.remove(gone);
        let error = perform(id, &made(&files), &Outputs::new()).unwrap_err();
        assert_eq!(error, AnalysisError::MissingInput(vec![gone.to_owned()]));
    }
}

#[test]
fn a_risk_is_scored_at_the_middle_of_its_classes() {
    let output = perform("risk-exposure", &made(&clean()), &Outputs::new()).unwrap();
    // Medium x high of three classes: 0.5 x 0.8333; 2 x 4 of five: 0.3 x 0.7.
    let scores: Vec<_> = output["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["id"].clone(), i["score"].clone()))
        .collect();
    assert_eq!(
        scores,
        [(json!("R1"), json!(41.67)), (json!("F1"), json!(21.0))]
    );
    assert_eq!(
        output["items"][0]["delays"][0],
        json!({ "lowDays": 14.0, "highDays": 28.0, "quote": "2-4 weeks" })
    );
    assert_eq!(output["items"][0]["money"][0]["low"], 3000.0);
    assert_eq!(
        output["items"][0]["cell"],
        json!({ "likelihood": 3, "impact": 5 })
    );
    assert_eq!(output["items"][1]["assumption"]["id"], "A1");
    assert_eq!(output["assumptions"][0]["failureModes"], json!(["F1"]));
}

#[test]
fn a_failure_mode_without_an_answer_has_gaps() {
    let mode = json!({ "failure_mode_title": "Fire", "root_cause_assumption_id": "A9", "likelihood_5": 5, "impact_5": 5 });
    let files = with("premortem_raw.json", "/failure_modes/0", mode);
    let output = perform("risk-exposure", &made(&files), &Outputs::new()).unwrap();
    assert_eq!(output["items"][0]["score"], 81.0);
    let gaps = json!([
        "no-owner",
        "no-warning-signs",
        "no-tripwires",
        "no-playbook",
        "no-stop-rule",
        "unknown-assumption"
    ]);
    assert_eq!(output["items"][0]["gaps"], gaps);
    assert_eq!(rules(&output), ["no-response"]);
}

#[test]
fn what_is_missing_lowers_the_confidence_and_not_the_score() {
    let outputs = perform_all(&made(&clean()));
    let whole = outputs["readiness-score"].as_ref().unwrap();
    // The bakery names neither a team nor documents.
    assert_eq!(whole["confidence"], 0.95);
    let points = |id: &str, score: &Value| {
        let component = score["components"]
            .as_array()
            .unwrap()
            .iter()
            .find(|c| c["id"] == id)
            .unwrap();
        (
            component["points"].as_f64(),
            component["of"].as_f64().unwrap(),
        )
    };
    let mut fewer = outputs.clone();
    fewer.remove("risk-exposure");
    let partial = perform("readiness-score", &made(&clean()), &fewer).unwrap();
    assert_eq!(partial["confidence"], 0.75);
    assert_eq!(points("risk-exposure", &partial), (None, 10.0));
    assert_eq!(
        points("schedule-fit", &partial),
        points("schedule-fit", whole)
    );
    let sum = |score: &Value| {
        let all = score["components"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["available"] == true);
        all.fold((0.0, 0.0), |(p, of), c| {
            (
                p + c["points"].as_f64().unwrap(),
                of + c["of"].as_f64().unwrap(),
            )
        })
    };
    let (points, of) = sum(&partial);
    assert!((partial["score"].as_f64().unwrap() - 100.0 * points / of).abs() < 0.02);
}

#[test]
fn with_nothing_to_go_by_there_is_no_score() {
    let output = perform(
        "readiness-score",
        &plan(&[("plan.txt", "x")]),
        &Outputs::new(),
    )
    .unwrap();
    assert_eq!(
        (&output["score"], &output["band"], &output["confidence"]),
        (&Value::Null, &json!("unknown"), &json!(0.0))
    );
    assert_eq!(output["confidenceLost"].as_array().unwrap().len(), 8);
}

#[test]
fn parameters_are_used_and_those_out_of_range_refused_by_name() {
    let parameters = |text: &str| -> Map<String, Value> { serde_json::from_str(text).unwrap() };
    let performed = |text: &str| {
        perform_with(
            "schedule-monte-carlo",
            &made(&clean()),
            &Outputs::new(),
            &parameters(text),
        )
    };
    let output = performed(r#"{"trials": 100, "seed": 7, "lambda": 2}"#).unwrap();
    assert_eq!(
        (&output["method"]["trials"], &output["method"]["seed"]),
        (&json!(100), &json!(7))
    );
    let counted: u64 = output["network"]["histogram"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c.as_u64().unwrap())
        .sum();
    assert_eq!(counted, 100);
    for (text, name) in [
        (r#"{"trials": 0}"#, "trials"),
        (r#"{"seed": -1}"#, "seed"),
        (r#"{"lambda": "4"}"#, "lambda"),
    ] {
        match performed(text) {
            Err(AnalysisError::InvalidParameter { name: refused, .. }) => assert_eq!(refused, name),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn definitions_are_agent_definitions_whose_defaults_are_those_of_the_code() {
    let ids: Vec<&str> = catalog::all().iter().map(|analysis| analysis.id).collect();
    for analysis in catalog::all() {
        let parsed: AgentDefinition = serde_json::from_value(definition(analysis.id)).unwrap();
        assert_eq!(parsed.id.as_str(), analysis.id);
        assert!(
            parsed
                .dependencies
                .iter()
                .all(|d| ids.contains(&d.agent.as_str()))
        );
        parsed.inputs().unwrap();
    }
    let defaults = definition("schedule-monte-carlo")["parameters"]
        .as_object()
        .unwrap()
        .clone();
    let with = perform_with(
        "schedule-monte-carlo",
        &made(&clean()),
        &Outputs::new(),
        &defaults,
    );
    assert_eq!(
        with,
        perform("schedule-monte-carlo", &made(&clean()), &Outputs::new())
    );
}
