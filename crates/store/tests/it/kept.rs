//! What an attempt keeps is there as long as its step names it, and not longer.

use store::db::Store;
use store::write::{CommitError, Committed, RowSet};

use crate::harness::{blob, hash, id, new, next, on_both, step};

/// The step goes over from keeping one text to keeping another, or none.
async fn keep(store: &Store, of: &RowSet, done: &Committed, from: &str, to: &str) -> Committed {
    let mut set = next(of, done);
    let named = |text: &str| (!text.is_empty()).then(|| hash(text));
    let mut row = step(0);
    row.kept_hash = named(to);
    set.steps = vec![row];
    set.kept.extend(named(to));
    set.released.extend(named(from));
    set.blobs.extend((!to.is_empty()).then(|| blob(to)));
    store.commit(set).await.unwrap()
}

#[tokio::test]
async fn each_kept_partial_takes_the_place_of_the_one_before() {
    on_both(async |store| {
        let first = new(1);
        let mut done = store.commit(first.clone()).await.unwrap();
        for (from, to) in [("", "half"), ("half", "more"), ("more", "more still")] {
            done = keep(&store, &first, &done, from, to).await;
            let steps = store.steps(id(1)).await.unwrap();
            assert_eq!(steps[0].kept_hash, Some(hash(to)));
            assert_eq!(store.blob(hash(to)).await.unwrap().unwrap(), to.as_bytes());
            assert_eq!(store.blob(hash(from)).await.unwrap(), None);
        }
        keep(&store, &first, &done, "more still", "").await;
        assert_eq!(store.blob(hash("more still")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn two_steps_may_keep_the_same_and_each_holds_it() {
    on_both(async |store| {
        let one = new(1);
        let mut two = new(2);
        two.blobs = Vec::new();
        let mut done = [
            store.commit(one.clone()).await.unwrap(),
            store.commit(two.clone()).await.unwrap(),
        ];
        for (n, of) in [&one, &two].into_iter().enumerate() {
            done[n] = keep(&store, of, &done[n], "", "equal").await;
        }
        keep(&store, &one, &done[0], "equal", "").await;
        assert!(store.blob(hash("equal")).await.unwrap().is_some());
        keep(&store, &two, &done[1], "equal", "").await;
        assert_eq!(store.blob(hash("equal")).await.unwrap(), None);
    })
    .await;
}

/// A partial that becomes the step's enrichment changes hands in one commit; retention then takes it with the orchestration.
#[tokio::test]
async fn retention_takes_what_is_still_kept() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let done = keep(&store, &first, &done, "", "half").await;
        let mut end = next(&first, &done);
        end.orchestration.ended_at = Some(5_000);
        store.commit(end).await.unwrap();
        assert_eq!(store.delete_ended_before(6_000, 10).await.unwrap().blobs, 2);
        assert_eq!(store.blob(hash("half")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn what_was_let_go_cannot_be_named_without_its_bytes() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let done = keep(&store, &first, &done, "", "half").await;
        let done = keep(&store, &first, &done, "half", "").await;
        let mut again = next(&first, &done);
        again.kept = vec![hash("half")];
        let missing = CommitError::BlobMissing { hash: hash("half") };
        assert_eq!(store.commit(again).await, Err(missing));
    })
    .await;
}
