//! An answer put together from its deltas: native calls and calls in text form, in the order in which they were said.
//!
//! However the stream is cut, the pieces are the same. A call is complete as soon as its last byte is there; what cannot be
//! read becomes a [`Piece::BadCall`], so that the model learns of it, and no text is lost.

mod call;
mod tagged;

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::asking::{Delta, Piece};
use tagged::{Found, Tagged};

/// Longest call, in bytes, that is read. A longer one is refused by a [`Piece::BadCall`].
pub const CALL_MAX: usize = 32 * 1024 * 1024;

/// What may be shown, or carried out, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Text. All of it together is all that [`Piece::Text`] holds, byte for byte.
    Text(String),
    /// Thoughts.
    Reasoning(String),
    /// A call is complete, or known to be unreadable: the piece of this number, see [`Assembly::said`].
    Call(usize),
}

/// An answer on its way.
#[derive(Debug)]
pub struct Assembly {
    said: Said,
    native: BTreeMap<u32, Native>,
    tagged: Option<Tagged>,
}

/// What was said so far. A call's place is kept from its beginning.
#[derive(Debug, Default)]
struct Said {
    pieces: Vec<Option<Piece>>,
    ids: BTreeSet<String>,
    /// Where the calls stand among the pieces, in the order in which they began.
    calls: Vec<usize>,
    /// Where the call in text form stands that is not yet complete.
    open: Option<Begun>,
}

/// A call that has begun.
#[derive(Clone, Debug)]
struct Begun {
    at: usize,
    id: String,
}

/// A native call that is not yet complete.
#[derive(Debug)]
struct Native {
    begun: Begun,
    name: Option<String>,
    input: call::Body,
}

impl Assembly {
    /// Nothing said yet. Where `text_form` is set, `<codebuff_tool_call>` in the text is a call.
    pub fn new(text_form: bool) -> Self {
        Self {
            said: Said::default(),
            native: BTreeMap::new(),
            tagged: text_form.then(Tagged::default),
        }
    }

    /// Takes the next delta, and adds to `shown` what may be shown or carried out now.
    pub fn push(&mut self, delta: Delta, shown: &mut Vec<Shown>) {
        match delta {
            Delta::Text(text) => self.text(text, shown),
            Delta::Reasoning { text, signature } => {
                if !text.is_empty() || signature.is_some() {
                    self.interrupt(shown);
                    self.said.reason(text, signature, shown);
                }
            }
            Delta::CallBegins { place, id, name } => {
                self.end(place, true, shown);
                self.interrupt(shown);
                self.begin(place, &id, Some(name));
            }
            Delta::CallInput { place, text } if !text.is_empty() => {
                if !self.native.contains_key(&place) {
                    self.interrupt(shown);
                    self.begin(place, "", None);
                }
                if let Some(native) = self.native.get_mut(&place) {
                    native.input.push(&text);
                }
            }
            Delta::CallInput { .. } => {}
            Delta::CallEnds { place } => self.end(place, true, shown),
        }
    }

    /// The piece of this number, once it is complete.
    pub fn said(&self, at: usize) -> Option<&Piece> {
        self.said.pieces.get(at).and_then(Option::as_ref)
    }

    /// How many calls began before the piece of this number did.
    pub fn calls_before(&self, at: usize) -> usize {
        self.said.calls.partition_point(|call| *call < at)
    }

    /// The stream has ended: all that was said, in order. What was still held back is added to `shown`.
    pub fn finish(mut self, shown: &mut Vec<Shown>) -> Vec<Piece> {
        if let Some(tagged) = &mut self.tagged {
            let said = &mut self.said;
            tagged.finish(&mut |found| said.found(found, shown));
        }
        let open: Vec<u32> = self.native.keys().copied().collect();
        for place in open {
            self.end(place, false, shown);
        }
        self.said.pieces.into_iter().flatten().collect()
    }

    fn text(&mut self, text: String, shown: &mut Vec<Shown>) {
        let said = &mut self.said;
        match &mut self.tagged {
            Some(tagged) if !tagged.lets_pass(&text) => {
                tagged.feed(&text, &mut |found| said.found(found, shown));
            }
            _ if text.is_empty() => {}
            _ => said.whole_text(text, shown),
        }
    }

    /// Something else than text comes: half a start tag before it was no tag.
    fn interrupt(&mut self, shown: &mut Vec<Shown>) {
        if let Some(tagged) = &mut self.tagged {
            let said = &mut self.said;
            tagged.interrupt(&mut |found| said.found(found, shown));
        }
    }

    fn begin(&mut self, place: u32, id: &str, name: Option<String>) {
        let begun = self.said.begin(id);
        let native = Native {
            begun,
            name,
            input: call::Body::default(),
        };
        self.native.insert(place, native);
    }

    /// Completes the native call at `place`, if there is one. `told`: the provider says that it is whole.
    fn end(&mut self, place: u32, told: bool, shown: &mut Vec<Shown>) {
        if let Some(Native { begun, name, input }) = self.native.remove(&place) {
            let piece = call::native(begun.id, name, &input, told);
            self.said.complete(begun.at, piece, shown);
        }
    }
}

impl Said {
    fn found(&mut self, found: Found<'_>, shown: &mut Vec<Shown>) {
        match found {
            Found::Text(text) => {
                match shown.last_mut() {
                    Some(Shown::Text(last)) => last.push_str(text),
                    _ => shown.push(Shown::Text(text.to_owned())),
                }
                self.append(text);
            }
            Found::Begins => self.open = Some(self.begin("")),
            Found::Ends { body, whole } => {
                if let Some(Begun { at, id }) = self.open.take() {
                    let piece = call::tagged(id, body, whole);
                    self.complete(at, piece, shown);
                }
            }
        }
    }

    /// As [`Said::found`] of text, without a copy for who is shown it.
    fn whole_text(&mut self, text: String, shown: &mut Vec<Shown>) {
        self.append(&text);
        shown.push(Shown::Text(text));
    }

    fn append(&mut self, more: &str) {
        if let Some(Some(Piece::Text { text })) = self.pieces.last_mut() {
            text.push_str(more);
        } else {
            let text = more.to_owned();
            self.pieces.push(Some(Piece::Text { text }));
        }
    }

    /// Thoughts go on until a signature ends them.
    fn reason(&mut self, more: String, sign: Option<String>, shown: &mut Vec<Shown>) {
        if let Some(Some(Piece::Reasoning { text, signature })) = self.pieces.last_mut()
            && signature.is_none()
        {
            text.push_str(&more);
            *signature = sign;
        } else {
            self.pieces.push(Some(Piece::Reasoning {
                text: more.clone(),
                signature: sign,
            }));
        }
        if !more.is_empty() {
            shown.push(Shown::Reasoning(more));
        }
    }

    /// A place for a call, and an id that no other call of this answer has: the provider's where it gives one.
    fn begin(&mut self, id: &str) -> Begun {
        self.calls.push(self.pieces.len());
        let number = self.calls.len();
        let wanted = match id {
            "" => format!("call-{number}"),
            id => id.to_owned(),
        };
        let mut id = wanted.clone();
        let mut again = 2;
        while !self.ids.insert(id.clone()) {
            id = format!("{wanted}-{number}-{again}");
            again += 1;
        }
        self.pieces.push(None);
        Begun {
            at: self.pieces.len() - 1,
            id,
        }
    }

    fn complete(&mut self, at: usize, piece: Piece, shown: &mut Vec<Shown>) {
        if let Some(place) = self.pieces.get_mut(at) {
            *place = Some(piece);
            shown.push(Shown::Call(at));
        }
    }
}
