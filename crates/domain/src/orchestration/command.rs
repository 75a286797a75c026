//! What is asked of an orchestration, what a decision may know, and how it refuses.

use std::collections::BTreeMap;

use crate::agent::gate::Verdict;
use crate::agent::model::ModelUse;
use crate::agent::retry::ErrorClass;
use crate::money::budget::{AtLimit, Shortage};
use crate::money::usage::Usage;
use crate::orchestration::asking::{AskFacts, Asking, NoRoom};
use crate::orchestration::children::Spawn;
use crate::orchestration::event::Created;
use crate::orchestration::graph::GraphError;
use crate::orchestration::standing::{Throttled, Wait};
use crate::orchestration::turns::NewTurn;
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::{AgentId, HolderId, OrchestrationId, StepId};
use crate::values::time::{Millis, Timestamp};

/// Who holds an attempt: a replica or worker in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    /// The holder's row.
    pub id: HolderId,
    /// Rises when a lapsed holder comes back: what it held before is no longer its own.
    pub epoch: u64,
}

/// What an agent handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Blob of the data (canonical JSON).
    pub data: ContentHash,
}

/// How an attempt ended, as its holder tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// With a whole output.
    Completed(Output),
    /// With an incomplete one that is worth keeping; no further attempt is wanted.
    Partial {
        /// What there is.
        output: Output,
        /// Why it is not whole.
        reason: String,
    },
    /// Without a whole output.
    Failed {
        /// What kind of failure.
        class: ErrorClass,
        /// What happened, for people.
        message: String,
        /// The peer asked to wait this long.
        retry_after: Option<Millis>,
        /// What there is so far, kept when no retry is left.
        kept: Option<Output>,
    },
    /// Stopped because it was asked to.
    Cancelled {
        /// What there is so far.
        kept: Option<Output>,
    },
    /// Back into the queue: its provider lets none in now, what others hold is in the way, or it is paused. That is no failure.
    Returned {
        /// What kind of hindrance.
        class: ErrorClass,
        /// Why, for people.
        message: String,
        /// Not before.
        until: Timestamp,
        /// What its next attempt holds at least.
        needs: Credits,
        /// What there is so far.
        kept: Option<Output>,
    },
    /// It goes on when a person says yes to going beyond a limit.
    Short {
        /// Which.
        shortage: Shortage,
        /// What there is so far.
        kept: Option<Output>,
    },
    /// With nothing to work on: what the plan has of the inputs is not enough to say anything.
    MissingInput {
        /// What is missing, each with its reason.
        names: Vec<String>,
    },
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin.
    Create(Box<Created>),
    /// Give the due gates their verdicts.
    OpenGates,
    /// Claim a step for an attempt, or take over an equal enrichment.
    Start {
        /// Which.
        step: StepId,
        /// For whom.
        holder: Holder,
    },
    /// Keep what an attempt in flight has so far, should it not get to its end.
    Keep {
        /// Which.
        step: StepId,
        /// The fence.
        attempt: u32,
        /// Who hands it in.
        holder: Holder,
        /// What there is: it takes the place of what was kept before. None, where it is only told what was used.
        output: Option<Output>,
        /// What the attempt used so far.
        usage: Usage,
    },
    /// Record a turn of the attempt in flight, before it is used.
    RecordTurn {
        /// Which.
        step: StepId,
        /// The fence.
        attempt: u32,
        /// Who hands it in.
        holder: Holder,
        /// What was asked and answered.
        turn: Box<NewTurn>,
    },
    /// The attempt in flight is about to ask a model, or asks none any longer.
    Ask {
        /// Who asks.
        holder: Holder,
        /// What.
        asking: Box<Asking>,
    },
    /// The attempt in flight wants children: it ends, and the step waits for them.
    Spawn {
        /// Which.
        step: StepId,
        /// The fence.
        attempt: u32,
        /// Who asks.
        holder: Holder,
        /// What it wants.
        spawn: Box<Spawn>,
    },
    /// Report an attempt's end.
    Finish {
        /// Which.
        step: StepId,
        /// The fence.
        attempt: u32,
        /// Who reports.
        holder: Holder,
        /// What.
        report: Report,
        /// What the attempt used, all in all.
        usage: Usage,
    },
    /// The attempt's holder has lapsed.
    Expire {
        /// Which.
        step: StepId,
        /// The fence.
        attempt: u32,
    },
    /// See what time has done.
    Tick,
    /// Start nothing more, of one step or of all.
    Pause {
        /// One step, or all.
        step: Option<StepId>,
    },
    /// End a pause.
    Resume {
        /// One step, or all.
        step: Option<StepId>,
    },
    /// Stop, giving what is in flight `grace` to end.
    Cancel {
        /// One step, or all.
        step: Option<StepId>,
        /// Why, for people.
        reason: String,
        /// How long attempts may still take.
        grace: Millis,
    },
    /// Say yes to a parked step.
    Approve {
        /// Which.
        step: StepId,
        /// Who says yes.
        by: String,
    },
}

/// What a start may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFacts {
    /// SHA-256 over the declared inputs.
    pub input: ContentHash,
    /// An equal step's enrichment, if one stands: its data and the orchestration that it came from.
    pub reusable: Option<(ContentHash, OrchestrationId)>,
    /// Attempts in flight by counter key, as far as known; the store has the last word.
    pub held: BTreeMap<String, i64>,
    /// A limit of the account's that the attempt did not fit when it was tried last: the store has the last word there.
    pub short: Option<Short>,
    /// What the attempt asks of a provider with limits.
    pub model: Option<Box<ModelUse>>,
    /// The limit of its provider's that keeps it from starting, as far as known; the store has the last word.
    pub throttled: Option<Throttled>,
}

/// A limit beyond the orchestration, and what it says to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Which limit, and what is missing.
    pub shortage: Shortage,
    /// What happens.
    pub at_limit: AtLimit,
    /// What others hold of it: where it may fit once they have ended, the step waits.
    pub held: Credits,
}

/// All that a decision may know of the world.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// What the due gates say.
    pub verdicts: BTreeMap<StepId, Verdict>,
    /// For [`Command::Start`].
    pub start: Option<StartFacts>,
    /// For [`Command::Ask`].
    pub ask: Option<AskFacts>,
    /// For [`Command::Tick`] and [`Command::Start`]: agents that nobody may claim steps of at present, each with the reason.
    pub blocked: BTreeMap<AgentId, String>,
}

/// A command that does not fit the state: a normal answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// There is no such step.
    #[error("there is no step `{0}`")]
    UnknownStep(StepId),
    /// It exists already.
    #[error("the orchestration exists already")]
    Exists,
    /// It would have nothing to do.
    #[error("an orchestration needs at least one step")]
    NoSteps,
    /// Its priors are not the versions before its own, or leave none for the bare plan.
    #[error("the priors are not the {priors} versions up to {version}, the bare plan before them")]
    PriorVersions {
        /// How many.
        priors: usize,
        /// The plan artifact's.
        version: u64,
    },
    /// Its steps cannot be scheduled.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// It has ended.
    #[error("the orchestration has ended ({0})")]
    Ended(&'static str),
    /// The step has ended.
    #[error("the step `{step}` has ended ({ended})")]
    StepEnded {
        /// Which.
        step: StepId,
        /// How.
        ended: &'static str,
    },
    /// The step cannot start now.
    #[error("the step `{step}` cannot start now: {wait}")]
    NotStartable {
        /// Which.
        step: StepId,
        /// What it waits for.
        wait: Wait,
    },
    /// The report comes from an attempt that is no longer the step's own.
    #[error("attempt {attempt} of `{step}` is no longer the current one")]
    Stale {
        /// Which.
        step: StepId,
        /// Whose.
        attempt: u32,
    },
    /// The turn does not follow the last one.
    #[error("turn {turn} of `{step}` does not follow: {next} is next")]
    OutOfTurn {
        /// Which step.
        step: StepId,
        /// The turn that was given.
        turn: u32,
        /// The one that would follow.
        next: u32,
    },
    /// A question does not fit a limit.
    #[error("{}", .0.shortage)]
    NoRoom(Box<NoRoom>),
    /// No child of those that it wants fits.
    #[error("none of the children that `{0}` wants fits")]
    NoChild(StepId),
    /// The step waits for no approval.
    #[error("the step `{0}` does not wait for approval")]
    NotParked(StepId),
    /// The caller did not gather what the decision needs.
    #[error("the facts for this decision are missing: {0}")]
    MissingFacts(&'static str),
}
