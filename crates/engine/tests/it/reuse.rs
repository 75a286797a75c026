//! Equal work: taken over, performed once at one time, and by whom when the one fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::agent::retry::ErrorClass;
use domain::orchestration::state::Status;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Millis;
use engine::handle::Engine;
use engine::perform::Performed;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::house::{
    House, Seen, after, agent, assert_status, begin_as, clock, done, ended, failure, performer,
    submission,
};
use crate::place::on_both;

/// All four steps reusable.
fn reusable_diamond() -> Vec<domain::agent::definition::AgentDefinition> {
    let reuse = "reuse = \"account\"";
    vec![
        agent("top", reuse),
        after("left", &["top"], reuse),
        after("right", &["top"], reuse),
        after("bottom", &["left", "right"], reuse),
    ]
}

/// Begins `count` orchestrations of equal work that are not the same submission.
pub async fn begin_equal(engine: &Engine, count: u128) -> Vec<OrchestrationId> {
    let mut beginning = JoinSet::new();
    for n in 0..count {
        let engine = engine.clone();
        let mut wanted = submission(&engine);
        wanted.fresh = false;
        // No agent declares it: the submissions differ, the inputs do not.
        wanted
            .parameters
            .insert("unread".to_owned(), Value::from(n as u64));
        beginning.spawn(async move { begin_as(&engine, n, wanted).await.id });
    }
    beginning.join_all().await
}

/// Taken over by content, whenever it is asked (in the seed `hashContext` hashed the clock, so that nothing was ever
/// equal); never across accounts; and not where it is not wanted.
#[tokio::test(flavor = "multi_thread")]
async fn equal_work_is_taken_over_within_its_account_alone() {
    on_both(async |place| {
        let (clock, seen) = (clock(), Seen::default());
        let noting = seen.clone();
        let performing = performer(move |assignment| {
            noting.note(&assignment);
            async move { Performed::Completed(json!({"from": assignment.step.as_str()})) }
        });
        let house = House::open(&place, &clock, reusable_diamond(), performing).await;
        let engine = &house.engine;
        let like = |fresh, account: &str| {
            let mut submission = submission(engine);
            submission.fresh = fresh;
            submission.account = AccountId::new(account).unwrap();
            submission
        };
        let first = begin_as(engine, 1, like(false, "ann")).await;
        assert_status(&ended(engine, first.id).await, Status::Complete);
        assert_eq!((first.continued, seen.all().len()), (false, 4));
        clock.advance(Millis::from_secs(3_600));
        let again = begin_as(engine, 2, like(false, "ann")).await;
        let state = ended(engine, again.id).await;
        assert_status(&state, Status::Complete);
        assert_eq!((again.continued, seen.all().len()), (false, 4));
        for step in &state.steps {
            let enrichment = step.enrichment.as_ref().unwrap();
            assert_eq!(enrichment.reused_from, Some(first.id));
            assert_eq!(step.attempt, 0, "taking over is no attempt");
        }
        let other = begin_as(engine, 3, like(false, "bob")).await;
        ended(engine, other.id).await;
        assert_eq!(seen.all().len(), 8, "bob must not see what is ann's");
        let fresh = begin_as(engine, 4, like(true, "ann")).await;
        ended(engine, fresh.id).await;
        assert_eq!(seen.all().len(), 12);
        house.close().await;
    })
    .await;
}

/// Many submissions at one time begin one orchestration.
#[tokio::test(flavor = "multi_thread")]
async fn equal_submissions_at_once_begin_one() {
    on_both(async |place| {
        let agents = vec![agent("a", "approval = \"required\"")];
        let house = House::open(&place, &clock(), agents, performer(|_| async { done() })).await;
        let mut submissions = JoinSet::new();
        for n in 0..30 {
            let engine = house.engine.clone();
            let mut wanted = submission(&engine);
            wanted.fresh = false;
            submissions.spawn(async move { begin_as(&engine, n, wanted).await });
        }
        let all = submissions.join_all().await;
        assert_eq!(all.iter().filter(|one| !one.continued).count(), 1);
        assert!(all.iter().all(|one| one.id == all[0].id));
        house.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_work_at_one_time_is_performed_once() {
    on_both(async |place| {
        let seen = Seen::default();
        let noting = seen.clone();
        let performing = performer(move |assignment| {
            noting.note(&assignment);
            async move {
                tokio::time::sleep(Duration::from_millis(30)).await;
                done()
            }
        });
        let house = House::open(&place, &clock(), reusable_diamond(), performing).await;
        for id in begin_equal(&house.engine, 30).await {
            assert_status(&ended(&house.engine, id).await, Status::Complete);
        }
        for name in ["top", "left", "right", "bottom"] {
            assert_eq!(seen.of(name), 1, "{name}");
        }
        house.close().await;
    })
    .await;
}

/// Who waits for another's work does it when the other fails.
#[tokio::test(flavor = "multi_thread")]
async fn followers_work_themselves_when_the_leader_fails() {
    on_both(async |place| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = calls.clone();
        let performing = performer(move |_| {
            let call = counting.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if call < 3 {
                    failure(ErrorClass::Fatal)
                } else {
                    done()
                }
            }
        });
        let agents = vec![agent("a", "reuse = \"account\"")];
        let house = House::open(&place, &clock(), agents, performing).await;
        let mut statuses = Vec::new();
        for id in begin_equal(&house.engine, 10).await {
            statuses.push(ended(&house.engine, id).await.status());
        }
        let failed = statuses.iter().filter(|status| **status == Status::Failed);
        assert_eq!((failed.count(), calls.load(Ordering::SeqCst)), (3, 4));
        house.close().await;
    })
    .await;
}
