//! Writes that are repeated under an `Idempotency-Key`.

use std::sync::atomic::Ordering;

use domain::values::ids::AccountId;
use domain::values::role::Role;
use domain::values::time::{Millis, Timestamp};
use engine::clock::{Clock, ManualClock};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::idempotency::{Begun, TAKEN_OVER_AFTER};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::stage::{PATIENCE, Stage, answer, assert_problem, request_for};

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
    let admin = stage.key("system", Role::Admin).await;
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

/// Who mistook the method or the path may say so under the same key.
#[tokio::test]
async fn a_request_that_no_route_takes_uses_no_key_up() {
    let stage = Stage::open().await;
    let wish = json!({"agent": {"id": "a", "displayName": "A"}});
    let ask = async |method: Method, path: &str| {
        let ask = stage.ask(method, path).header("idempotency-key", "one");
        answer(ask.json(&wish)).await
    };
    let mistaken = ask(Method::PUT, "/api/agents").await;
    assert_problem(&mistaken, 405, "method-not-allowed");
    assert_problem(&ask(Method::POST, "/api/agent").await, 404, "not-found");
    assert_eq!(ask(Method::POST, "/api/agents").await.0, 201);
    let mistaken = ask(Method::PUT, "/api/agents").await;
    assert_problem(&mistaken, 405, "method-not-allowed");
    stage.close().await;
}

/// A caller whose connection breaks is the one that the key is for.
#[tokio::test]
async fn a_write_that_was_broken_off_is_not_done_again_by_its_repetition() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let request = request_for(&["slow-one"]);
    let ask = stage.ask(Method::POST, "/api/orchestrate");
    let first = ask.header("idempotency-key", "one").json(&request).send();
    let first = tokio::spawn(first);
    while stage.stub.asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    let other = write(
        &stage,
        "one",
        "/api/orchestrate",
        &request_for(&["slow-one"]),
    )
    .await;
    assert_problem(&other, 422, "idempotency-key-reused");
    let id = loop {
        stage.stub.released.notify_waiters();
        let (_, list) = stage.get("/api/orchestrations").await;
        let begun = list["orchestrations"][0].clone();
        if begun["status"] == "complete" {
            break begun["orchestrationId"].clone();
        }
    };
    // Nothing new begins with the agent, but what has begun is told.
    let retired = stage.ask(Method::DELETE, "/api/agents/slow-one");
    assert_eq!(answer(retired).await.0, 204);
    let again = repeated(&stage, "one", &request).await;
    assert_eq!(
        (again.0, &again.1["orchestrationId"]),
        (200, &id),
        "{}",
        again.1
    );
    assert_eq!(stage.stub.asked.load(Ordering::SeqCst), 1);
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"].as_array().unwrap().len(), 1);
    assert_eq!(
        write(&stage, "one", "/api/orchestrate", &request).await,
        again
    );
    let other = write(
        &stage,
        "one",
        "/api/orchestrate",
        &request_for(&["slow-one"]),
    )
    .await;
    assert_problem(&other, 422, "idempotency-key-reused");
    stage.close().await;
}

/// The answer to a write that was broken off: the server hears of the broken connection in its own time.
async fn repeated(stage: &Stage, key: &str, request: &Value) -> (u16, Value) {
    loop {
        let again = write(stage, key, "/api/orchestrate", request).await;
        if again.0 != 409 {
            return again;
        }
    }
}

/// Waits until the write under the key `one` has led to `subject`.
async fn until_led_to(stage: &Stage, hash: [u8; 32], subject: Uuid) {
    loop {
        // A write that expires as it begins: where there is none yet, it keeps nobody away.
        let store = &stage.engine.store;
        let begun = store
            .begin_write("system", "one", hash, [0; 16], 0, 0)
            .await;
        match begun.unwrap() {
            Begun::InProgress { subject: led, .. } if led == *subject.as_bytes() => return,
            Begun::InProgress { .. } | Begun::New { .. } => tokio::task::yield_now().await,
            begun => panic!("{begun:?}"),
        }
    }
}

/// Whose equal submission was under way began nothing of its own, and is told what it waited for.
#[tokio::test]
async fn a_write_that_joined_another_and_was_broken_off_is_told_of_that_one() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let request = request_for(&["slow-one"]);
    let (status, others) = stage.post("/api/orchestrate?wait=0", request.clone()).await;
    assert_eq!(status, 202, "{others}");
    let others = others["orchestrationId"].as_str().unwrap().to_owned();
    let ask = stage.ask(Method::POST, "/api/orchestrate");
    let joined = ask.header("idempotency-key", "one").json(&request).send();
    let joined = tokio::spawn(joined);
    let hash = hashed("/api/orchestrate", &request);
    let led = until_led_to(&stage, hash, others.parse().unwrap());
    tokio::time::timeout(PATIENCE, led).await.expect("it joins");
    joined.abort();
    let id = loop {
        stage.stub.released.notify_waiters();
        let (_, list) = stage.get("/api/orchestrations").await;
        let begun = list["orchestrations"][0].clone();
        if begun["status"] == "complete" {
            break begun["orchestrationId"].clone();
        }
    };
    assert_eq!(id, others);
    let again = repeated(&stage, "one", &request).await;
    assert_eq!((again.0, &again.1["orchestrationId"]), (200, &id));
    assert_eq!(stage.stub.asked.load(Ordering::SeqCst), 1);
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"].as_array().unwrap().len(), 1);
    stage.close().await;
}

/// The server was killed when it had found the equal one and had not noted it yet: what was open then is told, though it has ended.
#[tokio::test]
async fn a_write_whose_server_was_killed_is_told_of_what_was_open_then() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let (path, request) = ("/api/orchestrate?wait=0", request_for(&["slow-one"]));
    let begin = async || {
        let (status, begun) = stage.post(path, request.clone()).await;
        assert_eq!(status, 202, "{begun}");
        begun["orchestrationId"].as_str().unwrap().to_owned()
    };
    let before = begin().await;
    until_complete(&stage, &before).await;
    let open = begin().await;
    assert_ne!(open, before);
    begun_by_a_dead_one(&stage, "one", path, &request).await;
    until_complete(&stage, &open).await;
    begun_by_a_dead_one(&stage, "two", path, &request).await;
    let (status, again) = write(&stage, "one", path, &request).await;
    assert_eq!((status, &again["orchestrationId"]), (202, &json!(open)));
    // None was open when this one began, and it is done now.
    let (status, new) = write(&stage, "two", path, &request).await;
    assert_eq!(status, 202, "{new}");
    assert!(![json!(before), json!(open)].contains(&new["orchestrationId"]));
    stage.close().await;
}

/// A write that a server began just now, which was killed and whose time is over.
async fn begun_by_a_dead_one(stage: &Stage, key: &str, path: &str, body: &Value) -> Uuid {
    let (subject, hash) = (Uuid::now_v7(), hashed(path, body));
    let long_ago = stage.engine.clock.now().0 - 2 * TAKEN_OVER_AFTER;
    let store = &stage.engine.store;
    let begun = store.begin_write("system", key, hash, *subject.as_bytes(), long_ago, i64::MAX);
    assert!(matches!(begun.await.unwrap(), Begun::New { .. }));
    subject
}

/// The server was killed between the key and its answer: there is one key, which nobody was shown.
#[tokio::test]
async fn a_key_that_was_made_before_the_answer_was_lost_is_the_only_one() {
    let stage = Stage::open().await;
    let admin = stage.key("system", Role::Admin).await;
    let wish = json!({"role": "viewer", "label": "lost"});
    let subject = begun_by_a_dead_one(&stage, "one", "/api/keys", &wish).await;
    let make = async || {
        let ask = stage.ask(Method::POST, "/api/keys").bearer_auth(&admin);
        answer(ask.header("idempotency-key", "one").json(&wish)).await
    };
    let store = &stage.engine.store;
    let account = AccountId::system();
    let lost = server::keys::make(subject, &account, Role::Viewer, "lost", Timestamp(7), None);
    assert!(store.put_key(lost.row).await.unwrap());
    let (status, made) = make().await;
    assert_eq!(
        (status, &made["id"]),
        (201, &json!(subject.simple().to_string()))
    );
    assert!(made.get("key").is_none(), "{made}");
    assert_eq!(make().await, (201, made));
    assert_eq!(store.keys(None).await.unwrap().len(), 2);
    stage.close().await;
}

/// Lets its agents answer until the orchestration is complete.
async fn until_complete(stage: &Stage, id: &str) {
    loop {
        stage.stub.released.notify_waiters();
        let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
        if shown["status"] == "complete" {
            return;
        }
    }
}

/// An answer too large to be kept is made anew from what was made, and nothing is done twice.
#[tokio::test]
async fn an_answer_too_large_to_be_kept_is_given_again_all_the_same() {
    let stage = Stage::with(|settings| settings.limits.json_bytes = 40 << 20).await;
    stage.register("broken-one", json!({"maxRetries": 0})).await;
    let mut request = request_for(&["broken-one"]);
    request["planArtifact"]["plan"]["text"] = json!("x".repeat(33 << 20));
    let first = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_eq!((first.0, &first.1["status"]), (200, &json!("failed")));
    let again = repeated(&stage, "one", &request).await;
    assert!(first == again, "{}", again.1["orchestrationId"]);
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"].as_array().unwrap().len(), 1);
    let other = write(&stage, "one", "/api/orchestrate", &json!({})).await;
    assert_problem(&other, 422, "idempotency-key-reused");
    stage.close().await;
}

/// Whatever writes says so in the description, and its request is answered from memory when it comes again.
#[tokio::test]
async fn every_route_that_writes_takes_a_key() {
    let stage = Stage::open().await;
    let admin = stage.key("system", Role::Admin).await;
    let (_, description) = stage.get("/api/openapi.json").await;
    let mut written = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            let is_keyed = parameters.any(|one| one["name"] == "Idempotency-Key");
            let writes = method != "get" && path != "/api/forecast";
            assert_eq!(is_keyed, writes, "{method} {path}");
            if !writes {
                continue;
            }
            written += 1;
            let path = path
                .replace("/accounts/{id}", "/accounts/me")
                .replace("{id}", &Uuid::nil().to_string());
            let method: Method = method.to_uppercase().parse().unwrap();
            let ask = async || {
                let ask = stage.ask(method.clone(), &path).bearer_auth(&admin);
                let ask = ask.header("idempotency-key", written.to_string());
                let answer = ask.json(&json!({})).send().await.unwrap();
                let is_known = answer.headers().contains_key("idempotency-replayed");
                let status = answer.status();
                (is_known, (status, answer.text().await.unwrap()))
            };
            let (first, again) = (ask().await, ask().await);
            assert_eq!((first.0, again.0), (false, true), "{method} {path}");
            assert_eq!(first.1, again.1);
        }
    }
    assert!(written > 15, "{written}");
    stage.close().await;
}

/// What a server hashes of such a write: all that makes the request what it is.
fn hashed(path: &str, body: &Value) -> [u8; 32] {
    let parts = ["POST", path, "application/json"];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(Sha256::digest(part));
    }
    hash.update(body.to_string());
    hash.finalize().into()
}

/// The server that began it was killed between the grant and its answer: who repeats it is not given the credits twice.
#[tokio::test]
async fn credits_that_were_given_before_the_answer_was_lost_are_not_given_again() {
    for (kind, amount) in [("grants", "12.5"), ("adjustments", "-3")] {
        let stage = Stage::open().await;
        let path = format!("/api/accounts/system/credits/{kind}");
        let (_, before) = stage.get("/api/accounts/system/credits").await;
        let wish = json!({"amount": amount, "note": "paid"});
        let subject = begun_by_a_dead_one(&stage, "one", &path, &wish).await;
        let mut given = wish.clone();
        given["key"] = json!(subject.to_string());
        let (status, given) = stage.post(&path, given).await;
        assert_eq!(status, 201, "{given}");
        assert_ne!(given["credits"]["balanceExact"], before["balanceExact"]);
        let (status, again) = write(&stage, "one", &path, &wish).await;
        assert_eq!((status, &again["new"]), (200, &json!(false)), "{again}");
        assert_eq!(again["credits"], given["credits"]);
        stage.close().await;
    }
}

/// A day, by the server's clock.
#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_then_its_key_is_free() {
    let clock = ManualClock::at(Timestamp(1_800_000_000_000_000));
    let stage = Stage::at(Clock::Manual(clock.clone()), |_| {}).await;
    let request = request_for(&["security-review"]);
    let other = request_for(&["security-review"]);
    let first = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_eq!(first.0, 200, "{}", first.1);
    let day = 24 * 3_600 * 1_000;
    for passed in [0, day - 1] {
        clock.advance(Millis(passed));
        let again = stage.ask(Method::POST, "/api/orchestrate");
        let again = again.header("idempotency-key", "one").json(&request);
        let again = again.send().await.unwrap();
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        assert_eq!(again.json::<Value>().await.unwrap(), first.1);
        let refused = write(&stage, "one", "/api/orchestrate", &other).await;
        assert_problem(&refused, 422, "idempotency-key-reused");
    }
    clock.advance(Millis(1));
    let anew = write(&stage, "one", "/api/orchestrate", &other).await;
    assert_eq!(anew.0, 200, "{}", anew.1);
    assert_ne!(anew.1["orchestrationId"], first.1["orchestrationId"]);
    let refused = write(&stage, "one", "/api/orchestrate", &request).await;
    assert_problem(&refused, 422, "idempotency-key-reused");
    stage.close().await;
}

/// Who goes away in the middle of a write that takes but a moment leaves it done, and its repetition has the answer.
#[tokio::test]
async fn a_short_write_is_done_once_also_when_its_caller_is_gone() {
    let stage = Stage::open().await;
    let admin = stage.key("system", Role::Admin).await;
    let wish = json!({"role": "viewer"}).to_string();
    for number in 0..20 {
        let request = format!(
            "POST /api/keys HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\ncontent-type: application/json\r\n\
             idempotency-key: {number}\r\ncontent-length: {}\r\n\r\n{wish}",
            wish.len()
        );
        let mut gone = TcpStream::connect(stage.address).await.unwrap();
        gone.write_all(request.as_bytes()).await.unwrap();
        drop(gone);
        let (status, made) = loop {
            let again = stage.ask(Method::POST, "/api/keys").bearer_auth(&admin);
            let again = again
                .header("idempotency-key", number.to_string())
                .header("content-type", "application/json");
            let again = answer(again.body(wish.clone())).await;
            // The first is under way, or this one comes too often.
            if ![409, 429].contains(&again.0) {
                break again;
            }
        };
        assert_eq!(status, 201, "{made}");
    }
    let list = stage.ask(Method::GET, "/api/keys?limit=100");
    let (_, list) = answer(list.bearer_auth(&admin)).await;
    assert_eq!(list["keys"].as_array().unwrap().len(), 21, "{list}");
    stage.close().await;
}
