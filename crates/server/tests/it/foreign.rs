//! Whose things are whose, over every route that the description has.

use domain::values::role::Role;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, assert_problem, seed_request};

/// What stands for a parameter of a route, where it is Ann's.
fn hers(name: &str, orchestration: &str, path: &str) -> Option<String> {
    let account = path.starts_with("/api/accounts/");
    Some(match name {
        "id" if account => "ann".to_owned(),
        "id" if path.starts_with("/api/orchestrat") => orchestration.to_owned(),
        "step" | "agent" => "security-review".to_owned(),
        "version" => "2".to_owned(),
        // Agents are common to all, and keys are an admin's alone.
        _ => return None,
    })
}

/// The path with what is hers in the place of its parameters; none where nothing in it belongs to an account.
fn filled(path: &str, orchestration: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            Some(name) => parts.push(hers(name, orchestration, path)?),
            None => parts.push(part.to_owned()),
        }
    }
    Some(parts.join("/"))
}

/// A body that fits each of the routes that take one.
fn body_of(path: &str) -> Value {
    match path.rsplit('/').next() {
        Some("grants" | "adjustments") => json!({"amount": 1, "note": "hers"}),
        Some("limit") => json!({"atLimit": "warn"}),
        Some("quotas") => json!({"per": "day", "count": 5}),
        _ => json!({}),
    }
}

#[tokio::test]
async fn nothing_of_another_account_is_there_on_any_route() {
    let stage = Stage::open().await;
    let (_, description) = stage.get("/api/openapi.json").await;
    // While nobody needs a key: what her agents cost.
    let grant = json!({"amount": 10});
    let (status, _) = stage.post("/api/accounts/ann/credits/grants", grant).await;
    assert_eq!(status, 201);
    let ann = stage.key("ann", Role::Operator).await;
    let bob = stage.key("bob", Role::Operator).await;
    let begun = stage.ask(http::Method::POST, "/api/orchestrate");
    let (status, begun) = answer(begun.bearer_auth(&ann).json(&seed_request())).await;
    assert_eq!(status, 200, "{begun}");
    let id = begun["orchestrationId"].as_str().unwrap();
    let (mut asked, mut common) = (0, Vec::new());
    for (path, methods) in description["paths"].as_object().unwrap() {
        if !path.contains('{') {
            continue;
        }
        let Some(hers) = filled(path, id) else {
            common.push(path.as_str());
            continue;
        };
        for method in methods.as_object().unwrap().keys() {
            let method: http::Method = method.to_uppercase().parse().unwrap();
            let ask = async |key: &str| {
                let ask = stage.ask(method.clone(), &hers).bearer_auth(key);
                let ask = if method == http::Method::GET {
                    ask
                } else {
                    ask.json(&body_of(path))
                };
                answer(ask).await
            };
            let his = ask(&bob).await;
            let own = ask(&ann).await;
            if own.0 == 403 {
                // An admin's to do, whoever's it is.
                assert_problem(&his, 403, "forbidden");
            } else {
                assert_problem(&his, 404, "not-found");
                assert_ne!(own.0, 404, "{method} {hers} is her own: {}", own.1);
                assert!(!his.1.to_string().contains("My Plan"), "{}", his.1);
                asked += 1;
            }
        }
    }
    assert!(asked > 20, "{asked} routes");
    common.sort_unstable();
    assert_eq!(
        common,
        [
            "/api/agents/{id}",
            "/api/agents/{id}/versions/{version}",
            "/api/keys/{id}"
        ]
    );
    stage.close().await;
}
