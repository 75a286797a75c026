//! Plans, blobs and retention: stored once, counted once, gone when nothing names them.

use std::sync::Arc;

use store::retention::Deleted;
use store::rows::EnrichmentRow;
use store::write::{CommitError, NewBlob};

use crate::harness::{PINNED, blob, event, hash, id, new, next, on_both, plan};

/// An enrichment of orchestration n at `version`, with its data as a blob.
fn enrichment(n: u64, version: i64, data: &str) -> EnrichmentRow {
    EnrichmentRow {
        orchestration: id(n),
        version,
        step: "lint".to_owned(),
        agent: "plan-lint".to_owned(),
        agent_version: "1".to_owned(),
        account: "ann".to_owned(),
        enrichment_type: String::new(),
        status: "completed".to_owned(),
        input_hash: hash("input"),
        data_hash: Some(hash(data)),
        reusable: true,
        at: 2_000 + version,
        cost: 0,
        detail: "{}".to_owned(),
    }
}

/// The same of an agent whose work nobody may take over.
pub fn not_reusable(n: u64, version: i64, data: &str) -> EnrichmentRow {
    EnrichmentRow {
        reusable: false,
        ..enrichment(n, version, data)
    }
}

#[tokio::test]
async fn a_plan_is_stored_once_however_often_it_is_put() {
    on_both(async |store| {
        assert!(store.put_plan(plan()).await.unwrap());
        assert!(!store.put_plan(plan()).await.unwrap());
        let row = store.plan("ann", hash("plan")).await.unwrap().unwrap();
        assert_eq!(row, plan().row);
        assert_eq!(store.plan("bob", hash("plan")).await.unwrap(), None);
        let mut of_bob = plan();
        of_bob.row.account = "bob".to_owned();
        assert!(store.put_plan(of_bob).await.unwrap());
        let texts = ["risks", "tasks", "manifest", "absent"];
        let found = store.blobs(&texts.map(hash)).await.unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[&hash("risks")], b"risks");
    })
    .await;
}

#[tokio::test]
async fn a_large_plan_comes_back_byte_for_byte() {
    on_both(async |store| {
        let mut large = plan();
        large.artifacts = (0..170)
            .map(|n| {
                let text = format!("artifact {n} says ").repeat(n * 40);
                blob(&text)
            })
            .collect();
        let hashes: Vec<_> = large.artifacts.iter().map(|b| b.hash).collect();
        let bytes: Vec<Arc<[u8]>> = large.artifacts.iter().map(|b| b.bytes.clone()).collect();
        store.put_plan(large).await.unwrap();
        let found = store.blobs(&hashes).await.unwrap();
        for (hash, bytes) in hashes.iter().zip(bytes) {
            assert_eq!(found[hash], bytes[..]);
        }
    })
    .await;
}

#[tokio::test]
async fn an_enrichment_may_name_a_stored_blob_but_not_an_absent_one() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let mut absent = next(&first, &done);
        absent.enrichments = vec![enrichment(1, 2, "data")];
        let missing = CommitError::BlobMissing { hash: hash("data") };
        assert_eq!(store.commit(absent.clone()).await, Err(missing));
        assert_eq!(store.enrichments(id(1)).await.unwrap(), []);

        let mut brings = absent;
        brings.blobs = vec![blob("data")];
        let done = store.commit(brings.clone()).await.unwrap();
        let mut again = next(&brings, &done);
        again.enrichments = vec![enrichment(1, 3, "data")];
        store.commit(again).await.unwrap();
        let latest = store.reusable("ann", hash("input")).await.unwrap().unwrap();
        assert_eq!(latest.version, 3);
        assert_eq!(store.reusable("bob", hash("input")).await.unwrap(), None);
        assert_eq!(store.enrichments(id(1)).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_nobody_may_take_over_stands_with_its_enrichment_alone() {
    on_both(async |store| {
        let found = "found once, ".repeat(20);
        let long = "too long for a row, ".repeat(5_000);
        for n in 1..=2 {
            let first = new(n);
            let done = store.commit(first.clone()).await.unwrap();
            let mut end = next(&first, &done);
            end.enrichments = vec![not_reusable(n, 2, &found), not_reusable(n, 3, &long)];
            end.blobs = vec![blob(&found), blob(&long)];
            end.orchestration.ended_at = Some(5_000 + n as i64);
            store.commit(end).await.unwrap();
        }
        assert_eq!(store.blob(hash(&found)).await.unwrap(), None);
        for n in 1..=2 {
            for text in [&found, &long] {
                let given = store.result(id(n), hash(text)).await.unwrap();
                assert_eq!(given.as_deref(), Some(text.as_bytes()));
            }
        }
        assert_eq!(store.result(id(3), hash(&found)).await.unwrap(), None);
        assert_eq!(store.check().await.unwrap(), []);
        let deleted = store.delete_ended_before(5_002, 10).await.unwrap();
        assert_eq!((deleted.orchestrations, deleted.blobs), (1, 0));
        assert_eq!(store.result(id(1), hash(&found)).await.unwrap(), None);
        assert!(store.result(id(2), hash(&found)).await.unwrap().is_some());
        let deleted = store.delete_ended_before(6_000, 10).await.unwrap();
        // The long one and what was pinned.
        assert_eq!((deleted.orchestrations, deleted.blobs), (1, 2));
        assert_eq!(store.check().await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_blob_that_no_row_names_is_refused() {
    on_both(async |store| {
        let mut set = new(1);
        set.blobs.push(blob("stray"));
        let refused = store.commit(set).await.unwrap_err();
        assert!(refused.to_string().contains("no row"), "{refused}");
    })
    .await;
}

/// LangGraph, Inngest and Trigger.dev are asked for storage that does not grow for ever: so nothing may stay that no row names.
#[tokio::test]
async fn retention_deletes_the_ended_and_what_only_they_named() {
    on_both(async |store| {
        store.put_plan(plan()).await.unwrap();
        for n in 1..=3 {
            let first = new(n);
            let done = store.commit(first.clone()).await.unwrap();
            let mut end = next(&first, &done);
            end.enrichments = vec![enrichment(n, 2, &format!("data {}", n.min(2)))];
            end.blobs = vec![blob(&format!("data {}", n.min(2)))];
            // The third goes on.
            end.orchestration.ended_at = (n < 3).then_some(5_000 + n as i64);
            store.commit(end).await.unwrap();
        }
        let one = store.delete_ended_before(6_000, 1).await.unwrap();
        assert_eq!(one.orchestrations, 1);
        assert_eq!(store.orchestration(id(1)).await.unwrap(), None);
        assert_eq!(store.events(id(1), 0, 10).await.unwrap(), []);
        // "data 1" was named by the first alone; the plan is used by the third.
        assert_eq!((one.plans, one.blobs), (0, 1));
        let rest = store.delete_ended_before(6_000, 10).await.unwrap();
        assert_eq!((rest.orchestrations, rest.plans, rest.blobs), (1, 0, 0));
        let texts = ["data 1", "data 2", PINNED, "risks"];
        assert_eq!(store.stored(&texts.map(hash)).await.unwrap().len(), 3);

        let row = store.orchestration(id(3)).await.unwrap().unwrap();
        let mut end = new(3);
        end.orchestration = row.clone();
        end.expected_version = Some(row.version);
        end.events = vec![event(row.cursor + 1, "orchestration_completed")];
        end.blobs = Vec::new();
        end.orchestration.ended_at = Some(5_500);
        store.commit(end).await.unwrap();
        let all = Deleted {
            orchestrations: 1,
            plans: 1,
            blobs: 5,
        };
        assert_eq!(store.delete_ended_before(6_000, 10).await.unwrap(), all);
        let none = store.delete_ended_before(6_000, 10).await.unwrap();
        assert_eq!(none, Deleted::default());
        // The feed goes on where it stood: nobody sees a number twice.
        let again = store.commit(new(4)).await.unwrap();
        assert_eq!(again.feed, 8);
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_was_put_again_is_spared() {
    on_both(async |store| {
        store.put_plan(plan()).await.unwrap();
        let mut again = plan();
        again.row.created_at = 7_000;
        store.put_plan(again).await.unwrap();
        assert_eq!(store.delete_ended_before(6_000, 10).await.unwrap().plans, 0);
        assert_eq!(store.delete_ended_before(8_000, 10).await.unwrap().plans, 1);
    })
    .await;
}

#[tokio::test]
async fn incompressible_and_empty_bytes_come_back() {
    on_both(async |store| {
        let mut noise: Vec<u8> = Vec::new();
        for n in 0..2_000_u64 {
            noise.extend(hash(&n.to_string()));
        }
        for bytes in [noise, Vec::new()] {
            let bytes: Arc<[u8]> = bytes.into();
            let name = store::chain::content_hash(&bytes);
            let mut odd = plan();
            odd.row.hash = name;
            odd.artifacts = vec![NewBlob {
                hash: name,
                bytes: bytes.clone(),
            }];
            store.put_plan(odd).await.unwrap();
            assert_eq!(store.blob(name).await.unwrap().unwrap(), bytes[..]);
        }
    })
    .await;
}
