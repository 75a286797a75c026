//! Commits: what is acknowledged is there, what is refused leaves nothing.

use store::write::{CommitError, CounterChange};

use crate::harness::{event, hash, id, new, next, on_both, plan, step};

#[tokio::test]
async fn a_commit_is_read_back_whole() {
    on_both(async |store| {
        assert!(store.put_plan(plan()).await.unwrap());
        let mut first = new(1);
        first.steps = vec![step(1), step(0)];
        let done = store.commit(first.clone()).await.unwrap();
        assert_eq!((done.version, done.cursor, done.feed), (1, 1, 1));
        let row = store.orchestration(id(1)).await.unwrap().unwrap();
        assert_eq!((row.version, row.cursor, row.chain), (1, 1, done.chain));
        assert_eq!(row.detail, "{}");
        assert_eq!(store.steps(id(1)).await.unwrap(), [step(0), step(1)]);

        let mut second = next(&first, &done);
        second.events.push(event(3, "step_ready"));
        let done = store.commit(second).await.unwrap();
        assert_eq!((done.version, done.cursor, done.feed), (2, 3, 3));
        let events = store.events(id(1), 1, 10).await.unwrap();
        assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(events[1].hash, done.chain);
        assert_eq!(store.feed("ann", 0, 10).await.unwrap().len(), 3);
        assert_eq!(store.versions(&[id(1), id(9)]).await.unwrap(), [(id(1), 2)]);
    })
    .await;
}

#[tokio::test]
async fn of_two_replicas_with_the_same_version_one_is_overtaken() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        store.commit(next(&first, &done)).await.unwrap();
        let mut late = next(&first, &done);
        late.steps = vec![step(0)];
        assert_eq!(store.commit(late).await, Err(CommitError::Overtaken));
        assert_eq!(store.commit(first).await, Err(CommitError::Overtaken));
        assert_eq!(store.steps(id(1)).await.unwrap(), []);
        assert_eq!(store.events(id(1), 0, 10).await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn events_that_do_not_go_on_from_the_chain_are_refused() {
    on_both(async |store| {
        let first = new(1);
        let done = store.commit(first.clone()).await.unwrap();
        let mut gap = next(&first, &done);
        gap.events = vec![event(3, "step_ready")];
        let mut broken = next(&first, &done);
        broken.orchestration.chain = hash("another");
        for wrong in [gap, broken] {
            let refused = store.commit(wrong).await.unwrap_err();
            assert!(refused.to_string().contains("do not go on"), "{refused}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_submission_at_a_time() {
    on_both(async |store| {
        let mut first = new(1);
        first.orchestration.submission_key = Some(hash("submission"));
        let done = store.commit(first.clone()).await.unwrap();
        let mut again = new(2);
        again.orchestration.submission_key = Some(hash("submission"));
        let refused = store.commit(again.clone()).await;
        assert_eq!(refused, Err(CommitError::Duplicate { existing: id(1) }));
        let found = async |account: &str, since| {
            let plan = first.orchestration.plan_hash;
            let found = store.open_by_submission(account, plan, hash("submission"), since);
            found.await.unwrap().map(|o| o.id)
        };
        assert_eq!(found("ann", i64::MAX).await, Some(id(1)));
        assert_eq!(found("bob", 0).await, None);

        let mut end = next(&first, &done);
        end.orchestration.ended_at = Some(9_000);
        store.commit(end).await.unwrap();
        assert_eq!(found("ann", 9_001).await, None, "it had ended before");
        assert_eq!(found("ann", 9_000).await, Some(id(1)));
        store.commit(again).await.unwrap();
        assert_eq!(found("ann", 9_001).await, Some(id(2)));
        assert_eq!(found("ann", 9_000).await, Some(id(1)), "the first of them");
    })
    .await;
}

#[tokio::test]
async fn a_full_counter_admits_nobody_and_says_what_it_holds() {
    on_both(async |store| {
        let change = |delta| CounterChange {
            key: "gpu".to_owned(),
            delta,
            limit: Some(2),
            ..CounterChange::default()
        };
        let mut all = Vec::new();
        for n in 1..=3 {
            let mut set = new(n);
            set.counters = vec![change(1)];
            all.push(set);
        }
        let one = store.commit(all[0].clone()).await.unwrap();
        store.commit(all[1].clone()).await.unwrap();
        let full = CommitError::CounterFull {
            key: "gpu".to_owned(),
            held: 2,
        };
        assert_eq!(store.commit(all[2].clone()).await, Err(full));
        let mut release = next(&all[0], &one);
        release.counters = vec![change(-1)];
        store.commit(release).await.unwrap();
        store.commit(all[2].clone()).await.unwrap();
        assert_eq!(store.counters(&["gpu", "none"]).await.unwrap()["gpu"], 2);
    })
    .await;
}
