//! Forecasts over the API: what a submission may cost, told without beginning anything.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, assert_problem, request_for};

/// The same request, for so much, and only if it cannot cost more.
fn strictly(mut request: Value, budget: f64) -> Value {
    request["enrichmentRequest"]["budget"] = json!(budget);
    request["enrichmentRequest"]["strict"] = json!(true);
    request
}

fn figures(of: &Value) -> Value {
    json!([of["low"], of["expected"], of["p95"], of["worst"]])
}

#[tokio::test]
async fn a_forecast_tells_what_it_costs_and_begins_nothing() {
    let stage = Stage::open().await;
    let request = request_for(&["security-review", "performance-analysis"]);
    let (status, told) = stage.post("/api/forecast", request.clone()).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(figures(&told["total"]), json!([0.9, 0.9, 0.9, 0.9]));
    let steps = told["steps"].as_array().unwrap();
    let agents: Vec<_> = steps.iter().map(|step| &step["agentId"]).collect();
    assert_eq!(agents, ["security-review", "performance-analysis"]);
    assert_eq!(figures(&steps[0]), json!([0.5, 0.5, 0.5, 0.5]));
    assert_eq!(
        (&steps[0]["basis"], &steps[0]["unbounded"]),
        (&json!("flat"), &Value::Null)
    );
    assert_eq!(told["refusal"], Value::Null);
    assert!(told["planBytes"].as_u64().is_some_and(|bytes| bytes > 20));
    let (_, again) = stage.post("/api/forecast", request.clone()).await;
    assert_eq!(again, told);
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"], json!([]), "nothing has begun");
    assert_eq!(
        stage.stub.asked.load(Ordering::SeqCst),
        0,
        "nobody was asked"
    );
    let (status, answered) = stage.post("/api/orchestrate", request).await;
    assert_eq!(
        (status, &answered["creditsUsed"]),
        (200, &told["total"]["worst"])
    );
    stage.close().await;
}

#[tokio::test]
async fn not_even_the_key_of_a_repeated_request_is_stored() {
    let stage = Stage::open().await;
    let ask = |request: Value| {
        let ask = stage.ask(Method::POST, "/api/forecast");
        answer(ask.header("idempotency-key", "once").json(&request))
    };
    let both = request_for(&["security-review", "performance-analysis"]);
    assert_eq!(ask(both).await.1["total"]["worst"], json!(0.9));
    let one = request_for(&["security-review"]);
    assert_eq!(ask(one).await.1["total"]["worst"], json!(0.5));
    stage.close().await;
}

#[tokio::test]
async fn what_may_cost_more_than_its_budget_is_refused_with_its_figures() {
    let stage = Stage::open().await;
    let agents = ["security-review", "performance-analysis"];
    let dear = strictly(request_for(&agents), 0.899_999_999);
    let refused = stage.post("/api/orchestrate", dear.clone()).await;
    assert_problem(&refused, 422, "refused");
    let detail = refused.1["detail"].as_str().unwrap();
    for part in [
        "0.9 credits",
        "budget of 0.899999999",
        "`security-review`",
        "0.5",
    ] {
        assert!(detail.contains(part), "{part} is not in {detail}");
    }
    let (status, told) = stage.post("/api/forecast", dear).await;
    assert_eq!((status, told["refusal"].as_str()), (200, Some(detail)));
    let (status, answered) = stage
        .post("/api/orchestrate", strictly(request_for(&agents), 0.9))
        .await;
    assert_eq!(status, 200, "{answered}");
    stage.close().await;
}

#[tokio::test]
async fn an_unknown_price_has_no_worst_case_and_strictness_refuses_it() {
    let stage = Stage::open().await;
    let priced = |model: &str| json!({"costMode": "token-based", "model": model, "costPerRun": 0.25, "estimatedTokens": 1_000});
    stage.register("fortune-teller", priced("unheard-of")).await;
    stage.register("teller", priced("gpt-4")).await;
    let unknown = strictly(request_for(&["fortune-teller"]), 100.0);
    let refused = stage.post("/api/orchestrate", unknown.clone()).await;
    assert_problem(&refused, 422, "refused");
    let detail = refused.1["detail"].as_str().unwrap();
    assert!(
        detail.contains("`fortune-teller`") && detail.contains("price"),
        "{detail}"
    );
    let (_, told) = stage.post("/api/forecast", unknown).await;
    assert_eq!(told["steps"][0]["expected"], json!(0.25), "the fallback");
    assert!(told["steps"][0]["unbounded"].is_string(), "{told}");
    let known = strictly(request_for(&["teller"]), 100.0);
    let (_, told) = stage.post("/api/forecast", known).await;
    // 1,000 tokens read at 30 dollars a million; the hold is what was declared, and there are three attempts.
    assert_eq!(
        figures(&told["steps"][0]),
        json!([0.03, 0.03, 0.25, 0.75]),
        "{told}"
    );
    assert_eq!(
        (&told["refusal"], &told["steps"][0]["basis"]),
        (&Value::Null, &json!("declared"))
    );
    stage.close().await;
}

#[tokio::test]
async fn a_forecast_takes_what_a_submission_takes_and_refuses_what_it_refuses() {
    let stage = Stage::open().await;
    let unknown = stage.post("/api/forecast", request_for(&["nobody"])).await;
    assert_problem(&unknown, 422, "refused");
    let nothing = stage.post("/api/forecast", json!({})).await;
    assert_problem(&nothing, 400, "invalid-request");
    let text = stage.ask(Method::POST, "/api/forecast").body("text");
    assert_problem(&answer(text).await, 415, "unsupported-media-type");
    let viewer = stage.key("ann", domain::values::role::Role::Viewer).await;
    let ask = stage.ask(Method::POST, "/api/forecast").bearer_auth(viewer);
    let forbidden = answer(ask.json(&request_for(&["security-review"]))).await;
    assert_problem(&forbidden, 403, "forbidden");
    stage.close().await;
}

#[tokio::test]
async fn an_agents_own_history_tells_what_it_costs() {
    let stage = Stage::open().await;
    // The stub tells of 1,500 tokens, which cost 30 dollars a million.
    let priced = json!({
        "version": "2", "costMode": "token-based", "model": "gpt-4", "estimatedTokens": 2_000, "reuse": "never",
        "inputSchema": {"fields": ["plan"]}
    });
    stage.register("performance-analysis", priced).await;
    let agents = ["performance-analysis"];
    let begun = (0..19).map(|_| stage.post("/api/orchestrate", request_for(&agents)));
    for (status, answered) in join_all(begun).await {
        assert_eq!(
            (status, &answered["creditsUsed"]),
            (200, &json!(0.045)),
            "{answered}"
        );
    }
    let (_, told) = stage.post("/api/forecast", request_for(&agents)).await;
    let step = &told["steps"][0];
    assert_eq!(
        (&step["basis"], &step["history"]),
        (&json!("history"), &json!(19)),
        "{told}"
    );
    assert_eq!(
        step["sizeExponent"],
        Value::Null,
        "all plans are of one size"
    );
    // Three attempts of 2,000 tokens at the dearest rate, 60 dollars a million.
    assert_eq!(figures(step), json!([0.045, 0.045, 0.045, 0.36]));
    assert_eq!(figures(&told["total"]), figures(step));
    let other = stage
        .key("ann", domain::values::role::Role::Submitter)
        .await;
    let ask = stage.ask(Method::POST, "/api/forecast").bearer_auth(other);
    let (_, told) = answer(ask.json(&request_for(&agents))).await;
    assert_eq!(
        told["steps"][0]["history"],
        json!(0),
        "another account's costs are its own"
    );
    stage.close().await;
}
