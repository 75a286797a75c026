//! What an agent says of itself.

use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use providers::discovery::DEFINITION_MAX;

use crate::peer::{Act, Peer, allowing, json, outgoing, response};

#[tokio::test]
async fn a_definition_is_fetched_as_it_stands() {
    let peer = Peer::saying(json(r#"{"id":"a"}"#)).await;
    let bytes = outgoing()
        .definition(&peer.url("/.well-known/afterplan-agent.json"))
        .await
        .unwrap();
    assert_eq!(bytes, br#"{"id":"a"}"#);
    let seen = &peer.seen()[0];
    assert!(
        seen.head
            .starts_with("GET /.well-known/afterplan-agent.json HTTP/1.1\r\n")
    );
    assert_eq!(seen.header("content-length"), None);
    assert_eq!(seen.header("accept"), Some("application/json"));
}

#[tokio::test]
async fn a_definition_may_have_moved_but_not_inside() {
    let peer = Peer::new(|seen| {
        let moved = response("301 Moved Permanently", "location: /new\r\n", "");
        vec![Act::Write(if seen.head.starts_with("GET /new ") {
            json("{}")
        } else {
            moved
        })]
    })
    .await;
    assert_eq!(
        outgoing().definition(&peer.url("/old")).await.unwrap(),
        b"{}"
    );
    let inside = Peer::saying(response(
        "302 Found",
        "location: http://169.254.169.254/\r\n",
        "",
    ))
    .await;
    let only = allowing(&[&inside.address.to_string()]);
    assert_eq!(
        only.definition(&inside.url("/")).await.unwrap_err().class,
        ErrorClass::Fatal
    );
}

#[tokio::test]
async fn a_definition_has_its_bounds() {
    let most = Peer::saying(json(&" ".repeat(DEFINITION_MAX))).await;
    assert!(outgoing().definition(&most.url("/")).await.is_ok());
    let more = Peer::saying(json(&" ".repeat(DEFINITION_MAX + 1))).await;
    assert!(outgoing().definition(&more.url("/")).await.is_err());
    let missing = Peer::saying(response("404 Not Found", "", "")).await;
    let failure = outgoing().definition(&missing.url("/")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Fatal);
    assert!(failure.message.contains("404"));
}

#[tokio::test]
async fn an_agent_is_well_when_it_says_so_in_time() {
    let well = Peer::saying(response("204 No Content", "", "")).await;
    let outgoing = outgoing();
    for _ in 0..3 {
        assert_eq!(
            outgoing.healthy(&well.url("/health"), Millis(5_000)).await,
            Ok(())
        );
    }
    assert_eq!(well.accepted(), 1, "probing keeps its connection");
    let ill = Peer::saying(response(
        "503 Service Unavailable",
        "",
        "{\"error\":\"no model\"}",
    ))
    .await;
    let failure = outgoing
        .healthy(&ill.url("/health"), Millis(5_000))
        .await
        .unwrap_err();
    assert!(
        failure.message.contains("503") && failure.message.contains("no model"),
        "{failure}"
    );
    let silent = Peer::always(vec![Act::Hang]).await;
    let failure = outgoing
        .healthy(&silent.url("/health"), Millis(30))
        .await
        .unwrap_err();
    assert!(failure.message.contains("within 30 ms"), "{failure}");
    silent.closed(1).await;
}
