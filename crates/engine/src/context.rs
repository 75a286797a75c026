//! What an agent outside is sent: the orchestration context in the seed's words, and its inputs.
//!
//! The body is put together from raw JSON text, each part copied once: the plan's parts were found once for all steps that
//! read the same, what others gave is passed on as it is stored.

use std::io::{self, Write};
use std::sync::Arc;

use domain::artifact::Enrichment;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId, StepId};
use domain::values::time::{Millis, Timestamp};
use serde_json::{Map, Value};

use crate::inputs::{Inputs, quoted};
use crate::plans::LoadedPlan;
use crate::registry::Prepared;

/// What a body takes beside its inputs and what others gave, about, in bytes.
const FRAME: usize = 2_048;

/// What an agent outside is told of its surroundings. It serves every attempt at the step.
#[derive(Clone, Debug)]
pub struct Around {
    /// The agent.
    pub agent: Arc<Prepared>,
    /// The plan.
    pub plan: Arc<LoadedPlan>,
    /// Whose orchestration it is.
    pub account: AccountId,
    /// The plan's id in its sender's words; its hash where it has none.
    pub plan_id: String,
    /// Whether the plan may have earlier revisions: its sender named it, and it is not known to be the first of that name.
    pub revised: bool,
    /// The plan artifact's version at the start.
    pub plan_version: u64,
    /// On whose behalf.
    pub user: String,
    /// The most that the orchestration may cost.
    pub budget: Option<Credits>,
    /// What it has cost so far.
    pub cost: Credits,
    /// The step's number in the order of starting.
    pub number: u32,
    /// Until when an answer is worth something.
    pub deadline: Timestamp,
    /// The direct dependencies that left an enrichment.
    pub built_on: Vec<BuiltOn>,
}

/// What a direct dependency gave.
#[derive(Clone, Debug)]
pub struct BuiltOn {
    /// The step, which bears its agent's name.
    pub step: StepId,
    /// Its enrichment.
    pub enrichment: Enrichment,
    /// When its last attempt started; none when nothing was performed.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Around {
    /// The surroundings of the step at `index`, whose attempt starts at `now` and may take `timeout`.
    pub fn of(
        state: &Orchestration,
        head: &Head,
        index: StepIndex,
        plan: Arc<LoadedPlan>,
        agent: Arc<Prepared>,
        deadline: Timestamp,
    ) -> Self {
        let built_on = state.graph.dependencies(index).filter_map(|dependency| {
            let step = &state.steps[dependency];
            Some(BuiltOn {
                step: state.graph.rules(dependency).id.clone(),
                enrichment: step.enrichment.clone()?,
                started_at: step.started_at,
                ended_at: step.ended_at,
            })
        });
        Self {
            agent,
            account: head.account.clone(),
            revised: head.request.plan_id.is_some(),
            plan_id: head
                .request
                .plan_id
                .clone()
                .unwrap_or_else(|| head.plan.to_string()),
            plan_version: head.version,
            user: head
                .request
                .user
                .clone()
                .unwrap_or_else(|| head.account.as_str().to_owned()),
            budget: head.request.budget,
            cost: head.cost,
            number: state.steps[index].number.unwrap_or_default(),
            deadline,
            built_on: built_on.collect(),
            plan,
        }
    }
}

/// Everything that a body is made of.
pub struct Parts<'a> {
    /// For which orchestration.
    pub orchestration: OrchestrationId,
    /// For which step.
    pub step: &'a StepId,
    /// The attempt's number.
    pub attempt: u32,
    /// The surroundings.
    pub around: &'a Around,
    /// What the orchestration may cost where its sender did not say.
    pub default_budget: Credits,
    /// What each direct dependency gave, JSON, in the order of `around.built_on`.
    pub given: &'a [Arc<[u8]>],
    /// The agent's parameters.
    pub parameters: &'a Map<String, Value>,
    /// The text of `fileContextSnapshot`.
    pub snapshot: &'a str,
    /// The text of `inputs`.
    pub inputs: &'a Inputs,
}

/// The body of one request.
///
/// # Errors
/// When a parameter cannot be written.
pub fn body(parts: &Parts<'_>) -> io::Result<Vec<u8>> {
    let given: usize = parts.given.iter().map(|data| data.len()).sum();
    let size = FRAME + 2 * given + parts.snapshot.len() + parts.inputs.len();
    let mut body = Vec::with_capacity(size);
    write_context(&mut body, parts)?;
    let agent = &parts.around.agent.definition;
    write!(
        body,
        r#","agent":{{"id":"{}","version":"{}"}},"stepId":"{}","attempt":{},"parameters":"#,
        agent.id, agent.version, parts.step, parts.attempt
    )?;
    serde_json::to_writer(&mut body, parts.parameters)?;
    body.extend_from_slice(b",\"inputs\":");
    parts.inputs.write_to(&mut body);
    body.push(b'}');
    Ok(body)
}

/// The seed's `OrchestrationContext`, its keys in its order, left open at the end. Ids and versions are of letters that
/// JSON takes as they are.
fn write_context(body: &mut Vec<u8>, parts: &Parts<'_>) -> io::Result<()> {
    let around = parts.around;
    write!(
        body,
        r#"{{"planId":{},"planVersion":{},"priorEnrichments":{{"#,
        quoted(&around.plan_id),
        around.plan_version
    )?;
    for (at, (built_on, data)) in around.built_on.iter().zip(parts.given).enumerate() {
        body.extend_from_slice(if at == 0 { b"" } else { b"," });
        write_enrichment(body, built_on, data)?;
    }
    body.extend_from_slice(br#"},"agentOutputs":{"#);
    for (at, (built_on, data)) in around.built_on.iter().zip(parts.given).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(body, r#"{comma}"{}":"#, built_on.step)?;
        body.extend_from_slice(data);
    }
    let budget = around.budget.unwrap_or(parts.default_budget);
    let left = Credits::from_nano(budget.nano().saturating_sub(around.cost.nano()));
    let (orchestration, step) = (parts.orchestration, parts.step);
    write!(
        body,
        r#"}},"fileContextSnapshot":{},"userId":{},"costBudget":{budget},"creditsRemaining":{left},"orchestrationId":"{orchestration}","runId":"{orchestration}/{step}/{}","stepNumber":{}"#,
        parts.snapshot,
        quoted(&around.user),
        parts.attempt,
        around.number
    )
}

/// One member of `priorEnrichments`: the seed's `AgentEnrichment`.
fn write_enrichment(body: &mut Vec<u8>, built_on: &BuiltOn, data: &[u8]) -> io::Result<()> {
    let BuiltOn {
        step, enrichment, ..
    } = built_on;
    let ended = built_on.ended_at.unwrap_or_default();
    let took = built_on
        .started_at
        .map_or(Millis(0), |started| ended - started);
    let status = match enrichment.status {
        domain::artifact::EnrichmentStatus::Completed => "completed",
        domain::artifact::EnrichmentStatus::Partial => "partial",
    };
    write!(
        body,
        r#""{step}":{{"agentId":"{step}","timestamp":{},"status":"{status}","data":"#,
        ended.0.div_euclid(1_000)
    )?;
    body.extend_from_slice(data);
    write!(
        body,
        r#","metadata":{{"inputHash":"{}","tokensUsed":{},"creditsCharged":{},"executionTimeMs":{}}}}}"#,
        enrichment.input,
        enrichment.tokens_used.unwrap_or_default(),
        enrichment.cost,
        took.0
    )
}
