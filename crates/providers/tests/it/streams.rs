//! Answers in many pieces: lines and events, cut anywhere, whole, broken or too many.

use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use providers::http_agent::{Answer, Heard};
use serde_json::{Value, json};

use crate::peer::{Act, Peer, invoke};

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// A stream's head and these pieces, each a chunk.
fn chunks(content_type: &str, pieces: &[&[u8]]) -> Vec<u8> {
    let mut all = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        all.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        all.extend_from_slice(piece);
        all.extend_from_slice(b"\r\n");
    }
    all
}

/// The same, ended as it should be.
fn whole(content_type: &str, pieces: &[&[u8]]) -> Vec<u8> {
    [chunks(content_type, pieces).as_slice(), b"0\r\n\r\n"].concat()
}

fn last_partial(heard: &[Heard]) -> Option<Value> {
    heard.iter().rev().find_map(|said| match said {
        Heard::Partial(merged) => Some(merged.clone()),
        _ => None,
    })
}

const SPOKEN_LINES: &str = concat!(
    "{\"type\":\"progress\",\"data\":{\"done\":\"½\"}}\n",
    "{\"type\":\"partial\",\"data\":{\"a\":{\"x\":1,\"y\":2},\"b\":\"é\"}}\r\n",
    "\n",
    "{\"type\":\"usage\",\"data\":{\"tokensUsed\":40}}\n",
    "{\"type\":\"heartbeat\"}\n",
    "{\"type\":\"partial\",\"data\":{\"a\":{\"x\":null,\"z\":[3]},\"b\":null}}\n",
    "{\"type\":\"usage\",\"data\":{\"tokensUsed\":90}}\n",
    "{\"type\":\"result\",\"data\":{\"findings\":[\"ü\"],\"n\":1}}"
);

const SPOKEN_EVENTS: &str = concat!(
    ": hello\n\n",
    "event: progress\ndata: {\"done\":\"½\"}\n\n",
    "event: partial\r\ndata: {\"a\":{\"x\":1,\r\ndata: \"y\":2},\"b\":\"é\"}\r\n\r\n",
    "event: usage\rdata: {\"tokensUsed\":40}\r\r",
    "event: heartbeat\ndata: not even JSON\n\n",
    "data: {\"type\":\"partial\",\"data\":{\"a\":{\"x\":null,\"z\":[3]},\"b\":null}}\n\n",
    "id: 7\nevent: usage\ndata: {\"tokensUsed\":90}\n\n",
    "event: result\ndata: {\"findings\":[\"ü\"],\"n\":1}\n\n",
);

#[tokio::test]
async fn where_the_network_cuts_a_stream_changes_nothing() {
    let expected = Answer {
        data: json!({"findings": ["ü"], "n": 1}),
        usage: Usage::of_tokens(90),
        partial: None,
    };
    for (content_type, spoken) in [(LINES, SPOKEN_LINES), (EVENTS, SPOKEN_EVENTS)] {
        let bytes = spoken.as_bytes();
        let peer = Peer::new(move |seen| {
            let cut: usize = seen.header("idempotency-key").unwrap().parse().unwrap();
            let said = if cut > bytes.len() {
                whole(content_type, &bytes.chunks(1).collect::<Vec<_>>())
            } else {
                whole(content_type, &[&bytes[..cut], &bytes[cut..]])
            };
            vec![Act::Write(said)]
        })
        .await;
        let (outgoing, url) = (crate::peer::outgoing(), peer.url("/"));
        for cut in 0..=bytes.len() + 1 {
            let mut heard = Vec::new();
            let key = cut.to_string();
            let mut asked = crate::peer::invocation(&url);
            asked.idempotency_key = &key;
            let answer = outgoing.invoke(asked, |said| heard.push(said)).await;
            assert_eq!(answer.as_ref(), Ok(&expected), "cut at {cut}");
            assert_eq!(
                last_partial(&heard),
                Some(json!({"a": {"y": 2, "z": [3]}})),
                "cut at {cut}"
            );
            let mut others = heard
                .iter()
                .filter(|said| !matches!(said, Heard::Partial(_)));
            assert_eq!(others.next(), Some(&Heard::Progress(json!({"done": "½"}))));
            assert_eq!(others.next(), Some(&Heard::Usage(Usage::of_tokens(40))));
            assert_eq!(others.next(), Some(&Heard::Usage(Usage::of_tokens(90))));
            assert_eq!(others.next(), None);
        }
        assert_eq!(
            peer.accepted(),
            1,
            "a stream read to its end leaves its connection for the next"
        );
    }
}

#[tokio::test]
async fn a_stream_without_a_result_is_transient_and_keeps_what_it_brought() {
    let partial = b"{\"type\":\"partial\",\"data\":{\"a\":1}}\n{\"type\":\"usage\",\"data\":{\"tokensUsed\":7}}\n{\"type\":\"partial\",\"data\":{\"b\":2}}\n".as_slice();
    let unknown = [partial, b"{\"type\":\"resutl\",\"data\":{}}\n"].concat();
    let within_a_line = [partial, b"{\"type\":\"result\",\"da"].concat();
    for (said, ending, says) in [
        (whole(LINES, &[partial]), Act::Hang, "without a result"),
        (whole(LINES, &[&unknown]), Act::Hang, "`resutl`"),
        (whole(LINES, &[&within_a_line]), Act::Hang, "within a line"),
        // In the middle of the chunks.
        (chunks(LINES, &[partial]), Act::Close, "connection"),
    ] {
        let peer = Peer::always(vec![Act::Write(said), ending]).await;
        let (answer, heard) = invoke(&peer.url("/")).await;
        let failure = answer.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Transient, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
        assert_eq!(failure.usage.tokens(), Some(7));
        assert_eq!(last_partial(&heard), Some(json!({"a": 1, "b": 2})));
    }
}

#[tokio::test]
async fn a_partial_is_heard_while_the_agent_hangs() {
    let one = b"{\"type\":\"partial\",\"data\":{\"a\":1}}\n".as_slice();
    let two = b"{\"type\":\"partial\",\"data\":{\"b\":2}}\n".as_slice();
    let peer = Peer::always(vec![Act::Write(chunks(LINES, &[one, two])), Act::Hang]).await;
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (outgoing, url) = (crate::peer::outgoing(), peer.url("/"));
    let asking = tokio::spawn(async move {
        let told = told;
        outgoing
            .invoke(crate::peer::invocation(&url), |said| {
                told.send(said).unwrap()
            })
            .await
    });
    loop {
        if hears.recv().await.unwrap() == Heard::Partial(json!({"a": 1, "b": 2})) {
            break;
        }
    }
    asking.abort();
    peer.closed(1).await;
}

#[tokio::test]
async fn a_flood_of_patches_is_handed_on_as_few() {
    let patch = b"{\"type\":\"partial\",\"data\":{\"a\":1}}\n".as_slice();
    let mut pieces = vec![patch; 1_000];
    pieces.push(b"{\"type\":\"result\",\"data\":{}}\n");
    let peer = Peer::saying(whole(LINES, &pieces)).await;
    let begun = std::time::Instant::now();
    let (answer, heard) = invoke(&peer.url("/")).await;
    answer.unwrap();
    let most = 2 + begun.elapsed().as_millis() / 50;
    assert!(
        heard.len() as u128 <= most,
        "{} of 1000 in {most} spans",
        heard.len()
    );
}

#[tokio::test]
async fn nothing_but_usage_follows_a_result() {
    let result = "{\"type\":\"result\",\"data\":{\"a\":1}}\n";
    for more in [
        result,
        "{\"type\":\"partial\",\"data\":{}}\n",
        "{\"type\":\"progress\"}\n",
    ] {
        let said = format!("{result}{more}");
        let peer = Peer::saying(whole(LINES, &[said.as_bytes()])).await;
        let failure = invoke(&peer.url("/")).await.0.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidOutput, "{failure}");
        assert!(failure.message.contains("after its result"), "{failure}");
    }
    let said = format!("{result}{{\"type\":\"usage\",\"tokensUsed\":5}}\n");
    let peer = Peer::saying(whole(LINES, &[said.as_bytes()])).await;
    assert_eq!(
        invoke(&peer.url("/")).await.0.unwrap().usage.tokens(),
        Some(5)
    );
}

#[tokio::test]
async fn a_result_counts_although_the_stream_stays_open_or_breaks() {
    let result = b"event: result\ndata: {\"a\":1}\n\n".as_slice();
    for ending in [Act::Hang, Act::Close] {
        let peer = Peer::always(vec![Act::Write(chunks(EVENTS, &[result])), ending]).await;
        assert_eq!(
            invoke(&peer.url("/")).await.0.unwrap().data,
            json!({"a": 1})
        );
        peer.closed(1).await;
    }
}

#[tokio::test]
async fn what_stands_beside_a_result_counts_too() {
    let said = b"{\"type\":\"result\",\"data\":{\"a\":1},\"status\":\"partial\",\"reason\":\"no time\",\"tokensUsed\":3}\n";
    let peer = Peer::saying(whole("application/jsonl", &[said])).await;
    let answer = invoke(&peer.url("/")).await.0.unwrap();
    assert_eq!(
        (answer.usage.tokens(), answer.partial.as_deref()),
        (Some(3), Some("no time"))
    );
    assert_eq!(answer.data, json!({"a": 1}));
}

#[tokio::test]
async fn a_line_that_cannot_be_read_is_an_invalid_output_and_named() {
    let good = "{\"type\":\"progress\"}\n";
    for bad in [
        "<html>\n",
        "{\"data\":1}\n",
        "[]\n",
        "{\"type\":7}\n",
        "{\"type\":\"partial\",\"data\":[1]}\n",
        "{\"type\":\"progress\",\"data\":\"\u{0}\"}\n",
    ] {
        let said = format!("{good}{bad}");
        let peer = Peer::saying(whole(LINES, &[said.as_bytes()])).await;
        let failure = invoke(&peer.url("/")).await.0.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidOutput, "{bad}: {failure}");
        assert!(failure.message.contains("line 2"), "{failure}");
    }
    let half = b"{\"type\":\"progress\",\"data\":\"\xc3\"}\n";
    let peer = Peer::saying(whole(LINES, &[half])).await;
    assert_eq!(
        invoke(&peer.url("/")).await.0.unwrap_err().class,
        ErrorClass::InvalidOutput
    );
    for no_object in ["[1]", "\"x\"", "null"] {
        let said = format!("event: result\ndata: {no_object}\n\n");
        let peer = Peer::saying(whole(EVENTS, &[said.as_bytes()])).await;
        assert_eq!(
            invoke(&peer.url("/")).await.0.unwrap_err().class,
            ErrorClass::InvalidOutput
        );
    }
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_read_where_it_is_allowed() {
    let long = format!(
        "{{\"type\":\"result\",\"data\":{{\"a\":\"{}\"}}}}\n",
        "x".repeat(10_000_000)
    );
    let pieces: Vec<&[u8]> = long.as_bytes().chunks(1_000).collect();
    let peer = Peer::saying(whole(LINES, &pieces)).await;
    let failure = invoke(&peer.url("/")).await.0.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidOutput, "{failure}");
    let url = peer.url("/");
    let mut asked = crate::peer::invocation(&url);
    asked.answer_max = 11_000_000;
    let answer = crate::peer::outgoing().invoke(asked, |_| {}).await.unwrap();
    assert_eq!(answer.data["a"].as_str().unwrap().len(), 10_000_000);
}
