//! Writes that are repeated under an `Idempotency-Key`.

use std::sync::atomic::Ordering;

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, assert_problem, request_for};

async fn write(stage: &Stage, key: &str, path: &str, body: &Value) -> (u16, Value) {
    answer(
        stage
            .ask(Method::POST, path)
            .header("idempotency-key", key)
            .json(body),
    )
    .await
}

#[tokio::test]
async fn the_same_write_again_gives_the_same_answer_and_does_nothing() {
    let stage = Stage::open().await;
    let request = request_for(&["security-review"]);
    let first = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_eq!(first.0, 200, "{}", first.1);
    let asked = stage.stub.asked.load(Ordering::SeqCst);
    let again = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_eq!(first, again);
    assert_eq!(stage.stub.asked.load(Ordering::SeqCst), asked);
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"].as_array().unwrap().len(), 1);
    let other = write(&stage, "two", "/api/orchestrate", &request).await;
    assert_ne!(other.1["orchestrationId"], first.1["orchestrationId"]);
    stage.close().await;
}

#[tokio::test]
async fn the_same_key_with_another_body_or_path_is_refused() {
    let stage = Stage::open().await;
    let request = request_for(&["security-review"]);
    let (status, _) = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_eq!(status, 200);
    let other = request_for(&["security-review"]);
    assert_problem(
        &write(&stage, "one", "/api/orchestrate", &other).await,
        422,
        "idempotency-key-reused",
    );
    assert_problem(
        &write(&stage, "one", "/api/orchestrations", &request).await,
        422,
        "idempotency-key-reused",
    );
    stage.close().await;
}

#[tokio::test]
async fn a_write_that_is_under_way_is_not_done_twice() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let request = request_for(&["slow-one"]);
    let first = write(&stage, "one", "/api/orchestrate", &request);
    let second = async {
        while stage.stub.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = write(&stage, "one", "/api/orchestrate", &request).await;
        stage.stub.released.notify_waiters();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 200, "{}", first.1);
    assert_problem(&second, 409, "idempotency-key-in-use");
    stage.close().await;
}

#[tokio::test]
async fn a_refusal_is_kept_and_a_secret_is_not() {
    let stage = Stage::open().await;
    let nonsense = json!({"planArtifact": 5});
    let first = write(&stage, "one", "/api/orchestrate", &nonsense).await;
    assert_problem(&first, 400, "invalid-request");
    assert_eq!(
        write(&stage, "one", "/api/orchestrate", &nonsense).await,
        first
    );
    let admin = stage.key("system", domain::values::role::Role::Admin).await;
    let wish = json!({"role": "viewer"});
    let make = || {
        let request = stage.ask(Method::POST, "/api/keys").bearer_auth(&admin);
        answer(request.header("idempotency-key", "key").json(&wish))
    };
    let (status, made) = make().await;
    assert_eq!(status, 201);
    let (status, again) = make().await;
    assert_eq!((status, &again["id"]), (201, &made["id"]));
    assert!(made["key"].is_string() && again.get("key").is_none());
    stage.close().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_refused() {
    let stage = Stage::open().await;
    for key in ["", " ", &"x".repeat(256)] {
        assert_problem(
            &write(&stage, key, "/api/agents", &json!({})).await,
            400,
            "invalid-request",
        );
    }
    stage.close().await;
}
