//! Lists, an orchestration's page, and steering it.

use std::sync::atomic::Ordering;

use domain::values::ids::HolderId;
use domain::values::role::Role;
use engine::replica::Replica;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stage::{Stage, answer, assert_problem, request_for};

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

/// The names under `id` in the list at `path`, so many at one time.
async fn listed(stage: &Stage, key: &str, name: &str, limit: usize) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/{name}?limit={limit}{cursor}");
        let ask = stage.ask(Method::GET, &path).bearer_auth(key);
        let (status, page) = answer(ask).await;
        assert_eq!(status, 200, "{page}");
        let part = page[name].as_array().unwrap();
        assert!(part.len() <= limit, "{page}");
        items.extend(part.clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn agents_accounts_keys_and_replicas_are_listed_page_by_page() {
    let stage = Stage::open().await;
    let admin = stage.key("system", Role::Admin).await;
    for account in ["zoe", "ann", "bob"] {
        let key = stage.key(account, Role::Operator).await;
        let request = request_for(&["security-review"]);
        let ask = stage.ask(Method::POST, "/api/orchestrate?wait=0");
        assert_eq!(answer(ask.bearer_auth(key).json(&request)).await.0, 202);
    }
    let other = HolderId(Uuid::now_v7());
    let other = Replica::start(&stage.engine, other, "other").await.unwrap();
    for (name, count) in [("agents", 2), ("accounts", 4), ("keys", 4), ("replicas", 2)] {
        let all = listed(&stage, &admin, name, 100).await;
        assert_eq!(all.len(), count, "{name}: {all:?}");
        for limit in [1, 3] {
            let paged = listed(&stage, &admin, name, limit).await;
            let ids = |all: &[Value]| all.iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
            assert_eq!(ids(&paged), ids(&all), "{name} by {limit}");
        }
    }
    other.stop().await.unwrap();
    stage.close().await;
}

/// What has begun goes on with the definitions that it began with, whatever is registered or retired meanwhile.
#[tokio::test]
async fn an_orchestration_goes_on_with_the_versions_that_it_pinned() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let after = |version: &str, cost: f64| json!({"version": version, "costPerRun": cost, "dependencies": ["slow-one"]});
    stage.register("next", after("1", 0.25)).await;
    let begin = async || {
        let (status, begun) = stage
            .post("/api/orchestrate?wait=0", request_for(&["next"]))
            .await;
        assert_eq!(status, 202, "{begun}");
        begun["orchestrationId"].as_str().unwrap().to_owned()
    };
    let first = begin().await;
    stage.register("next", after("2", 0.75)).await;
    let retired = stage.ask(Method::DELETE, "/api/agents/next/versions/1");
    assert_eq!(answer(retired).await.0, 204);
    let second = begin().await;
    for (id, cost) in [(first, 0.25), (second, 0.75)] {
        let shown = loop {
            stage.stub.released.notify_waiters();
            let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
            if shown["status"] == "complete" {
                break shown;
            }
        };
        assert_eq!(shown["creditsUsed"], json!(cost), "{shown}");
    }
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
    let delete = |path: &str| stage.ask(Method::DELETE, path);
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
