//! Asking as OpenAI, OpenRouter and all who speak like them are asked.

use std::sync::Arc;

use domain::agent::asking::{Finish, ModelCall, ToolSpec};
use domain::agent::retry::ErrorClass;
use serde_json::{Value, json};

use crate::model_peer::{KEY, ask, data, limits, models, openai, question, stream};
use crate::peer::{Act, Peer, json as json_answer, response};
use providers::models::settings::Kind;

fn chunk(delta: Value) -> Value {
    json!({"id": "chatcmpl-1", "model": "gpt-4o-2024", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "chatcmpl-1", "model": "gpt-4o-2024", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn call(index: u32, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut call = json!({"index": index, "function": {"arguments": arguments}});
    if let Some(id) = id {
        call["id"] = id.into();
        call["type"] = "function".into();
    }
    if let Some(name) = name {
        call["function"]["name"] = name.into();
    }
    call
}

fn calls(calls: &[Value]) -> Value {
    chunk(json!({ "tool_calls": calls }))
}

/// Thoughts, text, and two calls of the same id whose inputs come interleaved.
fn spoken() -> String {
    let usage = json!({"id": "chatcmpl-1", "model": "gpt-4o-2024", "choices": [], "usage": {
        "prompt_tokens": 1200, "completion_tokens": 90, "total_tokens": 1290,
        "prompt_tokens_details": {"cached_tokens": 1024}, "completion_tokens_details": {"reasoning_tokens": 40}}});
    let events = [
        chunk(json!({"role": "assistant", "content": "", "reasoning": "Hm — "})),
        chunk(
            json!({"reasoning": "ja.", "reasoning_details": [{"type": "reasoning.text", "signature": "sig"}]}),
        ),
        chunk(json!({"content": "Grüße "})),
        chunk(json!({"content": "über 🛳"})),
        calls(&[call(0, Some("a"), Some("read_artifact"), "")]),
        calls(&[
            call(0, None, None, "{\"name\": \"a \\\"}"),
            call(1, Some("a"), Some("files__read"), ""),
        ]),
        calls(&[call(1, None, None, "{\"é\""), call(0, None, None, " b\"}")]),
        calls(&[call(1, None, None, ": [1, {}]}")]),
        finish("tool_calls"),
        usage,
    ];
    let said = data(&events);
    format!(": OPENROUTER PROCESSING\n\n{said}: still here\n\ndata: [DONE]\n\n")
}

#[tokio::test]
async fn an_answer_is_heard_the_same_wherever_the_network_cuts_it() {
    let text = spoken();
    let bytes = text.clone().into_bytes();
    let length = bytes.len();
    let cuts = std::sync::atomic::AtomicUsize::new(0);
    let peer = Peer::new(move |_| {
        let cut = cuts.fetch_add(1, std::sync::atomic::Ordering::SeqCst) * 3;
        let said = if cut > bytes.len() {
            stream(&bytes.chunks(1).collect::<Vec<_>>(), true)
        } else {
            stream(&[&bytes[..cut], &bytes[cut..]], true)
        };
        vec![Act::Write(said)]
    })
    .await;
    let (models, question) = (openai(&peer), question(&["openai/gpt-4o"]));
    for cut in 0..length / 3 + 2 {
        let (asked, heard) = ask(&models, &question, &limits()).await;
        let asked = asked.unwrap();
        assert_eq!(heard.text, "Grüße über 🛳", "cut at {}", cut * 3);
        assert_eq!(
            (heard.reasoning.as_str(), heard.signatures),
            ("Hm — ja.", vec!["sig".to_owned()])
        );
        let first = (
            "a".to_owned(),
            "read_artifact".to_owned(),
            r#"{"name": "a \"} b"}"#.to_owned(),
            true,
        );
        let second = (
            "a".to_owned(),
            "files__read".to_owned(),
            r#"{"é": [1, {}]}"#.to_owned(),
            true,
        );
        assert_eq!(heard.calls, [first, second]);
        let usage = &asked.usage;
        let kinds = (
            usage.input,
            usage.cached_input,
            usage.output,
            usage.reasoning,
        );
        assert_eq!((asked.finish, kinds), (Finish::Calls, (176, 1024, 50, 40)));
        assert_eq!(
            (asked.model.as_str(), asked.request.as_deref()),
            ("gpt-4o-2024", Some("req_1"))
        );
    }
    assert_eq!(
        peer.accepted(),
        1,
        "a connection that ended well serves again"
    );
}

/// A conversation with everything in it.
fn conversation(model: &str) -> ModelCall {
    serde_json::from_value(json!({
        "models": [model], "system": "Be brief.",
        "messages": [
            {"role": "user", "parts": [{"kind": "text", "text": "Look."}]},
            {"role": "assistant", "parts": [
                {"kind": "reasoning", "text": "Hm", "signature": "sig"},
                {"kind": "text", "text": "I "}, {"kind": "tool_call", "id": "c-1", "name": "files/read", "input": {"a": 1}},
                {"kind": "text", "text": "look."}, {"kind": "tool_call", "id": "c-2", "name": "search", "input": {}}]},
            {"role": "tool", "parts": [
                {"kind": "tool_result", "call": "c-1", "name": "files/read", "output": {"ok": true}},
                {"kind": "tool_result", "call": "c-2", "name": "search", "output": "no such thing", "failed": true}]},
            {"role": "user", "parts": [{"kind": "text", "text": "And?"}]}],
        "tools": [{"name": "files/read", "description": "Reads.", "inputSchema": {"type": "object"}},
            {"name": "search", "description": "Searches.", "inputSchema": {"type": "object"}}],
        "outputSchema": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"], "additionalProperties": false},
        "maxTokens": 500, "stop": ["END"],
        "settings": {"temperature": 0.5, "reasoning": {"maxTokens": 4000}, "provider": {"sort": "price"}, "model": "another"}
    }))
    .unwrap()
}

async fn asked_body(provider: &str) -> (Value, crate::peer::Seen) {
    let peer = Peer::saying(stream(
        &[data(&[chunk(json!({"content": "x"})), finish("stop")]).as_bytes()],
        true,
    ))
    .await;
    let models = models(&[(provider, Kind::Openai, &peer)]);
    let model = format!("{provider}/some/model");
    let (asked, _) = ask(&models, &conversation(&model), &limits()).await;
    assert_eq!(asked.unwrap().asked, model);
    let seen = peer.seen().remove(0);
    (serde_json::from_slice(&seen.body).unwrap(), seen)
}

#[tokio::test]
async fn a_question_says_all_that_the_provider_must_know() {
    let (body, seen) = asked_body("openai").await;
    assert!(
        seen.head
            .starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let tool = |name: &str, does: &str| json!({"type": "function", "function": {"name": name, "description": does, "parameters": {"type": "object"}}});
    let schema = json!({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"], "additionalProperties": false});
    let expected = json!({
        "model": "some/model", "stream": true, "stream_options": {"include_usage": true},
        "temperature": 0.5, "reasoning_effort": "medium", "max_completion_tokens": 500, "stop": ["END"],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": "I look.",
                "tool_calls": [call("c-1", "files_read", "{\"a\":1}"), call("c-2", "search", "{}")]},
            {"role": "tool", "tool_call_id": "c-1", "content": "{\"ok\":true}"},
            {"role": "tool", "tool_call_id": "c-2", "content": "Error: no such thing"},
            {"role": "user", "content": "And?"}],
        "tools": [tool("files_read", "Reads."), tool("search", "Searches.")],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}},
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn who_cannot_hold_an_answer_to_a_schema_is_asked_without() {
    let refusal = json!({"error": {"type": "invalid_request_error",
        "message": "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."}});
    let good = data(&[chunk(json!({"content": "{}"})), finish("stop")]);
    let peer = Peer::new(move |seen| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        vec![Act::Write(match body.get("response_format").is_some() {
            true => response(
                "400 Bad Request",
                "content-type: application/json\r\n",
                refusal.to_string(),
            ),
            false => stream(&[good.as_bytes()], true),
        })]
    })
    .await;
    let mut call = conversation("openai/old");
    call.tools = Arc::from([]);
    let (asked, _) = ask(&openai(&peer), &call, &limits()).await;
    assert_eq!(asked.unwrap().finish, Finish::Stop);
    assert_eq!(peer.seen().len(), 2, "once more, and no oftener");
}

#[tokio::test]
async fn an_output_is_handed_in_by_its_schema_where_that_can_be_held_to() {
    for (member, held) in [
        (json!({"enum": ["low", "high"]}), true),
        (json!({"type": "array", "items": {"type": "string"}}), true),
        (json!({"type": "string", "minLength": 3}), false),
        (json!({"type": "object"}), false),
    ] {
        let mut call = conversation("openai/some");
        let schema = json!({"type": "object", "properties": {"x": member}, "required": ["x"], "additionalProperties": false});
        let tool = |name: &str| ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            input_schema: schema.clone(),
            read_only: false,
        };
        call.tools = Arc::from([tool("search"), tool("set_output")]);
        let peer = Peer::saying(stream(
            &[data(&[chunk(json!({"content": "x"})), finish("stop")]).as_bytes()],
            true,
        ))
        .await;
        ask(&openai(&peer), &call, &limits()).await.0.unwrap();
        let body: Value = serde_json::from_slice(&peer.seen()[0].body).unwrap();
        let strict = |place: usize| body["tools"][place]["function"].get("strict").is_some();
        assert_eq!((strict(0), strict(1)), (false, held), "{schema}");
    }
}

#[tokio::test]
async fn openrouter_is_told_more_and_shown_its_own_thoughts() {
    let (body, _) = asked_body("openrouter").await;
    assert_eq!(body["reasoning"], json!({"max_tokens": 4000}));
    assert_eq!(
        (&body["provider"], &body["usage"]),
        (&json!({"sort": "price"}), &json!({"include": true}))
    );
    assert_eq!(
        (&body["max_tokens"], body.get("reasoning_effort")),
        (&json!(500), None)
    );
    let thought = json!([{"type": "reasoning.text", "text": "Hm", "signature": "sig"}]);
    assert_eq!(body["messages"][2]["reasoning_details"], thought);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_understood() {
    let body = json!({"id": "x", "model": "m", "choices": [{"message": {"role": "assistant", "content": "All at once.",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "search", "arguments": "{\"q\":1}"}}, {"id": "b", "function": {"name": "search", "arguments": ""}}]},
        "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}});
    let peer = Peer::saying(json_answer(&body.to_string())).await;
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    let asked = asked.unwrap();
    assert_eq!(
        (heard.text.as_str(), asked.finish, asked.usage.input),
        ("All at once.", Finish::Calls, 3)
    );
    let inputs: Vec<&str> = heard.calls.iter().map(|call| call.2.as_str()).collect();
    assert_eq!(inputs, ["{\"q\":1}", "{}"]);
}

#[tokio::test]
async fn too_few_tokens_are_said_and_the_call_that_they_cut_stays_cut() {
    let events = data(&[
        calls(&[call(0, Some("a"), Some("search"), "{\"q\": \"har")]),
        finish("length"),
    ]);
    let peer = Peer::saying(stream(&[events.as_bytes(), b"data: [DONE]\n\n"], true)).await;
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    assert_eq!(asked.unwrap().finish, Finish::Length);
    assert_eq!(
        heard.calls,
        [(
            "a".to_owned(),
            "search".to_owned(),
            "{\"q\": \"har".to_owned(),
            true
        )]
    );
}

#[tokio::test]
async fn calls_with_one_index_but_other_ids_are_several() {
    let events = data(&[
        calls(&[call(0, Some("a"), Some("search"), "{\"q\":1}")]),
        calls(&[call(0, Some("b"), Some("search"), "{\"q\":2}")]),
        finish("stop"),
    ]);
    let peer = Peer::saying(stream(&[events.as_bytes()], true)).await;
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    assert_eq!(asked.unwrap().finish, Finish::Calls);
    let said: Vec<(&str, &str)> = heard
        .calls
        .iter()
        .map(|call| (call.0.as_str(), call.2.as_str()))
        .collect();
    assert_eq!(said, [("a", "{\"q\":1}"), ("b", "{\"q\":2}")]);
}

#[tokio::test]
async fn a_call_that_goes_on_after_its_end_is_no_answer() {
    let events = data(&[
        calls(&[call(0, Some("a"), Some("search"), "{\"q\":1}")]),
        calls(&[call(0, None, None, "{\"q\":2}")]),
        finish("tool_calls"),
    ]);
    let peer = Peer::saying(stream(&[events.as_bytes()], true)).await;
    let (asked, _) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    assert_eq!(asked.unwrap_err().class, ErrorClass::InvalidOutput);
}

#[tokio::test]
async fn an_answer_of_very_many_calls_is_an_answer_and_those_beyond_are_left_out() {
    let mut events: Vec<Value> = (0..400)
        .map(|at| {
            calls(&[call(
                at,
                Some(&format!("c{at}")),
                Some("search"),
                "{\"q\":1}",
            )])
        })
        .collect();
    // A bit without a place belongs to the call before it, which is left out.
    events.push(calls(&[
        json!({"function": {"arguments": "and on it goes"}}),
    ]));
    events.push(finish("tool_calls"));
    let peer = Peer::saying(stream(&[data(&events).as_bytes()], true)).await;
    let (asked, heard) = ask(&openai(&peer), &question(&["gpt-4"]), &limits()).await;
    assert_eq!(asked.unwrap().finish, Finish::Calls);
    assert_eq!(heard.calls.len(), 257, "so the conversation can tell of it");
    assert_eq!(peer.seen().len(), 1, "nothing is paid for twice");
}
