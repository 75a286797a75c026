//! Turns: read in order with their answers, small ones in their rows, large ones as blobs, and all gone with their orchestration.

use store::db::Store;
use store::rows::Hash;
use store::turns::TurnRow;
use store::write::{CommitError, NewBlob};

use crate::harness::{blob, hash, id, new, next, on_both};

fn turn(step: &str, conversation: i64, turn: i64, data_hash: Hash) -> TurnRow {
    TurnRow {
        step: step.to_owned(),
        conversation,
        turn,
        attempt: conversation,
        asked: "model".to_owned(),
        at: 2_000,
        data_hash,
    }
}

/// More than stands in a row.
fn large() -> NewBlob {
    blob(&"a long answer, ".repeat(10_000))
}

async fn answers(store: &Store, step: &str, conversation: i64) -> Vec<(i64, Vec<u8>)> {
    let turns = store.turns(id(1), step, conversation).await.unwrap();
    let each = turns.into_iter().map(|(row, bytes)| (row.turn, bytes));
    each.collect()
}

#[tokio::test]
async fn turns_are_read_by_step_and_conversation_in_their_order() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let mut set = next(&first, &done);
        // Two say the same: then it is stored once, as a blob.
        let (same, large) = (blob("yes"), large());
        set.turns = vec![
            turn("a", 1, 2, large.hash),
            turn("a", 1, 1, hash("first")),
            turn("a", 3, 1, same.hash),
            turn("b", 1, 1, same.hash),
        ];
        set.blobs = vec![blob("first"), same, large.clone()];
        let done = store.commit(set).await.unwrap();
        let told = answers(&store, "a", 1).await;
        assert_eq!(told, [(1, b"first".to_vec()), (2, large.bytes.to_vec())]);
        assert_eq!(answers(&store, "a", 3).await, [(1, b"yes".to_vec())]);
        assert_eq!(answers(&store, "b", 1).await, [(1, b"yes".to_vec())]);
        assert_eq!(store.blob(hash("first")).await.unwrap(), None);
        assert!(store.blob(large.hash).await.unwrap().is_some());
        assert_eq!(store.turns_of(id(1), "a").await.unwrap().len(), 3);
        assert_eq!(store.check().await.unwrap(), []);
        // A turn stands once.
        let mut again = next(&first, &done);
        again.turns = vec![turn("a", 1, 1, hash("other"))];
        again.blobs = vec![blob("other")];
        assert!(matches!(
            store.commit(again).await,
            Err(CommitError::Store(_))
        ));
    })
    .await;
}

#[tokio::test]
async fn turns_go_with_their_orchestration_and_so_do_their_blobs() {
    on_both(async |store| {
        let mut first = new(1);
        first.orchestration.ended_at = Some(3_000);
        let large = large();
        first.turns = vec![turn("a", 1, 1, large.hash), turn("a", 1, 2, hash("short"))];
        first.blobs.extend([large.clone(), blob("short")]);
        store.commit(first).await.unwrap();
        assert_eq!(answers(&store, "a", 1).await.len(), 2);
        store.delete_ended_before(4_000, 10).await.unwrap();
        assert_eq!(answers(&store, "a", 1).await, []);
        assert_eq!(store.blob(large.hash).await.unwrap(), None);
        assert_eq!(store.check().await.unwrap(), []);
    })
    .await;
}
