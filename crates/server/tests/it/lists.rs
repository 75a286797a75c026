//! Lists, an orchestration's page, and steering it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::stage::{Stage, assert_problem, request_for};

#[tokio::test]
async fn orchestrations_are_listed_page_by_page() {
    let stage = Stage::open().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let (_, body) = stage
            .post("/api/orchestrate", request_for(&["security-review"]))
            .await;
        made.insert(0, body["orchestrationId"].clone());
    }
    let (mut seen, mut path) = (Vec::new(), "/api/orchestrations?limit=2".to_owned());
    loop {
        let (status, page) = stage.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let lines = page["orchestrations"].as_array().unwrap();
        seen.extend(lines.iter().map(|line| line["orchestrationId"].clone()));
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/orchestrations?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "the newest first, each once");
    let (_, none) = stage.get("/api/orchestrations?unended=true").await;
    assert_eq!(none["orchestrations"], json!([]));
    stage.close().await;
}

async fn begin_slow(stage: &Stage) -> String {
    stage.register("slow-one", json!({})).await;
    stage
        .register("next", json!({"dependencies": ["slow-one"]}))
        .await;
    let (status, body) = stage
        .post("/api/orchestrate?wait=0", request_for(&["next"]))
        .await;
    assert_eq!(status, 202, "{body}");
    while stage.stub.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    body["orchestrationId"].as_str().unwrap().to_owned()
}

fn step<'a>(shown: &'a Value, id: &str) -> &'a Value {
    let steps = shown["steps"].as_array().unwrap();
    steps.iter().find(|step| step["stepId"] == id).unwrap()
}

#[tokio::test]
async fn an_orchestration_shows_what_each_step_waits_for() {
    let stage = Stage::open().await;
    let id = begin_slow(&stage).await;
    let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
    assert_eq!(shown["status"], "running");
    assert_eq!(shown["currentAgents"], json!(["slow-one"]));
    assert_eq!(step(&shown, "slow-one")["status"], "running");
    assert_eq!(step(&shown, "next")["waitsFor"], "it waits for `slow-one`");
    stage.close().await;
}

/// What holds back a step that is ready lies outside of its orchestration, and is told all the same.
#[tokio::test]
async fn a_ready_step_says_for_which_counter_it_waits_and_what_it_goes_without() {
    let stage = Stage::open().await;
    let limited = json!({
        "concurrency": {"key": "maps", "max": 1},
        "inputSchema": {"fields": ["plan", "budget.json?"], "context": ["team.md"]},
    });
    stage.register("slow-one", limited.clone()).await;
    stage.register("slow-two", limited).await;
    let mut ids = Vec::new();
    for agent in ["slow-one", "slow-two"] {
        let (status, body) = stage
            .post("/api/orchestrate?wait=0", request_for(&[agent]))
            .await;
        assert_eq!(status, 202, "{body}");
        ids.push(body["orchestrationId"].as_str().unwrap().to_owned());
        while stage.stub.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    }
    let (_, shown) = stage.get(&format!("/api/orchestrations/{}", ids[1])).await;
    let second = step(&shown, "slow-two");
    assert_eq!(second["status"], "ready");
    assert_eq!(
        second["waitsFor"],
        "1 of at most 1 are in flight for `key/maps`"
    );
    assert_eq!(
        second["inputs"],
        json!({"missing": ["budget.json", "team.md"]})
    );
    let (_, shown) = stage.get(&format!("/api/orchestrations/{}", ids[0])).await;
    assert_eq!(step(&shown, "slow-one")["waitsFor"], Value::Null);
    stage.close().await;
}

#[tokio::test]
async fn an_orchestration_is_paused_resumed_and_cancelled() {
    let stage = Stage::open().await;
    let id = begin_slow(&stage).await;
    let at = |verb: &str| format!("/api/orchestrations/{id}{verb}");
    let (status, _) = stage.post(&at("/pause"), json!({})).await;
    assert_eq!(status, 200);
    let (_, shown) = stage.get(&at("")).await;
    assert_eq!(
        (&shown["status"], &shown["paused"]),
        (&json!("running"), &json!(true))
    );
    let (status, _) = stage.post(&at("/resume"), json!({})).await;
    assert_eq!(status, 200);
    assert_problem(
        &stage.post(&at("/pause"), json!({"step": "nobody"})).await,
        404,
        "not-found",
    );
    assert_problem(
        &stage.post(&at("/steps/next/approve"), json!({})).await,
        409,
        "conflict",
    );
    let (status, body) = stage
        .post(&at("/cancel"), json!({"reason": "enough", "grace": 0.0}))
        .await;
    assert_eq!(status, 200, "{body}");
    let (_, shown) = stage.get(&at("")).await;
    assert_eq!(
        (&shown["status"], &shown["reason"]),
        (&json!("cancelled"), &json!("enough")),
        "{shown}"
    );
    stage.close().await;
}

#[tokio::test]
async fn agents_are_versioned_and_retired() {
    let stage = Stage::open().await;
    stage
        .register("judge", json!({"version": "1", "description": "first"}))
        .await;
    stage
        .register("judge", json!({"version": "2", "description": "second"}))
        .await;
    let (_, shown) = stage.get("/api/agents/judge").await;
    assert_eq!(shown["agent"]["description"], "second");
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
    let (_, first) = stage.get("/api/agents/judge/versions/1").await;
    assert_eq!(first["agent"]["description"], "first");
    let delete = |path: &str| stage.ask(reqwest::Method::DELETE, path);
    let gone = delete("/api/agents/judge/versions/2").send().await.unwrap();
    assert_eq!(gone.status(), 204);
    let (_, shown) = stage.get("/api/agents/judge").await;
    assert_eq!(shown["agent"]["version"], "1");
    delete("/api/agents/judge").send().await.unwrap();
    let (_, list) = stage.get("/api/agents").await;
    assert!(!list.to_string().contains("\"judge\""), "{list}");
    let answer = stage
        .post("/api/orchestrate", request_for(&["judge"]))
        .await;
    assert_problem(&answer, 422, "refused");
    stage.close().await;
}

#[tokio::test]
async fn the_account_and_the_replica_are_there_from_the_start() {
    let stage = Stage::open().await;
    let (_, accounts) = stage.get("/api/accounts").await;
    assert_eq!(accounts["accounts"][0]["id"], "system");
    assert_eq!(accounts["accounts"][0]["defaultBudget"], json!(1000));
    let (status, own) = stage.get("/api/accounts/me").await;
    assert_eq!((status, &own["id"]), (200, &json!("system")));
    let (_, replicas) = stage.get("/api/replicas").await;
    assert_eq!(replicas["replicas"][0]["this"], json!(true));
    assert_eq!(replicas["replicas"][0]["alive"], json!(true));
    stage.close().await;
}

/// A breaker that is open is shown with its agent, and with each step that it holds back.
#[tokio::test]
async fn an_agent_that_is_not_asked_for_a_while_says_so() {
    let stage = Stage::open().await;
    stage
        .register("failing-one", json!({"maxRetries": 0}))
        .await;
    let (_, shown) = stage.get("/api/agents/failing-one").await;
    assert_eq!(
        (&shown["breaker"], &shown["unwell"]),
        (&Value::Null, &Value::Null)
    );
    let id = domain::values::ids::AgentId::new("failing-one").unwrap();
    stage.engine.breakers.unwell(&id, "no route");
    let (_, list) = stage.get("/api/agents").await;
    let lines = list["agents"].as_array().unwrap();
    let line = lines.iter().find(|line| line["id"] == "failing-one");
    assert_eq!(line.unwrap()["unwell"], "no route", "{list}");
    for _ in 0..engine::breaker::FAILURES {
        let (status, body) = stage
            .post("/api/orchestrate", request_for(&["failing-one"]))
            .await;
        assert_eq!((status, &body["status"]), (200, &json!("failed")), "{body}");
    }
    let (_, shown) = stage.get("/api/agents/failing-one").await;
    let breaker = &shown["breaker"];
    assert_eq!(breaker["state"], "open", "{shown}");
    assert!(
        breaker["reason"].as_str().unwrap().contains("500"),
        "{shown}"
    );
    assert!(breaker["retryAt"].as_i64() > breaker["openedAt"].as_i64());
    let (_, begun) = stage
        .post("/api/orchestrate?wait=0", request_for(&["failing-one"]))
        .await;
    let id = begun["orchestrationId"].as_str().unwrap();
    let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
    let held_back = step(&shown, "failing-one");
    assert_eq!(
        (&held_back["status"], &held_back["attempt"]),
        (&json!("ready"), &json!(0))
    );
    let why = held_back["waitsFor"].as_str().unwrap();
    assert!(why.contains("500"), "{why}");
    stage.close().await;
}

/// The time that is left goes by what the agents took before; without a before it is null.
#[tokio::test]
async fn the_time_that_is_left_goes_by_history() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    stage.register("slow-new", json!({})).await;
    let begin = async |agent: &str| {
        let request = request_for(&[agent]);
        let (_, begun) = stage.post("/api/orchestrate?wait=0", request).await;
        begun["orchestrationId"].as_str().unwrap().to_owned()
    };
    let left = async |id: &str| {
        let (_, shown) = stage.get(&format!("/api/orchestrate/{id}")).await;
        shown["estimatedTimeRemaining"].clone()
    };
    let first = begin("slow-one").await;
    loop {
        stage.stub.released.notify_waiters();
        let (_, shown) = stage.get(&format!("/api/orchestrations/{first}")).await;
        if shown["status"] == "complete" {
            break;
        }
    }
    assert_eq!(left(&first).await, json!(0));
    let second = begin("slow-one").await;
    assert!(left(&second).await.is_u64());
    let unknown = begin("slow-new").await;
    assert_eq!(left(&unknown).await, Value::Null);
    stage.close().await;
}
