//! What happened: the stored events, a closed list. They are the truth; everything else is made from them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agent::gate::Verdict;
use crate::agent::model::ModelUse;
use crate::agent::retry::ErrorClass;
use crate::artifact::{Enrichment, EnrichmentStatus};
use crate::money::budget::{Budget, Raised, Shortage};
use crate::money::charge::{Charge, is_zero};
use crate::money::usage::Usage;
use crate::orchestration::asking::Asking;
use crate::orchestration::children::{Child, Spawning};
use crate::orchestration::graph::StepRules;
pub use crate::orchestration::request::Request;
use crate::orchestration::turns::{Asked, Called};
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::{AccountId, AgentId, HolderId, StepId};
use crate::values::time::Timestamp;

/// An event at its place in one orchestration's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Cursor: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// An agent of the default set that this plan gives nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Excluded {
    /// Who.
    pub agent: AgentId,
    /// Why, for people.
    pub reason: String,
}

/// The plan artifact's version while nothing is added to the plan.
pub const BARE: u64 = 1;

fn bare() -> u64 {
    BARE
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_bare(version: &u64) -> bool {
    *version == BARE
}

/// Everything that an orchestration starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Created {
    /// Whose it is.
    pub account: AccountId,
    /// The plan's name, for people.
    pub name: String,
    /// The plan's hash.
    pub plan: ContentHash,
    /// The blob with the pinned definitions and parameters.
    pub pinned: ContentHash,
    /// Equal submissions bear equal keys; none when each is to be fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<ContentHash>,
    /// Whether enrichments of earlier orchestrations may be taken over.
    pub reuse: bool,
    /// The graph.
    pub steps: Vec<StepRules>,
    /// Agents left out, with the reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Excluded>,
    /// What came beside plan and agents.
    #[serde(default, skip_serializing_if = "Request::is_empty")]
    pub request: Request,
    /// The plan artifact's version at the start, with all priors: 1 is the bare plan.
    #[serde(default = "bare", skip_serializing_if = "is_bare")]
    pub version: u64,
    /// The most that it may be charged and hold: as asked, else the default where it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What its steps may spawn, where they may spawn anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spawning: Option<Box<Spawning>>,
}

/// Why a step was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SkipCause {
    /// The plan lacks inputs that it requires.
    MissingInput {
        /// Each with its reason.
        names: Vec<String>,
    },
    /// A dependency ended in a way that this step cannot use.
    Dependency {
        /// Which.
        step: StepId,
        /// How it ended.
        ended: EndedAs,
    },
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedAs {
    /// With a whole enrichment.
    Completed,
    /// With a part of one.
    Partial,
    /// With none.
    Failed,
    /// Too late, with none.
    Timeout,
    /// Not wanted for this plan.
    GatedOff,
    /// Could not be started.
    Skipped,
    /// Stopped by a command or an abort.
    Cancelled,
}

impl From<EnrichmentStatus> for EndedAs {
    fn from(status: EnrichmentStatus) -> Self {
        match status {
            EnrichmentStatus::Completed => Self::Completed,
            EnrichmentStatus::Partial => Self::Partial,
        }
    }
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "kind"
)]
pub enum FailCause {
    /// The last attempt failed and no retry is left, or none can help.
    Attempt {
        /// What kind of failure.
        class: ErrorClass,
        /// What was said.
        message: String,
    },
    /// Its holders lapsed too often: it may be what kills them.
    Lapsed,
    /// It waited in the queue longer than its `queueTimeout`.
    QueueTimeout {
        /// For what, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waited_for: Option<String>,
    },
    /// It took longer than its `totalTimeout`.
    TotalTimeout,
    /// Its next attempt did not fit a limit that says `stop`.
    Budget(Shortage),
}

impl fmt::Display for FailCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { message, .. } => f.write_str(message),
            Self::Lapsed => f.write_str("its holders lapsed again and again"),
            Self::QueueTimeout { waited_for } => {
                f.write_str("it waited in the queue longer than its queueTimeout")?;
                waited_for
                    .as_ref()
                    .map_or(Ok(()), |why| write!(f, ": {why}"))
            }
            Self::TotalTimeout => f.write_str("it took longer than its totalTimeout"),
            Self::Budget(shortage) => shortage.fmt(f),
        }
    }
}

/// What a parked step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedFor {
    /// A person's yes.
    Approval,
    /// A person's yes to going beyond a limit that says `pause`.
    Budget,
    /// The end of all its children.
    Children,
}

/// How a finished orchestration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Completion {
    /// Every step completed or was gated off, and at least one completed.
    Complete,
    /// Some enrichments stand and some do not.
    Partial,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    tag = "kind",
    deny_unknown_fields
)]
#[allow(
    missing_docs,
    reason = "each field bears the name that the glossary gives it"
)]
pub enum Event {
    /// The orchestration exists, with its graph pinned.
    OrchestrationCreated(Box<Created>),
    /// Dependencies done, gate open, approval given: the step may be claimed.
    StepReady {
        step: StepId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Verdict>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved_by: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raised: Option<Raised>,
    },
    /// Not wanted for this plan: by its own gate (`gate`) or because `dependency` was gated off.
    StepGatedOff {
        step: StepId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Verdict>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dependency: Option<StepId>,
    },
    /// Cannot start; nothing else is touched but what needs it.
    StepSkipped {
        step: StepId,
        cause: SkipCause,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// Waits for something that only a command, or the end of its children, brings. An attempt in flight ends.
    StepParked {
        step: StepId,
        #[serde(rename = "for")]
        parked_for: ParkedFor,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<Verdict>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        short: Option<Box<Shortage>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// A step has a new child: a step of the same graph, which waits for nothing.
    ChildSpawned { step: StepId, child: Box<Child> },
    /// Claimed: `attempt` is the fence, `number` the order of starting.
    AttemptStarted {
        step: StepId,
        attempt: u32,
        number: u32,
        holder: HolderId,
        epoch: u64,
        input: ContentHash,
        #[serde(default, skip_serializing_if = "is_zero")]
        hold: Credits,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over_budget: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Box<ModelUse>>,
    },
    /// What the attempt has so far is kept: it stands if the step ends without more.
    PartialKept {
        step: StepId,
        attempt: u32,
        data: ContentHash,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens_used: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Box<Usage>>,
    },
    /// What the attempt used so far: it is charged that, should it be lost.
    UsageTold {
        step: StepId,
        attempt: u32,
        usage: Box<Usage>,
    },
    /// The attempt asked and was answered: the answer stands in the turn's row, and the next attempt goes on from there.
    TurnRecorded {
        step: StepId,
        attempt: u32,
        conversation: u32,
        turn: u32,
        asked: Asked,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<Called>,
        /// What the agent brings along and is not there, such as a tool server: a sentence each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        data: ContentHash,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Box<Usage>>,
        /// What its question used, where a provider's limits count it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<u64>,
    },
    /// What the attempt in flight asks of models from now on, and holds for it.
    Asking(Box<Asking>),
    /// The attempt reported a failure.
    AttemptFailed {
        step: StepId,
        attempt: u32,
        class: ErrorClass,
        message: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// The attempt's holder lapsed.
    AttemptExpired {
        step: StepId,
        attempt: u32,
        lapses: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// The step is in the queue again, from `due_at` on.
    RetryScheduled {
        step: StepId,
        retries: u32,
        due_at: Timestamp,
        #[serde(default, skip_serializing_if = "is_zero")]
        needs: Credits,
    },
    /// An enrichment was applied: the plan artifact is at `version` now.
    StepCompleted {
        step: StepId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        number: u32,
        enrichment: Enrichment,
        version: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// A child ended with what it gives its parent. The plan artifact stays as it is.
    ChildCompleted {
        step: StepId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        number: u32,
        enrichment: Enrichment,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// Ended without an enrichment, as `failed` or `timeout`.
    StepFailed {
        step: StepId,
        ended: EndedAs,
        cause: FailCause,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// Stopped by a command or an abort.
    StepCancelled {
        step: StepId,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<Box<Charge>>,
    },
    /// No attempt starts until `resumed`: of one step, or of all.
    Paused {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    },
    /// The end of a pause.
    Resumed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
    },
    /// What has not started is cancelled; what is in flight may end until the deadline.
    CancelRequested {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepId>,
        reason: String,
        deadline: Timestamp,
    },
    /// All steps have ended and at least one enrichment stands.
    OrchestrationCompleted { status: Completion, cost: Credits },
    /// An abort, or no enrichment stands.
    OrchestrationFailed { reason: String, cost: Credits },
    /// As asked.
    OrchestrationCancelled { reason: String, cost: Credits },
}

impl Event {
    /// The kind's name, as stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OrchestrationCreated(_) => "orchestration_created",
            Self::StepReady { .. } => "step_ready",
            Self::StepGatedOff { .. } => "step_gated_off",
            Self::StepSkipped { .. } => "step_skipped",
            Self::StepParked { .. } => "step_parked",
            Self::ChildSpawned { .. } => "child_spawned",
            Self::AttemptStarted { .. } => "attempt_started",
            Self::PartialKept { .. } => "partial_kept",
            Self::UsageTold { .. } => "usage_told",
            Self::TurnRecorded { .. } => "turn_recorded",
            Self::Asking(_) => "asking",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::AttemptExpired { .. } => "attempt_expired",
            Self::RetryScheduled { .. } => "retry_scheduled",
            Self::StepCompleted { .. } => "step_completed",
            Self::ChildCompleted { .. } => "child_completed",
            Self::StepFailed { .. } => "step_failed",
            Self::StepCancelled { .. } => "step_cancelled",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::OrchestrationCompleted { .. } => "orchestration_completed",
            Self::OrchestrationFailed { .. } => "orchestration_failed",
            Self::OrchestrationCancelled { .. } => "orchestration_cancelled",
        }
    }

    /// What it says that an attempt, or a result without one, is charged. Of all events that end an attempt the first one
    /// says it.
    pub fn charge(&self) -> Option<&Charge> {
        match self {
            Self::AttemptFailed { charge, .. }
            | Self::AttemptExpired { charge, .. }
            | Self::StepCompleted { charge, .. }
            | Self::ChildCompleted { charge, .. }
            | Self::StepParked { charge, .. }
            | Self::StepFailed { charge, .. }
            | Self::StepCancelled { charge, .. }
            | Self::StepSkipped { charge, .. } => charge.as_deref(),
            _ => None,
        }
    }

    /// The step that it is about, if it is about one.
    pub const fn step(&self) -> Option<&StepId> {
        match self {
            Self::StepReady { step, .. }
            | Self::StepGatedOff { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::StepParked { step, .. }
            | Self::ChildSpawned { step, .. }
            | Self::AttemptStarted { step, .. }
            | Self::PartialKept { step, .. }
            | Self::UsageTold { step, .. }
            | Self::TurnRecorded { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::AttemptExpired { step, .. }
            | Self::RetryScheduled { step, .. }
            | Self::StepCompleted { step, .. }
            | Self::ChildCompleted { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepCancelled { step, .. } => Some(step),
            Self::Paused { step } | Self::Resumed { step } | Self::CancelRequested { step, .. } => {
                step.as_ref()
            }
            Self::Asking(asking) => Some(&asking.step),
            Self::OrchestrationCreated(_)
            | Self::OrchestrationCompleted { .. }
            | Self::OrchestrationFailed { .. }
            | Self::OrchestrationCancelled { .. } => None,
        }
    }
}
