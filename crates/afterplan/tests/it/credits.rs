//! `afterplan credits` and `afterplan prices`: on a database, and the same at a server.

use serde_json::json;

use crate::network::Stub;
use crate::serve::served;
use crate::shell::Shell;

#[test]
fn credits_are_granted_once_a_key_and_shown() {
    let shell = Shell::new();
    for _ in 0..2 {
        let answer = shell.call(&["credits", "grant", "acme", "500", "--key", "invoice-17"]);
        assert_eq!(answer.exit, 0, "{answer}");
        assert!(
            answer.out.contains("acme") && answer.out.contains("500"),
            "{answer}"
        );
    }
    let other = shell.call(&["credits", "grant", "acme", "5", "--key", "invoice-17"]);
    assert_eq!(other.exit, 2, "{other}");
    assert!(other.err.contains("invoice-17"), "{other}");
    shell.call(&["credits", "adjust", "acme", "-0.5", "--note", "too much"]);
    let csv = shell.call(&["credits", "history", "acme", "--form", "csv"]);
    let lines: Vec<&str> = csv.out.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[2].contains(",adjust,-0.5,0,499.5,0,"), "{csv}");
    let checked = shell.call(&["check"]);
    assert_eq!(checked.exit, 0, "{checked}");
}

#[test]
fn a_server_is_asked_the_same() {
    let (shell, stub) = (
        Shell::new(),
        Stub::answering_after(std::time::Duration::ZERO),
    );
    let server = served(&shell, &stub, &[]);
    let url = server.url();
    let balance = shell.call(&["--server", &url, "credits", "balance"]);
    assert_eq!(balance.exit, 0, "{balance}");
    assert!(
        balance.out.contains("initial") && balance.out.contains("1000"),
        "{balance}"
    );
    let quota = shell.call(&[
        "--server",
        &url,
        "credits",
        "quota",
        "system",
        "--per",
        "day",
        "--credits",
        "20",
    ]);
    assert!(
        quota.out.contains("day") && quota.out.contains("20"),
        "{quota}"
    );
    let history = shell.call(&["--server", &url, "credits", "history", "--form", "ndjson"]);
    assert!(history.out.contains("\"grant\""), "{history}");
}

const OWN: &str = "version = \"VERSION\"\ndate = \"2026-01-01\"\nsource = \"ours\"\n[models]\n\"gpt-4o\" = { input = PRICE, output = 9 }\n";

/// An orchestration is billed at the prices that it began with, though the server comes back with others; the next one at those.
#[test]
fn prices_stay_as_they_were_when_an_orchestration_began() {
    let shell = Shell::new();
    let table = |version: &str, price: &str| {
        let text = OWN.replace("VERSION", version).replace("PRICE", price);
        std::fs::write(shell.at("own.toml"), text).unwrap();
    };
    table("own-1", "7");
    std::fs::write(
        shell.at("afterplan.toml"),
        "[credits]\nprices = \"own.toml\"\n",
    )
    .unwrap();
    // Who is asked first never answers.
    let stub = Stub::answering(|n| {
        if n == 0 {
            loop {
                std::thread::park();
            }
        }
        r#"{"found":"it","tokensUsed":1000000}"#.to_owned()
    });
    let server = served(&shell, &stub, &[]);
    let agent = json!({"agent": {
        "id": "metered", "displayName": "Metered", "costMode": "token-based", "model": "gpt-4o", "ceiling": 20,
    }});
    server.ask(201, "POST", "/api/agents", Some(&agent));
    let wanted = |n: u32| {
        let plan = json!({"id": format!("plan-{n}"), "plan": {"title": format!("Plan {n}")}});
        json!({"planArtifact": plan, "enrichmentRequest": {"agents": ["metered"]}})
    };
    let begun = server.ask(202, "POST", "/api/orchestrate?wait=0", Some(&wanted(1)));
    let first = begun["orchestrationId"].as_str().unwrap().to_owned();
    stub.wait_until_asked(1);
    drop(server);
    table("own-2", "9");
    let server = served(&shell, &stub, &[]);
    assert_eq!(
        server.ask(200, "GET", "/api/prices", None)["version"],
        "own-2"
    );
    let path = format!("/api/orchestrations/{first}");
    let ended = server.wait_for(&path, |shown| shown["status"] == "complete");
    assert_eq!(
        (&ended["creditsUsedExact"], &ended["priceTables"]),
        (&json!("7"), &json!(["own-1"]))
    );
    let second = server.ask(200, "POST", "/api/orchestrate", Some(&wanted(2)));
    assert_eq!(second["creditsUsed"], json!(9), "{second}");
    let shown = shell.call(&["orchestrations", "show", &first]);
    assert!(
        shown.out.contains("own-1") && !shown.out.contains("own-2"),
        "{shown}"
    );
}

#[test]
fn an_amount_that_cannot_be_meant_is_refused_with_its_bound() {
    let shell = Shell::new();
    let long = "k".repeat(257);
    for (words, bound) in [
        (
            &["grant", "acme", "-1"][..],
            "it is 0 to 9000000000 credits",
        ),
        (&["grant", "acme", "0"], "it is above 0"),
        (
            &["grant", "acme", "5", "--key", ""],
            "a key has 1 to 256 characters",
        ),
        (
            &["grant", "acme", "5", "--key", &long],
            "a key has 1 to 256 characters",
        ),
        (&["grant", "acme", "5", "--expires", "-1"], "-1 is not in"),
        (
            &["adjust", "acme", "0", "--note", "why"],
            "by 0 nothing is corrected",
        ),
        (
            &["quota", "acme", "--per", "day", "--count", "-1"],
            "a whole number of attempts",
        ),
        (
            &["export", "--to", "x"],
            "PlanExe's database is a PostgreSQL one",
        ),
    ] {
        let refused = shell.call(&[&["credits"], words].concat());
        assert_eq!(refused.exit, 2, "{refused}");
        assert!(refused.err.contains(bound), "{refused}");
    }
    let refused = shell.call(&["enrich", "plan", "--max-cost", "-1"]);
    assert!(refused.err.contains("it is 0 to"), "{refused}");
}

/// Who tells no tokens is charged those that its definition expects, and the history says which charge that was.
#[test]
fn a_charge_of_tokens_that_nobody_told_is_marked() {
    let shell = Shell::new();
    let stub = Stub::answering(|n| {
        let told = r#"{"found":"it","tokensUsed":1000000}"#;
        [told, r#"{"found":"it"}"#][n % 2].to_owned()
    });
    let server = served(&shell, &stub, &[]);
    let agent = json!({"agent": {
        "id": "metered", "displayName": "Metered", "costMode": "token-based", "model": "gpt-4o", "ceiling": 20,
        "estimatedTokens": 1_000_000,
    }});
    server.ask(201, "POST", "/api/agents", Some(&agent));
    for n in 0..2 {
        let plan = json!({"id": format!("plan-{n}"), "plan": {"title": format!("Plan {n}")}});
        let wanted = json!({"planArtifact": plan, "enrichmentRequest": {"agents": ["metered"]}});
        server.ask(200, "POST", "/api/orchestrate", Some(&wanted));
    }
    let history = shell.call(&["credits", "history"]);
    let header = history.out.lines().next().unwrap_or_default();
    let place = header.find("ESTIMATED").unwrap();
    assert!(header.contains(" STEP "), "{header}");
    let charges = history.out.lines().filter(|line| line.contains(" settle "));
    let marks: Vec<_> = charges
        .map(|line| line[place..].split_whitespace().next().unwrap_or_default())
        .collect();
    assert_eq!(marks, ["true", "false"], "the latest first: {history}");
}

#[test]
fn prices_are_shown_and_laid_over() {
    let shell = Shell::new();
    let shown = shell.call(&["prices", "gpt-4o"]);
    assert!(
        shown.out.contains("2.5") && shown.out.contains("10"),
        "{shown}"
    );
    let none = shell.call(&["prices", "no-such-model"]);
    assert_eq!(none.exit, 2, "{none}");
    std::fs::write(
        shell.at("own.toml"),
        "version = \"own-1\"\ndate = \"2026-01-01\"\nsource = \"ours\"\n[models]\n\"gpt-4o\" = { input = 7, output = 9 }\n",
    )
    .unwrap();
    std::fs::write(
        shell.at("afterplan.toml"),
        "[credits]\nprices = \"own.toml\"\n",
    )
    .unwrap();
    let shown = shell.call(&["prices", "gpt-4o"]);
    assert!(
        shown.out.contains('7') && shown.err.contains("own-1"),
        "{shown}"
    );
}

/// A server bills by its own table, and shows it, whatever this machine has.
#[test]
fn a_servers_prices_are_its_own() {
    let (shell, here) = (Shell::new(), Shell::new());
    let own = OWN.replace("VERSION", "own-1").replace("PRICE", "7");
    std::fs::write(shell.at("own.toml"), own).unwrap();
    let settings = "[credits]\nprices = \"own.toml\"\n";
    std::fs::write(shell.at("afterplan.toml"), settings).unwrap();
    let server = served(
        &shell,
        &Stub::answering_after(std::time::Duration::ZERO),
        &[],
    );
    let url = server.url();
    let asked = |arguments: &[&str]| here.call(&[arguments, &["--server", &url]].concat());
    let there = asked(&["prices", "gpt-4o"]);
    assert_eq!(there.exit, 0, "{there}");
    assert!(there.err.contains("own-1"), "{there}");
    let local = shell.call(&["prices", "--json"]);
    assert_eq!(asked(&["prices", "--json"]).out, local.out);
    assert_eq!(asked(&["prices", "no-such-model"]).exit, 2);
}
