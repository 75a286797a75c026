//! Databases that cannot be used: one sentence, and no output.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::plan::sample_path;
use crate::shell::{Answer, Shell};

/// Enriching must fail with one sentence that has `parts`, and leave no output.
#[track_caller]
fn fails(shell: &Shell, exit: i32, parts: &[&str]) {
    let before = shell.names();
    shell.fails(exit, &["enrich", sample_path(), "--out", "enriched"], parts);
    assert_eq!(shell.names(), before);
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let shell = Shell::new();
    fs::write(shell.database(), "Dear diary,\n".repeat(1_000)).unwrap();
    fails(
        &shell,
        1,
        &["test.db is damaged or no database", "another file"],
    );
    let still = fs::read_to_string(shell.database()).unwrap();
    assert!(still.starts_with("Dear diary") && still.len() == 12_000);
    fs::remove_file(shell.database()).unwrap();
    fs::create_dir(shell.database()).unwrap();
    fails(&shell, 1, &["cannot open", "test.db", "--database"]);
}

#[test]
fn a_database_of_a_newer_version_is_not_touched() {
    let shell = Shell::new();
    let made = [
        "enrich",
        sample_path(),
        "--agents",
        "plan-inventory",
        "--out",
        "first",
    ];
    assert_eq!(shell.call(&made).exit, 0);
    let database = Connection::open(shell.database()).unwrap();
    let later =
        "insert into schema_migration select 99, 'later', checksum from schema_migration limit 1";
    database.execute_batch(later).unwrap();
    drop(database);
    fails(&shell, 1, &["schema 99", "use the newer afterplan"]);
}

#[test]
fn a_database_locked_by_another_program_is_waited_for_and_then_named() {
    let shell = Shell::new();
    let made = [
        "enrich",
        sample_path(),
        "--agents",
        "plan-inventory",
        "--out",
        "first",
    ];
    assert_eq!(shell.call(&made).exit, 0);
    let other = Connection::open(shell.database()).unwrap();
    other.execute_batch("begin exclusive").unwrap();
    let begun = Instant::now();
    fails(
        &shell,
        1,
        &[
            "locked by another program for 10 seconds",
            "wait for it or stop it",
        ],
    );
    let waited = begun.elapsed();
    assert!((9..20).contains(&waited.as_secs()), "{waited:?}");
    // Who lets go in time is waited for.
    let waiting = shell.start(&[
        "enrich",
        sample_path(),
        "--out",
        "enriched",
        "--agents",
        "plan-lint",
    ]);
    std::thread::sleep(Duration::from_millis(1_500));
    other.execute_batch("rollback").unwrap();
    let answer = Answer::of(waiting.wait_with_output().unwrap());
    assert_eq!(answer.exit, 0, "{answer}");
}

#[test]
fn databases_that_cannot_be_reached_are_named_without_their_passwords() {
    for (database, exit, parts) in [
        (
            "mysql://ann:s3cret@host/plans",
            2,
            &["mysql://ann@host/plans is no database", "sqlite:PATH"][..],
        ),
        (
            "postgres://ann:s3cret@127.0.0.1:1/plans",
            1,
            &["postgres://ann@127.0.0.1:1/plans", "--database"],
        ),
        ("/proc/nowhere/test.db", 1, &["/proc/nowhere", "--database"]),
    ] {
        let shell = Shell::on(database);
        fails(&shell, exit, parts);
        let answer = shell.call(&["orchestrations", "list"]);
        assert!(!answer.err.contains("s3cret"), "{answer}");
    }
}

/// Who only looks must not leave an empty database behind.
#[test]
fn looking_makes_no_database() {
    let shell = Shell::new();
    let id = "01a20619-e3ee-766e-b12e-47cef7d61195";
    let answer = shell.call(&["orchestrations", "list"]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(answer.out.contains("no orchestrations yet"), "{answer}");
    for arguments in [
        &["check"][..],
        &["orchestrations", "show", id],
        &["orchestrations", "cancel", id],
    ] {
        shell.fails(2, arguments, &["there is no database at", "test.db"]);
    }
    assert_eq!(fs::read_dir(shell.folder()).unwrap().count(), 0);
}

/// As many scripts leave it: the default counts.
#[test]
fn an_empty_variable_is_as_good_as_none() {
    let shell = Shell::new();
    let mut list = shell.command(&["orchestrations", "list"]);
    let output = list.env("AFTERPLAN_DATABASE", "").output().unwrap();
    let answer = Answer::of(output);
    assert_eq!(answer.exit, 0, "{answer}");
    shell.fails(
        2,
        &["orchestrations", "list", "--database", ""],
        &["database"],
    );
}

/// A disk that is full: of the database, or of the output.
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let shell = Shell::new();
    let small = shell.at("small");
    fs::create_dir(&small).unwrap();
    let Some(_disk) = Disk::of(&small, "1m") else {
        println!("SKIPPED: a full disk (a small one cannot be mounted here)");
        return;
    };
    // The output does not fit; the database has room.
    let answer = shell.call(&["enrich", sample_path(), "--out", "small/enriched"]);
    assert_eq!(answer.exit, 1, "{answer}");
    let last = answer.err.lines().last().unwrap();
    assert!(
        last.starts_with("afterplan: the enriched plan cannot be written to"),
        "{answer}"
    );
    assert!(
        last.contains("free some room or give another --out"),
        "{answer}"
    );
    assert_eq!(
        fs::read_dir(&small).unwrap().count(),
        0,
        "nothing is left there"
    );
    // What was worked out is not lost.
    let again = shell.json(&["enrich", sample_path(), "--json", "--out", "enriched"]);
    for step in again["steps"].as_array().unwrap() {
        assert_eq!(step["attempts"], 0, "{step}");
    }
    // The database does not fit: there is room for its tables, and little more.
    let ballast = vec![0; 8 << 10];
    let mut left = fs::File::create(small.join("ballast")).unwrap();
    while left.write_all(&ballast).is_ok() {}
    let length = left.metadata().unwrap().len();
    left.set_len(length.saturating_sub(400 << 10)).unwrap();
    let full = Shell::on(small.join("test.db").to_str().unwrap());
    let answer = full.call(&["enrich", sample_path(), "--out", "enriched"]);
    assert_eq!(answer.exit, 1, "{answer}");
    let last = answer.err.lines().last().unwrap();
    assert!(
        last.contains("the disk is full") && last.contains("free some space"),
        "{answer}"
    );
    assert_eq!(full.names(), [""; 0]);
}

/// A small file system that is gone after the test.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn of(at: &'a Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "afterplan-test",
            ])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(at))
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
