//! What PlanExe is known to write: logical names, by which a plan is told from any other folder.

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
