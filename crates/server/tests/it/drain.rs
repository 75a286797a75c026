//! The end of a server: what is under way is answered, what goes on is told so.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::stage::{Stage, request_for};

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
