//! The other analyses on the small plan, against figures reckoned by hand.

use analyses::catalog::{self, AnalysisError};
use domain::agent::definition::AgentDefinition;
use serde_json::{Map, Value, json};

use crate::bakery::{DEPENDENCIES, DURATIONS, TREE, clean, made, rules, with};
use crate::plans::{
    Outputs, definition, perform, perform_all, perform_all_with, perform_with, plan,
};

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

#[test]
fn a_duration_without_an_end_is_passed_over_and_said() {
    let files = with(DURATIONS, "/1/days_max", json!(1e300));
    let output = perform("schedule-monte-carlo", &made(&files), &Outputs::new()).unwrap();
    assert_eq!(output["activities"][0]["max"], 10.0);
    let told = output["skipped"].as_array().unwrap();
    assert!(
        told.iter().any(|s| s["pointer"] == "/1/days_max"),
        "{told:?}"
    );
}

#[test]
fn a_plan_of_thousands_of_tasks_is_analysed_too() {
    const TASKS: usize = 3_000;
    let ids: Vec<String> = (0..TASKS).map(|i| format!("t{i}")).collect();
    let tasks = ids
        .iter()
        .map(|id| json!({ "id": id, "description": id, "task_children": [] }));
    let rows = ids
        .iter()
        .map(|id| json!({ "task_id": id, "days_min": 0, "days_realistic": 0, "days_max": 1 }));
    let waits = ids.windows(2).map(|pair| {
        json!({ "dependent_task_id": pair[1], "depends_on_task_id_list": [pair[0], ids[0]] })
    });
    let mut files = clean();
    files.insert(
        TREE,
        json!({ "wbs_project": { "id": "r", "task_children": tasks.collect::<Vec<_>>() } }),
    );
    files.insert(DURATIONS, rows.collect());
    files.insert(
        DEPENDENCIES,
        json!({ "task_dependency_details": waits.collect::<Vec<_>>() }),
    );
    let few = [("trials".to_owned(), json!(20))].into_iter().collect();
    for (id, output) in perform_all_with(&made(&files), &few) {
        output.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
}

#[test]
fn durations_without_a_number_are_said_to_be_just_that() {
    let rows = ["a", "b", "c", "d"].map(|id| json!({ "task_id": id, "days_realistic": "soon" }));
    let mut files = clean();
    files.insert(DURATIONS, json!(rows));
    let error = perform("critical-path", &made(&files), &Outputs::new()).unwrap_err();
    let told = vec!["a usable duration in task_durations.json".to_owned()];
    assert_eq!(error, AnalysisError::MissingInput(told));
}

#[test]
fn two_files_of_one_name_are_a_signal_and_a_plan_little_known_gets_no_verdict() {
    let files = [("001-plan.txt", "Build it."), ("plan.txt", "Build that.")];
    let outputs = perform_all(&plan(&files));
    let inventory = outputs["plan-inventory"].as_ref().unwrap();
    assert!(rules(inventory).contains(&"name-collision"), "{inventory}");
    let readiness = outputs["readiness-score"].as_ref().unwrap();
    assert!(readiness["confidence"].as_f64().unwrap() < 0.5);
    assert!(readiness["score"].is_number());
    assert_eq!(readiness["band"], "unknown");
    let summary = readiness["summary"].as_str().unwrap();
    assert!(summary.contains("not enough to tell"), "{summary}");
}
