//! What makes two submissions the same: so that a second one goes on where the first stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::definition::AgentDefinition;
use crate::canonical::{self, CanonicalError};
use crate::orchestration::event::{Created, Request};
use crate::orchestration::prior::Prior;
use crate::values::hash::ContentHash;
use crate::values::ids::{AccountId, StepId};

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

impl Created {
    /// The submission key: SHA-256 over account, plan hash, the hash of what is pinned, and over what came beside them:
    /// the request, the priors, and the version to go on from.
    ///
    /// # Errors
    /// Never for what was made of hashes, names and numbers; the type says so to be honest.
    pub fn submission_key(&self) -> Result<ContentHash, CanonicalError> {
        #[derive(Serialize)]
        struct Key<'a> {
            account: &'a AccountId,
            plan: ContentHash,
            pinned: ContentHash,
            request: &'a Request,
            priors: BTreeMap<&'a StepId, &'a Prior>,
            version: u64,
        }
        let priors = self.steps.iter();
        canonical::hash(&Key {
            account: &self.account,
            plan: self.plan,
            pinned: self.pinned,
            request: &self.request,
            priors: priors
                .filter_map(|rules| Some((&rules.id, rules.prior.as_deref()?)))
                .collect(),
            version: self.version,
        })
    }
}

impl Pinned {
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
