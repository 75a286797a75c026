//! Stopping: one step, an orchestration, a replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::orchestration::command::{Command, Report};
use domain::orchestration::event::EndedAs;
use domain::orchestration::state::{Status, StepState};
use domain::values::time::Millis;
use engine::error::TransitionError;
use engine::perform::Performed;
use serde_json::json;

use crate::house::{
    House, Setup, after, agent, ask, assert_sound, assert_status, begin, clock, done, ended,
    ended_in_time, given, performer, state, step, step_state, until, until_step,
};
use crate::place::on_both;

fn cancel(grace: u64) -> Command {
    Command::Cancel {
        step: None,
        reason: "no longer wanted".to_owned(),
        grace: Millis(grace),
    }
}

/// Partial work is kept on cancel as well; who does not stop in time is dropped, and its late report refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_asks_first_and_forces_then() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![
            agent("polite", ""),
            agent("stubborn", "timeout = 600000"),
            after("never", &["polite"], ""),
        ];
        let house = House::open(
            &place,
            &clock,
            agents,
            performer(|assignment| async move {
                assignment.kept.put(json!({"half": true}));
                if assignment.step.as_str() == "polite" {
                    assignment.cancelled.cancelled().await;
                    return Performed::Cancelled;
                }
                std::future::pending().await
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        until_step(&house.engine, id, "stubborn", "running").await;
        let before = state(&house.engine, id).await;
        ask(&house.engine, id, cancel(5_000)).await.unwrap();
        until_step(&house.engine, id, "polite", "partial").await;
        assert_eq!(
            step_state(&state(&house.engine, id).await, "stubborn"),
            StepState::Running
        );
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Cancelled);
        // What it had so far was kept before it was dropped.
        assert_eq!(
            step_state(&state, "stubborn"),
            StepState::Ended(EndedAs::Partial)
        );
        assert_eq!(
            step_state(&state, "never"),
            StepState::Ended(EndedAs::Cancelled)
        );
        assert_eq!(
            given(&house.engine, id, &state, "polite").await["half"],
            true
        );
        let (_, stubborn) = before.step(&step("stubborn")).unwrap();
        let late = Command::Finish {
            step: step("stubborn"),
            attempt: 1,
            holder: stubborn.holder.unwrap(),
            report: Report::Cancelled { kept: None },
            usage: domain::money::usage::Usage::default(),
        };
        assert!(matches!(
            ask(&house.engine, id, late).await,
            Err(TransitionError::Rejected(_))
        ));
        until("the room is given back", async || {
            house.engine.slots.available_permits() == 8
        })
        .await;
        house.close().await;
    })
    .await;
}

/// One step is cancelled, the rest goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_can_be_cancelled_alone() {
    on_both(async |place| {
        let agents = vec![agent("a", ""), agent("b", ""), after("c", &["a"], "")];
        let house = House::open(
            &place,
            &clock(),
            agents,
            performer(|assignment| async move {
                if assignment.step.as_str() == "a" {
                    assignment.cancelled.cancelled().await;
                    return Performed::Cancelled;
                }
                done()
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        until_step(&house.engine, id, "a", "running").await;
        let command = Command::Cancel {
            step: Some(step("a")),
            reason: "not this one".to_owned(),
            grace: Millis(60_000),
        };
        ask(&house.engine, id, command).await.unwrap();
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Partial);
        assert_eq!(
            step_state(&state, "a"),
            StepState::Ended(EndedAs::Cancelled)
        );
        assert_eq!(
            step_state(&state, "b"),
            StepState::Ended(EndedAs::Completed)
        );
        assert_eq!(step_state(&state, "c"), StepState::Ended(EndedAs::Skipped));
        house.close().await;
    })
    .await;
}

/// A replica that is stopped returns its work, and not as a lapse: however often it is restarted, no step fails of it.
#[tokio::test(flavor = "multi_thread")]
async fn stopping_returns_work_to_the_queue() {
    on_both(async |place| {
        let clock = clock();
        let let_through = Arc::new(AtomicBool::new(false));
        let mut id = None;
        for round in 1..=5 {
            let open = let_through.clone();
            let performing = performer(move |assignment| {
                let open = open.clone();
                async move {
                    if open.load(Ordering::SeqCst) {
                        return done();
                    }
                    // Every other agent does not listen.
                    if assignment.step.as_str() == "deaf" {
                        std::future::pending::<()>().await;
                    }
                    assignment.cancelled.cancelled().await;
                    Performed::Cancelled
                }
            });
            let agents = vec![agent("listens", ""), agent("deaf", "timeout = 600000")];
            let mut setup = Setup::new(&clock, agents, performing);
            // The deaf one costs the whole grace: once is enough.
            setup.slots = if round == 1 { 2 } else { 1 };
            let house = setup.open(&place).await;
            let current = match id {
                Some(id) => id,
                None => begin(&house.engine, 1).await,
            };
            id = Some(current);
            if round < 3 {
                until("it is at work", async || {
                    house.engine.slots.available_permits() == 0
                })
                .await;
            }
            if round == 3 {
                let_through.store(true, Ordering::SeqCst);
                break;
            }
            house.replica.stop().await.unwrap();
            let stopped = state(&house.engine, current).await;
            for name in ["listens", "deaf"] {
                let (_, step) = stopped.step(&step(name)).unwrap();
                assert_eq!(
                    (step.state, step.lapses, step.retries),
                    (StepState::Ready, 0, 0),
                    "{name}"
                );
            }
            assert_sound(&house.engine).await;
            house.engine.store.close().await;
        }
        let_through.store(true, Ordering::SeqCst);
        let performing = performer(|_| async { done() });
        let agents = vec![agent("listens", ""), agent("deaf", "timeout = 600000")];
        let house = House::open(&place, &clock, agents, performing).await;
        let state = ended_in_time(&house.engine, &clock, id.unwrap()).await;
        assert_status(&state, Status::Complete);
        house.close().await;
    })
    .await;
}
