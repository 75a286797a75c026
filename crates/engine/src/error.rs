//! What can go wrong between a command and its commit.

use domain::canonical::CanonicalError;
use domain::money::declared::Unbounded;
use domain::money::forecast::Figures;
use domain::orchestration::command::Rejected;
use domain::orchestration::select::Refused;
use domain::values::credits::Credits;
use domain::values::ids::{AgentId, OrchestrationId};
use store::error::StoreError;

/// A command that was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransitionError {
    /// It does not fit the state: a normal answer.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// There is no such orchestration.
    #[error("there is no orchestration {0}")]
    Unknown(OrchestrationId),
    /// An unended orchestration of the same submission exists already.
    #[error("the same submission is already under way as {0}")]
    Duplicate(OrchestrationId),
    /// Other replicas were faster, again and again.
    #[error(
        "orchestration {0} is changed by others faster than this replica can follow; try again"
    )]
    Overtaken(OrchestrationId),
    /// The rows cannot be what they should be.
    #[error("orchestration {id} cannot be read: {reason}; `afterplan check` tells more")]
    Corrupt {
        /// Which.
        id: OrchestrationId,
        /// What is wrong.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine is being stopped.
    #[error("the engine is stopping")]
    Stopping,
}

/// A submission that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The agents cannot be orchestrated.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A parameter cannot be hashed.
    #[error("the parameters cannot be pinned: {0}")]
    Canonical(#[from] CanonicalError),
    /// The most that it may cost is more than its budget, and it was to be refused then.
    #[error(
        "in the worst case it costs {} credits, more than its budget of {budget}; {} are expected, 95 of 100 cost no more than {}, \
         and `{dearest}` may cost most, {its_worst}: a budget of {} would do, or fewer agents, or no `strict`",
        total.worst, total.expected, total.p95, total.worst
    )]
    OverBudget {
        /// What all its steps may cost.
        total: Figures,
        /// What it may cost.
        budget: Credits,
        /// Who may cost most.
        dearest: AgentId,
        /// How much that is.
        its_worst: Credits,
    },
    /// Nothing bounds what it may cost, and it was to be refused then.
    #[error(
        "nobody can say what `{agent}` costs in the worst case: {unbounded}; or do without it, or without `strict`"
    )]
    Unbounded {
        /// Whose cost.
        agent: AgentId,
        /// Why not.
        unbounded: Unbounded,
    },
    /// The first commit failed.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
