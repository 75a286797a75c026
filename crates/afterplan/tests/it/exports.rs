//! Charges of two servers in PlanExe's own books: each once, though an exporter is killed after it sent them and before it
//! notes so, and though two export at one time.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::network::{Served, Stub};
use crate::serve::served;
use crate::shell::{Answer, Schema, Shell};

/// PlanExe's user on whose behalf all is submitted.
const USER: &str = "00000000-0000-0000-0000-000000000007";

/// As PlanExe makes them (`model_credit_history.py`, `model_user_account.py`), what matters here.
const PLANEXE: &str = "
    create table user_account (id uuid primary key, credits_balance numeric(18, 9) not null default 0);
    create table credit_history (
        id uuid primary key, user_id uuid not null, delta numeric(18, 9) not null, reason varchar(128) not null,
        source varchar(32) not null, external_id varchar(256), created_at timestamp without time zone not null);
    insert into user_account (id) values ('00000000-0000-0000-0000-000000000007')";

/// Somebody at a database's own prompt.
struct Prompt {
    runtime: Runtime,
    client: Client,
}

impl Prompt {
    fn at(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (client, connection) = runtime
            .block_on(tokio_postgres::connect(url, NoTls))
            .unwrap();
        runtime.spawn(connection);
        Self { runtime, client }
    }

    fn say(&self, text: &str) {
        self.runtime
            .block_on(self.client.batch_execute(text))
            .unwrap();
    }

    /// The first column of each row, as text.
    fn ask(&self, text: &str) -> Vec<String> {
        let rows = self.runtime.block_on(self.client.query(text, &[])).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn until(&self, text: &str, wanted: &str) {
        let begun = Instant::now();
        while self.ask(text) != [wanted] {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{text} is never {wanted}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The seed's two agents, of both servers in turn, for so many plans: two charges each.
fn charge(servers: &[Served; 2], plans: std::ops::Range<usize>) {
    for n in plans {
        let body = json!({
            "planArtifact": {"id": format!("plan-{n}"), "plan": {"title": format!("Plan {n}")}},
            "enrichmentRequest": {"userId": USER},
        });
        let ended = servers[n % 2].ask(200, "POST", "/api/orchestrate", Some(&body));
        assert_eq!(ended["status"], "complete", "{ended}");
    }
}

/// What an exporter said: charges written, and those that were there already.
fn said(exporting: Child) -> (u64, u64) {
    let answer = Answer::of(exporting.wait_with_output().unwrap());
    assert_eq!(answer.exit, 0, "{answer}");
    let numbers: Vec<u64> = answer
        .out
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(numbers[2], 0, "{answer}");
    (numbers[0], numbers[1])
}

#[test]
fn a_charge_is_exported_once_whoever_is_killed_and_however_many_export() {
    let (Some(books), Some(planexe)) = (Schema::new(), Schema::new()) else {
        return;
    };
    let (shell, stub) = (Shell::on(&books.url), Stub::answering_after(Duration::ZERO));
    let servers = [served(&shell, &stub, &[]), served(&shell, &stub, &[])];
    let (ours, theirs) = (Prompt::at(&books.url), Prompt::at(&planexe.url));
    theirs.say(PLANEXE);
    charge(&servers, 0..3);
    let export = ["credits", "export", "--to", &planexe.url];
    // Who reads goes on, who notes waits.
    ours.say("begin; lock table credit_export in exclusive mode");
    let mut killed = shell.start(&export);
    theirs.until("select count(*)::text from credit_history", "6");
    let waiting = "from pg_locks where not granted and relation = 'credit_export'::regclass";
    let other = Prompt::at(&books.url);
    other.until(&format!("select count(*)::text {waiting}"), "1");
    killed.kill().unwrap();
    killed.wait().unwrap();
    // The server need not have seen yet that nobody is there any more.
    other.say(&format!("select pg_terminate_backend(pid) {waiting}"));
    ours.say("commit");
    assert_eq!(ours.ask("select count(*)::text from credit_export"), ["0"]);
    charge(&servers, 3..5);
    let (one, another) = (shell.start(&export), shell.start(&export));
    let ((new, _), (too, known)) = (said(one), said(another));
    assert_eq!(new + too, 4, "{known} known");
    assert_eq!(said(shell.start(&export)), (0, 0));
    let told = shell.call(&["credits", "export"]);
    let mut printed: Vec<&str> = told
        .out
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(4).unwrap().trim_matches('"'))
        .collect();
    printed.sort_unstable();
    let stored =
        theirs.ask("select external_id from credit_history order by external_id collate \"C\"");
    assert_eq!(stored.len(), 10);
    assert_eq!(stored, printed);
    let of = format!("from credit_history where source = 'enrichment' and user_id = '{USER}'");
    assert_eq!(
        theirs.ask(&format!("select sum(delta)::text {of}")),
        ["-4.500000000"]
    );
    drop(servers);
    let checked = shell.call(&["check"]);
    assert_eq!(checked.exit, 0, "{checked}");
}

/// Nobody knows any more whose it is, and that is said: it is neither left out in silence nor given to somebody.
#[test]
fn a_charge_whose_orchestration_was_deleted_before_is_told_to_be_nobodys() {
    let (Some(books), Some(planexe)) = (Schema::new(), Schema::new()) else {
        return;
    };
    let (shell, stub) = (Shell::on(&books.url), Stub::answering_after(Duration::ZERO));
    let servers = [served(&shell, &stub, &[]), served(&shell, &stub, &[])];
    let theirs = Prompt::at(&planexe.url);
    theirs.say(PLANEXE);
    charge(&servers, 0..1);
    drop(servers);
    let pruned = shell.call(&["orchestrations", "prune", "--older-than", "0"]);
    assert!(
        pruned.out.starts_with("1 orchestration deleted"),
        "{pruned}"
    );
    let told = shell.call(&["credits", "export", "--to", &planexe.url]);
    assert_eq!(told.exit, 0, "{told}");
    assert!(
        told.out.contains("0 charges written")
            && told
                .err
                .contains("of 2 charges nobody knows any more whose they are"),
        "{told}"
    );
    assert_eq!(
        theirs.ask("select count(*)::text from credit_history"),
        ["0"]
    );
}
