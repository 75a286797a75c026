//! An orchestration's state as the seed's `getStatus` and `OrchestrationState` have it, in one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use domain::orchestration::event::{EndedAs, Excluded};
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use domain::values::ids::OrchestrationId;
use domain::values::time::Timestamp;
use engine::handle::Engine;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use store::error::StoreError;
use utoipa::ToSchema;

use crate::api::number::Amount;
use crate::api::views::artifact::{AgentEnrichment, EnrichmentMetadata, enrichment, millis};
use crate::api::views::status::{Agents, OrchestrationStatus, why};

/// An agent of the default set that the plan gives nothing to do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedAgent<'a> {
    /// Who.
    pub agent_id: &'a str,
    /// Why.
    pub reason: &'a str,
}

impl<'a> From<&'a Excluded> for ExcludedAgent<'a> {
    fn from(excluded: &'a Excluded) -> Self {
        Self {
            agent_id: excluded.agent.as_str(),
            reason: &excluded.reason,
        }
    }
}

/// How an orchestration stands, with everything that its agents gave.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrchestrationState<'a> {
    /// The orchestration.
    #[schema(value_type = String, format = Uuid)]
    pub id: OrchestrationId,
    /// The same.
    #[schema(value_type = String, format = Uuid)]
    pub orchestration_id: OrchestrationId,
    /// The plan's id: its sender's, else the plan's hash.
    pub plan_id: Cow<'a, str>,
    /// How it stands.
    pub status: OrchestrationStatus,
    /// Nothing starts until it is resumed.
    pub paused: bool,
    /// It is being cancelled.
    pub cancelling: bool,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The plan artifact's version.
    pub version: u64,
    /// How many steps have started.
    pub step_number: u32,
    /// Agents at work.
    pub current_agents: Vec<&'a str>,
    /// Agents whose work has ended.
    #[serde(flatten)]
    pub ended: Agents<'a>,
    /// Agents left out of the default set.
    pub excluded_agents: Vec<ExcludedAgent<'a>>,
    /// What each agent gave, or why it failed.
    pub results: BTreeMap<String, AgentEnrichment>,
    /// What each agent gave, alone.
    #[schema(value_type = Object)]
    pub agent_outputs: BTreeMap<String, Arc<RawValue>>,
    /// What it cost so far.
    #[schema(value_type = f64)]
    pub credits_used: Amount,
    /// The same as an exact decimal.
    pub credits_used_exact: String,
    /// What is left of its budget.
    #[schema(value_type = f64)]
    pub credits_remaining: Amount,
    /// The same as an exact decimal.
    pub credits_remaining_exact: String,
    /// Milliseconds until it ends, as far as its agents' history tells; null without one.
    pub estimated_time_remaining: Option<u64>,
    /// When it was created, in milliseconds.
    pub created_at: i64,
    /// When it last changed, in milliseconds.
    pub updated_at: i64,
    /// When it ended, in milliseconds.
    pub ended_at: Option<i64>,
}

/// What is left of the budget of `head`.
pub fn remaining(head: &Head, default_budget: Credits) -> Credits {
    let budget = head.request.budget.unwrap_or(default_budget);
    Credits::from_nano(budget.nano().saturating_sub(head.cost.nano()))
}

/// The plan's id: its sender's, else its name.
pub fn plan_id(head: &Head) -> Cow<'_, str> {
    Cow::Borrowed(head.request.plan_id.as_deref().unwrap_or(&head.name))
}

/// What each agent of an orchestration gave, or why it failed.
///
/// # Errors
/// When the database fails.
pub async fn results(
    engine: &Engine,
    id: OrchestrationId,
    orchestration: &Orchestration,
) -> Result<Vec<AgentEnrichment>, StoreError> {
    let mut results = Vec::new();
    for index in 0..orchestration.steps.len() {
        match enrichment(engine, id, orchestration, index).await? {
            Some(enrichment) => results.push(enrichment),
            // What children failed of is told to their parents.
            None if orchestration.graph.parent(index).is_some() => {}
            None => results.extend(failure(orchestration, index)),
        }
    }
    Ok(results)
}

/// A step that failed or came too late, in the form of an enrichment.
fn failure(orchestration: &Orchestration, index: StepIndex) -> Option<AgentEnrichment> {
    let step = &orchestration.steps[index];
    let ended = step.state.ended()?;
    if !matches!(ended, EndedAs::Failed | EndedAs::Timeout) {
        return None;
    }
    let rules = orchestration.graph.rules(index);
    let reason = why(step).unwrap_or_else(|| "it does not say why".to_owned());
    let data = to_raw_value(&BTreeMap::from([("error", &reason)])).ok()?;
    let took = step
        .started_at
        .zip(step.ended_at)
        .map(|(started, ended)| ended - started);
    Some(AgentEnrichment {
        agent_id: rules.agent.to_string(),
        agent_version: rules.agent_version.clone(),
        enrichment_type: None,
        version: None,
        timestamp: step.ended_at.map_or(0, millis),
        status: ended.name(),
        reason: Some(reason),
        data: data.into(),
        metadata: EnrichmentMetadata {
            input_hash: step
                .input
                .map(|input| input.to_string())
                .unwrap_or_default(),
            data_hash: String::new(),
            tokens_used: 0,
            credits_charged: Credits::ZERO,
            execution_time_ms: took.map_or(0, |took| took.0),
            reused_from: None,
        },
    })
}

/// The state of an orchestration. `estimate` is the time that its unfinished steps are likely to take.
pub fn state<'a>(
    id: OrchestrationId,
    orchestration: &'a Orchestration,
    head: &'a Head,
    results: Vec<AgentEnrichment>,
    default_budget: Credits,
    estimate: Option<u64>,
) -> OrchestrationState<'a> {
    let remaining = remaining(head, default_budget);
    OrchestrationState {
        id,
        orchestration_id: id,
        plan_id: plan_id(head),
        status: OrchestrationStatus::of(orchestration),
        paused: head.paused_at.is_some() && !head.status.ended(),
        cancelling: head.cancelling.is_some() && !head.status.ended(),
        reason: head.reason.as_deref(),
        version: head.version,
        step_number: head.last_number,
        current_agents: Agents::current(orchestration),
        ended: Agents::of(orchestration),
        excluded_agents: head.excluded.iter().map(ExcludedAgent::from).collect(),
        agent_outputs: results
            .iter()
            .filter(|result| result.version.is_some())
            .map(|result| (result.agent_id.clone(), result.data.clone()))
            .collect(),
        results: results
            .into_iter()
            .map(|result| (result.agent_id.clone(), result))
            .collect(),
        credits_used: Amount(head.cost),
        credits_used_exact: head.cost.to_string(),
        credits_remaining: Amount(remaining),
        credits_remaining_exact: remaining.to_string(),
        estimated_time_remaining: estimate
            .filter(|_| !head.status.ended())
            .or_else(|| head.status.ended().then_some(0)),
        created_at: millis(head.created_at),
        updated_at: millis(changed_at(orchestration, head)),
        ended_at: head.ended_at.map(millis),
    }
}

/// When it last changed, as far as its steps tell.
fn changed_at(orchestration: &Orchestration, head: &Head) -> Timestamp {
    let of_steps = orchestration
        .steps
        .iter()
        .flat_map(|step| {
            [
                step.ready_at,
                step.started_at,
                step.ended_at,
                step.paused_at,
            ]
        })
        .flatten();
    let of_head = [head.ended_at, head.paused_at].into_iter().flatten();
    of_steps
        .chain(of_head)
        .max()
        .unwrap_or_default()
        .max(head.created_at)
}
