//! What this replica knows of the world outside: where its agents are, by which road, and with which secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use providers::models::Models;
use providers::models::asked::AskLimits;
use providers::outgoing::Outgoing;
use providers::sign::SigningSecret;
use providers::tools::{Environment, ToolSettings};

/// Longest answer of an agent, in bytes, where nothing else is said.
pub const ANSWER_MAX: usize = 8 << 20;

/// The name under which the secret of all agents without one of their own stands.
pub const EVERY_AGENT: &str = "*";

/// How agents outside are reached.
#[derive(Clone)]
pub struct Outside {
    /// The road. None: this replica reaches nobody.
    pub outgoing: Option<Outgoing>,
    /// Agents without an executor are reached below this address, at `/api/agents/{id}/invoke`.
    pub agents_base_url: Option<String>,
    /// With what requests are signed, by agent id; [`EVERY_AGENT`] for the others.
    pub signing_secrets: BTreeMap<String, SigningSecret>,
    /// Longest answer of an agent, in bytes.
    pub answer_max: usize,
    /// How language models are asked. None: nobody here converses.
    pub models: Option<Models>,
    /// The model of agents that name none.
    pub default_model: Option<String>,
    /// What one question to a model may take, where its agent says nothing else.
    pub ask_limits: AskLimits,
    /// What agents' own tools may do.
    pub tools: ToolSettings,
    /// Gives the values of the variables that these tools may name.
    pub environment: Environment,
}

impl Outside {
    /// With what requests to `agent` are signed.
    pub fn secret(&self, agent: &str) -> Option<&SigningSecret> {
        let secrets = &self.signing_secrets;
        secrets.get(agent).or_else(|| secrets.get(EVERY_AGENT))
    }
}

impl Default for Outside {
    /// Nobody is reached.
    fn default() -> Self {
        Self {
            outgoing: None,
            agents_base_url: None,
            signing_secrets: BTreeMap::new(),
            answer_max: ANSWER_MAX,
            models: None,
            default_model: None,
            ask_limits: AskLimits::default(),
            tools: ToolSettings::default(),
            environment: Arc::new(|_| None),
        }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside")
            .field("agents_base_url", &self.agents_base_url)
            .field("answer_max", &self.answer_max)
            .finish_non_exhaustive()
    }
}
