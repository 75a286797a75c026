//! The end of a server: what is under way is answered, what goes on is told so.

use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, Stage, request_for};

#[tokio::test]
async fn who_waits_is_told_that_it_goes_on_elsewhere() {
    let stage = Stage::open().await;
    stage.register("slow-one", json!({})).await;
    let waiting = stage.post("/api/orchestrate", request_for(&["slow-one"]));
    let stopping = async {
        while stage.stub.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        stage.stop();
    };
    let ((status, body), ()) = tokio::join!(waiting, stopping);
    assert_eq!(status, 202, "{body}");
    assert!(body["statusUrl"].is_string());
    let refused = stage.client.get(stage.url("/health")).send().await;
    assert!(refused.is_err(), "it accepts nobody any more");
    stage.close().await;
}

/// A request whose body the server has begun to read.
async fn half_sent(stage: &Stage, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    let head = format!(
        "POST /api/agents/validate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Waits until nobody new is let in.
async fn closed(stage: &Stage) {
    while TcpStream::connect(stage.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
    let _ = read.expect("the server ends it");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_request_that_is_half_there_is_still_answered() {
    let stage = Stage::open().await;
    let body = json!({"agent": {"id": "a", "displayName": "A"}}).to_string();
    let mut stream = half_sent(&stage, &body).await;
    stage.stop();
    closed(&stage).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let said = rest(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 200") && said.contains("\"valid\":true"),
        "{said}"
    );
    stage.close().await;
}

#[tokio::test]
async fn one_that_never_comes_is_cut_when_the_time_to_drain_is_over() {
    let stage = Stage::with(|settings| {
        settings.limits.drain = 200;
        settings.limits.body_pause = 600_000;
    })
    .await;
    let mut stream = half_sent(&stage, "{}").await;
    stage.stop();
    assert_eq!(rest(&mut stream).await, "");
    stage.close().await;
}
