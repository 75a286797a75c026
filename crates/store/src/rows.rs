//! Rows: what the tables hold, in primitive columns only; their meaning belongs to the layers above.
//!
//! Times are microseconds since the Unix epoch, ids are UUIDs as 16 bytes, hashes are SHA-256 over plain bytes, JSON is text
//! that nothing here reads.

/// A UUID as its 16 bytes.
pub type Id = [u8; 16];

/// A SHA-256.
pub type Hash = [u8; 32];

/// One orchestration: its counters, its status and, in `detail`, whatever else its snapshot needs.
///
/// `id`, `account`, `plan_hash`, `submission_key`, `pinned_hash` and `created_at` never change after the first commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrchestrationRow {
    /// Its id.
    pub id: Id,
    /// The account that owns it.
    pub account: String,
    /// The plan it enriches.
    pub plan_hash: Hash,
    /// What makes a second submission the same one; at most one unended orchestration an account has it.
    pub submission_key: Option<Hash>,
    /// The blob of pinned definitions, parameters and limits. Holds one reference to that blob.
    pub pinned_hash: Hash,
    /// Status, in the words of the domain.
    pub status: String,
    /// Whether steps of it may be claimed: not paused, not cancelling, not ended.
    pub claimable: bool,
    /// Whether an exclusive step is held.
    pub exclusive: bool,
    /// How many of its steps have a holder.
    pub running: i64,
    /// The fence: +1 with each commit, 1 after the first. Given to a commit, it is ignored (`RowSet::expected_version` counts).
    pub version: i64,
    /// Version of the plan artifact: 1 is the bare plan.
    pub artifact_version: i64,
    /// Sequence number of its last event. Given to a commit with events, it is ignored (theirs count).
    pub cursor: i64,
    /// Hash of its last event (32 zero bytes before the first). Given to a commit: as it stood BEFORE that commit's events.
    pub chain: Hash,
    /// When the sweep must look at it, in microseconds.
    pub wake_at: Option<i64>,
    /// JSON, opaque.
    pub detail: String,
    /// When it was submitted, in microseconds.
    pub created_at: i64,
    /// When it last changed, in microseconds.
    pub updated_at: i64,
    /// When it ended, in microseconds.
    pub ended_at: Option<i64>,
}

/// One step of an orchestration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Its place in the orchestration, from 0.
    pub step: i64,
    /// Its id, unique in the orchestration.
    pub id: String,
    /// The agent that does it.
    pub agent: String,
    /// State, in the words of the domain.
    pub state: String,
    /// Since when it may be claimed, as far as the step itself goes; null while it may not.
    pub due_at: Option<i64>,
    /// When the sweep must look at it (timeouts); null when time alone changes nothing.
    pub wake_at: Option<i64>,
    /// Whether it must be alone in its orchestration.
    pub exclusive: bool,
    /// The counter that bounds it across orchestrations: the key of a `CounterChange`, in full.
    pub concurrency_key: Option<String>,
    /// The most that this counter may hold.
    pub concurrency_max: Option<i64>,
    /// Who holds it; set exactly while an attempt is under way.
    pub holder: Option<Id>,
    /// The holder's epoch when it claimed.
    pub epoch: Option<i64>,
    /// Number of the latest attempt, 0 before the first.
    pub attempt: i64,
    /// The blob with what an attempt kept. Holds one reference to that blob, from `RowSet::kept` to `RowSet::released`.
    pub kept_hash: Option<Hash>,
    /// JSON, opaque.
    pub detail: String,
}

/// One stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The orchestration it happened to.
    pub orchestration: Id,
    /// Its number in the orchestration: 1, 2, 3, … without a gap.
    pub seq: i64,
    /// The account of the orchestration.
    pub account: String,
    /// Its number in the account: 1, 2, 3, … without a gap until retention deletes some.
    pub feed: i64,
    /// When it happened, in microseconds.
    pub at: i64,
    /// Its kind, such as `step_ready`.
    pub kind: String,
    /// Id of the step it is about.
    pub step: Option<String>,
    /// JSON, opaque, hashed as it stands.
    pub data: String,
    /// The chain's hash after it (`chain::link`).
    pub hash: Hash,
}

/// One enrichment that was applied to a plan artifact. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichmentRow {
    /// The orchestration it came from.
    pub orchestration: Id,
    /// The version of the plan artifact that it made.
    pub version: i64,
    /// Id of the step that made it.
    pub step: String,
    /// The agent.
    pub agent: String,
    /// The agent's version.
    pub agent_version: String,
    /// The account that may reuse it.
    pub account: String,
    /// What kind of enrichment the agent says it makes; empty when it does not say.
    pub enrichment_type: String,
    /// Status, in the words of the domain.
    pub status: String,
    /// Hash over the declared inputs.
    pub input_hash: Hash,
    /// Hash of its data: in this row where `RowSet` brought it, nobody may reuse it and it is short, else in the blob, which then has one
    /// reference from here.
    pub data_hash: Option<Hash>,
    /// Whether equal work may take it instead of doing it again.
    pub reusable: bool,
    /// When it was applied, in microseconds.
    pub at: i64,
    /// What it cost, in nano-credits.
    pub cost: i64,
    /// JSON, opaque.
    pub detail: String,
}

/// One plan of an account, as submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// The account that owns it.
    pub account: String,
    /// Hash that names it.
    pub hash: Hash,
    /// The blob that lists its artifacts. Holds one reference to that blob.
    pub manifest_hash: Hash,
    /// A title to show.
    pub title: String,
    /// Plain bytes of all its artifacts.
    pub bytes: i64,
    /// When it was last put, in microseconds: retention spares a plan that was put after its time.
    pub created_at: i64,
}

/// Whoever holds attempts: a replica or an outside worker. The only thing with a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderRow {
    /// Its id.
    pub id: Id,
    /// `replica` or `worker`.
    pub kind: String,
    /// +1 each time the same id is opened again.
    pub epoch: i64,
    /// Until when its leases stand, in microseconds.
    pub until: i64,
    /// Something to show: host and program.
    pub label: String,
    /// When this epoch was opened, in microseconds.
    pub opened_at: i64,
}

/// An account, with what it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its id.
    pub id: String,
    /// Its last feed number given.
    pub feed: i64,
    /// How many orchestrations it has, ended ones that retention spared among them.
    pub orchestrations: i64,
    /// How many of these have not ended.
    pub running: i64,
    /// When its first orchestration was submitted or its first credits given, in microseconds.
    pub created_at: i64,
}

/// One version of an agent definition. Never changes but for `retired_at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRow {
    /// The agent's id.
    pub id: String,
    /// The version; with the id it names the definition.
    pub version: String,
    /// SHA-256 over `definition`.
    pub hash: Hash,
    /// Canonical JSON, opaque.
    pub definition: String,
    /// Where it came from: `file`, `api`, `discovery` or `built_in`.
    pub source: String,
    /// Where it was discovered.
    pub url: Option<String>,
    /// When it was registered, in microseconds.
    pub created_at: i64,
    /// When it was retired, in microseconds.
    pub retired_at: Option<i64>,
}

/// One key of an account; the secret itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id, as it stands in the key.
    pub id: String,
    /// The account that it opens.
    pub account: String,
    /// Role, in the words of the domain.
    pub role: String,
    /// Something to show.
    pub label: String,
    /// SHA-256 of the secret.
    pub secret_hash: Hash,
    /// When it was made, in microseconds.
    pub created_at: i64,
    /// Until when it opens anything, in microseconds.
    pub expires_at: Option<i64>,
    /// When it was revoked, in microseconds.
    pub revoked_at: Option<i64>,
}

/// One revision of a plan that its account calls by an id of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRow {
    /// The account.
    pub account: String,
    /// The account's own id for the plan.
    pub plan_id: String,
    /// 1, 2, 3, …
    pub revision: i64,
    /// The plan's hash.
    pub plan_hash: Hash,
    /// When it came first, in microseconds.
    pub created_at: i64,
}

/// A step by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    /// The orchestration.
    pub orchestration: Id,
    /// The step's place in it, from 0.
    pub step: i64,
}
