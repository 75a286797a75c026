//! A reader that is cut off again and again, by either way and over a restart of the server, sees each event once.

use std::time::Duration;

use engine::perform::{Assignment, Performed};
use futures_util::SinkExt;
use serde_json::{Value, json};
use server::config::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::live_house::{House, PATIENCE, Place, agent, chain, marks, performer};

async fn slowly(assignment: Assignment) -> Performed {
    tokio::time::sleep(Duration::from_millis(5)).await;
    Performed::Completed(json!({ "by": assignment.step }))
}

/// A chance that is the same at every try (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)) % bound
    }
}

#[tokio::test]
async fn a_reader_cut_off_fifty_times_sees_each_event_once_also_over_a_restart() {
    for place in Place::both() {
        let mut house = House::open(&place, chain(60), performer(slowly)).await;
        let id = house.begin("Build a shed.").await;
        let mut chance = Chance(7);
        let (mut told, mut cursor) = (Vec::new(), "0".to_owned());
        for cut in 0..50 {
            let want = chance.below(14);
            if cut % 2 == 0 {
                let path = format!("/orchestrations/{id}/stream?after={cursor}");
                let mut socket = house.socket(&path).await;
                for _ in 0..want {
                    told.extend(socket.next().await.ok());
                }
            } else {
                let path = format!("/orchestrations/{id}/events");
                let mut sse = house.sse(&path, Some(&cursor)).await;
                for _ in 0..want {
                    told.extend(sse.next().await.map(|frame| frame.data));
                }
            }
            if let Some(last) = told.last() {
                cursor = last["cursor"].as_str().unwrap().to_owned();
            }
            if cut % 20 == 19 {
                house.close().await;
                house = House::open(&place, chain(60), performer(slowly)).await;
            }
        }
        let path = format!("/orchestrations/{id}/stream?after={cursor}");
        let (rest, code) = house.socket(&path).await.rest().await;
        assert_eq!(code, Some(1000));
        told.extend(rest);
        let stored = house
            .events(&format!("/orchestrations/{id}/events"), 500)
            .await;
        assert_eq!(marks(&told), marks(&stored));
        assert_eq!(told, stored);
        house.close().await;
    }
}

/// The same of an account's feed, where one orchestration follows another.
#[tokio::test]
async fn a_reader_of_an_account_that_is_cut_off_sees_each_event_once_also_over_a_restart() {
    for place in Place::both() {
        let mut house = House::open(&place, chain(8), performer(slowly)).await;
        let mut chance = Chance(11);
        let (mut told, mut cursor) = (Vec::new(), "0".to_owned());
        for cut in 0..30 {
            if cut % 6 == 0 {
                house.begin("Build a shed.").await;
            }
            // No more than is there or comes in any case: a feed has no end.
            let want = chance.below(10);
            let by_socket = cut % 2 == 0;
            told.extend(of_feed(&house, by_socket, &cursor, want).await);
            if let Some(last) = told.last() {
                cursor = last["cursor"].as_str().unwrap().to_owned();
            }
            if cut % 12 == 11 {
                house.close().await;
                house = House::open(&place, chain(8), performer(slowly)).await;
            }
        }
        let last = house.begin("Build a boat.").await;
        house.ended(last).await;
        let stored = loop {
            let stored = house.events("/accounts/me/events", 500).await;
            let over = |event: &&Value| event["type"] == "orchestration_completed";
            if stored.iter().filter(over).count() == 6 {
                break stored;
            }
        };
        let rest = (stored.len() - told.len()) as u64;
        told.extend(of_feed(&house, true, &cursor, rest).await);
        assert_eq!(marks(&told), marks(&stored));
        assert_eq!(told, stored);
        house.close().await;
    }
}

/// So many events of the caller's account behind `cursor`, by either way.
async fn of_feed(house: &House, by_socket: bool, cursor: &str, want: u64) -> Vec<Value> {
    let mut told = Vec::new();
    if by_socket {
        let path = format!("/accounts/me/stream?after={cursor}");
        let mut socket = house.socket(&path).await;
        for _ in 0..want {
            told.push(socket.next().await.unwrap());
        }
    } else {
        let mut sse = house.sse("/accounts/me/events", Some(cursor)).await;
        for _ in 0..want {
            told.push(sse.next().await.unwrap().data);
        }
    }
    told
}

/// One who takes all that comes and answers no heartbeat is gone, as far as anybody can tell.
#[tokio::test]
async fn a_reader_that_answers_no_heartbeat_is_cut_off() {
    let mut settings = Settings::default();
    settings.streams.heartbeat = 50;
    let waits = vec![agent("waits", &[], "approval = \"required\"")];
    let house = House::open_with(&Place::sqlite(), waits, performer(slowly), settings).await;
    let id = house.begin("Build a shed.").await;
    let mut mute = TcpStream::connect(house.address).await.unwrap();
    let request = format!(
        "GET /api/orchestrations/{id}/stream HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        house.address
    );
    mute.write_all(request.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    let read = mute.read_to_end(&mut told);
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("it ends")
        .unwrap();
    // Two pings without a word, and no farewell: nobody is there to hear it.
    let pings = told.windows(2).filter(|pair| *pair == [0x89, 0]).count();
    assert_eq!(pings, 2);
    let told = String::from_utf8_lossy(&told);
    assert!(told.contains("step_parked"), "{told}");
    house.close().await;
}

#[tokio::test]
async fn a_reader_that_breaks_the_protocol_is_told_so() {
    let house = House::open(&Place::sqlite(), chain(60), performer(slowly)).await;
    let id = house.begin("Build a shed.").await;
    let mut socket = house.socket(&format!("/orchestrations/{id}/stream")).await;
    let long = Message::Text("x".repeat(5000).into());
    socket.0.send(long).await.unwrap();
    assert_eq!(socket.rest().await.1, Some(1002));
    house.close().await;
}
