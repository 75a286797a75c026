//! Stores to test on, and rows to test with.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::chain::{START, content_hash};
use store::db::Store;
use store::rows::{AgentRow, Hash, Id, OrchestrationRow, PlanRow, StepRow};
use store::url::DatabaseUrl;
use store::write::{Committed, NewBlob, NewEvent, NewPlan, RowSet};

/// The URL of a PostgreSQL whose role may create schemas; tests on it are skipped without.
const SERVER: &str = "AFTERPLAN_TEST_POSTGRES";

/// A place for a database that is gone after the test.
pub struct Place {
    pub url: DatabaseUrl,
    folder: Option<tempfile::TempDir>,
    schema: Option<(String, String)>,
}

impl Place {
    /// A file that is not there yet.
    pub fn sqlite() -> Self {
        // In memory where there is such a folder: these tests are about rows, not about the disk.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        Self {
            url: DatabaseUrl::Sqlite(folder.path().join("new folder").join("test.db")),
            folder: Some(folder),
            schema: None,
        }
    }

    /// An empty schema of the test server; `None`, said aloud, without a server.
    pub async fn postgres() -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Ok(server) = std::env::var(SERVER) else {
            println!("SKIPPED: PostgreSQL ({SERVER} is not set)");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let schema = format!("store_{}_{number}", std::process::id());
        let text = format!("drop schema if exists {schema} cascade; create schema {schema}");
        administer(&server, &text).await;
        let mark = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{mark}options=-csearch_path%3D{schema}");
        Some(Self {
            url: DatabaseUrl::parse(&url).unwrap(),
            folder: None,
            schema: Some((server, schema)),
        })
    }

    /// SQLite, and PostgreSQL where there is one.
    pub async fn both() -> Vec<Self> {
        let mut places = vec![Self::sqlite()];
        places.extend(Self::postgres().await);
        places
    }

    pub async fn gone(self) {
        if let Some((server, schema)) = &self.schema {
            administer(server, &format!("drop schema {schema} cascade")).await;
        }
        drop(self.folder);
    }
}

/// Statements beside the store, on the server's own schema.
pub async fn administer(server: &str, text: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client.batch_execute(text).await.unwrap();
}

/// The one text that a question beside the store is answered with.
pub async fn asked(server: &str, question: &str) -> String {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let row = client.query_one(question, &[]).await.unwrap();
    row.get(0)
}

/// Changes rows behind the store's back, on either database.
pub async fn meddle(url: &DatabaseUrl, text: &str) {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_timeout(Duration::from_secs(5)).unwrap();
            connection.execute_batch(text).unwrap();
        }
        DatabaseUrl::Postgres(server) => administer(server, text).await,
    }
}

/// Runs a test on a fresh database of each kind; afterwards the check must find nothing.
pub async fn on_both(test: impl AsyncFn(Store)) {
    for place in Place::both().await {
        let store = Store::open(&place.url).await.unwrap();
        test(store.clone()).await;
        assert_eq!(store.check().await.unwrap(), [], "on {}", place.url);
        store.close().await;
        place.gone().await;
    }
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
        kept_hash: None,
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
        turns: Vec::new(),
        blobs: vec![blob(PINNED)],
        kept: Vec::new(),
        released: Vec::new(),
        plan: None,
        counters: Vec::new(),
        money: Vec::new(),
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
        turns: Vec::new(),
        blobs: Vec::new(),
        kept: Vec::new(),
        released: Vec::new(),
        plan: None,
        counters: Vec::new(),
        money: Vec::new(),
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
        plan_id: None,
        manifest: Arc::from(b"manifest".as_slice()),
        artifacts: vec![blob("risks"), blob("tasks"), blob("risks")],
    }
}

/// A definition that differs with id and version.
pub fn agent(id: &str, version: &str) -> AgentRow {
    let definition = format!("{{\"id\":\"{id}\",\"version\":\"{version}\"}}");
    AgentRow {
        id: id.to_owned(),
        version: version.to_owned(),
        hash: hash(&definition),
        definition,
        source: "api".to_owned(),
        url: None,
        created_at: 1_000,
        retired_at: None,
    }
}
