//! Agents outside: what they are sent, what their answers and silences mean.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::orchestration::event::{EndedAs, Event, Request};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Orchestration, Status, StepState};
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Millis;
use engine::agents::seeds;
use engine::billing::Billing;
use engine::clock::{Clock, ManualClock};
use engine::handle::{Engine, Parts, Scope};
use engine::outside::{EVERY_AGENT, Outside};
use engine::perform::Performer;
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::replica::Replica;
use engine::submit::Submission;
use providers::outgoing::{Outgoing, OutgoingSettings};
use providers::sign::SigningSecret;
use serde_json::json;

use crate::house::{
    House, agent, assert_status, begin_as, clock, ended, ended_in_time, events, given, holder,
    step, step_state, until,
};
use crate::place::Place;
use crate::stub::{self, Said, Stub};

/// The seed's plan, with a key that one of its agents would like to have.
const PLAN: &str =
    r#"{ "title": "My Plan", "description": "...",  "requirements": ["fast", 1.10] }"#;

/// A replica that reaches `stub`, where agents without an executor are, too.
pub async fn house(
    place: &Place,
    clock: &ManualClock,
    agents: Vec<AgentDefinition>,
    stub: &Stub,
) -> House {
    let engine = engine(place, clock, agents, stub).await;
    let replica = Replica::start(&engine, holder(), "test").await.unwrap();
    House { engine, replica }
}

pub async fn engine(
    place: &Place,
    clock: &ManualClock,
    agents: Vec<AgentDefinition>,
    stub: &Stub,
) -> Engine {
    let registry = Registry::built_in().unwrap();
    agents.into_iter().for_each(|agent| registry.add(agent));
    let outgoing = Outgoing::new(OutgoingSettings {
        allow: vec![stub.allowed()],
        ..OutgoingSettings::default()
    });
    let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let engine = Engine::new(Parts {
        store: place.store().await,
        clock: Clock::Manual(clock.clone()),
        registry,
        performer: Performer::Executors,
        outside: Outside {
            outgoing: Some(outgoing.unwrap()),
            agents_base_url: Some(stub.url.clone()),
            signing_secrets: BTreeMap::from([(EVERY_AGENT.to_owned(), secret)]),
            ..Outside::default()
        },
        billing: Billing::default(),
        sharing: engine::sharing::Sharing::default(),
        slots: 8,
    });
    engine.set_scope(Scope::Everything);
    engine
}

/// A JSON plan for all agents that are registered, as the seed's route submits it.
fn seed_submission(engine: &Engine, plan: &str) -> Submission {
    let agents = engine.registry.snapshot();
    let all = agents.by_default();
    let plan = Arc::new(LoadedPlan::of_json(plan).unwrap());
    let mut submission = Submission::new(
        AccountId::system(),
        "My Plan".to_owned(),
        plan,
        Wanted::Default(all),
    );
    submission.request = Request {
        plan_id: Some("plan-123".to_owned()),
        ..Request::default()
    };
    submission.fresh = true;
    submission
}

pub async fn begin(engine: &Engine, n: u128) -> OrchestrationId {
    begin_as(engine, n, seed_submission(engine, PLAN)).await.id
}

/// An agent below the stub that is tried `retries` times again.
pub fn outsider(id: &str, retries: u32) -> AgentDefinition {
    agent(
        id,
        &format!("maxRetries = {retries}\ninputSchema = {{ fields = ['plan'] }}"),
    )
}

pub fn ended_as(state: &Orchestration, name: &str) -> EndedAs {
    match step_state(state, name) {
        StepState::Ended(ended) => ended,
        other => panic!("{name} is {}", other.name()),
    }
}

#[tokio::test]
async fn the_seeds_session_completes_with_its_two_agents() {
    let stub = Stub::open(|asked, _| {
        stub::json(if asked.path.contains("security") {
            json!({"issues": ["a"], "recommendations": [], "tokensUsed": 2100})
        } else {
            json!({"bottlenecks": [], "recommendations": ["b"], "tokensUsed": 1400})
        })
    })
    .await;
    for place in Place::both() {
        let house = house(&place, &clock(), seeds().unwrap(), &stub).await;
        let before = stub.asked().len();
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        let head = state.head.as_ref().unwrap();
        assert_eq!(head.cost, "0.90".parse::<Credits>().unwrap());
        assert_eq!((head.version, state.steps.len()), (3, 2));
        let (_, security) = state.step(&step("security-review")).unwrap();
        assert_eq!(
            security.enrichment.as_ref().unwrap().tokens_used,
            Some(2100)
        );
        assert_eq!(
            given(&house.engine, id, &state, "security-review").await,
            json!({"issues": ["a"], "recommendations": []})
        );
        let asked = stub.asked().split_off(before);
        assert_eq!(asked[0].path, "/api/agents/security-review/invoke");
        assert_eq!(asked[1].path, "/api/agents/performance-analysis/invoke");
        house.close().await;
    }
}

#[tokio::test]
async fn an_agent_is_sent_every_field_of_the_seeds_context_and_its_inputs_as_they_came() {
    let stub = Stub::open(|asked, _| {
        stub::json(if asked.path.contains("security") {
            json!({"issues": [], "recommendations": [], "tokensUsed": 7})
        } else {
            json!({"bottlenecks": [], "recommendations": []})
        })
    })
    .await;
    let place = Place::sqlite();
    let house = house(&place, &clock(), seeds().unwrap(), &stub).await;
    let id = begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    let (_, security) = state.step(&step("security-review")).unwrap();
    let data = json!({"issues": [], "recommendations": []});
    let asked = &stub.asked()[1];
    let expected = json!({
        "planId": "plan-123",
        "planVersion": 2,
        "priorEnrichments": {"security-review": {
            "agentId": "security-review",
            "timestamp": 1_700_000_000_000_u64,
            "status": "completed",
            "data": data,
            "metadata": {
                "inputHash": security.enrichment.as_ref().unwrap().input.to_string(),
                "tokensUsed": 7,
                "creditsCharged": 0.5,
                "executionTimeMs": 0,
            },
        }},
        "agentOutputs": {"security-review": data},
        "fileContextSnapshot": {
            "fileTree": format!("plan.json ({} bytes)\n", PLAN.len()),
            "changedFiles": [],
            "gitDiff": "",
        },
        "userId": "system",
        "costBudget": 1000,
        "creditsRemaining": 999.5,
        "orchestrationId": id.to_string(),
        "runId": format!("{id}/performance-analysis/1"),
        "stepNumber": 2,
        "agent": {"id": "performance-analysis", "version": "1"},
        "stepId": "performance-analysis",
        "attempt": 1,
        "parameters": {},
        "inputs": {
            "plan": serde_json::from_str::<serde_json::Value>(PLAN).unwrap(),
            "missing": ["architecture", "metrics"],
        },
    });
    assert_eq!(asked.body, expected);
    let raw = String::from_utf8(asked.raw.clone()).unwrap();
    assert!(raw.contains(PLAN), "the plan's own text is passed on");
    let first = &stub.asked()[0].body;
    assert_eq!(first["inputs"]["requirements"], json!(["fast", 1.10]));
    assert_eq!(first["inputs"]["missing"], json!(["architecture"]));
    assert_eq!(asked.header("traceparent").len(), 55);
    assert!(asked.header("webhook-signature").starts_with("v1,"));
    assert!(!asked.header("afterplan-deadline").is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_new_revision_of_a_plan_tells_what_has_changed() {
    let stub = Stub::open(|_, _| stub::json(json!({}))).await;
    let place = Place::sqlite();
    let house = house(&place, &clock(), vec![outsider("a", 0)], &stub).await;
    for (n, text) in [
        (1, "{\n\"title\": \"old\"\n}"),
        (2, "{\n\"title\": \"new\"\n}"),
    ] {
        let id = begin_as(&house.engine, n, seed_submission(&house.engine, text))
            .await
            .id;
        assert_status(&ended(&house.engine, id).await, Status::Complete);
    }
    let asked = stub.asked();
    let snapshot = |n: usize| &asked[n].body["fileContextSnapshot"];
    assert_eq!(snapshot(0)["changedFiles"], json!([]));
    assert_eq!(snapshot(1)["changedFiles"], json!(["plan.json"]));
    let diff = snapshot(1)["gitDiff"].as_str().unwrap();
    assert!(
        diff.contains("-\"title\": \"old\"\n+\"title\": \"new\"\n"),
        "{diff}"
    );
    house.close().await;
}

#[tokio::test]
async fn every_attempt_at_a_step_bears_the_same_idempotency_key() {
    let stub = Stub::open(|_, before| match before {
        0 => stub::status(503, ""),
        1 => stub::status(502, ""),
        _ => stub::json(json!({"done": true})),
    })
    .await;
    let clock = clock();
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![outsider("a", 2)], &stub).await;
    let id = begin(&house.engine, 1).await;
    let state = ended_in_time(&house.engine, &clock, id).await;
    assert_status(&state, Status::Complete);
    let asked = stub.asked();
    let attempts: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("afterplan-attempt"))
        .collect();
    assert_eq!(attempts, ["1", "2", "3"]);
    for asked in &asked {
        assert_eq!(asked.header("idempotency-key"), format!("{id}/a"));
    }
    assert_ne!(
        asked[0].header("traceparent"),
        asked[1].header("traceparent")
    );
    assert_eq!(state.step(&step("a")).unwrap().1.retries, 2);
    house.close().await;
}

#[tokio::test]
async fn an_agent_that_asks_to_wait_is_asked_again_then_and_uses_no_retry() {
    let stub = Stub::open(|_, before| match before {
        0 => stub::status(429, "retry-after: 30\r\n"),
        _ => stub::json(json!({"done": true})),
    })
    .await;
    let clock = clock();
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![outsider("a", 0)], &stub).await;
    let id = begin(&house.engine, 1).await;
    let state = ended_in_time(&house.engine, &clock, id).await;
    assert_status(&state, Status::Complete);
    let (_, found) = state.step(&step("a")).unwrap();
    assert_eq!(found.retries, 0);
    let waited = found.started_at.unwrap() - crate::house::START;
    assert!(waited >= Millis(30_000), "{waited:?}");
    assert_eq!(house.engine.breakers.all(house.engine.clock.now()), []);
    house.close().await;
}

#[tokio::test]
async fn what_an_agent_had_when_its_time_was_over_is_kept() {
    let lines = "{\"type\":\"progress\",\"data\":{\"at\":1}}\n{\"type\":\"partial\",\"data\":{\"found\":1}}\n{\"type\":\"usage\",\"data\":{\"tokensUsed\":5}}\n{\"type\":\"partial\",\"data\":{\"more\":[2]}}\n";
    let stub = Stub::open(move |_, _| Said::Begun("application/x-ndjson", lines.to_owned())).await;
    let clock = clock();
    let slow = agent("a", "maxRetries = 0\ntimeout = 30_000");
    let place = Place::sqlite();
    let house = house(&place, &clock, vec![slow], &stub).await;
    let mut deltas = house.engine.live.deltas(crate::house::id(1));
    let id = begin(&house.engine, 1).await;
    let mut told = Vec::new();
    while told.last() != Some(&json!({"found": 1, "more": [2]})) {
        told.push(deltas.recv().await.unwrap().data.clone());
    }
    assert_eq!(told[0], json!({"at": 1}));
    clock.advance(Millis(30_000));
    let state = ended(&house.engine, id).await;
    assert_eq!(ended_as(&state, "a"), EndedAs::Partial);
    assert_eq!(
        given(&house.engine, id, &state, "a").await,
        json!({"found": 1, "more": [2]})
    );
    let (_, found) = state.step(&step("a")).unwrap();
    assert_eq!(found.enrichment.as_ref().unwrap().tokens_used, Some(5));
    house.close().await;
}

#[tokio::test]
async fn an_output_that_does_not_fit_is_an_invalid_one_and_says_where() {
    let stub = Stub::open(|_, _| stub::json(json!({"issues": "none"}))).await;
    let picky = agent(
        "a",
        "maxRetries = 0\noutputSchema = { fields = { issues = [], score = 0 } }",
    );
    let place = Place::sqlite();
    let house = house(&place, &clock(), vec![picky], &stub).await;
    let id = begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    assert_eq!(ended_as(&state, "a"), EndedAs::Failed);
    let told = events(&house.engine, id).await;
    let failed = told.iter().find_map(|recorded| match &recorded.event {
        Event::AttemptFailed { class, message, .. } => Some((*class, message.clone())),
        _ => None,
    });
    let (class, message) = failed.unwrap();
    assert_eq!(class, ErrorClass::InvalidOutput);
    assert!(
        message.contains("/issues") && message.contains("score"),
        "{message}"
    );
    house.close().await;
}

#[tokio::test]
async fn a_cancel_closes_the_request() {
    let stub = Stub::open(|_, _| Said::Begun("application/x-ndjson", String::new())).await;
    let place = Place::sqlite();
    let house = house(&place, &clock(), vec![outsider("a", 0)], &stub).await;
    let id = begin(&house.engine, 1).await;
    until("it is asked", async || stub.asked().len() == 1).await;
    let cancel = domain::orchestration::command::Command::Cancel {
        step: None,
        reason: "as the test says".to_owned(),
        grace: Millis(60_000),
    };
    crate::house::ask(&house.engine, id, cancel).await.unwrap();
    // The clock stands still: no grace passes.
    assert_status(&ended(&house.engine, id).await, Status::Cancelled);
    house.close().await;
}

#[tokio::test]
async fn an_agent_that_may_not_be_reached_is_not() {
    let stub = Stub::open(|_, _| stub::json(json!({}))).await;
    let other = Stub::open(|_, _| stub::json(json!({}))).await;
    let inside = agent(
        "a",
        &format!("executor = {{ kind = 'http', url = '{}/x' }}", other.url),
    );
    let place = Place::sqlite();
    let house = house(&place, &clock(), vec![inside], &stub).await;
    let id = begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    assert_eq!(ended_as(&state, "a"), EndedAs::Failed);
    assert_eq!(state.step(&step("a")).unwrap().1.attempt, 1);
    assert!(other.asked().is_empty());
    house.close().await;
}
