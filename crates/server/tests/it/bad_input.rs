//! Requests that are wrong in every way: each gets a problem, and the server stays.

use std::time::Duration;

use domain::values::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, Stage, answer, assert_problem, seed_request};

pub async fn body(
    stage: &Stage,
    path: &str,
    media: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, Value) {
    answer(
        stage
            .ask(Method::POST, path)
            .header("content-type", media)
            .body(body),
    )
    .await
}

#[tokio::test]
async fn broken_json_and_wrong_types_are_told_apart() {
    let stage = Stage::open().await;
    for text in [
        "",
        "{",
        "{\"planArtifact\": }",
        "nonsense",
        "{\"planArtifact\": {}, 1",
        "\u{feff}{}",
    ] {
        let answer = body(&stage, "/api/orchestrate", "application/json", text).await;
        assert_problem(&answer, 400, "invalid-json");
    }
    for wrong in [
        json!(null),
        json!([]),
        json!(5),
        json!({"planArtifact": []}),
        json!([{"id": "a", "plan": {}}, null]),
        json!({"planArtifact": {"id": "a", "plan": {}}, "enrichmentRequest": []}),
        json!({"planArtifact": {"id": 5, "plan": {}}}),
        json!({"planArtifact": {"id": "", "plan": {}}}),
        json!({"planArtifact": {"id": "a"}}),
        json!({"planArtifact": {"id": "a", "plan": {}, "unknown": 1}}),
        json!({"planArtifact": {"id": "a", "plan": {}, "version": 1.5}}),
        json!({"planArtifact": {"id": "a\u{0}", "plan": {}}}),
        json!({"planArtifact": {"id": "x".repeat(300), "plan": {}}}),
        json!({"planArtifact": {"id": "a", "plan": {}}, "unknown": 1}),
        json!({"planArtifact": {"id": "a", "plan": {}}, "enrichmentRequest": {"agents": ["Not An Id"]}}),
        json!({"planArtifact": {"id": "a", "plan": {}}, "enrichmentRequest": {"budget": -1}}),
        json!({"planArtifact": {"id": "a", "plan": {}}, "enrichmentRequest": {"maxSteps": -1}}),
        json!({"planArtifact": {"id": "a", "plan": {}, "enrichments": {"x": {"status": "odd", "data": {}}}}}),
    ] {
        assert_problem(
            &stage.post("/api/orchestrate", wrong).await,
            400,
            "invalid-request",
        );
    }
    // Half of a character is no text, and no agent could read it.
    let half = r#"{"planArtifact": {"id": "a", "plan": {"title": "\ud800"}}}"#;
    let request = stage.ask(Method::POST, "/api/orchestrate");
    let request = request
        .header("content-type", "application/json")
        .body(half);
    assert_problem(&answer(request).await, 400, "invalid-request");
    let unknown = json!({"planArtifact": {"id": "a", "plan": {}}, "enrichmentRequest": {"agents": ["nobody"]}});
    assert_problem(
        &stage.post("/api/orchestrate", unknown).await,
        422,
        "refused",
    );
    stage.close().await;
}

// What is packed was read as it came, and told as broken JSON.
#[tokio::test]
async fn a_packed_body_is_refused_by_its_name() {
    let stage = Stage::open().await;
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 200)] {
        let ask = stage.ask(Method::POST, "/api/orchestrate");
        let packed = ask
            .header("content-encoding", encoding)
            .json(&seed_request());
        let answer = answer(packed).await;
        if status == 415 {
            assert_problem(&answer, 415, "unsupported-media-type");
        }
        assert_eq!(answer.0, status, "{}", answer.1);
    }
    stage.close().await;
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let stage = Stage::open().await;
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/json",
    ] {
        let answer = body(
            &stage,
            "/api/orchestrate",
            media,
            seed_request().to_string(),
        )
        .await;
        assert_problem(&answer, 415, "unsupported-media-type");
        let answer = body(&stage, "/api/orchestrations", media, "x").await;
        assert_problem(&answer, 415, "unsupported-media-type");
    }
    let (status, _) = body(
        &stage,
        "/api/orchestrate",
        "application/json; charset=utf-8",
        seed_request().to_string(),
    )
    .await;
    assert_eq!(status, 200);
    stage.close().await;
}

#[tokio::test]
async fn nesting_and_size_have_bounds() {
    let stage = Stage::with(|settings| settings.limits.json_bytes = 1_000_000).await;
    let deep = format!(
        "{{\"planArtifact\": {{\"id\": \"a\", \"plan\": {}1{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let answer = body(&stage, "/api/orchestrate", "application/json", deep).await;
    assert_problem(&answer, 400, "too-deep");
    let (status, _) = stage.get("/health").await;
    assert_eq!(status, 200);
    stage.close().await;
}

/// What the server says to a body of 50 MB that comes in pieces without a length, and how much of it could be sent.
async fn flooded(stage: &Stage, path: &str, media: &str, begin: &str) -> (String, usize) {
    let (mut from, mut to) = TcpStream::connect(stage.address)
        .await
        .unwrap()
        .into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media}\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{begin}\r\n",
        begin.len()
    );
    to.write_all(head.as_bytes()).await.unwrap();
    let sending = tokio::spawn(async move {
        let piece = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let mut sent = 0;
        while sent < 50_000_000 && to.write_all(piece.as_bytes()).await.is_ok() {
            sent += 0x10000;
        }
        sent
    });
    let mut said = Vec::new();
    let read = async { while from.read_buf(&mut said).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(PATIENCE, read).await.expect("it ends");
    let said = String::from_utf8_lossy(&said).into_owned();
    (said, sending.await.unwrap())
}

#[tokio::test]
async fn of_fifty_megabytes_no_more_is_taken_than_the_limit() {
    let stage = Stage::with(|settings| {
        settings.limits.json_bytes = 1_000_000;
        settings.limits.upload_bytes = 1_000_000;
    })
    .await;
    let too_large = |said: &str| {
        assert!(
            said.starts_with("HTTP/1.1 413") && said.contains("payload-too-large"),
            "{said}"
        );
    };
    // One that says how long it is, is refused before any of it comes.
    for media in ["application/json", "application/zip"] {
        let head = format!(
            "POST /api/orchestrations HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media}\r\ncontent-length: 50000000\r\n\r\n"
        );
        too_large(&raw(&stage, head.as_bytes()).await);
    }
    let form = "--b\r\ncontent-disposition: form-data; name=\"plan\"; filename=\"a.zip\"\r\n\r\n";
    // What is to be done once is taken in before it is known what it is.
    let keyed = "application/zip\r\nidempotency-key: one";
    for (path, media, begin) in [
        ("/api/orchestrate", "application/json", "{"),
        ("/api/orchestrations", keyed, "PK"),
        ("/api/agents", "application/json", "{"),
        ("/api/orchestrations", "application/zip", "PK"),
        (
            "/api/orchestrations",
            "multipart/form-data; boundary=b",
            form,
        ),
    ] {
        let (said, sent) = flooded(&stage, path, media, begin).await;
        too_large(&said);
        // What lies in the sockets of both sides is no more than a few megabytes.
        assert!(sent < 25_000_000, "{path}: {sent} bytes were sent");
    }
    let (status, _) = stage.get("/health").await;
    assert_eq!(status, 200);
    stage.close().await;
}

/// A body that never pauses for long has an end all the same, and so has a request.
#[tokio::test]
async fn a_body_that_drips_for_ever_is_cut() {
    let drip = async |change: fn(&mut server::config::Limits), path: &str| {
        let stage = Stage::with(|settings| change(&mut settings.limits)).await;
        let (mut from, mut to) = TcpStream::connect(stage.address)
            .await
            .unwrap()
            .into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
        );
        to.write_all(head.as_bytes()).await.unwrap();
        let dripping = tokio::spawn(async move {
            while to.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut said = Vec::new();
        let read = async { while from.read_buf(&mut said).await.is_ok_and(|read| read > 0) {} };
        tokio::time::timeout(PATIENCE, read).await.expect("it ends");
        dripping.abort();
        stage.close().await;
        String::from_utf8_lossy(&said).into_owned()
    };
    let said = drip(|limits| limits.body_timeout = 300, "/api/orchestrate").await;
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("request-timeout"),
        "{said}"
    );
    let said = drip(|limits| limits.request_timeout = 300, "/api/agents").await;
    assert!(
        said.starts_with("HTTP/1.1 503") && said.contains("longer than a request may"),
        "{said}"
    );
}

/// Who may not submit is told so before the server takes in a body that only a submission can have.
#[tokio::test]
async fn what_nobody_may_send_is_not_taken_in() {
    let stage = Stage::with(|settings| settings.limits.json_bytes = 1_000).await;
    let viewer = stage.key("ann", Role::Viewer).await;
    let head = format!(
        "POST /api/orchestrations HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {viewer}\r\nidempotency-key: one\r\n\
         content-type: application/zip\r\ncontent-length: 50000000\r\nconnection: close\r\n\r\n"
    );
    let said = raw(&stage, &[head.as_bytes(), &[0; 2_000]].concat()).await;
    assert!(
        said.starts_with("HTTP/1.1 403") && said.contains("`viewer`"),
        "{said}"
    );
    stage.close().await;
}

#[tokio::test]
async fn what_is_nowhere_is_told_as_a_problem() {
    let stage = Stage::open().await;
    let nil = "00000000-0000-0000-0000-000000000000";
    for path in [
        "/api/nothing",
        "/nothing",
        "/api",
        "/api/orchestrate/x",
        &format!("/api/orchestrate/{nil}"),
        &format!("/api/orchestrations/{nil}"),
        &format!("/api/orchestrations/{}", nil.replace('-', "")),
        "/api/orchestrations/%00",
        "/api/agents/nobody",
        "/api/agents/%F0%9F%92%A9",
        "/api/agents/security-review/versions/99",
        "/api/accounts/nobody",
    ] {
        assert_problem(&stage.get(path).await, 404, "not-found");
    }
    assert_problem(
        &answer(stage.ask(Method::PUT, "/api/agents")).await,
        405,
        "method-not-allowed",
    );
    let response = stage.ask(Method::PUT, "/api/agents").send().await.unwrap();
    let allow = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    stage.close().await;
}

#[tokio::test]
async fn queries_are_checked() {
    let stage = Stage::open().await;
    for query in [
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=-1",
        "unknown=1",
        "cursor=x",
        "status=odd",
        "unended=maybe",
    ] {
        assert_problem(
            &stage.get(&format!("/api/orchestrations?{query}")).await,
            400,
            "invalid-request",
        );
    }
    for query in ["wait=-1", "wait=x", "wait=1e9", "wait=100000", "weight=1"] {
        let path = format!("/api/orchestrate?{query}");
        assert_problem(
            &stage.post(&path, seed_request()).await,
            400,
            "invalid-request",
        );
    }
    stage.close().await;
}

/// What the server says to bytes that come as they are; all that comes until it closes or nothing more is wanted.
async fn raw(stage: &Stage, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    read.expect("the server ends it").unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn slow_headers_and_slow_bodies_are_cut() {
    let stage = Stage::with(|settings| {
        settings.limits.header_timeout = 200;
        settings.limits.body_pause = 200;
    })
    .await;
    raw(&stage, b"GET /health HTTP/1.1\r\nhost: local").await;
    let said = raw(
        &stage,
        b"POST /api/orchestrate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"plan",
    )
    .await;
    assert!(
        said.starts_with("HTTP/1.1 408") && said.contains("request-timeout"),
        "{said}"
    );
    let form = "POST /api/orchestrations HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"plan\"; filename=\"a.zip\"\r\n\r\nPK";
    // In a field, and between its head's lines.
    for cut in [form.len(), form.len() - 10] {
        let said = raw(&stage, &form.as_bytes()[..cut]).await;
        assert!(
            said.starts_with("HTTP/1.1 408") && said.contains("request-timeout"),
            "{said}"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn definitions_that_are_wrong_say_where() {
    let stage = Stage::open().await;
    let (status, body) = stage
        .post(
            "/api/agents",
            json!({"agent": {"id": "a", "displayName": "A", "timeuot": 5}}),
        )
        .await;
    assert_eq!(status, 400, "{body}");
    assert!(
        body["detail"].as_str().unwrap().contains("timeuot"),
        "{body}"
    );
    let validate = |agent: Value| stage.post("/api/agents/validate", json!({"agent": agent}));
    let (status, body) =
        validate(json!({"id": "a", "displayName": "A", "runCondition": "plan +"})).await;
    assert_eq!((status, &body["valid"]), (200, &json!(false)));
    assert!(!body["errors"].as_array().unwrap().is_empty());
    let (_, body) = validate(json!({"id": "a", "displayName": "A", "timeout": 5000.0})).await;
    assert_eq!(
        body["valid"],
        json!(true),
        "a whole number however it is written: {body}"
    );
    let taken = json!({"agent": {"id": "security-review", "displayName": "Other"}});
    assert_problem(&stage.post("/api/agents", taken).await, 409, "conflict");
    stage.close().await;
}
