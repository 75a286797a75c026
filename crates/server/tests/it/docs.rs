//! The description and the page that shows it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::stage::Stage;

const ROUTES: [&str; 25] = [
    "/health",
    "/api/orchestrate",
    "/api/orchestrate/{id}",
    "/api/orchestrations",
    "/api/orchestrations/{id}",
    "/api/forecast",
    "/api/prices",
    "/api/orchestrations/{id}/credits",
    "/api/credits/export",
    "/api/accounts/{id}/credits",
    "/api/accounts/{id}/credits/history",
    "/api/accounts/{id}/credits/days",
    "/api/accounts/{id}/credits/grants",
    "/api/accounts/{id}/credits/adjustments",
    "/api/accounts/{id}/credits/limit",
    "/api/accounts/{id}/quotas",
    "/api/orchestrations/{id}/cancel",
    "/api/orchestrations/{id}/events",
    "/api/orchestrations/{id}/artifact",
    "/api/agents",
    "/api/agents/{id}",
    "/api/agents/discover",
    "/api/accounts",
    "/api/keys",
    "/api/replicas",
];

#[tokio::test]
async fn the_description_names_every_route_with_its_problems() {
    let stage = Stage::open().await;
    let (status, description) = stage.get("/api/openapi.json").await;
    assert_eq!(status, 200);
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = description["paths"].as_object().unwrap();
    for path in ROUTES {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says nothing of itself"
            );
            assert!(
                operation["tags"][0].is_string(),
                "{method} {path} has no tag"
            );
            let problem = &operation["responses"]["404"]["content"];
            assert!(
                path == "/health" || problem.get("application/problem+json").is_some(),
                "{method} {path}"
            );
        }
    }
    assert!(description["components"]["securitySchemes"]["key"].is_object());
    let timeout = &description["components"]["schemas"]["AgentDefinition"]["properties"]["timeout"];
    assert!(
        timeout.is_object(),
        "the definition's own schema is part of it"
    );
    every_reference_leads_somewhere(&description, &description);
    for (path, method, header) in [
        ("/api/orchestrate", "post", "Prefer"),
        ("/api/orchestrations/{id}/events", "get", "Last-Event-ID"),
        ("/api/orchestrations/{id}/stream", "get", "Last-Event-ID"),
        ("/api/accounts/{id}/events", "get", "Last-Event-ID"),
        ("/api/accounts/{id}/stream", "get", "Last-Event-ID"),
    ] {
        let parameters = paths[path][method]["parameters"].as_array().unwrap();
        let told = parameters.iter().find(|one| one["name"] == header);
        let told = told.unwrap_or_else(|| panic!("{path} hides {header}"));
        assert_eq!(
            (&told["in"], &told["required"]),
            (&json!("header"), &json!(false))
        );
    }
    stage.close().await;
}

fn every_reference_leads_somewhere(whole: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference
                    .strip_prefix('#')
                    .expect("nothing outside is asked for");
                assert!(whole.pointer(pointer).is_some(), "{reference}");
            }
            members
                .values()
                .for_each(|member| every_reference_leads_somewhere(whole, member));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| every_reference_leads_somewhere(whole, item)),
        _ => {}
    }
}

#[tokio::test]
async fn the_reference_page_asks_nobody_else_for_anything() {
    let stage = Stage::open().await;
    let page = stage.ask(Method::GET, "/api/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    let parts = page
        .split(['"', '\''])
        .filter(|part| part.ends_with(".js") || part.ends_with(".css"));
    let mut found = 0;
    for part in parts {
        assert!(!part.contains("//"), "{part} lies outside");
        let response = stage
            .ask(Method::GET, &format!("/api/docs/{part}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{part}");
        found += 1;
    }
    assert!(found > 2, "{page}");
    let start = stage
        .ask(Method::GET, "/api/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap();
    let start = start.text().await.unwrap();
    assert!(
        start.contains("/api/openapi.json") && !start.contains("https://"),
        "{start}"
    );
    assert!(start.contains("\"validatorUrl\": \"none\""), "{start}");
    stage.close().await;
}

#[tokio::test]
async fn answers_are_compressed_for_who_asks_for_it() {
    let stage = Stage::open().await;
    let ask = |encoding: &'static str| {
        stage
            .ask(Method::GET, "/api/agents")
            .header("accept-encoding", encoding)
            .send()
    };
    assert_eq!(
        ask("gzip").await.unwrap().headers()["content-encoding"],
        "gzip"
    );
    assert!(
        !ask("identity")
            .await
            .unwrap()
            .headers()
            .contains_key("content-encoding")
    );
    stage.close().await;
}
