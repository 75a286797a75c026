//! Complete, partial, ping, not a plan.

use planexe::completeness::{Completeness, Kind, Presence, completeness};
use planexe::known;

use crate::support::plan;

/// Every core artifact, as small as it goes.
fn core() -> Vec<(&'static str, &'static str)> {
    known::CORE
        .iter()
        .map(|name| {
            (
                *name,
                if name.ends_with(".txt") {
                    "Plan:\nx"
                } else {
                    "[]"
                },
            )
        })
        .collect()
}

fn of(files: &[(&str, &str)]) -> Completeness {
    completeness(&plan(files))
}

fn report() -> String {
    format!("<html>{}</html>\n", "x".repeat(20_000))
}

#[test]
fn the_core_with_the_marker_is_complete() {
    let mut files = core();
    files.push((
        "999-pipeline_complete.txt",
        "Full pipeline executed successfully.\n",
    ));
    let found = of(&files);
    assert_eq!(
        (found.kind, found.finished, found.listed),
        (Kind::Complete, true, false)
    );
    assert_eq!(
        (found.present, found.expected),
        (9, 10),
        "the report is expected too"
    );
    assert_eq!(found.artifacts["report.html"], Presence::Missing);
}

#[test]
fn the_core_with_a_whole_report_is_complete_without_the_marker() {
    let report = report();
    let mut files = core();
    files.push(("030-report.html", &report));
    assert_eq!(of(&files).kind, Kind::Complete);
    files.last_mut().unwrap().1 = "<html>ping</html>";
    assert_eq!(
        of(&files).kind,
        Kind::Partial,
        "a page of a few bytes is no report"
    );
    let cut = &report[..15_000];
    files.last_mut().unwrap().1 = cut;
    let found = of(&files);
    assert_eq!(found.kind, Kind::Partial);
    assert!(
        matches!(found.artifacts["report.html"], Presence::Truncated { .. }),
        "{:?}",
        found.artifacts["report.html"]
    );
}

#[test]
fn the_core_alone_is_partial() {
    assert_eq!(of(&core()).kind, Kind::Partial);
}

#[test]
fn an_empty_or_cut_core_artifact_makes_a_finished_plan_partial() {
    for (content, presence) in [
        ("", "Empty"),
        (" \n", "Empty"),
        ("[{\"task_id\": ", "Truncated"),
    ] {
        let mut files = core();
        files.retain(|(name, _)| *name != "task_durations.json");
        files.extend([
            ("022-2-task_durations.json", content),
            (
                "999-pipeline_complete.txt",
                "Full pipeline executed successfully.",
            ),
        ]);
        let found = of(&files);
        assert_eq!(found.kind, Kind::Partial);
        assert!(format!("{:?}", found.artifacts["task_durations.json"]).starts_with(presence));
        assert!(
            found.reasons[0].contains("task_durations.json"),
            "{:?}",
            found.reasons
        );
    }
}

#[test]
fn a_ping_is_recognised_by_its_words_and_by_what_it_lacks() {
    let start = (
        "001-1-start_time.json",
        r#"{"server_iso_utc": "2026-03-10T19:21:45Z"}"#,
    );
    let prompt = ("001-2-plan.txt", "Plan:\nx");
    let by_words = of(&[
        start,
        prompt,
        ("999-pipeline_complete.txt", "LLM ping completed.\n"),
        ("030-report.html", "<html></html>"),
    ]);
    assert_eq!((by_words.kind, by_words.finished), (Kind::Ping, false));
    let report = report();
    let by_lack = of(&[
        start,
        prompt,
        ("999-pipeline_complete.txt", "done"),
        ("030-report.html", &report),
    ]);
    assert_eq!(by_lack.kind, Kind::Ping);
    assert_eq!(of(&[start, prompt]).kind, Kind::Partial, "only begun");
}

#[test]
fn other_folders_are_no_plans() {
    assert_eq!(
        of(&[("README.md", "hello"), ("main.rs", "fn main() {}")]).kind,
        Kind::NotAPlan
    );
    assert_eq!(of(&[("plan.txt", "buy milk")]).kind, Kind::NotAPlan);
    assert_eq!(of(&[]).kind, Kind::NotAPlan);
    assert_eq!(of(&[("plan.txt", "Plan:\nbuy milk")]).kind, Kind::Partial);
}

#[test]
fn planexes_own_list_says_what_was_expected() {
    let list = (
        "expected_filenames1.json",
        r#"["001-2-plan.txt", "002-6-identify_purpose.md", "022-2-task_durations.json", "999-pipeline_complete.txt"]"#,
    );
    let found = of(&[
        list,
        ("001-2-plan.txt", "Plan:\nx"),
        ("022-2-task_durations.json", ""),
    ]);
    assert!(found.listed);
    assert_eq!((found.present, found.expected), (1, 4));
    assert_eq!(found.artifacts["identify_purpose.md"], Presence::Missing);
    assert_eq!(found.artifacts["task_durations.json"], Presence::Empty);
    let broken = of(&[
        ("expected_filenames1.json", "{}"),
        ("001-2-plan.txt", "Plan:\nx"),
    ]);
    assert!(!broken.listed);
}

#[test]
fn unreadable_is_not_missing() {
    let bytes = [
        ("001-2-plan.txt".to_owned(), b"Plan:\nx".as_slice().into()),
        ("013-team.md".to_owned(), b"caf\xe9".as_slice().into()),
    ];
    let mut files = planexe::plan::Plan::from_named_bytes(bytes);
    files.artifacts.extend(
        plan(&[
            ("018-3-wbs_level1_project_title.json", "Tram"),
            ("010-x.json", "{'a': 1}"),
        ])
        .artifacts,
    );
    let found = completeness(&files);
    let unreadable: Vec<&str> = found
        .unreadable
        .iter()
        .map(|note| note.artifact.as_str())
        .collect();
    assert_eq!(
        unreadable,
        ["team.md", "x.json"],
        "plain text under a known .json name is fine"
    );
    assert_eq!(found.artifacts["team.md"], Presence::Present { size: 4 });
}

#[test]
fn a_stop_that_was_asked_for_is_told() {
    assert!(
        of(&[
            ("001-2-plan.txt", "Plan:\nx"),
            ("pipeline_stop_requested.txt", "")
        ])
        .stop_requested
    );
}

#[test]
fn what_cannot_be_read_is_not_there_and_most_of_a_list_must_be() {
    let report = report();
    let deep = "[".repeat(300) + &"]".repeat(300);
    let mut files = core();
    for (name, content) in &mut files {
        if name.ends_with(".json") {
            *content = &deep;
        }
    }
    files.push(("030-report.html", &report));
    let found = of(&files);
    assert_eq!((found.kind, found.present), (Kind::Partial, 2));
    let mut files = core();
    files.push(("030-report.html", &report));
    files.push((
        "expected_filenames1.json",
        r#"["plan.txt", "x.md", "y.md"]"#,
    ));
    let found = of(&files);
    assert_eq!((found.kind, found.present), (Kind::Partial, 1));
}

#[test]
fn a_byte_order_mark_alone_is_empty() {
    let found = of(&[("swot_analysis.md", "\u{feff}"), ("plan.txt", "\u{feff}x")]);
    assert_eq!(found.artifacts["swot_analysis.md"], Presence::Empty);
    assert!(matches!(
        found.artifacts["plan.txt"],
        Presence::Present { .. }
    ));
}
