//! Asking as Anthropic is asked.

use domain::agent::asking::{Finish, ModelCall};
use domain::agent::retry::ErrorClass;
use serde_json::{Value, json};

use crate::model_peer::{KEY, anthropic, ask, limits, named, question, stream};
use crate::peer::{Act, Peer};

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-4-5-2025", "usage": {
        "input_tokens": 100, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 900, "output_tokens": 1}}})
}

fn block(index: u32, begun: Value, deltas: &[Value]) -> Vec<Value> {
    let mut events =
        vec![json!({"type": "content_block_start", "index": index, "content_block": begun})];
    events.extend(
        deltas
            .iter()
            .map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
    );
    events.push(json!({"type": "content_block_stop", "index": index}));
    events
}

fn text(index: u32, text: &str) -> Vec<Value> {
    block(
        index,
        json!({"type": "text", "text": ""}),
        &[json!({"type": "text_delta", "text": text})],
    )
}

fn end(reason: &str) -> Vec<Value> {
    vec![
        json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 45}}),
        json!({"type": "message_stop"}),
    ]
}

fn spoken() -> String {
    let json_bit = |bit: &str| json!({"type": "input_json_delta", "partial_json": bit});
    let events = [
        vec![start(), json!({"type": "ping"})],
        block(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            &[
                json!({"type": "thinking_delta", "thinking": "Hm."}),
                json!({"type": "signature_delta", "signature": "sig=="}),
            ],
        ),
        block(1, json!({"type": "redacted_thinking", "data": "zzz"}), &[]),
        text(2, "Grüße 🛳"),
        block(
            3,
            json!({"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}),
            &[json_bit(""), json_bit("{\"q\": \"h"), json_bit("é\"}")],
        ),
        block(
            4,
            json!({"type": "tool_use", "id": "toolu_2", "name": "end_turn", "input": {}}),
            &[],
        ),
        vec![json!({"type": "something_new", "x": 1})],
        end("tool_use"),
    ];
    named(&events.concat())
}

#[tokio::test]
async fn an_answer_is_heard_the_same_wherever_the_network_cuts_it() {
    let bytes = spoken().into_bytes();
    let length = bytes.len();
    let cuts = std::sync::atomic::AtomicUsize::new(0);
    let peer = Peer::new(move |_| {
        let cut = cuts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) * 7;
        let cut = cut.min(bytes.len());
        vec![Act::Write(stream(&[&bytes[..cut], &bytes[cut..]], true))]
    })
    .await;
    let (models, question) = (anthropic(&peer), question(&["claude-sonnet-4.5"]));
    for _ in 0..length / 7 + 1 {
        let (asked, heard) = ask(&models, &question, &limits()).await;
        let asked = asked.unwrap();
        assert_eq!(
            (heard.text.as_str(), heard.reasoning.as_str()),
            ("Grüße 🛳", "Hm.")
        );
        assert_eq!(heard.signatures, ["sig==", "redacted:zzz"]);
        let call = |id: &str, name: &str, input: &str| {
            (id.to_owned(), name.to_owned(), input.to_owned(), true)
        };
        assert_eq!(
            heard.calls,
            [
                call("toolu_1", "search", "{\"q\": \"hé\"}"),
                call("toolu_2", "end_turn", "{}")
            ]
        );
        let kinds = (
            asked.usage.input,
            asked.usage.cached_input,
            asked.usage.output,
        );
        assert_eq!((asked.finish, kinds), (Finish::Calls, (120, 900, 45)));
        assert_eq!(
            (asked.model.as_str(), asked.request.as_deref()),
            ("claude-sonnet-4-5-2025", Some("req_1"))
        );
    }
}

async fn asked_body(call: &ModelCall) -> (Value, crate::peer::Seen) {
    let peer = Peer::saying(stream(
        &[named(&[vec![start()], text(0, "x"), end("end_turn")].concat()).as_bytes()],
        true,
    ))
    .await;
    ask(&anthropic(&peer), call, &limits()).await.0.unwrap();
    let seen = peer.seen().remove(0);
    (serde_json::from_slice(&seen.body).unwrap(), seen)
}

#[tokio::test]
async fn a_question_says_all_in_turns_with_results_first_and_thoughts_signed() {
    let call: ModelCall = serde_json::from_value(json!({
        "models": ["anthropic/claude-sonnet-4.5"], "system": "Be brief.",
        "messages": [
            {"role": "user", "parts": [{"kind": "text", "text": "Plan."}]},
            {"role": "user", "parts": [{"kind": "text", "text": "Look."}]},
            {"role": "assistant", "parts": [
                {"kind": "reasoning", "text": "Hm", "signature": "sig"}, {"kind": "reasoning", "text": "", "signature": "redacted:zz"},
                {"kind": "reasoning", "text": "of another provider"}, {"kind": "text", "text": ""},
                {"kind": "text", "text": "I look."}, {"kind": "tool_call", "id": "c.1", "name": "files/read", "input": {"a": 1}}]},
            {"role": "user", "parts": [{"kind": "text", "text": "Mind."}]},
            {"role": "tool", "parts": [{"kind": "tool_result", "call": "c.1", "name": "files/read", "output": {"ok": true}, "failed": true}]}],
        "tools": [{"name": "files/read", "description": "Reads.", "inputSchema": {"type": "object"}}],
        "stop": ["END"], "maxTokens": 500,
        "settings": {"temperature": 0.5, "reasoning": {"effort": "low"}}
    }))
    .unwrap();
    let (body, seen) = asked_body(&call).await;
    assert!(
        seen.head.starts_with("POST /v1/messages HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(
        (seen.header("x-api-key"), seen.header("anthropic-version")),
        (Some(KEY), Some("2023-06-01"))
    );
    let kept = json!({"type": "ephemeral"});
    let expected = json!({
        "model": "claude-sonnet-4-5", "stream": true, "max_tokens": 10_240, "stop_sequences": ["END"],
        "thinking": {"type": "enabled", "budget_tokens": 2_048},
        "system": [{"type": "text", "text": "Be brief.", "cache_control": kept}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Plan."}, {"type": "text", "text": "Look."}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "Hm", "signature": "sig"}, {"type": "redacted_thinking", "data": "zz"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c_1", "name": "files_read", "input": {"a": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c_1", "content": "{\"ok\":true}", "is_error": true},
                {"type": "text", "text": "Mind.", "cache_control": kept}]}],
        "tools": [{"name": "files_read", "description": "Reads.", "input_schema": {"type": "object"}}],
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn an_answer_held_to_a_schema_comes_as_text() {
    let mut call = question(&["anthropic/claude"]);
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    call.output_schema = Some(schema.clone());
    let (body, _) = asked_body(&call).await;
    assert_eq!(
        body["tool_choice"],
        json!({"type": "tool", "name": "answer"})
    );
    assert_eq!(body["tools"][0]["input_schema"], schema);
    let said = block(
        0,
        json!({"type": "tool_use", "id": "t", "name": "answer", "input": {}}),
        &[
            json!({"type": "input_json_delta", "partial_json": "{\"x\":"}),
            json!({"type": "input_json_delta", "partial_json": "7}"}),
        ],
    );
    let peer = Peer::saying(stream(
        &[named(&[vec![start()], said, end("tool_use")].concat()).as_bytes()],
        true,
    ))
    .await;
    let (asked, heard) = ask(&anthropic(&peer), &call, &limits()).await;
    assert_eq!(
        (
            asked.unwrap().finish,
            heard.text.as_str(),
            heard.calls.len()
        ),
        (Finish::Stop, "{\"x\":7}", 0)
    );
}

#[tokio::test]
async fn overload_in_the_midst_is_asked_again_and_what_it_read_is_paid() {
    let overloaded =
        json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let broken = named(&[vec![start()], text(0, "so f"), vec![overloaded]].concat());
    let good = named(&[vec![start()], text(0, "so good"), end("max_tokens")].concat());
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let peer = Peer::new(move |_| {
        let first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        vec![Act::Write(stream(
            &[if first {
                broken.as_bytes()
            } else {
                good.as_bytes()
            }],
            true,
        ))]
    })
    .await;
    let (asked, heard) = ask(&anthropic(&peer), &question(&["claude"]), &limits()).await;
    let asked = asked.unwrap();
    assert_eq!(
        (heard.text.as_str(), heard.anew.len(), asked.finish),
        ("so good", 1, Finish::Length)
    );
    assert_eq!((asked.usage.input, asked.usage.output), (240, 46));
}

#[tokio::test]
async fn a_stream_without_its_end_and_blocks_out_of_order_are_no_answers() {
    let cut = [vec![start()], text(0, "so f")].concat();
    let closed = [vec![start()], text(0, "a"), vec![json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}})], end("end_turn")].concat();
    let twice = [vec![start()], text(0, "a"), text(0, "b"), end("end_turn")].concat();
    for (events, class) in [
        (cut, ErrorClass::Transient),
        (closed, ErrorClass::InvalidOutput),
        (twice, ErrorClass::InvalidOutput),
    ] {
        let peer = Peer::saying(stream(&[named(&events).as_bytes()], true)).await;
        let failure = ask(&anthropic(&peer), &question(&["claude"]), &limits())
            .await
            .0
            .unwrap_err();
        assert_eq!(failure.class, class, "{failure}");
        assert_eq!(failure.usage.input, 240, "both tries read the question");
    }
}
