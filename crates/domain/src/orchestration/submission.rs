//! What makes two submissions the same: so that a second one goes on where the first stopped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::definition::AgentDefinition;
use crate::canonical::{self, CanonicalError};
use crate::orchestration::event::{BARE, Created, Request};
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

impl Pinned {
    /// The submission key: SHA-256 over account, plan hash, pinned definitions and parameters, and over what came
    /// beside them: the request, the priors, and the version to go on from.
    ///
    /// # Errors
    /// When a parameter holds a number that canonical JSON lacks.
    pub fn submission_key(&self, created: &Created) -> Result<ContentHash, CanonicalError> {
        #[derive(Serialize)]
        struct Key<'a> {
            account: &'a AccountId,
            plan: ContentHash,
            pinned: &'a Pinned,
            #[serde(skip_serializing_if = "Option::is_none")]
            request: Option<&'a Request>,
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            priors: BTreeMap<&'a StepId, &'a Prior>,
            #[serde(skip_serializing_if = "Option::is_none")]
            version: Option<u64>,
        }
        let priors = created.steps.iter();
        canonical::hash(&Key {
            account: &created.account,
            plan: created.plan,
            pinned: self,
            request: Some(&created.request).filter(|request| !request.is_empty()),
            priors: priors
                .filter_map(|rules| Some((&rules.id, rules.prior.as_deref()?)))
                .collect(),
            version: Some(created.version).filter(|version| *version != BARE),
        })
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
