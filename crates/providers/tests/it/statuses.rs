//! Statuses over the wire; their classes are listed beside the function that gives them.

use bytes::Bytes;
use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::peer::{Act, Peer, failure_of, invocation, outgoing, response};

#[tokio::test]
async fn a_rate_limit_comes_with_its_wait_and_the_agents_words() {
    let body = r#"{"error": "quota of the day is used up"}"#;
    let peer = Peer::saying(response(
        "429 Too Many Requests",
        "retry-after: 30\r\n",
        body,
    ))
    .await;
    let failure = failure_of(&peer).await;
    assert_eq!(failure.class, ErrorClass::RateLimited);
    assert_eq!(failure.retry_after, Some(Millis(30_000)));
    assert!(
        failure
            .message
            .contains("429 Too Many Requests: quota of the day"),
        "{failure}"
    );
}

#[tokio::test]
async fn an_overloaded_agent_may_name_the_time() {
    // The request is made at 10:00:00.
    let headers = "retry-after: Sun, 22 Nov 2026 10:00:45 GMT\r\n";
    let peer = Peer::saying(response("503 Service Unavailable", headers, "")).await;
    let failure = failure_of(&peer).await;
    assert_eq!(
        (failure.class, failure.retry_after),
        (ErrorClass::RateLimited, Some(Millis(45_000)))
    );
}

#[tokio::test]
async fn classes_follow_the_status() {
    for (status, class) in [
        ("500 Internal Server Error", ErrorClass::Transient),
        ("503 Service Unavailable", ErrorClass::Transient),
        ("408 Request Timeout", ErrorClass::Transient),
        ("425 Too Early", ErrorClass::Transient),
        ("409 Conflict", ErrorClass::Transient),
        ("404 Not Found", ErrorClass::Fatal),
        ("422 Unprocessable Content", ErrorClass::Fatal),
        ("202 Accepted", ErrorClass::Fatal),
        ("304 Not Modified", ErrorClass::Fatal),
    ] {
        let body = if status.starts_with("304") { "" } else { "{}" };
        let peer = Peer::saying(response(status, "", body)).await;
        assert_eq!(failure_of(&peer).await.class, class, "{status}");
    }
}

#[tokio::test]
async fn an_error_that_never_ends_is_an_error_all_the_same() {
    let head = Act::Write(b"HTTP/1.1 500 Oh\r\n\r\n".to_vec());
    for last in [Act::Hang, Act::Forever(vec![b'x'; 4_096])] {
        let peer = Peer::always(vec![head.clone(), last]).await;
        assert_eq!(failure_of(&peer).await.class, ErrorClass::Transient);
        peer.closed(1).await;
    }
}

#[tokio::test]
async fn an_agent_that_refuses_a_large_body_before_it_has_read_it_is_understood() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1_024];
            let _ = stream.read(&mut head).await;
            let _ = stream
                .write_all(&response("413 Content Too Large", "", "{}"))
                .await;
            // Closed with most of the body unread: the other side is told by a reset.
        }
    });
    for _ in 0..20 {
        let mut asked = invocation(&url);
        asked.body = Bytes::from(vec![b' '; 16 << 20]);
        let failure = outgoing().invoke(asked, |_| {}).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Fatal, "{failure}");
        assert!(failure.message.contains("413"), "{failure}");
    }
}
