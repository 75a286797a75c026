//! The schedule and what it cost to make the plan.

use planexe::views::{cost, schedule};

use crate::support::{notes, one, plan};

#[test]
fn the_schedule_is_read_with_quoted_lines() {
    let csv = "project_key,project_name,project_description,project_start_date,project_end_date,project_progress,project_parent,originating_department\r\n\
        r,Tram,\"Tram\n\nFinal deliverable:\nA \"\"good\"\" line, at last\",3/10/2026,10/13/2029,0,,PlanExe\r\n\
        a,\"Plan, it\",,3/10/2026,13/40/2026,0,r,PlanExe\r\n\
        ,no key,,,,,,\r\n\
        b,Short";
    let view = schedule::schedule(&one("026-3-schedule_gantt_machai.csv", csv));
    let rows: Vec<_> = view
        .value
        .iter()
        .map(|row| {
            (
                row.id.as_str(),
                row.name.as_str(),
                row.end.map(|end| end.to_string()),
                row.pointer.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("r", "Tram", Some("2029-10-13".to_owned()), "line 2"),
            ("a", "Plan, it", None, "line 6"),
            ("b", "Short", None, "line 8")
        ]
    );
    assert_eq!(
        view.value[0].description.as_deref(),
        Some("Tram\n\nFinal deliverable:\nA \"good\" line, at last")
    );
    assert_eq!(
        (
            view.value[0].predecessor.as_deref(),
            view.value[1].predecessor.as_deref()
        ),
        (None, Some("r"))
    );
    assert_eq!(
        notes(&view),
        [
            "schedule_gantt_machai.csv line 6: \"13/40/2026\" is no date",
            "schedule_gantt_machai.csv line 7: a row without project_key"
        ]
    );
}

#[test]
fn a_schedule_that_is_none_says_so() {
    for (content, told) in [
        ("", "the artifact is empty"),
        ("a,b\n1,2\n", "no columns project_key and project_name"),
        (
            "project_key,project_name\n\"a,b",
            "a quoted field that never ends",
        ),
    ] {
        let view = schedule::schedule(&one("schedule_gantt_machai.csv", content));
        assert!(
            notes(&view).join("\n").contains(told),
            "{content:?}: {:?}",
            notes(&view)
        );
    }
}

#[test]
fn costs_come_with_and_without_calls() {
    let plan = plan(&[
        (
            "activity_overview.json",
            r#"{"models": {"P:m/1": {"calls": 3, "total_cost": 0.1}, "bad": 7}, "total_cost": 0.25, "total_input_tokens": 12}"#,
        ),
        (
            "usage_metrics.jsonl",
            "{\"model\": \"m\", \"success\": true, \"cost_usd\": 0.1}\n\n{\"model\": \"m\", \"succ\n[1]\n{\"success\": false, \"error\": \"timeout\"}\n",
        ),
    ]);
    let overview = cost::overview(&plan);
    let total = overview.value.unwrap();
    assert_eq!(
        (
            total.total_cost,
            total.input_tokens,
            total.models["P:m/1"].calls
        ),
        (Some(0.25), Some(12.0), Some(3.0))
    );
    assert_eq!(overview.skipped.len(), 1);
    let calls = cost::calls(&plan);
    let rows: Vec<_> = calls
        .value
        .iter()
        .map(|call| {
            (
                call.success,
                call.cost,
                call.error.as_deref(),
                call.pointer.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Some(true), Some(0.1), None, "line 1"),
            (Some(false), None, Some("timeout"), "line 5")
        ]
    );
    assert_eq!(
        notes(&calls),
        [
            "usage_metrics.jsonl line 3: cut off at line 1, column 20",
            "usage_metrics.jsonl line 4: not an object"
        ]
    );
    assert_eq!(cost::overview(&one("x", "")).value, None);
}
