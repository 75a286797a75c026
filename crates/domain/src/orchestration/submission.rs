//! What makes two submissions the same: so that a second one goes on where the first stopped.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::definition::AgentDefinition;
use crate::canonical::{self, CanonicalError};
use crate::values::hash::ContentHash;
use crate::values::ids::AccountId;

/// Everything pinned when an orchestration is submitted: a later change of the registry does not reach it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pinned {
    /// The definitions of all its agents.
    pub agents: Vec<AgentDefinition>,
    /// Settings for all agents, laid over each agent's own (`seed`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

impl Pinned {
    /// The submission key: SHA-256 over account, plan hash, pinned definitions and parameters.
    ///
    /// # Errors
    /// When a parameter holds a number that canonical JSON lacks.
    pub fn submission_key(
        &self,
        account: &AccountId,
        plan: ContentHash,
    ) -> Result<ContentHash, CanonicalError> {
        canonical::hash(&serde_json::json!({"account": account, "plan": plan, "pinned": self}))
    }

    /// The agent's own parameters with the orchestration's laid over those that it declares.
    pub fn parameters_of(&self, definition: &AgentDefinition) -> Map<String, Value> {
        let mut parameters = definition.parameters.clone();
        for (name, value) in &self.parameters {
            if let Some(own) = parameters.get_mut(name) {
                *own = value.clone();
            }
        }
        parameters
    }
}
