//! Agents that converse with models: turns through the door, what is taken up after a loss, tools, children, scripts.

use std::collections::BTreeMap;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::event::{EndedAs, Event};
use domain::orchestration::state::{Orchestration, Status, StepState};
use domain::orchestration::turns::Asked;
use domain::values::ids::OrchestrationId;
use engine::clock::ManualClock;
use engine::handle::Engine;
use engine::live::DeltaKind;
use engine::perform::Performer;
use providers::models::Models;
use providers::models::scripted::CueSheet;
use providers::models::settings::ModelsSettings;
use providers::outgoing::OutgoingSettings;
use serde_json::json;

use crate::house::{
    House, Setup, agent, assert_status, begin, clock, ended, ended_in_time, events, given, step,
    step_state,
};
use crate::place::{Place, on_both};

/// A model that answers from the sheet, known as `scripted/demo`.
pub fn models(sheet: &str) -> Models {
    let settings = ModelsSettings {
        scripted: BTreeMap::from([("demo".to_owned(), CueSheet::read(sheet).unwrap())]),
        ..ModelsSettings::default()
    };
    Models::new(settings, OutgoingSettings::default(), &|_| None).unwrap()
}

/// A replica whose agents converse with these models.
pub fn talks(clock: &ManualClock, agents: Vec<AgentDefinition>, models: Models) -> Setup {
    let mut setup = Setup::new(clock, agents, Performer::Executors);
    setup.outside.models = Some(models);
    setup
}

pub async fn house(
    place: &Place,
    clock: &ManualClock,
    agents: Vec<AgentDefinition>,
    sheet: &str,
) -> House {
    talks(clock, agents, models(sheet)).open(place).await
}

/// An agent that converses with the scripted model.
pub fn talker(id: &str, rest: &str) -> AgentDefinition {
    agent(
        id,
        &format!(
            "executor = {{ kind = 'model' }}\nmodel = 'scripted/demo'\nmaxRetries = 0\n{rest}"
        ),
    )
}

/// Whom the turns of a step asked, in order.
pub async fn turns(engine: &Engine, id: OrchestrationId, name: &str) -> Vec<(u32, Asked)> {
    let all = events(engine, id).await;
    let of_step = all.iter().filter_map(|recorded| match &recorded.event {
        Event::TurnRecorded {
            step, turn, asked, ..
        } if step.as_str() == name => Some((*turn, *asked)),
        _ => None,
    });
    of_step.collect()
}

#[tokio::test]
async fn a_model_agent_completes_a_step_with_its_turns_recorded() {
    on_both(async |place| {
        let clock = clock();
        let sheet = "[[answers]]\ntext = 'All is well.'\nusage = { input = 100, output = 20 }";
        let house = house(&place, &clock, vec![talker("a", "")], sheet).await;
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(turns(&house.engine, id, "a").await, [(1, Asked::Model)]);
        let gave = given(&house.engine, id, &state, "a").await;
        assert!(gave.to_string().contains("All is well."), "{gave}");
        let (_, step) = state.step(&step("a")).unwrap();
        assert_eq!(step.enrichment.as_ref().unwrap().tokens_used, Some(120));
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn without_a_model_the_step_fails_at_once_and_says_what_to_configure() {
    let (place, clock) = (Place::sqlite(), clock());
    let agents = vec![talker("a", "")];
    let house = House::open(&place, &clock, agents, Performer::Executors).await;
    let id = begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    let why = format!("{:?}", state.step(&step("a")).unwrap().1.cause);
    assert!(
        why.contains("OPENAI_API_KEY") && why.contains("[models]"),
        "{why}"
    );
    assert!(
        !why.contains("agentsBaseUrl"),
        "it says how it is performed: {why}"
    );
    house.close().await;
}

#[tokio::test]
async fn tools_over_the_plan_are_carried_out_and_told_by_name_and_size() {
    on_both(async |place| {
        let clock = clock();
        let sheet = "
            [[answers]]
            turn = 1
            text = 'Let me look.'
            calls = [{ name = 'list_artifacts' }, { name = 'read_artifact', input = { name = 'plan.txt' } },
                     { name = 'read_artifact', input = { name = 'nothing.txt' } }]
            [[answers]]
            last = 'Build a shed.'
            text = 'It is a shed.'
            [[answers]]
            text = 'I saw nothing.'";
        let tools = "toolNames = ['list_artifacts', 'read_artifact']";
        let house = house(&place, &clock, vec![talker("a", tools)], sheet).await;
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        let gave = given(&house.engine, id, &state, "a").await.to_string();
        assert!(gave.contains("It is a shed."), "{gave}");
        let asked = turns(&house.engine, id, "a").await;
        assert_eq!(asked, [(1, Asked::Model), (2, Asked::Tools), (3, Asked::Model)]);
        let all = events(&house.engine, id).await;
        let called = all.iter().find_map(|recorded| match &recorded.event {
            Event::TurnRecorded { calls, .. } if !calls.is_empty() => Some(calls.clone()),
            _ => None,
        });
        let called = called.unwrap();
        let told: Vec<_> = called.iter().map(|call| (call.name.as_str(), call.failed)).collect();
        let read = "read_artifact";
        assert_eq!(told, [("list_artifacts", false), (read, false), (read, true)]);
        house.close().await;
    })
    .await;
}

#[tokio::test]
async fn readers_see_the_text_as_it_comes_and_what_is_recorded_is_the_same() {
    let (place, clock) = (Place::sqlite(), clock());
    let sheet = "
        [[answers]]
        times = 1
        text = 'This breaks off'
        chunk = 4
        error = { class = 'transient', message = 'hung up' }
        [[answers]]
        text = 'Größe: 1 €, für alle.'
        chunk = 3";
    let agents = vec![talker("a", "llmRetries = 2")];
    let house = house(&place, &clock, agents, sheet).await;
    let id = crate::house::id(1);
    let mut deltas = house.engine.live.deltas(id);
    begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    let (mut text, mut superseded) = (String::new(), false);
    while let Ok(delta) = deltas.try_recv() {
        assert_eq!((delta.kind, delta.attempt), (DeltaKind::Progress, 1));
        if delta.data["superseded"] == true {
            assert_eq!(text, "This breaks off");
            (text, superseded) = (String::new(), true);
        }
        if let Some(more) = delta.data["text"].as_str() {
            assert_eq!(delta.data["at"], text.len(), "where it stands in the text");
            text.push_str(more);
        }
    }
    assert!(superseded);
    assert_eq!(text, "Größe: 1 €, für alle.");
    let stored = house
        .engine
        .store
        .turns(*id.0.as_bytes(), "a", 1)
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&stored[0].1).unwrap();
    let pieces = answer.pointer("/answer/Ok/pieces").unwrap();
    assert_eq!(*pieces, json!([{"kind": "text", "text": text}]));
    house.close().await;
}

#[tokio::test]
async fn the_next_attempt_goes_on_from_the_recorded_turns() {
    on_both(async |place| {
        let clock = clock();
        let sheet = "
            [[answers]]
            turn = 1
            times = 1
            calls = [{ name = 'list_artifacts' }]
            usage = { input = 100, output = 10 }
            [[answers]]
            turn = 2
            times = 1
            error = { class = 'transient', message = 'hung up' }
            [[answers]]
            turn = 2
            text = 'Here I am again.'
            usage = { input = 150, output = 5 }";
        let rest = "toolNames = ['list_artifacts']\nllmRetries = 0\nmaxRetries = 1";
        let agents = vec![AgentDefinition {
            max_retries: 1,
            ..talker("a", &rest.replace("\nmaxRetries = 1", ""))
        }];
        let house = house(&place, &clock, agents, sheet).await;
        let id = begin(&house.engine, 1).await;
        let state = ended_in_time(&house.engine, &clock, id).await;
        assert_status(&state, Status::Complete);
        let asked = turns(&house.engine, id, "a").await;
        assert_eq!(
            asked,
            [(1, Asked::Model), (2, Asked::Tools), (3, Asked::Model)]
        );
        let all = events(&house.engine, id).await;
        let charged = all.iter().filter_map(|recorded| recorded.event.charge());
        let used: Vec<_> = charged.map(|charge| charge.usage.tokens()).collect();
        assert_eq!(used, [Some(110), Some(155)], "nobody pays twice");
        house.close().await;
    })
    .await;
}

fn child_of<'a>(state: &'a Orchestration, id: &str) -> &'a domain::orchestration::state::Step {
    state.step(&step(id)).unwrap().1
}

#[tokio::test]
async fn a_parent_spawns_waits_without_a_slot_and_is_told_in_order() {
    on_both(async |place| {
        let clock = clock();
        let sheet = "
            [[answers]]
            system = 'You are the chief.'
            turn = 1
            calls = [{ name = 'spawn_agents', input = { agents = [
                { agent_type = 'scout', prompt = 'Look north.' }, { agent_type = 'scout', prompt = 'Look south.' },
                { agent_type = 'faulty', prompt = 'Fail.' }] } }]
            usage = { output = 7 }
            [[answers]]
            system = 'You are the chief.'
            last = 'South is sunny'
            text = 'I have heard all.'
            [[answers]]
            last = 'Look north'
            text = 'North is cold.'
            usage = { output = 11 }
            [[answers]]
            last = 'Look south'
            text = 'South is sunny.'
            usage = { output = 13 }
            [[answers]]
            last = 'Fail'
            error = { class = 'fatal', message = 'no way through' }";
        let chief = "systemPrompt = 'You are the chief.'\ntoolNames = ['spawn_agents']\nspawnableAgents = ['scout', 'faulty']";
        let agents = vec![
            talker("chief", chief),
            talker("scout", "inputSchema = { prompt = { type = 'string' } }"),
            talker("faulty", "llmRetries = 0\ninputSchema = { prompt = { type = 'string' } }"),
        ];
        let house = house(&place, &clock, agents, sheet).await;
        let mut submission = crate::house::submission(&house.engine);
        let chief = domain::values::ids::AgentId::new("chief").unwrap();
        submission.wanted = domain::orchestration::select::Wanted::Named(vec![chief]);
        let id = crate::house::begin_as(&house.engine, 1, submission).await.id;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        assert_eq!(state.steps.len(), 4);
        let stories = ["chief.1", "chief.2", "chief.3"].map(|id| step_state(&state, id));
        let done = StepState::Ended(EndedAs::Completed);
        assert_eq!(stories, [done, done, StepState::Ended(EndedAs::Failed)]);
        let asked = turns(&house.engine, id, "chief").await;
        assert_eq!(asked, [(1, Asked::Model), (2, Asked::Children), (3, Asked::Model)]);
        let told = house.engine.store.turns(*id.0.as_bytes(), "chief", 1).await.unwrap();
        let told = String::from_utf8(told[1].1.clone()).unwrap();
        let places = ["North is cold", "South is sunny", "no way through"].map(|text| told.find(text).unwrap());
        assert!(places.is_sorted(), "{told}");
        let chief = child_of(&state, "chief");
        assert_eq!(chief.attempt, 2);
        let used = chief.enrichment.as_ref().unwrap().tokens_used;
        assert_eq!(used, Some(7), "of both attempts, and of no child");
        assert_eq!(state.head.as_ref().unwrap().version, 2, "children add nothing to the plan");
        house.close().await;
    })
    .await;
}
