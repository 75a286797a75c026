//! The plan artifact and its enrichments as the wire shows them: at any version, with what is inside passed on as it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::artifact::EnrichmentStatus;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration, Status};
use domain::values::credits::Credits;
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use engine::gather::raw;
use engine::handle::Engine;
use engine::plans::LoadedPlan;
use planexe::json_plan::PLAN_JSON;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use store::error::StoreError;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::event::payload::exact;

/// A plan with its enrichments so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanArtifact {
    /// The plan's id in its sender's words; else its name.
    pub id: String,
    /// Counts the enrichments applied: 1 is the bare plan.
    #[schema(minimum = 1)]
    pub version: u64,
    /// The plan as it was submitted; one of files as an object: JSON files as JSON, others as texts.
    #[schema(value_type = serde_json::Value)]
    pub plan: Arc<RawValue>,
    /// What the agents added, by agent.
    pub enrichments: BTreeMap<String, AgentEnrichment>,
    /// When it was submitted, in milliseconds since 1970.
    pub created_at: i64,
    /// When this version was made, in milliseconds since 1970.
    pub last_updated_at: i64,
    /// The orchestration that enriches it.
    pub orchestration_id: Uuid,
    /// How it stands.
    pub status: ArtifactStatus,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub failure_reason: Option<String>,
}

/// How a plan artifact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactStatus {
    /// Nothing has happened yet.
    Pending,
    /// Agents are at work, or were when this version was made.
    Enriching,
    /// All that was wanted is there.
    Complete,
    /// Some of it is.
    Partial,
    /// Nothing is, or an agent's failure ended it.
    Failed,
    /// It was stopped as asked.
    Cancelled,
}

impl From<Status> for ArtifactStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::New => Self::Pending,
            Status::Running => Self::Enriching,
            Status::Complete => Self::Complete,
            Status::Partial => Self::Partial,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// What an agent added.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentEnrichment {
    /// The agent.
    pub agent_id: String,
    /// In which version.
    pub agent_version: String,
    /// The type that the agent declares; in lists of enrichments.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub enrichment_type: Option<String>,
    /// The plan artifact's version that it made; none of work that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub version: Option<u64>,
    /// When it was applied, in milliseconds since 1970.
    pub timestamp: i64,
    /// `completed`, or `partial` where the attempt ended early; among results `failed` and `timeout` too.
    pub status: &'static str,
    /// Why it is only partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// What the agent said.
    #[schema(value_type = serde_json::Value)]
    pub data: Arc<RawValue>,
    /// How it came about.
    pub metadata: EnrichmentMetadata,
}

/// How an enrichment came about.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrichmentMetadata {
    /// SHA-256 over the declared inputs: equal hashes mean equal work.
    pub input_hash: String,
    /// SHA-256 over the data.
    pub data_hash: String,
    /// Tokens of language models, as the agent reported them; 0 where it reported none.
    pub tokens_used: u64,
    /// What it costs, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
    /// How long its last attempt took, in milliseconds.
    pub execution_time_ms: u64,
    /// The orchestration whose equal enrichment was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reused_from: Option<Uuid>,
}

/// Milliseconds since 1970.
pub const fn millis(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

/// The version before the first enrichment.
pub fn bare_version(state: &Orchestration, head: &Head) -> u64 {
    let applied = state.steps.iter().filter(|step| step.version.is_some());
    head.version.saturating_sub(applied.count() as u64)
}

/// The steps that applied an enrichment, with the version that each made, in that order; those up to `version` alone.
pub fn applied(state: &Orchestration, version: u64) -> Vec<(u64, StepIndex)> {
    let steps = state.steps.iter().enumerate();
    let made = steps.filter_map(|(index, step)| Some((step.version?, index)));
    let mut made: Vec<_> = made.filter(|(made, _)| *made <= version).collect();
    made.sort_unstable();
    made
}

/// The plan artifact at `version`; at its last one without.
///
/// # Errors
/// When the database fails or lacks an enrichment's data.
pub async fn plan_artifact(
    engine: &Engine,
    id: OrchestrationId,
    (state, head): (&Orchestration, &Head),
    plan: Arc<RawValue>,
    version: Option<u64>,
) -> Result<PlanArtifact, StoreError> {
    let version = version.unwrap_or(head.version);
    let (mut enrichments, mut last_updated_at) = (BTreeMap::new(), millis(head.created_at));
    for (_, index) in applied(state, version) {
        if let Some(enrichment) = enrichment(engine, id, state, index).await? {
            last_updated_at = last_updated_at.max(enrichment.timestamp);
            enrichments.insert(enrichment.agent_id.clone(), enrichment);
        }
    }
    let is_last = version == head.version;
    if is_last && let Some(ended) = head.ended_at {
        last_updated_at = last_updated_at.max(millis(ended));
    }
    Ok(PlanArtifact {
        id: head
            .request
            .plan_id
            .clone()
            .unwrap_or_else(|| head.name.clone()),
        version,
        plan,
        enrichments,
        created_at: millis(head.created_at),
        last_updated_at,
        orchestration_id: id.0,
        status: if is_last {
            head.status.into()
        } else {
            ArtifactStatus::Enriching
        },
        failure_reason: head.reason.clone().filter(|_| is_last),
    })
}

/// What the step at `index` added; nothing where it added nothing.
///
/// # Errors
/// When the database fails or lacks its data.
pub async fn enrichment(
    engine: &Engine,
    id: OrchestrationId,
    state: &Orchestration,
    index: StepIndex,
) -> Result<Option<AgentEnrichment>, StoreError> {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let (Some(added), Some(version)) = (&step.enrichment, step.version) else {
        return Ok(None);
    };
    let bytes = raw(engine, id, added.data).await?;
    let damaged = |error: serde_json::Error| StoreError::Corrupt {
        database: engine.store.name(),
        detail: format!("the data of `{}`: {error}", rules.agent),
    };
    let data: Box<RawValue> = serde_json::from_slice(&bytes).map_err(damaged)?;
    let took = step
        .started_at
        .zip(step.ended_at)
        .map(|(started, ended)| ended - started);
    Ok(Some(AgentEnrichment {
        agent_id: rules.agent.to_string(),
        agent_version: rules.agent_version.clone(),
        enrichment_type: None,
        version: Some(version),
        timestamp: step.ended_at.map_or(0, millis),
        status: match added.status {
            EnrichmentStatus::Completed => "completed",
            EnrichmentStatus::Partial => "partial",
        },
        reason: added.reason.clone(),
        data: data.into(),
        metadata: EnrichmentMetadata {
            input_hash: added.input.to_string(),
            data_hash: added.data.to_string(),
            tokens_used: added.tokens_used.unwrap_or(0),
            credits_charged: added.cost,
            execution_time_ms: took.map_or(0, |took| took.0),
            reused_from: added.reused_from.map(|from| from.0),
        },
    }))
}

/// The plan as JSON: one that was given as JSON as it stands, one of files as an object of them.
///
/// # Errors
/// Never for a plan that was given as JSON.
pub fn plan_text(plan: &LoadedPlan) -> Result<Arc<RawValue>, serde_json::Error> {
    let files = &plan.plan.artifacts;
    if files.len() == 1
        && let Some(only) = files.get(PLAN_JSON)
        && let Ok(text) = serde_json::from_slice::<Box<RawValue>>(&only.bytes)
    {
        return Ok(text.into());
    }
    let content = |bytes: &[u8]| match serde_json::from_slice::<Box<RawValue>>(bytes) {
        // A JSON text would pass for the text of a file: it stands as one.
        Ok(json) if !json.get().starts_with('"') => Ok(json),
        _ => to_raw_value(&String::from_utf8_lossy(bytes)),
    };
    let files = files
        .values()
        .map(|file| Ok((file.path.as_str(), content(&file.bytes)?)));
    let files: BTreeMap<_, _> = files.collect::<Result<_, serde_json::Error>>()?;
    to_raw_value(&files).map(Into::into)
}
