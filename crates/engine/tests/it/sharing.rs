//! Several replicas on one database: who claims, what holds over all of them, and commands from elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::orchestration::command::Command;
use domain::orchestration::event::EndedAs;
use domain::orchestration::state::{Status, StepState};
use domain::values::time::Millis;
use engine::handle::Scope;
use engine::perform::Performed;
use serde_json::json;
use tokio::task::JoinSet;

use crate::house::{
    House, Seen, Setup, after, agent, ask, assert_status, begin, clock, done, ended, given,
    performer, state, step, step_state, until, until_step,
};
use crate::place::on_both;

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_work_and_no_attempt_is_performed_twice() {
    on_both(async |place| {
        let limited = "concurrency = { key = \"few\", max = 3 }";
        let agents = vec![
            agent("a", limited),
            agent("b", ""),
            after("c", &["a", "b"], limited),
        ];
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut houses = Vec::new();
        let clock = clock();
        for _ in 0..2 {
            let seen = Seen::default();
            let (noting, now, most) = (seen.clone(), now.clone(), most.clone());
            let performing = performer(move |assignment| {
                noting.note(&assignment);
                let (now, most) = (now.clone(), most.clone());
                async move {
                    let counts = assignment.step.as_str() != "b";
                    if counts {
                        let together = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(together, Ordering::SeqCst);
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if counts {
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                    done()
                }
            });
            let mut setup = Setup::new(&clock, agents.clone(), performing);
            setup.slots = 2;
            houses.push((setup.open(&place).await, seen));
        }
        let engine = houses[0].0.engine.clone();
        let mut beginning = JoinSet::new();
        for n in 0..30 {
            let engine = engine.clone();
            beginning.spawn(async move { begin(&engine, n).await });
        }
        for id in beginning.join_all().await {
            until("it has ended", async || {
                // The polls are by the clock.
                clock.advance(Millis(100));
                state(&engine, id).await.status().ended()
            })
            .await;
            assert_status(&state(&engine, id).await, Status::Complete);
        }
        let mut performed: Vec<_> = houses.iter().flat_map(|(_, seen)| seen.all()).collect();
        assert_eq!(performed.len(), 90);
        performed.sort();
        performed.dedup();
        assert_eq!(performed.len(), 90);
        for (_, seen) in &houses {
            assert!(!seen.all().is_empty(), "one replica did everything");
        }
        assert!(most.load(Ordering::SeqCst) <= 3, "{most:?}");
        for (house, _) in houses {
            house.close().await;
        }
    })
    .await;
}

/// Another shell pauses, resumes, approves and cancels what this one performs; it performs nothing itself.
#[tokio::test(flavor = "multi_thread")]
async fn commands_from_elsewhere_are_noticed() {
    on_both(async |place| {
        let agents = vec![
            agent("asks", "approval = \"required\""),
            after("works", &["asks"], "timeout = 3600000"),
            after("never", &["works"], ""),
        ];
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            agents.clone(),
            performer(|assignment| async move {
                if assignment.step.as_str() != "works" {
                    return done();
                }
                assignment.kept.put(json!({"pages": 3}));
                assignment.cancelled.cancelled().await;
                Performed::Cancelled
            }),
        )
        .await;
        let mut setup = Setup::new(&clock, agents, performer(|_| async { done() }));
        setup.scope = Scope::Nothing;
        let shell = setup.engine(&place).await;
        let id = begin(&house.engine, 1).await;
        ask(&shell, id, Command::Pause { step: None })
            .await
            .unwrap();
        let approve = Command::Approve {
            step: step("asks"),
            by: "ann".to_owned(),
        };
        ask(&shell, id, approve).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let paused = state(&shell, id).await;
        assert_eq!(step_state(&paused, "asks"), StepState::Ready);
        ask(&shell, id, Command::Resume { step: None })
            .await
            .unwrap();
        // The clock stands still: this is by notice and not by the slow poll.
        until_step(&shell, id, "works", "running").await;
        let cancel = Command::Cancel {
            step: None,
            reason: "from elsewhere".to_owned(),
            grace: Millis(60_000),
        };
        ask(&shell, id, cancel).await.unwrap();
        let state = ended(&shell, id).await;
        assert_status(&state, Status::Cancelled);
        assert_eq!(given(&shell, id, &state, "works").await["pages"], 3);
        assert_eq!(
            step_state(&state, "never"),
            StepState::Ended(EndedAs::Cancelled)
        );
        shell.store.close().await;
        house.close().await;
    })
    .await;
}

/// What was submitted elsewhere begins here without waiting for a poll.
#[tokio::test(flavor = "multi_thread")]
async fn work_from_elsewhere_begins_at_once() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![agent("a", ""), after("b", &["a"], "")];
        let house = House::open(
            &place,
            &clock,
            agents.clone(),
            performer(|_| async { done() }),
        )
        .await;
        let mut setup = Setup::new(&clock, agents, performer(|_| async { done() }));
        setup.scope = Scope::Nothing;
        let shell = setup.engine(&place).await;
        let id = begin(&shell, 1).await;
        assert_status(&ended(&shell, id).await, Status::Complete);
        house.close().await;
    })
    .await;
}

/// A replica whose orchestration was ended and deleted elsewhere while it slept lets go of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_elsewhere_is_let_go_of() {
    on_both(async |place| {
        let (slow, quick) = (clock(), clock());
        let agents = vec![agent("a", "timeout = 3600000")];
        let sleeper = performer(|_| std::future::pending());
        let house = House::open(&place, &slow, agents.clone(), sleeper).await;
        let mut setup = Setup::new(&quick, agents, performer(|_| async { done() }));
        setup.scope = Scope::Nothing;
        let shell = setup.engine(&place).await;
        let id = begin(&house.engine, 1).await;
        until_step(&shell, id, "a", "running").await;
        let cancel = Command::Cancel {
            step: None,
            reason: "gone".to_owned(),
            grace: Millis(0),
        };
        ask(&shell, id, cancel).await.unwrap();
        let deleted = shell.store.delete_ended_before(i64::MAX, 10).await.unwrap();
        assert_eq!(deleted.orchestrations, 1);
        until("the room is given back", async || {
            house.engine.slots.available_permits() == 8 && house.engine.is_idle()
        })
        .await;
        shell.store.close().await;
        house.close().await;
    })
    .await;
}
