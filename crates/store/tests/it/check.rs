//! The check finds what was changed behind the store's back.

use store::db::Store;

use crate::blobs::not_reusable;
use crate::harness::{Place, agent, blob, event, meddle, new, next, plan, step};
use crate::money::settle;

/// A statement that breaks something, and a part of the finding that must follow.
const MEDDLINGS: &[(&str, &str)] = &[
    (
        "update event set data = (select data from event where seq = 1) where seq = 3",
        "the chain breaks at event 3",
    ),
    (
        "update event set at = at + 1 where seq = 1",
        "the chain breaks at event 1",
    ),
    (
        "update event set at = at + 1 where seq = 3",
        "the chain breaks at event 2",
    ),
    (
        "update event set data = hash where seq = 3",
        "event.data holds what was never written",
    ),
    (
        "update event set earlier = hash where seq = 3",
        "event.earlier holds what was never written",
    ),
    (
        "update event set events = 1 where seq = 3",
        "event.earlier holds what was never written",
    ),
    ("delete from event where seq = 1", "event 2 follows event 0"),
    (
        "delete from event where seq = 3",
        "the cursor is 3, but the last event is 1",
    ),
    (
        "update event set transfers = 0",
        "no event of its orchestration leads to transfer 1",
    ),
    ("update orchestration set running = 7", "running is 7"),
    (
        "update orchestration set exclusive = 1",
        "exclusive is true",
    ),
    ("update account set feed = feed + 1", "the feed stands at 4"),
    (
        "update blob set refs = refs + 1",
        "counts 2 references, but 1 rows name it",
    ),
    ("delete from blob", "is named by 1 rows, but not stored"),
    (
        "update plan set artifacts = manifest_hash",
        "no row names it",
    ),
    (
        "update step set kept_hash = (select manifest_hash from plan)",
        "counts 1 references, but 2 rows name it",
    ),
    (
        "update agent set definition = '{}'",
        "another definition than its hash names",
    ),
    (
        "update blob set encoding = 0, size = length(stored) + 1",
        "does not unpack",
    ),
    (
        "update enrichment set data_hash = input_hash",
        "enrichment 2 holds other data than its hash names",
    ),
    (
        "update enrichment set size = size + 1",
        "enrichment 2 has data that does not unpack",
    ),
    (
        "update enrichment set stored = null",
        "is named by 1 rows, but not stored",
    ),
    (
        "delete from orchestration",
        "has step rows, but no row of its own",
    ),
    (
        "insert into counter (key, held) values ('gpu', 3)",
        "holds 3, but 0 steps",
    ),
];

#[tokio::test]
async fn each_meddling_is_found() {
    for (statement, finding) in MEDDLINGS {
        for place in Place::both().await {
            let store = Store::open(&place.url).await.unwrap();
            store.put_plan(plan()).await.unwrap();
            store.put_agent(agent("lint", "1")).await.unwrap();
            let first = new(1);
            let done = store.commit(first.clone()).await.unwrap();
            let mut second = next(&first, &done);
            second.events.push(event(3, "step_ready"));
            let mut keyed = step(0);
            keyed.concurrency_key = Some("gpu".to_owned());
            second.steps = vec![keyed];
            second.enrichments = vec![not_reusable(1, 2, "found")];
            second.blobs = vec![blob("found")];
            second.money = vec![settle("lint", 0, 5)];
            store.commit(second).await.unwrap();
            assert_eq!(store.check().await.unwrap(), []);
            meddle(&place.url, statement).await;
            let found: Vec<String> = store
                .check()
                .await
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert!(
                found.iter().any(|f| f.contains(finding)),
                "{statement} on {}: {found:?}",
                place.url
            );
            store.close().await;
            place.gone().await;
        }
    }
}
