//! Keys, roles, accounts, and who may come without a key.

use domain::values::role::Role;
use domain::values::time::{Millis, Timestamp};
use engine::clock::{Clock, ManualClock};
use reqwest::Method;
use serde_json::{Value, json};
use server::app::ServeError;
use server::config::Settings;

use crate::stage::{Stage, answer, assert_problem, refused, request_for, seed_request};

async fn as_key(
    stage: &Stage,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let request = stage.ask(method, path).bearer_auth(key);
    answer(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

#[tokio::test]
async fn off_loopback_nobody_serves_without_keys() {
    let settings = Settings {
        listen: "0.0.0.0:0".parse().unwrap(),
        ..Settings::default()
    };
    assert!(matches!(refused(settings).await, ServeError::NoKeys(_)));
    let mut settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Settings::default()
    };
    settings.access.require_keys = true;
    let refused = refused(settings).await;
    assert!(matches!(refused, ServeError::KeysRequired));
    assert!(refused.to_string().contains("requireKeys"), "{refused}");
}

#[tokio::test]
async fn another_accounts_things_are_not_there() {
    let stage = Stage::open().await;
    let ann = stage.key("ann", Role::Operator).await;
    let bob = stage.key("bob", Role::Operator).await;
    let (status, body) = as_key(
        &stage,
        &ann,
        Method::POST,
        "/api/orchestrate",
        Some(seed_request()),
    )
    .await;
    assert_eq!(status, 200, "{body}");
    let id = body["orchestrationId"].as_str().unwrap();
    for path in [
        format!("/api/orchestrate/{id}"),
        format!("/api/orchestrations/{id}"),
        format!("/api/orchestrations/{id}/events"),
        format!("/api/orchestrations/{id}/artifact"),
        format!("/api/orchestrations/{id}/enrichments"),
        format!("/api/orchestrations/{id}/enriched.zip"),
        "/api/accounts/ann".to_owned(),
        "/api/orchestrations?account=ann".to_owned(),
    ] {
        assert_problem(
            &as_key(&stage, &bob, Method::GET, &path, None).await,
            404,
            "not-found",
        );
        let (status, _) = as_key(&stage, &ann, Method::GET, &path, None).await;
        assert_eq!(status, 200, "{path} is her own");
    }
    for verb in ["cancel", "pause", "resume", "steps/security-review/approve"] {
        let path = format!("/api/orchestrations/{id}/{verb}");
        assert_problem(
            &as_key(&stage, &bob, Method::POST, &path, None).await,
            404,
            "not-found",
        );
        assert_problem(
            &as_key(&stage, &ann, Method::POST, &path, None).await,
            409,
            "conflict",
        );
    }
    let (_, list) = as_key(&stage, &bob, Method::GET, "/api/orchestrations", None).await;
    assert_eq!(list["orchestrations"], json!([]));
    stage.close().await;
}

#[tokio::test]
async fn each_role_may_what_it_is_for() {
    let stage = Stage::open().await;
    let agent = |id: &str| json!({"agent": {"id": id, "displayName": "A"}});
    for (role, account, submits, registers, keys) in [
        (Role::Admin, "ann", 202, 201, 200),
        (Role::Operator, "system", 202, 201, 403),
        (Role::Submitter, "system", 202, 403, 403),
        (Role::Worker, "system", 403, 403, 403),
        (Role::Viewer, "system", 403, 403, 403),
    ] {
        let key = stage.key(account, role).await;
        let (status, body) = as_key(
            &stage,
            &key,
            Method::POST,
            "/api/orchestrate?wait=0",
            Some(request_for(&["security-review"])),
        )
        .await;
        assert_eq!(status, submits, "{role}: {body}");
        let (status, body) = as_key(
            &stage,
            &key,
            Method::POST,
            "/api/agents",
            Some(agent(role.name())),
        )
        .await;
        assert_eq!(status, registers, "{role}: {body}");
        let (status, _) = as_key(&stage, &key, Method::GET, "/api/keys", None).await;
        assert_eq!(status, keys, "{role}");
        // Whoever may not is told that, and not what is wrong with the body.
        for (may, path) in [(registers == 201, "agents/discover"), (keys == 200, "keys")] {
            let (path, wrong) = (format!("/api/{path}"), json!({"wrong": 1}));
            let (status, _) = as_key(&stage, &key, Method::POST, &path, Some(wrong)).await;
            assert_eq!(status, if may { 400 } else { 403 }, "{role}: {path}");
        }
        let (status, _) = as_key(&stage, &key, Method::GET, "/api/orchestrations", None).await;
        assert_eq!(status, 200, "{role} may look");
    }
    stage.close().await;
}

/// Whoever registers an agent is sent the plans of all accounts that use it.
#[tokio::test]
async fn who_answers_for_one_account_changes_no_agent_of_all() {
    let stage = Stage::open().await;
    let operator = stage.key("ann", Role::Operator).await;
    let agent = json!({"agent": {
        "id": "security-review", "displayName": "Mine", "version": "9", "inputSchema": {"fields": ["plan"]},
        "executor": {"kind": "http", "url": "https://ann.example/all-plans"},
    }});
    let found = json!({"url": "https://ann.example"});
    for (method, path, body) in [
        (Method::POST, "agents", Some(agent.clone())),
        (Method::POST, "agents/discover", Some(found)),
        (Method::DELETE, "agents/security-review", None),
        (Method::DELETE, "agents/security-review/versions/1", None),
    ] {
        let answer = as_key(&stage, &operator, method, &format!("/api/{path}"), body).await;
        assert_problem(&answer, 403, "forbidden");
        let why = answer.1["detail"].as_str().unwrap();
        assert!(why.contains("`ann`") && why.contains("`system`"), "{why}");
    }
    let path = "/api/agents/validate";
    let (status, _) = as_key(&stage, &operator, Method::POST, path, Some(agent)).await;
    assert_eq!(status, 200, "a definition may be looked at by all");
    let path = "/api/agents/security-review";
    let (_, shown) = as_key(&stage, &operator, Method::GET, path, None).await;
    assert_eq!(shown["agent"]["version"], "1");
    stage.close().await;
}

#[tokio::test]
async fn a_key_is_shown_once_and_is_over_when_it_is_revoked() {
    let stage = Stage::open().await;
    let wish = json!({"role": "operator", "account": "ann", "label": "her laptop"});
    let (status, made) = stage.post("/api/keys", wish).await;
    assert_eq!(status, 201, "{made}");
    let key = made["key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(key.starts_with(&format!("afp_{id}_")), "{key}");
    assert_problem(&stage.get("/api/agents").await, 401, "unauthorized");
    let (status, _) = as_key(&stage, key, Method::GET, "/api/agents", None).await;
    assert_eq!(status, 200);
    for wrong in [
        format!("{key}x"),
        key[..key.len() - 1].to_owned(),
        "afp__".to_owned(),
        "nonsense".to_owned(),
    ] {
        assert_problem(
            &as_key(&stage, &wrong, Method::GET, "/api/agents", None).await,
            401,
            "unauthorized",
        );
    }
    let admin = stage.key("system", Role::Admin).await;
    let (_, keys) = as_key(&stage, &admin, Method::GET, "/api/keys", None).await;
    let listed = keys.to_string();
    assert!(listed.contains(id) && !listed.contains(key.rsplit('_').next().unwrap()));
    let (status, _) = as_key(
        &stage,
        &admin,
        Method::DELETE,
        &format!("/api/keys/{id}"),
        None,
    )
    .await;
    assert_eq!(status, 204);
    assert_problem(
        &as_key(&stage, key, Method::GET, "/api/agents", None).await,
        401,
        "unauthorized",
    );
    stage.close().await;
}

#[tokio::test]
async fn a_key_ends_at_its_time_and_one_that_was_revoked_elsewhere_within_seconds() {
    let clock = ManualClock::at(Timestamp(1_800_000_000_000_000));
    let stage = Stage::at(Clock::Manual(clock.clone()), |_| {}).await;
    let ends = 1_800_000_000_000_u64 + 60_000;
    let wish = json!({"role": "viewer", "expiresAt": ends});
    let (status, made) = stage.post("/api/keys", wish).await;
    assert_eq!((status, &made["expiresAt"]), (201, &json!(ends)), "{made}");
    let brief = made["key"].as_str().unwrap();
    let lasting = stage.key("ann", Role::Viewer).await;
    let asked = async |key: &str| {
        let answer = as_key(&stage, key, Method::GET, "/api/agents", None).await;
        answer.0
    };
    clock.advance(Millis(59_999));
    assert_eq!((asked(brief).await, asked(&lasting).await), (200, 200));
    clock.advance(Millis(1));
    assert_eq!((asked(brief).await, asked(&lasting).await), (401, 200));
    // Another server revokes it; this one believes for a few seconds what it knows.
    let id = lasting.split('_').nth(1).unwrap();
    let now = stage.engine.clock.now().0;
    assert!(stage.engine.store.revoke_key(id, now).await.unwrap());
    clock.advance(Millis(3_000));
    assert_eq!(asked(&lasting).await, 401);
    stage.close().await;
}

#[tokio::test]
async fn a_key_that_comes_too_often_is_told_to_wait() {
    let stage = Stage::with(|settings| {
        settings.access.requests_per_second = 1;
        settings.access.burst = 3;
    })
    .await;
    let (busy, calm) = (
        stage.key("ann", Role::Viewer).await,
        stage.key("ann", Role::Viewer).await,
    );
    let mut last = (0, Value::Null);
    for _ in 0..5 {
        last = as_key(&stage, &busy, Method::GET, "/api/agents", None).await;
    }
    assert_problem(&last, 429, "rate-limited");
    let response = stage
        .ask(Method::GET, "/api/agents")
        .bearer_auth(&busy)
        .send()
        .await
        .unwrap();
    assert!(response.headers().contains_key("retry-after"));
    let (status, _) = as_key(&stage, &calm, Method::GET, "/api/agents", None).await;
    assert_eq!(status, 200, "it is a limit of each key");
    stage.close().await;
}

#[tokio::test]
async fn without_keys_only_this_machine_may_call_under_its_own_name() {
    let stage =
        Stage::with(|settings| settings.access.hosts = vec!["planner.local".to_owned()]).await;
    let with = |name: &'static str, value: &'static str| {
        stage.ask(Method::GET, "/api/agents").header(name, value)
    };
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "localhost.evil.example:8080"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        assert_problem(&answer(with(name, value)).await, 403, "host-refused");
    }
    for (name, value) in [
        ("host", "localhost:1"),
        ("host", "planner.local"),
        ("origin", "http://127.0.0.1:3000"),
    ] {
        let (status, body) = answer(with(name, value)).await;
        assert_eq!(status, 200, "{name}: {value}: {body}");
    }
    stage.close().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_answered_only_where_it_is_configured() {
    let origin = "https://dashboard.example";
    for (origins, expected) in [(vec![], None), (vec![origin.to_owned()], Some(origin))] {
        let stage = Stage::with(|settings| settings.access.origins = origins).await;
        let preflight = stage
            .ask(Method::OPTIONS, "/api/agents")
            .header("origin", origin)
            .header("access-control-request-method", "GET");
        let response = preflight.send().await.unwrap();
        let allowed = response.headers().get("access-control-allow-origin");
        assert_eq!(allowed.map(|value| value.to_str().unwrap()), expected);
        stage.close().await;
    }
}
