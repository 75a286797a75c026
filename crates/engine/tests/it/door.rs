//! The one door: a queue an orchestration, decided one after another, stored whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::orchestration::command::{Command, Rejected};
use domain::orchestration::state::Status;
use domain::values::ids::OrchestrationId;
use engine::error::{SubmitError, TransitionError};
use engine::handle::Scope;
use engine::perform::Performed;
use engine::submit::{Submitted, submit};
use serde_json::json;
use tokio::task::JoinSet;

use crate::house::{
    self, House, Seen, Setup, after, agent, ask, assert_sound, assert_status, begin, clock,
    diamond, done, ended, events, performer, state, step, story, until_step,
};
use crate::place::on_both;

fn approve(name: &str) -> Command {
    Command::Approve {
        step: step(name),
        by: "ann".to_owned(),
    }
}

fn whole(pause: bool) -> Command {
    if pause {
        Command::Pause { step: None }
    } else {
        Command::Resume { step: None }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diamond_is_performed_each_step_once_and_in_order() {
    on_both(async |place| {
        let seen = Seen::default();
        let noting = seen.clone();
        let house = House::open(
            &place,
            &clock(),
            diamond(),
            performer(move |assignment| {
                noting.note(&assignment);
                async move { Performed::Completed(json!(assignment.dependencies)) }
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        assert_status(&ended(&house.engine, id).await, Status::Complete);
        let order: Vec<_> = seen.all().into_iter().map(|(_, step, _)| step).collect();
        assert_eq!(order.len(), 4);
        assert_eq!((order[0].as_str(), order[3].as_str()), ("top", "bottom"));
        let last = events(&house.engine, id).await;
        assert_eq!(last.last().unwrap().event.kind(), "orchestration_completed");
        assert!(
            last.iter()
                .zip(1..)
                .all(|(recorded, seq)| recorded.seq == seq)
        );
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_commands_at_once_are_each_carried_out_once() {
    on_both(async |place| {
        let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
        let agents = names
            .iter()
            .map(|name| agent(name, "approval = \"required\""))
            .collect();
        let seen = Seen::default();
        let noting = seen.clone();
        let performing = performer(move |assignment| {
            noting.note(&assignment);
            async { done() }
        });
        let house = House::open(&place, &clock(), agents, performing).await;
        let mut ids = Vec::new();
        for n in 0..50 {
            ids.push(begin(&house.engine, n).await);
        }
        let mut commands = JoinSet::new();
        for &id in &ids {
            for name in &names {
                let (engine, command) = (house.engine.clone(), approve(name));
                commands.spawn(async move { ask(&engine, id, command).await.unwrap().cursor });
            }
        }
        assert_eq!(commands.join_all().await.len(), 1_000);
        for &id in &ids {
            let state = ended(&house.engine, id).await;
            assert_status(&state, Status::Complete);
            // Each step: parked, ready, started, completed; and the beginning and the end.
            assert_eq!(state.cursor(), 4 * 20 + 2);
        }
        let mut performed = seen.all();
        performed.sort();
        performed.dedup();
        assert_eq!(performed.len(), 1_000, "an attempt was performed twice");
        assert!(performed.iter().all(|(_, _, attempt)| *attempt == 1));
        assert_eq!(seen.all().len(), 1_000);
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_are_committed_together() {
    on_both(async |place| {
        let names: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
        let agents = names
            .iter()
            .map(|name| agent(name, "approval = \"required\""))
            .collect();
        let mut setup = Setup::new(&clock(), agents, performer(|_| async { done() }));
        setup.scope = Scope::Nothing;
        let engine = setup.engine(&place).await;
        let id = begin(&engine, 1).await;
        let mut commands = JoinSet::new();
        for name in names {
            let engine = engine.clone();
            commands.spawn(async move { ask(&engine, id, approve(&name)).await.unwrap() });
        }
        let cursors = commands.join_all().await;
        assert!(cursors.iter().all(|outcome| outcome.cursor >= 102));
        let version = engine
            .store
            .orchestration(*id.0.as_bytes())
            .await
            .unwrap()
            .unwrap()
            .version;
        assert!(version < 60, "100 commands took {version} commits");
        assert_eq!(state(&engine, id).await.cursor(), 201);
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_stores_nothing_and_harms_no_neighbour() {
    on_both(async |place| {
        let mut setup = Setup::new(
            &clock(),
            vec![agent("a", "approval = \"required\"")],
            performer(|_| async { done() }),
        );
        setup.scope = Scope::Nothing;
        let engine = setup.engine(&place).await;
        let id = begin(&engine, 1).await;
        let before = events(&engine, id).await;
        let refused = ask(&engine, id, approve("nobody")).await.unwrap_err();
        assert!(matches!(
            refused,
            TransitionError::Rejected(Rejected::UnknownStep(_))
        ));
        assert_eq!(events(&engine, id).await, before);
        let (good, bad) = tokio::join!(
            ask(&engine, id, approve("a")),
            ask(&engine, id, approve("nobody"))
        );
        assert!(good.is_ok() && bad.is_err());
        assert_eq!(events(&engine, id).await.len(), before.len() + 1);
        let unknown = ask(&engine, house::id(99), Command::Tick)
            .await
            .unwrap_err();
        assert!(matches!(unknown, TransitionError::Unknown(_)));
        house::until("nothing is kept of the unknown one", async || {
            engine.lanes().iter().all(|lane| lane.id == id)
        })
        .await;
        assert_sound(&engine).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_overtaken_decides_anew() {
    on_both(async |place| {
        let setup = || {
            let agents = vec![agent("a", "approval = \"required\"")];
            let mut setup = Setup::new(&clock(), agents, performer(|_| async { done() }));
            setup.scope = Scope::Nothing;
            setup
        };
        let (one, other) = (setup().engine(&place).await, setup().engine(&place).await);
        let id = begin(&one, 1).await;
        // Each believes what it saw last; the fence makes it look again.
        for turn in 0..6 {
            let engine = if turn % 2 == 0 { &other } else { &one };
            ask(engine, id, whole(turn % 2 == 0)).await.unwrap();
        }
        let mut commands = JoinSet::new();
        for turn in 0..40 {
            let engine = if turn % 2 == 0 { &other } else { &one }.clone();
            commands.spawn(async move { ask(&engine, id, whole(turn % 4 < 2)).await });
        }
        for answer in commands.join_all().await {
            answer.unwrap();
        }
        ask(&one, id, whole(false)).await.unwrap();
        ask(&other, id, approve("a")).await.unwrap();
        let late = ask(&one, id, approve("a")).await.unwrap_err();
        assert!(matches!(
            late,
            TransitionError::Rejected(Rejected::NotParked(_))
        ));
        assert_sound(&one).await;
    })
    .await;
}

/// Counters that are full when the commit looks: everything is taken back and decided with the new fact.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_a_key_allows_are_in_flight_however_many_compete() {
    on_both(async |place| {
        let limited = "concurrency = { key = \"model\", max = 2 }";
        let agents = vec![
            agent("a", limited),
            agent("b", limited),
            after("c", &["a"], limited),
            after("free", &["a"], ""),
        ];
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counting, highest) = (now.clone(), most.clone());
        let performing = performer(move |assignment| {
            let (now, most) = (counting.clone(), highest.clone());
            async move {
                if assignment.step.as_str() != "free" {
                    let together = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(together, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                }
                done()
            }
        });
        let mut setup = Setup::new(&clock(), agents, performing);
        setup.slots = 64;
        let house = setup.open(&place).await;
        let mut beginning = JoinSet::new();
        for n in 0..25 {
            let engine = house.engine.clone();
            beginning.spawn(async move { begin(&engine, n).await });
        }
        let ids = beginning.join_all().await;
        for id in ids {
            assert_status(&ended(&house.engine, id).await, Status::Complete);
        }
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} were in flight");
        house.close().await;
    })
    .await;
}

/// The output is larger than what is kept in memory, and not stored yet when the gate asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_sees_an_output_of_any_size_in_the_commit_that_brings_it() {
    on_both(async |place| {
        let agents = vec![
            agent("large", ""),
            after(
                "gated",
                &["large"],
                "runCondition = \"enrichments.large.data.size == 3\"",
            ),
            after(
                "shut",
                &["large"],
                "runCondition = \"enrichments.large.data.size == 4\"",
            ),
        ];
        let house = House::open(
            &place,
            &clock(),
            agents,
            performer(|_| async {
                Performed::Completed(json!({"size": 3, "text": "x".repeat(3 << 20)}))
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(
            story(&house.engine, id, "gated").await,
            ["step_ready", "attempt_started", "step_completed"]
        );
        assert_eq!(story(&house.engine, id, "shut").await, ["step_gated_off"]);
        house.close().await;
    })
    .await;
}

/// Lanes of what has ended do not pile up, and a replica that performs only some lets them go.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_let_go_of() {
    on_both(async |place| {
        let mut setup = Setup::new(&clock(), diamond(), performer(|_| async { done() }));
        setup.scope = Scope::Nothing;
        let house = setup.open(&place).await;
        for n in 0..20 {
            house.engine.take_on(house::id(n));
            let id = begin(&house.engine, n).await;
            ended(&house.engine, id).await;
            // Asking about what has ended must not keep it either.
            let refused = ask(&house.engine, id, whole(true)).await;
            assert!(matches!(
                refused,
                Err(TransitionError::Rejected(Rejected::Ended(_)))
            ));
        }
        house::until("the lanes are gone", async || house.engine.is_idle()).await;
        assert_eq!(
            house.engine.scope(),
            Scope::Only(Vec::<OrchestrationId>::new())
        );
        house.close().await;
    })
    .await;
}

/// Who goes away does not leave the others waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_takes_nothing_back() {
    on_both(async |place| {
        let house = House::open(
            &place,
            &clock(),
            vec![agent("a", "approval = \"required\"")],
            performer(|_| async { done() }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let (engine, command) = (house.engine.clone(), approve("a"));
        let caller = tokio::spawn(async move { ask(&engine, id, command).await });
        tokio::task::yield_now().await;
        caller.abort();
        let answer = ask(&house.engine, id, approve("a")).await;
        assert!(matches!(answer, Ok(_) | Err(TransitionError::Rejected(_))));
        until_step(&house.engine, id, "a", "completed").await;
        house.close().await;
    })
    .await;
}

/// Eight results that come at the same moment are one commit: the second, after the creation.
#[tokio::test]
async fn reports_that_come_together_are_committed_together() {
    on_both(async |place| {
        let agents = (0..8).map(|n| agent(&format!("s{n}"), "")).collect();
        let all = Arc::new(tokio::sync::Barrier::new(8));
        let performing = performer(move |_| {
            let all = all.clone();
            async move {
                all.wait().await;
                done()
            }
        });
        let mut setup = Setup::new(&clock(), agents, performing);
        setup.slots = 8;
        let house = setup.open(&place).await;
        let id = begin(&house.engine, 1).await;
        assert_status(&ended(&house.engine, id).await, Status::Complete);
        let row = house.engine.store.orchestration(*id.0.as_bytes()).await;
        assert_eq!(row.unwrap().unwrap().version, 2);
        house.close().await;
    })
    .await;
}

/// A creation does not look whether it is there; what was there is found all the same, also behind an equal that came after.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_is_not_created_again() {
    on_both(async |place| {
        let waits = agent("a", "approval = \"required\"");
        let house = House::open(
            &place,
            &clock(),
            vec![waits],
            performer(|_| async { done() }),
        )
        .await;
        let again = |n: u128| {
            let mut submission = house::submission(&house.engine);
            submission.fresh = false;
            submit(&house.engine, house::id(n), submission)
        };
        let first = again(1).await.unwrap();
        ask(&house.engine, first.id, approve("a")).await.unwrap();
        ended(&house.engine, first.id).await;
        let exists = |answer: Result<Submitted, SubmitError>| {
            matches!(
                answer,
                Err(SubmitError::Transition(TransitionError::Rejected(
                    Rejected::Exists
                )))
            )
        };
        assert!(exists(again(1).await));
        // The equal waits for its approval.
        assert!(!again(2).await.unwrap().continued);
        assert!(exists(again(1).await) && exists(again(2).await));
        let other = again(3).await.unwrap();
        assert_eq!((other.id, other.continued), (house::id(2), true));
        house.close().await;
    })
    .await;
}

/// Who drives a lane asks how full the map of lanes is, and who waits for an end asks the map for a lane: neither may hold
/// what the other needs.
#[tokio::test(flavor = "multi_thread")]
async fn who_drives_and_who_waits_for_the_end_do_not_lock_each_other_out() {
    const OFTEN: usize = 100_000;
    on_both(async |place| {
        let house = House::open(&place, &clock(), diamond(), performer(|_| async { done() })).await;
        let id = begin(&house.engine, 1).await;
        ended(&house.engine, id).await;
        let (told, over) = std::sync::mpsc::channel();
        let (driver, waiter) = (house.engine.clone(), house.engine.clone());
        let (driven, waited) = (told.clone(), told);
        std::thread::spawn(move || {
            let lane = driver.lane(id);
            (0..OFTEN).for_each(|_| drop(lane.take(|| driver.is_crowded())));
            let _ = driven.send(());
        });
        std::thread::spawn(move || {
            (0..OFTEN).for_each(|_| {
                waiter.is_under_way(id);
            });
            let _ = waited.send(());
        });
        for _ in 0..2 {
            let end = over.recv_timeout(std::time::Duration::from_secs(60));
            assert_eq!(end, Ok(()), "they wait for each other");
        }
        house.close().await;
    })
    .await;
}
