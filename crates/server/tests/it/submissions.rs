//! What a submission says, field by field: taken as what it is called, or refused with its place and with what would do.

use serde_json::{Value, json};

use crate::bad_input::body;
use crate::stage::{Stage, assert_problem, seed_request};

/// A field, what is given as it, and what its refusal says.
type Refused = (String, Value, Vec<&'static str>);

fn read(table: &'static str) -> impl Iterator<Item = Refused> {
    table.lines().map(|line| {
        let mut parts = line.split(" | ");
        let (field, given) = (parts.next().unwrap(), parts.next().unwrap());
        let given = serde_json::from_str(given).unwrap();
        (field.to_owned(), given, parts.collect())
    })
}

async fn assert_refused(stage: &Stage, path: &str, request: Value, said: &[&str]) {
    let answer = stage.post(path, request).await;
    assert_problem(&answer, 400, "invalid-request");
    for part in said {
        let detail = answer.1["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{part}: {detail}");
    }
}

const ARTIFACT: &str = r#"status | "banana" | planArtifact.status | `enriching`
status | 5 | planArtifact.status | a text is wanted
createdAt | -1 | planArtifact.createdAt | negative
createdAt | 1e300 | planArtifact.createdAt | whole number
lastUpdatedAt | 9007199254741 | planArtifact.lastUpdatedAt | milliseconds since 1970
lastUpdatedAt | "today" | planArtifact.lastUpdatedAt | whole number
orchestrationId | 5 | planArtifact.orchestrationId | string
failureReason | [] | planArtifact.failureReason | string
version | -1 | planArtifact.version | negative
id | " \t" | planArtifact.id | not only blanks
enrichments | [] | planArtifact.enrichments | an object"#;

const PRIOR: &str = r#"agentId | "b" | security-review.agentId | under its agent's id
agentVersion | "" | security-review.agentVersion | 1 to 256
timestamp | -5 | security-review.timestamp | negative
status | "odd" | security-review.status | success
data | 5 | security-review.data | no object
odd | 5 | security-review.odd | unknown field
metadata | {"tokensUsed": -1} | security-review.metadata.tokensUsed | negative
metadata | {"tokensUsed": 18446744073709551615} | metadata.tokensUsed | 0 to 9007199254740992
metadata | {"creditsCharged": -3} | metadata.creditsCharged | 0 to 9000000000
metadata | {"executionTimeMs": -1} | metadata.executionTimeMs | negative
metadata | {"inputHash": 5} | security-review.metadata.inputHash | string"#;

const REQUEST: &str = r#"budget | "much" | enrichmentRequest.budget
budget | true | enrichmentRequest.budget | an amount of credits
maxSteps | 0 | enrichmentRequest.maxSteps
agents | ["security-review", 5] | enrichmentRequest.agents[1]
agents | [""] | enrichmentRequest.agents
userId | " " | enrichmentRequest.userId
fresh | "yes" | enrichmentRequest.fresh
atLimit | 5 | enrichmentRequest.atLimit"#;

#[tokio::test]
async fn each_field_is_held_to_its_type_and_named() {
    let stage = Stage::open().await;
    for (field, given, said) in read(ARTIFACT) {
        let mut request = seed_request();
        request["planArtifact"][field] = given;
        assert_refused(&stage, "/api/orchestrate", request, &said).await;
    }
    for (field, given, said) in read(PRIOR) {
        let mut request = seed_request();
        let mut prior = json!({"status": "completed", "data": {}, "metadata": {}});
        prior[field] = given;
        request["planArtifact"]["enrichments"] = json!({"security-review": prior});
        assert_refused(&stage, "/api/orchestrate", request, &said).await;
    }
    for (field, given, said) in read(REQUEST) {
        let mut request = seed_request();
        request["enrichmentRequest"] = json!({field: given});
        assert_refused(&stage, "/api/orchestrations", request, &said).await;
    }
    stage.close().await;
}

#[tokio::test]
async fn what_comes_twice_is_refused_by_its_name() {
    let stage = Stage::open().await;
    let files = |first: &str| {
        format!(
            r#"{{"{first}": "Plan:\nBuild a shed.", "018-5-wbs_level1.json": {{"id": "1"}}, "019-wbs_level2.json": "[{{}}]", "001-2-plan.txt": "Plan:\nBuild a boat."}}"#
        )
    };
    for (plan, enrichments, said) in [
        (
            files("001-2-plan.txt"),
            "{}",
            "`001-2-plan.txt` comes twice",
        ),
        (
            "{}".to_owned(),
            r#"{"a": {"data": {}}, "a": {"data": {}}}"#,
            "`a` comes twice",
        ),
    ] {
        let text = format!(
            r#"{{"planArtifact": {{"id": "a", "plan": {plan}, "enrichments": {enrichments}}}}}"#
        );
        let answer = body(&stage, "/api/orchestrate", "application/json", text).await;
        assert_problem(&answer, 400, "invalid-request");
        let detail = answer.1["detail"].as_str().unwrap();
        assert!(
            detail.starts_with("planArtifact.") && detail.contains(said),
            "{detail}"
        );
    }
    stage.close().await;
}

/// What a server shows may be given back to it, and what the seed's clients may say of themselves too.
#[tokio::test]
async fn an_artifact_that_was_answered_can_be_submitted_again() {
    let stage = Stage::open().await;
    let (_, first) = stage.post("/api/orchestrate", seed_request()).await;
    let asked = stage.stub.asked.load(std::sync::atomic::Ordering::SeqCst);
    let again = json!({"planArtifact": first["planArtifact"]});
    let (status, again) = stage.post("/api/orchestrate", again).await;
    assert_eq!(
        (status, &again["status"]),
        (200, &json!("complete")),
        "{again}"
    );
    assert_eq!(
        again["planArtifact"]["version"],
        first["planArtifact"]["version"]
    );
    assert_eq!(
        stage.stub.asked.load(std::sync::atomic::Ordering::SeqCst),
        asked
    );
    for status in [
        "pending",
        "enriching",
        "complete",
        "partial",
        "failed",
        "cancelled",
    ] {
        let mut request = seed_request();
        request["planArtifact"]["status"] = json!(status);
        request["planArtifact"]["failureReason"] = json!(null);
        request["planArtifact"]["createdAt"] = json!(null);
        request["planArtifact"]["orchestrationId"] = json!("of another server");
        let (status, answer) = stage.post("/api/orchestrate?wait=0", request).await;
        assert_eq!(status, 202, "{answer}");
    }
    stage.close().await;
}
