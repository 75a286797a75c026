//! Tools outside: HTTP requests and real MCP servers, good ones and bad ones.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::agent::message::ToolCall;
use domain::values::time::Millis;
use providers::outgoing::Outgoing;
use providers::tools::{Outcome, ToolSettings, Toolbox};
use serde_json::{Value, json};

use crate::foreign::{everything, line_with, node, packages};
use crate::peer::{Act, Peer, json as json_answer, outgoing, response};

fn definition(members: Value) -> AgentDefinition {
    let mut all = json!({"id": "a", "displayName": "A"});
    all.as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn open_handed() -> ToolSettings {
    ToolSettings {
        commands: None,
        variables: None,
        ..ToolSettings::default()
    }
}

async fn toolbox_by(outgoing: &Outgoing, settings: &ToolSettings, members: Value) -> Toolbox {
    let environment = |name: &str| match name {
        "TOKEN" => Some("hush-hush-token".to_owned()),
        "PATH" => std::env::var("PATH").ok(),
        _ => None,
    };
    let definition = definition(members);
    Toolbox::open(
        outgoing,
        settings,
        &definition,
        "o-1/review",
        Arc::new(environment),
    )
    .await
}

async fn toolbox(members: Value) -> Toolbox {
    toolbox_by(&outgoing(), &open_handed(), members).await
}

async fn call(toolbox: &Toolbox, name: &str, input: Value) -> Outcome {
    let call = ToolCall {
        id: "call-1-0".to_owned(),
        name: name.to_owned(),
        input,
    };
    toolbox.call(&call).await
}

fn why(outcome: &Outcome) -> &str {
    assert!(outcome.failed, "{outcome:?}");
    outcome.output["errorMessage"].as_str().unwrap()
}

#[tokio::test]
async fn an_http_tool_is_asked_with_its_input_and_its_secrets() {
    let peer = Peer::new(|seen| {
        let echo = seen.header("x-token").unwrap_or_default().to_owned();
        vec![Act::Write(json_answer(
            &json!({"found": 2, "echo": echo}).to_string(),
        ))]
    })
    .await;
    let toolbox = toolbox(json!({"tools": {
        "search": {"description": "Searches.", "url": peer.url("/search"), "headers": {"X-Token": "Bearer $TOKEN"}, "readOnly": true},
        "look": {"description": "Looks.", "url": peer.url("/look?a=1"), "method": "GET"}}}))
    .await;
    let names: Vec<&str> = toolbox
        .specs()
        .iter()
        .map(|spec| spec.name.as_str())
        .collect();
    assert_eq!(names, ["look", "search", "read_result"]);
    let outcome = call(&toolbox, "search", json!({"text": "é"})).await;
    assert_eq!(
        outcome,
        Outcome {
            output: json!({"found": 2, "echo": "Bearer [secret]"}),
            failed: false
        }
    );
    call(&toolbox, "look", json!({"q": "a b&c", "n": 3})).await;
    let seen = peer.seen();
    assert_eq!(
        (seen[0].header("x-token"), seen[0].body.as_slice()),
        (
            Some("Bearer hush-hush-token"),
            "{\"text\":\"é\"}".as_bytes()
        )
    );
    let key = seen[0].header("idempotency-key").unwrap();
    assert!(key.starts_with("o-1/review/call-1-0/"), "{key}");
    assert!(
        seen[1]
            .head
            .starts_with("GET /look?a=1&n=3&q=a+b%26c HTTP/1.1"),
        "{}",
        seen[1].head
    );
    assert!(!format!("{toolbox:?}").contains("hush"));
}

#[tokio::test]
async fn a_repeated_call_has_the_same_key_and_another_answers_call_another() {
    let peer = Peer::saying(json_answer("{}")).await;
    let tool = || json!({"description": "x", "url": peer.url("/")});
    let members = json!({"tools": {"book": tool(), "cancel": tool()}});
    let before = toolbox(members.clone()).await;
    call(&before, "book", json!({"seat": 1, "row": "a"})).await;
    call(&before, "book", json!({"seat": 2, "row": "a"})).await;
    call(&before, "cancel", json!({"seat": 1, "row": "a"})).await;
    let after_a_crash = toolbox(members).await;
    call(&after_a_crash, "book", json!({"row": "a", "seat": 1})).await;
    let seen = peer.seen();
    let keys: Vec<&str> = seen
        .iter()
        .map(|seen| seen.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys[0], keys[3], "the same call again");
    assert!(keys[0] != keys[1] && keys[0] != keys[2], "{keys:?}");
}

#[tokio::test]
async fn a_tool_that_fails_tells_the_model_and_nothing_else() {
    let broken = Peer::saying(response(
        "500 Internal Server Error",
        "content-type: application/json\r\n",
        "{\"trace\":\"x\"}",
    ))
    .await;
    let silent = Peer::always(vec![Act::Hang]).await;
    let endless = Peer::always(vec![
        Act::Write(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        Act::Forever(vec![b'x'; 4096]),
    ])
    .await;
    let tool = |url: String| json!({"description": "x", "url": url, "timeout": 5000});
    let mut quick = tool(silent.url("/"));
    quick["timeout"] = 50.into();
    let mut unset = tool(broken.url("/"));
    unset["headers"] = json!({"a": "$NOT_THERE"});
    let toolbox = toolbox(json!({"tools": {
        "broken": tool(broken.url("/")), "silent": quick, "endless": tool(endless.url("/")), "unset": unset,
        "inside": tool("http://169.254.169.254/latest/meta-data".to_owned())}}))
    .await;
    let outcome = call(&toolbox, "broken", json!({})).await;
    assert_eq!(
        (why(&outcome), &outcome.output["answer"]),
        (
            "the tool answered 500 Internal Server Error",
            &json!({"trace": "x"})
        )
    );
    assert!(why(&call(&toolbox, "silent", json!({})).await).contains("within 50 ms"));
    silent.closed(1).await;
    assert!(why(&call(&toolbox, "endless", json!({})).await).contains("more than 4000000 bytes"));
    assert!(why(&call(&toolbox, "unset", json!({})).await).contains("$NOT_THERE is not set"));
    assert!(why(&call(&toolbox, "inside", json!({})).await).contains("refused"));
    assert!(why(&call(&toolbox, "elsewhere", json!({})).await).contains("no tool `elsewhere`"));
}

#[tokio::test]
async fn a_long_result_is_shown_in_parts() {
    let long = format!("\"{}\"", "0123456789".repeat(4_000));
    let peer = Peer::saying(json_answer(&long)).await;
    let toolbox =
        toolbox(json!({"tools": {"long": {"description": "x", "url": peer.url("/")}}})).await;
    let mut shown = call(&toolbox, "long", json!({})).await.output;
    let mut read = String::new();
    loop {
        let text = shown["text"].as_str().unwrap();
        assert!(text.len() <= 16 * 1024);
        read.push_str(text);
        let Some(offset) = shown["nextOffset"].as_u64() else {
            break;
        };
        let input = json!({"id": shown["id"], "offset": offset});
        shown = call(&toolbox, "read_result", input).await.output;
    }
    assert_eq!(read, "0123456789".repeat(4_000));
}

#[tokio::test]
async fn what_the_operator_did_not_open_stays_closed() {
    let peer = Peer::saying(json_answer("{}")).await;
    let closed = ToolSettings::default();
    let members = json!({
        "tools": {"search": {"description": "x", "url": peer.url("/"), "headers": {"a": "$TOKEN"}}},
        "mcpServers": {"shell": {"command": "sh", "args": ["-c", "exit 7"]}}});
    let toolbox = toolbox_by(&outgoing(), &closed, members).await;
    assert!(
        why(&call(&toolbox, "search", json!({})).await).contains("does not let tools use $TOKEN")
    );
    assert!(
        toolbox.notes()[0].contains("does not let `sh` be started"),
        "{:?}",
        toolbox.notes()
    );
    assert_eq!(peer.seen().len(), 0);
}

#[tokio::test]
async fn servers_that_do_not_open_leave_a_note_and_the_others_standing() {
    let peer = Peer::saying(json_answer("{\"ok\":true}")).await;
    let endless = Peer::always(vec![Act::Hang]).await;
    let settings = ToolSettings {
        open_timeout: Millis(1_500),
        ..open_handed()
    };
    let members = json!({
        "tools": {"search": {"description": "x", "url": peer.url("/")}},
        "mcpServers": {
            "absent": {"command": "no-such-program-anywhere"},
            "dies": {"command": "sh", "args": ["-c", "echo my $KEY is bad >&2; exit 3"], "env": {"KEY": "$TOKEN"}},
            "talks": {"command": "sh", "args": ["-c", "echo nonsense; exec sleep 600"]},
            "web": {"url": peer.url("/mcp")},
            "slow": {"url": endless.url("/mcp")},
            "inside": {"url": "http://10.0.0.1/mcp"},
            "old": {"type": "sse", "url": peer.url("/sse")}}});
    let toolbox = toolbox_by(&outgoing(), &settings, members).await;
    let notes = toolbox.notes();
    assert_eq!(notes.len(), 7, "{notes:?}");
    let note = |name: &str| {
        notes
            .iter()
            .find(|note| note.contains(&format!("`{name}`")))
            .unwrap()
    };
    assert!(note("absent").contains("does not start"));
    assert!(
        note("dies").contains("my [secret] is bad"),
        "{}",
        note("dies")
    );
    assert!(note("slow").contains("within 1500 ms"));
    assert!(note("inside").contains("refused"), "{}", note("inside"));
    assert!(note("old").contains("older form"));
    endless.closed(1).await;
    assert_eq!(
        call(&toolbox, "search", json!({})).await.output,
        json!({"ok": true})
    );
}

/// Whether a program of this number is still there.
fn is_alive(number: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{number}/stat"));
    status.is_ok_and(|text| !text.contains(") Z "))
}

#[tokio::test]
async fn a_dropped_toolbox_ends_its_programs_and_their_children() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers");
    let script = format!("sleep 600 & echo $$ $! > {}; wait", file.display());
    let settings = ToolSettings {
        open_timeout: Millis(400),
        ..open_handed()
    };
    let toolbox = toolbox_by(
        &outgoing(),
        &settings,
        json!({"mcpServers": {"mute": {"command": "sh", "args": ["-c", script]}}}),
    )
    .await;
    assert_eq!(toolbox.notes().len(), 1);
    let numbers = std::fs::read_to_string(&file).unwrap();
    let numbers: Vec<u32> = numbers
        .split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 2);
    while numbers.iter().any(|number| is_alive(*number)) {
        tokio::task::yield_now().await;
    }
}

async fn holds_its_tools(toolbox: &Toolbox) {
    assert_eq!(toolbox.notes(), [] as [&str; 0]);
    assert!(toolbox.has("all__echo") && toolbox.has("all__get-sum") && toolbox.has("read_result"));
    let spec = toolbox
        .specs()
        .iter()
        .find(|spec| spec.name == "all__get-sum")
        .unwrap();
    assert!(spec.read_only && spec.input_schema["properties"]["a"]["type"] == "number");
    let outcome = call(toolbox, "all__get-sum", json!({"a": 2, "b": 40})).await;
    assert!(
        !outcome.failed && outcome.output.as_str().unwrap().contains("42"),
        "{outcome:?}"
    );
    let outcome = call(
        toolbox,
        "all__get-structured-content",
        json!({"location": "Chicago"}),
    )
    .await;
    assert!(outcome.output.is_object(), "{outcome:?}");
    let outcome = call(toolbox, "all__get-tiny-image", json!({})).await;
    assert!(
        outcome
            .output
            .as_str()
            .unwrap()
            .contains("[an image (image/png"),
        "{outcome:?}"
    );
    let outcome = call(toolbox, "all__get-sum", json!({"a": "two"})).await;
    assert!(why(&outcome).contains("expected number"), "{outcome:?}");
    assert!(call(toolbox, "all__no-such", json!({})).await.failed);
}

#[tokio::test]
async fn a_real_server_of_others_serves_over_its_input_and_output_and_sees_nothing_of_ours() {
    let Some(packages) = packages() else { return };
    let server = json!({"command": "node", "args": [everything(&packages), "stdio"], "env": {"GIVEN": "$TOKEN", "PLAIN": "yes"}});
    let toolbox = toolbox(json!({"mcpServers": {"all": server}})).await;
    holds_its_tools(&toolbox).await;
    let outcome = call(&toolbox, "all__get-env", json!({})).await;
    let environment: BTreeMap<String, String> =
        serde_json::from_str(outcome.output.as_str().unwrap()).unwrap();
    let names: Vec<&str> = environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["GIVEN", "PATH", "PLAIN"],
        "nothing but what was declared and the path"
    );
    assert_eq!(environment["GIVEN"], "[secret]");
    let slow = ToolSettings {
        call_timeout: Millis(200),
        ..open_handed()
    };
    let members = json!({"toolNames": ["all/trigger-long-running-operation", "all/absent"], "mcpServers": {"all": server}});
    let toolbox = toolbox_by(&outgoing(), &slow, members).await;
    assert_eq!(
        toolbox.specs().len(),
        2,
        "the one that is named, and reading on"
    );
    assert!(toolbox.notes()[0].contains("no tool `absent`"));
    let outcome = call(
        &toolbox,
        "all__trigger-long-running-operation",
        json!({"duration": 30, "steps": 3}),
    )
    .await;
    assert!(why(&outcome).contains("within 200 ms"));
}

#[tokio::test]
async fn a_real_server_of_others_serves_over_http() {
    let Some(packages) = packages() else { return };
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let mut program = node(
        &[&everything(&packages), "streamableHttp"],
        &[("PORT", &port)],
    );
    line_with(program.stderr.take().unwrap(), "listening on port").await;
    let url = format!("http://127.0.0.1:{port}/mcp");
    let toolbox =
        toolbox(json!({"mcpServers": {"all": {"url": url, "headers": {"X-Key": "$TOKEN"}}}})).await;
    holds_its_tools(&toolbox).await;
    drop(program);
    let outcome = call(&toolbox, "all__echo", json!({"message": "x"})).await;
    assert!(
        outcome.failed,
        "a server that went away fails the call, and no more"
    );
}
