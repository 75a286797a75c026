//! Discovery: an agent says itself what it is, at a well-known address.

use domain::agent::definition::{AgentDefinition, Executor};
use serde_json::Value;

use crate::agents::{RegisterError, Registered, register_all, validate};
use crate::endpoint::below;
use crate::handle::Engine;

/// Where an agent's definition stands below its address.
pub const WELL_KNOWN: &str = "/.well-known/afterplan-agent.json";

/// Most definitions at one address.
const DEFINITIONS_MAX: usize = 64;

/// Asks for the definition, or the list `agents` of several, below `url` and registers what is there: all, or when one
/// cannot be, none. An agent that does not say where it is reached is reached below the same address.
///
/// # Errors
/// When nobody answers there, when an answer is no definition, or as for [`crate::agents::register`].
pub async fn discover(engine: &Engine, url: &str) -> Result<Vec<Registered>, RegisterError> {
    let Some(outgoing) = &engine.outside.outgoing else {
        return Err(RegisterError::Refused(
            "this program reaches no agents outside".to_owned(),
        ));
    };
    let base = url.trim_end_matches('/');
    let base = base.strip_suffix(WELL_KNOWN).unwrap_or(base);
    let answer = outgoing
        .definition(&format!("{base}{WELL_KNOWN}"))
        .await
        .map_err(|failure| RegisterError::Refused(failure.message))?;
    let definitions = definitions(base, &answer).map_err(RegisterError::Invalid)?;
    register_all(engine, definitions, base).await
}

/// The definitions in an answer from `base`.
fn definitions(base: &str, answer: &[u8]) -> Result<Vec<AgentDefinition>, Vec<String>> {
    let whole: Value =
        serde_json::from_slice(answer).map_err(|error| vec![format!("not JSON: {error}")])?;
    let listed = match whole.get("agents").and_then(Value::as_array) {
        Some(agents) if agents.len() > DEFINITIONS_MAX => {
            return Err(vec![format!("it lists more than {DEFINITIONS_MAX} agents")]);
        }
        Some(agents) => agents.clone(),
        None => vec![whole],
    };
    let (mut read, mut faults) = (Vec::new(), Vec::new());
    for value in listed {
        match validate(&value.to_string()).and_then(|definition| reached(base, definition)) {
            Ok(definition) => read.push(definition),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() {
        Ok(read)
    } else {
        Err(faults)
    }
}

/// What comes from outside is performed outside.
fn reached(base: &str, definition: AgentDefinition) -> Result<AgentDefinition, Vec<String>> {
    match definition.executor {
        Some(Executor::Http { .. }) => Ok(definition),
        None => Ok(AgentDefinition {
            executor: Some(Executor::Http {
                url: below(base, definition.id.as_str()),
                health: None,
            }),
            ..definition
        }),
        Some(_) => Err(vec![format!(
            "executor: `{}` was discovered and can only be reached over http",
            definition.id
        )]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_discovered_agent_is_reached_where_it_was_found_unless_it_says_otherwise() {
        let answer = br#"{"agents": [{"id": "a", "displayName": "A"},
            {"id": "b", "displayName": "B", "executor": {"kind": "http", "url": "https://b.example/x"}}]}"#;
        let read = definitions("https://a.example", answer).unwrap();
        let urls: Vec<_> = read
            .iter()
            .map(|definition| match &definition.executor {
                Some(Executor::Http { url, .. }) => url.as_str(),
                _ => "",
            })
            .collect();
        assert_eq!(
            urls,
            [
                "https://a.example/api/agents/a/invoke",
                "https://b.example/x"
            ]
        );
    }

    #[test]
    fn nobody_outside_names_a_function_of_this_program() {
        let answer =
            br#"{"id": "plan-lint", "displayName": "A", "executor": {"kind": "analysis"}}"#;
        let faults = definitions("https://a.example", answer).unwrap_err();
        assert!(faults[0].contains("only be reached over http"));
    }
}
