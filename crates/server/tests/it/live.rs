//! Events as they come: whole, in order, and once.

use std::sync::Arc;
use std::time::Duration;

use domain::orchestration::command::Command;
use domain::values::ids::StepId;
use domain::values::role::Role;
use engine::live::{Delta, DeltaKind};
use engine::perform::{Assignment, Performed};
use engine::transition::transition;
use serde_json::{Value, json};
use server::config::{Settings, Streams};
use tokio::sync::Semaphore;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;

use crate::live_house::{House, Place, Socket, agent, chain, marks, performer};

async fn done(assignment: Assignment) -> Performed {
    Performed::Completed(json!({ "by": assignment.step }))
}

/// Agents that wait until the test lets them go, one permit each.
fn gated() -> (Arc<Semaphore>, engine::perform::Performer) {
    let gate = Arc::new(Semaphore::new(0));
    let inside = gate.clone();
    let performer = performer(move |assignment| {
        let gate = inside.clone();
        async move {
            tokio::select! {
                permit = gate.acquire() => permit.unwrap().forget(),
                () = assignment.cancelled.cancelled() => return Performed::Cancelled,
            }
            done(assignment).await
        }
    });
    (gate, performer)
}

#[tokio::test]
async fn a_reader_by_either_way_is_told_every_event_in_order_and_then_that_it_is_over() {
    for place in Place::both() {
        let (gate, performer) = gated();
        let house = House::open(&place, chain(5), performer).await;
        let id = house.begin("Build a shed.").await;
        let mut socket = house.socket(&format!("/orchestrations/{id}/stream")).await;
        let mut sse = house
            .sse(&format!("/orchestrations/{id}/events"), None)
            .await;
        let first = socket.next().await.unwrap();
        assert_eq!(first["type"], "orchestration_created");
        gate.add_permits(5);
        let (rest, code) = socket.rest().await;
        assert_eq!(code, Some(1000));
        let told: Vec<Value> = [first].into_iter().chain(rest).collect();
        let stored = house
            .events(&format!("/orchestrations/{id}/events"), 500)
            .await;
        assert_eq!(told, stored);
        let mut frames = sse.rest().await;
        assert_eq!(frames.pop().unwrap().name, "end");
        for (frame, event) in frames.iter().zip(&stored) {
            assert_eq!(frame.data, *event);
            assert_eq!(frame.name, event["type"]);
            assert_eq!(frame.id.as_deref(), event["cursor"].as_str());
        }
        assert_eq!(frames.len(), stored.len());
        house.close().await;
    }
}

/// Two servers on one database: what one performs, readers of the other are told as it happens.
#[tokio::test]
async fn readers_at_one_server_follow_live_what_another_one_performs() {
    for place in Place::both() {
        let (gate, performer) = gated();
        let here = House::open(&place, chain(3), performer).await;
        let there = House::open(&place, chain(3), crate::live_house::performer(done)).await;
        there.engine.set_scope(engine::handle::Scope::Nothing);
        let id = here.begin("Build a shed.").await;
        let path = format!("/orchestrations/{id}");
        let mut socket = there.socket(&format!("{path}/stream")).await;
        let mut sse = there.sse(&format!("{path}/events"), None).await;
        let mut told = vec![socket.next().await.unwrap()];
        // One step at a time: each is told before the next one may go on.
        for step in 0..3 {
            gate.add_permits(1);
            loop {
                let event = socket.next().await.unwrap();
                let over = event["type"] == "step_completed";
                told.push(event);
                if over {
                    break;
                }
            }
            assert_eq!(told.last().unwrap()["agentId"], format!("agent-{step:02}"));
        }
        let (rest, code) = socket.rest().await;
        assert_eq!(code, Some(1000));
        told.extend(rest);
        let stored = here.events(&format!("{path}/events"), 500).await;
        assert_eq!(told, stored);
        let mut frames = sse.rest().await;
        assert_eq!(frames.pop().unwrap().name, "end");
        let by_sse: Vec<Value> = frames.into_iter().map(|frame| frame.data).collect();
        assert_eq!(by_sse, stored);
        there.close().await;
        here.close().await;
    }
}

#[tokio::test]
async fn the_layers_seven_events_are_told_beside_the_stored_ones() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(1), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let events = house
        .events(&format!("/orchestrations/{id}/events"), 500)
        .await;
    let told: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "orchestration_created",
            "step_ready",
            "step_started",
            "agent_invoked",
            "attempt_started",
            "agent_completed",
            "enrichment_applied",
            "step_completed",
            "orchestration_completed"
        ]
    );
    let applied = &events[6];
    assert_eq!(applied["agentId"], "agent-00");
    assert_eq!(applied["status"], "completed");
    assert_eq!(applied["attempt"], 1);
    assert_eq!(applied["data"]["version"], 2);
    assert_eq!(applied["data"]["creditsCharged"], json!(0));
    assert_eq!(applied["orchestrationId"], id.to_string());
    house.close().await;
}

#[tokio::test]
async fn pages_of_any_size_hold_the_same_events() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(3), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let path = format!("/orchestrations/{id}/events");
    let all = house.events(&path, 500).await;
    for limit in [1, 2, 7] {
        assert_eq!(house.events(&path, limit).await, all);
    }
    for after in &all {
        let cursor = after["cursor"].as_str().unwrap();
        let rest = house.events(&format!("{path}?after={cursor}"), 500).await;
        let place = all.iter().position(|event| event == after).unwrap();
        assert_eq!(marks(&rest), marks(&all[place + 1..]), "after {cursor}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_log_is_filtered_by_agent_status_type_and_time() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(3), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let path = format!("/orchestrations/{id}/log");
    let all = house.events(&path, 500).await;
    let of = |keep: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let kept: Vec<Value> = all.iter().filter(|event| keep(event)).cloned().collect();
        assert!(!kept.is_empty());
        marks(&kept)
    };
    let asked = async |query: &str| marks(&house.events(&format!("{path}?{query}"), 2).await);
    assert_eq!(
        asked("agentId=agent-01").await,
        of(&|event| event["agentId"] == "agent-01")
    );
    assert_eq!(
        asked("status=completed").await,
        of(&|event| event["status"] == "completed")
    );
    assert_eq!(
        asked("type=step_started,agent_completed&agentId=agent-02").await,
        of(&|event| event["agentId"] == "agent-02"
            && (event["type"] == "step_started" || event["type"] == "agent_completed"))
    );
    let middle = all[all.len() / 2]["at"].as_i64().unwrap();
    let before = asked(&format!("to={middle}")).await;
    let since = asked(&format!("from={middle}")).await;
    assert_eq!([before, since].concat(), marks(&all));
    for wrong in [
        "type=step_begun",
        "status=fine",
        "limit=0",
        "limit=501",
        "after=x",
        "colour=red",
    ] {
        let response = house.get(&format!("{path}?{wrong}")).send().await.unwrap();
        assert_eq!(response.status(), 400, "{wrong}");
    }
    assert!(asked("agentId=%00").await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_stream_takes_the_same_filters() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(3), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    let path = format!("/orchestrations/{id}/stream?type=enrichment_applied&agentId=agent-01");
    let (told, code) = house.socket(&path).await.rest().await;
    assert_eq!(code, Some(1000));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["type"], "enrichment_applied");
    assert_eq!(told[0]["agentId"], "agent-01");
    house.close().await;
}

#[tokio::test]
async fn a_cursor_beyond_the_end_is_refused_and_who_comes_back_behind_the_end_is_told_to_stay_away()
{
    let place = Place::sqlite();
    let house = House::open(&place, chain(1), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    house.ended(id).await;
    let path = format!("/orchestrations/{id}/events");
    let last = house.events(&path, 500).await.pop().unwrap();
    let end: u64 = last["cursor"].as_str().unwrap().parse().unwrap();
    let beyond = house
        .get(&format!("{path}?after={}", end + 1))
        .send()
        .await
        .unwrap();
    assert_eq!(beyond.status(), 409);
    let again = house
        .get(&path)
        .header("accept", "text/event-stream")
        .header("last-event-id", end.to_string());
    assert_eq!(again.send().await.unwrap().status(), 204);
    let frames = house
        .sse(&format!("{path}?after={end}"), None)
        .await
        .rest()
        .await;
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].name, "end");
    let nobodys = "/orchestrations/01900000-0000-7000-8000-000000000000/events";
    assert_eq!(house.get(nobodys).send().await.unwrap().status(), 404);
    house.close().await;
}

#[tokio::test]
async fn an_accounts_feed_tells_all_its_orchestrations_in_one_order() {
    for place in Place::both() {
        let house = House::open(&place, chain(2), performer(done)).await;
        let first = house.begin("Build a shed.").await;
        house.ended(first).await;
        let mut live = house.socket("/accounts/me/stream").await;
        let mut whole = house.socket("/accounts/system/stream?after=0").await;
        let second = house.begin("Build a boat.").await;
        house.ended(second).await;
        let stored = house.events("/accounts/me/events", 3).await;
        let seconds: Vec<Value> = stored
            .iter()
            .filter(|event| event["orchestrationId"] == second.to_string())
            .cloned()
            .collect();
        for event in &seconds {
            assert_eq!(live.next().await.unwrap(), *event);
        }
        for event in &stored {
            assert_eq!(whole.next().await.unwrap(), *event);
        }
        let feeds: Vec<u64> = stored
            .iter()
            .map(|event| event["feed"].as_u64().unwrap())
            .collect();
        assert!(feeds.is_sorted());
        assert_eq!(feeds[0], 1);
        house.close().await;
    }
}

#[tokio::test]
async fn what_passes_by_is_told_without_an_id_and_cut_when_it_is_long() {
    let place = Place::sqlite();
    let (gate, performer) = gated();
    let house = House::open(&place, chain(1), performer).await;
    let id = house.begin("Build a shed.").await;
    let mut sse = house
        .sse(&format!("/orchestrations/{id}/events"), None)
        .await;
    let mut before = sse.next().await.unwrap();
    while before.name != "attempt_started" {
        before = sse.next().await.unwrap();
    }
    let delta = |data| Delta {
        step: StepId::new("agent-00").unwrap(),
        attempt: 1,
        kind: DeltaKind::Progress,
        data,
    };
    house.engine.live.tell(id, delta(json!({ "done": 0.5 })));
    house
        .engine
        .live
        .tell(id, delta(json!("x".repeat(100_000))));
    let progress = sse.next().await.unwrap();
    assert_eq!(progress.name, "progress");
    assert_eq!(progress.id, None);
    assert_eq!(progress.data["data"], json!({ "done": 0.5 }));
    assert_eq!(progress.data["agentId"], "agent-00");
    let long = sse.next().await.unwrap();
    assert_eq!(long.data["data"], json!({ "omitted": 100_002 }));
    gate.add_permits(1);
    assert_eq!(sse.rest().await.pop().unwrap().name, "end");
    house.close().await;
}

#[tokio::test]
async fn a_silent_stream_beats_and_a_server_that_stops_sends_its_readers_away_to_come_back() {
    let place = Place::sqlite();
    let (_gate, performer) = gated();
    let settings = Settings {
        streams: Streams { heartbeat: 50 },
        ..Settings::default()
    };
    let house = House::open_with(&place, chain(1), performer, settings).await;
    let id = house.begin("Build a shed.").await;
    let mut socket = house.socket(&format!("/orchestrations/{id}/stream")).await;
    let mut sse = house
        .sse(&format!("/orchestrations/{id}/events"), None)
        .await;
    while sse.next().await.unwrap().name != "attempt_started" {}
    while socket.next().await.unwrap()["type"] != "attempt_started" {}
    let waiting = tokio::spawn(async move {
        let rest = sse.rest().await;
        (rest, sse.beats)
    });
    let pinged = tokio::spawn(async move { socket.rest().await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let closing = tokio::spawn(house.close());
    let (frames, beats) = waiting.await.unwrap();
    assert_eq!(frames, []);
    assert!(beats >= 2, "{beats} beats");
    assert_eq!(pinged.await.unwrap(), (Vec::new(), Some(1012)));
    closing.await.unwrap();
}

#[tokio::test]
async fn a_reader_that_takes_nothing_slows_nobody_and_gets_everything_when_it_reads_again() {
    let place = Place::sqlite();
    let agents = vec![agent("waits", &[], "approval = \"required\"")];
    let mut settings = Settings::default();
    // Who sleeps is not cut, however long the others take.
    settings.limits.take_pause = 3_600_000;
    let house = House::open_with(&place, agents, performer(done), settings).await;
    let id = house.begin("Build a shed.").await;
    let path = format!("/orchestrations/{id}/stream");
    let mut asleep = house.socket(&path).await;
    let mut awake = house.socket(&path).await;
    let reading = tokio::spawn(async move {
        let mut told = Vec::new();
        while told.len() < 10_000 {
            told.push(awake.next().await.unwrap());
        }
        told
    });
    let step = StepId::new("waits").unwrap();
    for _ in 0..5_000 {
        for command in [
            Command::Pause {
                step: Some(step.clone()),
            },
            Command::Resume {
                step: Some(step.clone()),
            },
        ] {
            transition(&house.engine, id, command, Vec::new())
                .await
                .unwrap();
        }
    }
    let told = reading.await.unwrap();
    let mut late = Vec::new();
    while late.len() < 10_000 {
        late.push(asleep.next().await.unwrap());
    }
    assert_eq!(late, told);
    let seqs: Vec<u64> = told
        .iter()
        .map(|event| event["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=10_000).collect::<Vec<_>>());
    house.close().await;
}

#[tokio::test]
async fn a_browsers_socket_brings_its_key_as_a_protocol_and_sees_its_own_account_alone() {
    let place = Place::sqlite();
    let house = House::open(&place, chain(1), performer(done)).await;
    let id = house.begin("Build a shed.").await;
    let admin = house.key("system", Role::Viewer).await;
    let other = house.key("other", Role::Operator).await;
    let path = format!("/orchestrations/{id}/stream");
    let asked = async |key: &str| {
        let mut request = house.socket_request(&path);
        let offered = format!("afterplan.v1, afterplan.key.{key}");
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", offered.parse().unwrap());
        headers.insert("origin", "https://plans.example".parse().unwrap());
        connect_async(request).await
    };
    let (socket, answer) = asked(&admin).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "afterplan.v1");
    let (told, code) = Socket(socket).rest().await;
    assert_eq!((told.len(), code), (9, Some(1000)));
    for (key, expected) in [(other.as_str(), 404), ("ak_wrong", 401)] {
        match asked(key).await.unwrap_err() {
            Error::Http(answer) => assert_eq!(answer.status(), expected),
            error => panic!("{error}"),
        }
    }
    house.close().await;
}
