//! What can be wrong with what a definition says of conversations: fields that contradict each other, and absurd limits.

use crate::agent::conversing::{BUILT_IN_TOOLS, HttpTool, McpServer, OutputMode, SPAWN_TOOL};
use crate::agent::definition::{AgentDefinition, Executor};
use crate::agent::input::InputRef;
use crate::agent::validate::{Problem, TIME_MAX, fault_of_url};
use crate::orchestration::children::CHILDREN_MAX;

/// Most turns of one attempt. More is a loop.
pub const TURNS_MAX: u32 = 1_000;

/// Most retries of one failed question to a model.
pub const LLM_RETRIES_MAX: u32 = 20;

/// Longest prompt, in bytes. A definition goes with every orchestration that pins it.
pub const PROMPT_MAX: usize = 256 * 1024;

/// Most models, tools, tool servers or spawnable agents of one definition.
const ENTRIES_MAX: usize = 256;

/// All problems of `definition` as one that converses.
pub(super) fn problems(definition: &AgentDefinition) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |key: &str, message: String| {
        found.push(Problem {
            key: key.to_owned(),
            message,
        });
    };
    contradictions(definition, &mut add);
    limits(definition, &mut add);
    tools(definition, &mut add);
    servers(definition, &mut add);
    messages(definition, &mut add);
    found
}

fn contradictions(definition: &AgentDefinition, add: &mut impl FnMut(&str, String)) {
    let shaped =
        definition.output_schema.schema.is_some() || !definition.output_schema.fields.is_empty();
    if shaped && definition.output_mode() != OutputMode::StructuredOutput {
        add(
            "outputMode",
            "`outputSchema` says what is handed in, so it must be `structured_output`".to_owned(),
        );
    }
    let hands_in = definition.output_mode() == OutputMode::StructuredOutput;
    let elsewhere = matches!(
        definition.executor,
        Some(Executor::Analysis {} | Executor::Http { .. } | Executor::Worker { .. })
    );
    if definition.check_citations && (elsewhere || !hands_in) {
        let message =
            "only what an agent that converses hands in as `structured_output` is looked up";
        add("checkCitations", message.to_owned());
    }
    let spawns = definition.tool_names.iter().any(|tool| tool == SPAWN_TOOL);
    if !definition.spawnable_agents.is_empty() && !spawns {
        add(
            "toolNames",
            format!("`spawnableAgents` is of use only with the tool `{SPAWN_TOOL}`"),
        );
    }
    let own_prompt = definition.system_prompt.as_ref();
    if definition.inherit_parent_system_prompt && own_prompt.is_some_and(|text| !text.is_empty()) {
        add(
            "systemPrompt",
            "must be empty where `inheritParentSystemPrompt` is true".to_owned(),
        );
    }
    if definition
        .reasoning_options
        .as_ref()
        .is_some_and(|options| options.effort.is_some() == options.max_tokens.is_some())
    {
        add(
            "reasoningOptions",
            "one of `effort` and `maxTokens` must be given".to_owned(),
        );
    }
    let params = definition.input_schema.params.as_ref();
    if params.is_some_and(|schema| schema.get("type").is_some_and(|kind| kind != "object")) {
        add(
            "inputSchema.params",
            "must be the JSON Schema of an object".to_owned(),
        );
    }
}

fn limits(definition: &AgentDefinition, add: &mut impl FnMut(&str, String)) {
    for (key, value, least, most) in [
        ("maxTurns", definition.max_turns, 1, TURNS_MAX),
        ("maxChildren", definition.max_children, 1, CHILDREN_MAX),
        ("llmRetries", definition.llm_retries, 0, LLM_RETRIES_MAX),
        ("maxOutputTokens", definition.max_output_tokens, 1, u32::MAX),
        ("contextTokens", definition.context_tokens, 1_000, u32::MAX),
    ] {
        match value {
            Some(value) if value < least => add(key, format!("must be at least {least}")),
            Some(value) if value > most => add(key, format!("{value} is more than {most}")),
            _ => {}
        }
    }
    for (key, prompt) in [
        ("systemPrompt", &definition.system_prompt),
        ("instructionsPrompt", &definition.instructions_prompt),
        ("stepPrompt", &definition.step_prompt),
        ("spawnerPrompt", &definition.spawner_prompt),
        ("handleSteps", &definition.handle_steps),
    ] {
        if prompt.as_ref().is_some_and(|text| text.len() > PROMPT_MAX) {
            add(key, format!("is longer than {PROMPT_MAX} bytes"));
        }
    }
    for (key, entries) in [
        ("fallbackModels", definition.fallback_models.len()),
        ("toolNames", definition.tool_names.len()),
        ("tools", definition.tools.len()),
        ("mcpServers", definition.mcp_servers.len()),
        ("spawnableAgents", definition.spawnable_agents.len()),
    ] {
        if entries > ENTRIES_MAX {
            add(
                key,
                format!("{entries} entries are more than {ENTRIES_MAX}"),
            );
        }
    }
    if definition.fallback_models.iter().any(String::is_empty) {
        add("fallbackModels", "a model must have a name".to_owned());
    }
}

fn tools(definition: &AgentDefinition, add: &mut impl FnMut(&str, String)) {
    let converses = matches!(
        definition.executor,
        Some(Executor::Model {} | Executor::Script {})
    );
    let unknown = |tool: &&String| !known(definition, tool);
    for tool in definition.tool_names.iter().filter(unknown) {
        if converses {
            add(
                "toolNames",
                format!(
                    "there is no tool `{tool}`: it is neither built in nor among `tools`, and names no server of `mcpServers`"
                ),
            );
        }
    }
    for (name, tool) in &definition.tools {
        let key = format!("tools.{name}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            add(
                &key,
                "a tool's name is 1 to 64 letters, digits, `_` and `-`".to_owned(),
            );
        }
        if BUILT_IN_TOOLS.contains(&name.as_str()) {
            add(
                &key,
                "a tool of this name is built in; choose another".to_owned(),
            );
        }
        http_tool(&key, tool, add);
    }
}

/// Whether the definition's surroundings have this tool: built in, an HTTP tool, or one of a server's.
fn known(definition: &AgentDefinition, tool: &str) -> bool {
    let of_server = || {
        tool.rsplit_once('/').is_some_and(|(server, name)| {
            !name.is_empty() && definition.mcp_servers.contains_key(server)
        })
    };
    BUILT_IN_TOOLS.contains(&tool) || definition.tools.contains_key(tool) || of_server()
}

fn http_tool(key: &str, tool: &HttpTool, add: &mut impl FnMut(&str, String)) {
    if let Some(fault) = fault_of_url(&tool.url) {
        add(&format!("{key}.url"), fault);
    }
    if tool
        .input_schema
        .get("type")
        .is_none_or(|kind| kind != "object")
    {
        add(
            &format!("{key}.inputSchema"),
            "must be a JSON Schema with `type: object`".to_owned(),
        );
    }
    if tool
        .timeout
        .is_some_and(|time| time.0 == 0 || time > TIME_MAX)
    {
        add(
            &format!("{key}.timeout"),
            "is not between 1 ms and 30 days (times are in milliseconds)".to_owned(),
        );
    }
}

fn servers(definition: &AgentDefinition, add: &mut impl FnMut(&str, String)) {
    for (name, server) in &definition.mcp_servers {
        let key = format!("mcpServers.{name}");
        if name.is_empty() || name.len() > 64 || name.contains(char::is_control) {
            add(
                &key,
                "a server's name is 1 to 64 printable characters".to_owned(),
            );
        }
        match server {
            McpServer::Stdio(server) if server.command.trim().is_empty() => {
                add(&format!("{key}.command"), "must not be empty".to_owned());
            }
            McpServer::Stdio(_) => {}
            McpServer::Http(server) => {
                if let Some(fault) = fault_of_url(&server.url) {
                    add(&format!("{key}.url"), fault);
                }
            }
        }
    }
}

/// Another agent's conversation is there only when that agent has ended.
fn messages(definition: &AgentDefinition, add: &mut impl FnMut(&str, String)) {
    let schema = &definition.input_schema;
    for text in &schema.fields {
        if text.starts_with(InputRef::MESSAGES) {
            add(
                "inputSchema.fields",
                format!("`{text}` belongs in `context`: an agent need not have said anything"),
            );
        }
    }
    for text in &schema.context {
        let Some(agent) = text.strip_prefix(InputRef::MESSAGES) else {
            continue;
        };
        let agent = agent.trim_end_matches('?');
        let needed = definition
            .dependencies
            .iter()
            .any(|dependency| dependency.agent.as_str() == agent);
        if !needed {
            add(
                "inputSchema.context",
                format!(
                    "`{text}`: `{agent}` is not among the dependencies, so that it need not have spoken"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::agent::definition::from_toml;
    use crate::agent::validate::problems;

    fn keys_at_fault(rest: &str) -> Vec<String> {
        let definition = from_toml(&format!("id = 'a'\ndisplayName = 'A'\n{rest}")).unwrap();
        let found = problems(&definition).into_iter();
        found.map(|problem| problem.key).collect()
    }

    #[test]
    fn what_nobody_would_look_at_is_refused() {
        let fields = "outputSchema = { fields = { issues = [] } }";
        for (rest, faulty) in [
            ("executor = { kind = 'model' }\ncheckCitations = true", true),
            (
                "executor = { kind = 'model' }\ncheckCitations = true\noutputMode = 'structured_output'",
                false,
            ),
            (
                &format!(
                    "executor = {{ kind = 'script' }}\nhandleSteps = 'function* () {{}}'\ncheckCitations = true\n{fields}"
                ),
                false,
            ),
            (&format!("checkCitations = true\n{fields}"), false),
            (
                &format!(
                    "executor = {{ kind = 'http', url = 'https://a.example' }}\ncheckCitations = true\n{fields}"
                ),
                true,
            ),
        ] {
            let found = keys_at_fault(rest);
            assert_eq!(
                found.contains(&"checkCitations".to_owned()),
                faulty,
                "{rest}: {found:?}"
            );
        }
    }

    #[test]
    fn a_step_has_no_more_children_than_it_may_have() {
        let with = |most: u32| {
            keys_at_fault(&format!(
                "executor = {{ kind = 'model' }}\nmaxChildren = {most}"
            ))
        };
        assert_eq!(with(64), Vec::<String>::new());
        assert_eq!(with(65), ["maxChildren"]);
    }
}
