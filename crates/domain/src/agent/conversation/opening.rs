//! How a conversation begins: what it inherits, what it is given as data, its prompt, its instructions.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::given;
use super::history::{History, Origin, size_of_json};
use super::inside;
use super::pairs;
use super::setup::{Output, Setup, Spawnable};
use super::spawning::short_name;
use super::trim::BYTES_PER_TOKEN;
use crate::agent::asking::ToolSpec;
use crate::agent::conversing::SPAWN_TOOL;
use crate::agent::message::{Message, Purpose, Role};

/// The first messages.
pub(super) fn history(setup: &Setup) -> History {
    let mut history = History::default();
    for message in pairs::repaired_or_shared(&setup.history) {
        history.add(message, Origin::Inherited);
    }
    for message in given::recorded(&setup.recorded) {
        history.push(message);
    }
    // Half of what the model takes in: the rest is for the conversation itself.
    let room = setup
        .limits
        .window
        .map(|tokens| tokens.saturating_mul(BYTES_PER_TOKEN) / 2);
    if let Some(data) = given::data(&setup.given, room) {
        history.push(data);
    }
    if let Some(prompt) = user_message(setup) {
        history.push(prompt);
    }
    if let Some(instructions) = instructions(setup) {
        history.push(instructions);
    }
    history
}

fn user_message(setup: &Setup) -> Option<Message> {
    let prompt = setup.prompt.as_deref().unwrap_or_default();
    let params = match setup.params.is_empty() {
        true => String::new(),
        false => serde_json::to_string_pretty(&setup.params).unwrap_or_default(),
    };
    let said: Vec<&str> = [prompt, params.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    (!said.is_empty()).then(|| Message {
        purpose: Some(Purpose::UserPrompt),
        ..Message::text(
            Role::User,
            format!("<user_message>{}</user_message>", said.join("\n\n")),
        )
    })
}

fn instructions(setup: &Setup) -> Option<Message> {
    let mut text = setup.instructions.clone().unwrap_or_default();
    if setup.inherited_tools.is_some() {
        let own: Vec<String> = own_tools(setup).into_iter().map(|tool| tool.name).collect();
        let _ = write!(
            text,
            "\n\nYou are a subagent that only has access to the following tools: {}.",
            own.join(", ")
        );
    }
    if may_spawn(setup) {
        text.push_str("\n\nYou can spawn the following agents:\n");
        for agent in &setup.spawnable {
            let _ = write!(text, "\n- {}", agent.reference);
            if let Some(when) = &agent.spawner_prompt {
                let _ = write!(text, ": {when}");
            }
        }
    }
    if let Output::Structured(Some(schema)) = &setup.output {
        let how = if hands_in(setup) {
            "Hand in your output with the set_output tool. It must match this JSON Schema (as the input itself, or as its `data`):"
        } else {
            "Answer at the end with one JSON value and nothing else. It must match this JSON Schema:"
        };
        let spelt = serde_json::to_string_pretty(schema.json()).unwrap_or_default();
        let _ = write!(
            text,
            "\n\n## Output Schema\n\n{how}\n\n```json\n{spelt}\n```"
        );
    }
    let text = text.trim();
    (!text.is_empty()).then(|| Message {
        purpose: Some(Purpose::Instructions),
        ..Message::text(Role::User, text)
    })
}

/// Whether the model can hand in its output.
pub(super) fn hands_in(setup: &Setup) -> bool {
    setup.tool_names.iter().any(|name| name == "set_output")
}

fn may_spawn(setup: &Setup) -> bool {
    !setup.spawnable.is_empty() && setup.tool_names.iter().any(|name| name == SPAWN_TOOL)
}

/// What the model is told of: all that it may call, behind its parent's tools where these are inherited. What both have stands in
/// the parent's place, and is the agent's own.
pub(super) fn offered(setup: &Setup) -> Arc<[ToolSpec]> {
    let own = own_tools(setup);
    let Some(inherited) = &setup.inherited_tools else {
        return own.into();
    };
    if own.iter().all(|tool| inherited.contains(tool)) {
        return Arc::clone(inherited);
    }
    let mut all = inherited.to_vec();
    for tool in own {
        match all.iter_mut().find(|known| known.name == tool.name) {
            Some(known) => *known = tool,
            None => all.push(tool),
        }
    }
    all.into()
}

/// Estimated bytes of all that goes to a model beside the history.
pub(super) fn beside_history(setup: &Setup, offered: &[ToolSpec]) -> u64 {
    let tools = offered.iter().map(|tool| {
        (tool.name.len() + tool.description.len()) as u64 + size_of_json(&tool.input_schema)
    });
    let prompts = [setup.system.as_deref(), setup.step_prompt.as_deref()];
    let prompts = prompts.iter().flatten().map(|text| text.len() as u64);
    tools.chain(prompts).sum()
}

fn own_tools(setup: &Setup) -> Vec<ToolSpec> {
    let mut specs: Vec<ToolSpec> = Vec::new();
    let mut add = |spec: ToolSpec| {
        if !specs.iter().any(|known| known.name == spec.name) {
            specs.push(spec);
        }
    };
    for name in &setup.tool_names {
        if let Some(spec) = inside::spec(name, setup) {
            add(spec);
        }
    }
    for tool in setup.tools.iter().filter(|tool| tool.for_model) {
        add(tool.spec.clone());
    }
    if may_spawn(setup) {
        add(spawn_agents());
        for agent in &setup.spawnable {
            add(as_tool(agent));
        }
    }
    specs
}

fn spawn_agents() -> ToolSpec {
    ToolSpec {
        name: SPAWN_TOOL.to_owned(),
        description: "Spawns agents, all at once, and gives what each came to, in the order asked."
            .to_owned(),
        input_schema: json!({
            "type": "object",
            "properties": {"agents": {"type": "array", "items": {
                "type": "object",
                "properties": {
                    "agent_type": {"type": "string"},
                    "prompt": {"type": "string"},
                    "params": {"type": "object"}
                },
                "required": ["agent_type"]
            }}},
            "required": ["agents"]
        }),
        read_only: false,
    }
}

/// An agent that is called as if it were a tool.
fn as_tool(agent: &Spawnable) -> ToolSpec {
    let params = agent
        .params
        .as_ref()
        .map_or_else(|| json!({"type": "object"}), |schema| schema.json().clone());
    let mut prompt = json!({"type": "string"});
    if let Some(about) = &agent.prompt {
        prompt["description"] = about.as_str().into();
    }
    let when = agent.spawner_prompt.as_deref().unwrap_or_default();
    ToolSpec {
        name: short_name(agent).replace(['-', '.'], "_"),
        description: format!("Spawns the agent {}. {when}", agent.display_name)
            .trim()
            .to_owned(),
        input_schema: json!({"type": "object", "properties": {"prompt": prompt, "params": params}}),
        read_only: false,
    }
}
