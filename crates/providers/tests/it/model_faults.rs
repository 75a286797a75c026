//! Providers that break off, never end, lie or echo, and what is made of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::agent::retry::ErrorClass;
use domain::values::time::Millis;
use providers::models::asked::{AskLimits, Spoken};
use providers::models::settings::Kind;
use serde_json::json;

use crate::model_peer::{
    Anyone, KEY, anthropic, ask, data, limits, models, openai, question, stream,
};
use crate::peer::{Act, Peer, json as json_answer, response};

const WORD: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n";
const END: &str =
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn good() -> Vec<Act> {
    vec![Act::Write(stream(&[WORD.as_bytes(), END.as_bytes()], true))]
}

/// A peer that does this at first, and then answers well.
async fn at_first(times: usize, acts: Vec<Act>) -> Peer {
    let asked = AtomicUsize::new(0);
    Peer::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        before if before < times => acts.clone(),
        _ => good(),
    })
    .await
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_asked_for_again_and_never_taken_for_whole() {
    let word = WORD.as_bytes();
    let breaks: [Vec<Act>; 4] = [
        // The body ends as it should, but the answer does not.
        vec![Act::Write(stream(&[word], true))],
        // The connection is gone.
        vec![Act::Write(stream(&[word], false)), Act::Close],
        // Within a line, within a character.
        vec![Act::Write(stream(
            &[word, &"data: {\"é".as_bytes()[..9]],
            true,
        ))],
        // The end is said, but nothing else ever was.
        vec![Act::Write(stream(&[b"data: [DONE]\n\n"], true))],
    ];
    for (number, acts) in breaks.into_iter().enumerate() {
        let peer = at_first(1, acts.clone()).await;
        let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
        asked.unwrap();
        assert_eq!(heard.text, "word ", "what came twice counts once");
        assert_eq!(heard.anew.len(), usize::from(number < 3));
        let peer = Peer::always(acts).await;
        let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
        let failure = asked.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Transient, "{failure}");
        assert_eq!(peer.seen().len(), 2, "one retry, no more");
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_asked_three_times_more_unless_said_otherwise() {
    let peer = Peer::always(vec![Act::Write(response("500 Oh", "", "{}"))]).await;
    let said_nothing = AskLimits {
        backoff: Millis(1),
        ..AskLimits::default()
    };
    let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &said_nothing).await;
    assert_eq!(asked.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(peer.seen().len(), 1 + 3);
}

#[tokio::test]
async fn half_a_character_is_no_text() {
    let mut broken = WORD.as_bytes().to_vec();
    let at = WORD.find("word").unwrap();
    broken[at] = 0xc3;
    let peer = Peer::saying(stream(&[&broken, END.as_bytes()], true)).await;
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    assert_eq!(asked.unwrap_err().class, ErrorClass::InvalidOutput);
    assert_eq!(heard.text, "");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_at_its_most_bytes() {
    let head = stream(&[], false);
    let chunk = format!("{:x}\r\n{WORD}\r\n", WORD.len());
    let peer = Peer::always(vec![
        Act::Write(head.clone()),
        Act::Forever(chunk.into_bytes()),
    ])
    .await;
    let once = AskLimits {
        retries: 0,
        ..limits()
    };
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &once).await;
    let failure = asked.unwrap_err();
    assert!(
        failure.message.contains("more than 262144 bytes"),
        "{failure}"
    );
    assert!(heard.text.len() < 262_144);
    peer.closed(1).await;
    // One line that never ends is bounded alike.
    let line = vec![Act::Write(head), Act::Forever(b"5\r\nxxxxx\r\n".to_vec())];
    let peer = Peer::always(line).await;
    let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &once).await;
    assert!(
        asked
            .unwrap_err()
            .message
            .contains("more than 262144 bytes")
    );
}

#[tokio::test]
async fn silence_has_its_limits_and_comments_are_silence() {
    let patient = AskLimits {
        retries: 0,
        ..limits()
    };
    let comments = Act::Forever(b"4\r\n: x\n\r\n".to_vec());
    let word = stream(&[WORD.as_bytes()], false);
    let cases = [
        (
            vec![Act::Hang],
            AskLimits {
                first: Millis(60),
                ..patient.clone()
            },
            "did not begin to answer within 60 ms",
        ),
        (
            vec![Act::Write(stream(&[], false)), comments.clone()],
            AskLimits {
                first: Millis(60),
                bytes: usize::MAX,
                ..patient.clone()
            },
            "did not begin",
        ),
        (
            vec![Act::Write(word.clone()), Act::Hang],
            AskLimits {
                between: Millis(60),
                ..patient.clone()
            },
            "said nothing more for 60 ms",
        ),
        (
            vec![Act::Write(word), comments],
            AskLimits {
                between: Millis(60),
                bytes: usize::MAX,
                ..patient.clone()
            },
            "said nothing more",
        ),
        (
            vec![
                Act::Write(stream(&[], false)),
                Act::Forever(format!("{:x}\r\n{WORD}\r\n", WORD.len()).into_bytes()),
            ],
            AskLimits {
                whole: Millis(60),
                bytes: usize::MAX,
                ..patient
            },
            "did not end its answer within 60 ms",
        ),
    ];
    for (acts, limits, said) in cases {
        let peer = Peer::always(acts).await;
        let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &limits).await;
        let failure = asked.unwrap_err();
        assert!(failure.message.contains(said), "{failure}");
        assert_eq!(failure.class, ErrorClass::Transient);
        peer.closed(1).await;
    }
}

#[tokio::test]
async fn an_error_under_a_good_status_is_an_error() {
    let limited =
        "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":429}}";
    let spent = "{\"error\":{\"message\":\"no money\",\"code\":\"insufficient_quota\"}}";
    let event = |text: &str| {
        stream(
            &[WORD.as_bytes(), format!("data: {text}\n\n").as_bytes()],
            true,
        )
    };
    let named = |text: &str| {
        stream(
            &[format!("event: error\ndata: {text}\n\n").as_bytes()],
            true,
        )
    };
    for (answer, class, tries) in [
        (json_answer(limited), ErrorClass::RateLimited, 1),
        (event(limited), ErrorClass::RateLimited, 1),
        (named(limited), ErrorClass::RateLimited, 1),
        (event(spent), ErrorClass::Fatal, 1),
        (json_answer(spent), ErrorClass::Fatal, 1),
        (json_answer("{\"ok\":true}"), ErrorClass::Transient, 2),
        (
            response(
                "429 Too Many Requests",
                "content-type: application/json\r\n",
                spent,
            ),
            ErrorClass::Fatal,
            1,
        ),
    ] {
        let peer = Peer::saying(answer).await;
        let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
        let failure = asked.unwrap_err();
        assert_eq!(
            (failure.class, peer.seen().len()),
            (class, tries),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_asks_to_wait_is_not_asked_again_within_the_question() {
    let limited =
        |headers: &str| vec![Act::Write(response("429 Too Many Requests", headers, "{}"))];
    let peer = at_first(1, limited("retry-after: 900\r\n")).await;
    let failure = ask(&openai(&peer), &question(&["gpt-4"]), &limits())
        .await
        .0
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.retry_after),
        (ErrorClass::RateLimited, Some(Millis(900_000)))
    );
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn a_key_shows_itself_nowhere() {
    let echo = format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {KEY}.\"}}}}");
    let refused = response(
        "401 Unauthorized",
        "content-type: application/json\r\n",
        &echo,
    );
    let inside = stream(&[format!("data: {echo}\n\n").as_bytes()], true);
    for answer in [refused, inside] {
        let peer = Peer::saying(answer).await;
        for (models, name) in [
            (openai(&peer), "openai/x"),
            (anthropic(&peer), "anthropic/x"),
        ] {
            let once = AskLimits {
                retries: 0,
                ..limits()
            };
            let failure = ask(&models, &question(&[name]), &once).await.0.unwrap_err();
            assert!(
                failure
                    .message
                    .contains("Incorrect API key provided: [key]"),
                "{failure}"
            );
            assert!(!format!("{failure:?}{models:?}").contains(KEY));
        }
        let sent = peer
            .seen()
            .iter()
            .filter(|seen| seen.head.contains(KEY))
            .count();
        assert_eq!(sent, 2, "each was asked with the key");
    }
}

#[tokio::test]
async fn a_key_goes_to_nobody_else() {
    let other = Peer::always(good()).await;
    let onward = response(
        "307 Temporary Redirect",
        &format!("location: {}\r\n", other.url("/v1")),
        "",
    );
    let peer = Peer::saying(onward).await;
    // Both are known, so that the guard lets the redirect pass.
    let models = models(&[
        ("openai", Kind::Openai, &peer),
        ("vllm", Kind::Openai, &other),
    ]);
    ask(&models, &question(&["gpt-4"]), &limits())
        .await
        .0
        .unwrap();
    assert!(peer.seen()[0].head.contains(KEY) && !other.seen()[0].head.contains(KEY));
}

#[tokio::test]
async fn dropping_the_question_closes_the_connection() {
    let peer = Peer::always(vec![
        Act::Write(stream(&[WORD.as_bytes()], false)),
        Act::Hang,
    ])
    .await;
    let models = openai(&peer);
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let asking = tokio::spawn(async move {
        let hear = move |spoken: Spoken| drop(sender.send(spoken));
        models
            .ask(&question(&["gpt-4"]), &limits(), &mut Anyone, hear)
            .await
    });
    receiver.recv().await.unwrap();
    asking.abort();
    peer.closed(1).await;
    assert!(asking.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_chain_goes_on_to_the_next_provider_and_says_what_was_wrong_with_the_first() {
    let down = Peer::saying(response("503 Service Unavailable", "", "")).await;
    let up = Peer::always(good()).await;
    let models = models(&[("openai", Kind::Openai, &down), ("vllm", Kind::Openai, &up)]);
    let asked = ask(&models, &question(&["gpt-4", "vllm/qwen3"]), &limits())
        .await
        .0
        .unwrap();
    assert_eq!(
        (asked.asked.as_str(), asked.model.as_str()),
        ("vllm/qwen3", "qwen3")
    );
    assert_eq!((down.seen().len(), up.seen().len()), (2, 1));
    let failure = ask(&models, &question(&["gpt-4", "house-blend"]), &limits())
        .await
        .0
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::Transient);
    assert!(
        failure.message.contains("503") && failure.message.contains("`house-blend`"),
        "{failure}"
    );
}

#[tokio::test]
async fn an_answer_that_is_whole_stands_whatever_the_connection_does_then() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 1}});
    let said = [
        WORD,
        END.split("data: [DONE]").next().unwrap(),
        &data(&[usage]),
    ]
    .concat();
    for acts in [
        vec![Act::Write(stream(&[said.as_bytes()], true))],
        vec![Act::Write(stream(&[said.as_bytes()], false)), Act::Close],
    ] {
        let peer = Peer::always(acts).await;
        let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
        assert_eq!(
            (asked.unwrap().usage.input, heard.text.as_str()),
            (4, "word ")
        );
    }
}
