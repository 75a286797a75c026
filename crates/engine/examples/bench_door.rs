//! The door against its own writer: what deciding costs beside writing.
//!
//! `cargo run --release -p engine --example bench_door [COMMANDS [ROUNDS]]`. As many callers as orchestrations each pause and
//! resume a step: one event, one step row, the orchestration's row. The baseline commits the very same rows, made beforehand,
//! through the store with as many callers, in alternating rounds: commands a second of both, and the CPU of the whole door
//! (all threads) against that of the writing thread alone. `bench_store` tells how that thread stands against a bare loop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::collections::BTreeMap;
use std::fs::{read_dir, read_to_string};
use std::sync::Arc;
use std::time::Instant;

use domain::agent::definition::from_toml;
use domain::orchestration::command::{Command, Facts};
use domain::orchestration::decide::decide;
use domain::orchestration::event::Recorded;
use domain::orchestration::evolve::evolve;
use domain::orchestration::select::Wanted;
use domain::values::ids::{AccountId, OrchestrationId, StepId};
use domain::values::time::Timestamp;
use engine::billing::Billing;
use engine::clock::Clock;
use engine::handle::{Engine, Parts};
use engine::outside::Outside;
use engine::perform::Performer;
use engine::plans::LoadedPlan;
use engine::project::{Change, row_set};
use engine::registry::Registry;
use engine::submit::{Submission, submit};
use engine::transition::{load, transition};
use planexe::plan::Plan;
use store::chain::link;
use store::db::Store;
use store::url::DatabaseUrl;
use store::write::RowSet;
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use uuid::Uuid;

/// Callers at once, as the goals are set.
const IN_FLIGHT: [usize; 2] = [64, 1_024];

const STEPS: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
    let (commands, rounds) = (number(0, 20_000), number(1, 3));
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = std::env::var("AFTERPLAN_TEST_POSTGRES").ok();
    for in_flight in IN_FLIGHT {
        figures("sqlite", in_flight, commands, rounds, &|n| {
            let path = folder.path().join(format!("{in_flight}-{n}.db"));
            path.to_str().unwrap().to_owned()
        });
        match &server {
            Some(server) => figures("postgres", in_flight, commands, rounds, &|n| {
                let mark = if server.contains('?') { '&' } else { '?' };
                let schema = format!("bench_door_{}_{in_flight}_{n}", std::process::id());
                format!("{server}{mark}options=-csearch_path%3D{schema}")
            }),
            None => println!("SKIPPED: PostgreSQL (AFTERPLAN_TEST_POSTGRES is not set)"),
        }
    }
}

/// What a round showed.
struct Round {
    per_second: f64,
    cpu_micros: f64,
}

fn figures(
    name: &str,
    in_flight: usize,
    commands: usize,
    rounds: usize,
    url: &dyn Fn(usize) -> String,
) {
    let each = commands.div_ceil(in_flight);
    let (mut doors, mut givens) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        doors.push(through_the_door(&url(2 * round), in_flight, each));
        givens.push(rows_given(&url(2 * round + 1), in_flight, each));
    }
    let of =
        |rounds: &[Round], value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let (door, given) = (of(&doors, |r| r.per_second), of(&givens, |r| r.per_second));
    println!(
        "bench door-{name}-{in_flight} {door:.0} commands/s ratio {:.3} to rows-given target ratio>=0.7",
        door / given
    );
    let (door, given) = (of(&doors, |r| r.cpu_micros), of(&givens, |r| r.cpu_micros));
    println!(
        "bench door-{name}-{in_flight}-cpu {door:.1} us/command ratio {:.3} to writer-alone target ratio<=3",
        door / given
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// An engine that performs nothing, and as many orchestrations as there are callers.
async fn begun(url: &str, in_flight: usize) -> (Engine, Vec<OrchestrationId>) {
    let registry = Registry::default();
    for n in 0..STEPS {
        let text =
            format!("id = \"agent-{n}\"\ndisplayName = \"Agent {n}\"\napproval = \"required\"");
        registry.add(from_toml(&text).unwrap());
    }
    let bytes: Arc<[u8]> = Arc::from(b"Build a shed.".as_slice());
    let plan = Plan::from_named_bytes([("plan.txt".to_owned(), bytes)]);
    let plan = Arc::new(LoadedPlan::of(plan).unwrap());
    let engine = Engine::new(Parts {
        store: Store::open(&DatabaseUrl::parse(url).unwrap())
            .await
            .unwrap(),
        clock: Clock::System,
        performer: Performer::Executors,
        outside: Outside::default(),
        billing: Billing::default(),
        sharing: engine::sharing::Sharing::default(),
        slots: 1,
        registry,
    });
    let mut ids = Vec::new();
    for n in 0..in_flight {
        let id = OrchestrationId(Uuid::from_u128(1 + n as u128));
        let wanted = Wanted::Named(engine.registry.snapshot().by_default());
        let mut submission = Submission::new(
            AccountId::system(),
            "bench".to_owned(),
            plan.clone(),
            wanted,
        );
        submission.fresh = true;
        submit(&engine, id, submission).await.unwrap();
        ids.push(id);
    }
    (engine, ids)
}

/// The n-th command of each caller.
fn command(n: usize) -> Command {
    let step = Some(StepId::new(&format!("agent-{}", n / 2 % STEPS)).unwrap());
    if n.is_multiple_of(2) {
        Command::Pause { step }
    } else {
        Command::Resume { step }
    }
}

fn through_the_door(url: &str, in_flight: usize, each: usize) -> Round {
    let runtime = runtime();
    let (engine, ids) = runtime.block_on(begun(url, in_flight));
    let go = Arc::new(Barrier::new(in_flight + 1));
    let callers: Vec<_> = ids
        .into_iter()
        .map(|id| {
            let (engine, go) = (engine.clone(), go.clone());
            runtime.spawn(async move {
                go.wait().await;
                for n in 0..each {
                    transition(&engine, id, command(n), Vec::new())
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let round = timed(&runtime, &go, callers, in_flight * each, None);
    runtime.block_on(engine.store.close());
    round
}

fn rows_given(url: &str, in_flight: usize, each: usize) -> Round {
    let runtime = runtime();
    let (engine, ids) = runtime.block_on(begun(url, in_flight));
    let go = Arc::new(Barrier::new(in_flight + 1));
    let mut callers = Vec::new();
    for id in ids {
        let sets = runtime.block_on(made(&engine, id, each));
        let (store, go) = (engine.store.clone(), go.clone());
        callers.push(runtime.spawn(async move {
            go.wait().await;
            for set in sets {
                store.commit(set).await.unwrap();
            }
        }));
    }
    let round = timed(
        &runtime,
        &go,
        callers,
        in_flight * each,
        Some("store-writer"),
    );
    runtime.block_on(engine.store.close());
    round
}

/// The rows that the door would write, decided beforehand.
async fn made(engine: &Engine, id: OrchestrationId, each: usize) -> Vec<RowSet> {
    let mut hot = load(engine, id).await.unwrap();
    let (mut version, mut chain) = (hot.version, hot.chain);
    let mut sets = Vec::new();
    for n in 0..each {
        let now = Timestamp(1_760_000_000_000_000 + n as i64);
        let facts = Facts {
            now,
            ..Facts::default()
        };
        let mut before = BTreeMap::new();
        let mut events = Vec::new();
        for event in decide(&hot.state, &command(n), &facts).unwrap() {
            let index = hot.state.graph.index(event.step().unwrap()).unwrap();
            before.insert(index, hot.state.steps[index].clone());
            let seq = hot.state.cursor() + 1;
            let recorded = Recorded {
                seq,
                at: now,
                event,
            };
            evolve(&mut hot.state, &recorded);
            events.push(recorded);
        }
        let change = Change {
            id,
            expected_version: version,
            chain,
            state: &hot.state,
            before: &before,
            events: &events,
            lenient: &std::collections::BTreeSet::new(),
            quotas: &[],
            sharing: &engine::sharing::Sharing::default(),
            pinned: None,
            plan: None,
            blobs: Vec::new(),
        };
        let set = row_set(change).unwrap().unwrap();
        for event in &set.events {
            let step = event.step.as_deref();
            chain = link(&chain, event.seq, event.at, &event.kind, step, &event.data);
        }
        version = version.map(|version| version + 1);
        sets.push(set);
    }
    sets
}

fn timed(
    runtime: &Runtime,
    go: &Barrier,
    callers: Vec<tokio::task::JoinHandle<()>>,
    commands: usize,
    thread: Option<&str>,
) -> Round {
    let (started, cpu) = (Instant::now(), cpu_seconds(thread));
    runtime.block_on(async {
        go.wait().await;
        for caller in callers {
            caller.await.unwrap();
        }
    });
    Round {
        per_second: commands as f64 / started.elapsed().as_secs_f64(),
        cpu_micros: (cpu_seconds(thread) - cpu) * 1e6 / commands as f64,
    }
}

/// CPU of this program's threads of that name so far; of all where there is no name.
fn cpu_seconds(thread: Option<&str>) -> f64 {
    let mut nanos = 0.0;
    for each in read_dir("/proc/self/task").unwrap() {
        let folder = each.unwrap().path();
        let name = read_to_string(folder.join("comm")).unwrap_or_default();
        if thread.is_none_or(|thread| thread == name.trim()) {
            let spent = read_to_string(folder.join("schedstat")).unwrap_or_default();
            let first = spent.split(' ').next().and_then(|n| n.parse::<f64>().ok());
            nanos += first.unwrap_or(0.0);
        }
    }
    nanos / 1e9
}
