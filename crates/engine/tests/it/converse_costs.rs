//! What conversations cost: turns that an earlier attempt paid for, and children that live on their parent's budget.

use std::sync::Arc;

use domain::agent::asking::{Finish, ModelAnswer, Piece};
use domain::agent::conversation::asks::Answer;
use domain::agent::definition::AgentDefinition;
use domain::money::ledger::Kind;
use domain::money::prices::Prices;
use domain::money::usage::Usage;
use domain::orchestration::command::{Command, Holder};
use domain::orchestration::event::{EndedAs, Event};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Status, StepState};
use domain::orchestration::turns::{Asked, NewTurn};
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId, OrchestrationId};
use engine::clock::ManualClock;
use engine::credits::{Filter, balance, history_from, of_orchestration};
use engine::handle::Engine;
use engine::replica::Replica;
use engine::transition::transition;

use crate::converse::{models, talker, talks};
use crate::house::{
    House, Setup, ask, assert_status, begin_as, clock, ended_in_time, events, given, holder, step,
    step_state, submission,
};
use crate::money::{credits, give};
use crate::place::{Place, on_both};

/// What the scripted model's tokens cost: 10 dollars a million read, 100 written.
const PRICES: &str = "version = \"t\"\ndate = \"2026-01-01\"\nsource = \"the test\"\n[models]\ndemo = { input = 10, output = 100 }";

fn setup(clock: &ManualClock, agents: Vec<AgentDefinition>, sheet: &str) -> Setup {
    let mut setup = talks(clock, agents, models(sheet));
    setup.billing.prices = Arc::new(Prices::from_toml(PRICES).unwrap());
    setup
}

async fn house(
    place: &Place,
    clock: &ManualClock,
    agents: Vec<AgentDefinition>,
    sheet: &str,
) -> House {
    setup(clock, agents, sheet).open(place).await
}

/// One agent's orchestration.
async fn begin_one(engine: &Engine, n: u128, agent: &str) -> OrchestrationId {
    let mut wanted = submission(engine);
    wanted.wanted = Wanted::Named(vec![AgentId::new(agent).unwrap()]);
    begin_as(engine, n, wanted).await.id
}

/// What each attempt was charged for tokens and for tools.
async fn charged(engine: &Engine, id: OrchestrationId) -> Vec<(String, String)> {
    let charges = of_orchestration(engine, id).await.unwrap();
    let parts = charges.iter().map(|entry| entry.parts.unwrap());
    let shown = parts.map(|parts| {
        (
            parts.llm_tokens.to_string(),
            parts.tool_executions.to_string(),
        )
    });
    shown.collect()
}

/// The second attempt goes on from the turns of the first: it pays for them where its agent's billing says so, and only then.
#[tokio::test]
async fn a_turn_that_was_paid_for_is_charged_again_only_where_that_is_declared() {
    on_both(async |place| {
        let clock = clock();
        let of = |name: &str| {
            format!(
                "
                [[answers]]
                system = 'You are {name}.'
                turn = 1
                times = 1
                calls = [{{ name = 'list_artifacts' }}]
                usage = {{ input = 100, output = 10 }}
                [[answers]]
                system = 'You are {name}.'
                turn = 2
                times = 1
                error = {{ class = 'transient', message = 'hung up' }}
                [[answers]]
                system = 'You are {name}.'
                turn = 2
                text = 'Here I am again.'
                usage = {{ input = 150, output = 5 }}"
            )
        };
        let sheet = of("once") + &of("again");
        let rest = "costMode = 'token-based'\nceiling = 1\ntoolNames = ['list_artifacts']\ntoolRates = { list_artifacts = 0.5 }\nllmRetries = 0";
        let retried = |id: &str, more: &str| AgentDefinition {
            max_retries: 1,
            ..talker(
                id,
                &format!("systemPrompt = 'You are {id}.'\n{rest}\n{more}"),
            )
        };
        let agents = vec![
            retried("once", ""),
            retried("again", "billing = { replayed = 'full' }"),
        ];
        let house = self::house(&place, &clock, agents, &sheet).await;
        let engine = &house.engine;
        // 100 x 10 + 10 x 100 and 150 x 10 + 5 x 100 of a million.
        for (n, agent, second) in [
            (1, "once", ("0.002", "0")),
            (2, "again", ("0.004", "0.5")),
        ] {
            let id = begin_one(engine, n, agent).await;
            let state = ended_in_time(engine, &clock, id).await;
            assert_status(&state, Status::Complete);
            let expected = [("0.002", "0.5"), second];
            let expected = expected.map(|(tokens, tools)| (tokens.to_owned(), tools.to_owned()));
            assert_eq!(charged(engine, id).await, expected, "{agent}");
        }
        house.close().await;
    })
    .await;
}

/// An attempt was lost after its last turn was recorded: the next one has nothing left to ask. It is not charged by estimate
/// for what the first one paid.
#[tokio::test]
async fn an_attempt_that_only_takes_up_what_was_paid_for_is_charged_nothing() {
    on_both(async |place| {
        let clock = clock();
        let rest = "costMode = 'token-based'\nestimatedTokens = 1000\ncostPerRun = 3\nceiling = 1";
        let sheet = "[[answers]]\ntext = 'Asked again.'\nusage = { input = 100 }";
        let agents = vec![talker("a", rest)];
        let engine = setup(&clock, agents, sheet).engine(&place).await;
        let id = begin_one(&engine, 1, "a").await;
        give(&engine, &AccountId::system(), "before any replica", "5").await;
        // Somebody else has it, records the only turn, and is gone.
        let gone = Holder {
            id: holder(),
            epoch: 1,
        };
        let step = step("a");
        let start = Command::Start {
            step: step.clone(),
            holder: gone,
        };
        ask(&engine, id, start).await.unwrap();
        let usage = Usage {
            input: 100,
            output: 10,
            ..Usage::default()
        };
        let answer = Answer::Model(Ok(ModelAnswer {
            model: "demo".to_owned(),
            pieces: vec![Piece::Text {
                text: "All is well.".to_owned(),
            }],
            finish: Finish::Stop,
            usage: usage.clone(),
        }));
        let (data, blob) = engine::project::blob(serde_json::to_vec(&answer).unwrap());
        let turn = NewTurn {
            turn: 1,
            asked: Asked::Model,
            model: Some("demo".to_owned()),
            calls: Vec::new(),
            missing: Vec::new(),
            data,
            usage,
            tokens: None,
        };
        let record = Command::RecordTurn {
            step,
            attempt: 1,
            holder: gone,
            turn: Box::new(turn),
        };
        transition(&engine, id, record, vec![blob]).await.unwrap();
        let replica = Replica::start(&engine, holder(), "test").await.unwrap();
        let house = House { engine, replica };
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        let gave = given(&house.engine, id, &state, "a").await.to_string();
        assert!(gave.contains("All is well."), "{gave}");
        let paid = vec![("0.002".to_owned(), "0".to_owned())];
        assert_eq!(charged(&house.engine, id).await, paid);
        house.close().await;
    })
    .await;
}

/// Children hold and are charged within what their parent may still spend, and by its account; it is charged its own.
#[tokio::test]
async fn children_spend_their_parents_budget_and_the_accounts_credits_once() {
    on_both(async |place| {
        let sheet = "
            [[answers]]
            system = 'You are the chief.'
            turn = 1
            calls = [{ name = 'spawn_agents', input = { agents = [
                { agent_type = 'scout', prompt = 'North.' }, { agent_type = 'scout', prompt = 'South.' },
                { agent_type = 'scout', prompt = 'West.' }] } }]
            [[answers]]
            system = 'You are the chief.'
            text = 'I have heard all.'
            [[answers]]
            text = 'Nothing there.'";
        let chief = "systemPrompt = 'You are the chief.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout']\n\
                     costPerRun = 0.25\nbudget = { max = 2.5, atLimit = 'stop' }";
        let scout = "costPerRun = 1\ninputSchema = { prompt = { type = 'string' } }";
        let agents = vec![talker("chief", chief), talker("scout", scout)];
        let clock = clock();
        let house = self::house(&place, &clock, agents, sheet).await;
        let engine = &house.engine;
        // Told before: whatever it spawns lives on its budget.
        let mut ahead = submission(engine);
        ahead.wanted = Wanted::Named(vec![AgentId::new("chief").unwrap()]);
        let told = engine::forecast::forecast(engine, ahead).await.unwrap();
        assert_eq!(told.total.worst, credits("2.5"));
        assert_eq!(told.steps[0].unbounded, None);
        let id = begin_one(engine, 1, "chief").await;
        let state = ended_in_time(engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        let ends = ["chief.1", "chief.2", "chief.3"].map(|step| step_state(&state, step));
        let failed = StepState::Ended(EndedAs::Failed);
        assert_eq!(ends.iter().filter(|end| **end == failed).count(), 1);
        let why = events(engine, id).await.into_iter().find_map(|recorded| {
            if let Event::StepFailed { cause, .. } = recorded.event {
                Some(cause.to_string())
            } else {
                None
            }
        });
        let why = why.unwrap();
        assert!(why.contains("budget has 0.5 credits left, and it needs 1"), "{why}");
        let system = AccountId::system();
        let left = balance(engine, &system).await.unwrap();
        assert_eq!((left.charged, left.held), (credits("2.25"), Credits::ZERO));
        assert_eq!(state.head.unwrap().cost, credits("2.25"));
        let moved = history_from(engine, &system, &Filter::default(), 0, 100).await;
        let settled: Vec<_> = moved
            .unwrap()
            .into_iter()
            .filter(|entry| entry.kind == Kind::Settle)
            .map(|entry| (entry.agent.unwrap(), entry.amount.to_string()))
            .collect();
        let scouts = settled.iter().filter(|(agent, amount)| agent == "scout" && amount == "-1");
        assert_eq!((scouts.count(), settled.len()), (2, 3), "{settled:?}");
        assert_eq!(settled[2], ("chief".to_owned(), "-0.25".to_owned()));
        house.close().await;
    })
    .await;
}

/// What it has said when its budget leaves no room for the next question is its output, as far as it goes.
#[tokio::test]
async fn the_next_question_is_not_asked_where_the_budget_has_no_room_for_its_answer() {
    on_both(async |place| {
        let sheet = "
            [[answers]]
            turn = 1
            text = 'It looks small.'
            calls = [{ name = 'list_artifacts' }]
            usage = { output = 8000 }
            [[answers]]
            text = 'Asked again.'";
        // 8,000 x 100 of a million is 0.8; 3,000 more may cost 0.3.
        let rest = "costMode = 'token-based'\nceiling = 0.5\nmaxOutputTokens = 3000\ntoolNames = ['list_artifacts']\n\
                    budget = { max = 1, atLimit = 'stop' }";
        let clock = clock();
        let house = self::house(&place, &clock, vec![talker("a", rest)], sheet).await;
        let engine = &house.engine;
        let id = begin_one(engine, 1, "a").await;
        let state = ended_in_time(engine, &clock, id).await;
        assert_eq!(step_state(&state, "a"), StepState::Ended(EndedAs::Partial));
        let gave = given(engine, id, &state, "a").await.to_string();
        assert!(gave.contains("It looks small."), "{gave}");
        let (_, stood) = state.step(&step("a")).unwrap();
        let why = stood.enrichment.as_ref().unwrap().reason.clone().unwrap();
        assert!(why.starts_with("budget: ") && why.contains("1.1"), "{why}");
        assert_eq!(charged(engine, id).await, [("0.8".to_owned(), "0".to_owned())]);
        house.close().await;
    })
    .await;
}
