//! A reader that is cut off again and again, by either way and over a restart of the server, sees each event once.

use std::time::Duration;

use engine::perform::{Assignment, Performed};
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::live_house::{House, Place, chain, marks, performer};

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
