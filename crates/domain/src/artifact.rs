//! The plan artifact: the plan plus its enrichments so far, counted by version.

use serde::{Deserialize, Serialize};

use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::OrchestrationId;

/// How an enrichment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrichmentStatus {
    /// All that the agent promised.
    Completed,
    /// What was there when the attempt ended early: labelled, never promoted to `completed`.
    Partial,
}

/// What a step added to its plan: the reference to a typed output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrichment {
    /// Whether the output is whole.
    pub status: EnrichmentStatus,
    /// SHA-256 over the declared inputs (canonical JSON).
    pub input: ContentHash,
    /// The output data's blob: canonical JSON.
    pub data: ContentHash,
    /// Why it is only partial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: Credits,
    /// The orchestration whose equal step's enrichment was taken over instead of performing it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<OrchestrationId>,
    /// Tokens of language models that went into it, as its agent reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
}

fn is_zero(credits: &Credits) -> bool {
    *credits == Credits::ZERO
}
