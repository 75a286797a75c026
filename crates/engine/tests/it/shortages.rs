//! Steps that wait for what others have: a short account, a quota.

use domain::money::budget::AtLimit;
use domain::money::usage::Usage;
use domain::orchestration::state::Status;
use domain::values::credits::Credits;
use domain::values::time::Millis;
use engine::claims::claim;
use engine::credits::{balance, set_at_limit};
use engine::handle::Scope;
use engine::quotas::{Quota, Window, quotas, set_quota};
use engine::waits::wait_of;

use crate::house::{
    House, Setup, agent, assert_status, clock, done, ended, id, performer, state, until, until_step,
};
use crate::money::{begin_for, credits, flat, give, rich};
use crate::place::on_both;

/// Hundreds wait for one short account: they are not looked at again until it has enough, others of the account go on, and so
/// many go on as there is enough for, whoever gives it.
#[tokio::test]
async fn those_who_wait_for_one_account_are_looked_at_when_it_has_enough() {
    on_both(async |place| {
        const MANY: u128 = 300;
        let clock = clock();
        let agents = vec![flat("dear", "5"), agent("free", "")];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "1").await);
        set_at_limit(engine, &ann, AtLimit::Pause).await.unwrap();
        for n in 1..=MANY {
            begin_for(engine, n, &ann).await;
        }
        let standing = async || {
            let (mut parked, mut free, mut done) = (0, 0, 0);
            for n in 1..=MANY {
                let state = state(engine, id(n)).await;
                let [dear, other] = &state.steps[..] else {
                    panic!("two steps")
                };
                parked += u128::from(dear.waits_for_account());
                free += u128::from(other.enrichment.is_some());
                done += u128::from(dear.enrichment.is_some());
            }
            (parked, free, done)
        };
        until("all wait, and what costs nothing is done", async || {
            standing().await == (MANY, MANY, 0)
        })
        .await;
        until("nobody is left to look at", async || {
            claim(engine).await.unwrap() == 0
        })
        .await;
        for _ in 0..5 {
            let looked_at = claim(engine).await.unwrap();
            assert_eq!(looked_at, 0, "they were looked at, and nothing has changed");
        }
        let why = wait_of(engine, &state(engine, id(1)).await, 0).await;
        assert_eq!(
            why.unwrap().unwrap(),
            "it waits for credits: the account has 1 credits available, and it needs 5"
        );
        // Given elsewhere: this replica hears of it by the looks that it takes anyway.
        let shell = Setup {
            scope: Scope::Nothing,
            ..Setup::new(&clock, Vec::new(), performer(async |_| done()))
        };
        let elsewhere = shell.engine(&place).await;
        give(&elsewhere, &ann, "for seven", "34").await;
        until("so many went on as there is enough for", async || {
            clock.advance(Millis(100));
            standing().await == (MANY - 7, MANY, 7)
        })
        .await;
        assert_eq!(balance(engine, &ann).await.unwrap().balance, Credits::ZERO);
        elsewhere.store.close().await;
        house.close().await;
    })
    .await;
}

/// Those who wait for what an attempt in flight may give back, and get nothing, are told at its end: they fail or are parked.
/// No time passes for it.
#[tokio::test]
async fn those_whom_no_attempt_in_flight_can_help_any_more_are_looked_at() {
    for at_limit in [AtLimit::Stop, AtLimit::Pause] {
        on_both(async |place| {
            let (may_end, gate) = tokio::sync::watch::channel(false);
            let act = performer(move |_| {
                let mut gate = gate.clone();
                async move {
                    let _ = gate.wait_for(|open| *open).await;
                    done()
                }
            });
            let house = House::open(&place, &clock(), vec![flat("a", "1")], act).await;
            let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "1.5").await);
            set_at_limit(engine, &ann, at_limit).await.unwrap();
            begin_for(engine, 1, &ann).await;
            until_step(engine, id(1), "a", "running").await;
            for n in 2..=4 {
                begin_for(engine, n, &ann).await;
                let why = wait_of(engine, &state(engine, id(n)).await, 0).await;
                let why = why.unwrap().unwrap();
                assert!(why.starts_with("it waits for credits"), "{why}");
            }
            may_end.send_replace(true);
            ended(engine, id(1)).await;
            let stands = if at_limit == AtLimit::Stop {
                "failed"
            } else {
                "parked"
            };
            for n in 2..=4 {
                until_step(engine, id(n), "a", stands).await;
            }
            // One that comes later is told the same.
            begin_for(engine, 5, &ann).await;
            until_step(engine, id(5), "a", stands).await;
            house.close().await;
        })
        .await;
    }
}

/// A quota counts from the beginning of its time: what was in flight when it was set holds of it, and gives that back.
#[tokio::test]
async fn a_quota_that_comes_while_attempts_are_in_flight_lets_no_more_through() {
    on_both(async |place| {
        let clock = clock();
        let (may_end, gate) = tokio::sync::watch::channel(false);
        let act = performer(move |assignment| {
            let mut gate = gate.clone();
            async move {
                let _ = gate.wait_for(|open| *open).await;
                // 1,000 tokens are 0.03 credits.
                assignment.kept.note(&Usage::of_tokens(1_000));
                done()
            }
        });
        let reader = "model = \"gpt-4\"\ncostMode = \"token-based\"\nceiling = 5";
        let house = House::open(&place, &clock, vec![agent("a", reader)], act).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        for n in 1..=3 {
            begin_for(engine, n, &ann).await;
            until_step(engine, id(n), "a", "running").await;
        }
        let quota = Quota {
            agent: None,
            window: Window::Hour,
            count: None,
            credits: Some(credits("6")),
        };
        clock.advance(Millis(1));
        set_quota(engine, &ann, quota).await.unwrap();
        for n in 4..=5 {
            begin_for(engine, n, &ann).await;
            let why = wait_of(engine, &state(engine, id(n)).await, 0).await;
            assert_eq!(
                why.unwrap().unwrap(),
                "it waits for a quota's next time: a quota is used up: 6 credits an hour"
            );
        }
        may_end.send_replace(true);
        for n in 1..=3 {
            ended(engine, id(n)).await;
        }
        until(
            "the others had their turn, and all is counted",
            async || {
                clock.advance(Millis(100));
                let used = quotas(engine, &ann).await.unwrap();
                used[0].credits_used == credits("0.15")
            },
        )
        .await;
        house.close().await;
    })
    .await;
}

/// Of an agent that is charged by the token and declares neither ceiling nor estimate nobody knows what it will use: it
/// starts as long as there is something, and no more when there is nothing.
#[tokio::test]
async fn what_is_used_up_starts_nothing_that_nobody_can_say_the_cost_of() {
    on_both(async |place| {
        let clock = clock();
        let act = performer(|assignment| async move {
            // 0.03 credits.
            assignment.kept.note(&Usage::of_tokens(1_000));
            done()
        });
        let open = "model = \"gpt-4\"\ncostMode = \"token-based\"";
        let house = House::open(&place, &clock, vec![agent("a", open)], act).await;
        let (engine, poor) = (&house.engine, rich(&house.engine, "poor", "0.02").await);
        begin_for(engine, 1, &poor).await;
        assert_status(&ended(engine, id(1)).await, Status::Complete);
        let left = balance(engine, &poor).await.unwrap();
        assert_eq!((left.balance, left.held), (credits("-0.01"), Credits::ZERO));
        for n in 2..=3 {
            begin_for(engine, n, &poor).await;
            assert_eq!(ended(engine, id(n)).await.steps[0].attempt, 0);
        }
        assert_eq!(balance(engine, &poor).await.unwrap().debt, credits("0.01"));

        let ann = rich(engine, "ann", "100").await;
        let quota = Quota {
            agent: None,
            window: Window::Hour,
            count: None,
            credits: Some(credits("0.02")),
        };
        set_quota(engine, &ann, quota).await.unwrap();
        begin_for(engine, 4, &ann).await;
        ended(engine, id(4)).await;
        begin_for(engine, 5, &ann).await;
        let why = wait_of(engine, &state(engine, id(5)).await, 0).await;
        assert_eq!(
            why.unwrap().unwrap(),
            "it waits for a quota's next time: a quota is used up: 0.02 credits an hour"
        );
        assert_eq!(state(engine, id(5)).await.steps[0].attempt, 0);
        house.close().await;
    })
    .await;
}
