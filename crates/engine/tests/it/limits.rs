//! Limits of providers, shared by all replicas; and places, shared by all accounts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::state::Status;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Millis;
use engine::clock::ManualClock;
use engine::handle::{Engine, Scope};
use engine::perform::{Performed, Performer};
use engine::sharing::{Limits, ProviderLimits, Sharing};
use engine::waits::wait_of;
use tokio::sync::Semaphore;

use crate::house::{
    House, START, Setup, agent, assert_status, begin, begin_as, clock, done, performer, state,
    submission, until,
};
use crate::place::{Place, on_both};

pub(crate) fn limited(all: Limits) -> Sharing {
    let of = ProviderLimits {
        all,
        models: BTreeMap::new(),
    };
    Sharing {
        providers: BTreeMap::from([("openai".to_owned(), of)]),
        ..Sharing::default()
    }
}

/// Two replicas on one database that know the same limits.
async fn two(
    place: &Place,
    clock: &ManualClock,
    agents: &[AgentDefinition],
    sharing: &Sharing,
    performing: &Performer,
) -> [House; 2] {
    let open = || {
        let mut setup = Setup::new(clock, agents.to_vec(), performing.clone());
        setup.sharing = sharing.clone();
        setup.open(place)
    };
    [open().await, open().await]
}

async fn all_end(engine: &Engine, clock: &ManualClock, ids: &[OrchestrationId], step: Millis) {
    for id in ids {
        until("it has ended", async || {
            clock.advance(step);
            tokio::time::sleep(Duration::from_millis(5)).await;
            state(engine, *id).await.status().ended()
        })
        .await;
        let state = state(engine, *id).await;
        assert_status(&state, Status::Complete);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_minute_sees_more_requests_than_the_provider_takes_whatever_replica_asks() {
    on_both(async |place| {
        const A_MINUTE: usize = 20;
        let clock = clock();
        let performing = performer(|_| async { done() });
        let sharing = limited(Limits {
            requests_per_minute: Some(A_MINUTE as u64),
            ..Limits::default()
        });
        let agents = [agent("asks", "model = \"gpt-4o\"")];
        let houses = two(&place, &clock, &agents, &sharing, &performing).await;
        let mut ids = Vec::new();
        for n in 0..50 {
            ids.push(begin(&houses[n as usize % 2].engine, n).await);
        }
        all_end(&houses[0].engine, &clock, &ids, Millis(500)).await;
        // By the times of the starts as they are stored: when a performer gets to work is the machine's business.
        let mut asked = Vec::new();
        for id in ids {
            let state = state(&houses[0].engine, id).await;
            assert_eq!((state.steps[0].attempt, state.steps[0].retries), (1, 0));
            asked.push(state.steps[0].started_at.unwrap());
        }
        asked.sort();
        let first = asked.iter().filter(|at| **at == asked[0]).count();
        assert!((1..=2).contains(&first), "{first} at once");
        assert_eq!(asked.len(), 50);
        for window in asked.windows(A_MINUTE + 1) {
            let span = window[A_MINUTE] - window[0];
            assert!(span >= Millis(59_000), "{A_MINUTE} in less than {span:?}");
        }
        // And not many fewer: 50 at 19 a minute are less than three minutes.
        let took = asked[49] - asked[0];
        assert!(took < Millis(200_000), "{took:?}");
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

/// Tokens are drawn as they are expected and set right as they were used, by either replica.
#[tokio::test(flavor = "multi_thread")]
async fn no_minute_sees_more_tokens_than_the_provider_takes_whatever_replica_asks() {
    on_both(async |place| {
        const A_MINUTE: u64 = 6_000;
        const EXPECTED: u64 = 250;
        let used = |n: u128| if n.is_multiple_of(2) { 150 } else { 450 };
        let clock = clock();
        let performing = performer(move |assignment| async move {
            let tokens = used(assignment.orchestration.0.as_u128());
            assignment.kept.note(&Usage::of_tokens(tokens));
            done()
        });
        let sharing = limited(Limits {
            tokens_per_minute: Some(A_MINUTE),
            ..Limits::default()
        });
        let definition = format!("model = \"gpt-4o\"\nestimatedTokens = {EXPECTED}");
        let agents = [agent("asks", &definition)];
        let houses = two(&place, &clock, &agents, &sharing, &performing).await;
        let mut ids = Vec::new();
        for n in 0..60 {
            ids.push(begin(&houses[n as usize % 2].engine, n).await);
        }
        all_end(&houses[0].engine, &clock, &ids, Millis(500)).await;
        let mut asked = Vec::new();
        for id in ids {
            let state = state(&houses[0].engine, id).await;
            asked.push((state.steps[0].started_at.unwrap(), used(id.0.as_u128())));
        }
        asked.sort();
        // What two used beyond what was expected may be in flight when the next are let in.
        let most = A_MINUTE + 4 * (450 - EXPECTED);
        for (n, (from, _)) in asked.iter().enumerate() {
            let within = asked[n..]
                .iter()
                .take_while(|(at, _)| *at - *from < Millis(60_000));
            let tokens: u64 = within.map(|(_, tokens)| tokens).sum();
            assert!(tokens <= most, "{tokens} in a minute from {from}");
        }
        // And not many fewer: 18,000 at 5,401 a minute are 200 seconds.
        let took = asked[59].0 - asked[0].0;
        assert!(took > Millis(150_000) && took < Millis(260_000), "{took:?}");
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

/// Who does not say how many tokens it will use waits all the same while what others used is owed.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_an_estimate_waits_while_its_providers_tokens_are_used_up() {
    on_both(async |place| {
        let clock = clock();
        let performing = performer(|assignment| async move {
            assignment.kept.note(&Usage::of_tokens(6_000));
            done()
        });
        let sharing = limited(Limits {
            tokens_per_minute: Some(6_000),
            ..Limits::default()
        });
        let agents = [agent("asks", "model = \"gpt-4o\"")];
        let houses = two(&place, &clock, &agents, &sharing, &performing).await;
        let first = begin(&houses[0].engine, 0).await;
        until("the first has used up the minute's", async || {
            state(&houses[0].engine, first).await.status().ended()
        })
        .await;
        let second = begin(&houses[1].engine, 1).await;
        for _ in 0..10 {
            clock.advance(Millis(5_000));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let waiting = state(&houses[1].engine, second).await;
        assert_eq!(waiting.steps[0].attempt, 0);
        let why = wait_of(&houses[1].engine, &waiting, 0).await.unwrap();
        assert!(why.as_ref().unwrap().contains("`openai`"), "{why:?}");
        all_end(&houses[1].engine, &clock, &[second], Millis(1_000)).await;
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_attempts_are_in_flight_than_the_provider_takes_at_one_time() {
    on_both(async |place| {
        let clock = clock();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let performing = {
            let (now, most) = (now.clone(), most.clone());
            performer(move |_| {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    let together = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(together, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    done()
                }
            })
        };
        let sharing = limited(Limits {
            concurrency: Some(3),
            ..Limits::default()
        });
        // Of one provider, whatever they call its models.
        let agents = [
            agent("a", "model = \"gpt-4o\""),
            agent("b", "model = \"openai/o3\""),
        ];
        let houses = two(&place, &clock, &agents, &sharing, &performing).await;
        let mut ids = Vec::new();
        for n in 0..20 {
            ids.push(begin(&houses[n as usize % 2].engine, n).await);
        }
        all_end(&houses[0].engine, &clock, &ids, Millis(100)).await;
        let most = most.load(Ordering::SeqCst);
        assert!((2..=3).contains(&most), "{most}");
        let keys = ["asks/openai", "asks/openai/gpt-4o", "asks/openai/o3"];
        let held = houses[0].engine.store.counters(&keys).await.unwrap();
        assert_eq!(held, BTreeMap::new());
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

/// A model's own limit holds beside its provider's, and for no other model.
#[tokio::test(flavor = "multi_thread")]
async fn a_models_own_limit_keeps_none_of_its_providers_other_models_waiting() {
    on_both(async |place| {
        let clock = clock();
        let served: Arc<Mutex<BTreeMap<String, (usize, usize)>>> = Arc::default();
        let performing = {
            let served = served.clone();
            performer(move |assignment| {
                let (served, model) = (served.clone(), assignment.agent.model.clone().unwrap());
                async move {
                    {
                        let mut served = served.lock().unwrap();
                        let (now, most) = served.entry(model.clone()).or_default();
                        *now += 1;
                        *most = (*now).max(*most);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    // The first of the other model waits for a second one beside it.
                    while model == "openai/o3" && served.lock().unwrap()[&model].1 < 2 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    served.lock().unwrap().get_mut(&model).unwrap().0 -= 1;
                    done()
                }
            })
        };
        let mut sharing = limited(Limits {
            concurrency: Some(5),
            ..Limits::default()
        });
        let own = Limits {
            concurrency: Some(1),
            ..Limits::default()
        };
        let openai = sharing.providers.get_mut("openai").unwrap();
        openai.models = BTreeMap::from([("gpt-4o".to_owned(), own)]);
        let agents = [
            agent("a", "model = \"gpt-4o\""),
            agent("b", "model = \"openai/o3\""),
        ];
        let houses = two(&place, &clock, &agents, &sharing, &performing).await;
        let mut ids = Vec::new();
        for n in 0..12 {
            ids.push(begin(&houses[n as usize % 2].engine, n).await);
        }
        all_end(&houses[0].engine, &clock, &ids, Millis(100)).await;
        let most = served.lock().unwrap().clone();
        assert_eq!(most["gpt-4o"].1, 1);
        assert!((2..=5).contains(&most["openai/o3"].1), "{most:?}");
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

/// Of a provider without limits only the model is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_429_closes_the_provider_for_all_replicas_and_uses_no_retry() {
    a_429_closes(&limited(Limits::default()), "`openai`").await;
    a_429_closes(&Sharing::default(), "`openai/gpt-4o`").await;
}

async fn a_429_closes(sharing: &Sharing, what: &str) {
    on_both(async |place| {
        let clock = clock();
        let asked = Arc::new(AtomicUsize::new(0));
        let performing = {
            let asked = asked.clone();
            performer(move |_| {
                let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
                async move {
                    if first {
                        return Performed::Failed {
                            class: ErrorClass::RateLimited,
                            message: "429".to_owned(),
                            retry_after: Some(Millis(60_000)),
                        };
                    }
                    done()
                }
            })
        };
        let agents = [agent("asks", "model = \"gpt-4o\"\nmaxRetries = 0")];
        let houses = two(&place, &clock, &agents, sharing, &performing).await;
        let first = begin(&houses[0].engine, 0).await;
        until("the first one was told to come back later", async || {
            state(&houses[0].engine, first).await.steps[0]
                .last_error
                .is_some()
        })
        .await;
        let second = begin(&houses[1].engine, 1).await;
        for _ in 0..11 {
            clock.advance(Millis(5_000));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(
            asked.load(Ordering::SeqCst),
            1,
            "it was asked although it said 429"
        );
        let waiting = state(&houses[1].engine, second).await;
        assert_eq!(waiting.steps[0].attempt, 0);
        let why = wait_of(&houses[0].engine, &waiting, 0)
            .await
            .unwrap()
            .unwrap();
        let until_when = (START + Millis(60_000)).to_string();
        assert!(why.contains(what), "{why}");
        assert!(why.contains(&until_when[..16]), "{why}");
        all_end(&houses[0].engine, &clock, &[first, second], Millis(1_000)).await;
        let first = state(&houses[0].engine, first).await;
        assert_eq!((first.steps[0].attempt, first.steps[0].retries), (2, 0));
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

/// Who was served, place by place; each waits until the test lets it end.
pub(crate) struct Served {
    pub(crate) order: Arc<Mutex<Vec<String>>>,
    pub(crate) may_end: Arc<Semaphore>,
}

/// An agent that tells whose orchestration it is asked for: by its id, below `split` they are A's.
pub(crate) fn telling(split: u128) -> (Served, Performer) {
    let served = Served {
        order: Arc::default(),
        may_end: Arc::new(Semaphore::new(0)),
    };
    let (order, may_end) = (served.order.clone(), served.may_end.clone());
    let performing = performer(move |assignment| {
        let number = assignment.orchestration.0.as_u128() & 0xffff_ffff;
        let whose = if number < split { "a" } else { "b" };
        order.lock().unwrap().push(whose.to_owned());
        let may_end = may_end.clone();
        async move {
            may_end.acquire().await.unwrap().forget();
            done()
        }
    });
    (served, performing)
}

impl Served {
    pub(crate) fn count(&self) -> usize {
        self.order.lock().unwrap().len()
    }

    /// Lets one after another end until `most` have begun.
    pub(crate) async fn go_on(&self, clock: &ManualClock, most: usize) {
        while self.count() < most {
            let begun = self.count();
            self.may_end.add_permits(1);
            until("the place is taken again", async || {
                clock.advance(Millis(100));
                self.count() > begun
            })
            .await;
        }
    }
}

pub(crate) async fn begin_for(engine: &Engine, account: &str, n: u128) -> OrchestrationId {
    let mut submission = submission(engine);
    submission.account = AccountId::new(account).unwrap();
    begin_as(engine, n, submission).await.id
}

/// 100 orchestrations of 100 steps each wait for one place, and have it, when another account asks for its first step: at
/// this replica, or at one that performs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_steps_of_one_account_do_not_delay_the_first_of_another() {
    on_both(async |place| {
        for elsewhere in [false, true] {
            let clock = clock();
            let many: Vec<_> = (0..100)
                .map(|n| agent(&format!("s{n}"), "timeout = 3600000"))
                .collect();
            let (served, performing) = telling(1_000);
            let mut setup = Setup::new(&clock, many.clone(), performing);
            setup.slots = 1;
            let house = setup.open(&place).await;
            let base = if elsewhere { 200 } else { 0 };
            for n in 0..100 {
                begin_for(&house.engine, "a", base + n).await;
            }
            served.go_on(&clock, 20).await;
            assert_eq!(served.order.lock().unwrap().len(), 20);
            let mut shell = Setup::new(&clock, many, performer(|_| async { done() }));
            shell.scope = Scope::Nothing;
            let shell = shell.engine(&place).await;
            let asked = if elsewhere { &shell } else { &house.engine };
            begin_for(asked, "b", 1_000 + base).await;
            if elsewhere {
                // Noticed within a second.
                for _ in 0..15 {
                    clock.advance(Millis(100));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            let begun = served.count();
            served.go_on(&clock, begun + 20).await;
            let order = served.order.lock().unwrap()[begun..begun + 20].to_vec();
            let first = order.iter().position(|whose| whose == "b").unwrap();
            assert!(first <= 1, "b waited for {first} of {order:?}");
            // And from then on one for one.
            let of_b = order.iter().filter(|whose| *whose == "b").count();
            assert!((8..=11).contains(&of_b), "{order:?}");
            served.may_end.close();
            shell.store.close().await;
            drop(house.replica.stop().await);
            house.engine.store.close().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_have_places_by_their_weights() {
    on_both(async |place| {
        let clock = clock();
        let agents: Vec<_> = (0..20)
            .map(|n| agent(&format!("s{n}"), "timeout = 3600000"))
            .collect();
        let (served, performing) = telling(1_000);
        let mut setup = Setup::new(&clock, agents, performing);
        setup.slots = 2;
        setup.sharing.weights = BTreeMap::from([("b".to_owned(), 3)]);
        let house = setup.open(&place).await;
        for n in 0..8 {
            begin_for(&house.engine, "a", n).await;
            begin_for(&house.engine, "b", 1_000 + n).await;
        }
        served.go_on(&clock, 104).await;
        let order = served.order.lock().unwrap()[4..104].to_vec();
        let of_b = order.iter().filter(|whose| *whose == "b").count();
        assert!((72..=78).contains(&of_b), "{of_b} of 100: {order:?}");
        served.may_end.close();
        drop(house.replica.stop().await);
        house.engine.store.close().await;
    })
    .await;
}
