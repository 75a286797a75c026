//! The seed's session as printed, and its interfaces field by field.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, request_for, seed_request};

#[tokio::test]
async fn the_printed_session_gives_the_printed_answer() {
    let stage = Stage::open().await;
    let (status, body) = stage.post("/api/orchestrate", seed_request()).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["status"], "complete");
    assert_eq!(
        body["completedAgents"],
        json!(["security-review", "performance-analysis"])
    );
    assert_eq!(body["failedAgents"], json!([]));
    assert_eq!(body["creditsUsed"], json!(0.9));
    let artifact = &body["planArtifact"];
    assert_eq!(artifact["id"], "plan-123");
    assert_eq!(artifact["version"], 3, "it counts the enrichments applied");
    assert_eq!(artifact["status"], "complete");
    assert_eq!(
        artifact["plan"],
        json!({"title": "My Plan", "description": "..."})
    );
    let review = &artifact["enrichments"]["security-review"];
    assert_eq!(
        review["data"],
        json!({"issues": ["no backups"], "recommendations": ["make some"]})
    );
    assert_eq!(review["metadata"]["tokensUsed"], 2100);
    assert_eq!(review["metadata"]["creditsCharged"], json!(0.5));
    assert_eq!(
        artifact["enrichments"]["performance-analysis"]["metadata"]["creditsCharged"],
        json!(0.4)
    );
    stage.close().await;
}

/// A field of an interface, and what it must be.
pub type Field = (&'static str, fn(&Value) -> bool);

/// Finds each field, and finds it filled.
pub fn walk(what: &str, shown: &Value, fields: &[Field]) {
    for (field, is_filled) in fields {
        let value = shown.get(*field);
        assert!(
            value.is_some_and(is_filled),
            "{what}.{field} is {value:?} in {shown}"
        );
    }
}

pub fn text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn number(value: &Value) -> bool {
    value.is_number()
}

pub fn positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0)
}

pub fn time(value: &Value) -> bool {
    value
        .as_i64()
        .is_some_and(|millis| millis > 1_700_000_000_000)
}

fn list(value: &Value) -> bool {
    value.is_array()
}

fn filled(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
        || value.as_object().is_some_and(|members| !members.is_empty())
}

const ENRICHMENT: [Field; 5] = [
    ("agentId", text),
    ("timestamp", time),
    ("status", text),
    ("data", filled),
    ("metadata", filled),
];

const METADATA: [Field; 4] = [
    ("inputHash", text),
    ("tokensUsed", positive),
    ("creditsCharged", positive),
    ("executionTimeMs", number),
];

fn walk_answer(body: &Value) {
    walk(
        "the answer",
        body,
        &[
            ("orchestrationId", text),
            ("status", text),
            ("completedAgents", filled),
            ("failedAgents", list),
            ("creditsUsed", positive),
            ("planArtifact", filled),
        ],
    );
    walk(
        "PlanArtifact",
        &body["planArtifact"],
        &[
            ("id", text),
            ("version", positive),
            ("plan", filled),
            ("enrichments", filled),
            ("createdAt", time),
            ("lastUpdatedAt", time),
            ("orchestrationId", text),
            ("status", text),
        ],
    );
}

fn walk_state(state: &Value) {
    walk(
        "getStatus",
        state,
        &[
            ("orchestrationId", text),
            ("status", text),
            ("stepNumber", positive),
            ("currentAgents", list),
            ("completedAgents", filled),
            ("results", filled),
            ("creditsUsed", positive),
            ("creditsRemaining", positive),
            ("estimatedTimeRemaining", number),
        ],
    );
    walk(
        "OrchestrationState",
        state,
        &[
            ("id", text),
            ("planId", text),
            ("failedAgents", list),
            ("agentOutputs", filled),
            ("createdAt", time),
            ("updatedAt", time),
        ],
    );
}

#[tokio::test]
async fn every_field_of_the_seeds_interfaces_is_there_and_filled() {
    let stage = Stage::open().await;
    let (_, body) = stage.post("/api/orchestrate", seed_request()).await;
    walk_answer(&body);
    let enrichment = &body["planArtifact"]["enrichments"]["security-review"];
    walk("AgentEnrichment", enrichment, &ENRICHMENT);
    walk(
        "AgentEnrichment.metadata",
        &enrichment["metadata"],
        &METADATA,
    );
    let id = body["orchestrationId"].as_str().unwrap();
    let (status, state) = stage.get(&format!("/api/orchestrate/{id}")).await;
    assert_eq!(status, 200, "{state}");
    walk_state(&state);
    assert_eq!(
        state["creditsRemaining"],
        json!(999.1),
        "the default budget less 0.9"
    );
    assert_eq!(state["agentOutputs"]["security-review"], enrichment["data"]);
    walk(
        "a result",
        &state["results"]["security-review"],
        &ENRICHMENT,
    );
    stage.close().await;
}

#[tokio::test]
async fn agents_are_listed_and_registered_as_the_seed_prints_it() {
    let stage = Stage::open().await;
    let (status, body) = stage.get("/api/agents").await;
    assert_eq!(status, 200);
    let agents = body["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 2);
    for agent in agents {
        walk(
            "an agent",
            agent,
            &[
                ("id", text),
                ("displayName", text),
                ("description", text),
                ("timeout", positive),
                ("costPerRun", positive),
            ],
        );
    }
    let agent = json!({
        "id": "cost-review", "displayName": "Cost Review", "description": "Reviews costs",
        "inputSchema": {"fields": ["plan"], "context": ["architecture", "requirements"]},
        "outputSchema": {"enrichmentType": "cost-findings", "fields": {"found": ""}},
        "dependencies": [], "parallel": false, "timeout": 120_000, "maxRetries": 2, "model": "gpt-4",
        "estimatedTokens": 2000, "costPerRun": 0.5
    });
    let (status, body) = stage.post("/api/agents", json!({"agent": agent})).await;
    assert_eq!(status, 201, "{body}");
    for (field, value) in agent.as_object().unwrap() {
        // What is said by being left away may be left away in the answer.
        let shown = body["agent"].get(field).unwrap_or(&Value::Null);
        assert!(shown == value || value == &json!([]), "{field}: {shown}");
    }
    let (status, _) = stage.post("/api/agents", json!({"agent": agent})).await;
    assert_eq!(status, 200, "the same again changes nothing");
    stage.close().await;
}

#[tokio::test]
async fn health_is_as_the_seed_prints_it() {
    let stage = Stage::open().await;
    let (status, body) = stage.get("/health").await;
    assert_eq!((status, &body["status"]), (200, &json!("ok")));
    assert!(body["uptime"].is_number());
    stage.close().await;
}

#[tokio::test]
async fn what_the_seed_refuses_is_refused_in_its_words() {
    let stage = Stage::open().await;
    let (status, body) = stage.post("/api/orchestrate", json!({})).await;
    assert_eq!(
        (status, &body["error"]),
        (400, &json!("Missing planArtifact"))
    );
    let (status, body) = stage
        .post("/api/agents", json!({"agent": {"id": "a"}}))
        .await;
    assert_eq!(status, 400);
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .starts_with("Missing required fields"),
        "{body}"
    );
    stage.close().await;
}

#[tokio::test]
async fn who_does_not_wait_is_told_where_to_look() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    for (query, prefer) in [
        ("?wait=0", None),
        ("", Some("respond-async")),
        ("?wait=1", None),
    ] {
        let path = format!("/api/orchestrate{query}");
        let mut request = stage
            .ask(Method::POST, &path)
            .json(&request_for(&["slow-one"]));
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let (status, body) = answer(request).await;
        assert_eq!(status, 202, "{body}");
        let (status, state) = stage.get(body["statusUrl"].as_str().unwrap()).await;
        assert_eq!(status, 200);
        assert!(
            ["pending", "running"].contains(&state["status"].as_str().unwrap()),
            "{state}"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn a_failed_agent_is_among_the_results_and_makes_no_version() {
    let stage = Stage::open().await;
    stage.register("broken-one", json!({"maxRetries": 0})).await;
    let (status, body) = stage
        .post(
            "/api/orchestrate",
            request_for(&["security-review", "broken-one"]),
        )
        .await;
    assert_eq!((status, &body["status"]), (200, &json!("partial")));
    assert_eq!(body["failedAgents"], json!(["broken-one"]));
    assert_eq!(body["planArtifact"]["version"], 2);
    let id = body["orchestrationId"].as_str().unwrap();
    let (_, state) = stage.get(&format!("/api/orchestrate/{id}")).await;
    let failed = &state["results"]["broken-one"];
    assert_eq!(failed["status"], "failed");
    assert!(text(&failed["data"]["error"]), "{failed}");
    stage.close().await;
}

#[tokio::test]
async fn enrichments_that_come_with_the_plan_count_as_done() {
    let stage = Stage::open().await;
    let mut request = request_for(&["security-review", "performance-analysis"]);
    request["planArtifact"]["version"] = json!(7);
    request["planArtifact"]["enrichments"] = json!({"security-review": {
        "agentId": "security-review", "timestamp": 1_708_462_300_000_u64, "status": "success",
        "data": {"issues": [], "recommendations": ["as before"]},
        "metadata": {"inputHash": "x", "tokensUsed": 5.0, "creditsCharged": 0.5, "executionTimeMs": 1}
    }});
    let (status, body) = stage.post("/api/orchestrate", request).await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("complete")),
        "{body}"
    );
    assert_eq!(body["planArtifact"]["version"], 8);
    let kept = &body["planArtifact"]["enrichments"]["security-review"];
    assert_eq!(kept["data"]["recommendations"], json!(["as before"]));
    assert_eq!(kept["timestamp"], json!(1_708_462_300_000_u64));
    assert_eq!(body["creditsUsed"], json!(0.4), "nobody pays twice");
    stage.close().await;
}
