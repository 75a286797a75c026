//! Money: what attempts hold and are charged, on both databases, through replicas that share an account.

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::money::budget::AtLimit;
use domain::money::ledger::Kind;
use domain::money::usage::Usage;
use domain::orchestration::command::Command;
use domain::orchestration::event::Event;
use domain::orchestration::state::{Orchestration, Status};
use domain::values::credits::Credits;
use domain::values::ids::AccountId;
use domain::values::time::{Millis, Timestamp};
use engine::credits::{
    Balance, CreditsError, Filter, GrantOrder, adjust, balance, grant, history, of_orchestration,
    set_at_limit,
};
use engine::handle::Engine;
use engine::quotas::{Quota, Window, quotas, set_quota};

use crate::house::{
    House, after, agent, ask, assert_status, begin, begin_as, clock, done, ended, ended_in_time,
    events, failure, id, performer, state, step, submission, until,
};
use crate::place::on_both;

pub fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

/// An account of its own with so much.
pub async fn rich(engine: &Engine, name: &str, amount: &str) -> AccountId {
    let account = account(name);
    give(engine, &account, "first", amount).await;
    account
}

pub async fn give(engine: &Engine, account: &AccountId, key: &str, amount: &str) -> Balance {
    let order = GrantOrder {
        key: key.to_owned(),
        amount: credits(amount),
        priority: 50,
        expires_at: None,
        note: String::new(),
    };
    grant(engine, account, order).await.unwrap().balance
}

/// All registered agents for `account`.
pub async fn begin_for(
    engine: &Engine,
    n: u128,
    account: &AccountId,
) -> domain::values::ids::OrchestrationId {
    let mut wanted = submission(engine);
    wanted.account = account.clone();
    begin_as(engine, n, wanted).await.id
}

pub fn flat(id: &str, price: &str) -> AgentDefinition {
    agent(id, &format!("costPerRun = {price}"))
}

/// What moved the account's credits, oldest first: kind and change of the balance.
async fn moved(engine: &Engine, account: &AccountId) -> Vec<(Kind, String)> {
    let mut entries = history(engine, account, &Filter::default(), None, 1_000)
        .await
        .unwrap();
    entries.reverse();
    let shown = |entry: engine::credits::Entry| (entry.kind, entry.amount.to_string());
    entries.into_iter().map(shown).collect()
}

fn ended_as(state: &Orchestration, name: &str) -> &'static str {
    state.step(&step(name)).unwrap().1.state.name()
}

#[tokio::test]
async fn the_seeds_session_is_charged_at_its_agents_prices() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![
            flat("security-review", "0.5"),
            flat("performance-analysis", "0.4"),
        ];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(state.head.as_ref().unwrap().cost, credits("0.9"));
        let charges = of_orchestration(&house.engine, id).await.unwrap();
        let mut bases: Vec<_> = charges
            .iter()
            .map(|entry| entry.parts.unwrap().base.to_string())
            .collect();
        bases.sort();
        assert_eq!(bases, ["0.4", "0.5"]);
        let left = balance(&house.engine, &AccountId::system()).await.unwrap();
        assert_eq!((left.balance, left.held), (credits("999.1"), Credits::ZERO));
        assert_eq!(left.grants[0].key, "initial");
        house.close().await;
    })
    .await;
}

/// An agent that is charged by the token, at the price of gpt-4 in the table.
fn by_token(id: &str, rest: &str) -> AgentDefinition {
    agent(
        id,
        &format!("model = \"gpt-4\"\ncostMode = \"token-based\"\nestimatedTokens = 1000\n{rest}"),
    )
}

#[tokio::test]
async fn a_failed_attempt_is_charged_for_what_it_used_and_a_flat_price_only_for_a_result() {
    on_both(async |place| {
        let clock = clock();
        let act = performer(|assignment| async move {
            assignment.kept.note(&Usage::of_tokens(1_000));
            match (assignment.agent.id.as_str(), assignment.attempt) {
                (_, 1) => failure(ErrorClass::RateLimited),
                _ => done(),
            }
        });
        let agents = vec![by_token("reader", ""), flat("writer", "2")];
        let house = House::open(&place, &clock, agents, act).await;
        let id = begin(&house.engine, 1).await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        let charges = of_orchestration(&house.engine, id).await.unwrap();
        let mut told: Vec<_> = charges
            .iter()
            .map(|entry| {
                let step = entry.step.clone().unwrap();
                (step, entry.attempt.unwrap(), entry.amount.to_string())
            })
            .collect();
        told.sort();
        // 1,000 tokens of input of gpt-4 at 30 dollars a million.
        let expected = [
            ("reader", 1, "-0.03"),
            ("reader", 2, "-0.03"),
            ("writer", 2, "-2"),
        ];
        let expected = expected.map(|(step, n, amount)| (step.to_owned(), n, amount.to_owned()));
        assert_eq!(told, expected);
        assert_eq!(state.head.unwrap().cost, credits("2.06"));
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_the_account_has_not_stops_the_step_and_keeps_the_rest() {
    on_both(async |place| {
        let clock = clock();
        let agents = vec![
            flat("cheap", "1"),
            after("dear", &["cheap"], "costPerRun = 5"),
        ];
        let house = House::open(&place, &clock, agents, performer(async |_| done())).await;
        let account = rich(&house.engine, "poor", "3").await;
        let id = begin_for(&house.engine, 1, &account).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Partial);
        assert_eq!(
            (ended_as(&state, "cheap"), ended_as(&state, "dear")),
            ("completed", "failed")
        );
        let said = format!("{:?}", state.step(&step("dear")).unwrap().1.cause);
        assert!(said.contains("Account"), "{said}");
        let left = balance(&house.engine, &account).await.unwrap();
        assert_eq!((left.balance, left.held), (credits("2"), Credits::ZERO));
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn an_account_that_warns_goes_into_debt_and_one_that_pauses_waits_for_a_yes() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![flat("dear", "5")],
            performer(async |_| done()),
        )
        .await;
        let engine = &house.engine;
        let warned = rich(engine, "warned", "3").await;
        set_at_limit(engine, &warned, AtLimit::Warn).await.unwrap();
        let id = begin_for(engine, 1, &warned).await;
        assert_status(&ended(engine, id).await, Status::Complete);
        assert_eq!(balance(engine, &warned).await.unwrap().debt, credits("2"));
        let over = events(engine, id).await.into_iter().any(|recorded| {
            matches!(
                recorded.event,
                Event::AttemptStarted {
                    over_budget: true,
                    ..
                }
            )
        });
        assert!(over);
        // A grant pays the debt first.
        assert_eq!(
            give(engine, &warned, "more", "5").await.balance,
            credits("3")
        );

        let paused = rich(engine, "paused", "3").await;
        set_at_limit(engine, &paused, AtLimit::Pause).await.unwrap();
        let id = begin_for(engine, 2, &paused).await;
        crate::house::until_step(engine, id, "dear", "parked").await;
        // No yes is asked for: it goes on when there is enough.
        give(engine, &paused, "more", "2").await;
        assert_status(&ended(engine, id).await, Status::Complete);
        assert_eq!(
            balance(engine, &paused).await.unwrap().balance,
            Credits::ZERO
        );
        // A yes lets its next attempt begin all the same, and no other's.
        let third = begin_for(engine, 3, &paused).await;
        let fourth = begin_for(engine, 4, &paused).await;
        for id in [third, fourth] {
            crate::house::until_step(engine, id, "dear", "parked").await;
        }
        let yes = Command::Approve {
            step: step("dear"),
            by: "ann".to_owned(),
        };
        ask(engine, third, yes).await.unwrap();
        assert_status(&ended(engine, third).await, Status::Complete);
        assert_eq!(balance(engine, &paused).await.unwrap().debt, credits("5"));
        assert_eq!(ended_as(&state(engine, fourth).await, "dear"), "parked");
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_key_grants_once_and_what_cannot_be_meant_is_refused() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![flat("a", "1")],
            performer(async |_| done()),
        )
        .await;
        let (engine, ann) = (&house.engine, account("ann"));
        let order = |key: &str, amount: &str, expires_at| GrantOrder {
            key: key.to_owned(),
            amount: credits(amount),
            priority: 50,
            expires_at,
            note: "a gift".to_owned(),
        };
        assert!(
            grant(engine, &ann, order("k", "10", None))
                .await
                .unwrap()
                .new
        );
        let again = grant(engine, &ann, order("k", "10", None)).await.unwrap();
        assert_eq!((again.new, again.balance.balance), (false, credits("10")));
        let other = grant(engine, &ann, order("k", "11", None)).await;
        assert!(matches!(other, Err(CreditsError::Conflict(_))));
        let past = Some(Timestamp(engine.clock.now().0 - 1));
        for refused in [
            order("p", "1", past),
            order("n", "-1", None),
            order("z", "0", None),
        ] {
            let answer = grant(engine, &ann, refused).await;
            assert!(
                matches!(answer, Err(CreditsError::Refused(_))),
                "{answer:?}"
            );
        }
        let soon = Some(engine.clock.now() + Millis(1_000));
        grant(engine, &ann, order("soon", "5", soon)).await.unwrap();
        let less = adjust(engine, &ann, "fix".to_owned(), credits("-2"), String::new());
        assert_eq!(less.await.unwrap().balance.balance, credits("13"));
        clock.advance(Millis(61_000));
        // The correction was taken from what lapses first; the replica's sweep books the rest.
        until("what was left has lapsed", async || {
            balance(engine, &ann).await.unwrap().balance == credits("10")
        })
        .await;
        let kinds = moved(engine, &ann).await;
        let expected = [
            (Kind::Grant, "10"),
            (Kind::Grant, "5"),
            (Kind::Adjust, "-2"),
            (Kind::Expire, "-3"),
        ];
        assert_eq!(
            kinds,
            expected.map(|(kind, amount)| (kind, amount.to_owned()))
        );
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_quota_lets_so_many_start_and_the_rest_wait_for_its_next_time() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![flat("a", "1")],
            performer(async |_| done()),
        )
        .await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        let quota = Quota {
            agent: None,
            window: Window::Hour,
            count: Some(2),
            credits: None,
        };
        set_quota(engine, &ann, quota).await.unwrap();
        for n in 1..=3 {
            begin_for(engine, n, &ann).await;
        }
        until("two have ended", async || {
            let mut count = 0;
            for n in 1..=3 {
                count += usize::from(state(engine, id(n)).await.status().ended());
            }
            count == 2
        })
        .await;
        let used = quotas(engine, &ann).await.unwrap();
        assert_eq!((used[0].count_used, used[0].quota.count), (2, Some(2)));
        for n in 1..=3 {
            let state = state(engine, id(n)).await;
            let why = engine::waits::wait_of(engine, &state, 0).await.unwrap();
            assert_eq!(why.is_none(), state.status().ended());
            assert!(why.is_none_or(|why| why.contains("2 attempts an hour")));
        }
        let wait = used[0].window_ends - engine.clock.now();
        clock.advance(wait);
        for n in 1..=3 {
            ended_in_time(engine, &clock, id(n)).await;
        }
        let too_dear = Quota {
            agent: None,
            window: Window::Day,
            count: None,
            credits: Some(credits("0.5")),
        };
        set_quota(engine, &ann, too_dear).await.unwrap();
        let id = begin_for(engine, 9, &ann).await;
        // It would not fit in any day: waiting helps nobody, and its failure says which quota it was.
        assert_status(&ended(engine, id).await, Status::Failed);
        let failed = events(engine, id).await.into_iter().find_map(|recorded| {
            if let Event::StepFailed { cause, .. } = recorded.event {
                Some(cause.to_string())
            } else {
                None
            }
        });
        assert_eq!(failed.unwrap(), "a quota is used up: 0.5 credits a day");
        house.close().await;
    })
    .await;
}

/// What an agent outside tells of its usage counts however its attempt ends: in an error's body, over a stream that hangs
/// until its time is over, by kind in its result; and a count beyond belief is estimated.
#[tokio::test]
async fn usage_that_an_agent_outside_tells_is_charged_however_its_attempt_ends() {
    use crate::stub::{Said, Stub, json};
    let stub = Stub::open(
        |asked, before| match (asked.path.contains("liar"), before) {
            (true, _) => json(serde_json::json!({"tokensUsed": 9_223_372_036_854_775_808_u64})),
            (false, 0) => Said::Whole(500, "", r#"{"error":"no","tokensUsed":100}"#.to_owned()),
            (false, 1) => {
                let line = "{\"type\":\"usage\",\"data\":{\"tokensUsed\":50}}\n";
                Said::Begun("application/x-ndjson", line.to_owned())
            }
            (false, _) => json(serde_json::json!({
                "done": true,
                "usage": {"inputTokens": 10, "outputTokens": 20},
            })),
        },
    )
    .await;
    let place = crate::place::Place::sqlite();
    let clock = clock();
    let fields = "inputSchema = { fields = ['plan'] }";
    let agents = vec![
        by_token("reader", &format!("{fields}\ntimeout = 2000")),
        by_token("liar", &format!("{fields}\ndependencies = [\"reader\"]")),
    ];
    let house = crate::outside::house(&place, &clock, agents, &stub).await;
    let id = crate::outside::begin(&house.engine, 1).await;
    let state = ended_in_time(&house.engine, &clock, id).await;
    assert_status(&state, Status::Complete);
    let charges = of_orchestration(&house.engine, id).await.unwrap();
    let told: Vec<_> = charges
        .iter()
        .map(|entry| {
            let parts = entry.parts.unwrap();
            (
                entry.attempt.unwrap(),
                parts.llm_tokens.to_string(),
                parts.estimated,
            )
        })
        .collect();
    // 30 dollars a million of input, 60 of output; 1,000 tokens are estimated where none can be believed.
    let expected = [
        (1, "0.003", false),
        (2, "0.0015", false),
        (3, "0.0015", false),
        (1, "0.03", true),
    ];
    assert_eq!(
        told,
        expected.map(|(n, amount, estimated)| (n, amount.to_owned(), estimated))
    );
    house.close().await;
}

/// PlanExe's operators find each charge under its identity, for the user on whose behalf it was made.
#[tokio::test]
async fn charges_are_rows_of_planexes_credit_history() {
    on_both(async |place| {
        let clock = clock();
        let house = House::open(
            &place,
            &clock,
            vec![flat("a", "0.5")],
            performer(async |_| done()),
        )
        .await;
        let engine = &house.engine;
        let mut wanted = submission(engine);
        let user = uuid::Uuid::from_u128(7);
        wanted.request.user = Some(user.to_string());
        let id = begin_as(engine, 1, wanted).await.id;
        ended(engine, id).await;
        let system = AccountId::system();
        let rows = engine::planexe_credits::rows(engine, &system, 0, 10);
        let rows = rows.await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].external_id, format!("{id}:a:1:0"));
        assert_eq!(
            (rows[0].user_id, rows[0].delta),
            (Some(user), credits("-0.5"))
        );
        house.close().await;
    })
    .await;
}
