//! The views of tables: durations, dependencies, risks, premortem, assumptions, team, currency.

use planexe::views::level::Level;
use planexe::views::{assumptions, currency, dependencies, durations, premortem, risks, team};

use crate::support::{notes, one, plan};

#[test]
fn durations_take_numbers_as_they_come() {
    let view = durations::durations(&one(
        "022-2-task_durations.json",
        r#"[{"task_id": "a", "days_min": 3, "days_realistic": "5", "days_max": 7.5, "delay_risks": "Rain", "mitigation_strategy": "Tents"},
            {"task_id": "b", "days_min": -1, "days_realistic": -1, "days_max": -1},
            {"task_id": "c", "days_min": "10 days", "days_realistic": null, "days_max": "many"},
            {"days_min": 1}, "d", {"task_id": "a", "days_min": 9}]"#,
    ));
    let rows: Vec<_> = view
        .value
        .iter()
        .map(|row| (row.task_id.as_str(), row.min, row.realistic, row.max))
        .collect();
    assert_eq!(
        rows,
        [
            ("a", Some(3.0), Some(5.0), Some(7.5)),
            ("b", None, None, None),
            ("c", Some(10.0), None, None)
        ]
    );
    assert_eq!(
        (
            view.value[0].delay_risks.as_deref(),
            view.value[0].pointer.as_str()
        ),
        (Some("Rain"), "/0")
    );
    assert_eq!(
        notes(&view),
        [
            "task_durations.json /4: not an object but a text",
            "task_durations.json /1/days_min: -1 days: PlanExe's mark for \"does not apply\"",
            "task_durations.json /1/days_realistic: -1 days: PlanExe's mark for \"does not apply\"",
            "task_durations.json /1/days_max: -1 days: PlanExe's mark for \"does not apply\"",
            "task_durations.json /2/days_max: not a number but \"many\"",
            "task_durations.json /3/task_id: no text",
            "task_durations.json /5: a second estimate of task a",
        ]
    );
}

#[test]
fn durations_fall_back_to_the_chunks_in_their_order() {
    let chunk = |id: &str| {
        format!(
            r#"{{"task_details": [{{"task_id": "{id}", "days_min": 1, "days_realistic": 2, "days_max": 3}}]}}"#
        )
    };
    let (second, tenth) = (chunk("b"), chunk("c"));
    let files = [
        ("021-10-task_durations_raw.json", tenth.as_str()),
        ("021-2-task_durations_raw.json", second.as_str()),
        ("021-1-task_durations_raw.json", "{\"task"),
    ];
    let view = durations::durations(&plan(&files));
    let rows: Vec<_> = view
        .value
        .iter()
        .map(|row| (row.task_id.as_str(), row.pointer.as_str()))
        .collect();
    assert_eq!(
        rows,
        [("b", "#2/task_details/0"), ("c", "#10/task_details/0")]
    );
    assert_eq!(view.source.as_deref(), Some("task_durations_raw.json"));
    assert_eq!(
        notes(&view),
        ["task_durations_raw.json#1 : cut off at line 1, column 6"]
    );
}

#[test]
fn dependencies_keep_their_explanations_where_the_lists_agree() {
    let view = dependencies::dependencies(&one(
        "021-task_dependencies_raw.json",
        r#"{"task_dependency_details": [
            {"dependent_task_id": "b", "depends_on_task_id_list": ["a"], "depends_on_task_explanation_list": ["needs it"]},
            {"dependent_task_id": "c", "depends_on_task_id_list": ["a", "b"], "depends_on_task_explanation_list": ["first"]},
            {"dependent_task_id": "d", "depends_on_task_id_list": []},
            {"dependent_task_id": "e", "depends_on_task_id_list": "a"},
            {"depends_on_task_id_list": ["a"]}, {"dependent_task_id": "f", "depends_on_task_id_list": [null]}]}"#,
    ));
    let edges: Vec<_> = view
        .value
        .iter()
        .map(|edge| {
            (
                edge.dependent.as_str(),
                edge.depends_on.as_str(),
                edge.explanation.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        edges,
        [
            ("b", "a", Some("needs it")),
            ("c", "a", None),
            ("c", "b", None),
            ("e", "a", None)
        ]
    );
    assert_eq!(
        view.value[0].pointer,
        "/task_dependency_details/0/depends_on_task_id_list/0"
    );
    assert_eq!(
        notes(&view),
        [
            "task_dependencies_raw.json /task_dependency_details/1/depends_on_task_explanation_list: 1 explanations for 2 tasks",
            "task_dependencies_raw.json /task_dependency_details/4/dependent_task_id: no text",
            "task_dependencies_raw.json /task_dependency_details/5/depends_on_task_id_list/0: no task id",
        ]
    );
}

#[test]
fn risks_are_rated_in_words() {
    let view = risks::risks(&one(
        "003-1-identify_risks_raw.json",
        r#"{"risks": [{"risk_area": "Money", "risk_description": "Too little", "potential_impact": "Stop", "likelihood": "Medium", "severity": "very high", "action": "Ask"},
            {"risk_description": "Odd", "likelihood": "maybe", "severity": null}, {"risk_area": "Empty"}], "system_prompt": "x"}"#,
    ));
    let rows: Vec<_> = view
        .value
        .iter()
        .map(|risk| (risk.description.as_str(), risk.likelihood, risk.severity))
        .collect();
    assert_eq!(
        rows,
        [
            ("Too little", Level::Medium, Level::High),
            ("Odd", Level::Unknown, Level::Unknown)
        ]
    );
    assert_eq!(
        notes(&view),
        [
            "identify_risks_raw.json /risks/1/likelihood: \"maybe\" is neither low, medium nor high",
            "identify_risks_raw.json /risks/1/severity: no rating",
            "identify_risks_raw.json /risks/2/risk_description: no text",
        ]
    );
    assert_eq!(
        risks::risks(&one("identify_risks_raw.json", "[]")).skipped,
        []
    );
    assert_eq!(
        notes(&risks::risks(&one(
            "identify_risks_raw.json",
            "{\"risks\": 5}"
        ))),
        ["identify_risks_raw.json : no list risks; found an object"]
    );
    assert_eq!(risks::risks(&one("a.json", "")).source, None);
}

#[test]
fn between_two_levels_the_higher_one_counts() {
    for (text, level) in [
        ("Low", Level::Low),
        ("medium to high", Level::High),
        ("🛑 High", Level::High),
        ("⚠️ Medium", Level::Medium),
        ("5", Level::Unknown),
        ("highway", Level::Unknown),
    ] {
        assert_eq!(Level::parse(text), level, "{text}");
    }
}

#[test]
fn the_premortem_keeps_ratings_as_stated() {
    let view = premortem::premortem(&one(
        "028-1-premortem_raw.json",
        r#"{"assumptions_to_kill": [{"assumption_id": "A1", "statement": "It holds", "test_now": "Look", "falsifier": "It broke"}],
            "failure_modes": [{"failure_mode_index": 1, "root_cause_assumption_id": "A1", "failure_mode_title": "Fall", "likelihood_5": 9, "impact_5": null, "tripwires": ["x"]},
                              {"failure_mode_title": ""}]}"#,
    ));
    assert_eq!(
        view.value.assumptions[0].falsifier.as_deref(),
        Some("It broke")
    );
    let mode = &view.value.failure_modes[0];
    assert_eq!(
        (
            mode.index,
            mode.root_cause.as_deref(),
            mode.likelihood,
            mode.impact
        ),
        (Some(1), Some("A1"), Some(9.0), None)
    );
    assert_eq!(
        (view.value.failure_modes.len(), notes(&view)),
        (
            1,
            vec!["premortem_raw.json /failure_modes/1/failure_mode_title: no text".to_owned()]
        )
    );
}

#[test]
fn assumptions_come_from_the_clean_list_or_the_raw_one() {
    let clean = assumptions::assumptions(&one(
        "003-4-make_assumptions.json",
        r#"[{"question": "How much?", "assumptions": "Much", "assessments": "Fine"}, {"question": "When?"}]"#,
    ));
    assert_eq!(
        (
            clean.value[0].assumption.as_str(),
            clean.value[0].pointer.as_str(),
            clean.value.len(),
            clean.skipped.len()
        ),
        ("Much", "/0", 1, 1)
    );
    let raw = assumptions::assumptions(&one(
        "002-make_assumptions_raw.json",
        r#"{"question_assumption_list": [{"question": "How much?", "assumptions": "Much"}]}"#,
    ));
    assert_eq!(raw.value[0].pointer, "/question_assumption_list/0");
    let distilled = assumptions::distilled(&one(
        "004-distill_assumptions.json",
        r#"{"assumption_list": ["One", {"x": 1}, "Two"]}"#,
    ));
    assert_eq!(
        (
            distilled.value.len(),
            distilled.value[1].pointer.as_str(),
            distilled.skipped.len()
        ),
        (2, "/assumption_list/2", 1)
    );
    let review = assumptions::review(&one(
        "review_assumptions_raw.json",
        r#"{"expert_domain": "Law", "issues": [{"issue": "Gap", "sensitivity": "10%"}], "conclusion": "Go on"}"#,
    ));
    assert_eq!(
        (
            review.value.expert_domain.as_deref(),
            review.value.issues[0].sensitivity.as_deref(),
            review.value.conclusion.as_deref()
        ),
        (Some("Law"), Some("10%"), Some("Go on"))
    );
}

#[test]
fn the_fullest_team_list_is_read_and_a_broken_one_passed_over() {
    let plan = plan(&[
        (
            "008-2-find_team_members.json",
            r#"[{"id": 1, "category": "Lead", "count": "1"}]"#,
        ),
        (
            "009-2-enrich_team_members_contract_type.json",
            r#"[{"id": 1, "category": "Lead", "count": 2, "contract_type": "full_time_employee"}]"#,
        ),
        (
            "011-2-enrich_team_members_environment_info.json",
            r#"[{"id": 1, "categ"#,
        ),
    ]);
    let view = team::team(&plan);
    assert_eq!(
        (
            view.source.as_deref(),
            view.value[0].count.as_deref(),
            view.value[0].id.as_deref()
        ),
        (
            Some("enrich_team_members_contract_type.json"),
            Some("2"),
            Some("1")
        )
    );
    assert_eq!(
        notes(&view),
        ["enrich_team_members_environment_info.json : cut off at line 1, column 17"]
    );
}

#[test]
fn currencies_and_whether_money_matters() {
    let view = currency::currency(&one(
        "002-22-currency_strategy_raw.json",
        r#"{"money_involved": true, "currency_list": [{"currency": "HKD", "consideration": "Local"}, {}], "primary_currency": "USD", "currency_strategy": null}"#,
    ));
    assert_eq!(
        (
            view.value.money_involved,
            view.value.primary.as_deref(),
            view.value.list.len(),
            view.skipped.len()
        ),
        (Some(true), Some("USD"), 1, 1)
    );
    let none = currency::currency(&one(
        "currency_strategy_raw.json",
        r#"{"money_involved": false, "currency_list": null, "primary_currency": null}"#,
    ));
    assert_eq!(
        (
            none.value.money_involved,
            none.value.primary,
            none.skipped.len()
        ),
        (Some(false), None, 0)
    );
}
