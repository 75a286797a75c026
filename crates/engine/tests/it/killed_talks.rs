//! A kill between a model's answer and what its calls give, where the calls cost money: the model is not asked again, the calls
//! are made again under the same key, and charged once. And a script that was killed goes on where it was.
//!
//! The victim is this test binary itself, called again with [`VICTIM`] set: then the first test below does the victim's part.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::agent::definition::AgentDefinition;
use domain::money::usage::Usage;
use domain::orchestration::select::Wanted;
use domain::orchestration::state::Status;
use domain::orchestration::turns::Asked as Whom;
use domain::values::ids::AgentId;
use engine::clock::Clock;
use engine::handle::Engine;
use engine::replica::Replica;
use providers::outgoing::{Outgoing, OutgoingSettings};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::converse::{talks, turns};
use crate::converse_models::at;
use crate::house::{
    PATIENCE, agent, assert_sound, assert_status, begin_as, clock, ended, events, given, id, state,
    submission,
};
use crate::paid_once::{Victim, holder, say_ended};
use crate::place::{Place, on_both};
use crate::stub::{self, Asked, Said, Stub};

/// Holds the database's URL for a victim; where all is answered, the agent and the orchestration's number follow after blanks.
const VICTIM: &str = "AFTERPLAN_KILLED_TALKER";

/// What each of the model's answers used.
const TOKENS: u64 = 30;

/// One that a model leads, one that notes as well what it writes, and one that a script leads; all write by a tool that costs half a
/// credit a call.
fn agents(url: &str) -> Vec<AgentDefinition> {
    let rest = "model = 'stub/m'\ntimeout = 60000\nllmRetries = 0\nmaxRetries = 0\ncostMode = 'token-based'\nceiling = 5\ntoolRates = { write = 0.5 }\ntoolNames = ['list_artifacts', 'set_output']\noutputMode = 'structured_output'\n";
    let write = format!("[tools.write]\ndescription = 'Writes.'\nurl = '{url}/write'");
    let note = format!("[tools.note]\ndescription = 'Notes.'\nurl = '{url}/note'");
    let script = "
        function* () {
          const listed = yield { toolName: 'list_artifacts', input: {} };
          const { toolResult } = yield { toolName: 'write', input: { at: listed.toolResult[0].value.artifacts[0].name } };
          const { stepsComplete } = yield 'STEP';
          yield { toolName: 'set_output', input: { written: toolResult[0].value.written, stepsComplete } };
        }";
    vec![
        agent(
            "payer",
            &format!("executor = {{ kind = 'model' }}\n{rest}{write}"),
        ),
        agent(
            "noter",
            &format!("executor = {{ kind = 'model' }}\n{rest}{write}\n{note}"),
        ),
        agent(
            "leader",
            &format!(
                "executor = {{ kind = 'script' }}\nhandleSteps = '''{script}'''\n{rest}{write}"
            ),
        ),
    ]
}

async fn engine(place: &Place, stub: &str) -> Engine {
    let mut setup = talks(&clock(), agents(stub), at(stub));
    setup.clock = Clock::System;
    let outgoing = OutgoingSettings {
        allow: vec![stub.trim_start_matches("http://").to_owned()],
        ..OutgoingSettings::default()
    };
    setup.outside.outgoing = Some(Outgoing::new(outgoing).unwrap());
    setup.engine(place).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim_converses_until_it_is_killed() {
    let Ok(told) = std::env::var(VICTIM) else {
        return;
    };
    let [url, stub, agent, number] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{VICTIM} is not a URL, an address, an agent and a number: {told}");
    };
    let number: u128 = number.parse().unwrap();
    let engine = engine(&Place::at(url), stub).await;
    let _replica = Replica::start(&engine, holder(), "victim").await.unwrap();
    if state(&engine, id(number)).await.head.is_none() {
        let mut wanted = submission(&engine);
        wanted.wanted = Wanted::Named(vec![AgentId::new(agent).unwrap()]);
        begin_as(&engine, number, wanted).await;
    }
    ended(&engine, id(number)).await;
    say_ended();
}

/// What the model says: first a call that costs, with a note behind it where it may note, then what it gave.
fn model(asked: &Asked) -> Said {
    let heard = asked.body["messages"].to_string();
    let (name, input) = match heard.contains("written") {
        false => ("write", json!({"at": "plan"})),
        true => ("set_output", json!({"written": "plan"})),
    };
    let call = |index: usize, name: &str| {
        let function = json!({"name": name, "arguments": input.to_string()});
        json!({"index": index, "id": format!("c{index}"), "type": "function", "function": function})
    };
    let mut calls = vec![call(0, name)];
    if name == "write" && asked.body["tools"].to_string().contains("\"note\"") {
        calls.push(call(1, "note"));
    }
    let event = json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]});
    let usage =
        json!({"choices": [], "usage": {"prompt_tokens": TOKENS - 10, "completion_tokens": 10}});
    Said::Streamed(
        "text/event-stream",
        format!("data: {event}\n\ndata: {usage}\n\ndata: [DONE]\n\n"),
    )
}

/// Kills the replica at the first request to `path`, and lets another one end the orchestration: answers all requests.
async fn killed_at(place: &Place, (agent, number): (&str, u128), path: &'static str) -> Vec<Asked> {
    let (strike, mut struck) = mpsc::unbounded_channel();
    let armed = Arc::new(AtomicBool::new(true));
    let stub = Stub::open(move |asked, _| {
        if asked.path.ends_with(path) && armed.swap(false, Ordering::SeqCst) {
            strike.send(()).unwrap();
            return Said::Begun("application/json", String::new());
        }
        match asked.path.as_str() {
            "/write" | "/note" => stub::json(json!({"written": asked.body["at"]})),
            _ => model(asked),
        }
    })
    .await;
    let told = format!("{} {} {agent} {number}", place.text(), stub.url);
    let part = "killed_talks::the_victim_converses_until_it_is_killed";
    let victim = Victim::start((VICTIM, part), &told);
    let asks = tokio::time::timeout(PATIENCE, struck.recv()).await;
    asks.expect("it asks").unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(victim);
    Victim::start((VICTIM, part), &told).until_ended().await;
    stub.asked()
}

/// How often `path` was asked.
fn count(asked: &[Asked], path: &str) -> usize {
    asked.iter().filter(|one| one.path.ends_with(path)).count()
}

/// What all attempts of the step were charged for, together.
async fn used(engine: &Engine, number: u128) -> Usage {
    let mut used = Usage::default();
    for told in events(engine, id(number)).await {
        if let Some(charge) = told.event.charge() {
            used.add(&charge.usage);
        }
    }
    used
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_call_that_costs_is_under_way_asks_no_model_again_and_charges_the_call_once()
{
    on_both(async |place| {
        let asked = killed_at(&place, ("payer", 1), "/write").await;
        assert_eq!(count(&asked, "/chat/completions"), 2, "each question once");
        let writes: Vec<&Asked> = asked.iter().filter(|one| one.path == "/write").collect();
        assert_eq!(
            writes.len(),
            2,
            "nobody knows whether the first one was heard"
        );
        let keys: Vec<&str> = writes
            .iter()
            .map(|one| one.header("idempotency-key"))
            .collect();
        assert!(
            !keys[0].is_empty() && keys[0] == keys[1],
            "so the tool is told: {keys:?}"
        );
        let house = engine(&place, "http://127.0.0.1:9").await;
        let state = state(&house, id(1)).await;
        assert_status(&state, Status::Complete);
        let whom: Vec<Whom> = turns(&house, id(1), "payer")
            .await
            .into_iter()
            .map(|(_, whom)| whom)
            .collect();
        assert_eq!(whom, [Whom::Model, Whom::Tools, Whom::Model]);
        let used = used(&house, 1).await;
        assert_eq!(used.tools.get("write"), Some(&1), "{used:?}");
        assert_eq!(used.tokens(), Some(2 * TOKENS));
        assert_sound(&house).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_has_answered_is_not_made_again_though_a_kill_meets_the_one_behind_it() {
    on_both(async |place| {
        let asked = killed_at(&place, ("noter", 1), "/note").await;
        assert_eq!(count(&asked, "/chat/completions"), 2, "each question once");
        assert_eq!(count(&asked, "/write"), 1, "it has answered");
        assert_eq!(count(&asked, "/note"), 2, "nobody knows whether it did");
        let house = engine(&place, "http://127.0.0.1:9").await;
        assert_status(&state(&house, id(1)).await, Status::Complete);
        let used = used(&house, 1).await;
        assert_eq!(used.tools.get("write"), Some(&1), "{used:?}");
        assert_sound(&house).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_was_killed_goes_on_and_does_nothing_twice() {
    on_both(async |place| {
        let asked = killed_at(&place, ("leader", 1), "/chat/completions").await;
        assert_eq!(count(&asked, "/write"), 1, "what it did before stays done");
        let house = engine(&place, "http://127.0.0.1:9").await;
        let state = state(&house, id(1)).await;
        assert_status(&state, Status::Complete);
        let gave: Value = given(&house, id(1), &state, "leader").await;
        assert_eq!(gave["written"], "plan.txt", "{gave}");
        let used = used(&house, 1).await;
        assert_eq!(used.tools.get("write"), Some(&1), "{used:?}");
        assert_sound(&house).await;
    })
    .await;
}
