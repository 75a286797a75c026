//! Opening: a new folder, a newer schema, a changed migration, a locked or damaged file, a server that is not there.

use std::time::{Duration, Instant};

use store::chain::{START, content_hash, link};
use store::db::Store;
use store::error::StoreError;
use store::url::DatabaseUrl;
use store::write::{CommitError, Committed};

use crate::harness::{Place, hash, id, meddle, new, next, on_both};

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
                    known: 8,
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

/// What version 1 held: the columns that later migrations touch. Bytes as each database writes them.
fn as_of_version_one(url: &DatabaseUrl) -> String {
    let on_file = matches!(url, DatabaseUrl::Sqlite(_));
    let (start, table) = if on_file {
        (
            include_str!("../../migrations/sqlite/0001_start.sql"),
            "number integer primary key, name text not null, checksum blob not null",
        )
    } else {
        (
            include_str!("../../migrations/postgres/0001_start.sql"),
            "number bigint primary key, name text not null, checksum bytea not null",
        )
    };
    let bytes = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        if on_file {
            format!("x'{digits}'")
        } else {
            format!("'\\x{digits}'::bytea")
        }
    };
    let of = |text: &str| bytes(&hash(text));
    let (id, data) = (bytes(&id(1)), "{\"é\":1}");
    let link = link(&START, 1, 5, "orchestration_created", None, data);
    let mut text = format!(
        "{start}
        create table schema_migration ({table});
        insert into schema_migration values (1, '0001_start', {});
        insert into account values ('ann', 1, 0, 5);
        insert into plan values ('ann', {plan}, {manifest}, 'A harbour', 9, 5);
        insert into plan_blob values ('ann', {plan}, {}), ('ann', {plan}, {});
        insert into orchestration values ({id}, 'ann', {plan}, null, {pinned}, 'running', 1, 0, 0, 1, 2, 1, {chain}, null, '{data}', 5, 5, null);
        insert into step values ({id}, 0, 'lint', 'lint', 'completed', null, null, 0, null, null, null, null, 1, '{data}');
        insert into event values ({id}, 1, 'ann', 1, 5, 'orchestration_created', null, '{data}', {chain});
        insert into enrichment values ({id}, 2, 'lint', 'lint', '1', 'ann', 'completed', {pinned}, null, 1, 5, 0, '{data}');",
        bytes(&content_hash(start.as_bytes())),
        of("tasks"),
        of("risks"),
        plan = of("plan"),
        manifest = of("manifest"),
        pinned = of("pinned"),
        chain = bytes(&link),
    );
    for blob in ["manifest", "tasks", "risks", "pinned"] {
        let (hash, stored) = (of(blob), bytes(blob.as_bytes()));
        text += &format!(
            "insert into blob values ({hash}, {}, 0, {stored}, 1);",
            blob.len()
        );
    }
    text
}

/// Argo, Hatchet and Trigger.dev were each asked for upgrades that keep what was there.
#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_all_it_holds() {
    for place in Place::both().await {
        if let DatabaseUrl::Sqlite(path) = &place.url {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        meddle(&place.url, &as_of_version_one(&place.url)).await;
        let store = Store::open(&place.url).await.unwrap();
        assert_eq!(store.check().await.unwrap(), [], "on {}", place.url);
        let text = "{\"é\":1}";
        let row = store.orchestration(id(1)).await.unwrap().unwrap();
        assert_eq!(row.detail, text);
        assert_eq!(store.steps(id(1)).await.unwrap()[0].detail, text);
        assert_eq!(store.events(id(1), 0, 9).await.unwrap()[0].data, text);
        let enrichments = store.enrichments(id(1)).await.unwrap();
        assert_eq!(
            (
                enrichments[0].detail.as_str(),
                enrichments[0].enrichment_type.as_str()
            ),
            (text, "")
        );
        // It goes on from there, and the plan's artifacts go with the plan.
        let mut end = next(
            &new(1),
            &Committed {
                version: 1,
                cursor: 1,
                feed: 1,
                chain: row.chain,
                batch: 1,
                first_revision: false,
            },
        );
        end.orchestration = row;
        end.orchestration.ended_at = Some(6);
        store.commit(end).await.unwrap();
        let deleted = store.delete_ended_before(1_000, 10).await.unwrap();
        assert_eq!(
            (deleted.orchestrations, deleted.plans, deleted.blobs),
            (1, 1, 4)
        );
        assert_eq!(store.check().await.unwrap(), []);
        store.close().await;
        place.gone().await;
    }
}
