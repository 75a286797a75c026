//! A plan's artifacts, read as text and JSON.

use planexe::plan::{Plan, UnreadableReason};
use serde_json::json;

use crate::support::plan;

fn reason(plan: &Plan, name: &str) -> UnreadableReason {
    plan.json(name).expect_err("unreadable").reason
}

#[test]
fn what_is_wrong_with_an_artifact_is_told_apart() {
    let plan = Plan::from_named_bytes([
        ("a.json".to_owned(), b" \n".as_slice().into()),
        ("b.json".to_owned(), b"{\"a\": [1, 2".as_slice().into()),
        ("c.json".to_owned(), b"Minecraft Escape".as_slice().into()),
        (
            "d.json".to_owned(),
            b"\xEF\xBB\xBF\"\xff\"".as_slice().into(),
        ),
    ]);
    assert_eq!(reason(&plan, "a.json"), UnreadableReason::Empty);
    assert_eq!(
        reason(&plan, "b.json"),
        UnreadableReason::Truncated {
            line: 1,
            column: 11
        }
    );
    assert!(matches!(
        reason(&plan, "c.json"),
        UnreadableReason::NotJson {
            line: 1,
            column: 1,
            ..
        }
    ));
    assert_eq!(
        reason(&plan, "d.json"),
        UnreadableReason::NotUtf8 { offset: 4 }
    );
    assert_eq!(reason(&plan, "e.json"), UnreadableReason::Missing);
    assert_eq!(
        plan.json("b.json").unwrap_err().to_string(),
        "b.json: cut off at line 1, column 11"
    );
}

#[test]
fn a_byte_order_mark_and_windows_lines_do_no_harm() {
    let plan = plan(&[("a.json", "\u{feff}{\r\n\"a\": 1}\r\n")]);
    assert_eq!(plan.json("a.json"), Ok(json!({"a": 1})));
}

#[test]
fn a_sub_plan_shares_the_bytes_and_expands_a_series() {
    let whole = plan(&[
        ("001-2-plan.txt", "x"),
        ("022-1-1-task_durations_raw.json", "1"),
        ("022-1-2-task_durations_raw.json", "2"),
        ("team.md", "t"),
    ]);
    let part = whole.select(["task_durations_raw.json", "plan.txt", "absent.md"]);
    assert_eq!(
        part.artifacts.keys().collect::<Vec<_>>(),
        [
            "plan.txt",
            "task_durations_raw.json#1",
            "task_durations_raw.json#2"
        ]
    );
    assert!(std::sync::Arc::ptr_eq(
        &whole.artifacts["plan.txt"].bytes,
        &part.artifacts["plan.txt"].bytes
    ));
    assert_eq!(
        whole.select(["task_durations_raw.json#2"]).artifacts.len(),
        1
    );
}

#[test]
fn the_title_comes_from_the_wbs_or_else_from_the_topic() {
    let level1 = (
        "018-2-wbs_level1.json",
        r#"{"id": "r", "project_title": "Tram Line", "final_deliverable": "A line"}"#,
    );
    let plain_text = ("018-3-wbs_level1_project_title.json", "Tram Line 9\n");
    let topic = ("002-5-identify_purpose_raw.json", r#"{"topic": "A tram"}"#);
    assert_eq!(
        plan(&[level1, plain_text, topic]).title().as_deref(),
        Some("Tram Line")
    );
    assert_eq!(
        plan(&[plain_text, topic]).title().as_deref(),
        Some("Tram Line 9")
    );
    assert_eq!(plan(&[topic]).title().as_deref(), Some("A tram"));
    assert_eq!(plan(&[]).title(), None);
}

#[test]
fn the_prompt_is_what_stands_in_the_frame() {
    let framed = plan(&[(
        "001-2-plan.txt",
        "Plan:\nBuild a tram.\n\nBy 2030.\n\nToday's date:\n2026-Mar-10\n\nProject start ASAP",
    )]);
    assert_eq!(
        framed.prompt().as_deref(),
        Some("Build a tram.\n\nBy 2030.")
    );
    let windows = plan(&[(
        "001-plan.txt",
        "\u{feff}Plan:\r\nBuild a tram.\r\n\r\nToday\u{2019}s date:\r\n2026-Mar-10\r\n",
    )]);
    assert_eq!(windows.prompt().as_deref(), Some("Build a tram."));
    assert_eq!(
        plan(&[("plan.txt", "Just build it.")]).prompt().as_deref(),
        Some("Just build it.")
    );
    assert_eq!(plan(&[("plan.txt", "  \n")]).prompt(), None);
    let raw = ("plan_raw.json", r#"{"plan_prompt": "A tram by 2031."}"#);
    assert_eq!(plan(&[raw]).prompt().as_deref(), Some("A tram by 2031."));
    assert_eq!(
        plan(&[("plan.txt", "Plan:\nToday's date:")])
            .prompt()
            .as_deref(),
        Some("")
    );
}

#[test]
fn of_two_files_of_one_name_the_one_that_holds_something_is_read() {
    let full = ("022-2-task_durations.json", r#"[{"task_id": "a"}]"#);
    let found = plan(&[("task_durations.json", "[ ]\n"), full]);
    assert_eq!(found.artifacts["task_durations.json"].path, full.0);
    assert_eq!(found.collisions[0].kept, full.0);
    assert_eq!(found.collisions[0].path, "task_durations.json");
    assert!(found.has("task_durations.json~2"), "nothing is lost");
}
