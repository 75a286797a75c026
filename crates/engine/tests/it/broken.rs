//! Agents outside that fail again and again: they are left alone, and tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::orchestration::event::{EndedAs, Event, FailCause};
use domain::orchestration::state::{Status, StepState};
use domain::values::ids::AgentId;
use domain::values::time::Millis;
use engine::breaker::State;
use serde_json::json;

use crate::house::{
    agent, assert_status, clock, ended, ended_in_time, events, state, step, step_state, until,
};
use crate::outside::{begin, ended_as, house, outsider};
use crate::place::Place;
use crate::stub::{self, Stub};

#[tokio::test]
async fn an_agent_that_fails_again_and_again_is_left_alone_and_its_steps_wait_and_say_why() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let stub = Stub::open(move |_, _| {
        if answers.load(Ordering::SeqCst) {
            stub::json(json!({"done": true}))
        } else {
            stub::status(500, "")
        }
    })
    .await;
    let clock = clock();
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![outsider("a", 0)], &stub).await;
    let engine = &house.engine;
    for n in 0..5 {
        let id = begin(engine, n).await;
        assert_eq!(ended_as(&ended(engine, id).await, "a"), EndedAs::Failed);
    }
    let agent = AgentId::new("a").unwrap();
    let why = engine.breakers.open(&agent, engine.clock.now()).unwrap();
    assert!(why.contains("after 5 failures"), "{why}");
    let waiting = begin(engine, 9).await;
    clock.advance(Millis(5_000));
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let before = state(engine, waiting).await;
    assert_eq!(before.step(&step("a")).unwrap().1.attempt, 0);
    assert_eq!(step_state(&before, "a"), StepState::Ready);
    assert_eq!(stub.asked().len(), 5);
    // The agent is well again: after the pause one attempt tries, and closes the breaker.
    well.store(true, Ordering::SeqCst);
    clock.advance(Millis(5_000));
    assert_eq!(
        engine.breakers.all(engine.clock.now())[0].state,
        State::HalfOpen
    );
    let after = ended_in_time(engine, &clock, waiting).await;
    assert_status(&after, Status::Complete);
    assert_eq!(after.step(&step("a")).unwrap().1.attempt, 1);
    assert_eq!(engine.breakers.all(engine.clock.now()), []);
    house.close().await;
}

#[tokio::test]
async fn a_step_that_waited_too_long_for_a_breaker_fails_with_its_reason() {
    let stub = Stub::open(|_, _| stub::status(500, "")).await;
    let clock = clock();
    let brief = agent("a", "maxRetries = 0\nqueueTimeout = 6_000");
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![brief], &stub).await;
    for n in 0..5 {
        let id = begin(&house.engine, n).await;
        ended(&house.engine, id).await;
    }
    let id = begin(&house.engine, 9).await;
    let state = ended_in_time(&house.engine, &clock, id).await;
    assert_eq!(state.step(&step("a")).unwrap().1.attempt, 0);
    let told = events(&house.engine, id).await;
    let cause = told.iter().find_map(|recorded| match &recorded.event {
        Event::StepFailed { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    let Some(FailCause::QueueTimeout { waited_for }) = cause else {
        panic!("{cause:?}");
    };
    assert!(waited_for.unwrap().contains("the breaker of `a`"));
    house.close().await;
}

#[tokio::test]
async fn an_agent_that_says_that_it_is_well_again_is_tried_before_the_pause_is_over() {
    let well = Arc::new(AtomicBool::new(false));
    let answers = well.clone();
    let stub = Stub::open(move |_, _| {
        if answers.load(Ordering::SeqCst) {
            stub::json(json!({"done": true}))
        } else {
            stub::status(500, "")
        }
    })
    .await;
    let clock = clock();
    let url = &stub.url;
    let asked = agent(
        "a",
        &format!(
            "maxRetries = 0\nexecutor = {{ kind = 'http', url = '{url}/x', health = '{url}/well' }}"
        ),
    );
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![asked], &stub).await;
    let engine = &house.engine;
    for n in 0..5 {
        let id = begin(engine, n).await;
        assert_eq!(ended_as(&ended(engine, id).await, "a"), EndedAs::Failed);
    }
    let waiting = begin(engine, 9).await;
    let probes = || {
        stub.asked()
            .iter()
            .filter(|asked| asked.path == "/well")
            .count()
    };
    // Asked whether it is well, and it is not.
    until("it is asked", async || {
        clock.advance(Millis(100));
        probes() > 0
    })
    .await;
    until("its complaint is noted", async || {
        !engine.breakers.all_unwell().is_empty()
    })
    .await;
    well.store(true, Ordering::SeqCst);
    let over = engine.breakers.all(engine.clock.now())[0].retry_at.unwrap();
    until("it has ended", async || {
        clock.advance(Millis(20));
        state(engine, waiting).await.status().ended()
    })
    .await;
    let after = state(engine, waiting).await;
    assert_status(&after, Status::Complete);
    let (_, found) = after.step(&step("a")).unwrap();
    assert!(found.started_at.unwrap() < over, "{:?}", found.started_at);
    assert!(engine.breakers.all_unwell().is_empty());
    house.close().await;
}

/// An address in a definition comes from outside: a probe must not lead into the network either.
#[tokio::test]
async fn a_probe_asks_no_inner_address() {
    let stub = Stub::open(|_, _| stub::json(json!({}))).await;
    let inner = Stub::open(|_, _| stub::json(json!({}))).await;
    let clock = clock();
    let asked = agent(
        "a",
        &format!(
            "executor = {{ kind = 'http', url = '{}/x', health = '{}/well' }}",
            stub.url, inner.url
        ),
    );
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![asked], &stub).await;
    until("it is looked at", async || {
        clock.advance(Millis(100));
        !house.engine.breakers.all_unwell().is_empty()
    })
    .await;
    let why = house.engine.breakers.all_unwell().into_values().next();
    assert!(why.unwrap().contains("127.0.0.1"));
    assert!(inner.asked().is_empty());
    house.close().await;
}
