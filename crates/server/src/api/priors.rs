//! Enrichments that a submitted plan has already.

use domain::values::credits::Credits;
use domain::values::time::Timestamp;
use engine::submit::GivenPrior;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::Problem;
use crate::api::number::{Moment, Whole};
use crate::api::object;
use crate::api::submission::{BUDGET_MAX, VERSION_MAX, agent, bounded, name};

/// An enrichment that a plan has already, as this server or another orchestration layer shows it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GivenEnrichment {
    /// Whose it is: the name that it stands under.
    #[serde(default)]
    agent_id: Option<String>,
    /// When it was made, in milliseconds since 1970.
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_u64)]
    timestamp: Option<Moment>,
    /// `completed` (or `success`) and `partial` count; `pending`, `running`, `failed` and `timeout` are left out and their agents performed.
    #[serde(default)]
    status: Option<String>,
    /// The agent's version; without one, the version that is registered.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    agent_version: Option<String>,
    /// The agent's output.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    data: Value,
    /// What it took.
    #[serde(default, deserialize_with = "object::option")]
    #[schema(required = false)]
    metadata: Option<GivenMetadata>,
    /// Left out.
    #[serde(default, rename = "enrichmentType")]
    _enrichment_type: Option<String>,
    /// Left out: priors are counted by their age.
    #[serde(default, rename = "version")]
    #[schema(value_type = Option<u64>)]
    _version: Option<Whole>,
    /// Left out.
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

/// What an enrichment took that a plan has already. What it says of its input and its duration is held to its type, and left out: nobody
/// here can tell whether it is so, and equal inputs are what results are reused by.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GivenMetadata {
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_992_u64)]
    tokens_used: Option<Whole>,
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 9_000_000_000_u64)]
    credits_charged: Option<Credits>,
    #[serde(default, rename = "inputHash")]
    _input_hash: Option<String>,
    #[serde(default, rename = "dataHash")]
    _data_hash: Option<String>,
    #[serde(default)]
    #[schema(minimum = 0)]
    execution_time_ms: Option<f64>,
    #[serde(default, rename = "reusedFrom")]
    _reused_from: Option<String>,
}

/// An enrichment that counts as done; none for one that failed.
///
/// # Errors
/// 400 with the field that is wrong.
pub fn prior(id: &str, given: GivenEnrichment) -> Result<Option<GivenPrior>, Problem> {
    let place = format!("planArtifact.enrichments.{id}");
    let wrong = |what: &str| Err(Problem::invalid(format!("{place}.{what}")));
    let agent = agent("planArtifact.enrichments", id)?;
    if given.agent_id.is_some_and(|said| said != id) {
        return wrong("agentId is another agent's: an enrichment stands under its agent's id");
    }
    if let Some(version) = &given.agent_version {
        name(&format!("{place}.agentVersion"), version)?;
    }
    let metadata = given.metadata.unwrap_or_default();
    let tokens = metadata.tokens_used;
    let tokens = tokens.map(|tokens| {
        bounded(
            &format!("{place}.metadata.tokensUsed"),
            tokens,
            0,
            VERSION_MAX,
        )
    });
    let tokens_used = tokens.transpose()?;
    let credits = metadata.credits_charged.unwrap_or_default();
    if !(Credits::ZERO..=BUDGET_MAX).contains(&credits) {
        return wrong("metadata.creditsCharged is 0 to 9000000000");
    }
    if metadata.execution_time_ms.is_some_and(|took| took < 0.0) {
        return wrong(
            "metadata.executionTimeMs is negative: it is how long the agent took, in milliseconds",
        );
    }
    let partial = match given.status.as_deref() {
        None | Some("completed" | "success") => false,
        Some("partial") => true,
        Some("pending" | "running" | "failed" | "timeout") => return Ok(None),
        Some(other) => {
            return wrong(&format!(
                "status is none of completed, success, partial, pending, running, failed, timeout: {other:?}"
            ));
        }
    };
    if !given.data.is_object() {
        return wrong("data is no object: it is what the agent said, by names");
    }
    let Moment(at) = given.timestamp.unwrap_or_default();
    Ok(Some(GivenPrior {
        agent,
        agent_version: given.agent_version,
        data: given.data,
        at: Timestamp(i64::try_from(at.saturating_mul(1_000)).unwrap_or(i64::MAX)),
        tokens_used,
        credits,
        status_partial: partial,
    }))
}
