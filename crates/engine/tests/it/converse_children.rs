//! Children of agents that converse: what they inherit of their parent, which version a name means, and that a parent which waits
//! for them holds no room.

use domain::agent::definition::AgentDefinition;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::values::ids::AgentId;
use engine::submit::submit;
use serde_json::{Value, json};

use crate::converse::{house, models, talker, talks};
use crate::converse_bounds::begin_one;
use crate::converse_models::{openai, streamed};
use crate::house::{Setup, assert_status, begin, clock, ended, given, step, submission};
use crate::place::{Place, on_both};
use crate::stub::{Said, Stub};

/// A model's answer that calls one tool.
pub fn calls(name: &str, input: &Value) -> Said {
    let function = json!({"name": name, "arguments": input.to_string()});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": function});
    streamed(&json!({"tool_calls": [call]}))
}

fn spawns(agent: &str) -> Said {
    let one = json!({"agent_type": agent, "prompt": "Look."});
    calls("spawn_agents", &json!({"agents": [one]}))
}

/// The provider's cache serves parent and children alike: what is sent begins with the same prompt and the same tools.
#[tokio::test]
async fn who_inherits_the_prompt_is_shown_its_parents_tools_down_to_the_last() {
    let (place, clock) = (Place::sqlite(), clock());
    let provider = Stub::open(|_, before| match before {
        0 => spawns("scout"),
        1 => spawns("sentry"),
        n => calls("set_output", &json!({"seen": n})),
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
    let child = "inheritParentSystemPrompt = true\ninputSchema = { prompt = { type = 'string' } }";
    let spawning = "toolNames = ['spawn_agents', 'set_output']\nspawnableAgents = ";
    let agents = vec![
        of(
            "chief",
            &format!("systemPrompt = 'You are the chief.'\n{spawning}['scout']"),
        ),
        of("scout", &format!("{child}\n{spawning}['sentry']")),
        of("sentry", child),
    ];
    let house = talks(&clock, agents, openai(&provider)).open(&place).await;
    let id = begin_one(&house.engine, 1, "chief").await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    let gave = given(&house.engine, id, &state, "chief").await;
    assert_eq!(gave, json!({"seen": 4}));
    let asked = provider.asked();
    assert_eq!(asked.len(), 5);
    let tools = asked[0].body["tools"].clone();
    let names = tools.as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|tool| &tool["function"]["name"]).collect();
    assert!(names.iter().any(|name| **name == "set_output"), "{names:?}");
    // Behind those the scout is offered whom alone it may spawn, and the sentry is offered what the scout was.
    let seen: Vec<Value> = asked.iter().map(|one| one.body["tools"].clone()).collect();
    let (all, wider) = (tools.as_array().unwrap(), seen[1].as_array().unwrap());
    assert_eq!(wider[..all.len()], all[..]);
    assert_eq!(wider[all.len()]["function"]["name"], "sentry");
    assert_eq!(seen[2..4], [seen[1].clone(), seen[1].clone()]);
    assert_eq!(seen[4], tools);
    for asked in &asked {
        assert_eq!(asked.body["messages"][0]["role"], "system");
        assert_eq!(asked.body["messages"][0]["content"], "You are the chief.");
    }
    house.close().await;
}

#[tokio::test]
async fn a_parent_that_waits_leaves_the_only_room_to_its_children() {
    on_both(async |place| {
        let sheet = "
            [[answers]]
            system = 'You are the chief.'
            turn = 1
            calls = [{ name = 'spawn_agents', input = { agents = [
                { agent_type = 'scout', prompt = 'North.' }, { agent_type = 'scout', prompt = 'South.' }] } }]
            [[answers]]
            system = 'You are the chief.'
            last = 'All quiet'
            text = 'I have heard both.'
            [[answers]]
            text = 'All quiet.'";
        let chief = "systemPrompt = 'You are the chief.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout']";
        let agents = vec![
            talker("chief", chief),
            talker("scout", "inputSchema = { prompt = { type = 'string' } }"),
        ];
        let setup = Setup {
            slots: 1,
            ..talks(&clock(), agents, models(sheet))
        };
        let house = setup.open(&place).await;
        let id = begin_one(&house.engine, 1, "chief").await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(state.steps.len(), 3);
        let gave = given(&house.engine, id, &state, "chief").await.to_string();
        assert!(gave.contains("I have heard both."), "{gave}");
        house.close().await;
    })
    .await;
}

/// Who may be spawned in one version has promised that one: it is refused by name where that is not there. A name alone may be
/// registered later.
#[tokio::test]
async fn a_child_in_a_version_that_is_not_there_is_refused_when_it_is_submitted() {
    let place = Place::sqlite();
    let of = |id: &str, child: &str| {
        let rest = format!("toolNames = ['spawn_agents']\nspawnableAgents = ['{child}']");
        talker(id, &rest)
    };
    let agents = vec![
        of("chief", "scout@1.1.0"),
        of("boss", "nobody"),
        talker("scout", "version = '1.0.0'"),
    ];
    let house = house(&place, &clock(), agents, "[[answers]]\ntext = 'Done.'").await;
    let wanted = |agent: &str| {
        let mut wanted = submission(&house.engine);
        wanted.wanted = Wanted::Named(vec![AgentId::new(agent).unwrap()]);
        wanted
    };
    let refused = submit(&house.engine, crate::house::id(1), wanted("chief")).await;
    let why = refused.err().unwrap().to_string();
    for told in ["`chief`", "`scout@1.1.0`", "not registered"] {
        assert!(why.contains(told), "{told}: {why}");
    }
    let id = begin_one(&house.engine, 2, "boss").await;
    assert_status(&ended(&house.engine, id).await, Status::Complete);
    house.close().await;
}

/// One version is a step of the orchestration, and is what others mean who name none; the other is there for who names it.
#[tokio::test]
async fn a_child_that_is_named_with_its_version_is_of_that_version() {
    on_both(async |place| {
        let sheet = "
            [[answers]]
            system = 'You are the chief.'
            turn = 1
            calls = [{ name = 'spawn_agents', input = { agents = [
                { agent_type = 'scout@1.0.0', prompt = 'North.' }, { agent_type = 'scout@1.1.0', prompt = 'South.' }] } }]
            [[answers]]
            system = 'You are the chief.'
            text = 'I have heard both.'
            [[answers]]
            system = 'You are old.'
            text = 'Said the old one.'
            [[answers]]
            system = 'You are new.'
            text = 'Said the new one.'";
        let chief = "systemPrompt = 'You are the chief.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout@1.0.0', 'scout@1.1.0']";
        let scout = |version: &str, who: &str| {
            let rest = format!("version = '{version}'\nsystemPrompt = 'You are {who}.'");
            talker("scout", &rest)
        };
        let agents = vec![talker("chief", chief), scout("1.0.0", "old"), scout("1.1.0", "new")];
        let clock = clock();
        let house = house(&place, &clock, agents, sheet).await;
        let engine = &house.engine;
        // With the newer one as a step beside the chief, and without.
        let id = begin(engine, 1).await;
        for (id, steps) in [(id, 4), (begin_one(engine, 2, "chief").await, 3)] {
            let state = ended(engine, id).await;
            assert_status(&state, Status::Complete);
            assert_eq!(state.steps.len(), steps);
            for (step, said) in [("chief.1", "the old one"), ("chief.2", "the new one")] {
                let gave = given(engine, id, &state, step).await.to_string();
                assert!(gave.contains(said), "{step}: {gave}");
            }
            let (first, _) = state.step(&step("chief.1")).unwrap();
            assert_eq!(state.graph.rules(first).agent_version, "1.0.0");
        }
        house.close().await;
    })
    .await;
}

/// A child that begins with its parent's history hears what that heard and said before it was called; and before each of its own
/// questions, and never twice, what its definition wants said there.
#[tokio::test]
async fn who_begins_with_its_parents_history_hears_it_and_its_own_reminder_each_turn() {
    let place = Place::sqlite();
    let provider = Stub::open(|_, before| match before {
        0 => spawns("scout"),
        1 => calls("list_artifacts", &json!({})),
        _ => streamed(&json!({"content": "All quiet."})),
    })
    .await;
    let of = |id: &str, rest: &str| AgentDefinition {
        model: Some("stub/m".to_owned()),
        ..talker(id, rest)
    };
    let chief = "instructionsPrompt = 'Send somebody.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout']";
    let scout = "includeMessageHistory = true\nstepPrompt = 'Mind the ice.'\ntoolNames = ['list_artifacts']\ninputSchema = { prompt = { type = 'string' } }";
    let agents = vec![of("chief", chief), of("scout", scout)];
    let house = talks(&clock(), agents, openai(&provider))
        .open(&place)
        .await;
    let id = begin_one(&house.engine, 1, "chief").await;
    assert_status(&ended(&house.engine, id).await, Status::Complete);
    let asked = provider.asked();
    assert_eq!(asked.len(), 4);
    let count =
        |at: usize, text: &str| asked[at].body["messages"].to_string().matches(text).count();
    for of_child in [1, 2] {
        assert_eq!(count(of_child, "Send somebody."), 1);
        assert_eq!(count(of_child, "has been spawned"), 1);
        assert_eq!(count(of_child, "<user_message>Look."), 1);
        assert_eq!(count(of_child, "Mind the ice."), 1);
        let last = asked[of_child].body["messages"].as_array().unwrap().last();
        assert!(last.unwrap().to_string().contains("Mind the ice."));
    }
    for of_parent in [0, 3] {
        assert_eq!(count(of_parent, "Mind the ice."), 0);
    }
    house.close().await;
}
