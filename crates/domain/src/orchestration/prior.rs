//! Enrichments that come with a plan: what they are, and which versions of the plan artifact they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::Enrichment;
use crate::orchestration::event::BARE;
use crate::values::ids::AgentId;
use crate::values::time::Timestamp;

/// An enrichment that came with the plan: its step is done from the start and is never performed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prior {
    /// What came.
    pub enrichment: Enrichment,
    /// The plan artifact's version that it made.
    pub version: u64,
    /// When it was made, as its sender says.
    pub at: Timestamp,
}

/// All that came, before it is known who is there to own it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The plan artifact's version, as its sender says; raised where it leaves no room for the bare plan and all priors.
    pub version: u64,
    /// What came from whom, and when it was made.
    pub enrichments: BTreeMap<AgentId, (Enrichment, Timestamp)>,
}

impl Given {
    /// Gives those that `stand` their versions, the oldest first, up to the artifact's own; and says which that is.
    pub fn numbered(&self, stand: impl Fn(&AgentId) -> bool) -> (u64, BTreeMap<AgentId, Prior>) {
        let mut standing: Vec<_> = self
            .enrichments
            .iter()
            .filter(|(agent, _)| stand(agent))
            .collect();
        standing.sort_by_key(|(_, (_, at))| *at);
        let count = standing.len() as u64;
        let bare = self.version.saturating_sub(count).max(BARE);
        let priors = (bare + 1..).zip(standing).map(|(version, (agent, given))| {
            let (enrichment, at) = given.clone();
            let prior = Prior {
                enrichment,
                version,
                at,
            };
            (agent.clone(), prior)
        });
        (bare + count, priors.collect())
    }
}
