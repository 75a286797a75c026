//! Logical names over all three generations.

use planexe::naming::{keys, logical};

use crate::support::plan;

#[test]
fn three_generations_of_one_file_have_one_name() {
    for name in [
        "003-make_assumptions.json",
        "003-4-make_assumptions.json",
        "make_assumptions.json",
    ] {
        assert_eq!(logical(name).key(), "make_assumptions.json", "{name}");
    }
}

#[test]
fn only_number_prefixes_are_cut() {
    for (name, key) in [
        ("030-report.html", "report.html"),
        ("999-pipeline_complete.txt", "pipeline_complete.txt"),
        ("expected_filenames1.json", "expected_filenames1.json"),
        ("018-4-wbs_level2_raw.json", "wbs_level2_raw.json"),
        ("12-angry-men.md", "12-angry-men.md"),
        ("2026-budget.md", "2026-budget.md"),
        ("001-2-3-4-deep.md", "4-deep.md"),
        ("001-", "001-"),
        ("001-2-", "2-"),
        ("-.md", "-.md"),
        ("", ""),
    ] {
        assert_eq!(logical(name).key(), key, "{name}");
    }
}

#[test]
fn chunks_of_known_series_are_numbered_even_when_alone() {
    for (name, key) in [
        (
            "022-1-7-task_durations_raw.json",
            "task_durations_raw.json#7",
        ),
        ("021-4-task_durations_raw.json", "task_durations_raw.json#4"),
        (
            "016-1-2-expert_criticism_raw.json",
            "expert_criticism_raw.json#2",
        ),
        ("task_durations_raw_12.json", "task_durations_raw.json#12"),
        ("wbs_level3_7_raw.json", "wbs_level3_raw.json#7"),
        ("3-wbs_level3_raw.json", "wbs_level3_raw.json#3"),
        (
            "draft_documents_to_find_raw.json",
            "draft_documents_to_find_raw.json",
        ),
        ("022-task_durations_raw.json", "task_durations_raw.json"),
    ] {
        assert_eq!(logical(name).key(), key, "{name}");
    }
}

#[test]
fn files_that_differ_in_the_last_number_only_are_a_series() {
    let (keys, collisions) = keys(&[
        "031-2-1-lens_raw.json",
        "031-2-10-lens_raw.json",
        "031-2-2-lens_raw.json",
        "031-3-lens.md",
    ]);
    assert_eq!(
        keys,
        [
            "lens_raw.json#1",
            "lens_raw.json#10",
            "lens_raw.json#2",
            "lens.md"
        ]
    );
    assert!(collisions.is_empty());
}

#[test]
fn a_series_is_ordered_by_number_not_by_name() {
    let names: Vec<String> = (1..=12)
        .rev()
        .map(|chunk| format!("022-1-{chunk}-task_durations_raw.json"))
        .collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "{}")).collect();
    let numbers: Vec<u32> = plan(&files)
        .series("task_durations_raw.json")
        .iter()
        .map(|(chunk, _)| *chunk)
        .collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
}

#[test]
fn nothing_is_lost_when_two_files_want_one_name() {
    let plan = plan(&[
        ("task_durations.json", "new"),
        ("022-2-task_durations.json", "old"),
        ("021-task_durations.json", "older"),
    ]);
    assert_eq!(plan.text("task_durations.json"), Ok("new"));
    assert_eq!(plan.text("task_durations.json~2"), Ok("older"));
    assert_eq!(plan.text("task_durations.json~3"), Ok("old"));
    let told: Vec<&str> = plan
        .collisions
        .iter()
        .map(|collision| collision.path.as_str())
        .collect();
    assert_eq!(
        told,
        ["021-task_durations.json", "022-2-task_durations.json"]
    );
    assert!(
        plan.collisions
            .iter()
            .all(|collision| collision.kept == "task_durations.json")
    );
}

#[test]
fn the_same_path_twice_keeps_both() {
    let plan = plan(&[("001-2-plan.txt", "first"), ("001-2-plan.txt", "second")]);
    assert_eq!(
        (plan.text("plan.txt"), plan.text("plan.txt~2")),
        (Ok("first"), Ok("second"))
    );
}

#[test]
fn files_in_folders_keep_their_folder() {
    let plan = plan(&[
        ("drafts/001-2-plan.txt", "draft"),
        ("001-2-plan.txt", "plan"),
    ]);
    assert_eq!(
        (plan.text("plan.txt"), plan.text("drafts/plan.txt")),
        (Ok("plan"), Ok("draft"))
    );
    assert!(plan.collisions.is_empty());
}
