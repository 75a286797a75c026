//! The seed's interfaces that its session leaves empty: what failed, how agents are defined, what was charged, what was told.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use domain::values::time::{Millis, Timestamp};
use engine::clock::{Clock, ManualClock};
use engine::outside::Outside;
use engine::perform::Performer;
use providers::models::Models;
use providers::models::scripted::CueSheet;
use providers::models::settings::ModelsSettings;
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};
use server::config::Settings;

use crate::live_house::{House, Place, agent};
use crate::seed::{Field, positive, text, time, walk};
use crate::stage::{Stage, request_for};

#[tokio::test]
async fn a_plan_artifact_that_failed_says_why() {
    let stage = Stage::open().await;
    stage.register("broken-one", json!({"maxRetries": 0})).await;
    let (_, body) = stage
        .post("/api/orchestrate", request_for(&["broken-one"]))
        .await;
    assert_eq!(body["planArtifact"]["status"], "failed", "{body}");
    let fields: [Field; 2] = [("failureReason", text), ("orchestrationId", text)];
    walk("PlanArtifact", &body["planArtifact"], &fields);
    let id = body["orchestrationId"].as_str().unwrap();
    let (_, artifact) = stage
        .get(&format!("/api/orchestrations/{id}/artifact"))
        .await;
    walk("PlanArtifact", &artifact, &fields);
    stage.close().await;
}

/// The seed's five standings of an agent, as a status tells them.
#[tokio::test]
async fn an_agent_that_hangs_is_at_work_until_its_time_is_over_and_told_so() {
    let clock = ManualClock::at(Timestamp(1_800_000_000_000_000));
    let stage = Stage::at(Clock::Manual(clock.clone()), |_| {}).await;
    let hangs = json!({"timeout": 30_000, "maxRetries": 0, "dependencies": ["security-review"]});
    stage.register("slow-one", hangs).await;
    let request = request_for(&["slow-one"]);
    let (status, begun) = stage.post("/api/orchestrate?wait=0", request).await;
    assert_eq!(status, 202, "{begun}");
    let id = begun["orchestrationId"].as_str().unwrap();
    let until = async |wanted: &dyn Fn(&Value) -> bool| loop {
        let (_, state) = stage.get(&format!("/api/orchestrate/{id}")).await;
        if wanted(&state) {
            break state;
        }
    };
    let state = until(&|state| state["currentAgents"] == json!(["slow-one"])).await;
    assert_eq!(state["status"], "running", "{state}");
    // It is asked, and does not answer.
    while stage.stub.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    clock.advance(Millis(30_000));
    let state = until(&|state| state["status"] == "partial").await;
    assert_eq!(state["failedAgents"], json!(["slow-one"]), "{state}");
    assert_eq!(state["completedAgents"], json!(["security-review"]));
    let results = &state["results"];
    assert_eq!(results["slow-one"]["status"], "timeout");
    walk(
        "what failed",
        &results["slow-one"]["data"],
        &[("error", text)],
    );
    assert_eq!(results["security-review"]["status"], "completed");
    stage.close().await;
}

/// With all that the seed's interface names, and each field filled.
fn full_definition() -> Value {
    json!({
        "id": "cost-review",
        "displayName": "Cost Review",
        "description": "Reviews costs",
        "inputSchema": {"fields": ["plan"], "context": ["architecture", "requirements"]},
        "outputSchema": {"enrichmentType": "cost-findings", "fields": {"found": "", "more": []}},
        "dependencies": ["security-review"],
        "runCondition": "enrichments.size() >= 0",
        "parallel": false,
        "timeout": 90_000,
        "maxRetries": 1,
        "model": "gpt-4",
        "estimatedTokens": 2000,
        "costPerRun": 0.35
    })
}

#[tokio::test]
async fn an_agent_shows_each_field_of_its_definition_as_it_was_given() {
    let stage = Stage::open().await;
    let given = full_definition();
    let (status, body) = stage.post("/api/agents", json!({"agent": given})).await;
    assert_eq!(status, 201, "{body}");
    let (status, shown) = stage.get("/api/agents/cost-review").await;
    assert_eq!(status, 200, "{shown}");
    for (field, value) in given.as_object().unwrap() {
        assert_eq!(&shown["agent"][field], value, "{field}");
        assert_eq!(&body["agent"][field], value, "{field}");
    }
    // What the seed prints without a value is there, too.
    let (_, shown) = stage.get("/api/agents/security-review").await;
    assert_eq!(shown["agent"]["dependencies"], json!([]));
    // An edge that says more than whose it is, says it.
    let edges = json!([{"agent": "security-review", "acceptsPartial": true, "optional": false}]);
    stage
        .register("later", json!({"dependencies": edges}))
        .await;
    let (_, shown) = stage.get("/api/agents/later").await;
    assert_eq!(shown["agent"]["dependencies"], edges);
    assert_eq!(shown["agent"]["outputSchema"]["fields"], json!({}));
    // What is shown can be given again, and is the same.
    let (status, again) = stage
        .post("/api/agents", json!({"agent": shown["agent"]}))
        .await;
    assert_eq!(status, 200, "{again}");
    stage.close().await;
}

#[tokio::test]
async fn a_credit_transaction_has_each_of_its_costs() {
    let stage = Stage::open().await;
    // Its stub fails who asks first.
    stage
        .post("/api/orchestrate", request_for(&["security-review"]))
        .await;
    let metered = json!({
        "costMode": "hybrid", "model": "gpt-4o", "costPerRun": 0.25, "toolRates": {"search": 0.125}, "ceiling": 1
    });
    stage.register("metered-twice", metered).await;
    let (_, body) = stage
        .post("/api/orchestrate", request_for(&["metered-twice"]))
        .await;
    assert_eq!(body["status"], "complete", "{body}");
    let id = body["orchestrationId"].as_str().unwrap();
    let (_, told) = stage
        .get(&format!("/api/orchestrations/{id}/credits"))
        .await;
    let row = &told["transactions"][0];
    walk(
        "CreditTransaction",
        row,
        &[
            ("orchestrationId", text),
            ("agentId", text),
            ("stepNumber", positive),
            ("totalCredits", positive),
            ("timestamp", time),
        ],
    );
    walk(
        "CreditTransaction.costs",
        &row["costs"],
        &[
            ("llmTokens", positive),
            ("toolExecutions", positive),
            ("baseCharge", positive),
        ],
    );
    assert_eq!(row["costs"]["toolExecutions"], json!(0.375), "three calls");
    assert_eq!(row["costs"]["baseCharge"], json!(0.25));
    let of = |part: &str| row["costs"][part].as_f64().unwrap();
    let sum = of("llmTokens") + of("toolExecutions") + of("baseCharge");
    assert!((row["totalCredits"].as_f64().unwrap() - sum).abs() < 1e-9);
    assert_eq!(told["creditsUsed"], body["creditsUsed"]);
    stage.close().await;
}

/// What a model says that looks at the plan before it answers; and one that cannot be asked.
const SHEETS: [(&str, &str); 2] = [
    (
        "looks",
        "[[answers]]\ntimes = 1\ncalls = [{ name = 'list_artifacts' }]\n[[answers]]\ntext = 'All is there.'",
    ),
    (
        "fails",
        "[[answers]]\nerror = { class = 'fatal', message = 'no such model' }",
    ),
];

/// A server whose one agent converses with a model that answers from a cue sheet.
async fn conversing(place: &Place, sheet: &str) -> House {
    let read = |(name, text): (&str, &str)| (name.to_owned(), CueSheet::read(text).unwrap());
    let models = ModelsSettings {
        scripted: SHEETS.map(read).into(),
        ..ModelsSettings::default()
    };
    let models = Models::new(models, OutgoingSettings::default(), &|_| None).unwrap();
    let outside = Outside {
        models: Some(models),
        ..Outside::default()
    };
    let talker = agent(
        "a",
        &[],
        &format!(
            "executor = {{ kind = 'model' }}\nmodel = 'scripted/{sheet}'\ntoolNames = ['list_artifacts']\nmaxRetries = 0"
        ),
    );
    House::open_outside(
        place,
        vec![talker],
        Performer::Executors,
        (Settings::default(), outside),
    )
    .await
}

/// What all events have, and those of steps.
const EVENT: [Field; 5] = [
    ("type", text),
    ("cursor", text),
    ("seq", positive),
    ("at", time),
    ("orchestrationId", text),
];
const OF_STEP: [Field; 2] = [("stepId", text), ("agentId", text)];

#[tokio::test]
async fn all_seven_events_of_the_seed_are_told_and_filled() {
    let mut told = BTreeMap::new();
    for (sheet, _) in SHEETS {
        let house = conversing(&Place::sqlite(), sheet).await;
        let id = house.begin("Build a shed.").await;
        house.ended(id).await;
        for event in house
            .events(&format!("/orchestrations/{id}/events"), 100)
            .await
        {
            let name = event["type"].as_str().unwrap().to_owned();
            told.entry(name).or_insert(event);
        }
        house.close().await;
    }
    for name in [
        "step_started",
        "agent_invoked",
        "tool_called",
        "agent_completed",
        "enrichment_applied",
        "step_completed",
        "orchestration_failed",
    ] {
        let event = told
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not told"));
        walk(name, event, &EVENT);
        if name != "orchestration_failed" {
            walk(name, event, &OF_STEP);
        }
    }
    let called = &told["tool_called"];
    walk(
        "tool_called",
        &called["data"],
        &[
            ("toolName", text),
            ("inputBytes", positive),
            ("outputBytes", positive),
        ],
    );
    assert_eq!(called["data"]["toolName"], "list_artifacts");
    assert_eq!(called["data"]["failed"], false);
    let failed = &told["orchestration_failed"];
    assert_eq!(failed["status"], "failed");
    walk(
        "orchestration_failed",
        &failed["data"],
        &[("reason", text), ("creditsUsed", Value::is_number)],
    );
}
