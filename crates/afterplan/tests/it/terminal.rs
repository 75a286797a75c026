//! On a terminal: `script` gives the program one.

use std::process::Command;

use crate::plan::sample_path;
use crate::shell::Shell;

/// Calls the program with a terminal of 60 columns; `None`, said aloud, where there is no `script`.
fn on_a_terminal(shell: &Shell, arguments: &str) -> Option<String> {
    let line = format!(
        "stty cols 60; '{}' {arguments}",
        env!("CARGO_BIN_EXE_afterplan")
    );
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(shell.folder())
        .env("AFTERPLAN_DATABASE", shell.database())
        .env("TERM", "xterm")
        .output();
    let Ok(output) = output else {
        println!("SKIPPED: a terminal (the program `script` is not in PATH)");
        return None;
    };
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}");
    Some(shown)
}

#[test]
fn steps_are_drawn_as_a_tree_that_stays_in_its_lines() {
    let shell = Shell::new();
    let Some(shown) = on_a_terminal(&shell, &format!("enrich '{}'", sample_path())) else {
        return;
    };
    let last = shown.rsplit("✓ plan-inventory").next().unwrap();
    for line in [
        "✓ ├─ critical-path",
        "✓ │  └─ schedule-monte-carlo",
        "✓ │     └─ readiness-score",
        "✓ └─ risk-exposure",
    ] {
        assert!(
            last.contains(line),
            "{line} is not in the last picture:\n{last}"
        );
    }
    assert!(
        !last.contains("steps are done"),
        "the last line is gone at the end:\n{last}"
    );
    assert!(last.contains("complete: 6 of 6 steps completed"), "{last}");
    assert!(last.contains("read "), "{last}");
}

/// The answer alone goes to standard output, so that a pipe gets no drawings.
#[test]
fn drawings_go_to_standard_error() {
    let shell = Shell::new();
    let arguments = format!(
        "enrich '{}' --json --agents plan-inventory > answer.json",
        sample_path()
    );
    if on_a_terminal(&shell, &arguments).is_some() {
        let answer = std::fs::read_to_string(shell.at("answer.json")).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "complete");
    }
}
