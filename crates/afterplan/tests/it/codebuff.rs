//! Codebuff's definition files, as their authors write them: loaded unchanged, or refused with the reason.

use std::fs;

use serde_json::{Value, json};

use crate::shell::Shell;

/// Types alone: every `.agents` folder has such a file.
const TYPES: &str = "
export type JSONValue = null | string | number | boolean | { [key: string]: JSONValue } | JSONValue[]
export interface AgentState { agentId: string; messageHistory: unknown[] }
export interface AgentDefinition {
  id: string; displayName: string; model: string; toolNames?: string[]
  handleSteps?: (context: { agentState: AgentState; prompt?: string }) => Generator<unknown, void, any>
}
";

const REVIEWER: &str = r#"
import type { AgentDefinition } from './types/agent-definition'

const MAX_ROUNDS = 3

const definition: AgentDefinition = {
  id: 'plan-reviewer',
  displayName: 'Pat the Plan Reviewer',
  publisher: 'harbour',
  version: '0.3.1',
  model: 'anthropic/claude-sonnet-4',
  toolNames: ['think_deeply', 'spawn_agents', 'set_output', 'end_turn'],
  spawnableAgents: ['harbour/risk-finder@1.0.0'],
  inputSchema: {
    prompt: { type: 'string', description: 'What to review' },
    params: { type: 'object', properties: { strict: { type: 'boolean' } } },
  },
  outputMode: 'structured_output',
  outputSchema: {
    type: 'object',
    properties: { verdict: { type: 'string' }, remarks: { type: 'array', items: { type: 'string' } } },
    required: ['verdict'],
  },
  spawnerPrompt: 'Spawn to review a plan before it is carried out',
  systemPrompt: `You review plans.
Be brief.`,
  instructionsPrompt: 'Review the plan. Hand in with set_output.',
  handleSteps: function* ({ agentState, prompt, params }) {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { stepsComplete } = yield 'STEP'
      if (stepsComplete) return
    }
    yield { toolName: 'set_output', input: { verdict: 'undecided' } }
  },
}

export default definition
"#;

const FINDER: &str = "
/** @type {import('./types/agent-definition').AgentDefinition} */
module.exports = {
  id: 'risk-finder', displayName: 'Rita', model: 'openai/gpt-5',
  toolNames: ['end_turn'],
  instructionsPrompt: 'List the risks, one a line.',
}
";

const PLAIN: &str = r#"{
  "id": "summariser", "displayName": "Sam", "model": "openai/gpt-5-mini", "colour": "blue",
  "systemPrompt": "You sum up.", "outputMode": "last_message"
}"#;

const EDITOR: &str = "
export default {
  id: 'editor', displayName: 'Ed', model: 'openai/gpt-5',
  toolNames: ['read_files', 'str_replace', 'run_terminal_command', 'end_turn'],
  instructionsPrompt: 'Edit the files.',
}
";

/// A shell with a project of Codebuff in it.
fn project() -> Shell {
    let shell = Shell::new();
    for folder in [".agents/types", ".agents/skills/cooking", ".agents/team"] {
        fs::create_dir_all(shell.at(folder)).unwrap();
    }
    for (name, text) in [
        (".agents/types/agent-definition.ts", TYPES),
        (".agents/types/tools.d.ts", "export type ToolName = string"),
        (".agents/reviewer.ts", REVIEWER),
        (".agents/reviewer.test.ts", "import { it } from 'bun:test'"),
        (".agents/team/finder.cjs", FINDER),
        (".agents/team/summariser.json", PLAIN),
        (
            ".agents/skills/cooking/skill.js",
            "export default { id: 'cook', model: 'x' }",
        ),
        (".agents/mcp.json", "{\"mcpServers\": {}}"),
        (".agents/tsconfig.json", "{\"compilerOptions\": {}}"),
    ] {
        fs::write(shell.at(name), text).unwrap();
    }
    shell
}

#[test]
fn they_are_registered_unchanged() {
    let shell = project();
    let files = [
        ".agents/reviewer.ts",
        ".agents/team/finder.cjs",
        ".agents/team/summariser.json",
    ];
    let answer = shell.call(&["agents", "validate", files[0], files[1], files[2]]);
    assert_eq!(answer.exit, 0, "{answer}");
    assert!(
        answer
            .out
            .contains("`plan-reviewer` version 0.3.1 is valid"),
        "{answer}"
    );
    assert!(
        answer.err.contains("`colour` is not known and is left out"),
        "{answer}"
    );
    let answer = shell.call(&["agents", "register", files[0], files[1], files[2]]);
    assert_eq!(answer.exit, 0, "{answer}");
    let reviewer = shell.json(&["agents", "show", "plan-reviewer"]);
    for (pointer, value) in [
        ("/executor/kind", json!("script")),
        ("/publisher", json!("harbour")),
        ("/model", json!("anthropic/claude-sonnet-4")),
        ("/spawnableAgents", json!(["harbour/risk-finder@1.0.0"])),
        ("/outputMode", json!("structured_output")),
        ("/outputSchema/schema/required", json!(["verdict"])),
        (
            "/inputSchema/params/properties/strict/type",
            json!("boolean"),
        ),
        ("/systemPrompt", json!("You review plans.\nBe brief.")),
    ] {
        assert_eq!(reviewer.pointer(pointer), Some(&value), "{pointer}");
    }
    let script = reviewer["handleSteps"].as_str().unwrap();
    assert!(
        script.starts_with("function*") && script.contains("MAX_ROUNDS = 3"),
        "{script}"
    );
    let kind = |id: &str| shell.json(&["agents", "show", id])["executor"]["kind"].clone();
    assert_eq!(
        [kind("risk-finder"), kind("summariser")],
        ["model", "model"]
    );
}

#[test]
fn one_that_needs_a_tool_that_is_not_there_is_refused_by_the_tools_name() {
    let shell = project();
    fs::write(shell.at("editor.ts"), EDITOR).unwrap();
    for verb in ["validate", "register"] {
        shell.fails(
            2,
            &["agents", verb, "editor.ts"],
            &[
                "editor.ts",
                "`read_files`, `str_replace`, `run_terminal_command`",
            ],
        );
    }
    let known = shell.json(&["agents", "list", "--json"]);
    assert!(
        !known
            .as_array()
            .unwrap()
            .iter()
            .any(|agent| agent["id"] == "editor")
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let shell = project();
    for (name, text, told) in [
        ("broken.ts", "export default { id: 'a', ", "line"),
        (
            "other.ts",
            "import { tools } from './tools'\nexport default { id: 'a', tools }",
            "./tools",
        ),
        ("nothing.js", "const a = 5", "id: is missing"),
        (
            "caps.json",
            r#"{"id": "Caps", "displayName": "C", "model": "m", "toolNames": []}"#,
            "lower-case",
        ),
        (
            "loop.js",
            "while (true) {}\nexport default {}",
            "did not come",
        ),
        (
            "spawns.js",
            "export default { id: 'a', displayName: 'A', model: 'm', spawnableAgents: ['b'] }",
            "spawn_agents",
        ),
        (
            "steps.js",
            "export default { id: 'a', displayName: 'A', model: 'm', handleSteps: async () => {} }",
            "generator",
        ),
    ] {
        fs::write(shell.at(name), text).unwrap();
        shell.fails(2, &["agents", "validate", name], &[name, told]);
    }
}

#[test]
fn json_of_our_own_is_no_file_of_codebuffs() {
    let shell = Shell::new();
    let own = json!({
        "id": "priced", "displayName": "P", "model": "gpt-4", "systemPrompt": "Look.", "costPerRun": 0.5
    });
    fs::write(shell.at("priced.json"), own.to_string()).unwrap();
    let answer = shell.call(&["agents", "register", "priced.json"]);
    assert_eq!(answer.exit, 0, "{answer}");
    let registered: Value = shell.json(&["agents", "show", "priced"]);
    assert_eq!(registered["executor"], Value::Null);
    assert_eq!(registered["costPerRun"], json!("0.5"), "{registered}");
}
