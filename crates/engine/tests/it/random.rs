//! One random history, told to both databases: every event, time, hash and feed number must be the same.

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::orchestration::command::{Command, Holder, Output, Report};
use domain::orchestration::state::StepState;
use domain::values::ids::{HolderId, OrchestrationId, StepId};
use domain::values::time::Millis;
use engine::clock::ManualClock;
use engine::handle::{Engine, Scope};
use engine::sweep::sweep;
use engine::transition::transition;
use serde_json::json;
use store::write::NewBlob;
use uuid::Uuid;

use crate::chance::Chance;
use crate::house::{
    Setup, after, agent, assert_sound, begin_as, clock, done, id, performer, plan, submission,
};
use crate::place::Place;

/// Orchestrations of one history.
const MANY: u128 = 4;

fn agents() -> Vec<AgentDefinition> {
    let limited = "concurrency = { key = \"few\", max = 2 }";
    vec![
        agent("top", "reuse = \"account\""),
        after("left", &["top"], limited),
        after("right", &["top"], "approval = \"required\""),
        after(
            "gated",
            &["left"],
            "runCondition = \"enrichments.left.data.n > 1\"",
        ),
        after("alone", &["top"], "parallel = false\nmaxRetries = 1"),
        agent(
            "lenient",
            "dependencies = [{ agent = \"alone\", optional = true }]\nreuse = \"account\"",
        ),
        after("bottom", &["left", "gated"], limited),
    ]
}

/// One history; what it answered, and what stands in the end.
async fn play(seed: u64, place: &Place) -> Vec<String> {
    let clock = clock();
    let mut setup = Setup::new(&clock, agents(), performer(|_| async { done() }));
    setup.scope = Scope::Nothing;
    let engine = setup.engine(place).await;
    let mut chance = Chance::of(seed);
    let mut told = Vec::new();
    for n in 0..MANY {
        let mut wanted = submission(&engine);
        wanted.plan = plan(&format!("Plan {}.", chance.below(2)));
        wanted.fresh = chance.once_in(3);
        let submitted = begin_as(&engine, n, wanted).await;
        told.push(format!("{} {}", submitted.id, submitted.continued));
    }
    for _ in 0..150 {
        let what = one(&engine, &clock, &mut chance).await;
        told.push(what);
    }
    for n in 0..MANY {
        for row in engine
            .store
            .events(*id(n).0.as_bytes(), 0, 10_000)
            .await
            .unwrap()
        {
            told.push(format!("{row:?}"));
        }
        for step in engine.store.steps(*id(n).0.as_bytes()).await.unwrap() {
            told.push(format!("{step:?}"));
        }
    }
    assert_sound(&engine).await;
    engine.store.close().await;
    told
}

/// One random command, or a step of time.
async fn one(engine: &Engine, clock: &ManualClock, chance: &mut Chance) -> String {
    let of = id(chance.below(MANY as usize) as u128);
    let names: Vec<_> = agents().into_iter().map(|agent| agent.id).collect();
    let name = StepId::from(&names[chance.below(names.len())]);
    let one_or_all = chance.once_in(3).then(|| name.clone());
    let mut blobs = Vec::new();
    let command = match chance.below(20) {
        0 => {
            clock.advance(Millis(chance.next() % 5_000));
            return "time".to_owned();
        }
        1 if chance.once_in(3) => {
            clock.advance(Millis(chance.next() % 90_000));
            return format!("{:?}", sweep(engine).await.unwrap());
        }
        1 | 2 => Command::Pause { step: one_or_all },
        3..=6 => Command::Resume { step: None },
        7 => Command::Tick,
        8 => Command::Approve {
            step: name,
            by: "ann".to_owned(),
        },
        9 if chance.once_in(4) => Command::Cancel {
            step: one_or_all,
            reason: "chance".to_owned(),
            grace: Millis(chance.next() % 3_000),
        },
        9..=13 => Command::Start {
            step: name,
            holder: holder(),
        },
        _ => match running(engine, of, chance).await {
            None => Command::Tick,
            Some((step, attempt)) => Command::Finish {
                step,
                attempt,
                holder: holder(),
                report: report(chance, &mut blobs),
                usage: domain::money::usage::Usage::default(),
            },
        },
    };
    let asked = format!("{of} {command:?}");
    match transition(engine, of, command, blobs).await {
        Ok(outcome) => format!("{asked}: {outcome:?}"),
        Err(error) => format!("{asked}: {error}"),
    }
}

/// An outside worker, by hand: its row is not there, so that every sweep expires what it holds.
fn holder() -> Holder {
    Holder {
        id: HolderId(Uuid::from_u128(77)),
        epoch: 1,
    }
}

async fn running(
    engine: &Engine,
    of: OrchestrationId,
    chance: &mut Chance,
) -> Option<(StepId, u32)> {
    let state = engine::transition::load(engine, of).await.unwrap().state;
    let at_work: Vec<_> = state
        .steps
        .iter()
        .zip(state.graph.all())
        .filter(|(step, _)| step.state == StepState::Running)
        .map(|(step, rules)| (rules.id.clone(), step.attempt))
        .collect();
    if at_work.is_empty() {
        return None;
    }
    Some(at_work[chance.below(at_work.len())].clone())
}

fn report(chance: &mut Chance, blobs: &mut Vec<NewBlob>) -> Report {
    let text = json!({"n": chance.below(4)}).to_string();
    let (data, blob) = engine::project::blob(text.into_bytes());
    let output = Output { data };
    let class = match chance.below(4) {
        0 => ErrorClass::Transient,
        1 => ErrorClass::RateLimited,
        2 => ErrorClass::Timeout,
        _ => ErrorClass::Fatal,
    };
    match chance.below(8) {
        0 => Report::Cancelled { kept: None },
        1 | 2 => Report::Failed {
            class,
            message: "chance".to_owned(),
            retry_after: None,
            kept: None,
        },
        3 => {
            blobs.push(blob);
            Report::Partial {
                output,
                reason: "chance".to_owned(),
            }
        }
        _ => {
            blobs.push(blob);
            Report::Completed(output)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_databases_tell_the_same_story() {
    for seed in 1..=crate::chance::rounds(12) {
        let on_a_file = play(seed, &Place::sqlite()).await;
        let same_again = play(seed, &Place::sqlite()).await;
        assert_same(seed, &on_a_file, &same_again);
        if let Some(server) = Place::postgres() {
            assert_same(seed, &on_a_file, &play(seed, &server).await);
        }
    }
}

fn assert_same(seed: u64, one: &[String], other: &[String]) {
    for (place, (left, right)) in one.iter().zip(other).enumerate() {
        assert_eq!(left, right, "seed {seed}, line {place}");
    }
    assert_eq!(one.len(), other.len(), "seed {seed}");
}
