//! Credits over the API: the seed's transactions, what moved an account, and what an admin does to it.

use domain::values::role::Role;
use domain::values::time::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, assert_problem, request_for, seed_request};

fn fields(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn an_orchestration_shows_its_charges_in_the_seeds_shape() {
    let stage = Stage::open().await;
    let (status, body) = stage.post("/api/orchestrate", seed_request()).await;
    assert_eq!(status, 200, "{body}");
    let id = body["orchestrationId"].as_str().unwrap();
    let (status, told) = stage
        .get(&format!("/api/orchestrations/{id}/credits"))
        .await;
    assert_eq!(status, 200, "{told}");
    let rows = told["transactions"].as_array().unwrap();
    let charged: Vec<(&str, &Value)> = rows
        .iter()
        .map(|row| (row["agentId"].as_str().unwrap(), &row["totalCredits"]))
        .collect();
    assert_eq!(
        charged,
        [
            ("security-review", &json!(0.5)),
            ("performance-analysis", &json!(0.4))
        ]
    );
    for (number, row) in (1..).zip(rows) {
        let mut names = fields(row);
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "agentId",
                "costs",
                "orchestrationId",
                "stepNumber",
                "timestamp",
                "totalCredits"
            ]
        );
        let mut parts = fields(&row["costs"]);
        parts.sort_unstable();
        assert_eq!(parts, ["baseCharge", "llmTokens", "toolExecutions"]);
        assert_eq!(row["orchestrationId"], id);
        assert_eq!(row["stepNumber"], number);
        assert_eq!(row["costs"]["baseCharge"], row["totalCredits"]);
    }
    assert_eq!(told["creditsUsed"], body["creditsUsed"]);
    assert_eq!(told["creditsUsedExact"], "0.9");
    stage.close().await;
}

#[tokio::test]
async fn every_movement_is_told_with_the_balance_after_it() {
    let stage = Stage::open().await;
    let (_, before) = stage.get("/api/accounts/me/credits").await;
    assert_eq!(before["balanceExact"], "1000", "{before}");
    assert_eq!(before["grants"][0]["key"], "initial");
    stage.post("/api/orchestrate", seed_request()).await;
    let (_, after) = stage.get("/api/accounts/me/credits").await;
    assert_eq!(after["balanceExact"], "999.1", "{after}");
    assert_eq!((&after["held"], &after["debt"]), (&json!(0), &json!(0)));
    let history = "/api/accounts/me/credits/history";
    let (_, page) = stage.get(&format!("{history}?limit=2")).await;
    let newest = page["movements"].as_array().unwrap();
    assert_eq!(newest.len(), 2, "{page}");
    assert_eq!(newest[0]["kind"], "settle");
    assert_eq!(
        (&newest[0]["amount"], &newest[0]["balance"]),
        (&json!("-0.4"), &json!("999.1"))
    );
    let cursor = page["nextCursor"].as_str().unwrap();
    let (_, rest) = stage.get(&format!("{history}?cursor={cursor}")).await;
    let kinds: Vec<&Value> = rest["movements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|movement| &movement["kind"])
        .collect();
    assert_eq!(kinds, ["settle", "hold", "grant"]);
    let csv = stage.ask(Method::GET, &format!("{history}?format=csv"));
    let csv = csv.send().await.unwrap().text().await.unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 6, "{csv}");
    assert!(lines[0].starts_with("number,at,kind,"), "{csv}");
    assert!(
        lines[1].contains(",grant,1000,0,1000,0,"),
        "the oldest first: {csv}"
    );
    let lines = stage
        .ask(Method::GET, &format!("{history}?kind=settle"))
        .header("accept", "application/x-ndjson");
    let lines = lines.send().await.unwrap().text().await.unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let (_, days) = stage.get("/api/accounts/me/credits/days").await;
    let at = newest[0]["at"].as_i64().unwrap();
    let today = Timestamp(at * 1_000).to_string()[..10].to_owned();
    let told = days["days"].as_array().unwrap().iter();
    let told: Vec<_> = told
        .map(|sum| json!([sum["day"], sum["agentId"], sum["charged"], sum["charges"]]))
        .collect();
    let expected = [("performance-analysis", "0.4"), ("security-review", "0.5")];
    let expected = expected.map(|(agent, charged)| json!([today, agent, charged, 1]));
    assert_eq!(told, expected, "{days}");
    stage.close().await;
}

#[tokio::test]
async fn a_grant_is_given_once_a_key() {
    let stage = Stage::open().await;
    let path = "/api/accounts/acme/credits/grants";
    let order = json!({"key": "invoice-17", "amount": "12.5", "note": "paid"});
    let (status, first) = stage.post(path, order.clone()).await;
    assert_eq!((status, &first["new"]), (201, &json!(true)), "{first}");
    let (status, again) = stage.post(path, order).await;
    assert_eq!((status, &again["new"]), (200, &json!(false)), "{again}");
    assert_eq!(again["credits"]["balanceExact"], "12.5");
    let other = json!({"key": "invoice-17", "amount": 13});
    assert_problem(&stage.post(path, other).await, 409, "conflict");
    for refused in [
        json!({"amount": 0}),
        json!({"amount": -1}),
        json!({"amount": 1, "expiresAt": 1}),
    ] {
        assert_problem(&stage.post(path, refused).await, 422, "refused");
    }
    let (status, told) = stage
        .post(
            "/api/accounts/acme/credits/adjustments",
            json!({"amount": "-2.5", "note": "too much"}),
        )
        .await;
    assert_eq!(status, 201, "{told}");
    assert_eq!(told["credits"]["balanceExact"], "10");
    stage.close().await;
}

#[tokio::test]
async fn a_quota_is_set_shown_and_dropped() {
    let stage = Stage::open().await;
    let path = "/api/accounts/me/quotas";
    let wish = json!({"per": "day", "count": 1, "agentId": "security-review"});
    let (status, told) = stage.post(path, wish).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["quotas"][0]["count"], 1);
    let (_, body) = stage.post("/api/orchestrate", seed_request()).await;
    assert_eq!(body["status"], "complete", "{body}");
    let (_, told) = stage.get(path).await;
    assert_eq!(told["quotas"][0]["countUsed"], 1, "{told}");
    let dropped = json!({"per": "day", "agentId": "security-review"});
    let (_, told) = stage.post(path, dropped).await;
    assert_eq!(told["quotas"], json!([]));
    stage.close().await;
}

#[tokio::test]
async fn a_step_that_does_not_fit_says_what_is_needed_and_what_is_left() {
    let stage = Stage::open().await;
    stage.register("dear", json!({"costPerRun": 5})).await;
    let mut request = seed_request();
    request["enrichmentRequest"] = json!({"userId": "ann", "agents": ["dear"], "budget": 3});
    let (_, body) = stage.post("/api/orchestrate", request).await;
    assert_eq!(body["status"], "failed", "{body}");
    let id = body["orchestrationId"].as_str().unwrap();
    let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
    let said = shown["steps"][0].to_string();
    assert!(
        said.contains('5') && said.contains('3') && said.contains("budget"),
        "{said}"
    );
    let (_, told) = stage
        .get(&format!("/api/orchestrations/{id}/credits"))
        .await;
    assert_eq!(told["transactions"], json!([]));
    stage.close().await;
}

/// What a key is answered.
async fn as_key(stage: &Stage, key: &str, path: &str, body: Value) -> (u16, Value) {
    let request = stage.ask(Method::POST, path).bearer_auth(key);
    answer(request.json(&body)).await
}

/// Begins an orchestration, and waits until its one step is parked. Its path.
async fn until_parked(stage: &Stage, key: &str, request: Value) -> String {
    let (status, begun) = as_key(stage, key, "/api/orchestrate?wait=0", request).await;
    assert_eq!(status, 202, "{begun}");
    let id = begun["orchestrationId"].as_str().unwrap();
    let path = format!("/api/orchestrations/{id}");
    loop {
        let (_, shown) = answer(stage.ask(Method::GET, &path).bearer_auth(key)).await;
        match shown["steps"][0]["status"].as_str().unwrap() {
            "parked" => return path,
            state => assert!(["waiting", "ready"].contains(&state), "{shown}"),
        }
    }
}

#[tokio::test]
async fn what_happens_at_an_orchestrations_limit_is_its_senders_choice() {
    let stage = Stage::open().await;
    stage.register("dear", json!({"costPerRun": 5})).await;
    let submitter = stage.key("system", Role::Submitter).await;
    let mut request = request_for(&["dear"]);
    request["enrichmentRequest"]["budget"] = json!(3);
    request["enrichmentRequest"]["atLimit"] = json!("hope");
    let refused = as_key(&stage, &submitter, "/api/orchestrate", request.clone()).await;
    assert_problem(&refused, 400, "invalid-request");
    request["enrichmentRequest"]["atLimit"] = json!("pause");
    let parked = until_parked(&stage, &submitter, request).await;
    let yes = format!("{parked}/steps/dear/approve");
    let (status, said) = as_key(&stage, &submitter, &yes, json!({})).await;
    assert_eq!(status, 200, "who chose the budget may raise it: {said}");
    stage.close().await;
}

#[tokio::test]
async fn only_who_decides_on_credits_lets_an_account_go_into_debt() {
    let stage = Stage::open().await;
    stage.register("dear", json!({"costPerRun": 5})).await;
    let admin = stage.key("system", Role::Admin).await;
    let submitter = stage.key("ann", Role::Submitter).await;
    for (what, body) in [
        ("grants", json!({"amount": 1})),
        ("limit", json!({"atLimit": "pause"})),
    ] {
        let path = format!("/api/accounts/ann/credits/{what}");
        let (status, told) = as_key(&stage, &admin, &path, body).await;
        assert!([200, 201].contains(&status), "{told}");
    }
    let parked = until_parked(&stage, &submitter, request_for(&["dear"])).await;
    let yes = format!("{parked}/steps/dear/approve");
    let refused = as_key(&stage, &submitter, &yes, json!({})).await;
    assert_problem(&refused, 403, "forbidden");
    let (status, said) = as_key(&stage, &admin, &yes, json!({})).await;
    assert_eq!(status, 200, "{said}");
    stage.close().await;
}

#[tokio::test]
async fn an_amount_out_of_bounds_is_told_the_bound_that_it_passes() {
    let stage = Stage::open().await;
    let path = "/api/accounts/acme/credits/adjustments";
    for (amount, bound) in [("9000000001", "at most 9"), ("-9000000001", "at least -9")] {
        let wish = json!({"amount": amount, "note": "wrong"});
        let answer = stage.post(path, wish).await;
        assert_problem(&answer, 400, "invalid-request");
        let why = answer.1["detail"].as_str().unwrap();
        assert!(why.contains(bound), "{why}");
    }
    stage.close().await;
}
