//! `afterplan credits` asked at a server: what an operator does, and histories that are the same here and there.

use serde_json::json;

use crate::network::{Served, Stub};
use crate::serve::served;
use crate::shell::{Answer, Shell};

fn opened() -> (Shell, Served) {
    let stub = Stub::answering_after(std::time::Duration::ZERO);
    let shell = Shell::new();
    let server = served(&shell, &stub, &[]);
    (shell, server)
}

/// `afterplan credits` at a server, which must do it.
#[track_caller]
fn credits_at(shell: &Shell, url: &str, arguments: &[&str]) -> Answer {
    let answer = shell.call(&[&["--server", url, "credits"], arguments].concat());
    assert_eq!(answer.exit, 0, "{answer}");
    answer
}

fn sets_and_drops_a_quota(shell: &Shell, url: &str) {
    let there = |arguments: &[&str]| credits_at(shell, url, arguments);
    let set = there(&[
        "quota", "acme", "--agent", "reviewer", "--per", "month", "--count", "3",
    ]);
    assert!(
        set.out.contains("reviewer") && set.out.contains("month"),
        "{set}"
    );
    let both = there(&[
        "quota",
        "acme",
        "--agent",
        "reviewer",
        "--per",
        "month",
        "--credits",
        "2.5",
    ]);
    let shown = there(&["quota", "acme", "--agent", "reviewer", "--per", "month"]);
    for told in [both, shown] {
        let row = told.out.lines().nth(1).unwrap_or_default();
        let row: Vec<_> = row.split_whitespace().collect();
        assert_eq!(row, ["reviewer", "month", "3", "0", "2.5", "0"], "{told}");
    }
    let dropped = there(&[
        "quota", "acme", "--agent", "reviewer", "--per", "month", "--drop",
    ]);
    assert!(dropped.out.contains("no quotas"), "{dropped}");
}

/// What an operator does to an account at a server comes out as it does on the database.
#[test]
fn an_operator_does_the_same_at_a_server() {
    let (shell, server) = opened();
    let url = server.url();
    let there = |arguments: &[&str]| credits_at(&shell, &url, arguments);
    let granted = [
        "grant",
        "acme",
        "12.5",
        "--key",
        "invoice-17",
        "--expires",
        "30",
        "--priority",
        "10",
    ];
    let answer = there(&granted);
    assert!(
        answer.out.contains("12.5") && answer.err.contains("invoice-17"),
        "{answer}"
    );
    let again = there(&granted);
    assert!(
        again.err.contains("nothing changed") && again.out.contains("12.5"),
        "{again}"
    );
    let adjusted = there(&[
        "adjust", "acme", "-2.25", "--note", "too much", "--key", "fix-1",
    ]);
    assert!(adjusted.out.contains("10.25"), "{adjusted}");
    let limited = there(&["limit", "acme", "pause"]);
    assert!(limited.out.contains("pause"), "{limited}");
    let told = shell.json(&["--server", &url, "credits", "balance", "acme", "--json"]);
    assert_eq!(
        (
            &told["balanceExact"],
            &told["atLimit"],
            &told["grants"][0]["priority"]
        ),
        (&"10.25".into(), &"pause".into(), &10.into())
    );
    sets_and_drops_a_quota(&shell, &url);
    let csv = there(&["history", "acme", "--form", "csv"]);
    let kinds: Vec<&str> = csv
        .out
        .lines()
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(kinds, ["kind", "grant", "adjust"], "the oldest first");
    let refused = [
        "--server",
        &url,
        "credits",
        "grant",
        "acme",
        "5",
        "--key",
        "invoice-17",
    ];
    shell.fails(2, &refused, &["invoice-17"]);
    drop(server);
    let checked = shell.call(&["check"]);
    assert_eq!(checked.exit, 0, "{checked}");
}

/// A history is asked for by what was charged and when, on the database and at a server, and both give the same lines.
#[test]
fn a_history_goes_by_orchestration_agent_step_and_day_here_and_there() {
    let (shell, server) = opened();
    let url = server.url();
    let ids: Vec<String> = (0..2)
        .map(|n| {
            let plan = json!({"id": format!("plan-{n}"), "plan": {"title": format!("Plan {n}")}});
            let body = json!({"planArtifact": plan});
            let ended = server.ask(200, "POST", "/api/orchestrate", Some(&body));
            ended["orchestrationId"].as_str().unwrap().to_owned()
        })
        .collect();
    let both = |arguments: &[&str]| {
        let here = shell.call(&[&["credits", "history"], arguments].concat());
        assert_eq!(here.exit, 0, "{here}");
        let there = [&["--server", &url, "credits", "history"], arguments].concat();
        assert_eq!(shell.call(&there).out, here.out, "{arguments:?}");
        here.out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = both(&["--form", "csv"]);
    assert_eq!(all.len(), 10, "{all:?}");
    assert!(
        all[1].starts_with("1,") && all[9].starts_with("9,"),
        "the oldest first: {all:?}"
    );
    let latest = both(&["--form", "csv", "--limit", "2"]);
    assert_eq!(latest[1..], all[8..]);
    for (filter, settles) in [
        (vec!["--orchestration", &ids[0]], 2),
        (vec!["--agent", "security-review"], 2),
        (vec!["--step", "performance-analysis"], 2),
        (
            vec!["--orchestration", &ids[1], "--agent", "security-review"],
            1,
        ),
        (vec!["--from", "2020-01-01"], 4),
        (vec!["--from", "2099-01-01"], 0),
        (vec!["--to", "2020-01-01"], 0),
        (
            vec![
                "--from",
                "2020-01-01",
                "--to",
                "2099-12-31",
                "--agent",
                "nobody",
            ],
            0,
        ),
    ] {
        let lines = both(&[&["--kind", "settle", "--form", "ndjson"], &filter[..]].concat());
        assert_eq!(lines.len(), settles, "{filter:?}: {lines:?}");
        let days = both(&[&["--days", "--form", "csv"], &filter[..]].concat());
        assert_eq!(days[0], "day,agent,charged,charges,tokens");
        let charges = |line: &String| line.split(',').nth(3).unwrap().parse::<usize>().unwrap();
        let sum: usize = days[1..].iter().map(charges).sum();
        assert_eq!(sum, settles, "{filter:?}: {days:?}");
    }
}

#[test]
fn what_does_not_go_with_a_history_is_refused_by_name() {
    let shell = Shell::new();
    for (refused, parts) in [
        (["--days", "--kind", "hold"], ["--days", "--kind"]),
        (["--days", "--limit", "3"], ["--days", "--limit"]),
    ] {
        let answer = shell.call(&[&["credits", "history"], &refused[..]].concat());
        assert_eq!(answer.exit, 2, "{answer}");
        assert!(
            parts.iter().all(|part| answer.err.contains(part)),
            "{answer}"
        );
    }
    let granted = shell.call(&["credits", "grant", "acme", "5"]);
    assert_eq!(granted.exit, 0, "{granted}");
    let span = ["--from", "2026-12-01", "--to", "2026-01-01"];
    let no_span = shell.call(&[&["credits", "history"], &span[..]].concat());
    assert!(
        no_span.exit == 2 && no_span.err.contains("--from is the earlier time"),
        "{no_span}"
    );
    let no_day = shell.call(&["credits", "history", "--from", "2026-02-30"]);
    assert!(
        no_day.exit == 2 && no_day.err.contains("2026-11-23"),
        "{no_day}"
    );
}

/// A server lists the charges as PlanExe's books have them, as the database does; it does not write them there.
#[test]
fn a_server_lists_the_rows_of_planexes_books() {
    let (shell, server) = opened();
    let url = server.url();
    let body = json!({"planArtifact": {"id": "plan-1", "plan": {"title": "Plan 1"}}});
    server.ask(200, "POST", "/api/orchestrate", Some(&body));
    let here = shell.call(&["credits", "export"]);
    let there = shell.call(&["--server", &url, "credits", "export"]);
    assert_eq!((here.out.lines().count(), here.out), (3, there.out));
    let to = [
        "--server",
        &url,
        "credits",
        "export",
        "--to",
        "postgres://127.0.0.1/x",
    ];
    shell.fails(2, &to, &["--database", "--to"]);
}
