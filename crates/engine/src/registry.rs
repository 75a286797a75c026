//! The agents that this program knows: definitions by id.

use std::collections::BTreeMap;

use analyses::catalog;
use domain::agent::definition::{AgentDefinition, from_toml};
use domain::agent::validate::problems;
use domain::values::ids::AgentId;

/// A definition that cannot be registered.
#[derive(Debug, thiserror::Error)]
#[error("the agent definition {name} is invalid: {reason}")]
pub struct InvalidDefinition {
    /// Its file or id.
    pub name: String,
    /// All its problems.
    pub reason: String,
}

/// Definitions by id.
#[derive(Clone, Debug, Default)]
pub struct Registry(BTreeMap<AgentId, AgentDefinition>);

impl Registry {
    /// The built-in analyses.
    ///
    /// # Errors
    /// Never in a program whose tests have passed.
    pub fn built_in() -> Result<Self, InvalidDefinition> {
        let mut registry = Self::default();
        for analysis in catalog::all() {
            registry.add(parse(analysis.id, analysis.definition)?);
        }
        Ok(registry)
    }

    /// Adds a definition, or replaces the one of the same id.
    pub fn add(&mut self, definition: AgentDefinition) {
        self.0.insert(definition.id.clone(), definition);
    }

    /// All definitions.
    pub fn all(&self) -> &BTreeMap<AgentId, AgentDefinition> {
        &self.0
    }
}

/// Reads and validates the definition in `text`; `name` is its file, for messages.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(name: &str, text: &str) -> Result<AgentDefinition, InvalidDefinition> {
    let invalid = |reason: String| InvalidDefinition {
        name: name.to_owned(),
        reason,
    };
    let definition = from_toml(text).map_err(|error| invalid(error.to_string()))?;
    let mut found: Vec<String> = problems(&definition)
        .iter()
        .map(ToString::to_string)
        .collect();
    if let Err(error) = jsonschema::validator_for(&definition.output_json_schema()) {
        found.push(format!(
            "outputSchema: not a JSON Schema that can be checked: {error}"
        ));
    }
    if found.is_empty() {
        Ok(definition)
    } else {
        Err(invalid(found.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_output_schema_that_cannot_be_checked_is_refused_at_once() {
        let with = |schema: &str| {
            parse(
                "a.toml",
                &format!("id = 'a'\ndisplayName = 'A'\noutputSchema = {{ schema = {schema} }}"),
            )
        };
        assert!(with("{ type = 'object' }").is_ok());
        assert!(
            with("{ type = 5 }")
                .unwrap_err()
                .reason
                .contains("outputSchema")
        );
        assert!(with("{ '$ref' = 'https://example.invalid/s.json' }").is_err());
    }
}
