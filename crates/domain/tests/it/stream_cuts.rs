//! Random streams of what is hard to read: however they are cut the pieces are the same, and no text is lost.

use domain::agent::asking::{Delta, Piece};

use crate::chance::{Chance, rounds};
use crate::stream::{CALL, END, begins, ends, input, text, whole};

/// Words of which streams are made that are hard to read.
const WORDS: [&str; 24] = [
    "text ",
    "<",
    "\n",
    "\"",
    "\\",
    "{",
    "}",
    CALL,
    END,
    "<codebuff",
    "_tool_call>",
    "</codebuff_tool_",
    "{\"cb_tool_name\":\"t\"",
    ",\"a\":\"",
    "\"}",
    "{\"cb_tool_name\":\"u\"}",
    "\u{e9}\u{20ac}",
    "\u{1f980}",
    "<codebuff_tool_call>{\"cb_tool_name\":\"t\"}</codebuff_tool_call>",
    "\\\"",
    "call>",
    "</",
    ">",
    "\t",
];

/// A random stream: each entry may be cut further.
fn stream(chance: &mut Chance) -> Vec<Delta> {
    let mut deltas = Vec::new();
    for _ in 0..chance.below(24) {
        let place = chance.below(3) as u32;
        let word = *chance.pick(&WORDS);
        deltas.push(match chance.below(12) {
            0 => begins(
                place,
                ["", "a", "b"][chance.below(3)],
                ["t", "u", ""][chance.below(3)],
            ),
            1 => input(place, word),
            2 => input(place, "{\"k\":[1,\"\u{e9}\"]}"),
            3 => ends(place),
            4 => Delta::Reasoning {
                text: word.to_owned(),
                signature: chance.once_in(3).then(|| "sign".to_owned()),
            },
            _ => text(word),
        });
    }
    deltas
}

/// The same stream in other portions: texts are cut anywhere, neighbours are put together, empty ones come between.
fn recut(deltas: &[Delta], chance: &mut Chance) -> Vec<Delta> {
    let mut out: Vec<Delta> = Vec::new();
    for delta in deltas {
        let (said, make): (&str, &dyn Fn(String) -> Delta) = match delta {
            Delta::Text(said) => (said, &Delta::Text),
            Delta::CallInput { place, text } => (text, &|text| Delta::CallInput {
                place: *place,
                text,
            }),
            Delta::Reasoning {
                text,
                signature: None,
            } => (text, &|text| Delta::Reasoning {
                text,
                signature: None,
            }),
            other => {
                out.push(other.clone());
                continue;
            }
        };
        let mut part = String::new();
        for c in said.chars() {
            part.push(c);
            if chance.once_in(2) {
                add(&mut out, make(std::mem::take(&mut part)), chance);
            }
        }
        add(&mut out, make(part), chance);
    }
    out
}

fn add(out: &mut Vec<Delta>, delta: Delta, chance: &mut Chance) {
    if chance.once_in(6) {
        out.push(text(""));
    }
    match (out.last_mut(), delta) {
        (Some(Delta::Text(before)), Delta::Text(more)) if chance.once_in(2) => {
            before.push_str(&more);
        }
        (_, delta) => out.push(delta),
    }
}

#[test]
fn however_a_stream_is_cut_the_pieces_are_the_same() {
    for seed in 0..rounds(3_000) {
        let mut chance = Chance::of(seed);
        let deltas = stream(&mut chance);
        let once = whole(&deltas);
        for _ in 0..4 {
            let other = recut(&deltas, &mut chance);
            assert_eq!(whole(&other), once, "seed {seed}\n{deltas:?}\n{other:?}");
        }
    }
}

#[test]
fn no_text_is_lost() {
    for seed in 0..rounds(3_000) {
        let mut chance = Chance::of(seed);
        let words: Vec<&str> = (0..chance.below(20))
            .map(|_| *chance.pick(&WORDS))
            .collect();
        let said = words.concat();
        let mut rebuilt = String::new();
        for piece in whole(&[text(&said)]) {
            match piece {
                Piece::Text { text } => rebuilt.push_str(&text),
                Piece::BadCall { text, why, .. } => {
                    rebuilt.push_str(CALL);
                    rebuilt.push_str(&text);
                    let ended = !why.contains("ended before");
                    rebuilt.push_str(if ended { END } else { "" });
                }
                Piece::Call { .. } => rebuilt.push('\u{0}'),
                Piece::Reasoning { .. } => unreachable!(),
            }
        }
        let mut rest = said.as_str();
        for kept in rebuilt.split('\u{0}') {
            let at = rest.find(kept);
            assert!(at.is_some(), "seed {seed}: {said:?} became {rebuilt:?}");
            rest = &rest[at.unwrap() + kept.len()..];
        }
    }
}
