//! Client events: what a reader of a log is told. Each stored event gives one under its own name, and beside it those of the
//! orchestration layer's seven that it means: `step_started`, `agent_invoked`, `agent_completed`, `enrichment_applied`.

pub mod payload;
pub mod told;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::event::payload::Payload;

/// Something that happened to an orchestration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientEvent {
    /// Where a reader that has seen this event goes on: give it as `after`.
    #[schema(example = "41.1")]
    pub cursor: String,
    /// The stored event's number in its orchestration: 1, 2, 3 … without gaps. What one stored event gives bears one number.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// The stored event's number in its account; in the account's feed only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, nullable = false)]
    pub feed: Option<u64>,
    /// When it happened, in milliseconds since 1970.
    pub at: i64,
    /// The orchestration that it happened to.
    pub orchestration_id: Uuid,
    /// The step that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub step_id: Option<String>,
    /// The agent of that step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent_id: Option<String>,
    /// The number of the attempt that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attempt: Option<u32>,
    /// How the step, the attempt or the orchestration stands after it, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<EventStatus>,
    /// What happened.
    #[serde(flatten)]
    pub payload: Payload,
}

/// How something stands after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// A step waits or is in the queue.
    Pending,
    /// An attempt, or the orchestration, is under way.
    Running,
    /// A step or attempt gave all that was promised.
    Completed,
    /// The orchestration ended, and everything completed or was not wanted.
    Complete,
    /// A part was given.
    Partial,
    /// It failed.
    Failed,
    /// It was too late.
    Timeout,
    /// The step is not wanted for this plan.
    GatedOff,
    /// The step could not be started.
    Skipped,
    /// It was stopped as asked.
    Cancelled,
}

impl EventStatus {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::Complete,
        Self::Partial,
        Self::Failed,
        Self::Timeout,
        Self::GatedOff,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The name, as told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::GatedOff => "gated_off",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}
