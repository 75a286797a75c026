//! Connections that are cut while commits are under way: what was acknowledged stands, what is unknown can be found out.

use std::time::Duration;

use store::db::Store;
use store::error::StoreError;
use store::url::DatabaseUrl;
use store::write::CommitError;

use crate::harness::{Place, administer, event, id, new};

/// How often the connections are cut.
const CUTS: usize = 12;

/// LiteLLM 33872 (what was dequeued is lost when the commit fails) and elizaOS 10930 (the acknowledgement is lost after the commit):
/// each row set is either there or not, its caller can tell which, and the next one finds a connection again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_lose_nothing_that_was_acknowledged() {
    let Some(place) = Place::postgres().await else {
        return;
    };
    let DatabaseUrl::Postgres(server) = &place.url else {
        panic!("a server")
    };
    let name = format!("cut_{}", std::process::id());
    let url = DatabaseUrl::parse(&format!("{server}&application_name={name}")).unwrap();
    let store = Store::open(&url).await.unwrap();
    let callers: Vec<_> = (1..=8_u64)
        .map(|n| tokio::spawn(commit_until_ended(store.clone(), n)))
        .collect();
    let cut = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = '{name}'"
    );
    for _ in 0..CUTS {
        tokio::time::sleep(Duration::from_millis(40)).await;
        administer(server, &cut).await;
    }
    // The callers end when they see this holder.
    store
        .open_holder(store::rows::HolderRow {
            id: id(99),
            kind: "worker".to_owned(),
            epoch: 0,
            until: 1,
            label: "the end".to_owned(),
            opened_at: 1,
        })
        .await
        .unwrap();
    let mut acknowledged = 0;
    for caller in callers {
        acknowledged += caller.await.unwrap();
    }
    assert!(acknowledged > 8, "only {acknowledged}");
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
    place.gone().await;
}

/// Answers how many commits were acknowledged; asserts that each of them is there.
async fn commit_until_ended(store: Store, n: u64) -> i64 {
    let mut acknowledged = 0;
    let mut known = 0;
    loop {
        let row = match store.orchestration(id(n)).await {
            Ok(row) => row,
            Err(StoreError::Lost { .. } | StoreError::CannotConnect { .. }) => continue,
            Err(other) => panic!("{other}"),
        };
        let version = row.as_ref().map_or(0, |r| r.version);
        assert!(
            version >= known,
            "version {version}, but {known} was acknowledged"
        );
        if store.holders().await.is_ok_and(|h| !h.is_empty()) {
            return acknowledged;
        }
        let mut set = new(n);
        if let Some(row) = row {
            set.expected_version = Some(row.version);
            set.events = vec![event(row.cursor + 1, "step_ready")];
            set.blobs = Vec::new();
            set.orchestration = row;
        }
        match store.commit(set).await {
            Ok(done) => {
                acknowledged += 1;
                known = done.version;
            }
            Err(CommitError::Unknown(_)) => {}
            Err(CommitError::Store(StoreError::Lost { .. } | StoreError::CannotConnect { .. })) => {
            }
            // The batch was tried again after it had been carried out: the fence says so.
            Err(CommitError::Overtaken) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
