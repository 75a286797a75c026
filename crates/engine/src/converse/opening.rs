//! What a conversation is made of: the agent's words, the parts of the plan that it declares, and its tools.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::asking::ToolSpec;
use domain::agent::conversation::Conversation;
use domain::agent::conversation::asks::ChildAsk;
use domain::agent::conversation::setup::{Given, Limits, Output, Setup, Spawnable, Tool};
use domain::agent::conversing::OutputMode;
use domain::agent::definition::AgentDefinition;
use domain::agent::schema::Schema;
use domain::orchestration::children::CHILDREN_MAX;
use domain::values::hash::ContentHash;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use super::brief::Brief;
use super::driver::Driver;
use super::heard::heard;
use super::offered::{self, Offered};
use super::toolbox::Toolbox;
use super::window::Window;
use super::{Talk, passing, recording};
use crate::cited;
use crate::endpoint::ways;
use crate::gather;
use crate::handle::Engine;
use crate::inputs;
use crate::perform::{Assignment, Performed, fatal};
use crate::shipped;

/// The tool by which an output is handed in.
const SET_OUTPUT: &str = "set_output";

/// What a child step is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ChildInput {
    pub(super) ask: ChildAsk,
    /// Its parent's, where it takes that over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) system: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tools: Option<Arc<[ToolSpec]>>,
}

/// Says how to configure a model.
pub(crate) fn unconfigured(agent: &AgentDefinition) -> String {
    format!(
        "`{}` converses with a language model, and none is configured: {}",
        agent.id,
        ways(agent)
    )
}

impl Talk {
    /// The attempt's conversation, as far as it has come.
    ///
    /// # Errors
    /// How the attempt ends, where it cannot be begun.
    pub(super) async fn open(
        engine: &Engine,
        mut assignment: Assignment,
        brief: Arc<Brief>,
    ) -> Result<Self, Performed> {
        if let Cow::Owned(worded) = shipped::worded(&assignment.agent) {
            assignment.agent = Arc::new(worded);
        }
        let input = child_input(engine, &assignment, &brief).await?;
        let recorded = recording::recorded(engine, &assignment, &brief).await?;
        let window = Window::of(engine, &assignment.agent);
        let brought = offered::brought(engine, &assignment, &brief, window).await;
        let offered = Offered::of(&recorded, brought.as_ref());
        let built_on = brief.built_on.iter();
        let built_on: BTreeMap<String, ContentHash> = built_on
            .map(|(step, hash)| (step.as_str().to_owned(), *hash))
            .collect();
        let toolbox = Toolbox::new(
            engine,
            assignment.orchestration,
            brief.plan.clone(),
            built_on,
            (offered.tools(&assignment.agent), brought),
            window,
        );
        let tools = (toolbox.tools.clone(), offered.notes.as_slice(), window);
        let setup = setup(engine, &assignment, &brief, input, tools).await?;
        let fresh = Conversation::new(setup);
        let script = assignment.agent.handle_steps.is_some();
        let start = script.then(|| fresh.start());
        let taken = recording::take_up(&assignment, fresh, recorded);
        assignment.kept.note(&taken.used);
        let mut talk = Self {
            engine: engine.clone(),
            conversation: taken.conversation,
            used: taken.used,
            turn: taken.turn,
            transcribed: taken.transcribed,
            script: Driver::led_by(start, taken.resumes),
            toolbox,
            early: JoinSet::new(),
            done: BTreeMap::new(),
            drawn: brief.drawn.clone(),
            held: brief.held,
            unfinished: true,
            assignment,
            brief,
        };
        talk.record_offered(&offered).await?;
        Ok(talk)
    }
}

async fn child_input(
    engine: &Engine,
    assignment: &Assignment,
    brief: &Brief,
) -> Result<Option<ChildInput>, Performed> {
    if brief.child.is_none() {
        return Ok(None);
    }
    let key = *assignment.orchestration.0.as_bytes();
    let asked = engine.store.turns(key, assignment.step.as_str(), 0).await;
    let asked =
        asked.map_err(|error| passing(format!("what it is asked cannot be read: {error}")))?;
    let input = asked
        .first()
        .map(|(_, bytes)| serde_json::from_slice(bytes));
    match input {
        Some(Ok(input)) => Ok(Some(input)),
        _ => Err(fatal("what it is asked is not there".to_owned())),
    }
}

async fn setup(
    engine: &Engine,
    assignment: &Assignment,
    brief: &Brief,
    input: Option<ChildInput>,
    (tools, notes, window): (Vec<Tool>, &[String], Window),
) -> Result<Setup, Performed> {
    let agent = &assignment.agent;
    let mut models = agent.models();
    if models.is_empty() {
        models.extend(engine.outside.default_model.clone());
    }
    let asks_models = agent.handle_steps.is_none();
    if asks_models && (models.is_empty() || engine.outside.models.is_none()) {
        return Err(fatal(unconfigured(agent)));
    }
    let built_on = built_on(engine, assignment, brief).await?;
    let given = given(brief, &built_on)?;
    let name = |step: &str| format!("{}/{step}", assignment.orchestration);
    let children = agent.children_max().min(CHILDREN_MAX);
    let mut setup = Setup {
        agent: agent.id.as_str().to_owned(),
        display_name: agent.display_name.clone(),
        id: name(assignment.step.as_str()),
        models,
        system: agent.system_prompt.as_deref().map(Arc::from),
        instructions: instructions(agent, notes),
        step_prompt: agent.step_prompt.clone(),
        params: assignment.parameters.clone(),
        recorded: heard(engine, assignment, brief).await?,
        given,
        tool_names: tool_names(agent),
        tools,
        spawnable: spawnable(brief, agent),
        output: output(agent),
        script: agent.handle_steps.is_some(),
        max_tokens: agent.max_output_tokens,
        settings: settings(agent),
        limits: Limits {
            turns: agent.turns_max(),
            children: children.saturating_sub(brief.children_before),
            depth: brief.depth_left,
            window: Some(window.tokens),
            ..Limits::default()
        },
        ..Setup::default()
    };
    if agent.check_citations {
        setup.check = Some(cited::check(brief.plan.clone(), built_on));
    }
    if let (Some(ChildInput { ask, system, tools }), Some(child)) = (input, &brief.child) {
        setup.parent = Some(name(child.parent.as_str()));
        setup.prompt = Some(ask.prompt).filter(|prompt| !prompt.is_empty());
        setup.params.extend(ask.params);
        setup.history = ask.history;
        setup.inherited_tools = tools;
        setup.system = system.or(setup.system);
    }
    Ok(setup)
}

/// The agent's instructions, and what is missing of its tools.
fn instructions(agent: &AgentDefinition, notes: &[String]) -> Option<String> {
    let own = agent.instructions_prompt.iter().cloned();
    let all: Vec<String> = own.chain(notes.iter().cloned()).collect();
    Some(all.join("\n\n")).filter(|text| !text.is_empty())
}

/// What the step builds on, by agent. Read where it is shown or cited.
async fn built_on(
    engine: &Engine,
    assignment: &Assignment,
    brief: &Brief,
) -> Result<BTreeMap<String, Arc<Value>>, Performed> {
    let mut built_on = BTreeMap::new();
    if brief.child.is_some() && !assignment.agent.check_citations {
        return Ok(built_on);
    }
    for (step, hash) in &brief.built_on {
        let data = gather::data(engine, assignment.orchestration, *hash).await;
        let data =
            data.map_err(|error| passing(format!("what `{step}` gave cannot be read: {error}")))?;
        built_on.insert(step.as_str().to_owned(), Arc::new(data));
    }
    Ok(built_on)
}

/// The declared parts of the plan and what the dependencies gave, as data.
fn given(brief: &Brief, built_on: &BTreeMap<String, Arc<Value>>) -> Result<Vec<Given>, Performed> {
    let mut given = Vec::new();
    if !brief.prepared.inputs.is_empty() {
        let mut text = Vec::new();
        inputs::of(&brief.plan, &brief.prepared).write_to(&mut text);
        let parts: Map<String, Value> = serde_json::from_slice(&text)
            .map_err(|error| fatal(format!("its inputs cannot be read: {error}")))?;
        given.extend(parts.into_iter().map(|(name, value)| Given {
            name,
            value: Arc::new(value),
        }));
    }
    // A child's parent says what it needs to know; the rest it may read.
    if brief.child.is_none() {
        given.extend(built_on.iter().map(|(step, data)| Given {
            name: format!("enrichments/{step}"),
            value: data.clone(),
        }));
    }
    Ok(given)
}

fn spawnable(brief: &Brief, agent: &AgentDefinition) -> Vec<Spawnable> {
    let references = agent.spawnable_agents.iter();
    let known = references.filter_map(|reference| {
        let pinned = brief.pinned.agents.iter();
        let child = pinned.into_iter().find(|child| reference.means(child))?;
        let prompt = child.input_schema.prompt.as_ref();
        let params = child.input_schema.params.clone().map(Value::Object);
        Some(Spawnable {
            reference: reference.as_str().to_owned(),
            display_name: child.display_name.clone(),
            spawner_prompt: child.spawner_prompt.clone(),
            prompt: prompt.and_then(|prompt| prompt.description.clone()),
            params: params.map(|params| Arc::new(Schema::new(params))),
            include_history: child.include_message_history,
            structured: child.output_mode() == OutputMode::StructuredOutput,
        })
    });
    known.collect()
}

/// What the agent names, and what it needs to hand its output in. Whose model has nothing to call says its output at once: its
/// provider may hold that to the schema.
fn tool_names(agent: &AgentDefinition) -> Vec<String> {
    let mut names = agent.tool_names.clone();
    let calls = agent.handle_steps.is_some()
        || !names.is_empty()
        || !agent.tools.is_empty()
        || !agent.mcp_servers.is_empty()
        || !agent.spawnable_agents.is_empty()
        || agent.inherit_parent_system_prompt;
    let hands_in = calls && agent.output_mode() == OutputMode::StructuredOutput;
    if hands_in && !names.iter().any(|name| name == SET_OUTPUT) {
        names.push(SET_OUTPUT.to_owned());
    }
    names
}

fn output(agent: &AgentDefinition) -> Output {
    match agent.output_mode() {
        OutputMode::LastMessage => Output::LastMessage,
        OutputMode::AllMessages => Output::AllMessages,
        OutputMode::StructuredOutput => {
            Output::Structured(Some(Arc::new(Schema::new(agent.output_json_schema()))))
        }
    }
}

fn settings(agent: &AgentDefinition) -> Map<String, Value> {
    let mut settings = agent.model_settings.clone();
    if let Some(reasoning) = &agent.reasoning_options {
        settings.insert("reasoning".to_owned(), json!(reasoning));
    }
    settings
}
