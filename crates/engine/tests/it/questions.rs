//! Conversations at the limits of their providers and of their money, question by question.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::money::prices::Prices;
use domain::orchestration::event::Event;
use domain::orchestration::evolve::fold;
use domain::orchestration::state::{Orchestration, Status};
use domain::orchestration::turns::Asked;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::time::{Millis, Timestamp};
use engine::clock::ManualClock;
use engine::credits::{balance, of_orchestration};
use engine::handle::Engine;
use engine::sharing::{Limits, ProviderLimits, Sharing};
use engine::waits::wait_of;
use providers::models::Models;
use providers::models::scripted::CueSheet;
use providers::models::settings::ModelsSettings;
use providers::outgoing::OutgoingSettings;

use crate::converse::{models, talker, talks};
use crate::house::{
    House, START, Setup, agent, assert_sound, assert_status, begin_as, clock, ended_in_time,
    events, state, submission, until,
};
use crate::money::{credits, give};
use crate::place::on_both;

/// 10 dollars a million read, 100 written; the other one costs ten times as much.
const PRICES: &str = "version = \"t\"\ndate = \"2026-01-01\"\nsource = \"the test\"\n[models]\n\
                      demo = { input = 10, output = 100 }\nother = { input = 100, output = 1000 }";

pub(crate) fn limited(all: Limits) -> Sharing {
    let of = ProviderLimits {
        all,
        models: BTreeMap::new(),
    };
    Sharing {
        providers: BTreeMap::from([("scripted".to_owned(), of)]),
        ..Sharing::default()
    }
}

/// A sheet by which a conversation looks at the plan `looks` times before it says something.
pub(crate) fn looking(looks: u32, more: &str) -> String {
    format!(
        "[[answers]]\nturn = {}\ntext = 'That is all.'\n{more}\n[[answers]]\ncalls = [{{ name = 'list_artifacts' }}]\n{more}",
        looks + 1
    )
}

pub(crate) fn looker(id: &str, rest: &str) -> AgentDefinition {
    talker(id, &format!("toolNames = ['list_artifacts']\n{rest}"))
}

async fn begin_for(engine: &Engine, account: &str, n: u128) -> OrchestrationId {
    let mut wanted = submission(engine);
    wanted.account = AccountId::new(account).unwrap();
    begin_as(engine, n, wanted).await.id
}

/// When the answers of its models were recorded.
async fn answered(engine: &Engine, id: OrchestrationId) -> Vec<Timestamp> {
    let all = events(engine, id).await.into_iter();
    let of_models = all.filter(|recorded| {
        let asked = match &recorded.event {
            Event::TurnRecorded { asked, .. } => *asked,
            _ => return false,
        };
        asked == Asked::Model
    });
    of_models.map(|recorded| recorded.at).collect()
}

async fn all_end(
    engine: &Engine,
    clock: &ManualClock,
    ids: &[OrchestrationId],
) -> Vec<Orchestration> {
    let mut ends = Vec::new();
    for id in ids {
        ends.push(ended_in_time(engine, clock, *id).await);
    }
    ends
}

async fn no_place_is_taken(engine: &Engine) {
    let keys = ["asks/scripted", "asks/scripted/demo"];
    assert_eq!(engine.store.counters(&keys).await.unwrap(), BTreeMap::new());
}

/// Two a minute, and three conversations of three questions each, at two replicas: nine questions, no minute with a third.
#[tokio::test(flavor = "multi_thread")]
async fn each_question_counts_for_the_minute_and_what_waits_long_is_back_in_the_queue() {
    on_both(async |place| {
        let (clock, sheet) = (clock(), looking(2, "usage = { input = 100 }"));
        let sharing = limited(Limits {
            requests_per_minute: Some(2),
            ..Limits::default()
        });
        let house = async || {
            let mut setup = talks(
                &clock,
                vec![looker("a", "totalTimeout = 3600000")],
                models(&sheet),
            );
            setup.sharing = sharing.clone();
            setup.open(&place).await
        };
        let houses = [house().await, house().await];
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(begin_for(&houses[n as usize % 2].engine, "system", n).await);
        }
        let mut times = Vec::new();
        let mut attempts = 0;
        for end in all_end(&houses[0].engine, &clock, &ids).await {
            assert_status(&end, Status::Complete);
            assert_eq!(end.steps[0].retries, 0);
            attempts += end.steps[0].attempt;
        }
        for id in ids {
            let of_one = answered(&houses[0].engine, id).await;
            assert_eq!(of_one.len(), 3, "none is asked twice");
            times.extend(of_one);
        }
        times.sort();
        for window in times.windows(3) {
            assert!(window[2] - window[0] >= Millis(55_000), "{times:?}");
        }
        assert!(attempts > 3, "none went back to the queue");
        no_place_is_taken(&houses[0].engine).await;
        for house in houses {
            assert_sound(&house.engine).await;
            house.close().await;
        }
    })
    .await;
}

/// One question at a time: who is between two of its questions is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_holds_a_place_only_while_its_question_is_under_way() {
    on_both(async |place| {
        let (clock, sheet) = (clock(), looking(4, ""));
        let mut setup = talks(
            &clock,
            vec![looker("a", "timeout = 3600000\ntotalTimeout = 7200000")],
            models(&sheet),
        );
        setup.sharing = limited(Limits {
            concurrency: Some(1),
            ..Limits::default()
        });
        let house = setup.open(&place).await;
        let engine = &house.engine;
        let first = begin_for(engine, "system", 1).await;
        let second = begin_for(engine, "system", 2).await;
        for end in all_end(engine, &clock, &[first, second]).await {
            assert_status(&end, Status::Complete);
            assert_eq!(end.steps[0].retries, 0);
        }
        for id in [first, second] {
            let log = events(engine, id).await;
            let asks = |count: usize| fold(&log[..count]).steps[0].model.is_some();
            for (place, recorded) in log.iter().enumerate() {
                let answers = matches!(
                    &recorded.event,
                    Event::TurnRecorded {
                        asked: Asked::Model,
                        ..
                    }
                );
                if answers {
                    assert!(asks(place) && !asks(place + 1), "{:?}", recorded.event);
                }
            }
        }
        no_place_is_taken(engine).await;
        house.close().await;
    })
    .await;
}

/// Nothing is configured, and yet whoever said 429 is left alone by the other replica too.
#[tokio::test(flavor = "multi_thread")]
async fn a_429_in_a_conversation_closes_the_model_for_all_and_uses_no_retry() {
    on_both(async |place| {
        let clock = clock();
        let sheet = |said: &str| {
            format!("{said}\n[[answers]]\ntext = 'All is well.'")
        };
        let limited = "[[answers]]\ntimes = 1\nerror = { class = 'rate_limited', message = 'slow down', retryAfter = 60000 }";
        let house = async |sheet: String| {
            talks(&clock, vec![talker("a", "")], models(&sheet)).open(&place).await
        };
        let houses = [house(sheet(limited)).await, house(sheet("")).await];
        let first = begin_for(&houses[0].engine, "system", 1).await;
        until("the first one is told to come back", async || {
            state(&houses[0].engine, first).await.steps[0].last_error.is_some()
        })
        .await;
        let second = begin_for(&houses[1].engine, "system", 2).await;
        for _ in 0..11 {
            clock.advance(Millis(5_000));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let waiting = state(&houses[1].engine, second).await;
        assert_eq!(waiting.steps[0].attempt, 0, "it asks although it said 429");
        let why = wait_of(&houses[1].engine, &waiting, 0).await.unwrap().unwrap();
        assert!(why.contains("`scripted/demo`"), "{why}");
        let ends = all_end(&houses[1].engine, &clock, &[first, second]).await;
        for end in &ends {
            assert_status(end, Status::Complete);
            assert_eq!(end.steps[0].retries, 0);
        }
        assert_eq!(ends[0].steps[0].attempt, 2);
        for house in houses {
            house.close().await;
        }
    })
    .await;
}

fn two_models(demo: &str, other: &str) -> Models {
    let sheet = |text: &str| CueSheet::read(text).unwrap();
    let settings = ModelsSettings {
        scripted: BTreeMap::from([
            ("demo".to_owned(), sheet(demo)),
            ("other".to_owned(), sheet(other)),
        ]),
        ..ModelsSettings::default()
    };
    Models::new(settings, OutgoingSettings::default(), &|_| None).unwrap()
}

pub(crate) fn billed(mut setup: Setup) -> Setup {
    setup.billing.prices = Arc::new(Prices::from_toml(PRICES).unwrap());
    setup
}

/// The first model answers once and is down then; who names none asks the configured one.
#[tokio::test]
async fn each_answer_is_billed_at_the_rates_of_the_model_that_gave_it() {
    on_both(async |place| {
        let clock = clock();
        let demo = "[[answers]]\nturn = 1\ncalls = [{ name = 'list_artifacts' }]\nusage = { input = 1000, output = 10 }\n\
                    [[answers]]\nerror = { class = 'fatal', message = 'down' }";
        let other = "[[answers]]\ntext = 'All is well.'\nusage = { input = 2000, output = 20 }";
        let rest = "costMode = 'token-based'\nceiling = 1\nfallbackModels = ['scripted/other']";
        let bare = agent("a", &format!(
            "executor = {{ kind = 'model' }}\nmaxRetries = 0\ntoolNames = ['list_artifacts']\n{rest}"
        ).replace("fallbackModels = ['scripted/other']", ""));
        let named = looker("a", rest);
        let expected = [
            // 1000 x 10 + 10 x 100, and 2000 x 100 + 20 x 1000, of a million.
            (named, "scripted/none", demo, "0.231"),
            // By the configured default alone.
            (bare, "scripted/other", demo, "0.22"),
        ];
        for (n, (definition, default, demo, cost)) in (1..).zip(expected) {
            let mut setup = billed(talks(&clock, vec![definition], two_models(demo, other)));
            setup.outside.default_model = Some(default.to_owned());
            let house = setup.open(&place).await;
            let id = begin_for(&house.engine, "system", n).await;
            assert_status(&ended_in_time(&house.engine, &clock, id).await, Status::Complete);
            let charges = of_orchestration(&house.engine, id).await.unwrap();
            let parts: Vec<_> = charges.iter().map(|entry| entry.parts.unwrap()).collect();
            let tokens: Vec<_> = parts.iter().map(|parts| parts.llm_tokens).collect();
            assert_eq!(tokens, [credits(cost)]);
            assert!(parts.iter().all(|parts| !parts.estimated));
            house.close().await;
        }
    })
    .await;
}

/// Eight conversations that say beforehand nothing of what they will cost, at two replicas, and credits for three of their 16
/// questions.
#[tokio::test(flavor = "multi_thread")]
async fn conversations_side_by_side_do_not_pass_what_their_account_has() {
    on_both(async |place| {
        let clock = clock();
        let sheet = looking(1, "usage = { output = 3000 }\npause = 5");
        let house = async || {
            let rest = "costMode = 'token-based'\nmaxOutputTokens = 3000";
            billed(talks(&clock, vec![looker("a", rest)], models(&sheet)))
                .open(&place)
                .await
        };
        let houses: [House; 2] = [house().await, house().await];
        let engine = &houses[0].engine;
        let acme = AccountId::new("acme").unwrap();
        give(engine, &acme, "once", "1.05").await;
        let mut ids = Vec::new();
        for n in 0..8 {
            ids.push(begin_for(&houses[n as usize % 2].engine, "acme", n).await);
        }
        let ends = all_end(engine, &clock, &ids).await;
        assert!(ends.iter().all(|end| end.status().ended()));
        let left = balance(engine, &acme).await.unwrap();
        assert_eq!(left.held, Credits::ZERO);
        assert!(
            left.charged <= credits("1.05"),
            "{} of 1.05 were charged",
            left.charged
        );
        assert!(left.charged >= credits("0.6"), "{}", left.charged);
        for house in houses {
            assert_sound(&house.engine).await;
            house.close().await;
        }
    })
    .await;
}

/// The budget has room for one question; a yes lets it go on from there, and nothing is asked twice.
#[tokio::test]
async fn a_conversation_that_comes_to_a_budget_that_asks_goes_on_when_a_person_says_yes() {
    on_both(async |place| {
        let clock = clock();
        let sheet = looking(1, "usage = { output = 3000 }");
        let rest = "costMode = 'token-based'\nmaxOutputTokens = 3000\nbudget = { max = 0.4, atLimit = 'pause' }";
        let house = billed(talks(&clock, vec![looker("a", rest)], models(&sheet))).open(&place).await;
        let engine = &house.engine;
        let id = begin_for(engine, "system", 1).await;
        until("it asks", async || state(engine, id).await.steps[0].short.is_some()).await;
        let parked = state(engine, id).await;
        assert_eq!(parked.steps[0].charged, credits("0.3"));
        let yes = domain::orchestration::command::Command::Approve {
            step: crate::house::step("a"),
            by: "somebody".to_owned(),
        };
        crate::house::ask(engine, id, yes).await.unwrap();
        assert_status(&ended_in_time(engine, &clock, id).await, Status::Complete);
        assert_eq!(answered(engine, id).await.len(), 2);
        assert_eq!(state(engine, id).await.head.unwrap().cost, credits("0.6"));
        assert_sound(engine).await;
        house.close().await;
    })
    .await;
}

/// One replica's clock was an hour ahead for one question, and is right again.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_an_hour_ahead_does_not_shut_the_provider_for_an_hour() {
    on_both(async |place| {
        let clock = clock();
        let mut setup = talks(
            &clock,
            vec![talker("a", "")],
            models("[[answers]]\ntext = 'Well.'"),
        );
        setup.sharing = limited(Limits {
            requests_per_minute: Some(20),
            tokens_per_minute: Some(10_000),
            ..Limits::default()
        });
        let house = setup.open(&place).await;
        clock.set(START + Millis(3_600_000));
        let ahead = begin_for(&house.engine, "system", 1).await;
        until("it has ended", async || {
            state(&house.engine, ahead).await.status().ended()
        })
        .await;
        clock.set(START);
        let second = begin_for(&house.engine, "system", 2).await;
        let end = ended_in_time(&house.engine, &clock, second).await;
        assert_status(&end, Status::Complete);
        let waited = end.steps[0].ended_at.unwrap() - START;
        assert!(waited <= Millis(125_000), "{waited:?}");
        house.close().await;
    })
    .await;
}

/// The first question is counted with the start, each other one with the turn before it, and what it holds too.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_a_limit_and_at_a_price_commits_no_more_often() {
    on_both(async |place| {
        let mut commits = Vec::new();
        for (n, sharing) in [Sharing::default(), limited(TWENTY_AT_A_TIME)]
            .into_iter()
            .enumerate()
        {
            let (clock, sheet) = (clock(), looking(4, "usage = { input = 100 }"));
            let priced = "costMode = 'token-based'\ntimeout = 3600000";
            let agents = vec![looker("a", if n == 0 { "" } else { priced })];
            let mut setup = talks(&clock, agents, models(&sheet));
            setup.sharing = sharing;
            let house = setup.open(&place).await;
            let engine = &house.engine;
            let id = begin_for(engine, "system", n as u128).await;
            until("it has ended", async || {
                state(engine, id).await.status().ended()
            })
            .await;
            let row = engine.store.orchestration(*id.0.as_bytes()).await;
            commits.push(row.unwrap().unwrap().version);
            let started = events(engine, id).await.into_iter();
            let counted = started.filter(|recorded| {
                matches!(
                    &recorded.event,
                    Event::AttemptStarted { model: Some(_), .. }
                )
            });
            assert_eq!(counted.count(), n, "with the start");
            house.close().await;
        }
        assert!(commits[1] <= commits[0] + 1, "{commits:?}");
    })
    .await;
}

const TWENTY_AT_A_TIME: Limits = Limits {
    requests_per_minute: None,
    tokens_per_minute: None,
    concurrency: Some(20),
};

/// Five questions of which each was expected to use 1,000 tokens, and used 100.
#[tokio::test(flavor = "multi_thread")]
async fn what_questions_were_expected_to_use_is_set_right_by_what_they_used() {
    on_both(async |place| {
        let (clock, sheet) = (clock(), looking(4, "usage = { input = 100 }"));
        let agents = vec![looker("a", "estimatedTokens = 1000\ntimeout = 3600000")];
        let mut setup = talks(&clock, agents, models(&sheet));
        setup.sharing = limited(Limits {
            tokens_per_minute: Some(100_000),
            ..Limits::default()
        });
        let house = setup.open(&place).await;
        let engine = &house.engine;
        let id = begin_for(engine, "system", 1).await;
        until("it has ended", async || {
            state(engine, id).await.status().ended()
        })
        .await;
        assert_eq!(answered(engine, id).await.len(), 5);
        let key = "tokens/scripted";
        let held = engine.store.counters(&[key]).await.unwrap();
        let owed = held[key] - 1_000 * START.0;
        // At 90,001 a minute 500 take a third of a second, and 5,000 would take 3.3.
        let a_third = (330_000_000..340_000_000).contains(&owed);
        assert!(a_third, "{owed} nanoseconds");
        house.close().await;
    })
    .await;
}
