//! Children that a call wants: which agents they are, which are refused, and what the call is answered.

use serde_json::{Map, Value, json};

use super::asks::ChildOutcome;
use super::calls;
use super::setup::{Setup, Spawnable};
use crate::agent::reference;

/// One entry of a call.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As the agent was asked for.
    asked: String,
    pub want: Want,
    told: Option<Told>,
}

/// What becomes of an entry.
#[derive(Clone, Debug)]
pub(super) enum Want {
    /// Nothing, and why.
    Refused(String),
    /// A child.
    Child {
        /// Its place among the spawnable agents.
        spawnable: usize,
        prompt: String,
        params: Map<String, Value>,
    },
}

#[derive(Clone, Debug)]
struct Told {
    name: String,
    status: &'static str,
    value: Value,
}

impl Entry {
    fn refused(asked: &str, why: String) -> Self {
        Self {
            asked: asked.to_owned(),
            want: Want::Refused(why),
            told: None,
        }
    }

    pub fn refuse(&mut self, why: String) {
        self.want = Want::Refused(why);
    }

    /// Takes in how the child ended.
    pub fn ended(&mut self, setup: &Setup, outcome: ChildOutcome) {
        let Want::Child { spawnable, .. } = &self.want else {
            return;
        };
        let Some(agent) = setup.spawnable.get(*spawnable) else {
            return;
        };
        let (status, value) = match outcome {
            ChildOutcome::Completed { value } => ("completed", as_output(agent, value)),
            ChildOutcome::Partial { value, message } => {
                let mut value = as_output(agent, value);
                value["errorMessage"] = Value::from(message);
                ("partial", value)
            }
            ChildOutcome::Failed { message } => ("failed", json!({"errorMessage": message})),
        };
        self.told = Some(Told {
            name: agent.display_name.clone(),
            status,
            value,
        });
    }
}

/// A child's output as its parent sees it: `{type, value}`.
fn as_output(agent: &Spawnable, value: Value) -> Value {
    let kind = value.get("type").and_then(Value::as_str);
    let told = matches!(kind, Some("lastMessage" | "allMessages"));
    if !agent.structured && told && value.get("value").is_some() {
        value
    } else {
        json!({"type": "structuredOutput", "value": value})
    }
}

/// What the call is answered: a list in the order asked, and whether none of it succeeded.
pub(super) fn answer(entries: Vec<Entry>) -> (Value, bool) {
    let mut failed = !entries.is_empty();
    let list = entries.into_iter().map(|entry| {
        let told = entry.told.unwrap_or_else(|| Told {
            name: entry.asked.clone(),
            status: "failed",
            value: match entry.want {
                Want::Refused(why) => json!({"errorMessage": why}),
                Want::Child { .. } => json!({"errorMessage": "Nothing is known of this child."}),
            },
        });
        failed &= told.status == "failed";
        json!({
            "agentName": told.name,
            "agentType": entry.asked,
            "status": told.status,
            "value": told.value
        })
    });
    let list: Vec<Value> = list.collect();
    (Value::Array(list), failed)
}

/// The entries of `spawn_agents({agents: [{agent_type, prompt?, params?}]})`. A single entry may stand without its list, and
/// the list may come as the text of one: weaker models write so.
///
/// # Errors
/// When there is no such list.
pub(super) fn entries(setup: &Setup, input: &Value) -> Result<Vec<Entry>, String> {
    let fault = || {
        "Invalid parameters for spawn_agents: `agents` must be a list of {agent_type, prompt?, params?}".to_owned()
    };
    let agents = calls::unwrapped(input.get("agents").ok_or_else(fault)?);
    match agents.as_ref() {
        Value::Array(list) => Ok(list.iter().map(|one| entry(setup, one)).collect()),
        one @ Value::Object(_) => Ok(vec![entry(setup, one)]),
        _ => Err(fault()),
    }
}

fn entry(setup: &Setup, one: &Value) -> Entry {
    let one = calls::unwrapped(one);
    let Some(one) = one.as_object() else {
        return Entry::refused("", "Invalid agent entry".to_owned());
    };
    match one.get("agent_type").and_then(Value::as_str) {
        None | Some("") => Entry::refused("", "Agent entry missing agent_type".to_owned()),
        Some(asked) => {
            let Some(place) = place_of(setup, asked) else {
                return Entry::refused(asked, unavailable(setup, asked));
            };
            let params = one.get("params").map(calls::unwrapped);
            let prompt = one.get("prompt").and_then(Value::as_str);
            child(setup, asked, place, prompt, params.as_deref())
        }
    }
}

/// The one entry of a call of an agent by its name: `params` are under that name, or all that is not the prompt.
pub(super) fn by_name(setup: &Setup, asked: &str, place: usize, input: &Value) -> Entry {
    let prompt = input.get("prompt").and_then(Value::as_str);
    let params = input.get("params").map(calls::unwrapped);
    if let Some(params) = params.filter(|params| params.is_object()) {
        return child(setup, asked, place, prompt, Some(params.as_ref()));
    }
    let mut rest = input.as_object().cloned().unwrap_or_default();
    rest.remove("prompt");
    child(setup, asked, place, prompt, Some(&Value::Object(rest)))
}

fn child(
    setup: &Setup,
    asked: &str,
    place: usize,
    prompt: Option<&str>,
    params: Option<&Value>,
) -> Entry {
    let params = match params {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(_) => {
            let why = format!("Invalid params for agent {asked}: they must be an object");
            return Entry::refused(asked, why);
        }
    };
    let schema = setup
        .spawnable
        .get(place)
        .and_then(|agent| agent.params.as_ref());
    let params = Value::Object(params);
    if let Some(faults) = schema.and_then(|schema| schema.faults(&params)) {
        return Entry::refused(
            asked,
            format!("Invalid params for agent {asked}: {}", faults.told),
        );
    }
    let Value::Object(params) = params else {
        return Entry::refused(asked, "Invalid agent entry".to_owned());
    };
    Entry {
        asked: asked.to_owned(),
        want: Want::Child {
            spawnable: place,
            prompt: prompt.unwrap_or_default().to_owned(),
            params,
        },
        told: None,
    }
}

/// Which of the spawnable agents is meant. Where nothing is, `_` is read as `-`, as models write it.
fn place_of(setup: &Setup, asked: &str) -> Option<usize> {
    let references = || setup.spawnable.iter().map(|agent| agent.reference.as_str());
    let found = reference::matching(references(), asked).or_else(|| {
        let hyphened = asked.replace('_', "-");
        reference::matching(references(), &hyphened)
    })?;
    references().position(|reference| reference == found)
}

fn unavailable(setup: &Setup, asked: &str) -> String {
    if calls::is_tool(setup, asked) {
        return format!(
            "\"{asked}\" is a tool, not an agent. Call it directly as a tool instead of wrapping it in spawn_agents."
        );
    }
    format!("Agent \"{asked}\" is not available to spawn")
}

/// Which of the spawnable agents a tool of this name stands for, `-` and `_` being the same.
pub(super) fn named(setup: &Setup, name: &str) -> Option<usize> {
    let plain = |name: &str| name.replace(['-', '.'], "_");
    let name = plain(name);
    let mut agents = setup.spawnable.iter();
    agents.position(|agent| plain(short_name(agent)) == name)
}

/// The agent's name without publisher and version.
pub(super) fn short_name(agent: &Spawnable) -> &str {
    reference::parts(&agent.reference).map_or(agent.reference.as_str(), |parts| parts.name)
}
