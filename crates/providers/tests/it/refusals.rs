//! Where requests do not go: not by the URL, not by a name's address, not by a redirect.

use std::net::IpAddr;

use domain::agent::retry::ErrorClass;
use providers::failure::Failure;
use providers::outgoing::{Outgoing, OutgoingSettings};
use providers::sign::SigningSecret;

use crate::peer::{Peer, allowing, invocation, json, outgoing, response};

async fn failure(outgoing: &Outgoing, url: &str) -> Failure {
    outgoing.invoke(invocation(url), |_| {}).await.unwrap_err()
}

#[track_caller]
fn assert_refused(failure: &Failure, what: &str) {
    assert_eq!(failure.class, ErrorClass::Fatal, "{what}: {failure}");
    assert!(failure.message.contains("refused"), "{what}: {failure}");
}

#[tokio::test]
async fn addresses_that_are_not_public_are_refused_however_they_are_spelled() {
    let strict = allowing(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "127.0.0.1.",
        "１２７.０.０.１",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:9/");
            assert_refused(&failure(&strict, &url).await, &url);
        }
    }
}

#[tokio::test]
async fn names_that_lead_to_such_addresses_are_refused() {
    for ip in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "100.127.255.254",
        "169.254.169.254",
        "::1",
        "::",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "fe80::1",
        "fc00::1",
        "ff05::2",
    ] {
        let ip: IpAddr = ip.parse().unwrap();
        let outgoing = Outgoing::new(OutgoingSettings {
            names: [("agents.test".to_owned(), vec![ip, ip])].into(),
            ..OutgoingSettings::default()
        })
        .unwrap();
        let failure = failure(&outgoing, "http://agents.test:9/").await;
        assert_refused(&failure, &ip.to_string());
        assert!(
            !failure.message.contains(&ip.to_string()),
            "a name's address is not told: {failure}"
        );
    }
    // By the system's own resolver.
    assert_refused(
        &failure(&allowing(&[]), "http://localhost:9/").await,
        "localhost",
    );
}

#[tokio::test]
async fn the_allow_list_opens_one_port_and_not_its_neighbour() {
    let peer = Peer::saying(json("{}")).await;
    let other = Peer::saying(json("{}")).await;
    let only = allowing(&[&peer.address.to_string()]);
    assert!(
        only.invoke(invocation(&peer.url("/")), |_| {})
            .await
            .is_ok()
    );
    assert_refused(&failure(&only, &other.url("/")).await, "another port");
    assert_eq!(other.accepted(), 0, "nothing was dialled");
    let by_name = allowing(&["localhost"]);
    let url = format!("http://localhost:{}/", peer.address.port());
    assert!(by_name.invoke(invocation(&url), |_| {}).await.is_ok());
    assert_refused(&failure(&by_name, &peer.url("/")).await, "by its address");
}

#[tokio::test]
async fn a_redirect_is_checked_like_the_first_address() {
    for (location, says) in [
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://127.0.0.1:1/", "loopback"),
        ("http://[::ffff:10.0.0.1]/", "private"),
        ("//0x7f.1:1/", "loopback"),
        ("file:///etc/passwd", "neither http nor https"),
        ("gopher://x/", "neither http nor https"),
        ("http://", "no URL"),
        ("http://localhost:1/", "loopback"),
    ] {
        let headers = format!("location: {location}\r\n");
        let peer = Peer::saying(response("307 Temporary Redirect", &headers, "")).await;
        let only = allowing(&[&peer.address.to_string()]);
        let failure = failure(&only, &peer.url("/")).await;
        assert_eq!(failure.class, ErrorClass::Fatal, "{location}: {failure}");
        assert!(failure.message.contains(says), "{location}: {failure}");
        assert_eq!(peer.seen().len(), 1);
    }
}

#[tokio::test]
async fn redirects_end_somewhere() {
    let circle = Peer::saying(response(
        "308 Permanent Redirect",
        "location: /again\r\n",
        "",
    ))
    .await;
    let failure = failure(&outgoing(), &circle.url("/")).await;
    assert_eq!(failure.class, ErrorClass::Fatal);
    assert!(failure.message.contains("more than 5 times"), "{failure}");
    assert_eq!(circle.seen().len(), 6);
}

#[tokio::test]
async fn a_post_stays_a_post_or_goes_nowhere() {
    let after = Peer::new(|seen| {
        let moved = response("307 Temporary Redirect", "location: there\r\n", "");
        let here = seen.head.starts_with("POST /a/there ");
        vec![crate::peer::Act::Write(if here {
            json("{}")
        } else {
            moved
        })]
    })
    .await;
    assert!(
        outgoing()
            .invoke(invocation(&after.url("/a/here")), |_| {})
            .await
            .is_ok()
    );
    assert_eq!(after.seen()[1].body, after.seen()[0].body);
    for status in ["301 Moved Permanently", "302 Found", "303 See Other"] {
        let peer = Peer::saying(response(status, "location: /there\r\n", "")).await;
        let failure = failure(&outgoing(), &peer.url("/")).await;
        assert_eq!(failure.class, ErrorClass::Fatal, "{status}");
        assert!(failure.message.contains("307 and 308"), "{failure}");
    }
    let nowhere = Peer::saying(response("307 Temporary Redirect", "", "")).await;
    assert_eq!(
        failure(&outgoing(), &nowhere.url("/")).await.class,
        ErrorClass::Fatal
    );
}

#[tokio::test]
async fn secrets_stay_with_the_origin_they_were_meant_for() {
    let other = Peer::saying(json("{}")).await;
    let elsewhere = format!("location: {}\r\n", other.url("/b"));
    let peer = Peer::new(move |seen| {
        let headers = if seen.head.starts_with("POST /first") {
            "location: /second\r\n"
        } else {
            &elsewhere
        };
        vec![crate::peer::Act::Write(response(
            "307 Temporary Redirect",
            headers,
            "",
        ))]
    })
    .await;
    let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let url = format!("http://jo:hush@{}/first", peer.address);
    let mut asked = invocation(&url);
    asked.secret = Some(&secret);
    outgoing().invoke(asked, |_| {}).await.unwrap();
    for name in ["webhook-signature", "webhook-id", "authorization"] {
        assert!(
            peer.seen().iter().all(|seen| seen.header(name).is_some()),
            "{name}"
        );
        assert_eq!(other.seen()[0].header(name), None, "{name}");
    }
    assert!(other.seen()[0].header("idempotency-key").is_some());
}

#[tokio::test]
async fn no_message_repeats_a_secret() {
    let refusing = Peer::saying(response("500 Oh", "", "")).await;
    let empty = Peer::saying(json("")).await;
    let circle = Peer::saying(response("307 Go", "location: /x?key=hush#hush\r\n", "")).await;
    let closing = Peer::always(vec![crate::peer::Act::Close]).await;
    for authority in [
        refusing.address.to_string(),
        empty.address.to_string(),
        circle.address.to_string(),
        closing.address.to_string(),
        "127.0.0.1:1".to_owned(),
        "10.0.0.1".to_owned(),
        "no-such-host.invalid".to_owned(),
        "[".to_owned(),
        ":99999".to_owned(),
    ] {
        let url = format!("http://hush:hush@{authority}/invoke?key=hush#hush");
        let failure = failure(&outgoing(), &url).await;
        assert!(!failure.message.contains("hush"), "{failure}");
    }
    assert!(
        !failure(&outgoing(), "hush://hush")
            .await
            .message
            .contains("//hush")
    );
}
