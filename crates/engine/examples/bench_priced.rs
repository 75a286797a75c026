//! What the ledger costs: the program's CPU a step with agents that cost something, against the same agents for nothing.
//!
//! `cargo run --release -p engine --example bench_priced [ORCHESTRATIONS [ROUNDS]]`. Chains of ten agents that answer at once, 64
//! orchestrations at a time, in alternating rounds on fresh databases. Priced, each step holds before and is charged after: two
//! transfers more, and one row of its account a commit. The server's own CPU is not in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::sync::Arc;

use domain::agent::definition::from_toml;
use domain::orchestration::select::Wanted;
use domain::values::ids::{AccountId, HolderId, OrchestrationId};
use engine::billing::Billing;
use engine::clock::Clock;
use engine::follow::ended;
use engine::handle::{Engine, Parts, Scope};
use engine::outside::Outside;
use engine::perform::{Performed, Performer};
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::{Submission, submit};
use planexe::plan::Plan;
use store::db::Store;
use store::url::DatabaseUrl;
use tokio::task::JoinSet;
use uuid::Uuid;

const STEPS: usize = 10;

/// Orchestrations at one time.
const TOGETHER: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize, default| arguments.get(n).map_or(default, |a| a.parse().unwrap());
    let (orchestrations, rounds) = (number(0, 1_000), number(1, 3));
    let folder = tempfile::tempdir_in(".").unwrap();
    let file = |n: usize| {
        folder
            .path()
            .join(format!("{n}.db"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    figures("sqlite", orchestrations, rounds, &file).await;
    match std::env::var("AFTERPLAN_TEST_POSTGRES") {
        Ok(server) => {
            let mark = if server.contains('?') { '&' } else { '?' };
            let schema = |n: usize| {
                let schema = format!("bench_priced_{}_{n}", std::process::id());
                format!("{server}{mark}options=-csearch_path%3D{schema}")
            };
            figures("postgres", orchestrations, rounds, &schema).await;
        }
        Err(_) => println!("SKIPPED: PostgreSQL (AFTERPLAN_TEST_POSTGRES is not set)"),
    }
}

async fn figures(name: &str, count: usize, rounds: usize, url: &dyn Fn(usize) -> String) {
    let (mut free, mut priced) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        free.push(cpu_a_step(&url(2 * round), count, "0").await);
        priced.push(cpu_a_step(&url(2 * round + 1), count, "0.001").await);
    }
    let (free, priced) = (median(free), median(priced));
    println!(
        "bench priced-{name}-cpu {priced:.1} us/step ratio {:.3} to free target ratio<=1.10",
        priced / free
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Microseconds of CPU a step.
async fn cpu_a_step(url: &str, count: usize, price: &str) -> f64 {
    let registry = Registry::default();
    for n in 0..STEPS {
        let after = match n {
            0 => String::new(),
            n => format!("dependencies = [\"agent-{}\"]\n", n - 1),
        };
        let text =
            format!("id = \"agent-{n}\"\ndisplayName = \"{n}\"\n{after}costPerRun = {price}");
        registry.add(from_toml(&text).unwrap());
    }
    let performer = Performer::Given(Arc::new(|_| {
        Box::pin(async {
            Performed::Completed(serde_json::json!({"findings": ["as good as none"]}))
        })
    }));
    let engine = Engine::new(Parts {
        store: Store::open(&DatabaseUrl::parse(url).unwrap())
            .await
            .unwrap(),
        clock: Clock::System,
        registry,
        performer,
        outside: Outside::default(),
        billing: Billing::default(),
        sharing: engine::sharing::Sharing::default(),
        slots: 64,
    });
    engine.set_scope(Scope::Everything);
    let replica = Replica::start(&engine, HolderId(Uuid::from_u128(1)), "bench")
        .await
        .unwrap();
    work(&engine, 0, TOGETHER).await;
    let before = cpu_micros();
    work(&engine, TOGETHER, count).await;
    let cpu = cpu_micros() - before;
    replica.stop().await.unwrap();
    engine.store.close().await;
    cpu / (count * STEPS) as f64
}

/// So many orchestrations from their submission to their end.
async fn work(engine: &Engine, first: usize, count: usize) {
    let mut under_way = JoinSet::new();
    for n in first..first + count {
        if under_way.len() >= TOGETHER {
            under_way.join_next().await.unwrap().unwrap();
        }
        let engine = engine.clone();
        under_way.spawn(async move {
            let id = OrchestrationId(Uuid::from_u128(1 + n as u128));
            let bytes: Arc<[u8]> = Arc::from(format!("Build shed {n}.").as_bytes());
            let plan = Plan::from_named_bytes([("plan.txt".to_owned(), bytes)]);
            let plan = Arc::new(LoadedPlan::of(plan).unwrap());
            let all = engine.registry.snapshot().by_default();
            let wanted = Wanted::Named(all);
            let mut submission =
                Submission::new(AccountId::system(), "bench".to_owned(), plan, wanted);
            submission.fresh = true;
            submit(&engine, id, submission).await.unwrap();
            let state = ended(&engine, id).await.unwrap();
            assert_eq!(state.state.status().name(), "complete");
        });
    }
    under_way.join_all().await;
}

/// What this program has used of the processors, by the scheduler's own clock.
fn cpu_micros() -> f64 {
    let mut nanos = 0.0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("schedstat");
        let told = std::fs::read_to_string(path).unwrap_or_default();
        let spent = told.split(' ').next().and_then(|n| n.parse::<f64>().ok());
        nanos += spent.unwrap_or(0.0);
    }
    nanos / 1_000.0
}
