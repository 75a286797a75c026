//! What PlanExe is known to write: logical names, by which a plan is told from any other folder.

use crate::naming;

/// Present in every finished plan of every generation: what a complete plan cannot lack.
pub const CORE: [&str; 9] = [
    "plan.txt",
    "make_assumptions.json",
    "pre_project_assessment.json",
    "wbs_level1.json",
    "wbs_level2.json",
    "wbs_level3.json",
    "wbs_project_level1_and_level2_and_level3.json",
    "task_durations.json",
    "task_dependencies_raw.json",
];

/// The report that PlanExe draws at the end.
pub const REPORT: &str = "report.html";
/// The mark of a finished pipeline.
pub const MARKER: &str = "pipeline_complete.txt";
/// PlanExe's own list of what it will write, by file name.
pub const EXPECTED: &str = "expected_filenames1.json";
/// Someone asked PlanExe to stop.
pub const STOP: &str = "pipeline_stop_requested.txt";
/// Holds plain text although its name says JSON.
pub const PLAIN_TEXT: [&str; 1] = ["wbs_level1_project_title.json"];
/// Names that hardly anything but PlanExe writes, sorted.
const TELLING: [&str; 124] = [
    "activity_overview.json",
    "blockers.md",
    "blockers_raw.json",
    "candidate_scenarios.json",
    "candidate_scenarios_raw.json",
    "consolidate_assumptions_full.md",
    "consolidate_assumptions_short.md",
    "consolidate_governance.md",
    "currency_strategy.md",
    "currency_strategy_raw.json",
    "data_collection.md",
    "data_collection_raw.json",
    "deduplicated_levers_raw.json",
    "distill_assumptions.json",
    "distill_assumptions.md",
    "distill_assumptions_raw.json",
    "documents_to_create_and_find.md",
    "domains_assessment.md",
    "domains_assessment_raw.json",
    "draft_documents_to_create.json",
    "draft_documents_to_create_raw.json",
    "draft_documents_to_find.json",
    "draft_documents_to_find_raw.json",
    "enrich_team_members_background_story.json",
    "enrich_team_members_background_story_raw.json",
    "enrich_team_members_contract_type.json",
    "enrich_team_members_contract_type_raw.json",
    "enrich_team_members_environment_info.json",
    "enrich_team_members_environment_info_raw.json",
    "enriched_levers_raw.json",
    "executive_summary.md",
    "executive_summary_raw.json",
    "expected_filenames1.json",
    "expert_criticism.md",
    "expert_criticism_raw.json",
    "experts.json",
    "experts_raw.json",
    "filter_documents_to_create_clean.json",
    "filter_documents_to_create_raw.json",
    "filter_documents_to_find_clean.json",
    "filter_documents_to_find_raw.json",
    "find_team_members.json",
    "find_team_members_raw.json",
    "fix_packs_markdown.md",
    "fix_packs_raw.json",
    "governance_phase1_audit.md",
    "governance_phase1_audit_raw.json",
    "governance_phase2_bodies.md",
    "governance_phase2_bodies_raw.json",
    "governance_phase3_impl_plan.md",
    "governance_phase3_impl_plan_raw.json",
    "governance_phase4_decision_escalation_matrix.md",
    "governance_phase4_decision_escalation_matrix_raw.json",
    "governance_phase5_monitoring_progress.md",
    "governance_phase5_monitoring_progress_raw.json",
    "governance_phase6_extra.md",
    "governance_phase6_extra_raw.json",
    "identified_documents.md",
    "identified_documents_raw.json",
    "identified_documents_to_create.json",
    "identified_documents_to_find.json",
    "identify_purpose.md",
    "identify_purpose_raw.json",
    "identify_risks.md",
    "identify_risks_raw.json",
    "make_assumptions.json",
    "make_assumptions.md",
    "make_assumptions_raw.json",
    "physical_locations.md",
    "physical_locations_raw.json",
    "pipeline_complete.txt",
    "pipeline_stop_requested.txt",
    "pitch_raw.json",
    "pitch_to_markdown_raw.json",
    "plan_type.md",
    "plan_type_raw.json",
    "planexe_metadata.json",
    "potential_levers.json",
    "potential_levers_raw.json",
    "pre_project_assessment.json",
    "pre_project_assessment_raw.json",
    "premise_attack.json",
    "premise_attack.md",
    "premortem.md",
    "premortem_raw.json",
    "project_plan_raw.json",
    "questions_and_answers.html",
    "questions_and_answers_raw.json",
    "redline_gate.json",
    "redline_gate.md",
    "related_resources.md",
    "related_resources_raw.json",
    "review_assumptions.md",
    "review_assumptions_raw.json",
    "review_plan.md",
    "review_plan_raw.json",
    "review_team_raw.json",
    "schedule_gantt_dhtmlx.html",
    "schedule_gantt_machai.csv",
    "schedule_gantt_mermaid.html",
    "selected_scenario.json",
    "selected_scenario_raw.json",
    "self_audit.md",
    "self_audit_raw.json",
    "strategic_decisions.md",
    "swot_analysis.md",
    "swot_analysis_raw.json",
    "task_dependencies_raw.json",
    "task_durations.json",
    "task_durations_raw.json",
    "track_activity.jsonl",
    "viability_overall_summary.md",
    "viability_overall_summary_raw.json",
    "vital_few_levers_raw.json",
    "wbs_level1.json",
    "wbs_level1_project_title.json",
    "wbs_level1_raw.json",
    "wbs_level2.json",
    "wbs_level2_raw.json",
    "wbs_level3.json",
    "wbs_level3_raw.json",
    "wbs_project_level1_and_level2.json",
    "wbs_project_level1_and_level2_and_level3.csv",
    "wbs_project_level1_and_level2_and_level3.json",
];

/// Whether files (path from the plan's top, content) are a PlanExe plan at all, be it partial or a ping: two telling names at the top, or PlanExe's
/// own frame around the prompt, or its start time.
pub fn is_plan<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> bool {
    let mut telling = 0;
    for (path, bytes) in files {
        if path.contains('/') {
            continue;
        }
        let logical = naming::logical(path);
        let framed =
            logical.base == "plan.txt" && (!logical.numbers.is_empty() || is_framed(bytes));
        let started = logical.base == "start_time.json"
            && bytes
                .windows(b"server_iso".len())
                .take(200)
                .any(|window| window == b"server_iso");
        if framed || started {
            return true;
        }
        telling += usize::from(TELLING.binary_search(&logical.base.as_str()).is_ok());
    }
    telling >= 2
}

fn is_framed(bytes: &[u8]) -> bool {
    let start = bytes
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(bytes)
        .trim_ascii_start();
    start
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"plan:"))
}
