//! What may be claimed, what time has touched, and who holds what.

use std::time::Duration;

use store::db::Store;
use store::rows::{HolderRow, StepKey, StepRow};
use store::steps::Without;
use store::write::{CounterChange, RowSet};

use crate::harness::{Place, event, id, new, next, on_both, step};

async fn put(store: &Store, n: u64, change: impl FnOnce(&mut RowSet)) {
    let mut set = new(n);
    change(&mut set);
    store.commit(set).await.unwrap();
}

fn key(n: u64, step: i64) -> StepKey {
    StepKey {
        orchestration: id(n),
        step,
    }
}

fn held(n: i64, holder: u64, epoch: i64) -> StepRow {
    StepRow {
        due_at: None,
        holder: Some(id(holder)),
        epoch: Some(epoch),
        ..step(n)
    }
}

fn holder(n: u64, until: i64) -> HolderRow {
    HolderRow {
        id: id(n),
        kind: "replica".to_owned(),
        epoch: 0,
        until,
        label: "test".to_owned(),
        opened_at: 1_000,
    }
}

#[tokio::test]
async fn due_steps_honour_pauses_exclusive_steps_and_full_counters() {
    on_both(async |store| {
        let due = |n, at| StepRow {
            due_at: Some(at),
            ..step(n)
        };
        put(&store, 1, |s| {
            s.steps = vec![due(0, 1_200), due(1, 1_100), due(2, 9_000)]
        })
        .await;
        put(&store, 2, |s| {
            s.orchestration.claimable = false;
            s.steps = vec![due(0, 1_000)];
        })
        .await;
        // An exclusive step is held: nobody else may start.
        put(&store, 3, |s| {
            s.orchestration.exclusive = true;
            s.orchestration.running = 1;
            let alone = StepRow {
                exclusive: true,
                ..held(1, 50, 1)
            };
            s.steps = vec![due(0, 1_000), alone];
        })
        .await;
        // Something runs: an exclusive step must wait, another need not.
        put(&store, 4, |s| {
            s.orchestration.running = 1;
            let alone = StepRow {
                exclusive: true,
                ..due(1, 1_000)
            };
            s.steps = vec![held(0, 50, 1), alone, due(2, 1_300)];
        })
        .await;
        let gpu = |mut s: StepRow| {
            s.concurrency_key = Some("gpu".to_owned());
            s.concurrency_max = Some(1);
            s
        };
        put(&store, 5, |s| {
            s.orchestration.running = 1;
            s.steps = vec![gpu(held(0, 50, 1)), gpu(due(1, 1_000))];
            s.counters = vec![CounterChange {
                key: "gpu".to_owned(),
                delta: 1,
                limit: Some(1),
                ..CounterChange::default()
            }];
        })
        .await;
        let all = Without::default();
        let due = found(&store, 10, &all).await;
        assert_eq!(due, [key(1, 1), key(1, 0), key(4, 2)]);
        assert_eq!(found(&store, 1, &all).await, [key(1, 1)]);
        assert_eq!(store.next_due(2_000).await.unwrap(), Some(9_000));
        assert_eq!(store.next_due(9_000).await.unwrap(), None);
    })
    .await;
}

/// The keys of the steps that are due at 2,000.
async fn found(store: &Store, limit: i64, without: &Without) -> Vec<StepKey> {
    let due = store.due_steps(2_000, limit, without).await.unwrap();
    let keys = due.into_iter().map(|due| StepKey {
        orchestration: due.orchestration,
        step: due.step,
    });
    keys.collect()
}

#[tokio::test]
async fn due_steps_of_agents_and_accounts_that_are_not_wanted_are_left_out() {
    on_both(async |store| {
        let at = |n, at| StepRow {
            due_at: Some(at),
            ..step(n)
        };
        put(&store, 1, |s| s.steps = vec![at(0, 1_000), at(1, 500)]).await;
        let due = store
            .due_steps(2_000, 9, &Without::default())
            .await
            .unwrap();
        assert_eq!(due.len(), 2);
        let (account, agent) = (due[0].account.clone(), step(0).agent);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let pair = |account: &str, agent: &str| format!("{account}\t{agent}");
        let (both, part) = (pair(&account, &agent), pair(&account, &agent[1..]));
        let other = pair("x", &agent);
        // A part of a name is no name.
        for (agents, accounts, agents_of, left) in [
            (vec![], vec![&account[1..]], vec![], 2),
            (vec![&agent[1..], "no such agent"], vec![], vec![], 2),
            (vec!["x", agent.as_str()], vec![], vec![], 0),
            (vec![], vec!["x", account.as_str()], vec![], 0),
            (vec![], vec![], vec![other.as_str(), part.as_str()], 2),
            (vec![], vec![], vec![other.as_str(), both.as_str()], 0),
        ] {
            let without = Without {
                agents: names(&agents),
                accounts: names(&accounts),
                agents_of: names(&agents_of),
                // None is parked.
                parked_of: names(&[both.as_str()]),
            };
            assert_eq!(found(&store, 9, &without).await.len(), left, "{without:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_sweep_finds_what_time_has_touched_once_each() {
    on_both(async |store| {
        put(&store, 1, |s| {
            s.orchestration.wake_at = Some(3_000);
            let wakes = |n, at| StepRow {
                wake_at: Some(at),
                ..step(n)
            };
            s.steps = vec![wakes(0, 2_000), wakes(1, 2_500)];
        })
        .await;
        put(&store, 2, |s| s.orchestration.wake_at = Some(1_500)).await;
        put(&store, 3, |s| s.orchestration.wake_at = Some(9_000)).await;
        assert_eq!(store.waking(4_000, 10).await.unwrap(), [id(2), id(1)]);
        assert!(store.waking(1_000, 10).await.unwrap().is_empty());
    })
    .await;
}

/// DBOS 716, 804, 805 (ownership without a lease), Trigger.dev 1566: what a dead holder held is found by one query.
#[tokio::test]
async fn steps_of_a_holder_that_lapsed_or_was_opened_again_or_is_gone_are_found() {
    on_both(async |store| {
        assert_eq!(store.open_holder(holder(50, 5_000)).await.unwrap(), 1);
        assert_eq!(store.open_holder(holder(51, 2_000)).await.unwrap(), 1);
        put(&store, 1, |s| {
            s.orchestration.running = 4;
            s.steps = vec![
                held(0, 50, 1),
                held(1, 51, 1),
                held(2, 52, 1),
                held(3, 50, 0),
            ];
        })
        .await;
        let lapsed = store.held_by_lapsed(3_000, 10).await.unwrap();
        assert_eq!(lapsed, [key(1, 1), key(1, 2), key(1, 3)]);
        assert_eq!(store.open_holder(holder(50, 5_000)).await.unwrap(), 2);
        assert_eq!(store.held_by_lapsed(3_000, 10).await.unwrap().len(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_of_an_old_epoch_is_refused() {
    on_both(async |store| {
        let epoch = store.open_holder(holder(1, 2_000)).await.unwrap();
        assert!(store.heartbeat(id(1), epoch, 3_000).await.unwrap());
        let newer = store.open_holder(holder(1, 4_000)).await.unwrap();
        assert!(!store.heartbeat(id(1), epoch, 9_000).await.unwrap());
        assert!(!store.close_holder(id(1), epoch).await.unwrap());
        let row = store.holders().await.unwrap().pop().unwrap();
        assert_eq!((row.epoch, row.until), (newer, 4_000));
        assert!(store.close_holder(id(1), newer).await.unwrap());
        assert!(!store.heartbeat(id(1), newer, 9_000).await.unwrap());
        assert_eq!(store.holders().await.unwrap(), []);
    })
    .await;
}

/// The embedded file knows a dead program at once, without waiting for its lapse (DBOS 742, 453: recovery that waits or never comes).
#[tokio::test]
async fn a_dead_program_is_known_by_its_lock() {
    let place = Place::sqlite();
    let ours = Store::open(&place.url).await.unwrap();
    let theirs = Store::open(&place.url).await.unwrap();
    ours.open_holder(holder(1, i64::MAX)).await.unwrap();
    theirs.open_holder(holder(2, i64::MAX)).await.unwrap();
    assert!(ours.open_holder(holder(2, 1)).await.is_err());
    assert_eq!(ours.close_dead_holders().await.unwrap(), 0);
    // As after a kill: the lock is free, the row stands.
    theirs.close().await;
    assert_eq!(ours.holders().await.unwrap().len(), 2);
    assert_eq!(ours.close_dead_holders().await.unwrap(), 1);
    assert_eq!(ours.holders().await.unwrap()[0].id, id(1));
    ours.close().await;
    place.gone().await;
}

#[tokio::test]
async fn a_commit_of_another_replica_wakes_and_our_own_does_not() {
    for place in Place::both().await {
        let ours = Store::open(&place.url).await.unwrap();
        let theirs = Store::open(&place.url).await.unwrap();
        // The writer's own connection opens with its first commit; registering comes after it here.
        let first = new(1);
        let done = ours.commit(first.clone()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut woken = ours.woken().await.unwrap();
        ours.commit(next(&first, &done)).await.unwrap();
        let poll = Duration::from_millis(10);
        let wait = tokio::time::timeout(Duration::from_millis(200), woken.wait(poll));
        assert!(wait.await.is_err(), "woke itself on {}", place.url);
        theirs.commit(new(2)).await.unwrap();
        let wait = tokio::time::timeout(Duration::from_secs(5), woken.wait(poll));
        wait.await.unwrap();
        ours.close().await;
        theirs.close().await;
        place.gone().await;
    }
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_paged() {
    on_both(async |store| {
        for n in 1..=5 {
            put(&store, n, |s| {
                if n == 2 {
                    s.orchestration.status = "failed".to_owned();
                    s.orchestration.ended_at = Some(2_000);
                }
                if n == 4 {
                    s.orchestration.account = "bob".to_owned();
                }
                s.events.push(event(2, "step_ready"));
            })
            .await;
        }
        let all = store::orchestrations::OrchestrationFilter::default();
        let ids = |rows: Vec<store::rows::OrchestrationRow>| -> Vec<_> {
            rows.into_iter().map(|o| o.id).collect()
        };
        let page = store.list("ann", &all, None, 2).await.unwrap();
        assert_eq!(ids(page), [id(5), id(3)]);
        let page = store.list("ann", &all, Some(id(3)), 9).await.unwrap();
        assert_eq!(ids(page), [id(2), id(1)]);
        let mut filter = all.clone();
        filter.status = Some("failed".to_owned());
        let page = store.list("ann", &filter, None, 9).await.unwrap();
        assert_eq!(ids(page), [id(2)]);
        filter.unended = true;
        assert_eq!(store.list("ann", &filter, None, 9).await.unwrap(), []);
        filter = all.clone();
        filter.plan_hash = Some([1; 32]);
        assert_eq!(store.list("ann", &filter, None, 9).await.unwrap(), []);
        let every = store.orchestrations_after(Some(id(2)), 2).await.unwrap();
        assert_eq!(ids(every), [id(3), id(4)]);
        assert_eq!(store.orchestrations_after(None, 9).await.unwrap().len(), 5);
        let bobs = store.feed("bob", 0, 10).await.unwrap();
        assert_eq!(bobs.iter().map(|e| e.feed).collect::<Vec<_>>(), [1, 2]);
    })
    .await;
}
