//! Agents that converse, through the real program: a mock of providers and a server of tools, neither of which is ours, and the
//! examples, which need neither.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::mock::{Mock, here, keyed, packages};
use crate::plan::{files, json as written_json, sample_path};
use crate::plans::plans;
use crate::shell::Shell;

/// A shell whose settings ask the mock, with the agents registered.
fn shell(mock: &Mock, packages: &Path) -> Shell {
    let shell = Shell::new();
    let settings = format!(
        "[models.providers.openai]\nbaseUrl = \"http://{}/v1\"\n[tools]\ncommands = [\"node\"]\n[outgoing]\nallow = [\"{}\"]\n",
        mock.address, mock.address
    );
    std::fs::write(shell.at("afterplan.toml"), settings).unwrap();
    let server = packages.join("@modelcontextprotocol/server-everything/dist/index.js");
    for name in ["lead.toml", "scout.toml", "counter.toml"] {
        let text = std::fs::read_to_string(here("conversing").join(name)).unwrap();
        let text = text
            .replace("EVERYTHING", server.to_str().unwrap())
            .replace("PEER", &mock.address);
        std::fs::write(shell.at(name), text).unwrap();
    }
    let register = [
        "agents",
        "register",
        "scout.toml",
        "counter.toml",
        "lead.toml",
    ];
    let registered = keyed(&shell, &register);
    assert_eq!(registered.0, 0, "{}", registered.1);
    shell
}

/// Enriches the plan with all of them, and looks at everything that this leaves behind.
fn holds(shell: &Shell, mock: &Mock, plan: &str) {
    let enrich = ["enrich", plan, "--agents", "lead", "--out", "out", "--json"];
    let (exit, said) = keyed(shell, &enrich);
    assert!(exit == 0, "{plan}: {said}");
    assert_eq!(mock.questions(), 5, "two of lead and scout, one of counter");
    let list = shell.json(&["orchestrations", "list", "--json"]);
    let id = list[0]["id"].as_str().unwrap();
    costs_and_turns(&shell.json(&["orchestrations", "show", id, "--json"]));
    let events = shell.call(&["orchestrations", "events", id, "--json"]);
    let lines = events.out.lines();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].take())
        .collect();
    told_in_events(&events);
    artifacts(shell);
    let checked = shell.call(&["check"]);
    assert_eq!(checked.exit, 0, "{checked}");
}

/// At 2.50 dollars a million tokens in and 10 out.
fn costs_and_turns(shown: &Value) {
    let steps = shown["steps"].as_array().unwrap();
    let of = |name: &str| {
        let step = steps.iter().find(|step| step["step"] == name).unwrap();
        assert_eq!(step["state"], "completed", "{step}");
        json!([
            step["parent"],
            step["agent"],
            step["credits"],
            step["creditsBelow"],
            step["turns"]
        ])
    };
    assert_eq!(of("lead"), json!([null, "lead", "0.014", "0.00335", 4]));
    assert_eq!(of("lead.1"), json!(["lead", "scout", "0.00255", "0", 4]));
    assert_eq!(of("lead.2"), json!(["lead", "counter", "0.0008", "0", 13]));
    assert_eq!(steps.len(), 6, "{shown}");
    assert_eq!(shown["orchestration"]["cost"], "0.01735");
}

fn told_in_events(events: &[Value]) {
    let of = |step: &str, kind: &str| -> Vec<&Value> {
        let of = events.iter().filter(|event| event["step"] == step);
        of.filter(|event| event["kind"] == kind).collect()
    };
    let asked = |step: &str| -> Vec<&str> {
        let turns = of(step, "turn_recorded").into_iter();
        turns.map(|turn| turn["asked"].as_str().unwrap()).collect()
    };
    assert_eq!(asked("lead"), ["model", "tools", "children", "model"]);
    // What the server of tools offers is recorded first.
    assert_eq!(asked("lead.1"), ["setup", "model", "tools", "model"]);
    let mut script = vec!["setup"];
    script.extend(["script", "tools"].repeat(4));
    script.extend(["script", "model", "script", "script"]);
    assert_eq!(asked("lead.2"), script);
    let calls: Vec<Value> = ["lead", "lead.1", "lead.2"]
        .iter()
        .flat_map(|step| of(step, "turn_recorded"))
        .flat_map(|turn| turn["calls"].as_array().cloned().unwrap_or_default())
        .map(|call| json!([call["name"], call["failed"] == true]))
        .collect();
    let called = json!([
        ["read_enrichment", false],
        ["read_enrichment", true],
        ["all__get-sum", false],
        ["read_artifact", false],
        ["all__echo", false],
        ["health", false],
        // No tool goes to such an address, whoever wants it to.
        ["steal", true]
    ]);
    assert_eq!(json!(calls), called);
    assert_eq!(of("lead", "step_parked")[0]["for"], "children");
    // While its children are asked for, it holds no place and has no attempt.
    assert_eq!(of("lead", "attempt_started").len(), 2);
    assert_eq!(of("lead.1", "child_completed").len(), 1);
}

fn artifacts(shell: &Shell) {
    let written = files(&shell.at("out"));
    let gave = written_json(&written, "enrichments/lead.json");
    assert_eq!(gave["data"], json!({"summary": "It adds up.", "sum": 42}));
    for analysis in ["critical-path", "risk-exposure"] {
        assert!(written.contains_key(&format!("enrichments/{analysis}.json")));
    }
    for child in ["scout", "counter", "lead.1", "lead.2"] {
        let path = format!("enrichments/{child}.json");
        assert!(
            !written.contains_key(&path),
            "what a child gives is its parent's"
        );
    }
}

#[test]
fn a_model_leads_others_a_script_and_a_foreign_server_of_tools_over_two_analyses() {
    let Some(packages) = packages() else { return };
    let mock = Mock::start(&packages, "conversing/fixtures.json");
    let shell = shell(&mock, &packages);
    holds(&shell, &mock, sample_path());
    if let Some(real) = plans().last() {
        std::fs::remove_dir_all(shell.at("out")).unwrap();
        holds(&shell, &mock, real.to_str().unwrap());
    }
}

/// The examples, from the folder where they lie, as the first lines of their settings say.
#[test]
fn the_examples_need_no_key() {
    let shell = Shell::new();
    let examples = Path::new(sample_path()).join("../../agents/conversing");
    for (path, bytes) in files(&examples) {
        let path = shell.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let register = |name: &str| {
        let file = format!("agents/{name}.toml");
        let registered = shell.call(&["agents", "register", &file]);
        assert_eq!(registered.exit, 0, "{registered}");
    };
    let mut agents = vec!["risk-reader", "longest-tasks"];
    let python = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if python.is_ok_and(|status| status.success()) {
        agents.push("tide-check");
    } else {
        println!("SKIPPED: the example of a server of tools (there is no python3)");
    }
    agents.iter().copied().for_each(register);
    let agents = agents.join(",");
    let answer = shell.call(&["enrich", sample_path(), "--agents", &agents, "--out", "out"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let written = files(&shell.at("out"));
    let gave =
        |name: &str| written_json(&written, &format!("enrichments/{name}.json"))["data"].take();
    assert_eq!(gave("risk-reader")["risks"][0]["pointer"], "/risks/0");
    assert_eq!(
        gave("longest-tasks")["tasks"][0],
        json!({"pointer": "/12", "days": 185})
    );
    if agents.contains("tide-check") {
        let said = gave("tide-check").to_string();
        assert!(
            said.contains("High water at Ebbehavn on 2027-05-01 is at about"),
            "{said}"
        );
    }
}
