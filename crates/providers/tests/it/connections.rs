//! Connections: used again, given up where the peer hung up, closed with the future that waits on them.

use std::time::Duration;

use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use futures_util::future::join_all;
use providers::outgoing::{Outgoing, OutgoingSettings};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::peer::{Act, Peer, failure_of, invocation, invoke, json, outgoing};

#[tokio::test]
async fn requests_one_after_another_share_a_connection() {
    let peer = Peer::saying(json("{}")).await;
    let (outgoing, url) = (outgoing(), peer.url("/invoke"));
    for _ in 0..20 {
        outgoing
            .clone()
            .invoke(invocation(&url), |_| {})
            .await
            .unwrap();
    }
    assert_eq!((peer.accepted(), peer.seen().len()), (1, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_a_time_keep_their_connections_for_the_next_two_hundred() {
    let peer = Peer::saying(json("{\"a\":1}")).await;
    let (outgoing, url) = (outgoing(), peer.url("/invoke"));
    for _ in 0..3 {
        let asked = (0..200).map(|_| {
            let (outgoing, url) = (outgoing.clone(), url.clone());
            tokio::spawn(async move { outgoing.invoke(invocation(&url), |_| {}).await })
        });
        for answered in join_all(asked).await {
            assert_eq!(answered.unwrap().unwrap().data, json!({"a": 1}));
        }
    }
    assert!(peer.accepted() <= 200, "{} connections", peer.accepted());
}

#[tokio::test]
async fn a_kept_connection_that_the_peer_closed_costs_no_attempt() {
    let peer = Peer::always(vec![Act::Write(json("{}")), Act::Close]).await;
    let (outgoing, url) = (outgoing(), peer.url("/"));
    for round in 1..=5 {
        outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
        peer.closed(round).await;
    }
    assert_eq!((peer.accepted(), peer.seen().len()), (5, 5));
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_the_next_request_is_replaced_once() {
    // The second request of the first connection is read and not answered: as if both sides had moved at once.
    let peer = Peer::new(|seen| match seen.connection {
        0 if seen.header("afterplan-attempt") == Some("9") => vec![Act::Close],
        _ => vec![Act::Write(json("{}"))],
    })
    .await;
    let (outgoing, url) = (outgoing(), peer.url("/"));
    outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
    let mut second = invocation(&url);
    second.attempt = 9;
    outgoing.invoke(second, |_| {}).await.unwrap();
    let keys: Vec<_> = peer
        .seen()
        .iter()
        .map(|seen| seen.header("idempotency-key").unwrap().to_owned())
        .collect();
    assert_eq!(
        keys, ["0193-step"; 3],
        "the agent can tell that it is the same"
    );
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn a_fresh_connection_that_closes_without_a_word_is_transient() {
    let peer = Peer::always(vec![Act::Close]).await;
    assert_eq!(failure_of(&peer).await.class, ErrorClass::Transient);
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_the_peer_wants_closed_is_not_kept() {
    let closing = crate::peer::response("200 OK", "connection: close\r\n", "{}");
    let peer = Peer::saying(closing).await;
    let (outgoing, url) = (outgoing(), peer.url("/"));
    for _ in 0..3 {
        outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
    }
    peer.closed(3).await;
    assert_eq!(peer.accepted(), 3);
}

#[tokio::test]
async fn who_stops_waiting_closes_the_connection_before_and_within_the_answer() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
    let stream = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: here\n".to_vec();
    for acts in [
        vec![Act::Hang],
        vec![Act::Write(b"HTTP/1.1 2".to_vec()), Act::Hang],
        vec![Act::Write(head), Act::Hang],
        vec![Act::Write(stream), Act::Hang],
    ] {
        let peer = Peer::always(acts).await;
        let (outgoing, url) = (outgoing(), peer.url("/"));
        let ended = tokio::select! {
            ended = outgoing.invoke(invocation(&url), |_| {}) => Some(ended),
            () = peer.saw(1) => None,
        };
        assert!(ended.is_none(), "{ended:?}");
        peer.closed(1).await;
    }
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let failure = invoke(&url).await.0.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient);
    assert!(failure.message.contains("no connection"), "{failure}");
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_has_its_time() {
    // A listener whose queue is full answers no further connection; here the same is had by TLS that is never spoken.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let outgoing = Outgoing::new(OutgoingSettings {
        allow: vec!["127.0.0.1".to_owned()],
        connect_timeout: Millis(50),
        ..OutgoingSettings::default()
    })
    .unwrap();
    let failure = outgoing.invoke(invocation(&url), |_| {}).await.unwrap_err();
    assert!(
        failure.message.contains("within 50 ms") || failure.message.contains("no certificates"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let peer = Peer::saying(json("{}")).await;
    let outgoing = Outgoing::new(OutgoingSettings {
        allow: vec!["127.0.0.0/8".to_owned()],
        // Nothing listens at the first; the guard refuses the second.
        names: [(
            "agents.test".to_owned(),
            ["127.0.0.77", "10.0.0.1", "127.0.0.1"]
                .map(|ip| ip.parse().unwrap())
                .to_vec(),
        )]
        .into(),
        ..OutgoingSettings::default()
    })
    .unwrap();
    let url = format!("http://agents.test:{}/", peer.address.port());
    outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
    let host = format!("agents.test:{}", peer.address.port());
    assert_eq!(peer.seen()[0].header("host"), Some(host.as_str()));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_a_while() {
    let peer = Peer::saying(json("{}")).await;
    let (outgoing, url) = (outgoing(), peer.url("/"));
    outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
    tokio::time::advance(Duration::from_secs(120)).await;
    peer.closed(1).await;
    outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_transient() {
    let failure = invoke("http://no-such-host.invalid/").await.0.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient, "{failure}");
}

#[tokio::test]
async fn other_sockets_are_left_alone() {
    // What the pool keeps is by origin: another port is another peer.
    let (one, two) = (
        Peer::saying(json("{\"n\":1}")).await,
        Peer::saying(json("{\"n\":2}")).await,
    );
    let outgoing = outgoing();
    for _ in 0..2 {
        for (peer, n) in [(&one, 1), (&two, 2)] {
            let url = peer.url("/");
            let answer = outgoing.invoke(invocation(&url), |_| {}).await.unwrap();
            assert_eq!(answer.data, json!({"n": n}));
        }
    }
    assert_eq!((one.accepted(), two.accepted()), (1, 1));
    drop(TcpStream::connect(one.address).await);
}
