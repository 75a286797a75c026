//! Answers put together from their deltas: Codebuff's vectors, and what providers and models do wrong.

use domain::agent::asking::{Delta, Piece};
use domain::agent::stream::{Assembly, CALL_MAX, Shown};
use serde_json::{Value, json};

use crate::conformance::{deviations, vectors};

/// What came of a stream, and what was shown of it, the calls in the order in which they were complete.
struct Outcome {
    pieces: Vec<Piece>,
    shown_text: String,
    shown_thoughts: String,
    shown_calls: Vec<Piece>,
}

fn assemble(deltas: impl IntoIterator<Item = Delta>) -> Outcome {
    let mut assembly = Assembly::new(true);
    let (mut shown, mut calls) = (Vec::new(), Vec::new());
    let (mut shown_text, mut shown_thoughts) = (String::new(), String::new());
    let mut take = |assembly: &Assembly, shown: &mut Vec<Shown>| {
        for part in shown.drain(..) {
            match part {
                Shown::Text(text) => shown_text.push_str(&text),
                Shown::Reasoning(text) => shown_thoughts.push_str(&text),
                Shown::Call(at) => calls.push((at, assembly.said(at).cloned())),
            }
        }
    };
    for delta in deltas {
        assembly.push(delta, &mut shown);
        take(&assembly, &mut shown);
    }
    let pieces = assembly.finish(&mut shown);
    let empty = Assembly::new(true);
    take(&empty, &mut shown);
    let shown_calls = calls
        .into_iter()
        .map(|(at, piece)| piece.unwrap_or_else(|| pieces[at].clone()))
        .collect();
    Outcome {
        pieces,
        shown_text,
        shown_thoughts,
        shown_calls,
    }
}

/// Everything that holds of every stream.
pub fn whole(deltas: &[Delta]) -> Vec<Piece> {
    let outcome = assemble(deltas.iter().cloned());
    let text: String = outcome.pieces.iter().map(text_of).collect();
    assert_eq!(
        outcome.shown_text, text,
        "readers saw what is kept, byte for byte"
    );
    let thoughts: String = outcome.pieces.iter().map(thoughts_of).collect();
    assert_eq!(outcome.shown_thoughts, thoughts);
    let is_call = |piece: &&Piece| !matches!(piece, Piece::Text { .. } | Piece::Reasoning { .. });
    let mut shown: Vec<String> = outcome.shown_calls.iter().map(id_of).collect();
    let mut said: Vec<String> = outcome.pieces.iter().filter(is_call).map(id_of).collect();
    shown.sort();
    said.sort();
    assert_eq!(shown, said, "each call is shown once");
    said.dedup();
    assert_eq!(shown.len(), said.len(), "ids are unique");
    assert!(said.iter().all(|id| !id.is_empty()));
    outcome.pieces
}

fn text_of(piece: &Piece) -> String {
    match piece {
        Piece::Text { text } => text.clone(),
        _ => String::new(),
    }
}

fn thoughts_of(piece: &Piece) -> String {
    match piece {
        Piece::Reasoning { text, .. } => text.clone(),
        _ => String::new(),
    }
}

fn id_of(piece: &Piece) -> String {
    match piece {
        Piece::Call { id, .. } | Piece::BadCall { id, .. } => id.clone(),
        _ => String::new(),
    }
}

pub fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

pub fn begins(place: u32, id: &str, name: &str) -> Delta {
    Delta::CallBegins {
        place,
        id: id.to_owned(),
        name: name.to_owned(),
    }
}

pub fn input(place: u32, text: &str) -> Delta {
    Delta::CallInput {
        place,
        text: text.to_owned(),
    }
}

pub fn ends(place: u32) -> Delta {
    Delta::CallEnds { place }
}

/// A piece in a few words: `"text"`, `(thoughts)`, `name{input}`, `!name: why`.
fn brief(piece: &Piece) -> String {
    match piece {
        Piece::Text { text } => format!("{text:?}"),
        Piece::Reasoning { text, .. } => format!("({text})"),
        Piece::Call { name, input, .. } => format!("{name}{input}"),
        Piece::BadCall { name, why, .. } => {
            format!("!{}: {why}", name.as_deref().unwrap_or("?"))
        }
    }
}

fn briefly(deltas: &[Delta]) -> Vec<String> {
    whole(deltas).iter().map(brief).collect()
}

/// The three ways in which the vectors cut a text, and some more.
fn cuttings(input: &str) -> Vec<Vec<Delta>> {
    let chars: Vec<char> = input.chars().collect();
    let cut = |size: usize| -> Vec<Delta> {
        let parts = chars.chunks(size.max(1));
        parts
            .map(|part| text(&part.iter().collect::<String>()))
            .collect()
    };
    let sizes = [chars.len(), 1, chars.len().div_ceil(3), 2, 7];
    sizes.into_iter().map(cut).collect()
}

#[test]
fn codebuffs_vectors_are_answered_alike_but_where_it_loses_something() {
    let Some(cases) = vectors("stream-xml-parser") else {
        return;
    };
    assert_eq!(cases.len(), 84);
    let deviations = deviations("stream");
    let mut unused: Vec<&Value> = deviations.iter().collect();
    for case in &cases {
        let said = case["input"].as_str().unwrap();
        let otherwise = deviations
            .iter()
            .find(|other| other["input"] == case["input"]);
        unused.retain(|other| other["input"] != case["input"]);
        let expected = otherwise.unwrap_or(case);
        let wanted_calls = match otherwise {
            Some(other) => other["calls"].as_array().cloned().unwrap_or_default(),
            None => case["toolCalls"].as_array().cloned().unwrap(),
        };
        for deltas in cuttings(said) {
            let pieces = whole(&deltas);
            let heard: String = pieces.iter().map(text_of).collect();
            assert_eq!(heard, expected["text"].as_str().unwrap(), "{said}");
            let calls: Vec<Value> = pieces.iter().filter_map(call_of).collect();
            assert_eq!(calls, wanted_calls, "{said}");
            let bad: Vec<String> = pieces.iter().filter_map(why_of).collect();
            let wanted = expected["bad"].as_array().cloned().unwrap_or_default();
            assert_eq!(bad.len(), wanted.len(), "{said}: {bad:?}");
            for (why, wanted) in bad.iter().zip(&wanted) {
                assert!(why.contains(wanted.as_str().unwrap()), "{said}: {why}");
            }
        }
        if otherwise.is_some() {
            let same = expected["text"] == case["text"]
                && Value::Array(wanted_calls) == case["toolCalls"]
                && expected["bad"].is_null();
            assert!(!same, "no deviation: {said}");
        }
    }
    assert!(unused.is_empty(), "no such case: {unused:?}");
}

fn call_of(piece: &Piece) -> Option<Value> {
    match piece {
        Piece::Call { name, input, .. } => Some(json!({"toolName": name, "input": input})),
        _ => None,
    }
}

fn why_of(piece: &Piece) -> Option<String> {
    match piece {
        Piece::BadCall { why, .. } => Some(why.clone()),
        _ => None,
    }
}

#[test]
fn calls_stand_where_they_began_among_text_and_thoughts() {
    let deltas = [
        Delta::Reasoning {
            text: "first ".to_owned(),
            signature: None,
        },
        text(""),
        Delta::Reasoning {
            text: "this".to_owned(),
            signature: Some("s1".to_owned()),
        },
        Delta::Reasoning {
            text: "then that".to_owned(),
            signature: None,
        },
        text("a <code"),
        begins(0, "x", "read"),
        text("buff_tool_call> b"),
        begins(1, "y", "list"),
        input(1, "{}"),
        ends(1),
        text(" c <codebuff_tool_call>{\"cb_tool_name\":"),
        input(0, "{\"n\":1}"),
        ends(0),
        begins(2, "z", "last"),
        text("\"t\"}</codebuff_tool_call> d"),
    ];
    assert_eq!(
        briefly(&deltas),
        [
            "(first this)",
            "(then that)",
            "\"a <code\"",
            "read{\"n\":1}",
            "\"buff_tool_call> b\"",
            "list{}",
            "\" c \"",
            "t{}",
            "!last: the answer ended before the call did",
            "\" d\"",
        ]
    );
    let shown = assemble(deltas).shown_calls;
    assert_eq!(
        shown.iter().map(id_of).collect::<Vec<_>>(),
        ["y", "x", "call-3", "z"],
        "each as soon as it is complete"
    );
}

#[test]
fn providers_that_give_ids_twice_or_never_end_lose_no_call() {
    let deltas = [
        begins(0, "same", "a"),
        input(0, "{\"n\":"),
        begins(1, "same", "b"),
        input(0, "1}"),
        input(1, "{\"n\":2}"),
        ends(0),
        begins(2, "", "c"),
        ends(2),
        // A server that gives every call the first place.
        begins(3, "q", "d"),
        input(3, "{}"),
        begins(3, "r", "e"),
        input(3, "\"{\\\"wrapped\\\": true}\""),
        ends(3),
        ends(7),
        input(9, "{\"nameless\":1}"),
        begins(4, "u", "f"),
        input(4, "[1]"),
        ends(4),
        begins(5, "v", "g"),
        input(5, "{\"cut\":"),
    ];
    assert_eq!(
        briefly(&deltas),
        [
            "a{\"n\":1}",
            "b{\"n\":2}",
            "c{}",
            "d{}",
            "e{\"wrapped\":true}",
            "!?: the provider did not say which tool is called",
            "!f: the input of a tool is a JSON object",
            "!g: the answer ended before the call did",
        ]
    );
    let ids: Vec<String> = whole(&deltas).iter().map(id_of).collect();
    assert_eq!(&ids[..3], ["same", "same-2-2", "call-3"]);
}

pub const CALL: &str = "<codebuff_tool_call>";
pub const END: &str = "</codebuff_tool_call>";

#[test]
fn a_malformed_call_swallows_neither_text_nor_the_next_call() {
    let good = format!("{CALL}{{\"cb_tool_name\":\"t\"}}{END}");
    for (said, wanted) in [
        // A string that is never closed, and a bare line break that proves it.
        (
            format!("{CALL}{{\"a\":\"b}}{END} on\n{good} end"),
            vec!["!?", "\" on\\n\"", "t{}", "\" end\""],
        ),
        // The same without proof until the answer's end.
        (
            format!("{CALL}{{\"cb_tool_name\":\"u\",\"a\":\"b}}{END} on {good} end"),
            vec!["!u", "\" on \"", "t{}", "\" end\""],
        ),
        // Two that together look like one.
        (
            format!("{CALL}{{\"a\":\"b}}{END} on {CALL}{{\"c\":\"d}}{END} end"),
            vec!["!?", "\" on \"", "!?", "\" end\""],
        ),
        // An end tag within a string of a call that is good.
        (
            format!("{CALL}{{\"cb_tool_name\":\"t\",\"s\":\"{END} \\\" {END}\"}}{END} end"),
            vec!["t{", "\" end\""],
        ),
    ] {
        for deltas in cuttings(&said) {
            let found = briefly(&deltas);
            assert_eq!(found.len(), wanted.len(), "{said}: {found:?}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!(found.starts_with(wanted), "{said}: {found} is not {wanted}");
            }
        }
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = "[".repeat(100_000);
    let said = format!("{CALL}{deep}{END} end");
    let found = briefly(&[text(&said), begins(0, "", "t"), input(0, &deep), ends(0)]);
    assert!(found[0].starts_with("!?: invalid JSON"), "{found:?}");
    assert_eq!(found[1], "\" end\"");
    assert!(found[2].starts_with("!t: invalid JSON"), "{found:?}");
}

#[test]
fn without_the_text_form_tags_are_text() {
    let mut assembly = Assembly::new(false);
    let said = format!("{CALL}{{}}{END}");
    let mut shown = Vec::new();
    assembly.push(text(&said), &mut shown);
    assert_eq!(assembly.finish(&mut shown), [Piece::Text { text: said }]);
}

#[test]
fn a_call_of_ten_megabytes_in_small_parts_is_one_call() {
    let long = "line \\\" \\n <b> ".repeat(700_000);
    let native = format!("{{\"s\":\"{long}\"}}");
    let mut deltas = vec![text(&format!("{CALL}{{\"cb_tool_name\":\"t\",\"s\":\""))];
    deltas.extend(
        long.as_bytes()
            .chunks(16)
            .map(|part| text(std::str::from_utf8(part).unwrap())),
    );
    deltas.push(text(&format!("\"}}{END}")));
    deltas.push(begins(0, "n", "t"));
    deltas.extend(
        native
            .as_bytes()
            .chunks(16)
            .map(|part| input(0, std::str::from_utf8(part).unwrap())),
    );
    deltas.push(ends(0));
    let pieces = assemble(deltas).pieces;
    let inputs: Vec<&Value> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Call { input, .. } => Some(input),
            _ => None,
        })
        .collect();
    assert_eq!(inputs.len(), 2);
    assert!(inputs[0]["s"].as_str().unwrap().len() > 8_000_000);
    assert!(inputs[0] == inputs[1]);
}

#[test]
fn a_calls_place_among_the_calls_is_known_when_it_is_complete() {
    let mut assembly = Assembly::new(true);
    let one = format!("and {CALL}{{\"cb_tool_name\":\"t\"}}{END}");
    let mut shown = Vec::new();
    // The first native call is complete after the two in the text that follow it.
    for delta in [begins(0, "n", "t"), text(&one), text(&one), ends(0)] {
        assembly.push(delta, &mut shown);
    }
    let places = shown.iter().filter_map(|shown| match shown {
        Shown::Call(at) => Some(assembly.calls_before(*at)),
        _ => None,
    });
    assert_eq!(places.collect::<Vec<_>>(), [1, 2, 0]);
}

#[test]
fn a_call_without_end_is_refused_and_not_kept() {
    let mut deltas = vec![text(CALL)];
    deltas.extend((0..=CALL_MAX / (1 << 20)).map(|_| text(&"\u{e9}".repeat(1 << 19))));
    deltas.push(text(&format!("{END} after")));
    let pieces = assemble(deltas).pieces;
    let [
        Piece::BadCall { text, why, .. },
        Piece::Text { text: after },
    ] = &pieces[..]
    else {
        panic!("{} pieces", pieces.len());
    };
    assert!(text.len() <= 2_000 && why.contains("longer than"), "{why}");
    assert_eq!(after, " after");
}
