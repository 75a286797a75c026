//! Crashes: a victim works under load, is killed at random moments and started again. Nothing acknowledged may be lost,
//! nothing stuck, no enrichment applied twice.
//!
//! The victim is this test binary itself, called again with [`VICTIM`] set: then the one test below does the victim's part.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::command::Command;
use domain::orchestration::event::{EndedAs, Event, Recorded};
use domain::orchestration::state::StepState;
use domain::values::ids::OrchestrationId;
use domain::values::time::Millis;
use engine::clock::Clock;
use engine::error::TransitionError;
use engine::perform::{Performed, Performer};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::chance::Chance;
use crate::house::{
    House, Setup, after, agent, ask, assert_sound, begin_as, clock, done, events, failure,
    performer, plan, state, step, submission,
};
use crate::place::Place;

/// Holds the database's URL for a victim; its seed and its first number follow after blanks.
const VICTIM: &str = "AFTERPLAN_CRASH_VICTIM";

/// Orchestrations that a victim keeps in hand at one time.
const TOGETHER: usize = 12;

fn agents() -> Vec<AgentDefinition> {
    let limited = "concurrency = { key = \"few\", max = 3 }";
    vec![
        agent("top", "reuse = \"account\"\ncostPerRun = 0.000000001"),
        after("left", &["top"], limited),
        after(
            "right",
            &["top"],
            "maxRetries = 100\nmodel = \"gpt-4\"\ncostMode = \"hybrid\"\ncostPerRun = 0.000000007\nceiling = 0.01",
        ),
        after(
            "gated",
            &["left"],
            "runCondition = \"enrichments.left.data.n > 0\"",
        ),
        after("alone", &["top"], "parallel = false"),
        after(
            "bottom",
            &["left", "right", "gated", "alone"],
            "approval = \"required\"",
        ),
    ]
}

/// Fails now and then, takes its time now and then; what it gives hangs on nothing but the step.
fn acting(seed: u64) -> Performer {
    let chance = Arc::new(Mutex::new(Chance::of(seed)));
    performer(move |assignment| {
        let (fails, waits) = {
            let mut chance = chance.lock().unwrap();
            (chance.once_in(4), chance.below(12))
        };
        async move {
            // Of each attempt, whatever becomes of it: 17 tokens are 0.00051 credits.
            assignment.kept.note(&Usage::of_tokens(17));
            tokio::time::sleep(Duration::from_millis(waits as u64)).await;
            match assignment.step.as_str() {
                // Not for ever: who goes on saying so is asked after minutes.
                "right" if fails && assignment.attempt < 4 => failure(ErrorClass::RateLimited),
                "left" => Performed::Completed(json!({"n": 1})),
                _ => done(),
            }
        }
    })
}

fn setup(seed: u64) -> Setup {
    Setup {
        clock: Clock::System,
        slots: 16,
        ..Setup::new(&clock(), agents(), acting(seed))
    }
}

/// One line a fact, written when it was acknowledged and not before.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ACK {line}").unwrap();
    out.flush().unwrap();
}

/// The database, the seed and the first number that a victim was told; nothing where this is no victim.
pub fn told_to_victim(by: &str) -> Option<(String, u64, u128)> {
    let told = std::env::var(by).ok()?;
    let [url, seed, first] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{by} is not a URL, a seed and a number: {told}");
    };
    Some((
        url.to_owned(),
        seed.parse().unwrap(),
        first.parse().unwrap(),
    ))
}

/// The victim's part: submits, approves, pauses and cancels without end, saying what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_works_until_it_is_killed() {
    let Some((url, seed, first)) = told_to_victim(VICTIM) else {
        return;
    };
    let place = Place::at(&url);
    let house = setup(seed).open(&place).await;
    tell("open");
    let mut chance = Chance::of(seed);
    let mut workers = JoinSet::new();
    for n in 0.. {
        if workers.len() >= TOGETHER {
            workers.join_next().await.unwrap().unwrap();
        }
        let engine = house.engine.clone();
        let mut chance = Chance::of(chance.next());
        workers.spawn(async move { one(&engine, first + n, &mut chance).await });
    }
}

/// One orchestration from its submission to its end, with a pause or a cancel on the way now and then.
async fn one(engine: &engine::handle::Engine, n: u128, chance: &mut Chance) {
    let mut wanted = submission(engine);
    // Few different plans, so that equal work meets; and now and then one that wants nothing of others.
    wanted.plan = plan(&format!("Plan {}.", chance.below(3)));
    wanted.fresh = chance.once_in(2);
    let submitted = begin_as(engine, n, wanted).await;
    let id = submitted.id;
    if submitted.continued {
        tell(&format!("continued {id}"));
    } else {
        tell(&format!("submitted {id}"));
    }
    if chance.once_in(5) {
        acknowledged(engine, id, "paused", Command::Pause { step: None }).await;
        acknowledged(engine, id, "resumed", Command::Resume { step: None }).await;
    }
    if chance.once_in(12) {
        let cancel = Command::Cancel {
            step: None,
            reason: "a change of mind".to_owned(),
            grace: Millis(5),
        };
        acknowledged(engine, id, "cancelled", cancel).await;
    }
    loop {
        let now = state(engine, id).await;
        if now.status().ended() {
            tell(&format!(
                "ended {id} {} {}",
                now.status().name(),
                now.cursor()
            ));
            return;
        }
        let (_, bottom) = now.step(&step("bottom")).unwrap();
        if bottom.state == StepState::Parked {
            acknowledged(engine, id, "approved", approval()).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn approval() -> Command {
    Command::Approve {
        step: step("bottom"),
        by: "ann".to_owned(),
    }
}

async fn acknowledged(
    engine: &engine::handle::Engine,
    id: OrchestrationId,
    what: &str,
    command: Command,
) {
    match ask(engine, id, command).await {
        Ok(outcome) => tell(&format!("{what} {id} {}", outcome.cursor)),
        // Another victim, or the one before, was faster.
        Err(TransitionError::Rejected(_)) => {}
        Err(error) => panic!("{what} {id}: {error}"),
    }
}

/// A victim at work, and what it has acknowledged.
pub struct Victim {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Victim {
    /// `test` is the victim's part, which is told by `variable` what it is to do.
    pub fn start((variable, test): (&str, &str), place: &Place, seed: u64) -> Self {
        let told = format!("{} {seed} {}", place.text(), seed * 1_000_000);
        let mut child = Program::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .args(["--nocapture", "--test-threads", "1"])
            .env(variable, told)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let reader = std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                // The test's own first words may stand before it on the line.
                if let Some(at) = line.find("ACK ") {
                    heard.lock().unwrap().push(line[at + 4..].to_owned());
                }
            }
        });
        Self {
            child,
            told,
            reader,
        }
    }

    pub fn until_open(&mut self) {
        let started = Instant::now();
        while self.told.lock().unwrap().is_empty() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "the victim ended by itself ({status}): {}",
                    self.last_words()
                );
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "it does not open"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn last_words(&mut self) -> String {
        let mut words = String::new();
        if let Some(mut errors) = self.child.stderr.take() {
            std::io::Read::read_to_string(&mut errors, &mut words).unwrap();
        }
        words
    }

    /// SIGKILL: no handler, no flush, no goodbye. Answers what it had acknowledged.
    pub fn kill(mut self) -> Vec<String> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!(
                "the victim ended by itself ({status}): {}",
                self.last_words()
            );
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.join().unwrap();
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// Kills `together` victims at once, `times` times, then lets a last replica finish the rest and looks at everything.
async fn storm(place: &Place, times: u64, together: u64) {
    let test = "crash::the_victim_works_until_it_is_killed";
    let mut chance = Chance::of(times * 31 + together);
    let mut told = Vec::new();
    for round in 0..times {
        let mut victims: Vec<Victim> = (0..together)
            .map(|each| Victim::start((VICTIM, test), place, 1 + round * together + each))
            .collect();
        victims.iter_mut().for_each(Victim::until_open);
        std::thread::sleep(Duration::from_millis(chance.below(700) as u64));
        for victim in victims {
            told.extend(victim.kill());
        }
    }
    let house = setup(0).open(place).await;
    let ids = finish(&house).await;
    judge(&house, &told, &ids).await;
    println!(
        "{times} kills of {together} on {}: {} acknowledged, {} orchestrations",
        house.engine.store.name(),
        told.len(),
        ids.len()
    );
    house.close().await;
}

/// Says yes to whatever waits for it until all has ended.
async fn finish(house: &House) -> BTreeSet<OrchestrationId> {
    let store = &house.engine.store;
    let (mut moved_at, mut fewest) = (Instant::now(), usize::MAX);
    loop {
        let (mut ids, mut left) = (BTreeSet::new(), Vec::new());
        let mut after = None;
        loop {
            let page = store.orchestrations_after(after, 200).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for row in page {
                let id = OrchestrationId(Uuid::from_bytes(row.id));
                ids.insert(id);
                if row.ended_at.is_none() {
                    left.push(id);
                }
            }
        }
        if left.is_empty() {
            return ids;
        }
        let mut asking = JoinSet::new();
        for &id in &left {
            let engine = house.engine.clone();
            asking.spawn(async move {
                // A pause without its resume was the victim's last deed.
                let _ = ask(&engine, id, Command::Resume { step: None }).await;
                let _ = ask(&engine, id, approval()).await;
            });
        }
        asking.join_all().await;
        if left.len() < fewest {
            (moved_at, fewest) = (Instant::now(), left.len());
        }
        if moved_at.elapsed() > Duration::from_secs(60) {
            let stuck = state(&house.engine, left[0]).await;
            panic!("{} are stuck, such as {}: {stuck:#?}", left.len(), left[0]);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds what was acknowledged against what is stored.
async fn judge(house: &House, told: &[String], ids: &BTreeSet<OrchestrationId>) {
    let engine = &house.engine;
    let mut logs = BTreeMap::new();
    for &id in ids {
        logs.insert(id, events(engine, id).await);
    }
    for line in told.iter().filter(|line| *line != "open") {
        let words: Vec<&str> = line.split(' ').collect();
        let id: OrchestrationId = words[1].parse().unwrap();
        let log = logs.get(&id).unwrap_or_else(|| panic!("lost: {line}"));
        let kinds: Vec<_> = log.iter().map(|recorded| recorded.event.kind()).collect();
        let place: usize = words.last().unwrap().parse().unwrap_or(0);
        assert!(kinds.len() >= place, "lost events of: {line}");
        let stands = match words[0] {
            "submitted" | "continued" => true,
            "paused" => kinds[..place].contains(&"paused"),
            "resumed" => kinds[..place].contains(&"resumed"),
            "cancelled" => kinds[..place].contains(&"cancel_requested"),
            "approved" => log[..place].iter().any(|recorded| {
                matches!(
                    &recorded.event,
                    Event::StepReady {
                        approved_by: Some(_),
                        ..
                    }
                )
            }),
            "ended" => state(engine, id).await.status().name() == words[2] && kinds.len() == place,
            other => panic!("not a word of the victim's: {other}"),
        };
        assert!(stands, "lost: {line}: {kinds:?}");
    }
    for (id, log) in &logs {
        assert_applied_once(engine, *id, log).await;
    }
    let mut counters = BTreeSet::from(["key/few".to_owned()]);
    for recorded in logs.values().flatten() {
        if let Event::AttemptStarted { input, .. } = &recorded.event {
            counters.insert(format!("flight/system/{input}"));
        }
    }
    let named: Vec<&str> = counters.iter().map(String::as_str).collect();
    let held = engine.store.counters(&named).await.unwrap();
    assert_eq!(held, BTreeMap::new(), "held by nobody");
    assert_paid(engine, ids).await;
    assert_sound(engine).await;
}

/// The account was charged what its orchestrations cost, to the last nano-credit, and holds nothing.
async fn assert_paid(engine: &engine::handle::Engine, ids: &BTreeSet<OrchestrationId>) {
    let mut cost = 0;
    for &id in ids {
        cost += state(engine, id).await.head.unwrap().cost.nano();
    }
    let system = domain::values::ids::AccountId::system();
    let left = engine::credits::balance(engine, &system).await.unwrap();
    assert_eq!((left.charged.nano(), left.held.nano()), (cost, 0));
    assert_eq!(left.balance.nano(), 1_000_000_000_000 - cost);
    assert!(cost > 0, "nothing was charged");
}

/// No gap in the log, each enrichment once, each a version.
async fn assert_applied_once(
    engine: &engine::handle::Engine,
    id: OrchestrationId,
    log: &[Recorded],
) {
    let mut applied = BTreeSet::new();
    let mut version = 1;
    for (recorded, seq) in log.iter().zip(1..) {
        assert_eq!(recorded.seq, seq, "a gap in {id}");
        if let Event::StepCompleted {
            step,
            version: made,
            ..
        } = &recorded.event
        {
            assert!(
                applied.insert(step.clone()),
                "{step} of {id} was applied twice"
            );
            version += 1;
            assert_eq!(*made, version, "{id}");
        }
    }
    let stored = engine.store.enrichments(*id.0.as_bytes()).await.unwrap();
    assert_eq!(stored.len(), applied.len());
    let state = state(engine, id).await;
    for step in &state.steps {
        // Three lapses of one step are possible where the same one is met three times; nothing else may fail.
        let fine = step.lapses >= 3 || step.state != StepState::Ended(EndedAs::Failed);
        assert!(fine, "{id}: {step:?}");
    }
}

/// How many kills: few in every test of the project, many when there is time.
fn kills() -> u64 {
    let long = std::env::var("AFTERPLAN_LONG").is_ok_and(|long| long == "1");
    if long { 200 } else { 12 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_survives_kills_under_load() {
    storm(&Place::sqlite(), kills(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_survives_kills_under_load() {
    if let Some(place) = Place::postgres() {
        storm(&place, kills(), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_survives_kills_of_two_that_share_it() {
    storm(&Place::sqlite(), kills() / 2, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_survives_kills_of_two_that_share_it() {
    if let Some(place) = Place::postgres() {
        storm(&place, kills() / 2, 2).await;
    }
}
