//! Many at once: the fence, the counters and the feed hold whoever races.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use store::db::Store;
use store::rows::StepRow;
use store::write::{CommitError, CounterChange};

use crate::harness::{Place, event, hash, id, new, next, step};

/// Two replicas on one database.
async fn on_two(test: impl AsyncFn(Store, Store)) {
    for place in Place::both().await {
        let ours = Store::open(&place.url).await.unwrap();
        let theirs = Store::open(&place.url).await.unwrap();
        test(ours.clone(), theirs.clone()).await;
        assert_eq!(ours.check().await.unwrap(), [], "on {}", place.url);
        ours.close().await;
        theirs.close().await;
        place.gone().await;
    }
}

/// Trigger.dev 2066 and Conductor 208, 209, 245 (two sources of truth): of replicas that race with the same version one wins each round,
/// and the events are those of the winners, without a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_replicas_leave_one_history() {
    on_two(async |ours, theirs| {
        ours.commit(new(1)).await.unwrap();
        let won = Arc::new(AtomicI64::new(0));
        let racers: Vec<_> = [ours.clone(), theirs]
            .into_iter()
            .map(|store| {
                let won = won.clone();
                tokio::spawn(async move {
                    for _ in 0..60 {
                        let row = store.orchestration(id(1)).await.unwrap().unwrap();
                        let mut set = new(1);
                        set.expected_version = Some(row.version);
                        set.events = vec![event(row.cursor + 1, "step_ready")];
                        set.blobs = Vec::new();
                        set.orchestration = row;
                        match store.commit(set).await {
                            Ok(_) => drop(won.fetch_add(1, Ordering::Relaxed)),
                            Err(CommitError::Overtaken) => {}
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap();
        }
        let row = ours.orchestration(id(1)).await.unwrap().unwrap();
        let won = won.load(Ordering::Relaxed);
        assert_eq!((row.version, row.cursor), (won + 1, won + 1));
    })
    .await;
}

/// LiteLLM 34732, 40095 (concurrent requests pass the cap), 28247 (each pod its own counter), 27639 (reservations leak): a counter in the
/// same transaction as what it counts never passes its limit and never leaks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_counter_never_passes_its_limit() {
    on_two(async |ours, theirs| {
        let change = |delta| {
            vec![CounterChange {
                key: "gpu".to_owned(),
                delta,
                limit: Some(3),
                ..CounterChange::default()
            }]
        };
        let holding = Arc::new(AtomicI64::new(0));
        let claims: Vec<_> = (1..=40_u64)
            .map(|n| {
                let store = if n % 2 == 0 {
                    ours.clone()
                } else {
                    theirs.clone()
                };
                let holding = holding.clone();
                tokio::spawn(async move {
                    let keyed = StepRow {
                        concurrency_key: Some("gpu".to_owned()),
                        concurrency_max: Some(3),
                        ..step(0)
                    };
                    let mut first = new(n);
                    first.steps = vec![keyed.clone()];
                    let mut done = store.commit(first.clone()).await.unwrap();
                    loop {
                        let mut claim = next(&first, &done);
                        claim.orchestration.running = 1;
                        claim.counters = change(1);
                        claim.steps = vec![StepRow {
                            holder: Some(id(99)),
                            epoch: Some(1),
                            ..keyed.clone()
                        }];
                        match store.commit(claim).await {
                            Ok(claimed) => done = claimed,
                            Err(CommitError::CounterFull { held, .. }) => {
                                assert_eq!(held, 3);
                                tokio::task::yield_now().await;
                                continue;
                            }
                            Err(other) => panic!("{other}"),
                        }
                        assert!(holding.fetch_add(1, Ordering::SeqCst) < 3);
                        tokio::task::yield_now().await;
                        holding.fetch_sub(1, Ordering::SeqCst);
                        let mut release = next(&first, &done);
                        release.counters = change(-1);
                        release.steps = vec![keyed];
                        store.commit(release).await.unwrap();
                        return;
                    }
                })
            })
            .collect();
        for claim in claims {
            claim.await.unwrap();
        }
        assert!(ours.counters(&["gpu"]).await.unwrap().is_empty());
    })
    .await;
}

/// xum 2165, 2413, hermes 3401 (gaps and duplicates in resumed streams): each account's feed is gap-free whoever writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_gap_free_over_replicas_and_accounts() {
    on_two(async |ours, theirs| {
        let writers: Vec<_> = (1..=60_u64)
            .map(|n| {
                let store = if n % 2 == 0 {
                    ours.clone()
                } else {
                    theirs.clone()
                };
                tokio::spawn(async move {
                    let mut set = new(n);
                    set.orchestration.account = format!("account {}", n % 3);
                    set.events.push(event(2, "step_ready"));
                    store.commit(set).await.unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        for account in ["account 0", "account 1", "account 2"] {
            let feed = ours.feed(account, 0, 1_000).await.unwrap();
            let numbers: Vec<i64> = feed.iter().map(|e| e.feed).collect();
            assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
        }
    })
    .await;
}

/// elizaOS 10930 and ever-works 2311 (the same work submitted or charged twice): of equal submissions at once one is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_equal_submissions_one_stands() {
    on_two(async |ours, theirs| {
        let submitters: Vec<_> = (1..=30_u64)
            .map(|n| {
                let store = if n % 2 == 0 {
                    ours.clone()
                } else {
                    theirs.clone()
                };
                tokio::spawn(async move {
                    let mut set = new(n);
                    set.orchestration.submission_key = Some(hash("the same"));
                    store.commit(set).await
                })
            })
            .collect();
        let mut stored = Vec::new();
        let mut named = Vec::new();
        for (n, submitter) in (1..).zip(submitters) {
            match submitter.await.unwrap() {
                Ok(_) => stored.push(id(n)),
                Err(CommitError::Duplicate { existing }) => named.push(existing),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(stored.len(), 1);
        assert_eq!(named, vec![stored[0]; 29]);
    })
    .await;
}

/// Inngest's poison items (OpenDigitalProductFactory PR 2072): a row set that the schema refuses fails alone, its batch goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisonous_row_set_fails_alone() {
    on_two(async |ours, _| {
        let writers: Vec<_> = (1..=50_u64)
            .map(|n| {
                let store = ours.clone();
                tokio::spawn(async move {
                    let mut set = new(n);
                    if n == 25 {
                        // Two enrichments of one version: the primary key refuses the second.
                        let row = store::rows::EnrichmentRow {
                            orchestration: id(n),
                            version: 2,
                            step: "a".to_owned(),
                            agent: "a".to_owned(),
                            agent_version: "1".to_owned(),
                            account: "ann".to_owned(),
                            enrichment_type: String::new(),
                            status: "completed".to_owned(),
                            input_hash: hash("i"),
                            data_hash: None,
                            reusable: false,
                            at: 1,
                            cost: 0,
                            detail: "{}".to_owned(),
                        };
                        set.enrichments = vec![row.clone(), row];
                    }
                    store.commit(set).await.is_ok()
                })
            })
            .collect();
        for (n, writer) in (1..).zip(writers) {
            assert_eq!(writer.await.unwrap(), n != 25, "row set {n}");
        }
        assert_eq!(ours.orchestration(id(25)).await.unwrap(), None);
        assert_eq!(
            ours.list("ann", &Default::default(), None, 100)
                .await
                .unwrap()
                .len(),
            49
        );
    })
    .await;
}

/// What one program waits for, another may commit in between: two row sets of one orchestration never share a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_sets_of_one_orchestration_are_committed_in_the_order_they_came() {
    on_two(async |ours, _| {
        let first = new(1);
        let mut done = ours.commit(first.clone()).await.unwrap();
        for _ in 0..20 {
            // The second knows what the first will answer: version and chain are computed, not looked up.
            let one = next(&first, &done);
            let hash = store::chain::link(
                &done.chain,
                one.events[0].seq,
                one.events[0].at,
                &one.events[0].kind,
                None,
                &one.events[0].data,
            );
            let mut after = done;
            after.version += 1;
            after.cursor += 1;
            after.chain = hash;
            let two = next(&first, &after);
            let (a, b) = tokio::join!(ours.commit(one), ours.commit(two));
            a.unwrap();
            done = b.unwrap();
        }
        assert_eq!(done.version, 41);
    })
    .await;
}
