//! Looking: at plans, at agents, at the database; and what the program says of itself.

use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use crate::plan::{AGENTS, files, lay_out, sample, sample_path};
use crate::shell::{Answer, Shell};

#[test]
fn inspect_says_what_is_there_and_what_is_not() {
    let shell = Shell::new();
    let answer = shell.call(&["plan", "inspect", sample_path()]);
    assert_eq!(answer.exit, 0, "{answer}");
    for said in [
        "Harbour Ferry Solveig (complete)",
        "107 of 110 expected artifacts",
        "pitch_to_markdown_raw.json    missing",
    ] {
        assert!(answer.out.contains(said), "{said} is not in {answer}");
    }
    let shown = shell.json(&["plan", "inspect", sample_path(), "--json"]);
    assert_eq!(shown["files"], files(&sample()).len());
    assert_eq!(shown["completeness"]["kind"], "complete");
    // A plan that PlanExe did not finish is a plan as well.
    let mut half = files(&sample());
    half.retain(|path, _| path.as_str() < "020");
    lay_out(&shell.at("half"), &half);
    let answer = shell.call(&["plan", "inspect", "half"]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(answer.out.contains("(partial)"), "{answer}");
    assert!(answer.out.contains("task_durations.json"), "{answer}");
    // No words of a plan may steer the terminal.
    half.insert("020-3-pitch\u{1b}[2J.md".to_owned(), b"x".to_vec());
    lay_out(&shell.at("rude"), &half);
    let answer = shell.call(&["plan", "inspect", "rude"]);
    assert!(
        !answer.out.contains('\u{1b}') && !answer.err.contains('\u{1b}'),
        "{answer:?}",
        answer = answer.to_string()
    );
    assert!(!shell.database().exists(), "inspecting needs no database");
}

#[test]
fn children_that_nobody_is_are_warned_of() {
    let shell = Shell::new();
    let chief = "id = 'chief'\ndisplayName = 'Chief'\nexecutor = { kind = 'model' }\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout@1.1.0', 'plan-lint', 'helper']";
    fs::write(shell.at("chief.toml"), chief).unwrap();
    let scout =
        "id = 'scout'\nversion = '1.0.0'\ndisplayName = 'Scout'\nexecutor = { kind = 'model' }";
    fs::write(shell.at("scout.toml"), scout).unwrap();
    let answer = shell.call(&["agents", "validate", "chief.toml", "scout.toml"]);
    assert_eq!(answer.exit, 0, "{answer}");
    for (child, told) in [
        ("scout@1.1.0", true),
        ("helper", true),
        ("plan-lint", false),
    ] {
        let warning = format!("`chief` may spawn `{child}`");
        assert_eq!(answer.err.contains(&warning), told, "{child}: {answer}");
    }
}

#[test]
fn agents_are_listed_shown_and_checked() {
    let shell = Shell::new();
    let list = shell.call(&["agents", "list"]);
    for agent in AGENTS {
        assert!(
            list.out.lines().any(|line| line.starts_with(agent)),
            "{list}"
        );
        let shown = shell.json(&["agents", "show", agent]);
        assert_eq!(shown["id"], agent);
    }
    assert_eq!(
        shell
            .json(&["agents", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        11
    );
    shell.fails(
        2,
        &["agents", "show", "nobody"],
        &["no agent `nobody`", "agents list"],
    );
    let schema = shell.json(&["agents", "schema"]);
    assert!(schema["properties"]["inputSchema"].is_object());
    let examples = sample().join("../../agents");
    let good = examples.join("supplier-check.toml").display().to_string();
    let answer = shell.call(&["agents", "validate", &good]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(
        answer
            .out
            .contains("`supplier-check` version 1.0.0 is valid"),
        "{answer}"
    );
    let text = fs::read_to_string(&good).unwrap();
    fs::write(shell.at("typo.toml"), text.replace("approval", "aproval")).unwrap();
    fs::write(
        shell.at("gate.toml"),
        format!("runCondition = \"plan.(\"\n{text}"),
    )
    .unwrap();
    let answer = shell.call(&[
        "agents",
        "validate",
        "typo.toml",
        "gate.toml",
        "nowhere.toml",
        "/dev/zero",
        &good,
    ]);
    assert_eq!(answer.exit, 2, "{answer}");
    for said in [
        "typo.toml",
        "aproval",
        "gate.toml",
        "runCondition",
        "nowhere.toml cannot be read",
        "/dev/zero cannot be read: it has more than 1 MB",
    ] {
        assert!(answer.err.contains(said), "{said} is not in {answer}");
    }
    assert!(
        answer.out.contains("is valid"),
        "the good one is still said to be: {answer}"
    );
}

#[test]
fn completions_come_for_every_shell() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = shell.call(&["completions", name]);
        assert_eq!(answer.exit, 0, "{answer}");
        for word in ["afterplan", "enrich", "orchestrations"] {
            assert!(answer.out.contains(word), "{word} is not in {name}'s");
        }
    }
    let syntax = std::process::Command::new("bash")
        .args(["-n", "-c", &shell.call(&["completions", "bash"]).out])
        .output()
        .unwrap();
    assert!(syntax.status.success(), "{syntax:?}");
}

#[test]
fn help_and_version_are_answers_not_errors() {
    let shell = Shell::new();
    let version = shell.call(&["--version"]);
    assert_eq!(
        (version.exit, version.out.as_str()),
        (0, concat!("afterplan ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    for arguments in [
        &["--help"][..],
        &["enrich", "--help"],
        &["orchestrations", "cancel", "--help"],
        &["help", "plan", "inspect"],
    ] {
        let answer = shell.call(arguments);
        assert_eq!(answer.exit, 0, "{answer}");
        assert!(
            answer.out.contains("Usage: afterplan") && answer.err.is_empty(),
            "{answer}"
        );
    }
}

/// Whatever is changed behind the program's back is found, with its place.
#[test]
fn check_finds_what_was_tampered_with() {
    let shell = Shell::new();
    let arguments = ["enrich", sample_path(), "--json", "--agents", "plan-lint"];
    let outcome = shell.json(&arguments);
    let id = outcome["orchestration"].as_str().unwrap().to_owned();
    let clean = shell.call(&["check"]);
    assert_eq!(clean.exit, 0, "{clean}");
    assert!(clean.out.starts_with("clean: 1 orchestration, "), "{clean}");
    let original = fs::read(shell.database()).unwrap();
    let (orchestration, broken) = (
        format!("orchestration {id}"),
        "the chain breaks at event ".to_owned(),
    );
    let due = "the column due_at of `plan-inventory` is not".to_owned();
    let state = "the column state of `plan-lint` is not".to_owned();
    let flight = "counter flight/system/00: holds 1, but 0 attempts".to_owned();
    for (statement, found) in [
        (
            "update event set data = cast('{\"kind\":\"attempt_startle\"}' as blob) where seq = (select min(seq) from event)",
            vec![&orchestration, &broken],
        ),
        (
            "update event set data = (select data from event order by seq desc limit 1) where seq = (select min(seq) from event)",
            vec![&orchestration, &broken],
        ),
        (
            "update step set due_at = 1 where step = 0",
            vec![&orchestration, &due],
        ),
        (
            "update step set state = 'ready' where step = 1",
            vec![&orchestration, &state],
        ),
        (
            "insert into counter (key, held) values ('flight/system/00', 1)",
            vec![&flight],
        ),
        (
            "update orchestration set artifact_version = artifact_version + 1",
            vec![&orchestration],
        ),
        (
            "update orchestration set detail = cast('{\"status\":\"cancelled\"}' as blob)",
            vec![&orchestration],
        ),
        (
            "delete from blob where hash in (select hash from blob limit 1)",
            vec![],
        ),
        (
            "update blob set stored = zeroblob(length(stored)) where hash in (select hash from blob limit 1)",
            vec![],
        ),
    ] {
        fs::write(shell.database(), &original).unwrap();
        let database = Connection::open(shell.database()).unwrap();
        let Ok(changed) = database.execute(statement, []) else {
            panic!("{statement} does not fit the schema");
        };
        assert!(changed > 0, "{statement} changes nothing");
        drop(database);
        assert_found(&shell, statement, &found);
    }
}

/// What the check says after `statement` was carried out.
fn assert_found(shell: &Shell, statement: &str, found: &[&String]) {
    let answer = shell.call(&["check"]);
    assert_eq!(answer.exit, 1, "{statement}: {answer}");
    for words in found {
        assert!(
            answer.out.contains(words.as_str()),
            "{statement}: `{words}` is not in {answer}"
        );
    }
    assert!(answer.err.contains("problem"), "{answer}");
}

/// Everything that the program can print as JSON is JSON, and nothing else stands on standard output.
#[test]
fn json_is_json() {
    let shell = Shell::new();
    for arguments in [
        &["agents", "list", "--json"][..],
        &["orchestrations", "list", "--json"],
        &["plan", "inspect", sample_path(), "--json"],
        &[
            "enrich",
            sample_path(),
            "--json",
            "--agents",
            "plan-inventory",
        ],
    ] {
        let answer = shell.call(arguments);
        assert!(
            serde_json::from_str::<Value>(&answer.out).is_ok(),
            "{answer}"
        );
    }
}

/// A script must not take an answer for whole that is not.
#[test]
fn an_answer_that_does_not_get_out_is_a_failure() {
    if !std::path::Path::new("/dev/full").exists() {
        println!("SKIPPED: a full standard output (there is no /dev/full)");
        return;
    }
    let shell = Shell::new();
    for arguments in [
        &["agents", "list"][..],
        &["plan", "inspect", sample_path(), "--json"],
        &["orchestrations", "list", "--json"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = shell.command(arguments).stdout(full).output();
        let answer = Answer::of(output.unwrap());
        assert_eq!(answer.exit, 1, "{answer}");
        answer.is_one_sentence(&["standard output cannot be written to"]);
    }
}
