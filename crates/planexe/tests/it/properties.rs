//! Nothing that stands in an artifact makes a view fail, and reading is the same each time.

use planexe::completeness::completeness;
use planexe::plan::Plan;
use planexe::summary::{SUMMARY_MAX, plan_summary};
use planexe::views::{
    assumptions, cost, currency, data_collection, deadline, decision, dependencies, documents,
    durations, experts, governance, premortem, project_plan, prompt, purpose, risks, scenario,
    schedule, self_audit, start, team, wbs,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

/// The artifacts that views read.
const NAMES: [&str; 30] = [
    "001-1-start_time.json",
    "001-2-plan.txt",
    "wbs_level1.json",
    "wbs_level2.json",
    "wbs_level3.json",
    "wbs_level1_project_title.json",
    "023-3-wbs_project_level1_and_level2_and_level3.json",
    "022-2-task_durations.json",
    "022-1-1-task_durations_raw.json",
    "021-task_dependencies_raw.json",
    "identify_risks_raw.json",
    "premortem_raw.json",
    "make_assumptions.json",
    "distill_assumptions_raw.json",
    "review_assumptions_raw.json",
    "find_team_members.json",
    "schedule_gantt_machai.csv",
    "activity_overview.json",
    "usage_metrics.jsonl",
    "currency_strategy_raw.json",
    "pre_project_assessment.json",
    "project_plan_raw.json",
    "experts.json",
    "016-1-1-expert_criticism_raw.json",
    "identified_documents_to_find.json",
    "governance_phase2_bodies_raw.json",
    "self_audit.md",
    "self_audit_raw.json",
    "expected_filenames1.json",
    "selected_scenario.json",
];

/// The keys that views ask for, so that random objects are not passed over at once.
const KEYS: [&str; 26] = [
    "id",
    "task_id",
    "days_min",
    "days_max",
    "days_realistic",
    "task_children",
    "wbs_project",
    "description",
    "extra_fields",
    "resources_needed",
    "subtasks",
    "major_phase_title",
    "parent_id",
    "name",
    "risks",
    "risk_description",
    "likelihood",
    "failure_modes",
    "failure_mode_title",
    "task_dependency_details",
    "depends_on_task_id_list",
    "dependent_task_id",
    "smart_criteria",
    "time_bound",
    "final_choice",
    "responses",
];

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (-5..40i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from)
    ];
    let text = prop_oneof![
        Just("a".to_owned()),
        "[ -~]{0,12}",
        "(by|within|in) [0-9]{1,5}[- /](months|Q4|2027|May|-1)"
    ]
    .prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(proptest::sample::select(KEYS.as_slice()), inner, 0..6).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let json = any_json().prop_map(|value| value.to_string().into_bytes());
    let cut = (any_json(), any::<proptest::sample::Index>()).prop_map(|(value, at)| {
        let text = value.to_string().into_bytes();
        let end = at.index(text.len() + 1);
        text[..end].to_vec()
    });
    let text = "([ -~\u{e4}\u{2013}\u{1f6d1}]|\r\n|\"|,){0,80}".prop_map(String::into_bytes);
    prop_oneof![4 => json, 2 => cut, 2 => text, 1 => vec(any::<u8>(), 0..60)]
}

/// Everything that can be read, as one text.
fn read_all(plan: &Plan) -> String {
    macro_rules! all { ($($view:expr),* $(,)?) => { [$(format!("{:?}", $view(plan))),*].join("\n") } }
    all!(
        assumptions::assumptions,
        assumptions::distilled,
        assumptions::review,
        cost::overview,
        cost::calls,
        currency::currency,
        data_collection::data_collection,
        deadline::deadlines,
        decision::decision,
        dependencies::dependencies,
        documents::to_find,
        documents::to_create,
        documents::to_find_kept,
        documents::to_create_kept,
        documents::to_find_drafted,
        documents::to_create_drafted,
        durations::durations,
        experts::experts,
        experts::criticism,
        governance::bodies,
        governance::steps,
        governance::escalations,
        governance::monitoring,
        premortem::premortem,
        project_plan::project_plan,
        prompt::prompt,
        purpose::purpose,
        risks::risks,
        scenario::scenario,
        schedule::schedule,
        self_audit::self_audit,
        start::start,
        team::team,
        wbs::wbs,
        completeness,
        Plan::title,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_content_makes_a_view_fail(files in vec((proptest::sample::select(NAMES.as_slice()), any_content()), 1..12)) {
        let files: Vec<(String, std::sync::Arc<[u8]>)> = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
        let plan = Plan::from_named_bytes(files.clone());
        prop_assert_eq!(plan.artifacts.len(), files.len(), "nothing is lost");
        let first = read_all(&plan);
        prop_assert_eq!(&first, &read_all(&Plan::from_named_bytes(files)));
        prop_assert!(plan_summary(&plan).to_string().len() <= SUMMARY_MAX);
        let tree = wbs::wbs(&plan).value;
        for task in &tree.tasks {
            prop_assert!(task.parent.as_deref().is_none_or(|parent| tree.tasks.iter().take(task.order).any(|earlier| earlier.id == parent)));
        }
        for estimate in durations::durations(&plan).value {
            prop_assert!([estimate.min, estimate.realistic, estimate.max].into_iter().flatten().all(|days| days >= 0.0 && days.is_finite()));
        }
    }

    #[test]
    fn no_sentence_makes_the_reading_of_deadlines_fail(words in vec(proptest::sample::select([
        "by", "within", "before", "18", "-", "\u{2013}", "20", "months", "of", "the", "start", "Q4", "2029", "end", "May", "31", ",", "st", "year", "/", "1.5", "a", "and", "two", ".", "99999999999",
    ].as_slice()), 0..14)) {
        let text = serde_json::json!({"smart_criteria": {"time_bound": words.join(" ")}}).to_string();
        let plan = Plan::from_named_bytes([("project_plan_raw.json".to_owned(), text.as_bytes().into())]);
        let found = deadline::deadlines(&plan).value;
        for deadline in &found.stated {
            prop_assert!(!deadline.phrase.is_empty());
            if let Some((low, high)) = deadline.when.days(Some(jiff::civil::date(2026, 1, 1))) {
                prop_assert!(low <= high, "{:?}", deadline);
            }
        }
        prop_assert!(found.primary.is_none_or(|index| index < found.stated.len()));
    }
}
