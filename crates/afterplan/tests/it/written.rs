//! What the documents say of writing agents is so: each definition printed there is valid, and the example beside them works.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::plan::{files, json as written_json, sample_path};
use crate::shell::Shell;

fn root() -> PathBuf {
    Path::new(sample_path()).join("../../..")
}

/// The fenced blocks in `language` of a document.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs").join(document)).unwrap();
    let start = format!("```{language}\n");
    let pieces = text.split(&start).skip(1);
    pieces
        .map(|piece| piece.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_definitions_in_the_documents_are_valid() {
    let shell = Shell::new();
    for (document, language, id) in [
        ("writing-agents.md", "toml", "permit-reader"),
        ("writing-script-agents.md", "toml", "owner-check"),
        ("writing-script-agents.md", "ts", "milestone-namer"),
    ] {
        let all = blocks(document, language);
        assert_eq!(all.len(), 1, "{document}");
        let name = format!("{id}.{language}");
        fs::write(shell.at(&name), &all[0]).unwrap();
        let answer = shell.call(&["agents", "validate", &name]);
        assert_eq!(answer.exit, 0, "{answer}");
        assert!(answer.out.contains(&format!("`{id}` version")), "{answer}");
    }
}

#[test]
fn the_script_in_the_documents_has_its_way_when_the_model_hands_nothing_in() {
    let shell = Shell::new();
    fs::write(
        shell.at("owner-check.toml"),
        &blocks("writing-script-agents.md", "toml")[0],
    )
    .unwrap();
    fs::write(
        shell.at("afterplan.toml"),
        "[models]\ndefault = 'scripted/demo'\nscripted = { demo = 'demo.toml' }",
    )
    .unwrap();
    let talks = "[[answers]]\ncalls = [{ name = 'read_artifact', input = { name = 'plan.txt' } }]";
    fs::write(shell.at("demo.toml"), talks).unwrap();
    let answer = shell.call(&["agents", "register", "owner-check.toml"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let enrich = [
        "enrich",
        sample_path(),
        "--agents",
        "owner-check",
        "--out",
        "out",
    ];
    let answer = shell.call(&enrich);
    assert_eq!(answer.exit, 0, "{answer}");
    let gave = written_json(&files(&shell.at("out")), "enrichments/owner-check.json");
    assert_eq!(gave["data"], json!({"risks": [], "complete": false}));
}

#[test]
fn the_agents_of_codebuff_beside_the_documents_review_the_plan() {
    let shell = Shell::new();
    let example = root().join("examples/agents/codebuff");
    for (path, bytes) in files(&example) {
        let path = shell.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let register = [
        "agents",
        "register",
        ".agents/question-writer.json",
        ".agents/plan-reviewer.ts",
    ];
    let answer = shell.call(&register);
    assert_eq!(answer.exit, 0, "{answer}");
    let enrich = [
        "enrich",
        sample_path(),
        "--agents",
        "plan-reviewer",
        "--out",
        "out",
    ];
    let answer = shell.call(&enrich);
    assert_eq!(answer.exit, 0, "{answer}");
    let gave = written_json(&files(&shell.at("out")), "enrichments/plan-reviewer.json");
    assert_eq!(
        gave["data"],
        json!({"verdict": "go, once the berth has an owner", "questions": ["Who owns the ferry berth?"]})
    );
    let list = shell.json(&["orchestrations", "list", "--json"]);
    let shown = shell.json(&[
        "orchestrations",
        "show",
        list[0]["id"].as_str().unwrap(),
        "--json",
    ]);
    let steps = shown["steps"].as_array().unwrap();
    let child = steps
        .iter()
        .find(|step| step["parent"] == "plan-reviewer")
        .unwrap();
    assert_eq!(
        (&child["agent"], &child["state"]),
        (&json!("question-writer"), &json!("completed"))
    );
}
