//! A plan is stored in the transaction of the orchestration that it comes with, once, and its revisions are known.

use std::sync::Arc;

use store::write::{CommitError, NewBlob, NewPlan, RowSet};

use crate::harness::{blob, hash, id, new, on_both, plan};

/// A new orchestration that brings its plan.
fn with_plan(n: u64, plan: NewPlan) -> RowSet {
    let mut set = new(n);
    set.orchestration.plan_hash = plan.row.hash;
    set.plan = Some(plan);
    set
}

fn called(plan_id: &str, content: &str) -> NewPlan {
    let mut plan = plan();
    plan.row.hash = hash(content);
    plan.artifacts = vec![blob(content)];
    plan.plan_id = Some(plan_id.to_owned());
    plan
}

#[tokio::test]
async fn a_plan_comes_with_its_orchestration_or_not_at_all() {
    on_both(async |store| {
        let mut set = with_plan(1, plan());
        set.orchestration.submission_key = Some(hash("key"));
        store.commit(set.clone()).await.unwrap();
        let stored = store.plan("ann", hash("plan")).await.unwrap().unwrap();
        assert_eq!(stored, plan().row);
        assert_eq!(store.blob(hash("risks")).await.unwrap().unwrap(), b"risks");
        assert_eq!(
            store.blob(hash("manifest")).await.unwrap().unwrap(),
            b"manifest"
        );

        // Refused, and its plan with it.
        let mut equal = with_plan(2, called("ours", "another"));
        equal.orchestration.submission_key = Some(hash("key"));
        let duplicate = CommitError::Duplicate { existing: id(1) };
        assert_eq!(store.commit(equal).await, Err(duplicate));
        assert_eq!(store.plan("ann", hash("another")).await.unwrap(), None);
        assert_eq!(store.blob(hash("another")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_is_stored_is_only_touched() {
    on_both(async |store| {
        // Large ones are looked up before they are packed, small ones are not.
        let noise: Vec<u8> = (0..4_000_u64).flat_map(|n| hash(&n.to_string())).collect();
        let large = NewBlob {
            hash: store::chain::content_hash(&noise),
            bytes: Arc::from(noise.as_slice()),
        };
        for (n, artifacts) in [(1, vec![blob("small")]), (3, vec![large])] {
            let mut plan = plan();
            plan.row.hash = hash(&n.to_string());
            plan.artifacts = artifacts;
            store.commit(with_plan(n, plan.clone())).await.unwrap();
            plan.row.created_at = 9_000;
            store.commit(with_plan(n + 1, plan.clone())).await.unwrap();
            let stored = store.plan("ann", plan.row.hash).await.unwrap().unwrap();
            assert_eq!(stored.created_at, 9_000);
            let artifact = store.blob(plan.artifacts[0].hash).await.unwrap();
            assert_eq!(artifact.unwrap(), plan.artifacts[0].bytes[..]);
            assert!(!store.put_plan(plan).await.unwrap());
        }
    })
    .await;
}

/// A thousand submissions share one commit: plans among them that are equal are one.
#[tokio::test]
async fn equal_plans_in_one_batch_are_stored_once() {
    on_both(async |store| {
        let mut waiting = Vec::new();
        for n in 1..=40 {
            let store = store.clone();
            let plan = called(&format!("plan {}", n % 5), &format!("content {}", n % 10));
            waiting.push(tokio::spawn(async move {
                store.commit(with_plan(n, plan)).await
            }));
        }
        let mut largest = 0;
        for done in waiting {
            largest = done.await.unwrap().unwrap().batch.max(largest);
        }
        assert!(largest > 1, "all were committed one by one");
        for n in 0..10 {
            let plan = store
                .plan("ann", hash(&format!("content {n}")))
                .await
                .unwrap();
            assert!(plan.is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn a_plan_of_another_orchestration_is_refused() {
    on_both(async |store| {
        let mut set = with_plan(1, plan());
        set.orchestration.plan_hash = hash("something else");
        let refused = store.commit(set).await.unwrap_err().to_string();
        assert!(refused.contains("does not enrich"), "{refused}");
    })
    .await;
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_new_revision() {
    on_both(async |store| {
        for (n, content) in [(1, "A"), (2, "A"), (3, "B"), (4, "A")] {
            let set = with_plan(n, called("ours", content));
            assert_eq!(store.commit(set).await.unwrap().first_revision, n == 1);
        }
        store.put_plan(called("ours", "C")).await.unwrap();
        store
            .commit(with_plan(9, called("theirs", "D")))
            .await
            .unwrap();
        let revisions = store.plan_revisions("ann", "ours").await.unwrap();
        let told: Vec<_> = revisions
            .iter()
            .map(|r| (r.revision, r.plan_hash))
            .collect();
        let expected = ["A", "B", "A", "C"].map(hash);
        assert_eq!(told, (1..).zip(expected).collect::<Vec<_>>());
        let before = async |content| store.previous_revision("ann", "ours", hash(content)).await;
        assert_eq!(before("C").await.unwrap(), Some(hash("A")));
        assert_eq!(before("A").await.unwrap(), Some(hash("B")));
        assert_eq!(before("D").await.unwrap(), None);
        let first = store.previous_revision("ann", "theirs", hash("D")).await;
        assert_eq!(first.unwrap(), None);
        // Revisions go with their plan.
        assert_eq!(store.delete_ended_before(8_000, 10).await.unwrap().plans, 1);
        assert_eq!(store.plan_revisions("ann", "ours").await.unwrap().len(), 3);
    })
    .await;
}
