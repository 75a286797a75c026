//! Plans as zips and forms, and paths on the server.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use domain::values::role::Role;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::stage::{Stage, answer, assert_problem};

/// A real plan, as PlanExe wrote it.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/plans/harbour-ferry-solveig")
        .canonicalize()
        .unwrap()
}

fn zipped(folder: &Path) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_str().unwrap();
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&std::fs::read(&path).unwrap()).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

async fn shown(stage: &Stage, accepted: (u16, Value)) -> Value {
    assert_eq!(accepted.0, 202, "{}", accepted.1);
    let id = accepted.1["orchestrationId"].as_str().unwrap();
    stage.get(&format!("/api/orchestrations/{id}")).await.1
}

#[tokio::test]
async fn a_zip_is_a_plan_as_body_and_in_a_form() {
    let stage = Stage::open().await;
    let zip = zipped(&example());
    let request = "%7B%22agents%22%3A%5B%22security-review%22%5D%7D";
    let raw = stage
        .ask(
            Method::POST,
            &format!("/api/orchestrations?name=ferry&planId=p-1&enrichmentRequest={request}"),
        )
        .header("content-type", "application/zip")
        .body(zip.clone());
    let raw = shown(&stage, answer(raw).await).await;
    assert_eq!(
        (&raw["planId"], &raw["name"]),
        (&json!("p-1"), &json!("ferry"))
    );
    let form = Form::new()
        .text(
            "request",
            json!({"planId": "p-2", "enrichmentRequest": {"agents": ["security-review"]}})
                .to_string(),
        )
        .part("plan", Part::bytes(zip).file_name("solveig.zip"));
    let form = answer(
        stage
            .ask(Method::POST, "/api/orchestrations")
            .multipart(form),
    )
    .await;
    let form = shown(&stage, form).await;
    assert_eq!(
        (&form["planId"], &form["name"]),
        (&json!("p-2"), &json!("solveig"))
    );
    assert_eq!(
        form["planHash"], raw["planHash"],
        "the same plan by either way"
    );
    stage.close().await;
}

/// An upload is a write like any other: what is sent again under its key begins nothing, and another one is refused.
#[tokio::test]
async fn an_upload_that_is_repeated_is_made_once() {
    let stage = Stage::open().await;
    let zip = zipped(&example());
    let upload = async |bytes: Vec<u8>| {
        let request = stage
            .ask(Method::POST, "/api/orchestrations?name=ferry")
            .header("content-type", "application/zip")
            .header("idempotency-key", "upload-1");
        answer(request.body(bytes)).await
    };
    let first = upload(zip.clone()).await;
    assert_eq!(first.0, 202, "{}", first.1);
    assert_eq!(upload(zip.clone()).await, first);
    let mut other = zip;
    other.push(0);
    assert_problem(&upload(other).await, 422, "idempotency-key-reused");
    let (_, list) = stage.get("/api/orchestrations").await;
    assert_eq!(list["orchestrations"].as_array().unwrap().len(), 1);
    stage.close().await;
}

// Every client makes up a new boundary when it sends a form again.
#[tokio::test]
async fn a_form_sent_again_under_its_key_is_the_same_whatever_its_boundary() {
    let stage = Stage::open().await;
    let send = |boundary: &str, request: &str| {
        let mut body = Vec::new();
        for (name, content) in [
            ("request", request.as_bytes()),
            ("plan", &zipped(&example())),
        ] {
            let head = format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.zip\"\r\n\r\n"
            );
            body.extend([head.as_bytes(), content, b"\r\n"].concat());
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        let form = format!("multipart/form-data; boundary={boundary}");
        let ask = stage.ask(Method::POST, "/api/orchestrations");
        answer(
            ask.header("idempotency-key", "one")
                .header("content-type", form)
                .body(body),
        )
    };
    let request = r#"{"enrichmentRequest": {"agents": ["security-review"]}}"#;
    let first = send("aaaa", request).await;
    assert_eq!(first.0, 202, "{}", first.1);
    assert_eq!(send("another-one", request).await, first);
    assert_problem(&send("aaaa", "{}").await, 422, "idempotency-key-reused");
    stage.close().await;
}

#[tokio::test]
async fn what_is_no_plan_is_refused() {
    let stage = Stage::with(|settings| settings.limits.upload_bytes = 200_000).await;
    let zip = |bytes: Vec<u8>| {
        let request = stage.ask(Method::POST, "/api/orchestrations");
        answer(
            request
                .header("content-type", "application/zip")
                .body(bytes),
        )
    };
    assert_problem(&zip(b"no zip at all".to_vec()).await, 422, "refused");
    assert_problem(&zip(Vec::new()).await, 422, "refused");
    assert_problem(&zip(vec![0; 200_001]).await, 413, "payload-too-large");
    let form = Form::new().text("request", "{}");
    let answered = answer(
        stage
            .ask(Method::POST, "/api/orchestrations")
            .multipart(form),
    )
    .await;
    assert_problem(&answered, 400, "invalid-request");
    let form = Form::new().text("plan", "x").text("other", "y");
    let answered = answer(
        stage
            .ask(Method::POST, "/api/orchestrations")
            .multipart(form),
    )
    .await;
    assert_problem(&answered, 400, "invalid-request");
    stage.close().await;
}

#[tokio::test]
async fn a_path_is_for_operators_and_below_the_roots_only() {
    let roots = tempfile::tempdir().unwrap();
    let root = roots.path().canonicalize().unwrap();
    std::os::unix::fs::symlink(example(), root.join("link")).unwrap();
    let plan = example();
    let plans = plan.parent().unwrap().to_path_buf();
    let stage =
        Stage::with(|settings| settings.plan_roots = vec![plans.clone(), root.clone()]).await;
    let by_path = |path: PathBuf| {
        let request = json!({"path": path, "enrichmentRequest": {"agents": ["security-review"]}});
        stage.post("/api/orchestrations", request)
    };
    let found = by_path(plan.clone()).await;
    assert_eq!(shown(&stage, found).await["name"], "harbour-ferry-solveig");
    for path in [
        PathBuf::from("/etc"),
        plans.clone(),
        plans.join("../plans/harbour-ferry-solveig"),
        plans.join("nothing"),
        root.join("link"),
        PathBuf::from("harbour-ferry-solveig"),
    ] {
        assert_problem(&by_path(path).await, 403, "forbidden");
    }
    let submitter = stage.key("ann", Role::Submitter).await;
    let request = stage
        .ask(Method::POST, "/api/orchestrations")
        .bearer_auth(submitter);
    assert_problem(
        &answer(request.json(&json!({"path": plan}))).await,
        403,
        "forbidden",
    );
    stage.close().await;
}
