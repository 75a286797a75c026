//! Times the reading of answers alone: long streams of text with calls now and then, and one call of ten megabytes. And a script's
//! step in a conversation whose history is long.

#![allow(clippy::print_stdout, reason = "a bench speaks by printing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]
#![allow(clippy::panic, reason = "a broken bench is to stop")]

use std::time::Instant;

use domain::agent::asking::{Delta, Finish, ModelAnswer, Piece, ToolSpec};
use domain::agent::conversation::Conversation;
use domain::agent::conversation::asks::{Answer, Ask};
use domain::agent::conversation::setup::{Limits, Setup, Tool};
use domain::agent::message::ToolResult;
use domain::agent::script::Yield;
use domain::agent::stream::Assembly;
use domain::money::usage::Usage;

const ROUNDS: usize = 5;

/// Bytes of a delta: what a provider sends at once when it is fast, and what it sends a token.
const LARGE: usize = 256;
const SMALL: usize = 16;

fn main() {
    let said = long_answer(32 << 20);
    let (large, small) = (timed(&said, LARGE, 1), timed(&said, SMALL, 1));
    println!(
        "bench stream-text {:.0} MB/s target >=200",
        rate(said.len(), large)
    );
    println!(
        "bench stream-text-in-tokens {:.0} MB/s",
        rate(said.len(), small)
    );
    println!(
        "bench conversation-text {:.0} MB/s target >=200",
        rate(said.len(), best(|| conversed(&said)))
    );
    let (five, ten) = (one_call(5 << 20), one_call(10 << 20));
    println!(
        "bench conversation-call {:.0} MB/s target >=200",
        rate(ten.len(), best(|| conversed(&ten)))
    );
    let half = timed(&five, SMALL, 1);
    let full = timed(&ten, SMALL, 1);
    println!("bench stream-call-of-5MB {:.1} ms", half * 1e3);
    println!(
        "bench stream-call-of-10MB {:.1} ms ratio {:.2} to stream-call-of-5MB target ratio<=2.5",
        full * 1e3,
        full / half
    );
    println!(
        "bench stream-call {:.0} MB/s target >=200",
        rate(ten.len(), timed(&ten, LARGE, 1))
    );
    let native = native(&ten);
    let seconds = best(|| read(native.clone()));
    println!(
        "bench stream-native-call {:.0} MB/s target >=200",
        rate(ten.len(), seconds)
    );
    for megabytes in [0, 1, 5] {
        let seconds = best(|| (Vec::new(), script_step(megabytes << 20)));
        println!(
            "bench conversation-script-step-{megabytes}-mb {:.1} us target <=1000",
            seconds * 1e6
        );
    }
}

/// Seconds from an answer's first delta to what the conversation wants next.
fn conversed(said: &str) -> (Vec<Piece>, f64) {
    let spec = |name: &str| {
        Tool::new(ToolSpec {
            name: name.to_owned(),
            description: "Reads.".to_owned(),
            input_schema: serde_json::json!({}),
            read_only: true,
        })
    };
    let mut conversation = Conversation::new(Setup {
        tools: vec![spec("read_artifact"), spec("write_note")],
        // What is timed is no trimming.
        limits: Limits {
            window: None,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let (pieces, reading) = read(cut(said, LARGE));
    let started = Instant::now();
    let answer = ModelAnswer {
        model: String::new(),
        pieces,
        finish: Finish::Calls,
        usage: Usage::default(),
    };
    if let Err(unasked) = conversation.answer(Answer::Model(Ok(answer))) {
        panic!("{unasked}");
    }
    let Ask::Tools(_) = conversation.next() else {
        panic!("it does not ask for the call");
    };
    (Vec::new(), reading + started.elapsed().as_secs_f64())
}

/// Seconds of a step of a script that calls a tool, once the history has so many bytes: asked, yielded, called, given.
fn script_step(bytes: usize) -> f64 {
    const GIVEN: usize = 16 << 10;
    let mut conversation = Conversation::new(Setup {
        script: true,
        tools: vec![Tool::new(ToolSpec {
            name: "read".to_owned(),
            description: "Reads.".to_owned(),
            input_schema: serde_json::json!({}),
            read_only: true,
        })],
        limits: Limits {
            script_steps: u32::MAX,
            ..Limits::default()
        },
        ..Setup::default()
    });
    let output = serde_json::json!({"text": "What a tool says of a plan. ".repeat(GIVEN / 28)});
    let (before, steps) = (bytes / GIVEN, 50);
    let mut started = Instant::now();
    for step in 0..before + steps {
        if step == before {
            started = Instant::now();
        }
        for _ in 0..2 {
            let answer = match conversation.next() {
                Ask::Script(_) => Answer::Script(Ok(Yield::Tool {
                    tool_name: "read".to_owned(),
                    input: serde_json::json!({"at": step}),
                    include_tool_call: true,
                })),
                Ask::Tools(calls) => Answer::Tools(
                    calls
                        .into_iter()
                        .map(|call| ToolResult {
                            call: call.id,
                            name: call.name,
                            output: output.clone(),
                            failed: false,
                        })
                        .collect(),
                ),
                other => panic!("it asks for {other:?}"),
            };
            if let Err(unasked) = conversation.answer(answer) {
                panic!("{unasked}");
            }
        }
    }
    started.elapsed().as_secs_f64() / steps as f64
}

/// Megabytes a second.
fn rate(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / 1e6 / seconds
}

/// Prose with line breaks, a comparison, and a call in every few kilobytes.
fn long_answer(length: usize) -> String {
    let prose = "The critical chain has a slack of < 3 days, so that each delay of the \"pier works\" moves the opening.\n";
    let mut said = String::with_capacity(length);
    // Each another one: who makes the same call again and again is stopped.
    for place in 0.. {
        if said.len() >= length {
            break;
        }
        said.push_str(&prose.repeat(40));
        said.push_str(&format!(
            "<codebuff_tool_call>\n{{\"cb_tool_name\":\"read_artifact\",\"name\":\"task_durations.json\",\"pointer\":\"/{place}\"}}\n</codebuff_tool_call>"
        ));
    }
    said
}

/// One call with a text of about so many bytes.
fn one_call(length: usize) -> String {
    let line = "a line of a long text with \\\"quotes\\\" and a <b>tag</b>\\n";
    let text = line.repeat(length / line.len());
    format!(
        "<codebuff_tool_call>\n{{\"cb_tool_name\":\"write_note\",\"text\":\"{text}\"}}\n</codebuff_tool_call>"
    )
}

fn cut(said: &str, size: usize) -> Vec<Delta> {
    let mut deltas = Vec::with_capacity(said.len() / size + 1);
    let mut rest = said;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.len().min(size));
        deltas.push(Delta::Text(part.to_owned()));
        rest = behind;
    }
    deltas
}

/// The same call as a native one.
fn native(said: &str) -> Vec<Delta> {
    let json = said.trim_start_matches("<codebuff_tool_call>");
    let json = json.trim_end_matches("</codebuff_tool_call>");
    let mut deltas = vec![Delta::CallBegins {
        place: 0,
        id: "call".to_owned(),
        name: "write_note".to_owned(),
    }];
    deltas.extend(
        cut(json, LARGE)
            .into_iter()
            .filter_map(|delta| match delta {
                Delta::Text(text) => Some(Delta::CallInput { place: 0, text }),
                _ => None,
            }),
    );
    deltas.push(Delta::CallEnds { place: 0 });
    deltas
}

/// Seconds of the best round.
fn timed(said: &str, size: usize, calls_at_least: usize) -> f64 {
    let deltas = cut(said, size);
    best(|| {
        let pieces = read(deltas.clone());
        let calls = pieces
            .0
            .iter()
            .filter(|piece| matches!(piece, Piece::Call { .. }));
        if calls.count() < calls_at_least {
            panic!("calls were lost");
        }
        pieces
    })
}

/// The best round's own time: making the deltas is the provider's.
fn best(mut round: impl FnMut() -> (Vec<Piece>, f64)) -> f64 {
    (0..ROUNDS).map(|_| round().1).fold(f64::INFINITY, f64::min)
}

fn read(deltas: Vec<Delta>) -> (Vec<Piece>, f64) {
    let started = Instant::now();
    let mut assembly = Assembly::new(true);
    let mut shown = Vec::new();
    for delta in deltas {
        assembly.push(delta, &mut shown);
        shown.clear();
    }
    let pieces = assembly.finish(&mut shown);
    (pieces, started.elapsed().as_secs_f64())
}
