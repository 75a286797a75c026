//! What readers see of a conversation while it is under way: its text with the attempt that says it, and what counts no more.

use std::collections::BTreeMap;

use domain::values::time::Millis;
use engine::outside::Outside;
use engine::perform::Performer;
use providers::models::Models;
use providers::models::scripted::CueSheet;
use providers::models::settings::ModelsSettings;
use providers::outgoing::OutgoingSettings;
use serde_json::{Value, json};
use server::config::Settings;

use crate::live_house::{House, Place, agent};

/// The first attempt's model breaks off twice, the second attempt's answers.
const SHEET: &str = "
    [[answers]]
    times = 1
    text = 'This breaks off'
    chunk = 4
    error = { class = 'transient', message = 'hung up' }
    [[answers]]
    times = 1
    text = 'So does this: ½'
    chunk = 3
    error = { class = 'transient', message = 'hung up' }
    [[answers]]
    text = \"Größe: 1 €,\\r\\nfür alle – 👍🏽.\\u0000 Ende\"
    chunk = 3";

const WHOLE: &str = "Größe: 1 €,\r\nfür alle – 👍🏽.\u{0} Ende";

/// What was said in an attempt, put together as a reader does.
fn heard(told: &[Value]) -> BTreeMap<u64, String> {
    let mut said = BTreeMap::new();
    for event in told.iter().filter(|event| event["type"] == "progress") {
        assert_eq!(event["agentId"], "a", "{event}");
        let text: &mut String = said.entry(event["attempt"].as_u64().unwrap()).or_default();
        let data = &event["data"];
        assert_eq!(data["turn"], 1, "{event}");
        if data["superseded"] == true {
            assert_eq!(
                text, "This breaks off",
                "what was said before counts no more"
            );
            text.clear();
        }
        if let Some(more) = data["text"].as_str() {
            assert_eq!(data["at"], text.len(), "nothing is missing before it");
            text.push_str(more);
        }
    }
    said
}

/// A server with one agent, which waits for a yes and then converses.
async fn conversing(place: &Place) -> House {
    let models = ModelsSettings {
        scripted: BTreeMap::from([("demo".to_owned(), CueSheet::read(SHEET).unwrap())]),
        ..ModelsSettings::default()
    };
    let models = Models::new(models, OutgoingSettings::default(), &|_| None).unwrap();
    let mut outside = Outside {
        models: Some(models),
        ..Outside::default()
    };
    outside.ask_limits.backoff = Millis(1);
    let talker = agent(
        "a",
        &[],
        "executor = { kind = 'model' }\nmodel = 'scripted/demo'\nllmRetries = 1\nmaxRetries = 1\napproval = 'required'",
    );
    House::open_outside(
        place,
        vec![talker],
        Performer::Executors,
        (Settings::default(), outside),
    )
    .await
}

#[tokio::test]
async fn what_readers_put_together_of_each_attempt_is_what_is_stored_byte_for_byte() {
    for place in Place::both() {
        let house = conversing(&place).await;
        let id = house.begin("Build a shed.").await;
        let mut sse = house
            .sse(&format!("/orchestrations/{id}/events"), None)
            .await;
        let mut socket = house.socket(&format!("/orchestrations/{id}/stream")).await;
        // Both read before anything is said.
        while sse.next().await.unwrap().name != "step_parked" {}
        while socket.next().await.unwrap()["type"] != "step_parked" {}
        let approve = house
            .client
            .post(house.url(&format!("/orchestrations/{id}/steps/a/approve")));
        assert!(
            approve
                .json(&json!({}))
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
        let frames = sse.rest().await;
        let by_sse: Vec<Value> = frames.into_iter().map(|frame| frame.data).collect();
        let (by_socket, _) = socket.rest().await;
        let stored = house
            .engine
            .store
            .turns(*id.0.as_bytes(), "a", 1)
            .await
            .unwrap();
        let stored = match stored.is_empty() {
            true => house
                .engine
                .store
                .turns(*id.0.as_bytes(), "a", 2)
                .await
                .unwrap(),
            false => stored,
        };
        let answer: Value = serde_json::from_slice(&stored[0].1).unwrap();
        let text = answer.pointer("/answer/Ok/pieces/0/text").unwrap();
        assert_eq!(text, WHOLE);
        for told in [by_sse, by_socket] {
            let heard = heard(&told);
            let [(1, broken), (2, whole)] = &heard
                .iter()
                .map(|(n, s)| (*n, s.as_str()))
                .collect::<Vec<_>>()[..]
            else {
                panic!("{heard:?}");
            };
            assert_eq!((*broken, *whole), ("So does this: ½", WHOLE));
        }
        house.close().await;
    }
}
