//! Attempts: how they fail, are tried again, run out of time and are stopped, on a clock turned by hand.

use std::time::Duration;

use domain::agent::retry::ErrorClass;
use domain::artifact::EnrichmentStatus;
use domain::orchestration::command::{Command, Report};
use domain::orchestration::event::{EndedAs, Event};
use domain::orchestration::state::{Status, StepState};
use domain::values::ids::OrchestrationId;
use domain::values::time::Millis;
use engine::error::TransitionError;
use engine::handle::Engine;
use engine::perform::Performed;
use serde_json::json;

use crate::house::{
    House, Seen, after, agent, ask, assert_status, begin, clock, done, ended, ended_in_time,
    events, failure, given, performer, state, step, step_state, story, until, until_step,
};
use crate::place::on_both;

async fn retries(engine: &Engine, id: OrchestrationId, name: &str) -> (u32, u32, u32) {
    let state = state(engine, id).await;
    let (_, step) = state.step(&step(name)).unwrap();
    (step.attempt, step.retries, step.lapses)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_is_tried_again_after_its_backoff() {
    on_both(async |place| {
        let (clock, seen) = (clock(), Seen::default());
        let noting = seen.clone();
        let performing = performer(move |assignment| {
            noting.note(&assignment);
            async move {
                match assignment.attempt {
                    1 => failure(ErrorClass::Transient),
                    2 => failure(ErrorClass::InvalidOutput),
                    _ => done(),
                }
            }
        });
        let house = House::open(
            &place,
            &clock,
            vec![agent("a", "maxRetries = 2")],
            performing,
        )
        .await;
        let id = begin(&house.engine, 1).await;
        until_step(&house.engine, id, "a", "ready").await;
        let due = state(&house.engine, id).await.steps[0].due_at.unwrap();
        // The clock stands still, and so does the step.
        tokio::time::sleep(Duration::from_millis(50)).await;
        if due > crate::house::START {
            assert_eq!(seen.of("a"), 1);
        }
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(retries(&house.engine, id, "a").await, (3, 2, 0));
        assert_eq!(
            story(&house.engine, id, "a").await,
            [
                "step_ready",
                "attempt_started",
                "attempt_failed",
                "retry_scheduled",
                "attempt_started",
                "attempt_failed",
                "retry_scheduled",
                "attempt_started",
                "step_completed"
            ]
        );
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn used_up_retries_fail_the_step_and_skip_what_needs_it_and_nothing_else() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![
            agent("bad", "maxRetries = 1"),
            after("needs-bad", &["bad"], ""),
            agent("good", ""),
        ];
        let house = House::open(
            &place,
            &clock,
            agents,
            performer(|assignment| async move {
                match assignment.step.as_str() {
                    "bad" => failure(ErrorClass::InvalidOutput),
                    _ => done(),
                }
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Partial);
        assert_eq!(step_state(&state, "bad"), StepState::Ended(EndedAs::Failed));
        assert_eq!(
            step_state(&state, "needs-bad"),
            StepState::Ended(EndedAs::Skipped)
        );
        assert_eq!(
            step_state(&state, "good"),
            StepState::Ended(EndedAs::Completed)
        );
        assert_eq!(retries(&house.engine, id, "bad").await, (2, 1, 0));
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_waits_as_asked_and_uses_no_retry() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![agent("a", "maxRetries = 0")],
            performer(|assignment| async move {
                if assignment.attempt > 4 {
                    return done();
                }
                Performed::Failed {
                    class: ErrorClass::RateLimited,
                    message: "slow down".to_owned(),
                    retry_after: Some(Millis(7_000)),
                }
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        until("the first attempt was turned away", async || {
            state(&house.engine, id).await.steps[0].due_at
                >= Some(crate::house::START + Millis(7_000))
        })
        .await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(retries(&house.engine, id, "a").await, (5, 0, 0));
        house.close().await;
    })
    .await;
}

/// Partial work is kept on a timeout, typed and never promoted (KiroCrew #853: 5 of 8 agents done, result null; lionagi #1152).
#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_keeps_what_there_is() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![
            agent("slow", "timeout = 30000\nmaxRetries = 0"),
            after("strict", &["slow"], ""),
            agent(
                "lenient",
                "dependencies = [{ agent = \"slow\", acceptsPartial = true }]",
            ),
            agent("empty", "timeout = 30000\nmaxRetries = 0"),
        ];
        let house = House::open(
            &place,
            &clock,
            agents,
            performer(|assignment| async move {
                match assignment.step.as_str() {
                    "slow" => assignment.kept.put(json!({"pages": [1, 2, 3]})),
                    "empty" => {}
                    _ => return done(),
                }
                std::future::pending().await
            }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Partial);
        let (_, slow) = state.step(&step("slow")).unwrap();
        assert_eq!(slow.state, StepState::Ended(EndedAs::Partial));
        let enrichment = slow.enrichment.as_ref().unwrap();
        assert_eq!(enrichment.status, EnrichmentStatus::Partial);
        assert!(enrichment.reason.as_ref().unwrap().contains("30000 ms"));
        assert_eq!(
            given(&house.engine, id, &state, "slow").await,
            json!({"pages": [1, 2, 3]})
        );
        assert_eq!(
            step_state(&state, "strict"),
            StepState::Ended(EndedAs::Skipped)
        );
        assert_eq!(
            step_state(&state, "lenient"),
            StepState::Ended(EndedAs::Completed)
        );
        assert_eq!(
            step_state(&state, "empty"),
            StepState::Ended(EndedAs::Timeout)
        );
        house.close().await;
    })
    .await;
}

/// A panic ends the attempt and nothing else, whether it comes with the call or later.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_breaks_down_fails_alone() {
    on_both(async |place| {
        let agents = vec![agent("at-once", ""), agent("later", ""), agent("good", "")];
        let performing = performer(|assignment| {
            assert!(assignment.step.as_str() != "at-once", "broken at once");
            async move {
                tokio::task::yield_now().await;
                assert!(assignment.step.as_str() != "later", "broken later");
                done()
            }
        });
        let house = House::open(&place, &clock(), agents, performing).await;
        for n in 0..3 {
            let id = begin(&house.engine, n).await;
            let state = ended(&house.engine, id).await;
            assert_status(&state, Status::Partial);
            for (name, said) in [("at-once", "broken at once"), ("later", "broken later")] {
                let (_, step) = state.step(&step(name)).unwrap();
                assert_eq!(step.state, StepState::Ended(EndedAs::Failed));
                let error = step.last_error.clone().unwrap();
                assert_eq!(error, format!("the agent broke down: {said}"));
            }
        }
        assert_eq!(house.engine.slots.available_permits(), 8);
        house.close().await;
    })
    .await;
}

/// The poison item whose failure came before the attempt counter was rescanned for ever (OpenDigitalProductFactory PR #2072,
/// on Inngest's queue): ours counts at the claim, so that a step which cannot even be prepared ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_prepared_fails_after_its_retries_and_holds_nobody_up() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![agent("a", "maxRetries = 2"), after("b", &["a"], "")],
            performer(|_| async { done() }),
        )
        .await;
        let submission = crate::house::submission(&house.engine);
        let plan = crate::house::plan("A plan that was lost.");
        let created = {
            // As a damaged database looks: the orchestration names a plan that is not stored.
            let engine = &house.engine;
            let selection = domain::orchestration::select::select(
                engine.registry.snapshot().enabled(),
                &submission.wanted,
                None,
                &domain::orchestration::prior::Given::default(),
                &|_| None,
                &domain::money::prices::Prices::built_in(),
            )
            .unwrap();
            let pinned = domain::orchestration::submission::Pinned {
                agents: selection.definitions,
                parameters: submission.parameters.clone(),
            };
            let (hash, blob) = engine::project::blob(serde_json::to_vec(&pinned).unwrap());
            let created = domain::orchestration::event::Created {
                account: submission.account.clone(),
                name: "lost".to_owned(),
                plan: plan.hash,
                pinned: hash,
                submission: None,
                reuse: false,
                steps: selection.steps,
                excluded: Vec::new(),
                request: domain::orchestration::event::Request::default(),
                version: 1,
                budget: None,
                spawning: None,
            };
            (created, blob)
        };
        let lost = crate::house::id(7);
        let command = Command::Create(Box::new(created.0));
        engine::transition::transition(&house.engine, lost, command, vec![created.1])
            .await
            .unwrap();
        // Its neighbours go on meanwhile.
        let good = begin(&house.engine, 8).await;
        assert_status(
            &ended_in_time(&house.engine, &clock, good).await,
            Status::Complete,
        );
        // It can be cancelled at any time, and where nobody does, it ends by itself.
        let mut rounds = 0;
        until("the lost one has ended", async || {
            rounds += 1;
            clock.advance(Millis(if rounds % 20 == 0 { 60_000 } else { 1_000 }));
            tokio::time::sleep(Duration::from_millis(5)).await;
            state(&house.engine, lost).await.status().ended()
        })
        .await;
        assert_status(&state(&house.engine, lost).await, Status::Failed);
        house.close().await;
    })
    .await;
}

/// Charge once although work retries (elizaOS PR #10930: the acknowledgement was lost after the commit, and the retry
/// charged again; ever-works PR #2311): a report that is handed in again is refused, the enrichment stands once.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_handed_in_twice_counts_once() {
    on_both(async |place| {
        let priced = "costPerRun = \"0.5\"\napproval = \"required\"";
        let house = House::open(
            &place,
            &clock(),
            vec![
                agent("a", "costPerRun = \"0.5\""),
                after("b", &["a"], priced),
            ],
            performer(|_| async { done() }),
        )
        .await;
        let id = begin(&house.engine, 1).await;
        until_step(&house.engine, id, "a", "completed").await;
        let before = events(&house.engine, id).await;
        let (holder, attempt, data) =
            before
                .iter()
                .fold((None, 0, None), |found, recorded| match &recorded.event {
                    Event::AttemptStarted {
                        holder,
                        epoch,
                        attempt,
                        ..
                    } => {
                        let holder = domain::orchestration::command::Holder {
                            id: *holder,
                            epoch: *epoch,
                        };
                        (Some(holder), *attempt, found.2)
                    }
                    Event::StepCompleted { enrichment, .. } => {
                        (found.0, found.1, Some(enrichment.data))
                    }
                    _ => found,
                });
        for _ in 0..3 {
            let again = Command::Finish {
                step: step("a"),
                attempt,
                holder: holder.unwrap(),
                report: Report::Completed(domain::orchestration::command::Output {
                    data: data.unwrap(),
                }),
                usage: domain::money::usage::Usage::default(),
            };
            let answer = ask(&house.engine, id, again).await;
            assert!(matches!(answer, Err(TransitionError::Rejected(_))));
        }
        assert_eq!(events(&house.engine, id).await, before);
        let head = state(&house.engine, id).await.head.unwrap();
        assert_eq!(head.version, 2);
        assert_eq!(head.cost.to_string(), "0.5");
        house.close().await;
    })
    .await;
}
