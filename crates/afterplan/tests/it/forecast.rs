//! What a plan may cost, told before it is enriched.

use std::time::Duration;

use serde_json::json;

use crate::network::Stub;
use crate::plan::{AGENTS, sample_path};
use crate::serve::served;
use crate::shell::Shell;

#[test]
fn a_forecast_is_a_table_and_leaves_nothing_behind() {
    let shell = Shell::new();
    let answer = shell.call(&["enrich", sample_path(), "--forecast"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let lines: Vec<&str> = answer.out.lines().collect();
    assert_eq!(lines.len(), AGENTS.len() + 3, "{answer}");
    let head: Vec<&str> = lines[0]
        .split("  ")
        .filter(|cell| !cell.trim().is_empty())
        .map(str::trim)
        .collect();
    assert_eq!(
        head,
        ["agent", "low", "expected", "p95", "worst case", "by"].to_vec()
    );
    for agent in AGENTS {
        assert!(lines.iter().any(|line| line.starts_with(agent)), "{answer}");
    }
    assert!(lines[AGENTS.len() + 1].starts_with("in all"), "{answer}");
    assert!(shell.names().is_empty(), "{:?}", shell.names());
    assert!(!shell.database().exists(), "not even a database");
    let told = shell.json(&["enrich", sample_path(), "--forecast", "--json"]);
    assert_eq!(told["steps"].as_array().unwrap().len(), AGENTS.len());
    assert_eq!(
        (&told["total"]["worst"], &told["budget"]),
        (&json!(0), &json!(1_000))
    );
}

#[test]
fn strictness_refuses_what_may_cost_more_here_and_at_a_server() {
    let (shell, stub) = (Shell::new(), Stub::answering_after(Duration::ZERO));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let ask = |more: &[&'static str]| {
        let asked = ["enrich", sample_path(), "--agents", "security-review"];
        let there = [&asked[..], more, &["--server", &url]].concat();
        let (here, there) = (shell.call(&[&asked[..], more].concat()), shell.call(&there));
        assert_eq!(here.exit, there.exit, "{here}\n{there}");
        (here, there)
    };
    let (here, there) = ask(&["--forecast", "--max-cost", "0.4"]);
    assert_eq!((here.exit, &here.out), (0, &there.out), "{here}\n{there}");
    for said in [
        "security-review",
        "0.5",
        "its budget is 0.4 credits",
        "--strict would refuse it",
    ] {
        assert!(here.out.contains(said), "{said} is not in {here}");
    }
    for more in [
        &["--max-cost", "0.4", "--strict"][..],
        &["--max-cost", "0.4", "--strict", "--forecast"],
    ] {
        let (here, there) = ask(more);
        assert_eq!(here.exit, 2, "{here}");
        for answer in [here, there] {
            let told = more.contains(&"--forecast");
            assert_eq!(answer.out.contains("worst case"), told, "{answer}");
            for part in [
                "costs 0.5 credits",
                "budget of 0.4",
                "a budget of 0.5 would do",
            ] {
                assert!(answer.err.contains(part), "{part} is not in {answer}");
            }
            assert_eq!(answer.err.lines().count(), 1, "{answer}");
        }
    }
    let (here, _) = ask(&["--max-cost", "0.5", "--strict", "--forecast"]);
    assert_eq!(here.exit, 0, "{here}");
    assert_eq!(stub.asked(), 0, "nobody was asked");
    let list = shell.json(&["orchestrations", "list", "--json"]);
    assert_eq!(list, json!([]), "nothing was begun");
}

/// 0 would be a promise; and a small budget is no nothing.
#[test]
fn what_nobody_knows_is_no_nought() {
    let shell = Shell::new();
    let definition = "id = \"metered\"\ndisplayName = \"Metered\"\ncostMode = \"token-based\"\nmodel = \"gpt-4o\"\n";
    std::fs::write(shell.at("metered.toml"), definition).unwrap();
    let registered = shell.call(&["agents", "register", "metered.toml"]);
    assert_eq!(registered.exit, 0, "{registered}");
    let told = shell.call(&[
        "enrich",
        sample_path(),
        "--agents",
        "metered",
        "--forecast",
        "--max-cost",
        "0.000000004",
    ]);
    let row = told.out.lines().find(|line| line.starts_with("metered"));
    let row: Vec<_> = row.unwrap().split_whitespace().collect();
    assert_eq!(row[..5], ["metered", "-", "-", "-", "-"], "{told}");
    assert!(
        told.out.contains("its budget is 0.000000004 credits"),
        "{told}"
    );
}

#[test]
fn without_strictness_it_stops_at_what_it_may_cost() {
    let (shell, stub) = (Shell::new(), Stub::answering_after(Duration::ZERO));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let agents = "security-review,performance-analysis";
    let dear = [
        "enrich",
        sample_path(),
        "--agents",
        agents,
        "--max-cost",
        "0.6",
        "--server",
        &url,
    ];
    let answer = shell.call(&dear);
    assert_eq!(answer.exit, 3, "{answer}");
    for said in ["1 of 2 steps completed", "budget"] {
        assert!(answer.out.contains(said), "{said} is not in {answer}");
    }
    assert_eq!(stub.asked(), 1, "who cannot be paid is not asked");
}

#[test]
fn an_amount_is_a_decimal_that_is_not_negative() {
    let shell = Shell::new();
    for amount in ["-1", "much", "1e3", "0.0000000001", "9000000001"] {
        let amount = format!("--max-cost={amount}");
        let answer = shell.call(&["enrich", sample_path(), "--forecast", &amount]);
        assert_eq!(answer.exit, 2, "{answer}");
    }
    let answer = shell.call(&["enrich", sample_path(), "--forecast", "--out", "x"]);
    assert_eq!(answer.exit, 2, "{answer}");
}
