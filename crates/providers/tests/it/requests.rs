//! What an agent is sent.

use domain::values::time::Timestamp;
use providers::sign::{InvalidSecret, SigningSecret, Unverified};

use crate::peer::{NOW, Peer, Seen, invocation, json, outgoing};

// The example of the Standard Webhooks specification's own libraries.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn sent() -> i64 {
    NOW.0 / 1_000_000
}

async fn seen_by(secret: Option<&SigningSecret>, path: &str) -> Seen {
    let peer = Peer::saying(json("{}")).await;
    let url = peer.url(path);
    let mut asked = invocation(&url);
    asked.secret = secret;
    asked.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    outgoing().invoke(asked, |_| {}).await.unwrap();
    peer.seen()[0].clone()
}

#[tokio::test]
async fn an_agent_is_sent_the_body_and_what_it_must_know_beside_it() {
    let seen = seen_by(None, "/api/agents/a%20b/invoke?tier=1#fragment").await;
    assert!(
        seen.head
            .starts_with("POST /api/agents/a%20b/invoke?tier=1 HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(seen.body, br#"{"planId":"p"}"#);
    for (name, value) in [
        ("content-type", "application/json"),
        (
            "accept",
            "application/json, application/x-ndjson, text/event-stream",
        ),
        ("accept-encoding", "identity"),
        ("idempotency-key", "0193-step"),
        ("afterplan-attempt", "2"),
        ("afterplan-deadline", "2026-11-22T10:01:00.000Z"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert!(seen.header("user-agent").unwrap().starts_with("afterplan/"));
    for absent in ["webhook-id", "webhook-signature", "authorization"] {
        assert_eq!(seen.header(absent), None);
    }
}

#[tokio::test]
async fn a_signed_request_can_be_verified_and_a_changed_one_cannot() {
    let secret = SigningSecret::new(SECRET).unwrap();
    let seen = seen_by(Some(&secret), "/").await;
    assert_eq!(seen.header("webhook-id"), Some("0193-step"));
    assert_eq!(
        seen.header("webhook-timestamp"),
        Some(sent().to_string().as_str())
    );
    let signature = seen.header("webhook-signature").unwrap();
    let verify = |id, at, signature: &str, body: &[u8]| secret.verify(id, at, signature, body, NOW);
    assert_eq!(verify("0193-step", sent(), signature, &seen.body), Ok(()));
    let several = format!("v1,AAAA v2,xxxx {signature}");
    assert_eq!(verify("0193-step", sent(), &several, &seen.body), Ok(()));
    assert_eq!(
        verify("0193-other", sent(), signature, &seen.body),
        Err(Unverified::Signature)
    );
    assert_eq!(
        verify("0193-step", sent() + 1, signature, &seen.body),
        Err(Unverified::Signature)
    );
    assert_eq!(
        verify("0193-step", sent(), signature, b"{}"),
        Err(Unverified::Signature)
    );
    assert_eq!(
        verify("0193-step", sent(), "", &seen.body),
        Err(Unverified::Signature)
    );
    assert_eq!(
        verify("0193-step", sent() - 301, signature, &seen.body),
        Err(Unverified::Time)
    );
    assert_eq!(
        verify("0193-step", sent() + 301, signature, &seen.body),
        Err(Unverified::Time)
    );
}

#[test]
fn the_signature_is_that_of_the_specification() {
    // From the test vectors of the reference libraries (standard-webhooks/standard-webhooks).
    let secret = SigningSecret::new(SECRET).unwrap();
    let at = Timestamp(1_614_265_330_000_000);
    let signature = secret.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        at,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_secret_has_one_form_and_never_shows_itself() {
    let secret = SigningSecret::new(SECRET).unwrap();
    assert_eq!(format!("{secret:?}"), "SigningSecret(whsec_…)");
    for wrong in [
        "",
        "whsec_",
        "whsec_%%%",
        "whsec_c2hvcnQ=",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ] {
        assert_eq!(SigningSecret::new(wrong), Err(InvalidSecret));
    }
}

#[tokio::test]
async fn a_user_in_the_url_becomes_an_authorization() {
    let peer = Peer::saying(json("{}")).await;
    let url = format!("http://jo:p%40ss@{}/", peer.address);
    outgoing().invoke(invocation(&url), |_| {}).await.unwrap();
    // jo:p@ss
    assert_eq!(
        peer.seen()[0].header("authorization"),
        Some("Basic am86cEBzcw==")
    );
}
