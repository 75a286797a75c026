//! What an account has, and its quotas, bound all that is charged: results that are taken over, and conversations that go on.

use domain::orchestration::state::Status;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::Millis;
use engine::credits::balance;
use engine::handle::{Engine, Scope};
use engine::quotas::{Quota, Window, quotas, set_quota};
use engine::waits::wait_of;

use crate::converse::{models, talks};
use crate::house::{
    House, Setup, agent, assert_sound, assert_status, begin_as, clock, done, ended, performer,
    state, submission, until,
};
use crate::money::{credits, rich};
use crate::place::on_both;
use crate::questions::{billed, looker, looking};

/// Begins what is not the same submission, but the same work.
async fn begin_like(engine: &Engine, n: u128, account: &AccountId) -> OrchestrationId {
    let mut wanted = submission(engine);
    (wanted.fresh, wanted.account) = (false, account.clone());
    let unread = serde_json::Value::from(n as u64);
    wanted.parameters.insert("unread".to_owned(), unread);
    begin_as(engine, n, wanted).await.id
}

fn a_day(credits: Credits) -> Quota {
    Quota {
        agent: None,
        window: Window::Day,
        count: None,
        credits: Some(credits),
    }
}

#[tokio::test]
async fn a_result_that_is_taken_over_is_not_charged_beyond_what_the_account_has() {
    on_both(async |place| {
        let rest = "costPerRun = 0.5\nreuse = \"account\"\nbilling = { cached = \"full\" }";
        let agents = vec![agent("a", rest)];
        let house = House::open(&place, &clock(), agents, performer(async |_| done())).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "1.1").await);
        for n in 1..=2 {
            let id = begin_like(engine, n, &ann).await;
            assert_status(&ended(engine, id).await, Status::Complete);
        }
        let third = begin_like(engine, 3, &ann).await;
        assert_status(&ended(engine, third).await, Status::Failed);
        let said = format!("{:?}", state(engine, third).await.steps[0].cause);
        assert!(said.contains("Account"), "{said}");
        let left = balance(engine, &ann).await.unwrap();
        assert_eq!((left.balance, left.debt), (credits("0.1"), Credits::ZERO));
        assert_sound(engine).await;
        house.close().await;
    })
    .await;
}

/// It needs no attempt, so a count of them does not keep it waiting; credits do.
#[tokio::test]
async fn a_result_that_is_taken_over_waits_for_its_quota() {
    on_both(async |place| {
        let rest = "costPerRun = 0.5\nreuse = \"account\"\nbilling = { cached = \"full\" }\nqueueTimeout = 864000000\ntotalTimeout = 864000000";
        let (clock, agents) = (clock(), vec![agent("a", rest)]);
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        let mut quota = a_day(credits("1.2"));
        quota.count = Some(1);
        set_quota(engine, &ann, quota).await.unwrap();
        for n in 1..=2 {
            let id = begin_like(engine, n, &ann).await;
            assert_status(&ended(engine, id).await, Status::Complete);
        }
        let third = begin_like(engine, 3, &ann).await;
        until("it is told what it waits for", async || {
            let why = wait_of(engine, &state(engine, third).await, 0).await;
            why.unwrap().is_some_and(|why| why.contains("a day"))
        })
        .await;
        assert_eq!(balance(engine, &ann).await.unwrap().charged, credits("1"));
        until("it ends on the next day", async || {
            clock.advance(Millis(3_600_000));
            state(engine, third).await.status().ended()
        })
        .await;
        assert_eq!(balance(engine, &ann).await.unwrap().charged, credits("1.5"));
        assert_sound(engine).await;
        house.close().await;
    })
    .await;
}

/// Each question is charged 0.3, and the day has room for one of the two.
#[tokio::test]
async fn a_conversation_waits_between_two_questions_for_the_credits_of_its_quota() {
    on_both(async |place| {
        let clock = clock();
        let sheet = looking(1, "usage = { output = 3000 }");
        let rest = "costMode = 'token-based'\nmaxOutputTokens = 3000\ntimeout = 864000000\nqueueTimeout = 864000000\ntotalTimeout = 864000000";
        let setup = billed(talks(&clock, vec![looker("a", rest)], models(&sheet)));
        let house = setup.open(&place).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        set_quota(engine, &ann, a_day(credits("0.4")))
            .await
            .unwrap();
        let id = begin_like(engine, 1, &ann).await;
        until("it waits for the next day", async || {
            clock.advance(Millis(1_000));
            let why = wait_of(engine, &state(engine, id).await, 0).await.unwrap();
            why.is_some_and(|why| why.contains("a day"))
        })
        .await;
        let used = quotas(engine, &ann).await.unwrap();
        assert_eq!(used[0].credits_used, credits("0.3"));
        until("it ends on that day", async || {
            clock.advance(Millis(3_600_000));
            state(engine, id).await.status().ended()
        })
        .await;
        let ended = state(engine, id).await;
        assert_status(&ended, Status::Complete);
        assert_eq!(ended.head.unwrap().cost, credits("0.6"));
        assert_sound(engine).await;
        house.close().await;
    })
    .await;
}

/// One that performs nothing, and has not found it itself.
#[tokio::test]
async fn another_replica_says_too_that_a_step_waits_for_its_accounts_credits() {
    on_both(async |place| {
        let (may_end, gate) = tokio::sync::watch::channel(false);
        let act = performer(move |_| {
            let mut gate = gate.clone();
            async move {
                let _ = gate.wait_for(|open| *open).await;
                done()
            }
        });
        let clock = clock();
        let house = House::open(&place, &clock, vec![agent("a", "costPerRun = 1")], act).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "1.5").await);
        let first = begin_like(engine, 1, &ann).await;
        crate::house::until_step(engine, first, "a", "running").await;
        let second = begin_like(engine, 2, &ann).await;
        let shell = Setup {
            scope: Scope::Nothing,
            ..Setup::new(&clock, Vec::new(), performer(async |_| done()))
        };
        let elsewhere = shell.engine(&place).await;
        let why = wait_of(&elsewhere, &state(&elsewhere, second).await, 0).await;
        let why = why.unwrap().unwrap();
        assert!(
            why.starts_with("it waits for credits: the account has 0.5"),
            "{why}"
        );
        may_end.send_replace(true);
        ended(engine, second).await;
        elsewhere.store.close().await;
        house.close().await;
    })
    .await;
}
