//! Going on: after a replica's death, after its stall, after the end of an equal submission.

use std::sync::Arc;
use std::time::Duration;

use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Report};
use domain::orchestration::event::{Event, FailCause};
use domain::orchestration::select::Refused;
use domain::orchestration::state::{Cause, Status};
use domain::values::credits::Credits;
use domain::values::ids::AccountId;
use domain::values::time::Millis;
use engine::artifact::next_events;
use engine::clock::ManualClock;
use engine::credits::{balance, of_orchestration};
use engine::error::{SubmitError, TransitionError};
use engine::perform::Performer;
use engine::submit::submit;
use engine::sweep::sweep;
use store::orchestrations::OrchestrationFilter;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::house::{
    self, House, Setup, after, agent, ask, assert_sound, assert_status, begin, begin_as, clock,
    diamond, done, ended, ended_in_time, events, performer, state, step, story, submission, until,
    until_step,
};
use crate::place::{Place, on_both};
use crate::reuse::begin_equal;

/// A replica with a runtime of its own, which ends as a killed program does: without a word.
struct Mortal {
    runtime: tokio::runtime::Runtime,
    house: House,
}

impl Mortal {
    async fn open(place: &Place, setup: Setup) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let place = Place::at(place.text());
        let house = runtime
            .spawn(async move { setup.open(&place).await })
            .await
            .unwrap();
        Self { runtime, house }
    }

    async fn die(self) {
        let Self { runtime, house } = self;
        runtime.shutdown_background();
        // What the operating system does for a program that is gone: locks and connections end.
        house.engine.store.close().await;
    }
}

/// Never ends the first `stuck` attempts.
fn stuck_at_first(stuck: u32) -> Performer {
    performer(move |assignment| async move {
        if assignment.attempt <= stuck {
            std::future::pending::<()>().await;
        }
        done()
    })
}

const PATIENT: &str = "timeout = 3600000";

/// Work that a dead replica held is another's after its lease, never before (DBOS #716 #804 #805 #742 #453: ownership by
/// name and without a lease; Conductor #208 #209 #245 #173 #1259 and Trigger.dev #1566 #2066: queue and store disagreed).
#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_dead_replica_goes_on_elsewhere() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![agent("a", PATIENT), after("b", &["a"], "")];
        let setup = || Setup::new(&clock, agents.clone(), stuck_at_first(1));
        let mortal = Mortal::open(&place, setup()).await;
        let id = begin(&mortal.house.engine, 1).await;
        until_step(&mortal.house.engine, id, "a", "running").await;
        let heir = setup().open(&place).await;
        // Alive, it is not robbed.
        clock.advance(Millis(3_000));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(state(&heir.engine, id).await.steps[0].attempt, 1);
        mortal.die().await;
        let state = ended_in_time(&heir.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!((state.steps[0].attempt, state.steps[0].lapses), (2, 1));
        assert_eq!(
            story(&heir.engine, id, "a").await,
            [
                "step_ready",
                "attempt_started",
                "attempt_expired",
                "retry_scheduled",
                "attempt_started",
                "step_completed"
            ]
        );
        heir.close().await;
    })
    .await;
}

/// What it told of its usage is charged, and its hold is free again, although nobody is left to say so.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_dead_told_of_its_usage_is_charged() {
    on_both(async |place| {
        let clock = clock();
        let reader =
            "model = \"gpt-4\"\ncostMode = \"token-based\"\nceiling = 1\ntimeout = 3600000";
        let tells = performer(|assignment| async move {
            // 1,000 tokens are 0.03 credits.
            assignment.kept.note(&Usage::of_tokens(1_000));
            if assignment.attempt == 1 {
                std::future::pending::<()>().await;
            }
            done()
        });
        let setup = || Setup::new(&clock, vec![agent("a", reader)], tells.clone());
        let mortal = Mortal::open(&place, setup()).await;
        let id = begin(&mortal.house.engine, 1).await;
        until("what it told is stored", async || {
            clock.advance(Millis(100));
            let step = state(&mortal.house.engine, id).await.steps.remove(0);
            step.used.is_some()
        })
        .await;
        let heir = setup().open(&place).await;
        mortal.die().await;
        let state = ended_in_time(&heir.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!((state.steps[0].attempt, state.steps[0].lapses), (2, 1));
        let charges = of_orchestration(&heir.engine, id).await.unwrap();
        let charged = charges.iter().map(|entry| entry.amount.to_string());
        assert_eq!(charged.collect::<Vec<_>>(), ["-0.03", "-0.03"]);
        let system = balance(&heir.engine, &AccountId::system()).await.unwrap();
        assert_eq!(system.held, Credits::ZERO);
        heir.close().await;
    })
    .await;
}

/// On an embedded file the death is seen by the free lock: at once, while the clock stands still.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_file_nobody_waits_for_the_lease_of_the_dead() {
    let (place, clock) = (Place::sqlite(), clock());
    let setup = || Setup::new(&clock, vec![agent("a", PATIENT)], stuck_at_first(1));
    let mortal = Mortal::open(&place, setup()).await;
    let id = begin(&mortal.house.engine, 1).await;
    until_step(&mortal.house.engine, id, "a", "running").await;
    mortal.die().await;
    let heir = setup().open(&place).await;
    until("the lock is free and it has ended", async || {
        sweep(&heir.engine).await.unwrap();
        state(&heir.engine, id).await.status().ended()
    })
    .await;
    assert_status(&state(&heir.engine, id).await, Status::Complete);
    heir.close().await;
}

/// A poison step that kills whoever performs it must not loop for ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_third_lapse_fails_the_step() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![agent("poison", PATIENT), agent("good", "")];
        let setup = || {
            let performing = performer(|assignment| async move {
                if assignment.step.as_str() == "poison" {
                    std::future::pending::<()>().await;
                }
                done()
            });
            Setup::new(&clock, agents.clone(), performing)
        };
        let id = house::id(1);
        for attempt in 1..=3 {
            let mortal = Mortal::open(&place, setup()).await;
            if attempt == 1 {
                begin(&mortal.house.engine, 1).await;
            }
            until("it is tried", async || {
                clock.advance(Millis(500));
                let state = state(&mortal.house.engine, id).await;
                state.steps[state.step(&step("poison")).unwrap().0].attempt == attempt
            })
            .await;
            mortal.die().await;
        }
        let last = setup().open(&place).await;
        let state = ended_in_time(&last.engine, &clock, id).await;
        assert_status(&state, Status::Partial);
        let (_, poison) = state.step(&step("poison")).unwrap();
        assert_eq!(poison.cause, Some(Cause::Failed(FailCause::Lapsed)));
        assert_eq!((poison.attempt, poison.lapses), (3, 3));
        last.close().await;
    })
    .await;
}

/// A holder that stalled past its lease and comes back is refused, by the row and not by its manners.
#[tokio::test(flavor = "multi_thread")]
async fn who_stalled_too_long_is_refused() {
    on_both(async |place| {
        let (stalled, on_time) = (clock(), clock());
        let setup = |clock: &ManualClock, stuck| {
            Setup::new(clock, vec![agent("a", PATIENT)], stuck_at_first(stuck))
        };
        // Its clock stands still, and so does its heartbeat.
        let slow = setup(&stalled, 1).open(&place).await;
        let id = begin(&slow.engine, 1).await;
        until_step(&slow.engine, id, "a", "running").await;
        let before = slow.engine.holder().unwrap();
        let quick = setup(&on_time, 0).open(&place).await;
        let state = ended_in_time(&quick.engine, &on_time, id).await;
        assert_eq!(state.steps[0].attempt, 2);
        let log = events(&quick.engine, id).await;
        let late = Command::Finish {
            step: step("a"),
            attempt: 1,
            holder: before,
            report: Report::Cancelled { kept: None },
            usage: domain::money::usage::Usage::default(),
        };
        assert!(matches!(
            ask(&slow.engine, id, late).await,
            Err(TransitionError::Rejected(_))
        ));
        assert_eq!(events(&quick.engine, id).await, log);
        // It noticed by itself that its attempt is another's, and has room again.
        until("the slow one let go", async || {
            slow.engine.slots.available_permits() == 8
        })
        .await;
        slow.replica.stop().await.unwrap();
        quick.close().await;
    })
    .await;
}

/// A machine that slept is not robbed of its work by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_sleep_of_the_only_replica_lapses_nothing() {
    on_both(async |place| {
        let (clock, open) = (clock(), Arc::new(Notify::new()));
        let gate = open.clone();
        let performing = performer(move |_| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                done()
            }
        });
        let agents = vec![agent("a", "timeout = 360000000\ntotalTimeout = 2000000000")];
        let house = House::open(&place, &clock, agents, performing).await;
        let id = begin(&house.engine, 1).await;
        until_step(&house.engine, id, "a", "running").await;
        for _ in 0..5 {
            clock.advance(Millis::from_secs(8 * 3_600));
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        open.notify_one();
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!((state.steps[0].attempt, state.steps[0].lapses), (1, 0));
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_submission_goes_on_where_it_stopped() {
    on_both(async |place| {
        let clock = clock();
        let setup = || Setup::new(&clock, diamond(), stuck_at_first(1));
        let mortal = Mortal::open(&place, setup()).await;
        let mut wanted = submission(&mortal.house.engine);
        wanted.fresh = false;
        let first = begin_as(&mortal.house.engine, 1, wanted).await;
        until_step(&mortal.house.engine, first.id, "top", "running").await;
        mortal.die().await;
        let heir = setup().open(&place).await;
        let mut submissions = JoinSet::new();
        for n in 2..10 {
            let engine = heir.engine.clone();
            let mut wanted = submission(&engine);
            wanted.fresh = false;
            submissions.spawn(async move { begin_as(&engine, n, wanted).await });
        }
        for submitted in submissions.join_all().await {
            assert_eq!((submitted.id, submitted.continued), (first.id, true));
        }
        let fresh = begin(&heir.engine, 10).await;
        assert_ne!(fresh, first.id);
        until("both have ended", async || {
            clock.advance(Millis(1_000));
            tokio::time::sleep(Duration::from_millis(10)).await;
            let ended = state(&heir.engine, first.id).await.status().ended();
            // The fresh one's first attempts are stuck: they time out.
            ended && state(&heir.engine, fresh).await.status().ended()
        })
        .await;
        assert_sound(&heir.engine).await;
        heir.close().await;
    })
    .await;
}

/// A leader that dies is no leader: the followers do not wait for its hour-long timeout.
#[tokio::test(flavor = "multi_thread")]
async fn followers_outlive_a_leader_that_dies() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![agent("a", "reuse = \"account\"\ntimeout = 3600000")];
        let setup = |stuck| Setup::new(&clock, agents.clone(), stuck_at_first(stuck));
        let mortal = Mortal::open(&place, setup(1)).await;
        let ids = begin_equal(&mortal.house.engine, 5).await;
        mortal.die().await;
        let heir = setup(0).open(&place).await;
        for id in ids {
            assert_status(
                &ended_in_time(&heir.engine, &clock, id).await,
                Status::Complete,
            );
        }
        heir.close().await;
    })
    .await;
}

/// What waits for itself, or for what is not there, is refused by name and never ends as complete (the seed's defect).
#[tokio::test(flavor = "multi_thread")]
async fn a_graph_that_cannot_be_scheduled_is_refused_whole() {
    on_both(async |place| {
        let graphs = [
            (
                vec![after("a", &["b"], ""), after("b", &["a"], "")],
                "wait for each other",
            ),
            (vec![after("a", &["ghost"], "")], "ghost"),
        ];
        for (agents, named) in graphs {
            let setup = Setup::new(&clock(), agents, performer(|_| async { done() }));
            let engine = setup.engine(&place).await;
            let refused = submit(&engine, house::id(1), submission(&engine)).await;
            let Err(SubmitError::Refused(error @ Refused::Graph(_))) = refused else {
                panic!("accepted, or refused otherwise: {refused:?}");
            };
            assert!(error.to_string().contains(named), "{error}");
            let all = OrchestrationFilter::default();
            let listed = engine.store.list("system", &all, None, 10).await.unwrap();
            assert_eq!(listed, []);
        }
    })
    .await;
}

/// First what is stored, then what comes, each once and in order (LibreChat PR #10926: events between replay and live
/// were lost or came twice), here and in a replica that only looks on.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_misses_nothing_and_sees_nothing_twice() {
    on_both(async |place| {
        let performing = || {
            performer(|_| async {
                tokio::time::sleep(Duration::from_millis(3)).await;
                done()
            })
        };
        let clock = clock();
        let house = House::open(&place, &clock, diamond(), performing()).await;
        let onlooker = Setup {
            scope: engine::handle::Scope::Nothing,
            ..Setup::new(&clock, diamond(), performing())
        };
        let onlooker = onlooker.open(&place).await;
        let id = begin(&house.engine, 1).await;
        let mut followers = JoinSet::new();
        for (engine, from) in [
            (&house.engine, 0),
            (&house.engine, 3),
            (&onlooker.engine, 0),
        ] {
            let engine = engine.clone();
            followers.spawn(async move {
                let mut seen: Vec<u64> = (1..=from).collect();
                loop {
                    let after = seen.len() as u64;
                    for recorded in next_events(&engine, id, after).await.unwrap() {
                        seen.push(recorded.seq);
                        if matches!(recorded.event, Event::OrchestrationCompleted { .. }) {
                            return seen;
                        }
                    }
                }
            });
        }
        let end = ended(&house.engine, id).await.cursor();
        for seen in followers.join_all().await {
            assert_eq!(seen, (1..=end).collect::<Vec<_>>());
        }
        onlooker.replica.stop().await.unwrap();
        house.close().await;
    })
    .await;
}
