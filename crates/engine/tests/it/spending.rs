//! Spending under concurrency, retries and losses. What LiteLLM's and Codebuff's users met, named after their threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::money::budget::AtLimit;
use domain::money::ledger::Kind;
use domain::money::usage::Usage;
use domain::orchestration::command::Command;
use domain::orchestration::state::Status;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Millis;
use engine::clock::Clock;
use engine::credits::{Filter, balance, history_from, set_at_limit};
use engine::handle::Engine;
use engine::perform::Performer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::house::{
    House, PATIENCE, Setup, agent, ask, assert_status, clock, done, ended, failure, id, performer,
    state, submission, until, until_step,
};
use crate::money::{begin_for, credits, flat, give, rich};
use crate::place::{Place, on_both};

/// An agent that may use up to a credit and mostly uses little: 1,000 tokens of gpt-4 are 0.03 credits.
fn reader() -> AgentDefinition {
    agent(
        "reader",
        "model = \"gpt-4\"\ncostMode = \"token-based\"\nceiling = 1\nmaxRetries = 0",
    )
}

/// Uses what chance says, up to the whole ceiling.
fn using(seed: u64) -> Performer {
    let chance = Arc::new(std::sync::Mutex::new(Chance::of(seed)));
    performer(move |assignment| {
        let (tokens, waits) = {
            let mut chance = chance.lock().unwrap();
            (chance.below(33_333), chance.below(4))
        };
        async move {
            tokio::time::sleep(Duration::from_millis(waits as u64)).await;
            assignment.kept.note(&Usage::of_tokens(tokens as u64));
            done()
        }
    })
}

async fn two_servers(place: &Place, agents: &[AgentDefinition], seed: u64) -> [House; 2] {
    let open = async |seed| {
        let setup = Setup {
            clock: Clock::System,
            slots: 32,
            ..Setup::new(&clock(), agents.to_vec(), using(seed))
        };
        setup.open(place).await
    };
    [open(seed).await, open(seed + 1).await]
}

async fn close(houses: [House; 2]) {
    for house in houses {
        house.close().await;
    }
}

/// All that an account was charged; and that it was never below zero, whatever was in flight.
async fn settled(engine: &Engine, account: &AccountId) -> Credits {
    let (mut sum, mut after, all) = (0, 0, Filter::default());
    loop {
        let page = history_from(engine, account, &all, after, 500);
        let page = page.await.unwrap();
        let Some(last) = page.last() else {
            return Credits::from_nano(sum);
        };
        after = last.seq;
        for entry in &page {
            assert!(entry.balance >= entry.held, "{entry:?}");
            if entry.kind == Kind::Settle {
                sum -= entry.amount.nano();
            }
        }
    }
}

/// Waits until all have ended, for as long as any of them goes on.
async fn all_ended(engine: &Engine, ids: &[OrchestrationId]) {
    let keys: Vec<_> = ids.iter().map(|id| *id.0.as_bytes()).collect();
    let (mut left, mut seen, mut moved) = (ids, Vec::new(), Instant::now());
    while let Some(&first) = left.first() {
        if state(engine, first).await.status().ended() {
            left = &left[1..];
            continue;
        }
        let versions = engine.store.versions(&keys).await.unwrap();
        if versions != seen {
            (seen, moved) = (versions, Instant::now());
        }
        assert!(moved.elapsed() < PATIENCE, "{first} does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// How often: few in every test of the project, a hundred when there is time.
fn times() -> u64 {
    let long = std::env::var("AFTERPLAN_LONG").is_ok_and(|long| long == "1");
    if long { 100 } else { 3 }
}

/// LiteLLM #34732, #40095: requests that come together pass the cap.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_64_workers_never_pass_an_accounts_cap_litellm_34732() {
    for place in Place::both() {
        let houses = two_servers(&place, &[reader()], 1).await;
        for time in 0..u128::from(times()) {
            let account = rich(&houses[0].engine, &format!("a{time}"), "8").await;
            let mut beginning = JoinSet::new();
            for n in 0..96 {
                let (engine, account) = (houses[(n % 2) as usize].engine.clone(), account.clone());
                let n = 1_000 * (time + 1) + n;
                beginning.spawn(async move { begin_for(&engine, n, &account).await });
            }
            let engine = &houses[0].engine;
            all_ended(engine, &beginning.join_all().await).await;
            let (spent, left) = (
                settled(engine, &account).await,
                balance(engine, &account).await,
            );
            let left = left.unwrap();
            assert!(spent <= credits("8"), "{spent}");
            assert_eq!(left.held, Credits::ZERO);
            // And nobody was refused while there was enough for another attempt.
            assert!(left.available < credits("1"), "{left:?}");
        }
        close(houses).await;
    }
}

/// The same for the budget of one orchestration with many steps.
#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_64_workers_never_pass_an_orchestrations_budget() {
    for place in Place::both() {
        let step = |n| AgentDefinition {
            id: domain::values::ids::AgentId::new(&format!("reader-{n}")).unwrap(),
            ..reader()
        };
        let agents: Vec<_> = (0..64).map(step).collect();
        let houses = two_servers(&place, &agents, 7).await;
        let engine = &houses[0].engine;
        for time in 0..u128::from(times()) {
            let mut wanted = submission(engine);
            wanted.request.budget = Some(credits("8"));
            wanted.max_steps = Some(64);
            let id = crate::house::begin_as(engine, time + 1, wanted).await.id;
            let head = ended(engine, id).await.head.unwrap();
            assert!(head.cost <= credits("8"), "{}", head.cost);
            assert_eq!(head.held, Credits::ZERO);
            assert!(head.cost > credits("7"), "{}", head.cost);
        }
        close(houses).await;
    }
}

/// LiteLLM #27639: what was reserved for attempts that came to nothing is never given back, and honest users are refused.
#[tokio::test]
async fn a_hold_never_outlives_its_attempt_litellm_27639() {
    on_both(async |place| {
        let clock = clock();
        let hangs = Arc::new(AtomicBool::new(true));
        let still = hangs.clone();
        let act = performer(move |assignment| {
            let hangs = still.load(Ordering::SeqCst);
            async move {
                match assignment.agent.id.as_str() {
                    "fails" => failure(ErrorClass::Fatal),
                    "breaks" => panic!("as the test says"),
                    "hangs" if hangs => {
                        assignment.cancelled.cancelled().await;
                        engine::perform::Performed::Cancelled
                    }
                    _ => done(),
                }
            }
        });
        let agents = vec![flat("fails", "1"), flat("breaks", "1"), flat("hangs", "1")];
        let house = House::open(&place, &clock, agents, act).await;
        let engine = &house.engine;
        let account = rich(engine, "ann", "3").await;
        for n in 1..=5 {
            let id = begin_for(engine, n, &account).await;
            until_step(engine, id, "hangs", "running").await;
            let cancel = Command::Cancel {
                step: None,
                reason: "a change of mind".to_owned(),
                grace: Millis(0),
            };
            ask(engine, id, cancel).await.unwrap();
            ended(engine, id).await;
            let left = balance(engine, &account).await.unwrap();
            assert_eq!((left.available, left.held), (credits("3"), Credits::ZERO));
        }
        hangs.store(false, Ordering::SeqCst);
        let id = begin_for(engine, 9, &account).await;
        assert_status(&ended(engine, id).await, Status::Partial);
        assert_eq!(
            balance(engine, &account).await.unwrap().balance,
            credits("2")
        );
        house.close().await;
    })
    .await;
}

/// LiteLLM #28247: each of N pods that start seeds the counter anew.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_grant_once_and_reset_nothing_litellm_28247() {
    on_both(async |place| {
        let houses = two_servers(&place, &[flat("a", "1")], 3).await;
        let ids: Vec<_> = (1..=4).map(id).collect();
        for n in 1..=4 {
            begin_for(&houses[0].engine, n, &AccountId::system()).await;
        }
        all_ended(&houses[0].engine, &ids).await;
        let mut opening = JoinSet::new();
        for seed in 0..6 {
            let setup = Setup {
                clock: Clock::System,
                ..Setup::new(&clock(), vec![flat("a", "1")], using(seed))
            };
            let engine = setup.engine(&place).await;
            opening.spawn(async move {
                let holder = crate::house::holder();
                let replica = engine::replica::Replica::start(&engine, holder, "test").await;
                House {
                    engine,
                    replica: replica.unwrap(),
                }
            });
        }
        for house in opening.join_all().await {
            let left = balance(&house.engine, &AccountId::system()).await.unwrap();
            assert_eq!((left.balance, left.grants.len()), (credits("996"), 1));
            house.close().await;
        }
        close(houses).await;
    })
    .await;
}

/// A road to a server that can be cut.
struct Road {
    cut: tokio::sync::watch::Sender<u32>,
    url: String,
}

impl Road {
    /// To the server of this place, whose URL names host and port.
    async fn to(place: &Place) -> Self {
        let text = place.text();
        let authority = text.split("://").nth(1).unwrap().split('/').next().unwrap();
        let address = authority.rsplit('@').next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let (cut, cuts) = tokio::sync::watch::channel(0);
        let url = text.replacen(&address, &own, 1);
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (address, mut cuts) = (address.clone(), cuts.clone());
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect(address).await else {
                        return;
                    };
                    let both = tokio::io::copy_bidirectional(&mut here, &mut there);
                    tokio::select! { _ = both => {}, _ = cuts.changed() => {} }
                });
            }
        });
        Self { cut, url }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// LiteLLM #33872: spend that was taken off the queue is lost when the database's commit fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_loses_no_spend_and_charges_nothing_twice_litellm_33872() {
    let Some(place) = Place::postgres() else {
        return;
    };
    // Its schema is made by the straight road.
    let direct = Setup::new(&clock(), Vec::new(), using(0))
        .engine(&place)
        .await;
    let road = Road::to(&place).await;
    let setup = Setup {
        clock: Clock::System,
        slots: 16,
        ..Setup::new(&clock(), vec![flat("a", "1")], using(5))
    };
    let house = setup.open(&Place::at(&road.url)).await;
    let engine = &house.engine;
    let account = rich(&direct, "ann", "1000").await;
    let mut chance = Chance::of(11);
    let mut beginning = JoinSet::new();
    for n in 1..=120 {
        let (engine, account) = (engine.clone(), account.clone());
        beginning.spawn(async move { begin_for(&engine, n, &account).await });
        if chance.once_in(12) {
            tokio::time::sleep(Duration::from_millis(chance.below(15) as u64)).await;
            road.cut();
        }
    }
    let ids = beginning.join_all().await;
    for &id in &ids {
        until("it has ended", async || {
            state(&direct, id).await.status().ended()
        })
        .await;
        assert_status(&state(&direct, id).await, Status::Complete);
    }
    let left = balance(&direct, &account).await.unwrap();
    assert_eq!(
        (left.charged, left.balance),
        (credits("120"), credits("880"))
    );
    assert_eq!(settled(&direct, &account).await, credits("120"));
    house.close().await;
    direct.store.close().await;
}

/// Codebuff's two cases of debt: with -50, 30 more must give -80 (there they pay the debt off: -20); with 10 left, 30 must give
/// -20 (there 20 vanish: 0).
#[tokio::test]
async fn what_is_used_in_debt_adds_to_it_and_what_no_grant_covers_becomes_debt_codebuff() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![flat("thirty", "30")];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let engine = &house.engine;
        for (n, name, before, after) in [(1, "debtor", "-50", "-80"), (2, "owner", "10", "-20")] {
            let account = AccountId::new(name).unwrap();
            let key = "as it was".to_owned();
            let note = String::new();
            let adjusted = engine::credits::adjust(engine, &account, key, credits(before), note);
            assert_eq!(adjusted.await.unwrap().balance.balance, credits(before));
            set_at_limit(engine, &account, AtLimit::Warn).await.unwrap();
            let id = begin_for(engine, n, &account).await;
            assert_status(&ended(engine, id).await, Status::Complete);
            assert_eq!(
                balance(engine, &account).await.unwrap().balance,
                credits(after)
            );
            give(engine, &account, "paid", "100").await;
            let left = balance(engine, &account).await.unwrap();
            assert_eq!(left.debt, Credits::ZERO);
            assert_eq!(left.grants[0].remaining, left.balance);
        }
        house.close().await;
    })
    .await;
}
