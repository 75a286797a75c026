//! What a service asks of the engine: ends handed over, priors, budgets, what is kept on the way, outputs that do not fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::agent::retry::ErrorClass;
use domain::orchestration::event::{EndedAs, Event, FailCause, Request};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Cause, Status};
use domain::values::ids::{AccountId, AgentId};
use domain::values::time::{Millis, Timestamp};
use engine::error::SubmitError;
use engine::follow::{Waiting, ended};
use engine::handle::Scope;
use engine::perform::{Performed, Performer};
use engine::plans::LoadedPlan;
use engine::submit::{GivenPrior, Submission, submit};
use engine::waits::wait_of;
use serde_json::json;

use crate::house::{
    House, PATIENCE, Seen, Setup, after, agent, assert_sound, assert_status, begin, begin_as,
    clock, diamond, done, ended_in_time, events, given, id, performer, state, step, step_state,
    submission, until, until_step,
};
use crate::place::on_both;

/// Who waits is told by the commit itself: the state handed over is the one that is stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_handed_to_who_waits_for_it() {
    on_both(async |place| {
        let house = House::open(&place, &clock(), diamond(), performer(|_| async { done() })).await;
        let waiting: Vec<_> = (0..50)
            .map(|_| tokio::spawn(Waiting::for_end(&house.engine, id(1)).ended()))
            .collect();
        let one = Waiting::for_end(&house.engine, id(2));
        begin(&house.engine, 2).await;
        let told = tokio::time::timeout(PATIENCE, one.ended())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(told.state, state(&house.engine, id(2)).await);
        assert_status(&told.state, Status::Complete);
        assert!(told.pinned.is_some());
        // These were told that there is none: theirs had not begun.
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_err());
        }
        // Who comes late reads the rows.
        let late = ended(&house.engine, id(2)).await.unwrap();
        assert_eq!(late.state, told.state);
        house.close().await;
    })
    .await;
}

/// It may end in another replica: who waits here hears of it without a poll of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_elsewhere_is_heard_here() {
    on_both(async |place| {
        let clock = clock();
        let setup = || Setup::new(&clock, diamond(), performer(|_| async { done() }));
        let here = Setup {
            scope: Scope::Nothing,
            ..setup()
        };
        let here = here.open(&place).await;
        let id = begin(&here.engine, 1).await;
        let waiting = {
            let engine = here.engine.clone();
            tokio::spawn(async move { ended(&engine, id).await })
        };
        let there = setup().open(&place).await;
        let told = tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap()
            .unwrap();
        assert_status(&told.unwrap().state, Status::Complete);
        there.replica.stop().await.unwrap();
        there.engine.store.close().await;
        here.close().await;
    })
    .await;
}

fn json_plan(text: &str) -> Arc<LoadedPlan> {
    Arc::new(LoadedPlan::of_json(text).unwrap())
}

fn prior(agent: &str, version: Option<&str>) -> GivenPrior {
    GivenPrior {
        agent: AgentId::new(agent).unwrap(),
        agent_version: version.map(ToOwned::to_owned),
        data: json!({"from": "outside"}),
        at: Timestamp(1_600_000_000_000_000),
        tokens_used: Some(7),
        credits: "0.25".parse().unwrap(),
        status_partial: false,
    }
}

/// What came with the plan is done: it is not performed, is read by who builds on it, and counts as a version.
#[tokio::test(flavor = "multi_thread")]
async fn a_prior_is_read_and_not_performed() {
    on_both(async |place| {
        let seen = Seen::default();
        let noted = seen.clone();
        let house = House::open(
            &place,
            &clock(),
            vec![agent("a", ""), after("b", &["a"], ""), agent("c", "")],
            performer(move |assignment| {
                noted.note(&assignment);
                async move { Performed::Completed(json!({"read": assignment.dependencies})) }
            }),
        )
        .await;
        let mut wish = submission(&house.engine);
        wish.plan = json_plan("{\"title\": \"My Plan\"}");
        wish.version = 2;
        wish.priors = vec![prior("a", None), prior("c", Some("another"))];
        wish.request = Request {
            plan_id: Some("plan-1".to_owned()),
            ..Request::default()
        };
        let waiting = Waiting::for_end(&house.engine, id(1));
        begin_as(&house.engine, 1, wish).await;
        let told = waiting.ended().await.unwrap();
        assert_status(&told.state, Status::Complete);
        assert_eq!((seen.of("a"), seen.of("b"), seen.of("c")), (0, 1, 1));
        let read = given(&house.engine, told.id, &told.state, "b").await;
        assert_eq!(read["read"]["a"], json!({"from": "outside"}));
        let head = told.state.head.as_ref().unwrap();
        assert_eq!(
            (head.version, head.request.plan_id.as_deref()),
            (4, Some("plan-1"))
        );
        house.close().await;
    })
    .await;
}

/// Strict means: what may cost more than its budget does not begin.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_cost_too_much_is_refused_when_it_is_to_be() {
    on_both(async |place| {
        let agents = vec![
            agent("a", "costPerRun = \"0.5\""),
            agent("b", "costPerRun = \"0.5\""),
        ];
        let house = House::open(&place, &clock(), agents, performer(|_| async { done() })).await;
        let wish = |budget: &str, strict| {
            let mut wish = submission(&house.engine);
            wish.request.budget = Some(budget.parse().unwrap());
            wish.strict = strict;
            wish
        };
        let refused = submit(&house.engine, id(1), wish("0.9", true)).await;
        assert!(matches!(refused, Err(SubmitError::OverBudget { .. })));
        submit(&house.engine, id(2), wish("1", true)).await.unwrap();
        submit(&house.engine, id(3), wish("0.9", false))
            .await
            .unwrap();
        // What does not fit the budget stops; the rest stands.
        for (n, status) in [(2, Status::Complete), (3, Status::Partial)] {
            let ended = ended(&house.engine, id(n)).await.unwrap();
            assert_status(&ended.state, status);
        }
        house.close().await;
    })
    .await;
}

/// The built-in analyses have nothing to say about another's plan: left out of the default set, with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn analyses_are_left_out_of_another_s_plan() {
    on_both(async |place| {
        let agents = vec![
            agent("plan-lint", "executor = { kind = 'analysis' }"),
            agent("a", "inputSchema = { fields = ['title', 'plan'] }"),
            agent("b", "inputSchema = { fields = ['budget'] }"),
        ];
        let house = House::open(&place, &clock(), agents, performer(|_| async { done() })).await;
        let all = house.engine.registry.snapshot().by_default();
        let plan = json_plan("{\"title\": \"My Plan\", \"description\": \"...\"}");
        let wanted = Wanted::Default(all);
        let wish = Submission::new(AccountId::system(), "plan".to_owned(), plan, wanted);
        let begun = submit(&house.engine, id(1), wish).await.unwrap();
        let out: Vec<_> = begun
            .excluded
            .iter()
            .map(|out| out.agent.as_str())
            .collect();
        assert_eq!(out, ["plan-lint", "b"]);
        let told = ended(&house.engine, id(1)).await.unwrap();
        assert_status(&told.state, Status::Complete);
        assert_eq!(told.state.steps.len(), 1);
        house.close().await;
    })
    .await;
}

/// An output that is not what the schema promises is no output: tried again, and in the end a failure that says why.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_does_not_fit_is_tried_again() {
    on_both(async |place| {
        let clock = clock();
        let typed = "outputSchema = { fields = { issues = [], score = 0 } }\nmaxRetries = 1";
        let agents = vec![agent("mends", typed), agent("never", typed)];
        let house = House::open(
            &place,
            &clock,
            agents,
            performer(|assignment| async move {
                if assignment.step.as_str() == "mends" && assignment.attempt == 2 {
                    return Performed::Completed(json!({"issues": [], "score": 1}));
                }
                Performed::Completed(json!({"issues": "none"}))
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Partial);
        let (_, never) = state.step(&step("never")).unwrap();
        let Some(Cause::Failed(FailCause::Attempt { class, message })) = &never.cause else {
            panic!("{:?}", never.cause);
        };
        assert_eq!(*class, ErrorClass::InvalidOutput);
        assert!(
            message.contains("score") && message.contains("/issues"),
            "{message}"
        );
        let (_, mends) = state.step(&step("mends")).unwrap();
        assert_eq!((mends.attempt, mends.retries), (2, 1));
        house.close().await;
    })
    .await;
}

/// What an attempt has so far is on disk before it ends: here its end never comes, and another replica finds it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_outlives_its_holder() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![agent(
            "a",
            "timeout = 60000\ntotalTimeout = 90000\nmaxRetries = 0",
        )];
        let puts = Arc::new(AtomicU32::new(0));
        let setup = |scope| Setup {
            scope,
            ..Setup::new(&clock, agents.clone(), never_ends(&puts))
        };
        let holder = setup(Scope::Everything).open(&place).await;
        let id = begin(&holder.engine, 1).await;
        let kept = async || state(&holder.engine, id).await.steps[0].kept.is_some();
        until("something is kept", kept).await;
        // One commit at a time, and a pause between two: not one each time something is put.
        let partials = async || {
            let kept = |kind: &str| kind == "partial_kept";
            let events = events(&holder.engine, id).await;
            events
                .iter()
                .filter(|recorded| kept(recorded.event.kind()))
                .count()
        };
        assert!(partials().await <= 2);
        until("the latest is kept", async || {
            clock.advance(Millis(250));
            tokio::time::sleep(Duration::from_millis(5)).await;
            given_so_far(&holder, id).await == json!({"parts": 50})
        })
        .await;
        assert_eq!(puts.load(Ordering::Relaxed), 50);
        // Its program stalls; the other one ends the attempt by the step's time alone.
        for lane in holder.engine.lanes() {
            lane.drop_attempts();
        }
        let other = setup(Scope::Nothing).open(&place).await;
        let state = ended_in_time(&other.engine, &clock, id).await;
        assert_eq!(
            step_state(&state, "a"),
            domain::orchestration::state::StepState::Ended(EndedAs::Partial)
        );
        assert_eq!(
            given(&other.engine, id, &state, "a").await,
            json!({"parts": 50})
        );
        assert_sound(&other.engine).await;
        holder.replica.stop().await.unwrap();
        holder.engine.store.close().await;
        other.close().await;
    })
    .await;
}

/// Leaves fifty parts to be kept, one after another, and does not come to an end.
fn never_ends(puts: &Arc<AtomicU32>) -> Performer {
    let puts = puts.clone();
    performer(move |assignment| {
        let puts = puts.clone();
        async move {
            for part in 1..=50 {
                assignment.kept.put(json!({"parts": part}));
                puts.fetch_add(1, Ordering::Relaxed);
            }
            std::future::pending().await
        }
    })
}

async fn given_so_far(
    house: &House,
    id: domain::values::ids::OrchestrationId,
) -> serde_json::Value {
    let state = state(&house.engine, id).await;
    let Some(kept) = state.steps[0].kept else {
        return serde_json::Value::Null;
    };
    engine::gather::data(&house.engine, id, kept.data)
        .await
        .unwrap()
}

/// Why a step in the queue does not start is told: a full key, no room.
#[tokio::test(flavor = "multi_thread")]
async fn why_a_ready_step_does_not_start_is_told() {
    on_both(async |place| {
        let clock = clock();
        let limited = "timeout = 600000\nconcurrency = { key = 'k', max = 1 }";
        let agents = vec![
            agent("a", limited),
            agent("b", limited),
            agent("c", "timeout = 600000"),
        ];
        let house = Setup {
            slots: 2,
            ..Setup::new(&clock, agents, performer(|_| std::future::pending()))
        };
        let house = house.open(&place).await;
        let first = begin(&house.engine, 1).await;
        until_step(&house.engine, first, "c", "running").await;
        let told = async |id, name: &str| {
            let state = state(&house.engine, id).await;
            let (index, _) = state.step(&step(name)).unwrap();
            wait_of(&house.engine, &state, index).await.unwrap()
        };
        assert_eq!(told(first, "a").await, None);
        assert!(told(first, "b").await.unwrap().contains("`key/k`"));
        let second = begin(&house.engine, 2).await;
        assert!(told(second, "c").await.unwrap().contains("no room"));
        house.replica.stop().await.unwrap();
        house.engine.store.close().await;
    })
    .await;
}

/// Two replicas on one database share the work; each orchestration ends once, and both show it.
#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_many_orchestrations() {
    on_both(async |place| {
        let clock = clock();
        let seen = Seen::default();
        let setup = || {
            let noted = seen.clone();
            let performer = performer(move |assignment| {
                noted.note(&assignment);
                async { done() }
            });
            Setup {
                slots: 2,
                ..Setup::new(&clock, diamond(), performer)
            }
        };
        let (one, two) = (setup().open(&place).await, setup().open(&place).await);
        let mut waiting = Vec::new();
        for n in 1..=20_u128 {
            let (begins, waits) = if n % 2 == 0 {
                (&one, &two)
            } else {
                (&two, &one)
            };
            let id = begin(&begins.engine, n).await;
            let engine = waits.engine.clone();
            waiting.push(tokio::spawn(async move { ended(&engine, id).await }));
        }
        for waiting in waiting {
            let told = tokio::time::timeout(PATIENCE, waiting)
                .await
                .unwrap()
                .unwrap();
            assert_status(&told.unwrap().state, Status::Complete);
        }
        assert_eq!(seen.all().len(), 80, "each step was performed once");
        let log = events(&two.engine, id(1)).await;
        assert!(matches!(
            log.last().unwrap().event,
            Event::OrchestrationCompleted { .. }
        ));
        one.replica.stop().await.unwrap();
        one.engine.store.close().await;
        two.close().await;
    })
    .await;
}
