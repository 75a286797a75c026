//! A pause stops a conversation at its next turn: what has begun ends and is recorded, nothing more is asked, and after the resume it
//! goes on from there.

use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::command::Command;
use domain::orchestration::state::{Orchestration, Status, StepState};
use domain::orchestration::turns::Asked;
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::time::Millis;
use engine::handle::Engine;
use serde_json::json;
use tokio::sync::Barrier;

use crate::converse::{talker, talks, turns};
use crate::converse_bounds::begin_one;
use crate::converse_children::calls;
use crate::converse_models::{openai, streamed};
use crate::house::{House, ask, assert_status, clock, ended, state, step, until, until_step};
use crate::place::{Place, on_both};
use crate::stub::{Said, Stub};

/// The same answer, the last part of which waits at the barrier.
fn held_back(said: Said, barrier: &Arc<Barrier>) -> Said {
    match said {
        Said::Streamed(kind, text) => Said::Parts(kind, vec![(Some(barrier.clone()), text)]),
        _ => panic!("not streamed"),
    }
}

/// A provider that answers the first question when the barrier opens.
async fn provider(first: impl Fn() -> Said + Send + Sync + 'static) -> (Stub, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    let held = barrier.clone();
    let stub = Stub::open(move |_, before| match before {
        0 => held_back(first(), &held),
        _ => streamed(&json!({"content": "All is well."})),
    });
    (stub.await, barrier)
}

fn asking(id: &str, rest: &str) -> AgentDefinition {
    AgentDefinition {
        model: Some("stub/m".to_owned()),
        ..talker(id, rest)
    }
}

async fn until_asked(provider: &Stub, times: usize) {
    until("it is asked", async || provider.asked().len() == times).await;
}

fn stood(state: &Orchestration) -> (StepState, u32, u32, u32) {
    let (_, step) = state.step(&step("a")).unwrap();
    (step.state, step.attempt, step.retries, step.lapses)
}

/// Pauses it while its first question is under way, and says how it stood after that.
async fn paused_in_the_first_question(
    (house, provider, barrier): (&House, &Stub, &Barrier),
    (elsewhere, n): (&Engine, u128),
    which: Option<StepId>,
) -> (OrchestrationId, Orchestration) {
    let id = begin_one(&house.engine, n, "a").await;
    until_asked(provider, 1).await;
    let pause = Command::Pause { step: which };
    ask(elsewhere, id, pause).await.unwrap();
    barrier.wait().await;
    until_step(&house.engine, id, "a", "ready").await;
    assert_eq!(provider.asked().len(), 1, "nothing more is asked");
    (id, state(&house.engine, id).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_from_anywhere_gives_the_attempt_back_between_two_turns_and_a_resume_goes_on_from_there()
 {
    on_both(async |place| {
        for (n, which) in [(1, None), (2, Some(step("a")))] {
            let clock = clock();
            let (provider, barrier) = provider(|| calls("list_artifacts", &json!({}))).await;
            let agents = || vec![asking("a", "toolNames = ['list_artifacts']")];
            let setup = || talks(&clock, agents(), openai(&provider));
            let house = setup().open(&place).await;
            let elsewhere = setup().engine(&place).await;
            let parts = (&house, &provider, &*barrier);
            let (id, paused) =
                paused_in_the_first_question(parts, (&elsewhere, n), which.clone()).await;
            assert_eq!(stood(&paused), (StepState::Ready, 1, 0, 0), "no failure");
            ask(&elsewhere, id, Command::Resume { step: which })
                .await
                .unwrap();
            let state = ended(&house.engine, id).await;
            assert_status(&state, Status::Complete);
            assert_eq!(stood(&state).1, 2);
            assert_eq!(provider.asked().len(), 2, "no question is asked again");
            let asked = turns(&house.engine, id, "a").await;
            assert_eq!(
                asked,
                [(1, Asked::Model), (2, Asked::Tools), (3, Asked::Model)]
            );
            elsewhere.store.close().await;
            house.close().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_paused_spawns_nobody_and_can_be_cancelled_at_once() {
    for resumes in [true, false] {
        let (place, clock) = (Place::sqlite(), clock());
        let kid = json!({"agents": [{"agent_type": "kid"}]});
        let (provider, barrier) = provider(move || calls("spawn_agents", &kid)).await;
        let agents = vec![
            asking(
                "a",
                "toolNames = ['spawn_agents']
spawnableAgents = ['kid']",
            ),
            asking("kid", ""),
        ];
        let house = talks(&clock, agents, openai(&provider)).open(&place).await;
        let parts = (&house, &provider, &*barrier);
        let (id, paused) = paused_in_the_first_question(parts, (&house.engine, 1), None).await;
        assert_eq!(paused.steps.len(), 1, "no child");
        let (command, status, steps) = match resumes {
            true => (Command::Resume { step: None }, Status::Complete, 2),
            false => {
                let cancel = Command::Cancel {
                    step: None,
                    reason: "no longer wanted".to_owned(),
                    grace: Millis(60_000),
                };
                (cancel, Status::Cancelled, 1)
            }
        };
        ask(&house.engine, id, command).await.unwrap();
        let state = ended(&house.engine, id).await;
        assert_status(&state, status);
        assert_eq!(state.steps.len(), steps);
        house.close().await;
    }
}

/// A question that fails is one that is not asked again before the resume, although it has retries left; and its failure counts for
/// nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_fails_in_a_pause_is_asked_again_when_it_is_resumed() {
    let (place, clock) = (Place::sqlite(), clock());
    let event = json!({"choices": [{"index": 0, "delta": {"content": "We"}}]});
    let (provider, barrier) =
        provider(move || Said::Streamed("text/event-stream", format!("data: {event}\n\n"))).await;
    let house = talks(&clock, vec![asking("a", "")], openai(&provider))
        .open(&place)
        .await;
    let parts = (&house, &provider, &*barrier);
    let (id, paused) = paused_in_the_first_question(parts, (&house.engine, 1), None).await;
    assert_eq!(stood(&paused), (StepState::Ready, 1, 0, 0), "no failure");
    ask(&house.engine, id, Command::Resume { step: None })
        .await
        .unwrap();
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    assert_eq!((stood(&state).1, provider.asked().len()), (2, 2));
    house.close().await;
}

/// Resumed before the turn has ended, it goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_is_over_before_the_turn_is_changes_nothing() {
    let (place, clock) = (Place::sqlite(), clock());
    let (provider, barrier) = provider(|| calls("list_artifacts", &json!({}))).await;
    let agents = vec![asking("a", "toolNames = ['list_artifacts']")];
    let house = talks(&clock, agents, openai(&provider)).open(&place).await;
    let id = begin_one(&house.engine, 1, "a").await;
    until_asked(&provider, 1).await;
    for command in [
        Command::Pause { step: None },
        Command::Resume { step: None },
    ] {
        ask(&house.engine, id, command).await.unwrap();
    }
    barrier.wait().await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    assert_eq!((stood(&state).1, provider.asked().len()), (1, 2));
    house.close().await;
}

/// The last answer ends the conversation: there is nothing more to ask.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_said_all_ends_in_a_pause_too() {
    let (place, clock) = (Place::sqlite(), clock());
    let (provider, barrier) = provider(|| streamed(&json!({"content": "Well."}))).await;
    let house = talks(&clock, vec![asking("a", "")], openai(&provider))
        .open(&place)
        .await;
    let id = begin_one(&house.engine, 1, "a").await;
    until_asked(&provider, 1).await;
    ask(&house.engine, id, Command::Pause { step: None })
        .await
        .unwrap();
    barrier.wait().await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    house.close().await;
}
