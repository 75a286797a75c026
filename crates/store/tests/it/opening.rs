//! Opening: a new folder, a newer schema, a changed migration, a locked or damaged file, a server that is not there.

use std::time::{Duration, Instant};

use store::db::Store;
use store::error::StoreError;
use store::url::DatabaseUrl;
use store::write::CommitError;

use crate::harness::{Place, meddle, new, next, on_both};

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    for place in Place::both().await {
        let store = Store::open(&place.url).await.unwrap();
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        store.close().await;
        assert_eq!(store.commit(new(2)).await, Err(StoreError::Closed.into()));
        let again = Store::open(&place.url).await.unwrap();
        again.commit(next(&first, &done)).await.unwrap();
        again.close().await;
        place.gone().await;
    }
}

#[tokio::test]
async fn a_newer_or_altered_database_is_refused() {
    for (statement, newer) in [
        (
            "insert into schema_migration select 99, 'later', checksum from schema_migration where number = 1",
            true,
        ),
        (
            "update schema_migration set name = name, checksum = (select hash from blob) where number = 1",
            false,
        ),
    ] {
        for place in Place::both().await {
            let store = Store::open(&place.url).await.unwrap();
            store.commit(new(1)).await.unwrap();
            store.close().await;
            meddle(&place.url, statement).await;
            match Store::open(&place.url).await.unwrap_err() {
                StoreError::Newer {
                    found: 99,
                    known: 3,
                    ..
                } => assert!(newer),
                StoreError::Altered { migration, .. } => {
                    assert!(!newer);
                    assert_eq!(migration, "0001_start");
                }
                other => panic!("{other}"),
            }
            place.gone().await;
        }
    }
}

#[tokio::test]
async fn several_programs_open_a_new_database_at_once() {
    for place in Place::both().await {
        let opened: Vec<_> = (0..4)
            .map(|_| {
                let url = place.url.clone();
                tokio::spawn(async move { Store::open(&url).await })
            })
            .collect();
        for (n, store) in opened.into_iter().enumerate() {
            let store = store.await.unwrap().unwrap();
            store.commit(new(n as u64)).await.unwrap();
            store.close().await;
        }
        place.gone().await;
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "not a database ".repeat(1000)).unwrap();
    let refused = Store::open(&DatabaseUrl::Sqlite(path)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    let folder = DatabaseUrl::Sqlite(folder.path().to_owned());
    let refused = Store::open(&folder).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::CannotConnect { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let url = DatabaseUrl::parse("postgres://ann:s3cret@127.0.0.1:1/none").unwrap();
    let refused = Store::open(&url).await.unwrap_err();
    assert!(matches!(refused, StoreError::CannotConnect { .. }));
    let text = refused.to_string();
    assert!(
        text.contains("ann@127.0.0.1:1/none") && !text.contains("s3cret"),
        "{text}"
    );
}

/// Another program that keeps the write lock is waited for, then named: never a half-written row set.
#[tokio::test]
async fn a_locked_file_is_reported_after_ten_seconds() {
    let place = Place::sqlite();
    let store = Store::open(&place.url).await.unwrap();
    let DatabaseUrl::Sqlite(path) = &place.url else {
        panic!("a file")
    };
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let started = Instant::now();
    let refused = store.commit(new(1)).await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Store(StoreError::Locked { .. })),
        "{refused}"
    );
    let waited = started.elapsed();
    assert!(
        waited > Duration::from_secs(9) && waited < Duration::from_secs(20),
        "{waited:?}"
    );
    other.execute_batch("rollback").unwrap();
    store.commit(new(1)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_text_with_nul_is_refused_at_the_edge() {
    on_both(async |store| {
        let mut set = new(1);
        set.events[0].data = "a\0b".to_owned();
        let refused = store.commit(set).await.unwrap_err();
        let nul = StoreError::Nul {
            column: "event.data",
        };
        assert_eq!(refused, CommitError::Store(nul));
    })
    .await;
}
