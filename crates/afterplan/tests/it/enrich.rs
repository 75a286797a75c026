//! A plan goes in, an enriched plan comes out.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::plan::{AGENTS, assert_whole, enrichments, files, json, sample, sample_path};
use crate::shell::{Schema, Shell};

const OUT: &str = "harbour-ferry-solveig.enriched";

#[test]
fn a_directory_becomes_an_enriched_directory_beside_nothing_else() {
    let shell = Shell::new();
    let answer = shell.call(&["enrich", sample_path()]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert_eq!(shell.names(), [OUT]);
    assert_whole(&files(&shell.at(OUT)), &files(&sample()), &AGENTS);
    for said in [
        "complete: 6 of 6 steps completed",
        "written to",
        "enrichment_report.html",
    ] {
        assert!(answer.out.contains(said), "{said} is not in {answer}");
    }
    for agent in AGENTS {
        assert!(
            answer.err.contains(&format!("{agent}: completed")),
            "{answer}"
        );
    }
}

#[test]
fn the_outcome_as_json_says_what_scripts_want_to_know() {
    let shell = Shell::new();
    let answer = shell.call(&["enrich", sample_path(), "--json", "--out", "enriched"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let outcome: Value = serde_json::from_str(&answer.out).unwrap();
    let created = format!(
        "created orchestration {} with 6 steps for harbour-ferry-solveig",
        outcome["orchestration"].as_str().unwrap()
    );
    assert_eq!(answer.err.lines().next(), Some(created.as_str()));
    assert_eq!(outcome["status"], "complete");
    assert_eq!(outcome["plan"], "harbour-ferry-solveig");
    assert_eq!(outcome["artifactVersion"], 7);
    assert_eq!(outcome["cost"], "0");
    assert_eq!(outcome["excluded"], json!([]));
    assert_eq!(outcome["out"], shell.at("enriched").display().to_string());
    let steps = outcome["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 6);
    for step in steps {
        assert_eq!(step["state"], "completed");
        assert_eq!(step["attempts"], 1);
        assert!(step["durationMs"].is_u64());
    }
    let manifest = json(&files(&shell.at("enriched")), "enrichment_manifest.json");
    assert_eq!(manifest["orchestration"]["id"], outcome["orchestration"]);
    assert_eq!(manifest["plan"]["hash"], outcome["planHash"]);
}

#[test]
fn chosen_agents_bring_what_they_depend_on() {
    let shell = Shell::new();
    let outcome = shell.json(&[
        "enrich",
        sample_path(),
        "--json",
        "--agents",
        "plan-lint",
        "--out",
        "lint",
    ]);
    assert_eq!(outcome["status"], "complete");
    let found = files(&shell.at("lint"));
    assert_whole(&found, &files(&sample()), &["plan-inventory", "plan-lint"]);
}

#[test]
fn a_seed_changes_the_trials_and_what_is_built_on_them() {
    let shell = Shell::new();
    let with = |seed: &str| {
        let answer = shell.call(&["enrich", sample_path(), "--seed", seed, "--out", seed]);
        assert_eq!(answer.exit, 0, "{answer}");
        enrichments(&files(&shell.at(seed)))
    };
    let (one, two) = (with("1"), with("2"));
    let different: Vec<&String> = one.keys().filter(|path| one[*path] != two[*path]).collect();
    assert!(different.contains(&&"enrichments/schedule-monte-carlo.json".to_owned()));
    for path in different {
        let by_chance = [
            "enrichments/schedule-monte-carlo.json",
            "enrichments/readiness-score.json",
        ];
        assert!(
            by_chance.contains(&path.as_str()),
            "{path} hangs on the seed"
        );
    }
}

#[test]
fn equal_seeds_give_equal_bytes_on_two_fresh_databases() {
    let enriched = || {
        let shell = Shell::new();
        let answer = shell.call(&["enrich", sample_path(), "--seed", "7"]);
        assert_eq!(answer.exit, 0, "{answer}");
        enrichments(&files(&shell.at(OUT)))
    };
    assert_eq!(enriched(), enriched());
}

/// A second call has nothing to do; `--fresh` does all again, and comes to the same.
#[test]
fn results_are_taken_over_unless_a_fresh_start_is_asked_for() {
    let shell = Shell::new();
    let call = |more: &[&str]| {
        let arguments = [
            &["enrich", sample_path(), "--json", "--out", "enriched"],
            more,
        ]
        .concat();
        let outcome = shell.json(&arguments);
        let found = files(&shell.at("enriched"));
        assert_whole(&found, &files(&sample()), &AGENTS);
        (outcome, found)
    };
    let (first, first_files) = call(&[]);
    let (second, second_files) = call(&[]);
    let (fresh, fresh_files) = call(&["--fresh"]);
    let attempts = |outcome: &Value| -> Vec<u64> {
        let steps = outcome["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| step["attempts"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(attempts(&first), [1; 6]);
    assert_eq!(attempts(&second), [0; 6]);
    assert_eq!(attempts(&fresh), [1; 6]);
    assert_ne!(first["orchestration"], second["orchestration"]);
    for step in second["steps"].as_array().unwrap() {
        assert_eq!(step["reusedFrom"], first["orchestration"], "{step}");
    }
    assert_eq!(fresh["steps"][0]["reusedFrom"], Value::Null);
    assert_eq!(enrichments(&first_files), enrichments(&second_files));
    assert_eq!(enrichments(&first_files), enrichments(&fresh_files));
    assert_eq!(shell.names(), ["enriched"]);
}

/// What was enriched once is still the same plan: our own files are no part of it.
#[test]
fn an_enriched_plan_can_be_enriched_again() {
    let shell = Shell::new();
    let first = shell.json(&["enrich", sample_path(), "--json", "--out", "one"]);
    let second = shell.json(&["enrich", "one", "--json", "--out", "two"]);
    assert_eq!(first["planHash"], second["planHash"]);
    assert_whole(&files(&shell.at("two")), &files(&sample()), &AGENTS);
    // In place as well.
    let third = shell.json(&["enrich", "two", "--json", "--out", "two"]);
    assert_eq!(first["planHash"], third["planHash"]);
    assert_whole(&files(&shell.at("two")), &files(&sample()), &AGENTS);
    assert_eq!(shell.names(), ["one", "two"]);
}

#[test]
fn a_postgresql_gives_the_same_bytes() {
    let Some(schema) = Schema::new() else {
        return;
    };
    let (server, embedded) = (Shell::on(&schema.url), Shell::new());
    for shell in [&server, &embedded] {
        let answer = shell.call(&["enrich", sample_path(), "--seed", "7"]);
        assert_eq!(answer.exit, 0, "{answer}");
    }
    let of = |shell: &Shell| enrichments(&files(&shell.at(OUT)));
    assert_eq!(of(&server), of(&embedded));
    let again = server.json(&["enrich", sample_path(), "--seed", "7", "--json"]);
    assert_eq!(again["steps"][0]["attempts"], 0, "taken over");
    let list = server.json(&["orchestrations", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let check = server.call(&["check"]);
    assert!(check.out.starts_with("clean: 2 orchestrations"), "{check}");
}

/// A name cannot move the cursor, nor make itself read otherwise than it is.
#[test]
fn a_path_is_shown_without_what_misleads() {
    let shell = Shell::new();
    let out = "a\u{1b}[31m\u{202e}b";
    let answer = shell.call(&[
        "enrich",
        sample_path(),
        "--agents",
        "plan-inventory",
        "--out",
        out,
    ]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(answer.out.contains("a [31m b"), "{answer}");
    assert!(!answer.out.contains(['\u{1b}', '\u{202e}']), "{answer}");
    let refused = shell.call(&["enrich", "no\u{1b}where"]);
    assert_eq!(refused.exit, 2, "{refused}");
    refused.is_one_sentence(&["no where does not exist"]);
}

/// The key and the whole body of the request that comes, answered with a problem.
fn refuse(stream: &TcpStream, status: u16, code: &str) -> String {
    let mut lines = BufReader::new(stream);
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        match line.trim().split_once(": ") {
            Some(("idempotency-key", value)) => key = value.to_owned(),
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    lines.read_exact(&mut vec![0; length]).unwrap();
    let body = json!({"code": code, "detail": "as the test says", "status": status}).to_string();
    let head = format!(
        "HTTP/1.1 {status} No\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all((head + &body).as_bytes()).unwrap();
    key
}

/// What a server was killed with is under way for a minute, also at the one that takes its place: who sent it waits for that.
#[test]
fn an_upload_that_is_under_way_at_the_server_is_waited_for() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let mut keys = BTreeSet::new();
        for _ in 0..6 {
            let (stream, _) = server.accept().unwrap();
            keys.insert(refuse(&stream, 409, "idempotency-key-in-use"));
        }
        let (stream, _) = server.accept().unwrap();
        keys.insert(refuse(&stream, 422, "refused"));
        keys.len()
    });
    let agents = ["--agents", "plan-lint", "--server", &url];
    let answer = Shell::new().call(&[&["enrich", sample_path()], &agents[..]].concat());
    assert!(answer.err.contains("(refused, HTTP 422)"), "{answer}");
    assert_eq!(answer.exit, 2, "{answer}");
    assert_eq!(answering.join().unwrap(), 1, "it is the same upload");
}
