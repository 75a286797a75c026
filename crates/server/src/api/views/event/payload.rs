//! What client events carry: a type and its data, each with a schema of its own.

use std::collections::BTreeMap;

use domain::values::credits::Credits;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

/// What happened, by `type`, with what is to be said about it in `data`.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[allow(missing_docs, reason = "each type bears the name that it says")]
pub enum Payload {
    OrchestrationCreated(CreatedData),
    StepReady(ReadyData),
    StepGatedOff(GatedOffData),
    StepSkipped(SkippedData),
    StepParked(ParkedData),
    ChildSpawned(SpawnedData),
    ChildCompleted(GivenData),
    StepStarted(StartedData),
    AgentInvoked(InvokedData),
    AttemptStarted(InvokedData),
    PartialKept(KeptData),
    UsageTold(UsedData),
    ToolCalled(CalledData),
    TurnRecorded(TurnData),
    AttemptFailed(FailureData),
    AttemptExpired(ExpiredData),
    RetryScheduled(RetryData),
    AgentCompleted(AnswerData),
    EnrichmentApplied(AppliedData),
    StepCompleted(AppliedData),
    StepFailed(StepFailedData),
    StepCancelled(ReasonData),
    Paused(NoData),
    Resumed(NoData),
    CancelRequested(CancelData),
    OrchestrationCompleted(EndData),
    OrchestrationFailed(EndData),
    OrchestrationCancelled(EndData),
}

/// The names of all types of client events.
pub const TYPES: [&str; 28] = [
    "orchestration_created",
    "step_ready",
    "step_gated_off",
    "step_skipped",
    "step_parked",
    "child_spawned",
    "child_completed",
    "step_started",
    "agent_invoked",
    "attempt_started",
    "partial_kept",
    "usage_told",
    "tool_called",
    "turn_recorded",
    "attempt_failed",
    "attempt_expired",
    "retry_scheduled",
    "agent_completed",
    "enrichment_applied",
    "step_completed",
    "step_failed",
    "step_cancelled",
    "paused",
    "resumed",
    "cancel_requested",
    "orchestration_completed",
    "orchestration_failed",
    "orchestration_cancelled",
];

/// The kinds of stored events that are told as `type`.
pub fn stored_kinds(told_as: &str) -> &'static [&'static str] {
    match told_as {
        "step_started" | "agent_invoked" => &["attempt_started"],
        "agent_completed" => &["attempt_failed", "step_completed"],
        "enrichment_applied" => &["step_completed"],
        "tool_called" => &["turn_recorded"],
        _ => TYPES
            .iter()
            .position(|name| *name == told_as)
            .map_or(&[], |at| std::slice::from_ref(&TYPES[at])),
    }
}

impl Payload {
    /// The type's name, as told.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OrchestrationCreated(_) => "orchestration_created",
            Self::StepReady(_) => "step_ready",
            Self::StepGatedOff(_) => "step_gated_off",
            Self::StepSkipped(_) => "step_skipped",
            Self::StepParked(_) => "step_parked",
            Self::ChildSpawned(_) => "child_spawned",
            Self::ChildCompleted(_) => "child_completed",
            Self::StepStarted(_) => "step_started",
            Self::AgentInvoked(_) => "agent_invoked",
            Self::AttemptStarted(_) => "attempt_started",
            Self::PartialKept(_) => "partial_kept",
            Self::UsageTold(_) => "usage_told",
            Self::ToolCalled(_) => "tool_called",
            Self::TurnRecorded(_) => "turn_recorded",
            Self::AttemptFailed(_) => "attempt_failed",
            Self::AttemptExpired(_) => "attempt_expired",
            Self::RetryScheduled(_) => "retry_scheduled",
            Self::AgentCompleted(_) => "agent_completed",
            Self::EnrichmentApplied(_) => "enrichment_applied",
            Self::StepCompleted(_) => "step_completed",
            Self::StepFailed(_) => "step_failed",
            Self::StepCancelled(_) => "step_cancelled",
            Self::Paused(_) => "paused",
            Self::Resumed(_) => "resumed",
            Self::CancelRequested(_) => "cancel_requested",
            Self::OrchestrationCompleted(_) => "orchestration_completed",
            Self::OrchestrationFailed(_) => "orchestration_failed",
            Self::OrchestrationCancelled(_) => "orchestration_cancelled",
        }
    }
}

/// Whether a stored event of this kind is an orchestration's last.
pub fn ends(kind: &str) -> bool {
    matches!(
        kind,
        "orchestration_completed" | "orchestration_failed" | "orchestration_cancelled"
    )
}

/// An amount as a JSON number with all its digits.
pub(crate) fn exact<S: Serializer>(credits: &Credits, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(credits.to_string())
        .map_err(serde::ser::Error::custom)?
        .serialize(serializer)
}

pub(crate) fn exact_if_any<S: Serializer>(
    credits: &Option<Credits>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match credits {
        Some(credits) => exact(credits, serializer),
        None => serializer.serialize_none(),
    }
}

/// The start of an orchestration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedData {
    /// The plan's name, for people.
    pub name: String,
    /// The plan's id in its sender's words.
    pub plan_id: Option<String>,
    /// SHA-256 that names the plan's content.
    pub plan_hash: String,
    /// The plan artifact's version at the start.
    pub version: u64,
    /// On whose behalf, in the sender's words.
    pub user_id: Option<String>,
    /// The most that it may cost, in credits.
    #[serde(serialize_with = "exact_if_any")]
    #[schema(value_type = Option<f64>)]
    pub budget: Option<Credits>,
    /// The graph.
    pub steps: Vec<StepData>,
    /// Agents of the default set that this plan gives nothing to do.
    pub excluded: Vec<ExcludedData>,
}

/// A step of the graph.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepData {
    /// The step.
    pub step_id: String,
    /// Who performs it.
    pub agent_id: String,
    /// In which version.
    pub agent_version: String,
    /// The steps that end first.
    pub dependencies: Vec<String>,
}

/// An agent that was left out.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExcludedData {
    /// Who.
    pub agent_id: String,
    /// Why, for people.
    pub reason: String,
}

/// What a gate said.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateData {
    /// `open`, `closed` or `error`, which counts as closed.
    pub verdict: &'static str,
    /// What was wrong with it.
    pub message: Option<String>,
}

/// A step may be claimed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReadyData {
    /// What its gate said, where it has one.
    pub gate: Option<GateData>,
    /// Who said yes, where somebody had to.
    pub approved_by: Option<String>,
}

/// A step is not wanted for this plan.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatedOffData {
    /// What its own gate said.
    pub gate: Option<GateData>,
    /// Or the dependency that was gated off before it.
    pub dependency: Option<String>,
}

/// A step cannot be started.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkippedData {
    /// `missing_input` or `dependency`.
    pub cause: &'static str,
    /// The inputs that the plan lacks, each with its reason.
    pub missing: Vec<String>,
    /// The dependency that ended in a way that this step cannot use.
    pub dependency: Option<String>,
    /// How that one ended.
    pub ended: Option<&'static str>,
}

/// A step waits for a person.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParkedData {
    /// For what it waits: `approval`, `budget` or `children`.
    #[serde(rename = "for")]
    pub waits_for: &'static str,
    /// What its gate said, where it has one.
    pub gate: Option<GateData>,
}

/// A step has a new child.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpawnedData {
    /// The step that spawned it.
    pub parent_step_id: String,
    /// Who performs it.
    pub agent_id: String,
    /// In which version.
    pub agent_version: String,
    /// How deep it lies: 1 below a step of the submitted graph.
    pub depth: u32,
}

/// A child ended with what it gives its parent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenData {
    /// The order of starting, from 1.
    pub step_number: u32,
    /// SHA-256 over what it was asked and read.
    pub input_hash: String,
    /// SHA-256 of what it gave.
    pub data_hash: String,
    /// Why that is only a part.
    pub reason: Option<String>,
    /// Tokens used, as reported.
    pub tokens_used: Option<u64>,
    /// What it costs, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
}

/// A step is claimed for the first time.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartedData {
    /// The order of starting, from 1.
    pub step_number: u32,
}

/// An attempt begins.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvokedData {
    /// The order of starting of its step, from 1.
    pub step_number: u32,
    /// The replica or worker that holds it.
    pub holder: Uuid,
    /// That holder's epoch.
    pub epoch: u64,
    /// SHA-256 over the declared inputs.
    pub input_hash: String,
}

/// What an attempt has so far is kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptData {
    /// SHA-256 of the data.
    pub data_hash: String,
    /// Tokens used for it, as reported.
    pub tokens_used: Option<u64>,
}

/// What an attempt used so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsedData {
    /// Tokens of all kinds, where it told their number.
    pub tokens_used: Option<u64>,
    /// Calls by tool.
    pub tools: BTreeMap<String, u64>,
}

/// A tool was called: its name and sizes. What it was given and what it gave stand in the turn.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalledData {
    /// Which tool.
    pub tool_name: String,
    /// Bytes of its input.
    pub input_bytes: u64,
    /// Bytes of what it gave.
    pub output_bytes: u64,
    /// Whether it failed.
    pub failed: bool,
}

/// An attempt asked and was answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TurnData {
    /// The attempt that began the conversation.
    pub conversation: u32,
    /// Its place in the conversation, from 1.
    pub turn: u32,
    /// Who was asked: `setup`, `model`, `tools`, `children` or `script`.
    pub asked: &'static str,
    /// The model that answered, as its provider names it.
    pub model: Option<String>,
    /// Of a `setup`: what the agent brings along and is not there, such as a tool server that does not answer, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// SHA-256 of the answer.
    pub data_hash: String,
    /// Tokens that the attempt used so far.
    pub tokens_used: Option<u64>,
}

/// An attempt failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailureData {
    /// What kind of failure: `transient`, `rate_limited`, `invalid_output`, `timeout` or `fatal`.
    pub class: &'static str,
    /// What was said.
    pub message: String,
}

/// An attempt's holder lapsed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExpiredData {
    /// How often that has happened to this step.
    pub lapses: u32,
}

/// A step is in the queue again.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryData {
    /// Retries used.
    pub retries: u32,
    /// From when on it may be claimed, in milliseconds since 1970.
    pub due_at: i64,
}

/// An attempt's answer: what was applied, or why nothing was.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnswerData {
    /// Tokens used, as reported.
    pub tokens_used: Option<u64>,
    /// What it costs, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
    /// Why there is no answer.
    pub error: Option<FailureData>,
}

/// An enrichment was applied.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedData {
    /// The plan artifact's version from now on.
    pub version: u64,
    /// The order of starting of its step, from 1.
    pub step_number: u32,
    /// SHA-256 over the declared inputs.
    pub input_hash: String,
    /// SHA-256 of the data.
    pub data_hash: String,
    /// Why it is only partial.
    pub reason: Option<String>,
    /// Tokens used, as reported.
    pub tokens_used: Option<u64>,
    /// What it costs, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
    /// The orchestration whose equal enrichment was taken over.
    pub reused_from: Option<Uuid>,
}

/// A step ended without an enrichment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepFailedData {
    /// `attempt`, `lapsed`, `queue_timeout` or `total_timeout`.
    pub cause: &'static str,
    /// What kind of failure, where an attempt failed.
    pub class: Option<&'static str>,
    /// Why, for people.
    pub message: String,
}

/// Why it was stopped.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonData {
    /// Why, for people.
    pub reason: String,
}

/// Nothing beside the type.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NoData {}

/// A cancel was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelData {
    /// Why, for people.
    pub reason: String,
    /// Until when attempts in flight may still end, in milliseconds since 1970.
    pub deadline: i64,
}

/// The end of an orchestration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndData {
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
    /// What it cost in all, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_used: Credits,
}
