//! The views of what the plan says in words: decision, project plan, audit, and the smaller ones.

use planexe::views::decision::Verdict;
use planexe::views::level::Level;
use planexe::views::{
    data_collection, decision, documents, experts, governance, project_plan, purpose, scenario,
    self_audit,
};

use crate::support::{one, plan};

#[test]
fn go_or_no_go_by_the_first_sentence_that_says_so() {
    for (text, verdict) in [
        ("Execute Immediately", Verdict::Go),
        ("Go", Verdict::Go),
        ("GO.", Verdict::Go),
        (
            "Proceed with Caution. The project should not proceed to phase 2 until then.",
            Verdict::GoWithConditions,
        ),
        ("Do Not Execute", Verdict::NoGo),
        ("No-Go", Verdict::NoGo),
        ("The goal is good. Proceed.", Verdict::Go),
        ("", Verdict::Unclear),
        ("A good goal", Verdict::Unclear),
    ] {
        assert_eq!(Verdict::parse(text), verdict, "{text}");
    }
    let clean = decision::decision(&one(
        "004-2-pre_project_assessment.json",
        r#"{"go_no_go_recommendation": "Proceed with Caution", "combined_summary": "S", "feedback": [{"title": "T", "description": "D"}]}"#,
    ));
    assert_eq!(
        (
            clean.value.verdict,
            clean.value.feedback[0].pointer.as_str()
        ),
        (Verdict::GoWithConditions, "/feedback/0")
    );
    let raw = decision::decision(&one(
        "pre_project_assessment_raw.json",
        r#"{"expert1": {"feedback_item_list": [{"feedback_title": "T"}]}, "expert2": {}, "go_no_go_recommendation": "Go"}"#,
    ));
    assert_eq!(
        (raw.value.verdict, raw.value.feedback[0].pointer.as_str()),
        (Verdict::Go, "/expert1/feedback_item_list/0")
    );
}

#[test]
fn the_project_plan_under_its_old_and_new_name() {
    let content = r#"{"goal_statement": "Run a tram", "smart_criteria": {"specific": "A tram", "time_bound": "2 years"}, "dependencies": ["Permit"], "tags": "tram",
        "stakeholder_analysis": {"primary_stakeholders": ["City", {"x": 1}]}, "regulatory_and_compliance_requirements": "none", "risk_assessment_and_mitigation_strategies": null}"#;
    for name in ["007-project_plan.json", "005-1-project_plan_raw.json"] {
        let view = project_plan::project_plan(&one(name, content));
        assert_eq!(
            (
                view.value.goal.as_deref(),
                view.value.smart.time_bound.as_deref()
            ),
            (Some("Run a tram"), Some("2 years"))
        );
        assert_eq!(
            (view.value.tags, view.value.primary_stakeholders),
            (vec!["tram".to_owned()], vec!["City".to_owned()])
        );
        let places: Vec<&str> = view
            .skipped
            .iter()
            .map(|note| note.pointer.as_str())
            .collect();
        assert_eq!(
            places,
            [
                "/regulatory_and_compliance_requirements",
                "/stakeholder_analysis/primary_stakeholders/1"
            ]
        );
    }
}

#[test]
fn the_audit_as_text_and_raw() {
    let text = "Reality check.\n\n### Summary\n\n| Level | Count |\n\n## 1. Violates Known Physics\n\n*Does it?*\n\n**Level**: ✅ Low\n\n**Justification**: Rated LOW because\nit does not.\n\n**Mitigation**: None\n\n\n## 2. Timeline\n\n**Level**: 🛑 High\n\n**Mitigation**: Plan again.\n";
    let view = self_audit::self_audit(&one("029-2-self_audit.md", text));
    let rows: Vec<_> = view
        .value
        .iter()
        .map(|item| {
            (
                item.number,
                item.title.as_deref(),
                item.level,
                item.mitigation.as_deref(),
                item.pointer.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (
                1,
                Some("Violates Known Physics"),
                Level::Low,
                None,
                "line 7"
            ),
            (
                2,
                Some("Timeline"),
                Level::High,
                Some("Plan again."),
                "line 19"
            )
        ]
    );
    assert_eq!(
        view.value[0].justification.as_deref(),
        Some("Rated LOW because it does not.")
    );
    let raw = self_audit::self_audit(&one(
        "029-1-self_audit_raw.json",
        r#"{"responses": {"10": {"level": "high"}, "2": {"level": "low", "mitigation": "None."}, "x": {}}}"#,
    ));
    let rows: Vec<_> = raw
        .value
        .iter()
        .map(|item| (item.number, item.level, item.mitigation.as_deref()))
        .collect();
    assert_eq!(
        (rows, raw.skipped.len()),
        (vec![(2, Level::Low, None), (10, Level::High, None)], 1)
    );
}

#[test]
fn experts_and_their_criticism() {
    let list = r#"[{"id": "e1", "title": "Lawyer", "skills": "law"}, {"id": "e2"}]"#;
    let points = r#"{"negative_feedback_list": [{"feedback_title": "Weak", "feedback_problem_tags": ["a", "b"]}]}"#;
    let plan = plan(&[
        ("015-2-experts.json", list),
        ("016-1-2-expert_criticism_raw.json", points),
    ]);
    let experts = experts::experts(&plan);
    assert_eq!((experts.value.len(), experts.skipped.len()), (1, 1));
    let point = &experts::criticism(&plan).value[0];
    assert_eq!(
        (point.expert, point.artifact.as_str(), point.tags.len()),
        (2, "expert_criticism_raw.json#2", 2)
    );
}

#[test]
fn documents_to_find_and_to_write() {
    let find = r#"[{"id": "d1", "document_name": "Map", "steps_to_find": ["Ask"], "access_difficulty": "Easy"}]"#;
    let create = r#"[{"id": "d2", "document_name": "Charter", "steps_to_create": ["Write", "Sign"], "approval_authorities": "Board"}]"#;
    let plan = plan(&[
        ("017-5-identified_documents_to_find.json", find),
        ("017-6-identified_documents_to_create.json", create),
        ("017-8-filter_documents_to_find_clean.json", "[]"),
    ]);
    assert_eq!(
        documents::to_find(&plan).value[0]
            .access_difficulty
            .as_deref(),
        Some("Easy")
    );
    let charter = &documents::to_create(&plan).value[0];
    assert_eq!(
        (charter.steps.len(), charter.approval.as_deref()),
        (2, Some("Board"))
    );
    let kept = documents::to_find_kept(&plan);
    assert_eq!(
        (kept.value.len(), kept.source.is_some(), kept.skipped.len()),
        (0, true, 0),
        "an empty list is not an absent one"
    );
}

#[test]
fn governance_in_its_four_parts() {
    let bodies = r#"{"internal_governance_bodies": [{"name": "Board", "membership": ["A", "B"]}]}"#;
    let steps = r#"{"governance_implementation_plan": [{"step_description": "Found it", "dependencies": []}]}"#;
    let matrix =
        r#"{"decision_escalation_matrix": [{"issue_type": "Money", "escalation_level": "Board"}]}"#;
    let monitoring =
        r#"{"monitoring_progress": [{"approach": "Count", "responsible_role": "PMO"}]}"#;
    let plan = plan(&[
        ("006-3-governance_phase2_bodies_raw.json", bodies),
        ("006-5-governance_phase3_impl_plan_raw.json", steps),
        (
            "006-7-governance_phase4_decision_escalation_matrix_raw.json",
            matrix,
        ),
        (
            "006-9-governance_phase5_monitoring_progress_raw.json",
            monitoring,
        ),
    ]);
    assert_eq!(governance::bodies(&plan).value[0].membership, ["A", "B"]);
    assert_eq!(governance::steps(&plan).value[0].description, "Found it");
    assert_eq!(
        governance::escalations(&plan).value[0].level.as_deref(),
        Some("Board")
    );
    assert_eq!(
        governance::monitoring(&plan).value[0]
            .responsible_role
            .as_deref(),
        Some("PMO")
    );
}

#[test]
fn purpose_scenario_and_what_to_find_out() {
    let data = one(
        "017-1-data_collection_raw.json",
        r#"{"data_collection_list": [{"title": "Riders", "data_to_collect": ["n"]}]}"#,
    );
    assert_eq!(
        data_collection::data_collection(&data).value[0].title,
        "Riders"
    );
    let choice = r#"{"final_choice": {"chosen_scenario_name": "Steady", "justification": "fits"}}"#;
    let raw = format!(r#"{{"response": {choice}}}"#);
    for (name, content) in [
        ("002-18-selected_scenario.json", choice),
        ("002-17-selected_scenario_raw.json", raw.as_str()),
    ] {
        assert_eq!(
            scenario::scenario(&one(name, content))
                .value
                .name
                .as_deref(),
            Some("Steady"),
            "{name}"
        );
    }
    let purpose = purpose::purpose(&one(
        "002-5-identify_purpose_raw.json",
        r#"{"topic": "Tram", "purpose": "business"}"#,
    ));
    assert_eq!(purpose.value.purpose.as_deref(), Some("business"));
}
