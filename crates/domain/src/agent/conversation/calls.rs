//! What becomes of a call: whether there is such a tool, whether it may be called, and whether its input is one.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::answering::CALLS_MAX;
use super::inside;
use super::setup::Setup;
use super::spawning::{self, Entry};
use crate::agent::asking::Piece;
use crate::agent::conversing::SPAWN_TOOL;
use crate::agent::message::ToolCall;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The model: only what it was offered.
    Model,
    /// The agent's script: every tool there is.
    Script,
}

/// What is done about a call.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Done inside the conversation.
    Inside,
    /// Asked for.
    Outside,
    /// Children are asked for.
    Spawn(Vec<Entry>),
    /// Nothing, and why; the caller is told.
    Refused(String),
}

/// A call, and what is done about it.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    pub call: ToolCall,
    pub kind: Kind,
    pub ends_turn: bool,
}

/// How deep a JSON text in a JSON text is read.
const TEXTS_DEEP: usize = 3;

/// A value that came as the text of one: weaker models write so.
pub(super) fn unwrapped(value: &Value) -> Cow<'_, Value> {
    let mut value = Cow::Borrowed(value);
    for _ in 0..TEXTS_DEEP {
        let Value::String(text) = value.as_ref() else {
            break;
        };
        match serde_json::from_str::<Value>(text) {
            Ok(inner) if inner.is_object() || inner.is_array() || inner.is_string() => {
                value = Cow::Owned(inner);
            }
            _ => break,
        }
    }
    value
}

enum Target {
    Inside,
    Outside(usize),
    Spawn,
    Agent(usize),
}

fn target(setup: &Setup, name: &str) -> Option<Target> {
    if inside::NAMES.contains(&name) {
        return Some(Target::Inside);
    }
    if name == SPAWN_TOOL {
        return Some(Target::Spawn);
    }
    if let Some(at) = outside(setup, name) {
        return Some(Target::Outside(at));
    }
    spawning::named(setup, name).map(Target::Agent)
}

/// The tool done outside that is meant by `name`; an MCP tool's may be written `server/tool`.
fn outside(setup: &Setup, name: &str) -> Option<usize> {
    let find = |name: &str| setup.tools.iter().position(|tool| tool.spec.name == name);
    find(name).or_else(|| find(&name.replacen('/', "__", 1)))
}

/// Whether this is the name of a tool that is no agent.
pub(super) fn is_tool(setup: &Setup, name: &str) -> bool {
    !matches!(target(setup, name), None | Some(Target::Agent(_)))
}

fn permitted(setup: &Setup, name: &str, target: &Target) -> bool {
    let named = |name: &str| setup.tool_names.iter().any(|each| each == name);
    match target {
        Target::Inside => named(name),
        Target::Outside(at) => setup.tools.get(*at).is_some_and(|tool| tool.for_model),
        Target::Spawn | Target::Agent(_) => named(SPAWN_TOOL) && !setup.spawnable.is_empty(),
    }
}

/// What is done about the call `name(input)`. The call keeps its name as far as providers accept it.
pub(super) fn resolve(
    setup: &Setup,
    caller: Caller,
    id: String,
    name: &str,
    input: Value,
) -> Resolved {
    let refused = |name: String, input: Value, why: String| Resolved {
        call: ToolCall {
            id: id.clone(),
            name,
            input: as_object(input),
        },
        kind: Kind::Refused(why),
        ends_turn: false,
    };
    let Some(target) = target(setup, name) else {
        return refused(wire_name(name), input, unknown(name));
    };
    if caller == Caller::Model && !permitted(setup, name, &target) {
        return refused(wire_name(name), input, unknown(name));
    }
    let name = match &target {
        Target::Outside(at) => setup
            .tools
            .get(*at)
            .map_or(name, |tool| tool.spec.name.as_str()),
        _ => name,
    };
    let input = match unwrapped(&input) {
        Cow::Owned(inner) => inner,
        Cow::Borrowed(Value::Null) => json!({}),
        Cow::Borrowed(_) => input,
    };
    if !input.is_object() {
        let why = format!("Invalid parameters for {name}: the input must be an object");
        return refused(wire_name(name), input, why);
    }
    let mut ends_turn = false;
    let kind = match target {
        Target::Inside => Kind::Inside,
        Target::Outside(at) => match setup.tools.get(at) {
            Some(tool) => {
                ends_turn = tool.ends_turn;
                match tool.input.faults(&input) {
                    None => Kind::Outside,
                    Some(faults) => {
                        Kind::Refused(format!("Invalid parameters for {name}: {}", faults.told))
                    }
                }
            }
            None => Kind::Refused(unknown(name)),
        },
        Target::Spawn => match spawning::entries(setup, &input) {
            Ok(entries) => Kind::Spawn(entries),
            Err(why) => Kind::Refused(why),
        },
        Target::Agent(place) => Kind::Spawn(vec![spawning::by_name(setup, name, place, &input)]),
    };
    Resolved {
        call: ToolCall {
            id,
            name: wire_name(name),
            input,
        },
        kind,
        ends_turn,
    }
}

/// A call that cannot be read, as one that is refused: the model sees what it wrote, and why it was not understood.
pub(super) fn unreadable(id: String, name: Option<&str>, text: &str, why: &str) -> Resolved {
    let name = wire_name(name.unwrap_or_default());
    Resolved {
        kind: Kind::Refused(format!(
            "Invalid call of {name}: {why}. Nothing was done; check the call and try again."
        )),
        call: ToolCall {
            id,
            name,
            input: json!({"unreadable": text}),
        },
        ends_turn: false,
    }
}

/// The first call that is too many in its answer.
pub(super) fn beyond(id: String, said: &Piece) -> Resolved {
    let name = match said {
        Piece::Call { name, .. } => name,
        Piece::BadCall { name, .. } => name.as_deref().unwrap_or_default(),
        Piece::Text { .. } | Piece::Reasoning { .. } => "",
    };
    let why = format!(
        "An answer makes at most {CALLS_MAX} calls: this one and those behind it were left out."
    );
    Resolved {
        call: ToolCall {
            id,
            name: wire_name(name),
            input: json!({}),
        },
        kind: Kind::Refused(why),
        ends_turn: false,
    }
}

/// A call that may be carried out while the answer is still on its way: known, permitted, with a right input, and such as
/// changes nothing.
pub(super) fn early(setup: &Setup, id: String, name: &str, input: &Value) -> Option<ToolCall> {
    let at = outside(setup, name)?;
    setup.tools.get(at).filter(|tool| tool.spec.read_only)?;
    let resolved = resolve(setup, Caller::Model, id, name, input.clone());
    matches!(resolved.kind, Kind::Outside).then_some(resolved.call)
}

fn unknown(name: &str) -> String {
    format!(
        "Tool `{name}` is not currently available. Make sure to only use tools provided at the start of the conversation AND that you most recently have permission to use."
    )
}

/// A name as every provider accepts it in a history.
fn wire_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(64).map(plain).collect();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

fn as_object(input: Value) -> Value {
    match input {
        Value::Object(_) => input,
        Value::Null => json!({}),
        other => json!({"unreadable": other}),
    }
}
