//! What steps may cost, reckoned from what past ones did cost: their failed and retried attempts among it.

use domain::agent::definition::AgentDefinition;
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::values::credits::Credits;
use domain::values::ids::AgentId;
use engine::forecast::forecast;
use serde_json::json;

use crate::converse::{talker, talks};
use crate::converse_bounds::begin_one;
use crate::converse_children::calls;
use crate::converse_models::openai;
use crate::house::{
    House, agent, assert_status, clock, done, ended, ended_in_time, failure, id, performer,
    submission,
};
use crate::money::{begin_for, credits, rich};
use crate::place::on_both;
use crate::stub::Stub;

/// Attempts that the n-th orchestration's step takes: every third fails once, every seventh for good.
fn attempts(n: u128) -> u32 {
    match n {
        n if n.is_multiple_of(7) => 3,
        n if n.is_multiple_of(3) => 2,
        _ => 1,
    }
}

/// What its step is charged: n thousand tokens of gpt-4 each attempt, 0.03 credits a thousand.
fn cost(n: u128) -> i64 {
    30_000_000 * n as i64 * i64::from(attempts(n))
}

#[tokio::test]
async fn past_steps_count_with_all_that_their_attempts_were_charged() {
    const PAST: u128 = 20;
    on_both(async |place| {
        let clock = clock();
        let act = performer(async |assignment| {
            let n = assignment.orchestration.0.as_u128() - id(0).0.as_u128();
            assignment.kept.note(&Usage::of_tokens(1_000 * n as u64));
            let fails = n.is_multiple_of(7) || assignment.attempt < attempts(n);
            if fails {
                failure(ErrorClass::Transient)
            } else {
                done()
            }
        });
        let reader = "model = \"gpt-4\"\ncostMode = \"token-based\"\nceiling = 1\nmaxRetries = 2";
        let house = House::open(&place, &clock, vec![agent("a", reader)], act).await;
        let (engine, ann) = (&house.engine, rich(&house.engine, "ann", "100").await);
        let bob = rich(engine, "bob", "100").await;
        let ahead = || {
            let mut wanted = submission(engine);
            wanted.account = ann.clone();
            wanted
        };
        for n in 1..=PAST {
            begin_for(engine, n, &ann).await;
            ended_in_time(engine, &clock, id(n)).await;
        }
        // What others are charged says nothing of Ann's.
        begin_for(engine, 40, &bob).await;
        ended_in_time(engine, &clock, id(40)).await;
        let told = forecast(engine, ahead()).await.unwrap();
        let figures = told.steps[0].forecast.figures;
        let mut costs: Vec<i64> = (1..=PAST).map(cost).collect();
        costs.sort_unstable();
        assert_eq!(figures.expected, mean(1..=PAST));
        // The second and the twentieth of twenty: 0.05 and 0.95 of 21, rounded up.
        assert_eq!(figures.low.nano(), costs[1]);
        assert_eq!(figures.p95.nano(), costs[19]);
        // Three attempts of a credit each.
        assert_eq!(figures.worst, credits("3"));
        let events = engine.store.orchestrations_after(None, 100).await.unwrap();
        assert_eq!(events.len(), 21, "a forecast begins nothing");
        house.close().await;
    })
    .await;
}

fn mean(of: std::ops::RangeInclusive<u128>) -> Credits {
    let count = of.clone().count() as i64;
    Credits::from_nano(of.map(cost).sum::<i64>() / count)
}

/// An agent that spawns others costs what they cost too, as it did before; and to tell that no model is asked.
#[tokio::test]
async fn what_children_cost_before_is_in_their_parents_forecast() {
    const PAST: usize = 19;
    on_both(async |place| {
        let clock = clock();
        // In each orchestration: the chief spawns a scout, the scout gives what it has, and so does the chief.
        let provider = Stub::open(|_, before| match before % 3 {
            0 => {
                let one = json!({"agent_type": "scout", "prompt": "Look."});
                calls("spawn_agents", &json!({"agents": [one]}))
            }
            _ => calls("set_output", &json!({"seen": true})),
        })
        .await;
        let of = |id: &str, rest: &str| AgentDefinition {
            model: Some("stub/m".to_owned()),
            ..talker(
                id,
                &format!(
                    "outputMode = 'structured_output'\noutputSchema = {{ schema = {{ type = 'object' }} }}\n{rest}"
                ),
            )
        };
        let agents = vec![
            of(
                "chief",
                "costPerRun = 0.1\ntoolNames = ['spawn_agents', 'set_output']\nspawnableAgents = ['scout']",
            ),
            of(
                "scout",
                "costPerRun = 0.25\ntoolNames = ['set_output']\ninputSchema = { prompt = { type = 'string' } }\nonRequest = true",
            ),
        ];
        let house = talks(&clock, agents, openai(&provider)).open(&place).await;
        let engine = &house.engine;
        let chief = || {
            let mut wanted = submission(engine);
            wanted.wanted = Wanted::Named(vec![AgentId::new("chief").unwrap()]);
            wanted
        };
        let told = forecast(engine, chief()).await.unwrap();
        assert_eq!(told.steps[0].forecast.figures.expected, credits("0.1"));
        assert_eq!(provider.asked().len(), 0, "a forecast asks no model");
        for n in 1..=PAST as u128 {
            let id = begin_one(engine, n, "chief").await;
            let state = ended(engine, id).await;
            assert_status(&state, Status::Complete);
            assert_eq!(state.head.unwrap().cost, credits("0.35"));
        }
        let told = forecast(engine, chief()).await.unwrap();
        let figures = told.steps[0].forecast.figures;
        let all = credits("0.35");
        assert_eq!((figures.expected, figures.p95), (all, all), "{figures:?}");
        assert_eq!(told.total.expected, all);
        assert_eq!(provider.asked().len(), 3 * PAST);
        house.close().await;
    })
    .await;
}
