//! Stores to test on, and rows to test with.

use std::sync::Arc;

use store::chain::{START, content_hash};
use store::db::Store;
use store::rows::{Hash, Id, OrchestrationRow, PlanRow, StepRow};
use store::url::DatabaseUrl;
use store::write::{Committed, NewBlob, NewEvent, NewPlan, RowSet};

/// Runs a test on a fresh SQLite file.
pub async fn on_both(test: impl AsyncFn(Store)) {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("test.db"));
    let store = Store::open(&url).await.unwrap();
    test(store.clone()).await;
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
}

/// The n-th id: ordered by n.
pub fn id(n: u64) -> Id {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    id
}

pub fn hash(text: &str) -> Hash {
    content_hash(text.as_bytes())
}

pub fn blob(text: &str) -> NewBlob {
    NewBlob {
        hash: hash(text),
        bytes: Arc::from(text.as_bytes()),
    }
}

pub fn event(seq: i64, kind: &str) -> NewEvent {
    NewEvent {
        seq,
        at: 1_000 + seq,
        kind: kind.to_owned(),
        step: None,
        data: format!("{{\"seq\":{seq}}}"),
    }
}

pub fn step(step: i64) -> StepRow {
    StepRow {
        step,
        id: format!("step-{step}"),
        agent: "plan-lint".to_owned(),
        state: "ready".to_owned(),
        due_at: Some(1_000),
        wake_at: None,
        exclusive: false,
        concurrency_key: None,
        concurrency_max: None,
        holder: None,
        epoch: None,
        attempt: 0,
        detail: "{}".to_owned(),
    }
}

pub const PINNED: &str = "pinned definitions";

/// A new orchestration of account `ann`, with one event.
pub fn new(n: u64) -> RowSet {
    RowSet {
        orchestration: OrchestrationRow {
            id: id(n),
            account: "ann".to_owned(),
            plan_hash: hash("plan"),
            submission_key: None,
            pinned_hash: hash(PINNED),
            status: "running".to_owned(),
            claimable: true,
            exclusive: false,
            running: 0,
            version: 0,
            artifact_version: 1,
            cursor: 0,
            chain: START,
            wake_at: None,
            detail: "{}".to_owned(),
            created_at: 1_000,
            updated_at: 1_000,
            ended_at: None,
        },
        expected_version: None,
        steps: Vec::new(),
        events: vec![event(1, "orchestration_created")],
        enrichments: Vec::new(),
        blobs: vec![blob(PINNED)],
        counters: Vec::new(),
    }
}

/// The next row set of an orchestration, with one event more.
pub fn next(of: &RowSet, committed: &Committed) -> RowSet {
    let mut orchestration = of.orchestration.clone();
    orchestration.chain = committed.chain;
    orchestration.cursor = committed.cursor;
    orchestration.version = committed.version;
    RowSet {
        orchestration,
        expected_version: Some(committed.version),
        steps: Vec::new(),
        events: vec![event(committed.cursor + 1, "step_ready")],
        enrichments: Vec::new(),
        blobs: Vec::new(),
        counters: Vec::new(),
    }
}

/// The plan that every orchestration here enriches.
pub fn plan() -> NewPlan {
    NewPlan {
        row: PlanRow {
            account: "ann".to_owned(),
            hash: hash("plan"),
            manifest_hash: hash("manifest"),
            title: "A harbour".to_owned(),
            bytes: 11,
            created_at: 500,
        },
        manifest: Arc::from(b"manifest".as_slice()),
        artifacts: vec![blob("risks"), blob("tasks"), blob("risks")],
    }
}
