//! The enriched plan as a git repository.

use std::path::Path;
use std::process::Command;

use crate::plan::{AGENTS, assert_whole, files, sample, sample_path};
use crate::shell::{Answer, Shell};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn each_enrichment_is_a_commit_of_its_agent() {
    let shell = Shell::new();
    let answer = shell.call(&["enrich", sample_path(), "--git", "--out", "plan"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let folder = shell.at("plan");
    assert_whole(&files(&folder), &files(&sample()), &AGENTS);
    assert_eq!(git(&folder, &["status", "--porcelain"]), "");
    let log = git(&folder, &["log", "--reverse", "--format=%an|%ae|%s"]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 8, "{log}");
    assert_eq!(
        lines[0],
        "PlanExe|planexe@afterplan.invalid|Plan harbour-ferry-solveig"
    );
    for (line, agent) in lines[1..7].iter().zip(version_order(&folder)) {
        assert!(
            line.starts_with(&format!("{agent} ")),
            "{line} is not of {agent}"
        );
        assert!(line.contains(&format!(
            "|{agent}@afterplan.invalid|Enrich harbour-ferry-solveig with "
        )));
    }
    assert!(lines[7].starts_with("afterplan "), "{log}");
    let changed = git(&folder, &["show", "--format=", "--name-only", "HEAD~6"]);
    assert_eq!(changed, "enrichments/plan-inventory.json");
}

/// The agents in the order in which the manifest says that they were applied.
fn version_order(folder: &Path) -> Vec<String> {
    let manifest = crate::plan::json(&files(folder), "enrichment_manifest.json");
    let listed = manifest["enrichments"].as_array().unwrap();
    listed
        .iter()
        .map(|entry| entry["agent"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_second_enrichment_goes_on_in_the_same_repository() {
    let shell = Shell::new();
    let enrich = |seed: &str| {
        let answer = shell.call(&[
            "enrich",
            sample_path(),
            "--git",
            "--out",
            "plan",
            "--seed",
            seed,
        ]);
        assert_eq!(answer.exit, 0, "{answer}");
        git(&shell.at("plan"), &["log", "--format=%H"])
    };
    let (first, second) = (enrich("1"), enrich("2"));
    assert!(
        second.ends_with(&first),
        "the history goes on:\n{second}\nafter\n{first}"
    );
    let new = second.lines().count() - first.lines().count();
    assert!(
        (2..=3).contains(&new),
        "{new} commits for one or two changed enrichments and the sum"
    );
    assert_eq!(git(&shell.at("plan"), &["status", "--porcelain"]), "");
    // Without --git the history would be lost: refused.
    shell.fails(
        2,
        &["enrich", sample_path(), "--out", "plan"],
        &["is a git repository", "--git"],
    );
    // A zip has no history.
    shell.fails(
        2,
        &["enrich", sample_path(), "--git", "--out", "plan.zip"],
        &["--git wants a directory"],
    );
    assert_eq!(shell.names(), ["plan"]);
}

#[test]
fn a_lock_that_was_left_behind_is_named() {
    let shell = Shell::new();
    let arguments = ["enrich", sample_path(), "--git", "--out", "plan"];
    assert_eq!(shell.call(&arguments).exit, 0);
    std::fs::write(shell.at("plan/.git/index.lock"), "").unwrap();
    shell.fails(2, &arguments, &["remove plan/.git/index.lock"]);
}

/// Called from a git hook, say: what the environment says to git is about another repository.
#[test]
fn the_environment_of_git_changes_nothing() {
    let shell = Shell::new();
    let output = shell
        .command(&["enrich", sample_path(), "--git", "--out", "plan"])
        .env("GIT_DIR", shell.at("elsewhere"))
        .env("GIT_INDEX_FILE", shell.at("index"))
        .env("GIT_OBJECT_DIRECTORY", shell.at("objects"))
        .env("GIT_CONFIG_COUNT", "1")
        .output();
    let answer = Answer::of(output.unwrap());
    assert_eq!(answer.exit, 0, "{answer}");
    let log = git(&shell.at("plan"), &["log", "--format=%s"]);
    assert_eq!(log.lines().count(), 8, "{log}");
    assert_eq!(git(&shell.at("plan"), &["status", "--porcelain"]), "");
    assert_eq!(shell.names(), ["plan"]);
}
