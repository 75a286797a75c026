//! The writer against a bare loop: the same rows, in the same batch sizes, on the same disk, in alternating rounds.
//!
//! `cargo run --release -p store --example bench_store [COMMANDS [ROUNDS [sqlite|postgres]]]`. A command is one step's progress: the orchestration's row,
//! one step row, one event of 220 bytes. PostgreSQL is measured where `AFTERPLAN_TEST_POSTGRES` says so. The disk's own fdatasync is
//! printed beside, since on a shared machine it swings by an order of magnitude.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod bare_postgres;
mod bare_sqlite;
mod load;
mod measure;

use std::path::Path;

use crate::load::Load;
use crate::measure::{Round, fdatasync_micros, median};

/// Callers at once, as the goals are set.
const IN_FLIGHT: [usize; 2] = [64, 1024];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
    let (commands, rounds) = (number(0, 30_000), number(1, 3));
    let wanted = |name: &str| arguments.get(2).is_none_or(|only| only == name);
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = std::env::var("AFTERPLAN_TEST_POSTGRES").ok();
    println!(
        "{commands} commands a round, medians of {rounds} alternating rounds; a command: orchestration row, step row, event"
    );
    println!(
        "{:<10} {:>9} {:>12} {:>12} {:>6} {:>11} {:>11} {:>6} {:>7} {:>12}",
        "database",
        "in flight",
        "store cmd/s",
        "bare cmd/s",
        "ratio",
        "store us",
        "bare us",
        "ratio",
        "batch",
        "fdatasync us"
    );
    for in_flight in IN_FLIGHT {
        let load = Load::new(in_flight, commands);
        if wanted("sqlite") {
            line("sqlite", &load, rounds, folder.path(), |n| {
                sqlite(&load, &folder.path().join(format!("{in_flight}-{n}")))
            });
        }
        match &server {
            _ if !wanted("postgres") => {}
            Some(server) => line("postgres", &load, rounds, folder.path(), |n| {
                postgres(&load, server, &format!("bench_{in_flight}_{n}"))
            }),
            None => println!("postgres   SKIPPED: AFTERPLAN_TEST_POSTGRES is not set"),
        }
    }
    println!("us: CPU microseconds a command of the writing thread alone, rows given");
}

/// One round: the store, then the bare loop in the store's own batch sizes.
fn sqlite(load: &Load, folder: &Path) -> (Round, Round) {
    std::fs::create_dir(folder).unwrap();
    let (store, sizes) = load::through_store(load, folder.join("store.db").to_str().unwrap());
    let bare = bare_sqlite::round(load, &sizes, &folder.join("bare.db"));
    std::fs::remove_dir_all(folder).unwrap();
    (store, bare)
}

fn postgres(load: &Load, server: &str, schema: &str) -> (Round, Round) {
    let (ours, theirs) = (format!("{schema}_store"), format!("{schema}_bare"));
    let url = bare_postgres::schema(server, &ours);
    let (store, sizes) = load::through_store(load, &url);
    let url = bare_postgres::schema(server, &theirs);
    let bare = bare_postgres::round(load, &sizes, &url);
    bare_postgres::drop_schemas(server, &[ours, theirs]);
    (store, bare)
}

fn line(
    name: &str,
    load: &Load,
    rounds: usize,
    folder: &Path,
    mut round: impl FnMut(usize) -> (Round, Round),
) {
    let mut syncs = vec![fdatasync_micros(folder)];
    let mut both = Vec::new();
    for n in 0..rounds {
        both.push(round(n));
        syncs.push(fdatasync_micros(folder));
    }
    let of = |f: &dyn Fn(&(Round, Round)) -> f64| median(both.iter().map(f).collect());
    println!(
        "{name:<10} {:>9} {:>12.0} {:>12.0} {:>6.2} {:>11.2} {:>11.2} {:>6.2} {:>7.0} {:>12.0}",
        load.in_flight(),
        of(&|r| r.0.per_second),
        of(&|r| r.1.per_second),
        of(&|r| r.0.per_second / r.1.per_second),
        of(&|r| r.0.cpu_micros),
        of(&|r| r.1.cpu_micros),
        of(&|r| r.0.cpu_micros / r.1.cpu_micros),
        of(&|r| r.0.mean_batch),
        median(syncs),
    );
    let at = load.in_flight();
    println!(
        "bench store-{name}-{at}-commands {:.0} commands/s ratio {:.2} to bare-loop target ratio>=0.7",
        of(&|r| r.0.per_second),
        of(&|r| r.0.per_second / r.1.per_second),
    );
    println!(
        "bench store-{name}-{at}-writer-cpu {:.2} us/command ratio {:.2} to bare-loop target ratio<=1.5",
        of(&|r| r.0.cpu_micros),
        of(&|r| r.0.cpu_micros / r.1.cpu_micros),
    );
}
