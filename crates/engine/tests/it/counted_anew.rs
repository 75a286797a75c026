//! Quotas over what began before them and elsewhere, over one agent, and over the hours, days and months of the calendar.

use std::sync::Arc;

use domain::money::usage::Usage;
use domain::orchestration::state::StepState;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::Millis;
use engine::handle::{Engine, Scope};
use engine::perform::Performer;
use engine::quotas::{Quota, Window, quotas, set_quota};
use tokio::sync::Semaphore;

use crate::house::{
    House, START, Setup, agent, clock, done, ended, ended_in_time, id, performer, state,
    step_state, until, until_step,
};
use crate::money::{begin_for, credits, flat, rich};
use crate::place::on_both;

/// What is used of the account's one quota: attempts, and credits.
async fn used(engine: &Engine, account: &AccountId) -> (u64, Credits) {
    let used = quotas(engine, account).await.unwrap();
    assert_eq!(used.len(), 1, "{used:?}");
    (used[0].count_used, used[0].credits_used)
}

/// Agents that end one by one as the gate lets them, each with 1,000 tokens: 0.03 credits.
fn behind(gate: Arc<Semaphore>) -> Performer {
    performer(move |assignment| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            assignment.kept.note(&Usage::of_tokens(1_000));
            done()
        }
    })
}

/// An account's quota for an hour.
fn hourly(count: u64, most: Option<&str>) -> Quota {
    Quota {
        agent: None,
        window: Window::Hour,
        count: Some(count),
        credits: most.map(credits),
    }
}

/// Somebody sets a quota where nothing of the account was ever seen, while attempts are in flight at another replica, which
/// learns of it later: they count for it, and when they end what they held no longer does. Who comes after counts the same.
#[tokio::test]
async fn a_quota_counts_what_was_in_flight_elsewhere_when_it_was_set() {
    on_both(async |place| {
        let clock = clock();
        let open = Arc::new(Semaphore::new(0));
        let act = behind(open.clone());
        let reader = "model = 'gpt-4'\ncostMode = 'token-based'\nceiling = 5\ntimeout = 3600000";
        let agents = vec![agent("reader", reader)];
        let other = Setup {
            scope: Scope::Nothing,
            ..Setup::new(&clock, agents.clone(), performer(async |_| done()))
        };
        let house = House::open(&place, &clock, agents.clone(), act).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        for n in 1..=2 {
            begin_for(engine, n, &ann).await;
            until_step(engine, id(n), "reader", "running").await;
        }
        let elsewhere = other.engine(&place).await;
        let quota = hourly(10, Some("12"));
        set_quota(&elsewhere, &ann, quota).await.unwrap();
        assert_eq!(used(&elsewhere, &ann).await, (2, credits("10")));
        // By now the replica has learned of it.
        clock.advance(Millis(2_000));
        begin_for(engine, 3, &ann).await;
        until("the third is known not to fit", async || {
            let third = state(engine, id(3)).await;
            let why = engine::waits::wait_of(engine, &third, 0).await.unwrap();
            why.is_some_and(|why| why.contains("12 credits an hour"))
        })
        .await;
        assert_eq!(
            step_state(&state(engine, id(3)).await, "reader"),
            StepState::Ready
        );
        open.add_permits(3);
        for n in 1..=3 {
            ended_in_time(engine, &clock, id(n)).await;
        }
        assert_eq!(used(engine, &ann).await, (3, credits("0.09")));
        // After a restart nothing is known, and nothing changes.
        let heir = Setup::new(&clock, agents, performer(async |_| done()))
            .engine(&place)
            .await;
        set_quota(&heir, &ann, hourly(3, None)).await.unwrap();
        assert_eq!(used(&heir, &ann).await, (3, Credits::ZERO));
        elsewhere.store.close().await;
        heir.store.close().await;
        house.close().await;
    })
    .await;
}

/// What was counted while the clock was an hour ahead belongs to that hour: set right, it counts by this one again.
#[tokio::test]
async fn a_clock_that_was_an_hour_ahead_uses_up_that_hours_quota() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![flat("a", "1")];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        set_quota(engine, &ann, hourly(1, None)).await.unwrap();
        clock.set(START + Millis(3_600_000));
        begin_for(engine, 1, &ann).await;
        ended(engine, id(1)).await;
        clock.set(START);
        begin_for(engine, 2, &ann).await;
        ended(engine, id(2)).await;
        assert_eq!(used(engine, &ann).await, (1, Credits::ZERO));
        begin_for(engine, 3, &ann).await;
        until("the third is known not to fit", async || {
            let third = state(engine, id(3)).await;
            let why = engine::waits::wait_of(engine, &third, 0).await.unwrap();
            why.is_some_and(|why| why.contains("1 attempts an hour"))
        })
        .await;
        house.close().await;
    })
    .await;
}

/// One agent's quota keeps that agent back, nobody else, until the hour, day or month is over; and says so.
#[tokio::test]
async fn an_agents_quota_keeps_it_back_until_its_time_is_over() {
    on_both(async |place| {
        for (window, said) in [
            (Window::Hour, "1.5 credits of `dear` an hour"),
            (Window::Day, "1.5 credits of `dear` a day"),
            (Window::Month, "1.5 credits of `dear` a month"),
        ] {
            let clock = clock();
            let patient = "costPerRun = 1\nqueueTimeout = 2592000000\ntotalTimeout = 2592000000";
            let agents = vec![agent("dear", patient), flat("other", "1")];
            let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
            let engine = &house.engine;
            let ann = rich(engine, &format!("ann-{}", window.name()), "100").await;
            let number = 10 * window as u128;
            let quota = Quota {
                agent: Some(AgentId::new("dear").unwrap()),
                window,
                count: None,
                credits: Some(credits("1.5")),
            };
            set_quota(engine, &ann, quota).await.unwrap();
            let (first, second) = (id(number + 1), id(number + 2));
            begin_for(engine, number + 1, &ann).await;
            ended(engine, first).await;
            begin_for(engine, number + 2, &ann).await;
            until_step(engine, second, "other", "completed").await;
            let kept = state(engine, second).await;
            assert_eq!(step_state(&kept, "dear"), StepState::Ready);
            let why = engine::waits::wait_of(engine, &kept, 0).await.unwrap();
            assert!(
                why.as_ref().is_some_and(|why| why.contains(said)),
                "{why:?}"
            );
            let of = quotas(engine, &ann).await.unwrap().remove(0);
            assert_eq!(of.credits_used, credits("1"));
            // A moment before its end it still waits.
            let left = of.window_ends - engine.clock.now();
            clock.advance(Millis(left.0 - 1));
            engine::claims::claim(engine).await.unwrap();
            assert_eq!(
                step_state(&state(engine, second).await, "dear"),
                StepState::Ready
            );
            ended_in_time(engine, &clock, second).await;
            let of = quotas(engine, &ann).await.unwrap().remove(0);
            assert_eq!(
                of.credits_used,
                credits("1"),
                "of the new {}",
                window.name()
            );
            house.close().await;
        }
    })
    .await;
}
