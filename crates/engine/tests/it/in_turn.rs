//! At the limits of providers accounts take turns: who has thousands of steps there keeps nobody else waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::event::Event;
use domain::orchestration::turns::Asked;
use domain::values::ids::OrchestrationId;
use domain::values::time::Millis;
use engine::clock::ManualClock;
use engine::handle::Engine;
use engine::perform::Performer;
use engine::sharing::{Limits, Sharing};

use crate::converse::{models, talks};
use crate::house::{House, Setup, agent, clock, events, state, until};
use crate::limits::{Served, begin_for, limited, telling};
use crate::place::{Place, on_both};
use crate::questions::{self, looker, looking};

const ONE_AT_A_TIME: Limits = Limits {
    requests_per_minute: None,
    tokens_per_minute: None,
    concurrency: Some(1),
};

/// Agents whose models are of one provider.
fn asking(count: usize) -> Vec<AgentDefinition> {
    let rest = "model = \"gpt-4o\"\ntimeout = 3600000\ntotalTimeout = 36000000";
    (0..count).map(|n| agent(&format!("s{n}"), rest)).collect()
}

async fn open(
    place: &Place,
    clock: &ManualClock,
    performing: &Performer,
    sharing: &Sharing,
) -> House {
    let mut setup = Setup::new(clock, asking(30), performing.clone());
    setup.slots = 8;
    setup.sharing = sharing.clone();
    setup.open(place).await
}

/// 300 steps of `a` at these replicas, of which 10 were served.
async fn flooded(houses: &[&House], clock: &ManualClock, served: &Served) {
    for n in 0..10 {
        begin_for(&houses[n as usize % houses.len()].engine, "a", n).await;
    }
    served.go_on(clock, 10).await;
}

/// Who had the next places after `begun`.
fn after(served: &Served, begun: usize) -> Vec<String> {
    served.order.lock().unwrap()[begun..].to_vec()
}

fn first_of_b(order: &[String]) -> usize {
    let first = order.iter().position(|whose| whose == "b");
    first.unwrap_or(order.len())
}

async fn close(served: &Served, houses: impl IntoIterator<Item = House>) {
    served.may_end.close();
    for house in houses {
        drop(house.replica.stop().await);
        house.engine.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_steps_at_a_full_provider_do_not_delay_the_first_of_another_account() {
    on_both(async |place| {
        let clock = clock();
        let (served, performing) = telling(1_000);
        let house = open(&place, &clock, &performing, &limited(ONE_AT_A_TIME)).await;
        flooded(&[&house], &clock, &served).await;
        let begun = served.count();
        begin_for(&house.engine, "b", 1_000).await;
        served.go_on(&clock, begun + 20).await;
        let order = after(&served, begun);
        assert!(first_of_b(&order) <= 1, "{order:?}");
        // And from then on one for one.
        let of_b = order.iter().filter(|whose| *whose == "b").count();
        assert!((8..=11).contains(&of_b), "{order:?}");
        close(&served, [house]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_places_at_a_provider_go_by_weight() {
    on_both(async |place| {
        let clock = clock();
        let (served, performing) = telling(1_000);
        let mut sharing = limited(ONE_AT_A_TIME);
        sharing.weights = BTreeMap::from([("b".to_owned(), 3)]);
        let house = open(&place, &clock, &performing, &sharing).await;
        flooded(&[&house], &clock, &served).await;
        for n in 1_000..1_002 {
            begin_for(&house.engine, "b", n).await;
        }
        let begun = served.count();
        served.go_on(&clock, begun + 40).await;
        let of_b = after(&served, begun)
            .into_iter()
            .filter(|whose| whose == "b");
        let of_b = of_b.count();
        assert!((28..=32).contains(&of_b), "{of_b} of 40");
        close(&served, [house]).await;
    })
    .await;
}

/// Nineteen a minute, each of which ends at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_minutes_requests_go_by_weight_too() {
    on_both(async |place| {
        let clock = clock();
        let (served, performing) = telling(1_000);
        served.may_end.add_permits(10_000);
        let mut sharing = limited(Limits {
            requests_per_minute: Some(19),
            ..Limits::default()
        });
        sharing.weights = BTreeMap::from([("b".to_owned(), 3)]);
        let house = open(&place, &clock, &performing, &sharing).await;
        let pass = async |most: usize| {
            until("so many were let in", async || {
                clock.advance(Millis(100));
                tokio::time::sleep(Duration::from_millis(2)).await;
                served.count() >= most
            })
            .await;
        };
        for n in 0..10 {
            begin_for(&house.engine, "a", n).await;
        }
        pass(5).await;
        begin_for(&house.engine, "b", 1_000).await;
        // What was let in before the first of them.
        pass(8).await;
        let begun = served.count();
        pass(begun + 20).await;
        let order = after(&served, begun)[..20].to_vec();
        let of_b = order.iter().filter(|whose| *whose == "b").count();
        assert!((14..=16).contains(&of_b), "{order:?}");
        close(&served, [house]).await;
    })
    .await;
}

/// Each replica lets the accounts that it knows of take turns; both look at all that is due.
#[tokio::test(flavor = "multi_thread")]
async fn over_two_replicas_another_account_comes_soon_too() {
    on_both(async |place| {
        let clock = clock();
        let (served, performing) = telling(1_000);
        let sharing = limited(ONE_AT_A_TIME);
        let houses = [
            open(&place, &clock, &performing, &sharing).await,
            open(&place, &clock, &performing, &sharing).await,
        ];
        flooded(&[&houses[0], &houses[1]], &clock, &served).await;
        let begun = served.count();
        let b = begin_for(&houses[1].engine, "b", 1_000).await;
        until("the other replica has found it", async || {
            clock.advance(Millis(100));
            houses[0].engine.is_under_way(b)
        })
        .await;
        for more in 1..=16 {
            // While an attempt is under way, the other replica looks who else is waiting: once a second.
            for _ in 0..12 {
                clock.advance(Millis(100));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            served.go_on(&clock, begun + more).await;
        }
        let order = after(&served, begun);
        assert!(first_of_b(&order) <= 5, "{order:?}");
        let of_b = order.iter().filter(|whose| *whose == "b").count();
        assert!(of_b >= 4, "{order:?}");
        close(&served, houses).await;
    })
    .await;
}

/// How many answers of models were recorded in an orchestration.
async fn answers(engine: &Engine, id: OrchestrationId) -> usize {
    let all = events(engine, id).await.into_iter();
    let of_models = all.filter(|recorded| {
        matches!(
            &recorded.event,
            Event::TurnRecorded {
                asked: Asked::Model,
                ..
            }
        )
    });
    of_models.count()
}

/// Thirty conversations of one account are under way, one question at a time, when another account's begins.
#[tokio::test(flavor = "multi_thread")]
async fn questions_of_conversations_take_turns_too() {
    on_both(async |place| {
        // Each question takes longer than what comes between two of them.
        let (clock, sheet) = (clock(), looking(3, "pause = 60"));
        let long = "timeout = 3600000\ntotalTimeout = 7200000";
        let mut setup = talks(&clock, vec![looker("a", long)], models(&sheet));
        setup.sharing = questions::limited(ONE_AT_A_TIME);
        setup.slots = 64;
        let house = setup.open(&place).await;
        let engine = &house.engine;
        let mut of_a = Vec::new();
        for n in 0..30 {
            of_a.push(begin_for(engine, "a", n).await);
        }
        let asked = async || {
            let mut asked = 0;
            for id in &of_a {
                asked += answers(engine, *id).await;
            }
            asked
        };
        until("they are at it", async || {
            clock.advance(Millis(100));
            asked().await > 10
        })
        .await;
        let b = begin_for(engine, "b", 1_000).await;
        let before = asked().await;
        until("b has ended", async || {
            clock.advance(Millis(20));
            tokio::time::sleep(Duration::from_millis(10)).await;
            state(engine, b).await.status().ended()
        })
        .await;
        let of_others = asked().await - before;
        assert_eq!(answers(engine, b).await, 4);
        assert!(of_others <= 10, "{of_others} while b asked four");
        house.close().await;
    })
    .await;
}
