//! The same commands asked of a server.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::network::{Served, Stub};
use crate::plan::{AGENTS, assert_whole, enrichments, files, sample, sample_path};
use crate::serve::served;
use crate::shell::{Answer, Shell};

const NO_PAUSE: Duration = Duration::ZERO;

#[test]
fn what_is_asked_of_a_server_comes_out_as_without_one() {
    let (alone, shell, stub) = (Shell::new(), Shell::new(), Stub::answering_after(NO_PAUSE));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let local = [
        "enrich",
        sample_path(),
        "--seed",
        "7",
        "--json",
        "--out",
        "here",
    ];
    let expected = alone.json(&local);
    let there = [
        "enrich",
        sample_path(),
        "--seed",
        "7",
        "--json",
        "--out",
        "there",
        "--server",
        &url,
    ];
    let outcome = shell.json(&there);
    let (here, there) = (files(&alone.at("here")), files(&shell.at("there")));
    assert_whole(&there, &files(&sample()), &AGENTS);
    assert_eq!(enrichments(&here), enrichments(&there), "the same bytes");
    for key in [
        "status",
        "plan",
        "planHash",
        "artifactVersion",
        "cost",
        "excluded",
    ] {
        assert_eq!(outcome[key], expected[key], "{key}");
    }
    assert_eq!(stub.asked(), 0, "agents outside are asked only by name");
}

#[test]
fn a_zip_goes_as_it_is_and_equal_work_is_taken_over() {
    let (shell, stub) = (Shell::new(), Stub::answering_after(NO_PAUSE));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let first = ["enrich", sample_path(), "--out", "first", "--server", &url];
    assert_eq!(shell.call(&first).exit, 0);
    let zip = shell.at("plan.zip");
    std::fs::write(&zip, crate::plan::zipped(&files(&sample()), "")).unwrap();
    let again = [
        "enrich",
        zip.to_str().unwrap(),
        "--out",
        "again.zip",
        "--server",
        &url,
    ];
    let answer = shell.call(&again);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(answer.out.contains("complete: 6 of 6 steps"), "{answer}");
    assert!(answer.err.contains("taken over from"), "{answer}");
    assert!(crate::plan::made(&files(&shell.at("first"))).len() == AGENTS.len() + 3);
}

#[test]
fn orchestrations_at_a_server_are_looked_at_and_steered_alike() {
    let (shell, stub) = (Shell::new(), Stub::answering_after(NO_PAUSE));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let enrich = [
        "enrich",
        sample_path(),
        "--json",
        "--agents",
        "plan-lint",
        "--server",
        &url,
    ];
    let outcome = shell.json(&enrich);
    let id = outcome["orchestration"].as_str().unwrap();
    let list = shell.json(&["orchestrations", "list", "--json", "--server", &url]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(
        (&list[0]["id"], &list[0]["status"]),
        (&json!(id), &json!("complete"))
    );
    let ask = |arguments: &[&str]| {
        let there = shell.call(&[arguments, &["--server", &url]].concat());
        let here = shell.call(arguments);
        assert_eq!(
            (there.exit, &there.out),
            (here.exit, &here.out),
            "{there}\n{here}"
        );
        there
    };
    ask(&["orchestrations", "show", id]);
    let events = ask(&["orchestrations", "events", id, "--json"]);
    assert!(events.out.lines().count() > 5, "{events}");
    let steer = ["orchestrations", "pause", id, "--server", &url];
    shell.fails(2, &steer, &["has ended"]);
    let unknown = "01a20619-e3ee-766e-b12e-47cef7d61195";
    shell.fails(
        2,
        &["orchestrations", "show", unknown, "--server", &url],
        &[unknown, "HTTP 404"],
    );
    drop(server);
    assert_eq!(shell.call(&["check"]).exit, 0);
    shell.fails(
        1,
        &["orchestrations", "list", "--server", &url],
        &["cannot be reached", "--server"],
    );
    shell.fails(
        2,
        &["orchestrations", "list", "--server", "nowhere"],
        &["no server's address"],
    );
}

/// Why a ready step waits is said here as there: what holds it back is another orchestration's.
#[test]
fn a_step_behind_a_full_counter_says_so_in_every_shell() {
    let (shell, stub) = (Shell::new(), Stub::answering_after(Duration::from_secs(50)));
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let mut ids = Vec::new();
    for agent in ["first", "second"] {
        let agent = json!({
            "id": agent,
            "displayName": agent,
            "concurrency": {"key": "maps", "max": 1},
            "inputSchema": {"fields": ["plan"], "context": ["team.md"]},
        });
        server.ask(201, "POST", "/api/agents", Some(&json!({ "agent": agent })));
        let request = json!({
            "planArtifact": {"id": "plan-1", "plan": {"title": agent["id"]}},
            "enrichmentRequest": {"agents": [agent["id"]]},
        });
        let begun = server.ask(202, "POST", "/api/orchestrate?wait=0", Some(&request));
        ids.push(begun["orchestrationId"].as_str().unwrap().to_owned());
        stub.wait_until_asked(1);
    }
    let show = ["orchestrations", "show", &ids[1]];
    for arguments in [&show[..], &[&show[..], &["--server", &url]].concat()] {
        let shown = shell.call(arguments);
        assert!(
            shown
                .out
                .contains("1 of at most 1 are in flight for `key/maps`"),
            "{shown}"
        );
        assert!(shown.out.contains("second goes without team.md"), "{shown}");
        let shown = shell.json(&[arguments, &["--json"]].concat());
        assert_eq!(
            shown["steps"][0]["inputs"],
            json!({"missing": ["team.md"]}),
            "{shown}"
        );
    }
}

/// A shell that asks the server at `url`, with a key of its own and a database that nobody may touch.
fn asking(shell: &Shell, url: &str, key: &str, arguments: &[&str]) -> Answer {
    let mut command = shell.command(arguments);
    command.env("AFTERPLAN_URL", url).env("AFTERPLAN_KEY", key);
    Answer::of(command.output().unwrap())
}

#[test]
fn keys_are_handed_out_and_revoked_at_a_server() {
    let (shell, alone) = (Shell::new(), Shell::new());
    let server = Served::start(&shell, &[]);
    let url = server.url();
    let create = ["keys", "create", "--role", "admin", "--label", "theirs"];
    let made = asking(&alone, &url, "", &create);
    assert_eq!(made.exit, 0, "{made}");
    let key = made.out.trim();
    let ask = |arguments: &[&str]| asking(&alone, &url, key, arguments);
    let listed = ask(&["keys", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap();
    let here = shell.json(&["keys", "list", "--json"]);
    for name in ["id", "account", "role", "label", "state", "expiresAt"] {
        assert_eq!(listed[0][name], here[0][name], "{name}");
    }
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["label"], "theirs");
    let none = ask(&["keys", "list", "--json", "--account", "nobody"]);
    assert_eq!(none.out.trim(), "[]", "{none}");
    let id = listed[0]["id"].as_str().unwrap();
    let revoked = ask(&["keys", "revoke", id]);
    assert_eq!(revoked.exit, 0, "{revoked}");
    let refused = ask(&["keys", "list"]);
    assert!(
        refused.exit == 2 && refused.err.contains("401"),
        "{refused}"
    );
    assert!(!alone.database().exists(), "nothing was made here");
}

/// What a server does is asked of it; what it does not is refused by name, and nothing here is touched instead.
#[test]
fn no_command_does_here_what_was_asked_of_a_server() {
    let (shell, alone) = (Shell::new(), Shell::new());
    let key = shell.call(&["keys", "create", "--role", "admin"]).out;
    let key = key.trim();
    let server = Served::start(&shell, &[]);
    let url = server.url();
    let ask = |arguments: &[&str]| asking(&alone, &url, key, arguments);
    // A key of its own for what is given once is no key for the server.
    let grant = "credits grant acme 0.000000001 --key invoice-17";
    let grant: Vec<&str> = grant.split(' ').collect();
    for _ in 0..2 {
        let granted = ask(&grant);
        assert_eq!(granted.exit, 0, "{granted}");
        assert!(granted.out.contains(" 0.000000001 "), "{granted}");
        assert!(!granted.out.contains("1e-"), "{granted}");
    }
    let adjust = format!("credits adjust acme 2 --note more --key n-1 --api-key {key}");
    let adjust: Vec<&str> = adjust.split(' ').collect();
    let adjusted = asking(&alone, &url, "", &adjust);
    assert_eq!(adjusted.exit, 0, "{adjusted}");
    for (arguments, word) in [
        ("check", "check works on a database"),
        ("migrate", "migrate works on a database"),
        (
            "orchestrations prune --older-than 1",
            "prune works on a database",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let refused = ask(&arguments);
        assert_eq!(refused.exit, 2, "{refused}");
        refused.is_one_sentence(&[word, "AFTERPLAN_URL"]);
    }
    let prices = ask(&["prices"]);
    assert_eq!(prices.exit, 0, "{prices}");
    assert!(prices.out.contains("claude-opus-4"), "{prices}");
    // What is in a plan here is looked at here.
    let inspected = ask(&["plan", "inspect", sample_path()]);
    assert_eq!(inspected.exit, 0, "{inspected}");
    assert!(!alone.database().exists(), "nothing was made here");
}

/// A file for tests of TLS.
fn certificate(name: &str) -> String {
    let here = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../providers/tests/it/certificates"
    );
    format!("{here}/{name}")
}

/// A server with a certificate of an authority that only its owner knows.
#[test]
fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let shell = Shell::new();
    let (cert, key, ca) = (
        certificate("agent.pem"),
        certificate("agent.key"),
        certificate("ca.pem"),
    );
    let server = Served::start(&shell, &["--tls-cert", &cert, "--tls-key", &key]);
    let url = format!("https://{}", server.address);
    let list = ["orchestrations", "list", "--json", "--server", &url];
    shell.fails(1, &list, &["cannot be reached", "certificate"]);
    assert_eq!(shell.json(&[&list[..], &["--ca", &ca]].concat()), json!([]));
    let mut by_environment = shell.command(&list);
    let answer = Answer::of(by_environment.env("AFTERPLAN_CA", &ca).output().unwrap());
    assert_eq!(answer.exit, 0, "{answer}");
    let none = [&list[..], &["--ca", &key]].concat();
    shell.fails(2, &none, &["agent.key", "private key", "--ca"]);
    let text = shell.at("text.pem");
    std::fs::write(&text, "not what it is called").unwrap();
    let none = [&list[..], &["--ca", text.to_str().unwrap()]].concat();
    shell.fails(
        2,
        &none,
        &["text.pem", "-----BEGIN CERTIFICATE-----", "--ca"],
    );
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&text, broken).unwrap();
    shell.fails(2, &none, &["text.pem", "--ca"]);
    std::fs::write(&text, [0x30, 0x82, 1, 2]).unwrap();
    shell.fails(2, &none, &["text.pem", "openssl x509 -inform der", "--ca"]);
    let nowhere = [&list[..], &["--ca", "nowhere.pem"]].concat();
    shell.fails(2, &nowhere, &["nowhere.pem", "--ca"]);
}

/// What keeps a connection from coming about is named with what to do about it.
#[test]
fn who_is_not_trusted_or_speaks_otherwise_is_told_apart() {
    let shell = Shell::new();
    let serving = |name: &str| {
        let (cert, key) = (
            certificate(&format!("{name}.pem")),
            certificate(&format!("{name}.key")),
        );
        Served::start(&shell, &["--tls-cert", &cert, "--tls-key", &key])
    };
    let list = |url: &str, rest: &[&str]| {
        let list = ["orchestrations", "list", "--server", url];
        let answer = shell.call(&[&list, rest].concat());
        assert_eq!(answer.exit, 1, "{answer}");
        answer
    };
    let signed = serving("agent");
    let (url, leaf) = (
        format!("https://{}", signed.address),
        certificate("agent.pem"),
    );
    list(&url, &[]).is_one_sentence(&["no authority that is trusted here", "--ca"]);
    let answer = list(&url, &["--ca", &leaf]);
    answer.is_one_sentence(&[
        "agent.pem",
        "the authority's certificate and not the server's",
        "--ca",
    ]);
    let plain = format!("http://{}", signed.address);
    list(&plain, &[]).is_one_sentence(&["nobody speaks plain HTTP", &url, "--server"]);
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let answer = list(&elsewhere, &["--ca", &certificate("ca.pem")]);
    answer.is_one_sentence(&["localhost", "agents.test", "--server"]);
    drop(signed);
    let own = serving("own");
    let (url, own_pem) = (format!("https://{}", own.address), certificate("own.pem"));
    let answer = list(&url, &["--ca", &own_pem]);
    answer.is_one_sentence(&["an authority's own certificate", "CA:FALSE"]);
    drop(own);
    let open = Served::start(&shell, &[]);
    let tls = format!("https://{}", open.address);
    list(&tls, &[]).is_one_sentence(&["nobody speaks TLS", &open.url(), "--server"]);
}

/// A connection that breaks is come back to, and nothing is told twice.
#[test]
fn a_server_that_dies_and_comes_back_is_come_back_to() {
    let (shell, stub) = (
        Shell::new(),
        Stub::answering_after(Duration::from_millis(800)),
    );
    let server = served(&shell, &stub, &[]);
    let (url, address) = (server.url(), server.address.clone());
    let agents = "performance-analysis,plan-lint";
    let enrich = [
        "enrich",
        sample_path(),
        "--agents",
        agents,
        "--server",
        &url,
    ];
    let child = shell.start(&enrich);
    stub.wait_until_asked(1);
    // Killed, with an attempt in hand; another one takes its place.
    drop(server);
    let _server = served(&shell, &stub, &["--listen", &address]);
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(answer.out.contains("4 of 4 steps completed"), "{answer}");
    let said = |words: &str| {
        answer
            .err
            .lines()
            .filter(|line| line.contains(words))
            .count()
    };
    assert_eq!(said("security-review: attempt 2 started"), 1, "{answer}");
    assert_eq!(said("plan-lint: completed"), 1, "{answer}");
    assert_eq!(shell.call(&["check"]).exit, 0);
}

/// The reader is not the work: who goes away can come back.
#[test]
fn an_interrupt_detaches_and_the_server_goes_on() {
    let (shell, stub) = (
        Shell::new(),
        Stub::answering_after(Duration::from_millis(1_500)),
    );
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let enrich = [
        "enrich",
        sample_path(),
        "--agents",
        "security-review",
        "--server",
        &url,
    ];
    let child = shell.start(&enrich);
    stub.wait_until_asked(1);
    // It follows by then, or is about to: a signal before that would end it like any program.
    std::thread::sleep(Duration::from_millis(500));
    let sent = Command::new("kill")
        .args(["-s", "INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let answer = Answer::of(child.wait_with_output().unwrap());
    assert_eq!(answer.exit, 130, "{answer}");
    assert!(
        answer.err.contains("detached") && answer.err.contains("cancel"),
        "{answer}"
    );
    let list = shell.json(&["orchestrations", "list", "--json", "--server", &url]);
    let id = list[0]["id"].as_str().unwrap();
    let followed = shell.call(&["orchestrations", "events", id, "--follow", "--server", &url]);
    assert!(
        followed.out.trim_end().ends_with("complete, cost 0.5"),
        "{followed}"
    );
}

/// The example in `examples/agents/http`: discovered where it is, and asked about a real plan beside the analyses.
#[test]
fn the_example_agent_is_discovered_and_enriches() {
    let python = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !python.is_ok_and(|status| status.success()) {
        println!("SKIPPED: the example agent (there is no python3)");
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let script = sample().join("../../agents/http/long_sentences.py");
    let mut agent = Command::new("python3")
        .arg(script)
        .arg(&port)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the agent does not listen"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let shell = Shell::new();
    let endpoint = format!("http://127.0.0.1:{port}");
    let server = Served::start(&shell, &["--allow", &format!("127.0.0.1:{port}")]);
    let url = server.url();
    let discovered = shell.call(&["agents", "discover", &endpoint, "--server", &url]);
    assert!(
        discovered
            .out
            .contains("`long-sentences` version 1.0.0 is registered"),
        "{discovered}"
    );
    let agents = "plan-lint,long-sentences";
    let answer = shell.call(&[
        "enrich",
        sample_path(),
        "--agents",
        agents,
        "--out",
        "out",
        "--server",
        &url,
    ]);
    let _ = agent.kill();
    let _ = agent.wait();
    assert_eq!(answer.exit, 0, "{answer}");
    let written = files(&shell.at("out"));
    let said = crate::plan::json(&written, "enrichments/long-sentences.json");
    assert!(
        said["data"]["sentences"].is_array() && said["data"]["summary"].is_string(),
        "{said}"
    );
    assert!(written.contains_key("enrichments/plan-lint.json"));
    let retired = shell.call(&["agents", "retire", "long-sentences", "--server", &url]);
    assert_eq!(retired.exit, 0, "{retired}");
    let list = shell.call(&["agents", "list", "--server", &url]);
    assert!(!list.out.contains("long-sentences"), "{list}");
}
