//! What came with a submission beside plan and agents: for outside agents, for people and for the bill, no matter of scheduling.

use serde::{Deserialize, Serialize};

use crate::money::budget::AtLimit;
use crate::values::credits::Credits;

/// What came with a submission beside plan and agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Request {
    /// The plan's id in its sender's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// On whose behalf, in the sender's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whether those are only words: the sender may not say whose charges these are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pays_not: bool,
    /// The most that the orchestration may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Credits>,
    /// What happens at that limit, where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_limit: Option<AtLimit>,
}

impl Request {
    /// Whether nothing came.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
