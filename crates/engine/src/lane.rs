//! A lane: one orchestration in this replica. Its commands wait in one queue and are decided one after another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::orchestration::command::Command;
use domain::orchestration::state::{Orchestration, Status};
use domain::orchestration::submission::Pinned;
use domain::values::ids::{OrchestrationId, StepId};
use store::write::NewBlob;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::error::TransitionError;

/// What a command made of an orchestration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The last event's place now.
    pub cursor: u64,
    /// How it stands now.
    pub status: Status,
}

/// A command in the queue, with the bytes that its events will name.
pub struct Asked {
    /// What.
    pub command: Command,
    /// Bytes.
    pub blobs: Vec<NewBlob>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Outcome, TransitionError>>,
}

/// The state in memory, trusted only through the version fence.
pub struct Hot {
    /// The state.
    pub state: Orchestration,
    /// The row's version; none before the first commit.
    pub version: Option<i64>,
    /// Hash of the last event.
    pub chain: [u8; 32],
    /// The pinned definitions, once they were needed.
    pub pinned: Option<Arc<Pinned>>,
}

/// An attempt that this replica performs.
pub struct InFlight {
    /// The fence.
    pub attempt: u32,
    /// Cancelled when it should stop and hand in what it has.
    pub cancelled: CancellationToken,
    /// Cancelled when nobody wants its report any more.
    pub forced: CancellationToken,
}

/// One orchestration in this replica.
pub struct Lane {
    /// Which.
    pub id: OrchestrationId,
    /// The state, held by whoever carries out commands.
    pub hot: tokio::sync::Mutex<Option<Hot>>,
    queue: Mutex<Queue>,
    in_flight: Mutex<BTreeMap<StepId, InFlight>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Asked>,
    driven: bool,
    stale: bool,
    version: Option<i64>,
}

impl Lane {
    /// An empty lane.
    pub fn new(id: OrchestrationId) -> Self {
        Self {
            id,
            hot: tokio::sync::Mutex::default(),
            queue: Mutex::default(),
            in_flight: Mutex::default(),
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command; true when nobody drives the lane and the caller must.
    pub fn push(&self, asked: Asked) -> bool {
        let mut queue = self.queue();
        queue.waiting.push(asked);
        !std::mem::replace(&mut queue.driven, true)
    }

    /// Takes all that waits; when that is nothing, the caller drives no longer.
    pub fn take(&self) -> Vec<Asked> {
        let mut queue = self.queue();
        queue.driven = !queue.waiting.is_empty();
        std::mem::take(&mut queue.waiting)
    }

    /// The state in memory is older than the rows: load it again before the next decision.
    pub fn mark_stale(&self) {
        self.queue().stale = true;
    }

    /// Whether the state was marked as stale since the last time this was asked.
    pub fn take_stale(&self) -> bool {
        std::mem::take(&mut self.queue().stale)
    }

    /// The row's version as last seen here.
    pub fn version(&self) -> Option<i64> {
        self.queue().version
    }

    /// Notes the row's version.
    pub fn set_version(&self, version: Option<i64>) {
        self.queue().version = version;
    }

    /// The attempts that this replica performs.
    pub fn in_flight(&self) -> std::sync::MutexGuard<'_, BTreeMap<StepId, InFlight>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
