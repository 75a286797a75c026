//! How the tests play a script.

use std::time::Duration;

use domain::agent::script::{News, Resume, Start, Yield};
use script::error::ScriptError;
use script::limits::Limits;
use script::sandbox::Script;
use serde_json::{Value, json};

/// A start with nothing in it.
pub(crate) fn start() -> Start {
    Start {
        agent_state: json!({"agentId": "risk-reader"}),
        news: News::default(),
        prompt: None,
        params: serde_json::Map::new(),
        model: None,
    }
}

/// A resume as the first one is: no tool has given anything.
pub(crate) fn nothing() -> Resume {
    Resume {
        news: News::default(),
        tool_result: Vec::new(),
        steps_complete: false,
        n_responses: None,
    }
}

/// A resume with what a tool gave.
pub(crate) fn given(value: Value) -> Resume {
    Resume {
        tool_result: vec![json!({"type": "json", "value": value})],
        ..nothing()
    }
}

/// Bounds that are soon reached.
pub(crate) fn small() -> Limits {
    Limits {
        heap_bytes: 8 << 20,
        fuel: 5_000_000,
        step_time: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// A generator function with these statements inside, started.
pub(crate) fn started(body: &str) -> Script {
    let source = format!("function* ({{ agentState, prompt, params, logger }}) {{ {body} }}");
    Script::start(&source, &start(), &small()).expect("a script that starts")
}

/// What the first step of these statements comes to.
pub(crate) fn first(body: &str) -> Result<Yield, ScriptError> {
    started(body).resume(&nothing())
}

/// What a script reports by calling the tool `tell` with what is to be known.
pub(crate) fn told(body: &str) -> Value {
    match first(body) {
        Ok(Yield::Tool { input, .. }) => input,
        other => panic!("`{body}` told nothing: {other:?}"),
    }
}
