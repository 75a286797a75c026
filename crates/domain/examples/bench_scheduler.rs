//! Times the scheduler's core alone: random graphs decided, evolved to their end, and folded again from their logs.

#![allow(clippy::print_stdout, reason = "a bench speaks by printing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]
#![allow(clippy::unwrap_used, reason = "a broken bench is to stop")]

use std::time::Instant;

use domain::orchestration::command::{Command, Facts, Holder, Output, Report, StartFacts};
use domain::orchestration::decide::decide;
use domain::orchestration::event::{BARE, Created, Recorded, Request};
use domain::orchestration::evolve::{evolve, fold};
use domain::orchestration::graph::{Edge, StepRules};
use domain::orchestration::state::{Orchestration, Status};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, AgentId, HolderId, StepId};
use domain::values::time::{Millis, Timestamp};
use uuid::Uuid;

const ROUNDS: u64 = 9;

/// Dependencies of a step, at most; all graphs have the same mean, so that only their size differs.
const DEGREE_MAX: u64 = 5;

struct Timed {
    living_ms: f64,
    folding_ms: f64,
    /// From one step's start to the end of its completion, without the graph's making.
    completion_us: f64,
}

fn main() {
    let small = median(1_000);
    let large = median(10_000);
    let whole = small.living_ms + small.folding_ms;
    println!(
        "bench scheduler-1000-decide-evolve {:.3} ms",
        small.living_ms
    );
    println!("bench scheduler-1000-fold {:.3} ms", small.folding_ms);
    println!("bench scheduler-1000-in-all {whole:.3} ms target <=20");
    println!(
        "bench scheduler-completion-of-1000 {:.3} us",
        small.completion_us
    );
    let growth = large.completion_us / small.completion_us;
    println!(
        "bench scheduler-completion-of-10000 {:.3} us ratio {growth:.2} to that-of-1000 target ratio<=2",
        large.completion_us
    );
}

/// The middle one of all rounds, by each figure.
fn median(agents: usize) -> Timed {
    let rounds: Vec<Timed> = (0..ROUNDS).map(|seed| round(agents, seed)).collect();
    let middle = |figure: fn(&Timed) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(figure).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Timed {
        living_ms: middle(|timed| timed.living_ms),
        folding_ms: middle(|timed| timed.folding_ms),
        completion_us: middle(|timed| timed.completion_us),
    }
}

fn round(agents: usize, seed: u64) -> Timed {
    let create = Command::Create(Box::new(created(agents, seed)));
    let mut state = Orchestration::default();
    let mut log = Vec::new();
    let began = Instant::now();
    step(&mut state, &mut log, &create, &Facts::default());
    let made = began.elapsed();
    while let Some(&index) = state.tally.ready.first() {
        let id = state.graph.rules(index).id.clone();
        let mut facts = Facts {
            start: Some(StartFacts {
                input: hash(index as u64),
                reusable: None,
                held: Default::default(),
                short: None,
                model: None,
                throttled: None,
            }),
            ..Facts::default()
        };
        step(
            &mut state,
            &mut log,
            &Command::Start {
                step: id.clone(),
                holder: holder(),
            },
            &facts,
        );
        facts.start = None;
        let finish = Command::Finish {
            step: id,
            attempt: 1,
            holder: holder(),
            report: Report::Completed(Output {
                data: hash(index as u64),
            }),
            usage: Default::default(),
        };
        step(&mut state, &mut log, &finish, &facts);
    }
    let lived = began.elapsed();
    assert_eq!(state.status(), Status::Complete);

    let began = Instant::now();
    let folded = fold(&log);
    let folding = began.elapsed();
    assert!(folded == state, "log and state disagree");
    Timed {
        living_ms: lived.as_secs_f64() * 1e3,
        folding_ms: folding.as_secs_f64() * 1e3,
        completion_us: (lived - made).as_secs_f64() * 1e6 / agents as f64,
    }
}

fn step(state: &mut Orchestration, log: &mut Vec<Recorded>, command: &Command, facts: &Facts) {
    for event in decide(state, command, facts).unwrap() {
        let recorded = Recorded {
            seq: log.len() as u64 + 1,
            at: Timestamp(0),
            event,
        };
        evolve(state, &recorded);
        log.push(recorded);
    }
}

fn created(agents: usize, seed: u64) -> Created {
    let mut chance = seed;
    let steps = (0..agents).map(|index| {
        let mut before: Vec<u64> = (0..below(&mut chance, DEGREE_MAX + 1))
            .filter(|_| index > 0)
            .map(|_| below(&mut chance, index as u64))
            .collect();
        before.sort_unstable();
        before.dedup();
        rules(index as u64, &before)
    });
    Created {
        account: AccountId::system(),
        name: "bench".to_owned(),
        plan: hash(0),
        pinned: hash(0),
        submission: None,
        reuse: false,
        steps: steps.collect(),
        excluded: Vec::new(),
        request: Request::default(),
        version: BARE,
        budget: None,
        spawning: None,
    }
}

fn rules(index: u64, before: &[u64]) -> StepRules {
    let edge = |dependency: &u64| Edge {
        step: StepId::new(&format!("agent-{dependency}")).unwrap(),
        accepts_partial: false,
        optional: false,
    };
    StepRules {
        id: StepId::new(&format!("agent-{index}")).unwrap(),
        agent: AgentId::new(&format!("agent-{index}")).unwrap(),
        agent_version: "1".to_owned(),
        definition: hash(index),
        dependencies: before.iter().map(edge).collect(),
        gate: None,
        exclusive: false,
        approval: false,
        aborts: false,
        runs_after_gate: false,
        reusable: false,
        timeout: Millis(60_000),
        queue_timeout: Millis(60_000),
        total_timeout: Millis(60_000),
        max_retries: 0,
        concurrency: None,
        cost: Credits::default(),
        price: None,
        missing: Vec::new(),
        absent: Vec::new(),
        prior: None,
    }
}

fn holder() -> Holder {
    Holder {
        id: HolderId(Uuid::nil()),
        epoch: 1,
    }
}

fn hash(number: u64) -> ContentHash {
    ContentHash::of(&number.to_be_bytes())
}

/// SplitMix64, reduced.
fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % bound
}
