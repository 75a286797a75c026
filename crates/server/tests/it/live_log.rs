//! The stored log as others verify it, and the plan artifact's versions.

use std::io::Write;
use std::process::{Command, Stdio};

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use engine::perform::{Assignment, Performed};
use serde_json::{Value, json};

use crate::live_house::{House, Place, agent, chain, performer};

async fn done(assignment: Assignment) -> Performed {
    Performed::Completed(json!({ "by": assignment.step, "list": [1, 2, 3] }))
}

/// The program that the documentation prints.
fn documented() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once("```python\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

/// Whether the documented program finds the export whole, and what it says; `None`, said aloud, where there is no Python.
fn verify(export: &str) -> Option<(bool, String)> {
    let python = std::env::var("AFTERPLAN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let child = Command::new(&python)
        .args(["-c", &documented()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("SKIPPED: there is no {python}");
        return None;
    };
    // It may stop at the first line.
    let _ = child.stdin.take().unwrap().write_all(export.as_bytes());
    let answer = child.wait_with_output().unwrap();
    let said = [answer.stdout, answer.stderr].concat();
    Some((answer.status.success(), String::from_utf8(said).unwrap()))
}

#[tokio::test]
async fn the_documented_program_verifies_an_export_and_finds_what_was_changed() {
    let place = Place::sqlite();
    // Enough steps for several strides, and texts beyond ASCII.
    let house = House::open(&place, chain(100), performer(done)).await;
    let id = house.begin("Bau eine Hütte.").await;
    house.ended(id).await;
    let path = format!("/orchestrations/{id}/events?stored=1&format=ndjson");
    let export = house.get(&path).send().await.unwrap().text().await.unwrap();
    let lines: Vec<&str> = export.lines().collect();
    let Some((whole, said)) = verify(&export) else {
        return;
    };
    assert!(whole, "{said}");
    assert!(
        said.starts_with(&format!("{} events", lines.len())),
        "{said}"
    );
    let dropped = [&lines[..3], &lines[4..]].concat().join("\n");
    let (whole, said) = verify(&dropped).unwrap();
    assert!(!whole && said.contains("event 5 "), "{said}");
    let changed = export.replacen("agent-07", "agent-08", 1);
    assert!(!verify(&changed).unwrap().0);
    // The pages say the same as the export.
    let pages = house
        .events(&format!("/orchestrations/{id}/log?stored=1"), 33)
        .await;
    let exported: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(pages, exported);
    house.close().await;
}

#[tokio::test]
async fn every_version_of_the_artifact_can_be_had_and_a_patch_leads_from_each_to_the_next() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(3), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let base = format!("/orchestrations/{id}");
    let versions = house.json(&format!("{base}/versions")).await;
    let numbers: Vec<u64> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| version["version"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert_eq!(versions["versions"][0]["agentId"], Value::Null);
    assert_eq!(versions["versions"][2]["agentId"], "agent-01");
    let at = async |version: u64| {
        house
            .json(&format!("{base}/artifact?version={version}"))
            .await
    };
    for to in 1..=4 {
        for from in 1..=4 {
            let diff = house
                .json(&format!("{base}/versions/{to}/diff?from={from}"))
                .await;
            let patch: json_patch::Patch = serde_json::from_value(diff["patch"].clone()).unwrap();
            let mut artifact = at(from).await;
            json_patch::patch(&mut artifact, &patch).unwrap();
            assert_eq!(artifact, at(to).await, "{from} to {to}");
            let between = u64::abs_diff(from, to) as usize;
            assert_eq!(diff["agents"].as_array().unwrap().len(), between);
        }
    }
    let first = at(2).await;
    assert_eq!(first["status"], "enriching");
    assert_eq!(first["enrichments"].as_object().unwrap().len(), 1);
    let last = house.json(&format!("{base}/artifact")).await;
    assert_eq!(last, at(4).await);
    assert_eq!(last["status"], "complete");
    assert_eq!(last["orchestrationId"], id.to_string());
    let added = &last["enrichments"]["agent-02"];
    assert_eq!(
        added["data"],
        json!({ "by": "agent-02", "list": [1, 2, 3] })
    );
    assert_eq!(added["metadata"]["inputHash"].as_str().unwrap().len(), 64);
    for missing in [
        "artifact?version=5",
        "artifact?version=0",
        "versions/9/diff",
    ] {
        let answer = house
            .get(&format!("{base}/{missing}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{missing}");
    }
    // More than any cursor is none.
    let beyond = house.get(&format!("{base}/versions?cursor=9223372036854775808"));
    assert_eq!(beyond.send().await.unwrap().status(), 400);
    house.close().await;
}

/// One that gives a whole enrichment, one a part, one nothing.
fn three() -> Vec<AgentDefinition> {
    let kind = |kind: &str| {
        format!(
            "onFailure = \"continue\"\n[outputSchema]\nenrichmentType = \"{kind}\"\nfields = {{}}"
        )
    };
    vec![
        agent("whole", &[], &kind("findings")),
        agent("part", &[], &kind("findings")),
        agent("none", &[], &kind("risks")),
    ]
}

#[tokio::test]
async fn enrichments_are_listed_by_agent_type_and_status() {
    let place = Place::sqlite();
    let act = |assignment: Assignment| async move {
        match assignment.step.as_str() {
            "whole" => done(assignment).await,
            "part" => Performed::Partial {
                data: json!({ "some": 1 }),
                reason: "enough".to_owned(),
            },
            _ => Performed::Failed {
                class: ErrorClass::Fatal,
                message: "no".to_owned(),
                retry_after: None,
            },
        }
    };
    let house = House::open(&place, three(), performer(act)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let agents = async |path: String| -> Vec<String> {
        let page = house.json(&path).await;
        let mut agents: Vec<String> = page["enrichments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["agentId"].as_str().unwrap().to_owned())
            .collect();
        agents.sort();
        agents
    };
    for base in [
        format!("/orchestrations/{id}/enrichments"),
        "/enrichments".to_owned(),
    ] {
        assert_eq!(agents(base.clone()).await, ["part", "whole"]);
        assert_eq!(agents(format!("{base}?status=partial")).await, ["part"]);
        assert_eq!(agents(format!("{base}?agentId=whole")).await, ["whole"]);
        assert_eq!(
            agents(format!("{base}?enrichmentType=findings")).await,
            ["part", "whole"]
        );
        assert!(
            agents(format!("{base}?enrichmentType=risks"))
                .await
                .is_empty()
        );
        let first = house.json(&format!("{base}?limit=1")).await;
        let next = first["nextCursor"].as_str().unwrap();
        let second = house.json(&format!("{base}?limit=1&cursor={next}")).await;
        assert_ne!(
            first["enrichments"][0]["agentId"],
            second["enrichments"][0]["agentId"]
        );
        assert_eq!(second["nextCursor"], Value::Null);
    }
    let part = house
        .json(&format!("/orchestrations/{id}/enrichments/part"))
        .await;
    assert_eq!(part["status"], "partial");
    assert_eq!(part["reason"], "enough");
    assert_eq!(part["data"], json!({ "some": 1 }));
    assert_eq!(part["enrichmentType"], "findings");
    let none = house
        .get(&format!("/orchestrations/{id}/enrichments/none"))
        .send()
        .await
        .unwrap();
    assert_eq!(none.status(), 404);
    house.close().await;
}

#[tokio::test]
async fn the_enriched_plan_comes_as_a_zip() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(1), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let path = format!("/orchestrations/{id}/enriched.zip");
    let answer = house.get(&path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"a_plan.enriched.zip\""
    );
    let bytes = answer.bytes().await.unwrap();
    assert!(bytes.starts_with(b"PK"));
    // The names stand uncompressed in the zip's directory.
    for name in [
        "001-2-plan.txt",
        "enrichments/agent-00.json",
        "enrichment_report.html",
    ] {
        let found = bytes
            .windows(name.len())
            .any(|window| window == name.as_bytes());
        assert!(found, "{name}");
    }
    house.close().await;
}
