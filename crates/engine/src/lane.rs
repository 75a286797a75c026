//! A lane: one orchestration in this replica. Its commands wait in one queue and are decided one after another.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use domain::orchestration::command::Command;
use domain::orchestration::state::{Orchestration, Status};
use domain::orchestration::submission::Pinned;
use domain::values::ids::{OrchestrationId, StepId};
use store::queue::Expected;
use store::write::{NewBlob, NewPlan};
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
    /// With a creation: the plan.
    pub plan: Option<Box<NewPlan>>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Outcome, TransitionError>>,
}

/// The state in memory, trusted only through the version fence.
#[derive(Default)]
pub struct Hot {
    /// The state.
    pub state: Orchestration,
    /// The row's version; none before the first commit.
    pub version: Option<i64>,
    /// Hash of the last event.
    pub chain: [u8; 32],
    /// The pinned definitions, once they were needed.
    pub pinned: Option<Arc<Pinned>>,
    /// Known of a plan that was stored from here: it is the first that its sender calls so.
    pub first_revision: bool,
}

/// An attempt that this replica performs.
pub struct InFlight {
    /// The fence.
    pub attempt: u32,
    /// Cancelled when it should stop and hand in what it has.
    pub cancelled: CancellationToken,
    /// Cancelled when nobody wants its report any more.
    pub forced: CancellationToken,
    /// Whether its step is paused.
    pub paused: Arc<AtomicBool>,
}

/// One orchestration in this replica.
pub struct Lane {
    /// Which.
    pub id: OrchestrationId,
    /// The state, held by whoever carries out commands.
    pub hot: tokio::sync::Mutex<Option<Hot>>,
    queue: Mutex<Queue>,
    in_flight: Mutex<BTreeMap<StepId, InFlight>>,
    expected: Mutex<Weak<Expected>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Asked>,
    driven: bool,
    stale: bool,
    /// Nothing is left to do here: the orchestration has ended, or is not there.
    spent: bool,
    /// Let go of: a command that comes now needs a new lane.
    gone: bool,
    version: Option<i64>,
}

/// What became of a command that was added.
pub enum Pushed {
    /// It waits; somebody drives the lane.
    Waits,
    /// It waits, and the caller drives the lane from now on.
    Drives,
    /// The lane was let go of meanwhile; the command is given back.
    Gone(Box<Asked>),
}

impl Lane {
    /// An empty lane.
    pub fn new(id: OrchestrationId) -> Self {
        Self {
            id,
            hot: tokio::sync::Mutex::default(),
            queue: Mutex::default(),
            in_flight: Mutex::default(),
            expected: Mutex::default(),
        }
    }

    /// Held by each attempt in flight: that a row set of this orchestration will come, which `expect` says when the first starts.
    pub fn expected(&self, expect: impl FnOnce() -> Expected) -> Arc<Expected> {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.upgrade().unwrap_or_else(|| {
            let first = Arc::new(expect());
            *expected = Arc::downgrade(&first);
            first
        })
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a command.
    pub fn push(&self, asked: Asked) -> Pushed {
        let mut queue = self.queue();
        if queue.gone {
            return Pushed::Gone(Box::new(asked));
        }
        queue.waiting.push(asked);
        if std::mem::replace(&mut queue.driven, true) {
            Pushed::Waits
        } else {
            Pushed::Drives
        }
    }

    /// Takes all that waits. When that is nothing, the caller drives no longer, and the lane is gone if nothing is left to
    /// do here or memory is `short`: what is in it can be loaded again, but not who performs an attempt.
    pub fn take(&self, short: impl FnOnce() -> bool) -> Vec<Asked> {
        let mut queue = self.queue();
        queue.driven = !queue.waiting.is_empty();
        queue.gone = !queue.driven && (queue.spent || short()) && self.in_flight().is_empty();
        std::mem::take(&mut queue.waiting)
    }

    /// How many commands wait.
    pub fn waiting(&self) -> usize {
        self.queue().waiting.len()
    }

    /// Whether it was let go of.
    pub fn is_gone(&self) -> bool {
        self.queue().gone
    }

    /// Whether anything is left to do here.
    pub fn set_spent(&self, spent: bool) {
        self.queue().spent = spent;
    }

    /// Whoever drove the lane broke down: nobody drives it now, and who waited is told by the end of its channel.
    pub fn abandon(&self) {
        let mut queue = self.queue();
        queue.waiting.clear();
        queue.driven = false;
        queue.stale = true;
    }

    /// The state in memory is older than the rows: load it again before the next decision.
    pub fn mark_stale(&self) {
        self.queue().stale = true;
    }

    /// Whether the state was marked as stale since the last time this was asked.
    pub fn take_stale(&self) -> bool {
        std::mem::take(&mut self.queue().stale)
    }

    /// Whether the state is in memory and has not ended, as far as this replica knows.
    pub fn is_under_way(&self) -> bool {
        let queue = self.queue();
        !queue.spent && !queue.gone && !queue.stale && queue.version.is_some()
    }

    /// The row's version as last seen here.
    pub fn version(&self) -> Option<i64> {
        self.queue().version
    }

    /// Notes the row's version.
    pub fn set_version(&self, version: Option<i64>) {
        self.queue().version = version;
    }

    /// Drops all attempts: nobody wants their reports any more.
    pub fn drop_attempts(&self) {
        std::mem::take(&mut *self.in_flight())
            .into_values()
            .for_each(|attempt| attempt.forced.cancel());
    }

    /// The attempts that this replica performs.
    pub fn in_flight(&self) -> std::sync::MutexGuard<'_, BTreeMap<StepId, InFlight>> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
