//! The closed list of writes: what the door hands over to be committed as one, and how the store answers.

use std::sync::Arc;

use crate::error::StoreError;
use crate::money::MoneyChange;
use crate::rows::{EnrichmentRow, Hash, Id, OrchestrationRow, PlanRow, StepRow};
use crate::turns::TurnRow;

/// All that one orchestration's decided commands change: committed whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSet {
    /// The orchestration as it shall stand. Its `chain` is the hash BEFORE `events`; `version` and `cursor` are filled by the store.
    pub orchestration: OrchestrationRow,
    /// The version that the caller knew; `None` for an orchestration that is new.
    pub expected_version: Option<i64>,
    /// Touched steps only, each as it shall stand; each step at most once.
    pub steps: Vec<StepRow>,
    /// What happened, in order; `seq` goes on from the orchestration's cursor by one.
    pub events: Vec<NewEvent>,
    /// Enrichments applied by these events.
    pub enrichments: Vec<EnrichmentRow>,
    /// Turns recorded by these events.
    pub turns: Vec<TurnRow>,
    /// Bytes of blobs that the rows above name (`pinned_hash`, `data_hash`, `kept_hash`). A row may also name a blob that is already
    /// stored.
    pub blobs: Vec<NewBlob>,
    /// References that steps gain by their `kept_hash`, one entry a step that goes over to this blob. A step that is written again
    /// with the `kept_hash` that it had has no entry here.
    pub kept: Vec<Hash>,
    /// References that are let go, one entry each: the former `kept_hash` of a step that goes over to another or to none. A blob
    /// without any reference left is deleted.
    pub released: Vec<Hash>,
    /// The plan, to be stored with this row set where the account does not have it; else only noted as wanted still.
    pub plan: Option<NewPlan>,
    /// Changes of shared counters; each key at most once.
    pub counters: Vec<CounterChange>,
    /// What it does to its account's money, in order.
    pub money: Vec<MoneyChange>,
}

/// An event that is to be stored; its feed number and hash are given by the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its number in the orchestration, from 1.
    pub seq: i64,
    /// When it happened, in microseconds.
    pub at: i64,
    /// Its kind.
    pub kind: String,
    /// Id of the step it is about.
    pub step: Option<String>,
    /// JSON, opaque.
    pub data: String,
}

/// Bytes to be stored once under their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlob {
    /// SHA-256 over `bytes`.
    pub hash: Hash,
    /// The plain bytes.
    pub bytes: Arc<[u8]>,
}

/// A change of a shared counter, such as a concurrency key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CounterChange {
    /// The counter's key.
    pub key: String,
    /// What the counter holds at least before `delta` is added, such as the time of day in a counter of time.
    pub floor: Option<i64>,
    /// By how much. A counter never goes below zero: a release of what is not held leaves 0.
    pub delta: i64,
    /// What the counter is believed to hold at most: more was written by mistake, such as by a clock that was wrong, and counts
    /// as nothing.
    pub believed: Option<i64>,
    /// What the counter holds at most afterwards.
    pub ceiling: Option<i64>,
    /// With a positive `delta`: the most that the counter may hold afterwards; else the row set is not admitted.
    pub limit: Option<i64>,
}

impl CounterChange {
    /// What the counter holds after the change where it `held` so much before.
    pub fn after(&self, held: i64) -> i64 {
        let held = match self.believed {
            Some(most) if held > most => 0,
            _ => held,
        };
        let from = self.floor.map_or(held, |floor| floor.max(held));
        let after = from.saturating_add(self.delta);
        self.ceiling.map_or(after, |ceiling| after.min(ceiling))
    }
}

/// A plan to be stored with its artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    /// The row.
    pub row: PlanRow,
    /// What the account calls the plan: the same id with another hash than before is a new revision.
    pub plan_id: Option<String>,
    /// Bytes of the manifest, whose hash is `row.manifest_hash`.
    pub manifest: Arc<[u8]>,
    /// Bytes of the artifacts; equal hashes are stored once.
    pub artifacts: Vec<NewBlob>,
}

/// What a commit made true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The orchestration's version now.
    pub version: i64,
    /// Sequence number of its last event now.
    pub cursor: i64,
    /// The account's last feed number after this row set.
    pub feed: i64,
    /// Hash of its last event now: the next row set's `orchestration.chain`.
    pub chain: Hash,
    /// How many row sets shared the transaction.
    pub batch: usize,
    /// It brought a plan, and the account had called none by that plan's id before.
    pub first_revision: bool,
}

/// Why a row set was not committed. Nothing of it is stored, except that after `Unknown` all of it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The orchestration's version is not the expected one (or it exists though it should be new): load it again.
    #[error("the orchestration was changed elsewhere")]
    Overtaken,
    /// A shared counter has no room: decide again with this fact.
    #[error("counter {key} is full: {held} held")]
    CounterFull {
        /// The counter.
        key: String,
        /// What it holds now.
        held: i64,
    },
    /// The account has not as much available as a hold needs that must fit: decide again with this fact.
    #[error("account {account} has {available} nano-credits available, {needed} are needed")]
    Short {
        /// The account.
        account: String,
        /// What the first hold needs that does not fit, in nano-credits.
        needed: i64,
        /// What the account had available before this row set, in nano-credits.
        available: i64,
        /// What it had held, in nano-credits.
        held: i64,
        /// What happens to what does not fit, in the words of the domain; none: as the program is configured.
        at_limit: Option<String>,
    },
    /// An unended orchestration of the account has this submission key.
    #[error("the same submission is already under way")]
    Duplicate {
        /// That orchestration.
        existing: Id,
    },
    /// A row names a blob that is not stored (any more), and the row set does not bring its bytes.
    #[error("a blob that the rows name is not stored")]
    BlobMissing {
        /// Its hash.
        hash: Hash,
    },
    /// The connection was lost while committing: the row set may be stored or not. Load the orchestration to find out.
    #[error(
        "the outcome is unknown: the connection to the database was lost while committing ({0})"
    )]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
