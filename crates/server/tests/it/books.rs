//! What operators ask of the books over the API: histories by what was charged, prices, and the charges as PlanExe's books have them.

use domain::values::role::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, assert_problem, request_for, seed_request};

const USER: &str = "00000000-0000-0000-0000-000000000007";

/// Lines of text that `path` answers with, asked with a key.
async fn lines(stage: &Stage, path: &str, key: Option<&str>) -> Vec<String> {
    let ask = stage.ask(Method::GET, path);
    let ask = match key {
        Some(key) => ask.bearer_auth(key),
        None => ask,
    };
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let text = answer.text().await.unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_history_and_its_days_go_by_orchestration_agent_step_and_time() {
    let stage = Stage::open().await;
    let (_, one) = stage.post("/api/orchestrate", seed_request()).await;
    let wanted = request_for(&["security-review"]);
    let (_, other) = stage.post("/api/orchestrate", wanted).await;
    let ids = [&one, &other].map(|body| body["orchestrationId"].as_str().unwrap().to_owned());
    let history = "/api/accounts/me/credits/history";
    for (query, settles) in [
        (String::new(), 3),
        (format!("&orchestration={}", ids[0]), 2),
        (format!("&orchestration={}", ids[1]), 1),
        ("&agent=security-review".to_owned(), 2),
        ("&step=performance-analysis".to_owned(), 1),
        (
            format!("&step=performance-analysis&orchestration={}", ids[1]),
            0,
        ),
        ("&from=4102444800000".to_owned(), 0),
        ("&to=4102444800000".to_owned(), 3),
    ] {
        let (status, page) = stage.get(&format!("{history}?kind=settle{query}")).await;
        assert_eq!(status, 200, "{page}");
        let found = page["movements"].as_array().unwrap();
        assert_eq!(found.len(), settles, "{query}: {page}");
        // The oldest first, where the page has the newest first.
        let lines = lines(
            &stage,
            &format!("{history}?kind=settle&format=ndjson{query}"),
            None,
        )
        .await;
        let read = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert!(read.rev().eq(found.iter().cloned()), "{query}");
        let days = "/api/accounts/me/credits/days?";
        let (status, told) = stage
            .get(&format!("{days}{}", query.trim_start_matches('&')))
            .await;
        assert_eq!(status, 200, "{told}");
        let days = told["days"].as_array().unwrap();
        let charges: i64 = days
            .iter()
            .map(|day| day["charges"].as_i64().unwrap())
            .sum();
        assert_eq!(charges, settles as i64, "{query}: {told}");
    }
    stage.close().await;
}

#[tokio::test]
async fn the_price_table_is_shown_and_which_one_an_orchestration_began_with() {
    let stage = Stage::open().await;
    let (status, table) = stage.get("/api/prices").await;
    assert_eq!(status, 200, "{table}");
    for field in ["version", "date", "source"] {
        assert!(
            table[field].as_str().is_some_and(|text| !text.is_empty()),
            "{table}"
        );
    }
    let models = table["models"].as_array().unwrap();
    let model = models
        .iter()
        .find(|model| model["model"] == "gpt-4o")
        .unwrap();
    assert_eq!(
        (&model["input"], &model["cachedInput"], &model["output"]),
        (&json!("2.5"), &json!("1.25"), &json!("10"))
    );
    stage
        .register(
            "metered",
            json!({"costMode": "token-based", "model": "gpt-4o", "ceiling": 1}),
        )
        .await;
    for (agent, tables) in [
        ("metered", json!([table["version"]])),
        ("security-review", json!([])),
    ] {
        let (_, body) = stage.post("/api/orchestrate", request_for(&[agent])).await;
        let id = body["orchestrationId"].as_str().unwrap();
        let (_, shown) = stage.get(&format!("/api/orchestrations/{id}")).await;
        assert_eq!(shown["priceTables"], tables, "{agent}");
    }
    stage.close().await;
}

/// A first attempt fails and tells of tokens, the second completes and tells of tokens and tools: two rows in the seed's
/// shape, which come to what the orchestration used.
#[tokio::test]
async fn tokens_tools_and_base_stand_in_the_seeds_rows_for_every_attempt() {
    let stage = Stage::open().await;
    let rest = json!({
        "costMode": "hybrid", "model": "gpt-4o", "costPerRun": 0.1, "ceiling": 1, "maxRetries": 1,
        "toolRates": {"search": 0.002},
    });
    stage.register("metered-twice", rest).await;
    let (_, body) = stage
        .post("/api/orchestrate", request_for(&["metered-twice"]))
        .await;
    assert_eq!(body["status"], "complete", "{body}");
    let id = body["orchestrationId"].as_str().unwrap();
    let (_, told) = stage
        .get(&format!("/api/orchestrations/{id}/credits"))
        .await;
    let costs: Vec<&Value> = told["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["costs"])
        .collect();
    assert_eq!(
        costs,
        [
            &json!({"llmTokens": 0.03, "toolExecutions": 0, "baseCharge": 0}),
            &json!({"llmTokens": 0.034, "toolExecutions": 0.006, "baseCharge": 0.1}),
        ]
    );
    assert_eq!(told["creditsUsedExact"], "0.17");
    assert_eq!(told["creditsUsed"], body["creditsUsed"]);
    let enrichment = &body["planArtifact"]["enrichments"]["metered-twice"];
    assert_eq!(enrichment["metadata"]["creditsCharged"], json!(0.17));
    stage.close().await;
}

/// Whose a charge is: the user's whose id the account bears, whatever its sender says; else the one that an operator names. Who may
/// only submit names nobody who pays.
#[tokio::test]
async fn charges_are_the_accounts_users_else_whom_an_operator_names() {
    const OWN: &str = "00000000-0000-0000-0000-0000000000aa";
    let stage = Stage::open().await;
    let admin = stage.key("system", Role::Admin).await;
    for (account, role, payer) in [
        (OWN, Role::Operator, Some(OWN)),
        (OWN, Role::Submitter, Some(OWN)),
        ("front", Role::Operator, Some(USER)),
        ("front", Role::Submitter, None),
    ] {
        let key = stage.key(account, role).await;
        let granted = stage
            .ask(
                Method::POST,
                &format!("/api/accounts/{account}/credits/grants"),
            )
            .bearer_auth(&admin)
            .json(&json!({"amount": 10}));
        assert_eq!(answer(granted).await.0, 201);
        let mut wanted = request_for(&["security-review"]);
        wanted["enrichmentRequest"]["userId"] = json!(USER);
        let ask = stage
            .ask(Method::POST, "/api/orchestrate")
            .bearer_auth(&key);
        let (_, body) = answer(ask.json(&wanted)).await;
        assert_eq!(body["status"], "complete", "{body}");
        let path = format!("/api/credits/export?account={account}");
        let last = lines(&stage, &path, Some(&admin)).await.pop().unwrap();
        let row: Value = serde_json::from_str(&last).unwrap();
        assert_eq!(row["userId"], json!(payer), "{account} {role}: {row}");
        let identity = format!(
            "{}:security-review:1:0",
            body["orchestrationId"].as_str().unwrap()
        );
        assert_eq!(
            (
                &row["externalId"],
                &row["delta"],
                &row["source"],
                &row["account"]
            ),
            (
                &json!(identity),
                &json!("-0.5"),
                &json!("enrichment"),
                &json!(account)
            )
        );
        let refused = answer(stage.ask(Method::GET, &path).bearer_auth(&key)).await;
        assert_problem(&refused, 403, "forbidden");
    }
    let all = lines(&stage, "/api/credits/export?format=csv", Some(&admin)).await;
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(
        all[0],
        "user_id,delta,reason,source,external_id,created_at,account"
    );
    let (_, again) = {
        let path = "/api/credits/export?format=xml";
        answer(stage.ask(Method::GET, path).bearer_auth(&admin)).await
    };
    assert_eq!(again["status"], 400, "{again}");
    stage.close().await;
}
