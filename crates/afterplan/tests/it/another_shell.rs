//! Looking at orchestrations and steering them, from another shell.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::killed::{read_until, unended};
use crate::plan::sample_path;
use crate::shell::{Answer, Shell};

const ENRICH: [&str; 3] = ["enrich", "--out", "enriched"];

fn enrich(shell: &Shell) -> Child {
    shell.start(&[&ENRICH[..], &[sample_path()]].concat())
}

/// A shell whose database has an orchestration that was killed in the middle, and its id.
fn with_unended() -> (Shell, String) {
    for _ in 0..20 {
        let shell = Shell::new();
        let mut child = enrich(&shell);
        let _err = read_until(&mut child, "critical-path: attempt 1 started");
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some((id, _)) = unended(&shell) {
            return (shell, id);
        }
    }
    panic!("20 enrichments were faster than a kill");
}

/// Waits until the list shows `status`.
fn wait_for(shell: &Shell, id: &str, status: &str) {
    let begun = Instant::now();
    loop {
        let list = shell.json(&["orchestrations", "list", "--json"]);
        let line = list
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["id"] == id)
            .unwrap();
        if line["status"] == status {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not {status}: {line}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[track_caller]
fn ends(child: Child, exit: i32) -> Answer {
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.exit, exit, "{answer}");
    answer
}

#[test]
fn what_is_paused_waits_until_it_is_resumed() {
    let (shell, id) = with_unended();
    let paused = shell.call(&["orchestrations", "pause", &id]);
    assert_eq!(paused.exit, 0, "{paused}");
    assert!(paused.out.contains("paused"), "{paused}");
    let going_on = enrich(&shell);
    let followed = shell.start(&["orchestrations", "events", &id, "--follow"]);
    std::thread::sleep(Duration::from_millis(1_500));
    wait_for(&shell, &id, "paused");
    let resumed = shell.call(&["orchestrations", "resume", &id]);
    assert_eq!(resumed.exit, 0, "{resumed}");
    let said = ends(going_on, 0).err;
    assert!(
        said.contains(&format!("to go on: afterplan orchestrations resume {id}")),
        "{said}"
    );
    assert!(said.contains("resumed"), "{said}");
    let events = ends(followed, 0).out;
    assert!(events.contains("created with 6 steps"), "{events}");
    assert!(
        events.lines().last().unwrap().ends_with("complete, cost 0"),
        "{events}"
    );
    wait_for(&shell, &id, "complete");
}

/// The one that works notices within a moment what the other shell says.
#[test]
fn a_working_enrichment_is_paused_and_cancelled_from_another_shell() {
    for _ in 0..20 {
        let shell = Shell::new();
        let mut child = enrich(&shell);
        let mut err = read_until(&mut child, "critical-path: attempt 1 started");
        let Some((id, _)) = unended(&shell) else {
            child.wait().unwrap();
            continue;
        };
        if shell.call(&["orchestrations", "pause", &id]).exit != 0 {
            child.wait().unwrap();
            continue;
        }
        std::thread::sleep(Duration::from_millis(1_500));
        wait_for(&shell, &id, "paused");
        let cancelled = shell.call(&[
            "orchestrations",
            "cancel",
            &id,
            "--reason",
            "the yard is closed",
        ]);
        assert_eq!(cancelled.exit, 0, "{cancelled}");
        assert_eq!(child.wait().unwrap().code(), Some(4));
        let mut said = String::new();
        std::io::Read::read_to_string(&mut err, &mut said).unwrap();
        assert!(
            said.contains("paused") && said.contains("the yard is closed"),
            "{said}"
        );
        let shown = shell.call(&["orchestrations", "show", &id]);
        assert!(
            shown.out.contains("cancelled") && shown.out.contains("the yard is closed"),
            "{shown}"
        );
        let check = shell.call(&["check"]);
        assert_eq!(check.exit, 0, "{check}");
        return;
    }
    panic!("20 enrichments were faster than another shell");
}

/// Nobody works on it: it is cancelled all the same, and the next enrichment begins anew.
#[test]
fn an_abandoned_orchestration_can_be_cancelled() {
    let (shell, id) = with_unended();
    let cancelled = shell.call(&["orchestrations", "cancel", &id, "--grace", "0"]);
    assert_eq!(cancelled.exit, 0, "{cancelled}");
    assert!(cancelled.out.contains("cancelled"), "{cancelled}");
    wait_for(&shell, &id, "cancelled");
    let again = ends(enrich(&shell), 0);
    assert!(!again.err.contains("going on"), "{again}");
    assert_eq!(shell.call(&["check"]).exit, 0);
}

#[test]
fn a_paused_step_holds_back_only_what_needs_it() {
    let (shell, id) = with_unended();
    let step = ["--step", "schedule-monte-carlo"];
    let pause = [&["orchestrations", "pause", &id][..], &step].concat();
    assert_eq!(shell.call(&pause).exit, 0);
    let going_on = enrich(&shell);
    let begun = Instant::now();
    while unended(&shell).unwrap().1 < 4 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the others go on"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let shown = shell.call(&["orchestrations", "show", &id]);
    let line = shown
        .out
        .lines()
        .find(|line| line.starts_with("schedule-monte-carlo"))
        .unwrap();
    assert!(line.contains("paused"), "{shown}");
    let resume = [&["orchestrations", "resume", &id][..], &step].concat();
    assert_eq!(shell.call(&resume).exit, 0);
    ends(going_on, 0);
}

#[test]
fn what_has_ended_or_is_unknown_cannot_be_steered() {
    let shell = Shell::new();
    let outcome = shell.json(&[
        "enrich",
        sample_path(),
        "--json",
        "--agents",
        "plan-inventory",
    ]);
    let id = outcome["orchestration"].as_str().unwrap();
    for verb in ["pause", "resume", "cancel"] {
        shell.fails(2, &["orchestrations", verb, id], &["has ended (complete)"]);
    }
    shell.fails(
        2,
        &["orchestrations", "approve", id, "plan-inventory"],
        &["has ended"],
    );
    let unknown = "01a20619-e3ee-766e-b12e-47cef7d61195";
    for verb in ["show", "events", "pause", "resume", "cancel"] {
        shell.fails(
            2,
            &["orchestrations", verb, unknown],
            &[unknown, "orchestrations list"],
        );
    }
    let (shell, id) = with_unended();
    shell.fails(
        2,
        &["orchestrations", "pause", &id, "--step", "nothing"],
        &["there is no step `nothing`"],
    );
    let approve = ["orchestrations", "approve", &id, "readiness-score"];
    shell.fails(
        2,
        &approve,
        &["`readiness-score` does not wait for approval"],
    );
}

#[test]
fn events_and_steps_are_shown_to_people_and_to_scripts() {
    let shell = Shell::new();
    let outcome = shell.json(&["enrich", sample_path(), "--json"]);
    let id = outcome["orchestration"].as_str().unwrap();
    let lines = shell.call(&["orchestrations", "events", id, "--json"]).out;
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], at + 1);
    }
    assert_eq!(events[0]["event"]["kind"], "orchestration_created");
    assert_eq!(
        events.last().unwrap()["event"]["kind"],
        "orchestration_completed"
    );
    let after = shell
        .call(&["orchestrations", "events", id, "--after", "3"])
        .out;
    assert_eq!(after.lines().count(), events.len() - 3);
    assert!(after.trim_start().starts_with("4  "), "{after}");
    let shown = shell.call(&["orchestrations", "show", id]).out;
    assert!(
        shown.starts_with("harbour-ferry-solveig  complete\n"),
        "{shown}"
    );
    assert_eq!(
        shown
            .lines()
            .filter(|line| line.contains("  completed  "))
            .count(),
        6,
        "{shown}"
    );
    shell.json(&["enrich", sample_path(), "--json"]);
    let list = shell.json(&["orchestrations", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["id"], id, "the latest comes first");
    assert_eq!(
        shell
            .call(&["orchestrations", "list", "--limit", "1"])
            .out
            .lines()
            .count(),
        2
    );
    let pruned = shell.call(&["orchestrations", "prune", "--older-than", "1"]);
    assert!(pruned.out.starts_with("0 orchestrations"), "{pruned}");
    let pruned = shell.call(&["orchestrations", "prune", "--older-than", "0"]);
    assert!(pruned.out.starts_with("2 orchestrations"), "{pruned}");
    assert_eq!(
        shell.json(&["orchestrations", "list", "--json"]),
        Value::Array(Vec::new())
    );
    assert_eq!(shell.call(&["check"]).exit, 0);
}
