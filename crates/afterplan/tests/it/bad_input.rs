//! Bad input: one sentence that names the thing and the way out, the right exit code, and nothing written.

use std::fs;
use std::os::unix::fs::symlink;

use crate::plan::{Files, files, json, lay_out, sample, sample_path, zipped};
use crate::shell::Shell;

/// Enriching `plan` must be refused, leaving the folder as it was.
#[track_caller]
fn refused(shell: &Shell, plan: &str, parts: &[&str]) {
    let before = shell.names();
    for out in ["enriched", "deep/down/enriched", "enriched.zip"] {
        shell.fails(2, &["enrich", plan, "--out", out], parts);
    }
    assert_eq!(shell.names(), before);
}

#[test]
fn what_is_no_plan_is_named() {
    let shell = Shell::new();
    fs::create_dir(shell.at("empty")).unwrap();
    fs::create_dir(shell.at("photos")).unwrap();
    fs::write(shell.at("photos/beach.jpg"), "not really").unwrap();
    fs::write(shell.at("notes.txt"), "not a zip").unwrap();
    refused(
        &shell,
        "nowhere",
        &["nowhere does not exist", "give the path"],
    );
    refused(
        &shell,
        "empty",
        &["empty holds no files", "give the directory or zip"],
    );
    refused(
        &shell,
        "photos",
        &["photos is not a PlanExe plan", "beach.jpg"],
    );
    refused(
        &shell,
        "notes.txt",
        &["notes.txt is neither a directory nor a zip"],
    );
    let answer = shell.call(&["plan", "inspect", "photos"]);
    assert_eq!(answer.exit, 2);
    answer.is_one_sentence(&["photos is not a PlanExe plan"]);
}

#[test]
fn a_ping_is_told_from_a_plan() {
    let shell = Shell::new();
    let ping = Files::from([
        (
            "001-1-start_time.json".to_owned(),
            b"{\"server_iso_utc\": \"2026-01-01T00:00:00Z\"}".to_vec(),
        ),
        ("001-2-plan.txt".to_owned(), b"A tram.".to_vec()),
        (
            "030-report.html".to_owned(),
            b"<!DOCTYPE html><title>PlanExe Project Report</title>".to_vec(),
        ),
        ("999-pipeline_complete.txt".to_owned(), b"DONE\n".to_vec()),
    ]);
    lay_out(&shell.at("ping"), &ping);
    refused(&shell, "ping", &["ping is a ping run", "speed_vs_detail"]);
}

#[test]
fn zips_that_are_broken_or_lie_are_refused() {
    let shell = Shell::new();
    let whole = zipped(&files(&sample()), "");
    fs::write(shell.at("cut.zip"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    // In the middle of what is packed: only the checksum can tell.
    flipped[whole.len() / 4] ^= 0x55;
    fs::write(shell.at("flipped.zip"), flipped).unwrap();
    fs::write(shell.at("empty.zip"), "").unwrap();
    let plan = ("001-2-plan.txt".to_owned(), b"A tram.".to_vec());
    let slip = Files::from([plan.clone(), ("../outside.json".to_owned(), b"{}".to_vec())]);
    fs::write(shell.at("slip.zip"), zipped(&slip, "")).unwrap();
    for name in ["cut.zip", "flipped.zip", "empty.zip"] {
        refused(&shell, name, &[name, "is a damaged zip", "again"]);
    }
    refused(&shell, "slip.zip", &["slip.zip", "../outside.json"]);
    assert!(!shell.at("../outside.json").exists());
}

/// Ten gigabytes in ten megabytes: refused while it inflates, in little time and memory.
#[test]
fn a_bomb_is_not_inflated() {
    let shell = Shell::new();
    fs::write(
        shell.at("bomb.zip"),
        crate::bomb::of("018-2-wbs_level1.json", 10_000_000_000),
    )
    .unwrap();
    let begun = std::time::Instant::now();
    refused(
        &shell,
        "bomb.zip",
        &[
            "bomb.zip has a file of more than 64 MB",
            "018-2-wbs_level1.json",
            "remove it",
        ],
    );
    assert!(begun.elapsed().as_secs() < 10);
    // Under a memory limit that the bomb would break by far.
    let limited = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 1000000; exec \"$0\" enrich bomb.zip",
            env!("CARGO_BIN_EXE_afterplan"),
        ])
        .current_dir(shell.folder())
        .env("AFTERPLAN_DATABASE", shell.database())
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(2), "{limited:?}");
}

#[test]
fn a_link_is_not_followed() {
    let shell = Shell::new();
    lay_out(&shell.at("plan"), &files(&sample()));
    fs::write(shell.at("secret.txt"), "s3cret").unwrap();
    symlink(shell.at("secret.txt"), shell.at("plan/031-secret.txt")).unwrap();
    refused(
        &shell,
        "plan",
        &["symbolic link", "031-secret.txt", "replace it"],
    );
}

#[test]
fn unknown_agents_and_wrong_arguments_are_usage_errors() {
    let shell = Shell::new();
    shell.fails(
        2,
        &["enrich", sample_path(), "--agents", "plan-lunt"],
        &["`plan-lunt`", "did you mean `plan-lint`", "agents list"],
    );
    for (arguments, part) in [
        (&["enrich"][..], "<PATH>"),
        (&["enrich", "x", "--seed", "many"], "many"),
        (&["enrich", "x", "--agents", "Plan Lint"], "Plan Lint"),
        (&["orchestrations", "show", "17"], "orchestrations list"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ] {
        let answer = shell.call(arguments);
        assert_eq!(answer.exit, 2, "{answer}");
        assert!(answer.err.contains(part), "{part} is not in {answer}");
    }
    assert_eq!(shell.names(), [""; 0]);
}

#[test]
fn an_output_that_cannot_be_is_refused_before_the_work() {
    let shell = Shell::new();
    fs::write(shell.at("file"), "").unwrap();
    fs::create_dir(shell.at("photos")).unwrap();
    fs::write(shell.at("photos/beach.jpg"), "mine").unwrap();
    fs::write(
        shell.at("mine.zip"),
        zipped(&files(&shell.at("photos")), ""),
    )
    .unwrap();
    let before = (shell.names(), files(&shell.at("photos")));
    for (out, part) in [
        ("file/enriched", "is a file"),
        ("/proc/enriched", "/proc cannot be written to"),
        ("file", "is not a directory"),
        ("photos", "is not an enriched plan"),
        ("mine.zip", "is not an enriched plan"),
        (sample_path(), "is not an enriched plan"),
    ] {
        let parts = [part, "give another --out"];
        shell.fails(2, &["enrich", sample_path(), "--out", out], &parts);
    }
    assert_eq!((shell.names(), files(&shell.at("photos"))), before);
    assert!(
        !shell.database().exists(),
        "refused before anything was stored"
    );
}

#[test]
fn an_output_that_is_unclear_is_refused() {
    let shell = Shell::new();
    for (out, part) in [
        ("x.zip/", "leave out the slash"),
        (".zip", "no name before its .zip"),
        ("deep/.ZIP", "no name before its .zip"),
        ("-", "is not standard output"),
    ] {
        shell.fails(2, &["enrich", sample_path(), "--out", out], &[part]);
    }
    assert_eq!(shell.names(), [""; 0]);
}

/// Else the next call would read the output as part of the plan, or the plan would be replaced by what was made from it.
#[test]
fn an_output_within_the_plan_or_around_it_is_refused() {
    let shell = Shell::new();
    lay_out(&shell.at("around/plan"), &files(&sample()));
    symlink(shell.at("around"), shell.at("link")).unwrap();
    let before = files(&shell.at("around"));
    for (out, part) in [
        ("around/plan/enriched", "lies within the plan around/plan"),
        ("around/plan/deep/x.zip", "lies within the plan around/plan"),
        ("link/plan/enriched", "lies within the plan around/plan"),
        ("around", "holds the plan around/plan"),
    ] {
        let parts = [part, "give an --out elsewhere"];
        shell.fails(2, &["enrich", "around/plan", "--out", out], &parts);
    }
    assert_eq!(files(&shell.at("around")), before);
}

#[test]
fn another_plan_s_enriched_plan_is_not_replaced() {
    let shell = Shell::new();
    // Of the same name, with nothing of its own text in common; what PlanExe writes alike does not count.
    let other: Files = files(&sample())
        .into_iter()
        .map(|(path, mut bytes)| {
            if !path.ends_with("pipeline_complete.txt") {
                bytes.push(b'\n');
            }
            (path, bytes)
        })
        .collect();
    lay_out(&shell.at("other/harbour-ferry-solveig"), &other);
    for out in ["enriched", "enriched.zip"] {
        let enrich = |plan| ["enrich", plan, "--agents", "plan-inventory", "--out", out];
        let first = shell.call(&enrich(sample_path()));
        assert_eq!(first.exit, 0, "{first}");
        shell.fails(
            2,
            &enrich("other/harbour-ferry-solveig"),
            &[
                "is the enriched plan harbour-ferry-solveig",
                "shares nothing with",
                "give another --out",
            ],
        );
        // A plan that was gone on with still is the same plan.
        let mut grown = files(&sample());
        grown.insert("031-notes.md".to_owned(), b"more".to_vec());
        lay_out(&shell.at("grown"), &grown);
        let answer = shell.call(&enrich("grown"));
        assert_eq!(answer.exit, 0, "{answer}");
    }
}

/// What a person put among our output is not lost by enriching again.
#[test]
fn somebody_s_notes_within_an_earlier_output_are_not_lost() {
    let shell = Shell::new();
    let arguments = [
        "enrich",
        sample_path(),
        "--agents",
        "plan-inventory",
        "--out",
        "enriched",
    ];
    assert_eq!(shell.call(&arguments).exit, 0);
    fs::write(shell.at("enriched/notes.md"), "call the yard").unwrap();
    shell.fails(
        2,
        &arguments,
        &["notes.md", "would be lost", "move it elsewhere"],
    );
    assert_eq!(
        fs::read_to_string(shell.at("enriched/notes.md")).unwrap(),
        "call the yard"
    );
    fs::remove_file(shell.at("enriched/notes.md")).unwrap();
    assert_eq!(shell.call(&arguments).exit, 0);
}

/// One artifact that cannot be read costs only what needs it.
#[test]
fn a_half_written_artifact_costs_only_the_agents_that_need_it() {
    let shell = Shell::new();
    let mut plan = files(&sample());
    let durations = plan.get_mut("022-2-task_durations.json").unwrap();
    durations.truncate(durations.len() / 2);
    plan.insert(
        "014-2-swot_analysis.md".to_owned(),
        b"caf\xe9 \xff\xfe".to_vec(),
    );
    lay_out(&shell.at("plan"), &plan);
    let asked = [
        "enrich",
        "plan",
        "--json",
        "--agents",
        "critical-path,plan-lint,risk-exposure",
        "--out",
        "asked",
    ];
    let answer = shell.call(&asked);
    assert_eq!(answer.exit, 3, "{answer}");
    let outcome: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(outcome["status"], "partial");
    let step = |name: &str| {
        let steps = outcome["steps"].as_array().unwrap();
        steps
            .iter()
            .find(|step| step["step"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(step("critical-path")["state"], "skipped");
    let cause = step("critical-path")["cause"].as_str().unwrap().to_owned();
    assert!(cause.contains("task_durations.json"), "{cause}");
    assert_eq!(step("risk-exposure")["state"], "completed");
    let found = files(&shell.at("asked"));
    for (path, bytes) in &plan {
        assert_eq!(found.get(path), Some(bytes), "{path} is not the original");
    }
    let manifest = json(&found, "enrichment_manifest.json");
    let not_completed = manifest["notCompleted"].to_string();
    assert!(not_completed.contains("critical-path"), "{not_completed}");
    // Without asking for it by name it is left out, and said so.
    let answer = shell.call(&["enrich", "plan", "--out", "default"]);
    assert!([0, 3].contains(&answer.exit), "{answer}");
    assert!(answer.err.contains("critical-path"), "{answer}");
    assert!(answer.err.contains("task_durations.json"), "{answer}");
}

#[test]
fn a_closed_pipe_is_no_trouble() {
    let line = format!(
        "\"$0\" agents list | head -1; \"$0\" plan inspect '{}' | head -1; \"$0\" completions bash | head -1; \
         \"$0\" agents schema | head -1; \"$0\" --help | head -1",
        sample_path()
    );
    let output = std::process::Command::new("bash")
        .args([
            "-o",
            "pipefail",
            "-c",
            &line,
            env!("CARGO_BIN_EXE_afterplan"),
        ])
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(err, "", "nobody is told of a pipe that somebody closed");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 5);
}
