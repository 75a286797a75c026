//! Codebuff's definitions and references: the same are accepted and refused, and more is said.

use std::collections::BTreeMap;

use domain::agent::codebuff::{Imported, read, read_all};
use domain::agent::conversing::OutputMode;
use domain::agent::definition::{AgentDefinition, Executor};
use domain::agent::reference::{AgentReference, matching, parts};
use domain::agent::validate::Problem;
use serde_json::{Value, json};

use crate::conformance::{deviations, vectors};

#[test]
fn references_are_taken_apart_as_codebuff_does() {
    let Some(cases) = vectors("parse-agent-id") else {
        return;
    };
    assert_eq!(cases.len(), 17);
    for case in &cases {
        let text = case["id"].as_str().unwrap();
        let parts = parts(text);
        let part = |key: &str| case[key].as_str();
        assert_eq!(
            (
                parts.and_then(|parts| parts.publisher),
                parts.map(|parts| parts.name),
                parts.and_then(|parts| parts.version)
            ),
            (part("publisherId"), part("agentId"), part("version")),
            "{text}"
        );
    }
}

#[test]
fn what_is_spawned_is_matched_as_codebuff_does() {
    let Some(cases) = vectors("get-matching-spawn") else {
        return;
    };
    assert_eq!(cases.len(), 99);
    for case in &cases {
        let spawnable = case["spawnable"].as_array().unwrap();
        let spawnable = spawnable.iter().map(|entry| entry.as_str().unwrap());
        let found = matching(spawnable, case["child"].as_str().unwrap());
        assert_eq!(found, case["match"].as_str(), "{case}");
    }
}

#[test]
fn a_reference_in_a_definition_is_well_formed_and_means_versions() {
    let plain = |version: &str, publisher: Option<&str>| -> AgentDefinition {
        serde_json::from_value(json!({
            "id": "critic", "displayName": "C", "version": version, "publisher": publisher
        }))
        .unwrap()
    };
    for (text, means) in [
        ("critic", [true, true]),
        ("critic@1.2", [true, false]),
        ("ann/critic", [true, false]),
        ("ann/critic@1.2", [true, false]),
        ("critics", [false, false]),
    ] {
        let reference: AgentReference = text.parse().unwrap();
        let found = [
            reference.means(&plain("1.2", None)),
            reference.means(&plain("1.3", Some("bob"))),
        ];
        assert_eq!(found, means, "{text}");
    }
    for text in [
        "", "/", "a/b/c", "A", "a@", "a@1@2", "p/a b", "a@1 2", "../a",
    ] {
        assert!(text.parse::<AgentReference>().is_err(), "{text}");
    }
}

/// What Codebuff's answer says of one definition, held against ours.
fn compare(case: &Value, found: &Result<Imported, Vec<Problem>>, otherwise: Option<&Value>) {
    let name = case["name"].as_str().unwrap();
    assert_eq!(found.is_ok(), case["valid"] == true, "{name}: {found:?}");
    match found {
        Err(problems) => {
            let error = case["errors"][0]["message"].as_str().unwrap();
            let at_fault = problems[0].key.split('.').next().unwrap();
            let names_it = error.contains(at_fault) || error.contains("implement() must be");
            assert!(names_it, "{name}: {problems:?}\n{error}");
            assert!(otherwise.is_none(), "no deviation: {name}");
        }
        Ok(imported) => {
            same_template(name, &imported.definition, &case["template"], otherwise);
            let text = |key: &str| otherwise.and_then(|other| other[key].as_str());
            match text("warning") {
                Some(wanted) => assert!(
                    imported.warnings.len() == 1 && imported.warnings[0].contains(wanted),
                    "{name}: {:?}",
                    imported.warnings
                ),
                None => assert_eq!(imported.warnings, Vec::<String>::new(), "{name}"),
            }
            let refused = imported.clone().usable().err();
            assert_eq!(
                refused.map(|problem| problem.to_string()).as_deref(),
                text("refusal"),
                "{name}"
            );
        }
    }
}

fn same_template(name: &str, ours: &AgentDefinition, theirs: &Value, otherwise: Option<&Value>) {
    let mut tools = theirs["toolNames"].as_array().cloned().unwrap();
    tools.dedup();
    if otherwise.is_some_and(|other| other["withoutTools"] == true) {
        tools.clear();
    }
    assert_eq!(json!(ours.tool_names), Value::Array(tools), "{name}");
    assert_eq!(
        json!(ours.spawnable_agents),
        theirs["spawnableAgents"],
        "{name}"
    );
    assert_eq!(json!(ours.output_mode), theirs["outputMode"], "{name}");
    for (key, text) in [
        ("systemPrompt", &ours.system_prompt),
        ("instructionsPrompt", &ours.instructions_prompt),
        ("stepPrompt", &ours.step_prompt),
        ("model", &ours.model),
    ] {
        assert_eq!(text.as_deref().unwrap_or(""), theirs[key], "{name}: {key}");
    }
    assert_eq!(
        ours.include_message_history,
        theirs["includeMessageHistory"] == true
    );
    assert_eq!(
        ours.inherit_parent_system_prompt,
        theirs["inheritParentSystemPrompt"] == true
    );
    assert_eq!(
        ours.output_schema.schema.is_some(),
        theirs["outputSchema"] == true
    );
    assert_eq!(
        ours.handle_steps.is_some(),
        theirs["handleSteps"] == "string"
    );
    let servers: Vec<&String> = ours.mcp_servers.keys().collect();
    let wanted: Vec<&String> = theirs["mcpServers"].as_object().unwrap().keys().collect();
    assert_eq!(servers, wanted, "{name}");
    let schema = &ours.input_schema;
    let given = [
        ("prompt", schema.prompt.is_some()),
        ("params", schema.params.is_some()),
    ];
    let given = given
        .iter()
        .filter(|(_, there)| *there)
        .map(|(key, _)| *key);
    assert_eq!(
        json!(given.collect::<Vec<_>>()),
        theirs["inputSchema"],
        "{name}"
    );
    let reasoning = ours.reasoning_options.as_ref();
    let told = reasoning.map(|options| json!([options.max_tokens, options.effort]));
    let wanted = theirs.get("reasoningOptions");
    let wanted = wanted.map(|options| json!([options["max_tokens"], options["effort"]]));
    assert_eq!(told, wanted, "{name}");
    let provider = ours.model_settings.get("provider");
    assert_eq!(provider, theirs.get("providerOptions"), "{name}");
}

#[test]
fn the_same_definitions_are_accepted_and_refused() {
    let Some(cases) = vectors("definition-validation") else {
        return;
    };
    assert_eq!(cases.len(), 62);
    let deviations = deviations("definition");
    let mut unused: Vec<&Value> = deviations.iter().collect();
    for case in &cases {
        if case["name"] == "duplicateIds" {
            let files: BTreeMap<String, Value> =
                serde_json::from_value(case["definition"].clone()).unwrap();
            let read = read_all(&files);
            assert!(read[0].1.is_ok());
            let (file, Err(problems)) = &read[1] else {
                panic!("both have the id");
            };
            assert_eq!((file.as_str(), problems[0].key.as_str()), ("y", "id"));
            continue;
        }
        let otherwise = deviations
            .iter()
            .find(|other| other["name"] == case["name"]);
        unused.retain(|other| other["name"] != case["name"]);
        compare(case, &read(&case["definition"]), otherwise);
    }
    assert!(unused.is_empty(), "no such case: {unused:?}");
}

/// A definition of the shape that people have in their `.agents` folders.
#[test]
fn a_definition_is_turned_into_our_own() {
    let imported = read(&json!({
        "id": "wave-boss", "publisher": "Not An Id", "version": "0.2.1", "displayName": "Wave boss",
        "model": "anthropic/claude-sonnet-4.5",
        "spawnerPrompt": "Spawn it for a wave of work.",
        "inputSchema": {"prompt": {"type": "string", "description": "the wave"},
                        "params": {"type": "object", "properties": {"n": {"type": "number"}}}},
        "toolNames": ["spawn_agents", "set_output", "read_files", "gmail/send", "code_search"],
        "spawnableAgents": ["codebuff/thinker@0.0.1", "", "worker"],
        "mcpServers": {"gmail": {"command": "npx", "args": ["-y", "gmail"], "env": {"KEY": "$GMAIL"}}},
        "outputMode": "structured_output",
        "outputSchema": {"type": "object", "properties": {"done": {"type": "boolean"}}},
        "instructionsPrompt": "Be brief.", "compactContext": true,
        "handleSteps": "function* ({ prompt }) { yield 'STEP_ALL' }"
    }))
    .unwrap();
    let definition = &imported.definition;
    assert_eq!(definition.executor, Some(Executor::Script {}));
    assert_eq!(definition.output_mode(), OutputMode::StructuredOutput);
    assert_eq!(definition.description, "Spawn it for a wave of work.");
    assert_eq!(
        definition.tool_names,
        ["spawn_agents", "set_output", "gmail/send"]
    );
    assert_eq!(
        json!(definition.spawnable_agents),
        json!(["codebuff/thinker@0.0.1", "worker"])
    );
    assert_eq!(imported.unsupported, ["read_files", "code_search"]);
    assert_eq!(
        imported.warnings,
        [
            "`spawnableAgents`: `` names no agent: it must be `name`, `name@version` or `publisher/name@version`; it is left out",
            "`publisher`: `Not An Id` is no id here and is left out",
            "`compactContext` is not known and is left out",
        ]
    );
    assert_eq!(
        imported.usable().unwrap_err().to_string(),
        "toolNames: needs tools that are not supported: `read_files`, `code_search`"
    );
}

#[test]
fn places_that_codebuff_fills_are_warned_of_by_name() {
    let imported = read(&json!({
        "id": "a", "displayName": "A", "model": "m",
        "systemPrompt": "You work in {CODEBUFF_PROJECT_ROOT}; {CODEBUFF_FILE_TREE}, and {CODEBUFF_FILE_TREE} again.",
        "stepPrompt": "{CODEBUFF_REMAINING_STEPS} left, {CODEBUFF_ nothing}, {name}."
    }))
    .unwrap();
    let told = imported.warnings.join("\n");
    assert_eq!(imported.warnings.len(), 3, "{told}");
    for (key, name) in [
        ("systemPrompt", "PROJECT_ROOT"),
        ("systemPrompt", "FILE_TREE"),
        ("stepPrompt", "REMAINING_STEPS"),
    ] {
        assert!(
            told.contains(&format!("`{key}`: `{{CODEBUFF_{name}}}`")),
            "{told}"
        );
    }
    assert!(imported.usable().is_ok());
}

#[test]
fn a_generator_that_calls_what_is_not_there_is_refused_by_the_tools_name() {
    let with = |script: &str| {
        read(&json!({
            "id": "a", "displayName": "A", "model": "m", "toolNames": [],
            "mcpServers": {"gmail": {"command": "npx"}}, "handleSteps": script
        }))
        .unwrap()
    };
    let refused = with(
        "function* () { yield { toolName: 'read_files', input: {} }; yield { \"toolName\" : \"spawn_agent_inline\", input: {} };
         yield { toolName: `read_files`, input: {} } }",
    );
    assert_eq!(refused.unsupported, ["read_files", "spawn_agent_inline"]);
    let message = refused.usable().unwrap_err().to_string();
    assert!(
        message.contains("`read_files`, `spawn_agent_inline`"),
        "{message}"
    );
    let usable = with(
        "function* ({ params }) { const toolName = params.tool; yield { toolName, input: {} }; yield { toolName: toolName, input: {} };
         yield { toolName: 'set_output', input: { said: 'toolName' } }; yield { toolName: 'gmail__send', input: {} }; yield { toolName: 'gmail/send', input: {} } }",
    );
    assert_eq!(usable.unsupported, Vec::<String>::new());
}
