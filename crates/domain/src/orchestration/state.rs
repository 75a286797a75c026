//! One orchestration's state: the head, the steps, and what is counted from them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::gate::Verdict;
use crate::agent::model::ModelUse;
use crate::artifact::Enrichment;
use crate::money::budget::{Budget, Scope, Shortage};
use crate::money::charge::is_zero;
use crate::money::usage::Usage;
use crate::orchestration::children::Child;
use crate::orchestration::command::Holder;
use crate::orchestration::event::{Created, EndedAs, Excluded, FailCause, Request, SkipCause};
use crate::orchestration::graph::{Graph, StepIndex};
use crate::orchestration::turns::SoFar;
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::{AccountId, StepId};
use crate::values::time::Timestamp;

/// How an orchestration stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing has happened yet.
    #[default]
    New,
    /// Steps are left.
    Running,
    /// Ended: all completed or gated off.
    Complete,
    /// Ended: some enrichments stand.
    Partial,
    /// Ended: aborted, or no enrichment stands.
    Failed,
    /// Ended: as asked.
    Cancelled,
}

impl Status {
    /// Whether it has ended.
    pub const fn ended(self) -> bool {
        !matches!(self, Self::New | Self::Running)
    }

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Dependencies, or its gate's verdict, are outstanding.
    #[default]
    Waiting,
    /// A person must say yes.
    Parked,
    /// In the queue.
    Ready,
    /// An attempt holds it.
    Running,
    /// Ended.
    Ended(EndedAs),
}

impl StepState {
    /// How it ended, if it has.
    pub const fn ended(self) -> Option<EndedAs> {
        match self {
            Self::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Ended(ended) => ended.name(),
        }
    }
}

impl EndedAs {
    /// All ways to end.
    pub const ALL: [Self; 7] = [
        Self::Completed,
        Self::Partial,
        Self::Failed,
        Self::Timeout,
        Self::GatedOff,
        Self::Skipped,
        Self::Cancelled,
    ];

    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::GatedOff => "gated_off",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Why a step ended as it did, where its state alone does not say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its own gate, or a dependency that was gated off.
    Gated {
        /// Its own gate's verdict.
        gate: Option<Verdict>,
        /// The dependency.
        dependency: Option<StepId>,
    },
    /// Skipped.
    Skipped(SkipCause),
    /// Failed or too late.
    Failed(FailCause),
    /// Cancelled.
    Cancelled {
        /// Why.
        reason: String,
    },
}

/// What an attempt has left to stand should its step end without more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeptPartial {
    /// Blob of the data (canonical JSON).
    pub data: ContentHash,
    /// Whose it is.
    pub attempt: u32,
    /// Tokens of language models that went into it, as the agent reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_nothing(count: &u64) -> bool {
    *count == 0
}

fn is_none(count: &u32) -> bool {
    *count == 0
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// How it stands.
    pub state: StepState,
    /// Dependencies that have not ended.
    pub waiting_on: u32,
    /// The last attempt's number: rises with each claim.
    pub attempt: u32,
    /// Retries used.
    pub retries: u32,
    /// Holders lost in a row, without a turn recorded between.
    pub lapses: u32,
    /// Order of starting, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Since when it is paused on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// Its own cancel, while its attempt may still end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelling: Option<Cancelling>,
    /// Since when it is in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When it was ready for the first time, moved on by pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ready_at: Option<Timestamp>,
    /// From when on it may be claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When the current or last attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Who holds the current attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// Input hash of the current or last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<ContentHash>,
    /// What an attempt has left to stand. It outlives the attempt, and not the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptPartial>,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrichment: Option<Enrichment>,
    /// The artifact version that its enrichment made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Why it ended as it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What the last failed attempt said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// What the attempt in flight holds.
    #[serde(skip_serializing_if = "is_zero")]
    pub hold: Credits,
    /// What its next attempt holds at least, where the last one could not go on with less.
    #[serde(skip_serializing_if = "is_zero")]
    pub needs: Credits,
    /// What it was charged so far, all attempts together.
    #[serde(skip_serializing_if = "is_zero")]
    pub charged: Credits,
    /// What the attempt in flight told that it used so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<Box<Usage>>,
    /// How far its conversation has come. It outlives the attempt, so that the next one goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<SoFar>,
    /// Turns of its conversations that were given up.
    #[serde(skip_serializing_if = "is_none")]
    pub turns_given_up: u32,
    /// Tokens that its attempts used which ended to wait for children.
    #[serde(skip_serializing_if = "is_nothing")]
    pub tokens_before: u64,
    /// What the attempt in flight asks of a provider whose limits it counts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<ModelUse>>,
    /// The limit that it is parked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<Box<Shortage>>,
    /// Since when it is parked for a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_since: Option<Timestamp>,
    /// What makes it a child, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Box<Child>>,
    /// Children that it has spawned.
    #[serde(skip_serializing_if = "is_none")]
    pub children: u32,
    /// Those of them that have not ended.
    #[serde(skip_serializing_if = "is_none")]
    pub awaits: u32,
    /// What all steps below it were charged.
    #[serde(skip_serializing_if = "is_zero")]
    pub below: Credits,
    /// What attempts in flight below it hold.
    #[serde(skip_serializing_if = "is_zero")]
    pub held_below: Credits,
    /// Its budget, where an approval has raised it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised: Option<Credits>,
    /// Whether a person said yes to its next attempt although the account has too little: to that one, and no more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub beyond_account: bool,
}

impl Step {
    /// Whether it is parked for what its account lacks: it goes on by itself when the account has enough, and is looked at
    /// as a step in the queue is. It has no turn that others would wait for.
    pub fn waits_for_account(&self) -> bool {
        let scope = self.short.as_ref().map(|short| short.scope);
        self.state == StepState::Parked && scope == Some(Scope::Account)
    }
}

/// A cancel in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelling {
    /// Why.
    pub reason: String,
    /// Until when attempts may still end.
    pub deadline: Timestamp,
}

/// What belongs to the orchestration as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Whose it is.
    pub account: AccountId,
    /// The plan's name.
    pub name: String,
    /// The plan.
    pub plan: ContentHash,
    /// The pinned definitions.
    pub pinned: ContentHash,
    /// Equal submissions bear equal keys.
    pub submission: Option<ContentHash>,
    /// Whether enrichments may be taken over.
    pub reuse: bool,
    /// Agents left out.
    pub excluded: Vec<Excluded>,
    /// What came beside plan and agents.
    #[serde(default, skip_serializing_if = "Request::is_empty")]
    pub request: Request,
    /// How it stands.
    pub status: Status,
    /// Since when it is paused.
    pub paused_at: Option<Timestamp>,
    /// A cancel in progress.
    pub cancelling: Option<Cancelling>,
    /// Why it failed or was cancelled.
    pub reason: Option<String>,
    /// The plan artifact's version: 1 is the bare plan.
    pub version: u64,
    /// The last event's place.
    pub cursor: u64,
    /// The number of the last step started.
    pub last_number: u32,
    /// What it was charged so far.
    pub cost: Credits,
    /// What its attempts in flight hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held: Credits,
    /// The most that it may be charged and hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What is counted from the steps, so that no decision scans them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps that have not ended.
    pub unended: u32,
    /// Attempts in flight.
    pub running: u32,
    /// Whether the attempt in flight is an exclusive step's.
    pub exclusive_running: bool,
    /// Ended steps of the submitted graph by how, in the order of [`EndedAs::ALL`]: how children end is their parents' business.
    pub ended: [u32; 7],
    /// Steps in the queue.
    pub ready: BTreeSet<StepIndex>,
    /// Steps in the queue that want to be alone.
    pub exclusive_ready: BTreeSet<StepIndex>,
    /// Steps whose dependencies are done and whose gate has no verdict yet.
    pub gates_due: BTreeSet<StepIndex>,
}

impl Tally {
    /// How many steps ended `as_this`.
    pub fn ended_as(&self, as_this: EndedAs) -> u32 {
        self.ended[as_this as usize]
    }
}

/// One orchestration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orchestration {
    /// Nothing before `orchestration_created`.
    pub head: Option<Head>,
    /// In the order of submission.
    pub steps: Vec<Step>,
    /// Who needs whom.
    pub graph: Arc<Graph>,
    /// Counted from the steps.
    pub tally: Tally,
}

impl Orchestration {
    /// The state as rows hold it: the head and the steps, with the graph of the first event. A row too few or too many
    /// must not end in a panic: who refolds the log sees the difference.
    pub fn assemble(created: &Created, head: Head, mut steps: Vec<Step>) -> Self {
        let mut graph = Graph::of(created).unwrap_or_default();
        for child in steps
            .iter()
            .skip(graph.len())
            .map_while(|step| step.child.as_deref())
        {
            let parent = graph.index(&child.parent).unwrap_or_default();
            graph.push(parent, child.rules.clone());
        }
        steps.resize_with(graph.len(), Step::default);
        let mut orchestration = Self {
            head: Some(head),
            steps,
            graph: Arc::new(graph),
            tally: Tally::default(),
        };
        orchestration.tally = orchestration.count();
        orchestration
    }

    /// Counts everything anew, by scanning.
    pub fn count(&self) -> Tally {
        let mut tally = Tally::default();
        for (index, step) in self.steps.iter().enumerate() {
            let rules = self.graph.rules(index);
            match step.state {
                StepState::Ended(ended) => {
                    tally.ended[ended as usize] += u32::from(step.child.is_none());
                }
                StepState::Running => {
                    tally.running += 1;
                    tally.exclusive_running |= rules.exclusive;
                }
                StepState::Ready => {
                    tally.ready.insert(index);
                    if rules.exclusive {
                        tally.exclusive_ready.insert(index);
                    }
                }
                StepState::Waiting if step.waiting_on == 0 && rules.gate.is_some() => {
                    tally.gates_due.insert(index);
                }
                StepState::Parked if step.waits_for_account() => drop(tally.ready.insert(index)),
                StepState::Waiting | StepState::Parked => {}
            }
            tally.unended += u32::from(step.state.ended().is_none());
        }
        tally
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.head.as_ref().map_or(Status::New, |head| head.status)
    }

    /// The last event's place; 0 before the first.
    pub fn cursor(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.cursor)
    }

    /// The step named `id` and its place.
    pub fn step(&self, id: &StepId) -> Option<(StepIndex, &Step)> {
        let index = self.graph.index(id)?;
        Some((index, self.steps.get(index)?))
    }
}
