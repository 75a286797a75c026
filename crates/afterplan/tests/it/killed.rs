//! Killed, interrupted, or two at once: what was done is not done again, and nothing half-written is seen.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::plan::{AGENTS, Files, assert_whole, enrichments, files, sample, sample_path};
use crate::shell::{Answer, Shell};

const OUT: &str = "harbour-ferry-solveig.enriched";

/// What an enrichment that nobody disturbs makes.
fn undisturbed() -> Files {
    let shell = Shell::new();
    let answer = shell.call(&["enrich", sample_path()]);
    assert_eq!(answer.exit, 0, "{answer}");
    enrichments(&files(&shell.at(OUT)))
}

/// The one orchestration in the shell's database that has not ended, with how many of its steps have.
pub fn unended(shell: &Shell) -> Option<(String, usize)> {
    let list = shell.json(&["orchestrations", "list", "--json"]);
    let open = list
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["endedAt"].is_null())?;
    let id = open["id"].as_str().unwrap().to_owned();
    let shown = shell.json(&["orchestrations", "show", &id, "--json"]);
    let ended = |step: &&Value| !step["endedAt"].is_null();
    let count = shown["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(ended)
        .count();
    Some((id, count))
}

/// Sends a signal by its name.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Reads what the child says on standard error until a line has `words`.
pub fn read_until(child: &mut Child, words: &str) -> BufReader<std::process::ChildStderr> {
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while err.read_line(&mut line).unwrap() > 0 && !line.contains(words) {
        line.clear();
    }
    err
}

/// Moments spread over the time that an enrichment takes, the same in every call.
fn moments() -> impl Iterator<Item = Duration> {
    (0..40_u64).map(|n| Duration::from_millis(60 + n * 7919 % 900))
}

#[test]
fn killed_in_the_middle_the_same_command_goes_on() {
    let expected = undisturbed();
    let mut in_the_middle = 0;
    for (n, moment) in moments().enumerate() {
        let shell = Shell::new();
        let mut child = shell.start(&["enrich", sample_path()]);
        std::thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let left = unended(&shell);
        let answer = shell.call(&["enrich", sample_path()]);
        assert_eq!(answer.exit, 0, "{answer}");
        if let Some((id, done)) = &left {
            let said = format!("going on with orchestration {id}: {done} of 6 steps are done");
            assert!(answer.err.contains(&said), "{said} is not in {answer}");
            in_the_middle += usize::from((1..6).contains(done));
        }
        let found = files(&shell.at(OUT));
        assert_whole(&found, &files(&sample()), &AGENTS);
        assert_eq!(enrichments(&found), expected);
        assert_eq!(shell.names(), [OUT], "no litter");
        let check = shell.call(&["check"]);
        assert_eq!(check.exit, 0, "{check}");
        if in_the_middle >= 3 && n >= 5 {
            return;
        }
    }
    panic!("of 40 kills only {in_the_middle} came in the middle");
}

/// However often it is killed, each call gets further than the one before, or at least not back.
#[test]
fn killed_again_and_again_it_comes_to_the_same_end() {
    let (shell, expected) = (Shell::new(), undisturbed());
    let mut before = 0;
    for moment in moments().take(6) {
        let mut child = shell.start(&["enrich", sample_path()]);
        std::thread::sleep(moment / 2);
        child.kill().unwrap();
        child.wait().unwrap();
        if shell.at(OUT).exists() {
            break;
        }
        if let Some((_, done)) = unended(&shell) {
            assert!(done >= before, "{done} steps after {before}");
            before = done;
        }
    }
    let answer = shell.call(&["enrich", sample_path()]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert_eq!(enrichments(&files(&shell.at(OUT))), expected);
    assert_eq!(shell.call(&["check"]).exit, 0);
    assert_eq!(shell.names(), [OUT]);
}

#[test]
fn a_signal_to_stop_is_obeyed_and_the_work_kept() {
    for name in ["INT", "TERM"] {
        let shell = Shell::new();
        let mut child = shell.start(&["enrich", sample_path()]);
        let mut err = read_until(&mut child, "plan-inventory: completed");
        signal(&child, name);
        let begun = Instant::now();
        let output = child.wait_with_output().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut err, &mut said).unwrap();
        assert_eq!(output.status.code(), Some(130), "{said}");
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{:?}",
            begun.elapsed()
        );
        assert!(
            said.contains("interrupted; the same command goes on with orchestration"),
            "{said}"
        );
        assert_eq!(shell.names(), [""; 0]);
        let (id, done) = unended(&shell).unwrap();
        let shown = shell.json(&["orchestrations", "show", &id, "--json"]);
        assert_eq!(shown["orchestration"]["status"], "interrupted");
        assert!(
            said.contains(&id) && done >= 1,
            "{done} steps of {id}: {said}"
        );
        let answer = shell.call(&["enrich", sample_path()]);
        assert_eq!(answer.exit, 0, "{answer}");
        assert!(
            answer
                .err
                .contains(&format!("going on with orchestration {id}")),
            "{answer}"
        );
        assert_whole(&files(&shell.at(OUT)), &files(&sample()), &AGENTS);
    }
}

/// A fresh orchestration has no submission key to be found by: another call must not be promised to go on with it.
#[test]
fn an_interrupted_fresh_orchestration_is_ended_by_its_id() {
    let shell = Shell::new();
    let mut child = shell.start(&["enrich", sample_path(), "--fresh"]);
    let mut err = read_until(&mut child, "plan-inventory: completed");
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut err, &mut said).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let (id, _) = unended(&shell).unwrap();
    let way_out = format!("`afterplan orchestrations cancel {id}` ends it");
    assert!(said.contains(&way_out), "{said}");
    assert!(!said.contains("where it stopped"), "{said}");
    let cancelled = shell.call(&["orchestrations", "cancel", &id, "--grace", "0"]);
    assert_eq!(cancelled.exit, 0, "{cancelled}");
    assert_eq!(unended(&shell), None);
}

#[test]
fn two_at_once_on_one_database_share_the_work() {
    let shell = Shell::new();
    let start = |out| shell.start(&["enrich", sample_path(), "--json", "--out", out]);
    let answers =
        [start("one"), start("two")].map(|child| Answer::of(child.wait_with_output().unwrap()));
    for answer in &answers {
        assert_eq!(answer.exit, 0, "{answer}");
    }
    let (one, two) = (files(&shell.at("one")), files(&shell.at("two")));
    assert_whole(&one, &files(&sample()), &AGENTS);
    assert_whole(&two, &files(&sample()), &AGENTS);
    assert_eq!(enrichments(&one), enrichments(&two));
    let list = shell.json(&["orchestrations", "list", "--json"]);
    for line in list.as_array().unwrap() {
        assert_eq!(line["status"], "complete", "{list}");
    }
    let check = shell.call(&["check"]);
    assert_eq!(check.exit, 0, "{check}");
}

/// The last one wins; neither sees half of the other.
#[test]
fn two_at_once_into_one_output_leave_one_whole_output() {
    let shell = Shell::new();
    let start = |seed| shell.start(&["enrich", sample_path(), "--out", "enriched", "--seed", seed]);
    for child in [start("1"), start("2"), start("3")] {
        let answer = Answer::of(child.wait_with_output().unwrap());
        assert_eq!(answer.exit, 0, "{answer}");
    }
    assert_whole(&files(&shell.at("enriched")), &files(&sample()), &AGENTS);
    assert_eq!(shell.names(), ["enriched"]);
}

/// What a killed program left aside is cleared away by the next; what a living one is filling is not.
#[test]
fn litter_of_the_dead_is_cleared_away() {
    let shell = Shell::new();
    let dead = shell.at(".enriched.999999.part");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join("half.json"), "{").unwrap();
    let alive = shell.at(".enriched.999998.part");
    std::fs::create_dir(&alive).unwrap();
    let lock = std::fs::File::open(&alive).unwrap();
    lock.try_lock().unwrap();
    let arguments = [
        "enrich",
        sample_path(),
        "--agents",
        "plan-inventory",
        "--out",
        "enriched",
    ];
    assert_eq!(shell.call(&arguments).exit, 0);
    assert_eq!(shell.names(), [".enriched.999998.part", "enriched"]);
    drop(lock);
    // Killed between the two renames: the earlier output comes back before anything else.
    std::fs::rename(shell.at("enriched"), shell.at(".enriched.7.old")).unwrap();
    shell.fails(
        2,
        &[
            "enrich",
            sample_path(),
            "--agents",
            "nobody",
            "--out",
            "enriched",
        ],
        &["nobody"],
    );
    assert_eq!(shell.names(), ["enriched"]);
    assert!(shell.at("enriched/enrichment_manifest.json").exists());
}
