//! Conversations under SIGKILL: whoever is killed at whatever turn, each turn that was recorded is paid once, children too,
//! and the books are clean to the last nano-credit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::agent::definition::AgentDefinition;
use domain::money::prices::Prices;
use domain::money::usage::Usage;
use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::orchestration::turns::Asked;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId, OrchestrationId};
use engine::clock::Clock;
use engine::credits::balance;
use engine::handle::Engine;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::chance::Chance;
use crate::converse::{models, talker, talks};
use crate::crash::{Victim, told_to_victim};
use crate::house::{House, begin_as, clock, events, state, submission};
use crate::place::Place;

/// Holds the database's URL for a victim; its seed and its first number follow after blanks.
const VICTIM: &str = "AFTERPLAN_TALKING_VICTIM";

/// Orchestrations that a victim keeps in hand at one time.
const TOGETHER: usize = 8;

/// 10 dollars a million tokens read, 100 written.
const PRICES: &str = "version = \"t\"\ndate = \"2026-01-01\"\nsource = \"the test\"\n[models]\ndemo = { input = 10, output = 100 }";

/// A chief who looks into the plan, sends two scouts, and thinks about what they found; all of it in pieces that take their time.
const SHEET: &str = "
    [[answers]]
    system = 'You are the chief.'
    turn = 1
    text = 'Let me look.'
    pause = 3
    calls = [{ name = 'list_artifacts' }, { name = 'read_artifact', input = { name = 'plan.txt' } }]
    usage = { input = 101, output = 11 }
    [[answers]]
    system = 'You are the chief.'
    turn = 2
    text = 'Go and see.'
    chunk = 4
    pause = 3
    calls = [{ name = 'spawn_agents', input = { agents = [
        { agent_type = 'scout', prompt = 'North.' }, { agent_type = 'scout', prompt = 'South.' }] } }]
    usage = { input = 211, output = 7 }
    [[answers]]
    system = 'You are the chief.'
    text = 'I have heard all.'
    chunk = 4
    pause = 3
    usage = { input = 307, output = 5 }
    [[answers]]
    turn = 1
    text = 'First the plan.'
    pause = 3
    calls = [{ name = 'list_artifacts' }]
    usage = { input = 53, output = 3 }
    [[answers]]
    text = 'Nothing there.'
    chunk = 4
    pause = 3
    usage = { input = 71, output = 2 }";

fn agents() -> Vec<AgentDefinition> {
    let price = "costMode = 'hybrid'\ncostPerRun = 0.000000003\nestimatedTokens = 100000\nceiling = 0.2\ntoolRates = { list_artifacts = 0.000000011 }";
    let chief = format!(
        "systemPrompt = 'You are the chief.'\ntoolNames = ['list_artifacts', 'read_artifact', 'spawn_agents']\n\
         spawnableAgents = ['scout']\nbudget = {{ max = 2, atLimit = 'stop' }}\n{price}"
    );
    let scout = format!(
        "inputSchema = {{ prompt = {{ type = 'string' }} }}\ntoolNames = ['list_artifacts']\n{price}"
    );
    vec![talker("chief", &chief), talker("scout", &scout)]
}

async fn house(place: &Place) -> House {
    let mut setup = talks(&clock(), agents(), models(SHEET));
    setup.clock = Clock::System;
    setup.billing.prices = Arc::new(Prices::from_toml(PRICES).unwrap());
    setup.open(place).await
}

/// The victim's part: begins conversations without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_converses_until_it_is_killed() {
    let Some((url, _, first)) = told_to_victim(VICTIM) else {
        return;
    };
    let house = house(&Place::at(&url)).await;
    println!("ACK open");
    let mut talking = JoinSet::new();
    for n in 0.. {
        if talking.len() >= TOGETHER {
            talking.join_next().await.unwrap().unwrap();
        }
        let engine = house.engine.clone();
        talking.spawn(async move {
            let mut wanted = submission(&engine);
            wanted.wanted = Wanted::Named(vec![AgentId::new("chief").unwrap()]);
            let id = begin_as(&engine, first + n, wanted).await.id;
            while !state(&engine, id).await.status().ended() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
}

async fn storm(place: &Place, times: u64, together: u64) {
    let test = "crash_talks::the_victim_converses_until_it_is_killed";
    let mut chance = Chance::of(times * 37 + together);
    for round in 0..times {
        let mut victims: Vec<Victim> = (0..together)
            .map(|each| Victim::start((VICTIM, test), place, 1 + round * together + each))
            .collect();
        victims.iter_mut().for_each(Victim::until_open);
        std::thread::sleep(Duration::from_millis(chance.below(500) as u64));
        victims.into_iter().for_each(|victim| drop(victim.kill()));
    }
    let house = house(place).await;
    let ids = all_ended(&house.engine).await;
    let (mut cost, mut lapses, mut turns) = (Credits::ZERO, 0, 0);
    for &id in &ids {
        let state = state(&house.engine, id).await;
        let log = events(&house.engine, id).await;
        let expired = |told: &&Recorded| matches!(told.event, Event::AttemptExpired { .. });
        lapses += log.iter().filter(expired).count();
        cost = cost.saturating_add(state.head.as_ref().unwrap().cost);
        turns += paid_once(&house.engine, id, state.status()).await;
    }
    let system = AccountId::system();
    let left = balance(&house.engine, &system).await.unwrap();
    assert_eq!((left.charged, left.held), (cost, Credits::ZERO));
    assert!(lapses > 0, "nobody was killed at work");
    println!(
        "{times} kills of {together} on {}: {} conversations, {lapses} attempts lost, {turns} turns, each paid once",
        house.engine.store.name(),
        ids.len()
    );
    house.close().await;
}

/// Waits until all have ended, for as long as fewer are left each minute.
async fn all_ended(engine: &Engine) -> BTreeSet<OrchestrationId> {
    let (mut moved, mut seen) = (Instant::now(), 0);
    loop {
        let (mut ids, mut left, mut versions, mut after) = (BTreeSet::new(), 0, 0, None);
        loop {
            let page = engine.store.orchestrations_after(after, 200).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in page {
                ids.insert(OrchestrationId(Uuid::from_bytes(row.id)));
                left += usize::from(row.ended_at.is_none());
                versions += row.version;
            }
        }
        if left == 0 {
            return ids;
        }
        if versions != seen {
            (moved, seen) = (Instant::now(), versions);
        }
        assert!(
            moved.elapsed() < Duration::from_secs(60),
            "{left} are stuck"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What each step was charged for is what its recorded turns used: a turn that an attempt took up is in nobody's bill again.
/// Answers how many turns there are.
async fn paid_once(engine: &Engine, id: OrchestrationId, status: Status) -> usize {
    let log = events(engine, id).await;
    let steps: BTreeSet<_> = log
        .iter()
        .filter_map(|recorded| recorded.event.step().cloned())
        .collect();
    let mut turns = 0;
    for step in steps {
        let mine: Vec<&Recorded> = log
            .iter()
            .filter(|recorded| recorded.event.step() == Some(&step))
            .collect();
        let (mut paid, mut calls, mut bases) = (0, 0, 0);
        for charge in mine.iter().filter_map(|recorded| recorded.event.charge()) {
            assert!(!charge.estimated, "{id} {step}: {charge:?}");
            paid += charge.usage.tokens().unwrap_or(0);
            calls += charge
                .usage
                .tools
                .get("list_artifacts")
                .copied()
                .unwrap_or(0);
            bases += usize::from(charge.base > Credits::ZERO);
        }
        let (mut used, mut called) = (0, 0);
        for row in recorded_turns(engine, id, step.as_str(), &mine).await {
            turns += 1;
            used += row.0.tokens().unwrap_or(0);
            called += row.1;
        }
        assert_eq!((paid, calls), (used, called), "{id} {step} ({status:?})");
        let completed =
            |recorded: &&Recorded| matches!(recorded.event, Event::StepCompleted { .. });
        let child_done =
            |recorded: &&Recorded| matches!(recorded.event, Event::ChildCompleted { .. });
        let done = mine
            .iter()
            .copied()
            .filter(|r| completed(r) || child_done(r))
            .count();
        assert_eq!(bases, done, "{id} {step}");
    }
    turns
}

/// What each recorded turn of a step used, and its calls of the tool that costs something.
async fn recorded_turns(
    engine: &Engine,
    id: OrchestrationId,
    step: &str,
    log: &[&Recorded],
) -> Vec<(Usage, u64)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for recorded in log {
        let Event::TurnRecorded {
            conversation,
            turn,
            asked,
            calls,
            ..
        } = &recorded.event
        else {
            continue;
        };
        assert!(
            seen.insert((*conversation, *turn)),
            "{id} {step}: turn {turn} twice"
        );
        let called = calls
            .iter()
            .filter(|call| call.name == "list_artifacts")
            .count() as u64;
        let mut usage = Usage::default();
        if *asked == Asked::Model {
            let key = *id.0.as_bytes();
            let stored = engine
                .store
                .turns(key, step, i64::from(*conversation))
                .await
                .unwrap();
            let (_, bytes) = stored
                .iter()
                .find(|(row, _)| row.turn == i64::from(*turn))
                .unwrap();
            let answer: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let told = answer.pointer("/answer/Ok/usage").unwrap().clone();
            usage = serde_json::from_value(told).unwrap();
        }
        found.push((usage, called));
    }
    found
}

fn kills() -> u64 {
    let long = std::env::var("AFTERPLAN_LONG").is_ok_and(|long| long == "1");
    if long { 200 } else { 8 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_survives_kills_amid_conversations() {
    storm(&Place::sqlite(), kills(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_survives_kills_amid_conversations_of_two_that_share_it() {
    if let Some(place) = Place::postgres() {
        storm(&place, kills() / 2, 2).await;
    }
}
