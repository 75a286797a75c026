//! The standard job: orchestrations with a 20 KB plan each over HTTP agents that answer at once, beside floors that do only the
//! calls (`raw`), the calls and one synced file (`raw-log`), the calls and PostgreSQL (`raw-pg`).
//!
//! `cargo run --release -p afterplan --example bench_standard_job [SECONDS [ROUNDS [PART]]]` after `cargo build --release`; a part is
//! one shape, `ledger`, `unfinished` or `idle`. Stub, driver and the program under measurement share the machine. Every submission has another plan, every answer is another one, databases
//! are fresh, everything is as durable as in production. Shares come from the same round.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

mod client;
mod floor;
mod host;
mod ledger;
mod load;
mod plans;
mod shapes;
mod stub;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use host::Host;
use load::{Load, Manner, Numbers, load};
use plans::Plans;
use shapes::{SHAPES, Shape};

/// Callers at once: what is best of these counts as saturation, for floors and Afterplan alike.
const CALLERS: [usize; 2] = [64, 256];

/// Accepted and unfinished at one time, for the memory that they take.
const UNFINISHED: usize = 10_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let print_port = |port| println!("{port}");
    match arguments.first().map(String::as_str) {
        Some("stub") => stub::serve(print_port),
        Some(kind) if kind.starts_with("raw") => {
            floor::serve(kind, arguments[1].parse().unwrap(), print_port);
        }
        _ => {
            let number =
                |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
            let (seconds, rounds) = (number(0, 4), number(1, 3));
            let only = arguments.get(2).cloned();
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(measure(Duration::from_secs(seconds), rounds, only));
        }
    }
}

/// Everything that one program showed on one shape.
struct Shown {
    one: Load,
    best: Load,
    at_64: f64,
    written: f64,
    kept: f64,
}

impl Shown {
    fn rate(&self, shape: &Shape) -> f64 {
        self.best.steps_per_second(shape)
    }

    fn cpu(&self, shape: &Shape) -> f64 {
        self.best.cpu_per_thousand(shape)
    }
}

/// What all rounds showed, by shape and program.
type Results = BTreeMap<(&'static str, &'static str), Vec<Shown>>;

async fn measure(time: Duration, rounds: u64, only: Option<String>) {
    let folder = tempfile::tempdir_in(".").unwrap();
    let (_stub, stub) = host::start_own(folder.path(), &["stub"], None);
    let url = std::env::var("AFTERPLAN_TEST_POSTGRES").ok();
    let server = match &url {
        Some(url) => Some((url.as_str(), host::postmaster(url).await)),
        None => {
            println!("SKIPPED: PostgreSQL (AFTERPLAN_TEST_POSTGRES is not set)");
            None
        }
    };
    let plans = Plans::make(1_024);
    let numbers = Numbers::new();
    let mut results = Results::new();
    for round in 0..rounds {
        for shape in SHAPES
            .iter()
            .filter(|s| only.as_ref().is_none_or(|o| o == s.name))
        {
            for program in ["raw", "raw-log", "sqlite", "raw-pg", "postgres"] {
                if server.is_none() && ["raw-pg", "postgres"].contains(&program) {
                    continue;
                }
                let name = format!("{program}-{}-{round}", shape.name);
                let of_server = server.filter(|_| ["raw-pg", "postgres"].contains(&program));
                let (mut host, manner) = if program.starts_with("raw") {
                    let postmaster = of_server.map(|(_, id)| id);
                    let stub = stub.to_string();
                    let (host, _) = host::start_own(folder.path(), &[program, &stub], postmaster);
                    (host, Manner::Floor)
                } else {
                    let host =
                        host::start_afterplan(folder.path(), &name, of_server, stub, "agent").await;
                    (host, Manner::Afterplan)
                };
                let shown = one_program(&mut host, manner, shape, &plans, &numbers, time).await;
                println!(
                    "{name}: {:.0} steps/s, {:.3} CPU-s/1,000 steps, p50 alone {:.2} ms, PSS {:.0} MB, written {:.2} x, kept {:.2} x",
                    shown.best.steps_per_second(shape),
                    shown.best.cpu_per_thousand(shape),
                    shown.one.p50_ms,
                    shown.at_64,
                    shown.written,
                    shown.kept
                );
                results
                    .entry((shape.name, program))
                    .or_default()
                    .push(shown);
            }
        }
    }
    report(&results, server.is_some());
    let wanted = |part| only.as_ref().is_none_or(|only| only == part);
    if wanted("ledger") {
        ledger::ledger(folder.path(), stub, server, &plans, &numbers, time).await;
    }
    if wanted("unfinished") {
        memory(folder.path(), stub, &plans).await;
    }
    if wanted("idle") {
        idle(folder.path(), stub, server).await;
    }
}

async fn one_program(
    host: &mut Host,
    manner: Manner,
    shape: &Shape,
    plans: &Plans,
    numbers: &Numbers,
    time: Duration,
) -> Shown {
    let warm = time / 8;
    let mut orchestrations = load(host, manner, shape, plans, numbers, 16, warm)
        .await
        .orchestrations;
    let one = load(host, manner, shape, plans, numbers, 1, time / 2).await;
    orchestrations += one.orchestrations;
    let mut best: Option<Load> = None;
    let mut at_64 = 0.0;
    for callers in CALLERS {
        let shown = load(host, manner, shape, plans, numbers, callers, time).await;
        orchestrations += shown.orchestrations;
        if callers == 64 {
            at_64 = shown.pss_peak;
        }
        let rate = |load: &Load| load.steps_per_second(shape);
        if best.as_ref().is_none_or(|best| rate(best) < rate(&shown)) {
            best = Some(shown);
        }
    }
    host.note_written();
    host.stop();
    let logical = orchestrations * shape.logical_bytes();
    Shown {
        one,
        best: best.unwrap(),
        at_64,
        written: host.written as f64 / logical,
        kept: host.kept() / logical,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(results: &Results, with_postgres: bool) {
    for shape in SHAPES
        .iter()
        .filter(|shape| results.contains_key(&(shape.name, "raw")))
    {
        let floors: &[&'static str] = if with_postgres {
            &["raw", "raw-log", "raw-pg"]
        } else {
            &["raw", "raw-log"]
        };
        for floor in floors {
            let rates = values(results, shape, floor, &|shown| shown.rate(shape));
            let cpu = values(results, shape, floor, &|shown| shown.cpu(shape));
            println!("bench {floor}-{} {:.0} steps/s", shape.name, median(rates));
            println!(
                "bench {floor}-{}-cpu {:.3} s/1000-steps",
                shape.name,
                median(cpu)
            );
        }
        report_program(results, shape, "sqlite", "raw-log", 0.45);
        report_bytes(results, shape);
        if with_postgres {
            report_program(results, shape, "postgres", "raw-pg", 0.5);
        }
    }
}

/// What each round showed of one thing.
fn values(
    results: &Results,
    shape: &Shape,
    program: &'static str,
    value: &dyn Fn(&Shown) -> f64,
) -> Vec<f64> {
    results[&(shape.name, program)].iter().map(value).collect()
}

/// The middle of the rounds' quotients: what else the machine did fell on both sides of each.
fn share(own: &[f64], other: &[f64]) -> f64 {
    median(
        own.iter()
            .zip(other)
            .map(|(own, other)| own / other)
            .collect(),
    )
}

fn report_program(
    results: &Results,
    shape: &Shape,
    program: &'static str,
    floor: &'static str,
    must: f64,
) {
    let name = format!("{program}-{}", shape.name);
    let of = |program, value: &dyn Fn(&Shown) -> f64| values(results, shape, program, value);
    let rates = of(program, &|shown| shown.rate(shape));
    let of_floor = share(&rates, &of(floor, &|shown| shown.rate(shape)));
    println!(
        "bench {name} {:.0} steps/s ratio {of_floor:.3} to {floor} target ratio>={must}",
        median(rates)
    );
    let bound = |text| if program == "sqlite" { text } else { "" };
    let cpu = median(of(program, &|shown| shown.cpu(shape)));
    let own = of(program, &|shown| shown.one.p50_ms);
    let raw = of("raw", &|shown| shown.one.p50_ms);
    let alone = median(own.clone());
    match shape.name {
        "chain10" => {
            println!(
                "bench {name}-cpu {cpu:.3} s/1000-steps{}",
                bound(" target <=0.20")
            );
            let over = (alone - median(raw)) / shape.steps() as f64;
            println!(
                "bench {name}-overhead {over:.3} ms/step{}",
                bound(" target <=0.7")
            );
        }
        "diamond10" => {
            println!("bench {name}-cpu {cpu:.3} s/1000-steps");
            let over = share(&own, &raw);
            println!("bench {name}-alone {alone:.2} ms ratio {over:.2} to raw target ratio<=5");
        }
        _ => {
            println!("bench {name}-cpu {cpu:.3} s/1000-steps");
            println!("bench {name}-alone {alone:.2} ms");
        }
    }
}

fn report_bytes(results: &Results, shape: &Shape) {
    let middle = |value: &dyn Fn(&Shown) -> f64| median(values(results, shape, "sqlite", value));
    let name = format!("sqlite-{}", shape.name);
    let pss = middle(&|shown| shown.at_64);
    println!("bench {name}-pss-64 {pss:.1} MB target <=128");
    let written = middle(&|shown| shown.written);
    println!("bench {name}-written {written:.2} x-logical target <=4");
    let kept = middle(&|shown| shown.kept);
    println!("bench {name}-kept {kept:.2} x-logical target <=1.5");
}

/// Ten thousand orchestrations accepted, 64 attempts under way that do not come back.
async fn memory(folder: &Path, stub: u16, plans: &Plans) {
    let shape = Shape::named("chain10");
    let mut host = host::start_afterplan(folder, "unfinished", None, stub, "slow").await;
    let began = Instant::now();
    let (next, mut peak) = (std::cell::Cell::new(0_u64), 0.0_f64);
    let host_ref = &host;
    let submitting = (0..16).map(|_| async {
        loop {
            let number = next.replace(next.get() + 1);
            if number >= UNFINISHED as u64 {
                return;
            }
            let body = load::request(shape, &plans.get(number), number);
            let (status, answer) = host_ref
                .client
                .post("/api/orchestrate?wait=0", body.into())
                .await;
            assert_eq!(status, 202, "{}", String::from_utf8_lossy(&answer));
        }
    });
    join_all(submitting).await;
    println!(
        "{UNFINISHED} accepted in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    for _ in 0..10 {
        peak = peak.max(host.pss());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("bench unfinished-10000-pss {peak:.1} MB target <=250");
    host.stop();
}

/// A server that has nothing to do, on either database.
async fn idle(folder: &Path, stub: u16, server: Option<(&str, u32)>) {
    const TIME: Duration = Duration::from_secs(30);
    let mut host = host::start_afterplan(folder, "idle", None, stub, "agent").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!("bench idle-pss {:.1} MB target <=30", host.pss());
    host.stop();
    let Some((url, postmaster)) = server else {
        return;
    };
    // A database of its own: what the load has left to vacuum elsewhere is not the idle server's.
    let url = host::fresh_database(url).await;
    let server = Some((url.as_str(), postmaster));
    let mut host = host::start_afterplan(folder, "idle-pg", server, stub, "agent").await;
    // The server's statistics are told up to ten seconds late.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = host::transactions(&url).await;
    tokio::time::sleep(TIME).await;
    // One of them asked for this figure the first time.
    let asked = host::transactions(&url).await - before - 1;
    println!(
        "bench idle-queries {:.2} 1/s target <=1",
        asked as f64 / TIME.as_secs_f64()
    );
    host.stop();
}
