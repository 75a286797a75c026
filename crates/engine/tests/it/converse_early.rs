//! Calls of tools while the model's answer is still on its way: what changes nothing begins at once and together, the rest waits.

use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::state::Status;
use providers::outgoing::{Outgoing, OutgoingSettings};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::converse::{talker, talks};
use crate::converse_models::openai;
use crate::house::{assert_status, begin, clock, ended};
use crate::place::Place;
use crate::stub::{self, Said, Stub};

/// One event of a model's stream that makes these calls.
fn event(calls: &[(u32, &str, &str)]) -> String {
    let calls = calls.iter().map(|(index, name, at)| {
        let arguments = json!({"at": at}).to_string();
        json!({"index": index, "id": format!("c{index}"), "type": "function",
            "function": {"name": name, "arguments": arguments}})
    });
    let delta = json!({"tool_calls": calls.collect::<Vec<Value>>()});
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": delta}]})
    )
}

/// The last events of a model's stream.
fn end(reason: &str, delta: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
    format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [choice]}))
}

/// Requests to `tools` alone.
fn reaching(tools: &Stub) -> Outgoing {
    let settings = OutgoingSettings {
        allow: vec![tools.allowed()],
        ..OutgoingSettings::default()
    };
    Outgoing::new(settings).unwrap()
}

/// The answer goes on when two looks are under way at one time, each of which waits for the other, and ends when a third one is:
/// who began them later would wait for ever. The writes come after it, one after the other.
#[tokio::test]
async fn what_changes_nothing_begins_while_the_answer_streams_and_the_rest_follows_in_order() {
    let (together, third) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(2)));
    let held = (together.clone(), third.clone());
    let tools = Stub::open(move |asked, _| {
        let barrier = match asked.body["at"].as_str() {
            Some("1" | "2") => held.0.clone(),
            Some("3") => held.1.clone(),
            _ => return stub::json(json!({"written": asked.body["at"]})),
        };
        let seen = json!({"seen": asked.body["at"]}).to_string();
        Said::Parts("application/json", vec![(Some(barrier), seen)])
    })
    .await;
    let provider = Stub::open(move |_, before| match before {
        0 => Said::Parts(
            "text/event-stream",
            vec![
                (None, event(&[(0, "look", "1"), (1, "look", "2")])),
                (
                    Some(together.clone()),
                    event(&[(2, "write", "a"), (3, "write", "b"), (4, "look", "3")]),
                ),
                (Some(third.clone()), end("tool_calls", &json!({}))),
            ],
        ),
        _ => {
            let said = end("stop", &json!({"content": "Done."}));
            Said::Streamed("text/event-stream", said)
        }
    })
    .await;
    let url = &tools.url;
    let rest = format!(
        "[tools.look]\ndescription = 'Looks.'\nurl = '{url}/look'\nreadOnly = true\n[tools.write]\ndescription = 'Writes.'\nurl = '{url}/write'"
    );
    let agent = AgentDefinition {
        model: Some("stub/m".to_owned()),
        ..talker("a", &rest)
    };
    let place = Place::sqlite();
    let mut setup = talks(&clock(), vec![agent], openai(&provider));
    setup.outside.outgoing = Some(reaching(&tools));
    let house = setup.open(&place).await;
    let id = begin(&house.engine, 1).await;
    assert_status(&ended(&house.engine, id).await, Status::Complete);
    let asked = tools.asked();
    let asked = asked.iter().map(|one| one.body["at"].as_str().unwrap());
    let mut asked: Vec<&str> = asked.collect();
    asked[..2].sort_unstable();
    assert_eq!(asked, ["1", "2", "3", "a", "b"]);
    let told = provider.asked()[1].body["messages"].clone();
    let told = told.as_array().unwrap().iter();
    let told = told.filter(|message| message["role"] == "tool");
    let told: Vec<&str> = told.map(|one| one["content"].as_str().unwrap()).collect();
    let said = [
        r#"{"seen":"1"}"#,
        r#"{"seen":"2"}"#,
        r#"{"written":"a"}"#,
        r#"{"written":"b"}"#,
        r#"{"seen":"3"}"#,
    ];
    assert_eq!(told, said, "in the order in which they were made");
    house.close().await;
}
