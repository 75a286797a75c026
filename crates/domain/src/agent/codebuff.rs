//! Agent definitions of Codebuff, as JSON: accepted and refused as its runtime does, and turned into our own.
//!
//! Keys that Codebuff drops without a word are warned of. Tools that we do not have are named, so that whoever loads the
//! definition can refuse it: its prompts speak of tools that are not there.

mod reader;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::agent::conversing::{
    BUILT_IN_TOOLS, Effort, McpServer, OutputMode, ReasoningOptions, SPAWN_TOOL,
};
use crate::agent::definition::{
    AgentDefinition, CONVERSATION_TIMEOUT, Executor, InputSchema, OutputSchema, PromptKind,
    PromptSchema,
};
use crate::agent::input::InputRef;
use crate::agent::validate::{self, Problem};
use crate::values::ids::AgentId;
use reader::Reader;

/// A definition that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Our own form.
    pub definition: AgentDefinition,
    /// What of it is not used, and why.
    pub warnings: Vec<String>,
    /// Tools that it names and that we do not have.
    pub unsupported: Vec<String>,
}

impl Imported {
    /// The definition, if it needs only what we have.
    ///
    /// # Errors
    /// The tools that we do not have, by name.
    pub fn usable(self) -> Result<AgentDefinition, Problem> {
        if self.unsupported.is_empty() {
            return Ok(self.definition);
        }
        let named = self.unsupported.join("`, `");
        Err(problem(
            "toolNames",
            format!("needs tools that are not supported: `{named}`"),
        ))
    }
}

/// Reads one definition.
///
/// # Errors
/// Everything that is wrong with it, each with the key at fault.
pub fn read(definition: &Value) -> Result<Imported, Vec<Problem>> {
    let Value::Object(members) = definition else {
        return Err(vec![problem("", "must be an object".to_owned())]);
    };
    let mut reader = Reader::of(members);
    let built = build(&mut reader);
    let (mut problems, warnings) = reader.end();
    let Some((definition, unsupported)) = built else {
        return Err(problems);
    };
    if problems.is_empty() {
        problems = validate::problems(&definition);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Imported {
        definition,
        warnings,
        unsupported,
    })
}

/// Reads the definitions of several files. The first to bear an id has it.
pub fn read_all(files: &BTreeMap<String, Value>) -> Vec<(String, Result<Imported, Vec<Problem>>)> {
    let mut taken = std::collections::BTreeSet::new();
    let each = files.iter().map(|(file, definition)| {
        let read = read(definition).and_then(|imported| {
            if taken.insert(imported.definition.id.clone()) {
                return Ok(imported);
            }
            let id = &imported.definition.id;
            let message = format!("there is another agent `{id}` among these files");
            Err(vec![problem("id", message)])
        });
        (file.clone(), read)
    });
    each.collect()
}

fn problem(key: &str, message: String) -> Problem {
    Problem {
        key: key.to_owned(),
        message,
    }
}

/// The definition and the tools that it lacks; nothing where it cannot be made.
fn build(reader: &mut Reader<'_>) -> Option<(AgentDefinition, Vec<String>)> {
    let id = id(reader);
    let display_name = reader.required_text("displayName");
    let model = reader.required_text("model");
    let mcp_servers = mcp_servers(reader);
    let (tool_names, unsupported) = tools(reader, &mcp_servers);
    let spawnable_agents = spawnable(reader, &tool_names);
    let input_schema = input_schema(reader);
    let (output_mode, output_schema) = output(reader);
    let handle_steps = handle_steps(reader);
    let mut unsupported = unsupported;
    for name in handle_steps.as_deref().into_iter().flat_map(called) {
        if !is_there(name, &mcp_servers) && !unsupported.iter().any(|known| known == name) {
            unsupported.push(name.to_owned());
        }
    }
    let spawner_prompt = reader.text("spawnerPrompt");
    let inherit_parent_system_prompt = reader.flag("inheritParentSystemPrompt");
    let system_prompt = reader.text("systemPrompt");
    let mut definition = crate::agent::definition::from_toml("id = 'a'\ndisplayName = ''").ok()?;
    definition.version = reader.text("version").unwrap_or(definition.version);
    definition.publisher = publisher(reader);
    definition.reasoning_options = reasoning(reader);
    definition.model_settings = provider_options(reader);
    definition.include_message_history = reader.flag("includeMessageHistory");
    definition.instructions_prompt = filled(reader.text("instructionsPrompt"));
    definition.step_prompt = filled(reader.text("stepPrompt"));
    let executor = match handle_steps {
        Some(_) => Executor::Script {},
        None => Executor::Model {},
    };
    let prompts = [
        ("systemPrompt", &system_prompt),
        ("instructionsPrompt", &definition.instructions_prompt),
        ("stepPrompt", &definition.step_prompt),
    ];
    warn_of_placeholders(reader, prompts);
    let built = AgentDefinition {
        id: id?,
        display_name: display_name?,
        description: spawner_prompt.clone().unwrap_or_default(),
        model: filled(model),
        // Codebuff knows no limit.
        timeout: CONVERSATION_TIMEOUT,
        executor: Some(executor),
        mcp_servers,
        tool_names,
        spawnable_agents,
        input_schema,
        output_mode,
        output_schema,
        handle_steps,
        spawner_prompt: filled(spawner_prompt),
        inherit_parent_system_prompt,
        system_prompt: filled(system_prompt),
        ..definition
    };
    Some((built, unsupported))
}

/// Codebuff puts something in the place of `{CODEBUFF_...}` before a model sees it. Here they stay as they are.
fn warn_of_placeholders(reader: &mut Reader<'_>, prompts: [(&str, &Option<String>); 3]) {
    for (key, prompt) in prompts {
        let mut told = std::collections::BTreeSet::new();
        for rest in prompt
            .iter()
            .flat_map(|text| text.split("{CODEBUFF_").skip(1))
        {
            let Some((name, _)) = rest.split_once('}') else {
                continue;
            };
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if name.chars().all(plain) && told.insert(name) {
                reader.warn(format!(
                    "`{key}`: `{{CODEBUFF_{name}}}` is a place that Codebuff fills; here its model sees it as it is"
                ));
            }
        }
    }
}

/// A text that says something: Codebuff's empty prompts are none.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn id(reader: &mut Reader<'_>) -> Option<AgentId> {
    let text = reader.required_text("id")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || !text.chars().all(plain) {
        reader.refuse("id", "only lower-case letters, digits and `-` are allowed");
        return None;
    }
    match AgentId::new(&text) {
        Ok(id) => Some(id),
        Err(error) => {
            reader.refuse("id", &error.to_string());
            None
        }
    }
}

fn publisher(reader: &mut Reader<'_>) -> Option<AgentId> {
    let text = reader.text("publisher")?;
    let id = AgentId::new(&text);
    if id.is_err() {
        reader.warn(format!(
            "`publisher`: `{text}` is no id here and is left out"
        ));
    }
    id.ok()
}

fn mcp_servers(reader: &mut Reader<'_>) -> BTreeMap<String, McpServer> {
    let mut servers = BTreeMap::new();
    for (name, value) in reader.object("mcpServers").into_iter().flatten() {
        match serde_json::from_value(value.clone()) {
            Ok(server) => {
                servers.insert(name.clone(), server);
            }
            Err(error) => reader.refuse(&format!("mcpServers.{name}"), &error.to_string()),
        }
    }
    servers
}

/// The tools that we have, and the names of those that we do not have.
fn tools(
    reader: &mut Reader<'_>,
    servers: &BTreeMap<String, McpServer>,
) -> (Vec<String>, Vec<String>) {
    let (mut names, mut unsupported) = (Vec::new(), Vec::new());
    for name in reader.texts("toolNames") {
        if name.is_empty() {
            reader.warn("`toolNames`: an empty name is left out".to_owned());
        } else if names.contains(&name) || unsupported.contains(&name) {
        } else if is_there(&name, servers) {
            names.push(name);
        } else {
            unsupported.push(name);
        }
    }
    (names, unsupported)
}

/// Whether a tool is built in, or one of these servers', as definitions name it or as models see it.
fn is_there(tool: &str, servers: &BTreeMap<String, McpServer>) -> bool {
    let server = tool.rsplit_once('/').or_else(|| tool.split_once("__"));
    BUILT_IN_TOOLS.contains(&tool) || server.is_some_and(|(server, _)| servers.contains_key(server))
}

/// The tools that a generator names where it calls them: `toolName: 'read_files'`. Those whose names it puts together cannot be
/// seen before they are called.
fn called(script: &str) -> impl Iterator<Item = &str> {
    script.split("toolName").skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches(['\'', '"', '`']).trim_start();
        let rest = rest.strip_prefix(':')?.trim_start();
        let quote = rest.chars().next().filter(|c| "'\"`".contains(*c))?;
        let (name, _) = rest.get(1..)?.split_once(quote)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-/.".contains(c);
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    })
}

fn spawnable(
    reader: &mut Reader<'_>,
    tools: &[String],
) -> Vec<crate::agent::reference::AgentReference> {
    let written = reader.texts("spawnableAgents");
    if !written.is_empty() && !tools.iter().any(|tool| tool == SPAWN_TOOL) {
        let message = format!("`spawnableAgents` needs the tool `{SPAWN_TOOL}`");
        reader.refuse("toolNames", &message);
    }
    let mut references = Vec::new();
    for text in written {
        match text.parse() {
            Ok(reference) => references.push(reference),
            Err(error) => reader.warn(format!("`spawnableAgents`: {error}; it is left out")),
        }
    }
    references
}

/// What a parent gives it; as a step of its own it is given the plan.
fn input_schema(reader: &mut Reader<'_>) -> InputSchema {
    let mut schema = InputSchema {
        fields: vec![InputRef::PLAN.to_owned()],
        ..InputSchema::default()
    };
    let Some(written) = reader.object("inputSchema") else {
        return schema;
    };
    for (key, value) in written {
        let kind = value.get("type").and_then(Value::as_str);
        match (key.as_str(), value, kind) {
            ("prompt", Value::Object(prompt), Some("string")) => {
                let description = prompt.get("description").cloned();
                let description = match description {
                    Some(Value::String(text)) => Some(text),
                    None => None,
                    Some(_) => {
                        reader.refuse("inputSchema.prompt.description", "must be a text");
                        None
                    }
                };
                schema.prompt = Some(PromptSchema {
                    kind: PromptKind::String,
                    description,
                });
            }
            ("params", Value::Object(params), Some("object")) => {
                schema.params = Some(params.clone());
            }
            ("prompt", ..) => reader.refuse("inputSchema.prompt", "its type must be `string`"),
            ("params", ..) => reader.refuse("inputSchema.params", "its type must be `object`"),
            _ => reader.warn(format!("`inputSchema.{key}` is not known and is left out")),
        }
    }
    schema
}

fn output(reader: &mut Reader<'_>) -> (Option<OutputMode>, OutputSchema) {
    let mode = reader.one_of("outputMode");
    let mut schema = OutputSchema::default();
    if let Some(written) = reader.object("outputSchema") {
        if written.get("type").and_then(Value::as_str) != Some("object") {
            reader.refuse("outputSchema.type", "must be `object`");
        }
        if mode != Some(OutputMode::StructuredOutput) {
            let message = "`outputSchema` needs it to be `structured_output`";
            reader.refuse("outputMode", message);
        }
        schema.schema = Some(Value::Object(written.clone()));
    }
    (Some(mode.unwrap_or(OutputMode::LastMessage)), schema)
}

fn handle_steps(reader: &mut Reader<'_>) -> Option<String> {
    let source = filled(reader.text("handleSteps"))?;
    if source.trim_start().starts_with("function*") {
        return Some(source);
    }
    let begins: String = source.chars().take(40).collect();
    let message =
        format!("must be the source of a generator, `function* (…) {{…}}`, not `{begins}…`");
    reader.refuse("handleSteps", &message);
    None
}

/// Of a number of tokens and an effort Codebuff keeps the number.
fn reasoning(reader: &mut Reader<'_>) -> Option<ReasoningOptions> {
    let written = reader.object("reasoningOptions")?;
    let mut inner = Reader::of(written);
    let (enabled, exclude) = (
        inner.optional_flag("enabled"),
        inner.optional_flag("exclude"),
    );
    let tokens = written.get("max_tokens").and_then(Value::as_f64);
    let effort = match tokens {
        Some(_) => None,
        None => inner.one_of::<Effort>("effort"),
    };
    if tokens.is_none() && effort.is_none() {
        inner.refuse(
            "effort",
            "`max_tokens` or one of high, medium, low, minimal, none is needed",
        );
    }
    reader.adopt("reasoningOptions", inner, &["max_tokens", "effort"]);
    Some(ReasoningOptions {
        enabled,
        exclude,
        max_tokens: tokens.map(|tokens| tokens.clamp(0.0, f64::from(u32::MAX)) as u32),
        effort,
    })
}

/// OpenRouter's routing, passed on as it is.
fn provider_options(reader: &mut Reader<'_>) -> Map<String, Value> {
    let Some(written) = reader.object("providerOptions") else {
        return Map::new();
    };
    let mut inner = Reader::of(written);
    for list in ["order", "only", "ignore", "quantizations"] {
        inner.texts(list);
    }
    for flag in ["allow_fallbacks", "require_parameters"] {
        inner.optional_flag(flag);
    }
    inner.word("sort", &["price", "throughput", "latency"]);
    inner.word("data_collection", &["allow", "deny"]);
    inner.object("max_price");
    reader.adopt("providerOptions", inner, &[]);
    Map::from_iter([("provider".to_owned(), Value::Object(written.clone()))])
}
