//! Answers in one piece: what is taken as an agent's result, and what is not.

use domain::agent::retry::ErrorClass;
use serde_json::json;

use crate::peer::{ANSWER_MAX, Act, Peer, failure_of, invoke, json, response};

#[tokio::test]
async fn a_json_object_is_the_result_without_its_tokens() {
    let peer = Peer::saying(json(r#"{"findings":[{"rule":"x"}],"tokensUsed":2100}"#)).await;
    let (answer, heard) = invoke(&peer.url("/invoke")).await;
    let answer = answer.unwrap();
    assert_eq!(answer.data, json!({"findings": [{"rule": "x"}]}));
    assert_eq!((answer.usage.tokens(), answer.partial), (Some(2100), None));
    assert!(heard.is_empty());
}

#[tokio::test]
async fn an_answer_may_come_in_chunks_or_end_with_the_connection() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n4\r\n{{\"a\"\r\n3\r\n: 1\r\n1\r\n}}\r\n0\r\n\r\n"
    );
    let peer = Peer::saying(chunked).await;
    assert_eq!(
        invoke(&peer.url("/")).await.0.unwrap().data,
        json!({"a": 1})
    );
    let until_closed = Act::Write(format!("{head}\r\n{{\"a\": 1}}").into_bytes());
    let peer = Peer::always(vec![until_closed, Act::Close]).await;
    assert_eq!(
        invoke(&peer.url("/")).await.0.unwrap().data,
        json!({"a": 1})
    );
}

#[tokio::test]
async fn an_agent_may_call_its_answer_partial() {
    let peer = Peer::saying(json(
        r#"{"status":"partial","reason":"half the phases","a":1}"#,
    ))
    .await;
    let answer = invoke(&peer.url("/")).await.0.unwrap();
    assert_eq!(answer.partial.as_deref(), Some("half the phases"));
    assert_eq!(answer.data, json!({"a": 1}));
}

#[tokio::test]
async fn what_is_no_json_object_is_an_invalid_output() {
    let html = "content-type: text/html; charset=utf-8\r\n";
    let nested = format!("{{\"a\":{}", "[".repeat(200_000 / 4));
    for (body, headers, says) in [
        ("<html><body>Welcome</body></html>", html, "text/html"),
        ("{\"a\": 1", "", "EOF"),
        ("{\"a\": nan}", "", "not JSON"),
        ("[1, 2]", "", "not a JSON object"),
        ("\"done\"", "", "not a JSON object"),
        ("", "", "nothing"),
        ("{\"a\": 1e999}", "", "out of range"),
        (nested.as_str(), "", "recursion"),
    ] {
        let peer = Peer::saying(response("200 OK", headers, body)).await;
        let failure = failure_of(&peer).await;
        assert_eq!(failure.class, ErrorClass::InvalidOutput, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
    }
}

#[tokio::test]
async fn half_a_character_is_an_invalid_output() {
    let peer = Peer::saying(response("200 OK", "", b"{\"a\": \"\xe2\x82\"}")).await;
    assert_eq!(failure_of(&peer).await.class, ErrorClass::InvalidOutput);
}

#[tokio::test]
async fn a_coding_that_was_not_asked_for_is_an_invalid_output() {
    let zipped = response(
        "200 OK",
        "content-encoding: gzip\r\n",
        b"\x1f\x8b\x08\0\0\0\0\0",
    );
    let failure = failure_of(&Peer::saying(zipped).await).await;
    assert_eq!(failure.class, ErrorClass::InvalidOutput);
    assert!(failure.message.contains("`gzip`"), "{failure}");
}

#[tokio::test]
async fn an_answer_shorter_than_its_length_is_transient() {
    let short = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\": 1}".to_vec();
    let peer = Peer::always(vec![Act::Write(short), Act::Close]).await;
    let failure = failure_of(&peer).await;
    assert_eq!(failure.class, ErrorClass::Transient, "{failure}");
}

#[tokio::test]
async fn an_answer_longer_than_its_length_ends_there_and_its_connection_is_not_used_again() {
    let long =
        b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"a\": 1}HTTP/1.1 200 OK\r\n".to_vec();
    let peer = Peer::saying(long).await;
    let outgoing = crate::peer::outgoing();
    let url = peer.url("/");
    for _ in 0..2 {
        let answer = outgoing.invoke(crate::peer::invocation(&url), |_| {}).await;
        assert_eq!(answer.unwrap().data, json!({"a": 1}));
    }
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn an_answer_larger_than_allowed_is_refused_however_it_comes() {
    let declared = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{{",
        u64::MAX / 4
    );
    let endless = Act::Write(b"HTTP/1.1 200 OK\r\n\r\n{\"a\": \"".to_vec());
    let chunks = Act::Write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec());
    let line =
        Act::Write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n".to_vec());
    let events = Act::Write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n".to_vec());
    for acts in [
        vec![Act::Write(declared.into_bytes()), Act::Hang],
        vec![endless, Act::Forever(b"x".repeat(4_096))],
        vec![chunks, Act::Forever(b"5\r\nxxxxx\r\n".repeat(100))],
        vec![line.clone(), Act::Forever(b"x".repeat(4_096))],
        vec![line, Act::Forever(b"{\"type\":\"progress\"}\n".repeat(100))],
        vec![events, Act::Forever(b": still here\n\n".repeat(100))],
    ] {
        let peer = Peer::always(acts).await;
        let failure = failure_of(&peer).await;
        assert_eq!(failure.class, ErrorClass::InvalidOutput, "{failure}");
        assert!(
            failure.message.contains(&ANSWER_MAX.to_string()),
            "{failure}"
        );
        peer.closed(1).await;
    }
    let exactly = format!("{{\"a\":\"{}\"}}", "x".repeat(ANSWER_MAX - 8));
    assert_eq!(exactly.len(), ANSWER_MAX);
    let peer = Peer::saying(json(&exactly)).await;
    assert!(invoke(&peer.url("/")).await.0.is_ok());
}

#[tokio::test]
async fn what_is_no_http_is_transient() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for nonsense in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\0\u{1}\u{2}\u{3}".to_owned(),
        "HTTP/1.1 999999 What\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}".to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n{{}}",
            "y".repeat(1_000_000)
        ),
        format!("{head}zz\r\n{{}}\r\n0\r\n\r\n"),
        format!("{head}fffffffffffffffff\r\n{{}}"),
        format!("{head}2\r\n{{}}garbage\r\n"),
        format!("{head}2\r\n{{}}\r\n"),
    ] {
        let begins: String = nonsense.chars().take(120).collect();
        let peer = Peer::always(vec![Act::Write(nonsense.into_bytes()), Act::Close]).await;
        let failure = failure_of(&peer).await;
        assert_eq!(failure.class, ErrorClass::Transient, "{begins}: {failure}");
    }
}
