//! Calls in text form: what stands between `<codebuff_tool_call>` and the end tag, found in one pass however the text is cut.
//!
//! An end tag within a JSON string belongs to the string. Where that cannot be (the string holds a bare line break, no
//! other end tag comes, or what they enclose is no JSON), the call was malformed and ended at its first end tag; what came
//! after that is text again.

use crate::agent::stream::CALL_MAX;
use crate::agent::stream::call::Body;

/// Begins a call.
const START: &str = "<codebuff_tool_call>";

/// Ends a call.
const END: &str = "</codebuff_tool_call>";

/// What is found in the text, in its order.
pub(super) enum Found<'a> {
    /// Text.
    Text(&'a str),
    /// A call begins.
    Begins,
    /// The call ends.
    Ends {
        /// What stands between the tags.
        body: Body,
        /// Whether there was an end tag.
        whole: bool,
    },
}

/// Reads text for calls.
#[derive(Debug, Default)]
pub(super) struct Tagged {
    /// So many bytes of a start tag are held back, since they may become one.
    held: usize,
    open: Option<Open>,
    /// Calls end at their first end tag, wherever it stands: text that came out of a malformed call is read a second time,
    /// and never a third.
    plain: bool,
}

/// A call whose end has not come.
#[derive(Debug, Default)]
struct Open {
    body: Body,
    in_string: bool,
    escaped: bool,
    /// It is no JSON: any end tag ends it.
    broken: bool,
    /// So many bytes of an end tag are there.
    matched: usize,
    /// Where the first end tag within a string stops, in the body.
    inner_end: Option<usize>,
}

/// Why a call's scan stopped.
enum Stop {
    /// At its end tag.
    Ended,
    /// At proof that its first end tag had ended it.
    EndedBefore,
}

impl Tagged {
    /// Whether the text can be passed on as it is.
    pub(super) fn lets_pass(&self, text: &str) -> bool {
        self.held == 0 && self.open.is_none() && !text.as_bytes().contains(&b'<')
    }

    pub(super) fn feed(&mut self, text: &str, on: &mut dyn FnMut(Found<'_>)) {
        let mut rest = text;
        while !rest.is_empty() {
            rest = match self.open.take() {
                Some(open) => self.inside(open, rest, on),
                None if self.held > 0 => self.within_tag(rest, on),
                None => self.outside(rest, on),
            };
        }
    }

    /// Half a start tag was none.
    pub(super) fn interrupt(&mut self, on: &mut dyn FnMut(Found<'_>)) {
        if self.held > 0 {
            on(Found::Text(&START[..self.held]));
            self.held = 0;
        }
    }

    /// No more text comes.
    /// No more text comes. A call that lacks its end has it at its first end tag, if there is one.
    pub(super) fn finish(&mut self, on: &mut dyn FnMut(Found<'_>)) {
        while let Some(open) = self.open.take() {
            match open.inner_end.filter(|_| open.body.is_whole()) {
                Some(end) => self.ended_before(open.body, end, on),
                None => on(Found::Ends {
                    body: open.body,
                    whole: false,
                }),
            }
        }
        self.interrupt(on);
    }

    fn outside<'t>(&mut self, text: &'t str, on: &mut dyn FnMut(Found<'_>)) -> &'t str {
        let mut from = 0;
        while let Some(found) = text[from..].find('<') {
            let at = from + found;
            let same = same(START, &text[at..]);
            if same == START.len() || at + same == text.len() {
                if at > 0 {
                    on(Found::Text(&text[..at]));
                }
                self.held = 1;
                return &text[at + 1..];
            }
            from = at + same;
        }
        on(Found::Text(text));
        ""
    }

    /// `<` stands in a start tag at its beginning alone: bytes that do not go on with it leave all held ones as text.
    fn within_tag<'t>(&mut self, text: &'t str, on: &mut dyn FnMut(Found<'_>)) -> &'t str {
        let same = same(&START[self.held..], text);
        self.held += same;
        if self.held == START.len() {
            self.held = 0;
            self.open = Some(Open {
                broken: self.plain,
                ..Open::default()
            });
            on(Found::Begins);
        } else if same < text.len() {
            self.interrupt(on);
        }
        &text[same..]
    }

    fn inside<'t>(
        &mut self,
        mut open: Open,
        text: &'t str,
        on: &mut dyn FnMut(Found<'_>),
    ) -> &'t str {
        let (read, stop) = open.scan(text);
        open.body.push(&text[..read]);
        let Some(stop) = stop else {
            self.open = Some(open);
            return &text[read..];
        };
        let mut body = open.body;
        let first_end = open.inner_end.filter(|_| body.is_whole());
        match (stop, first_end) {
            (Stop::EndedBefore, Some(end)) => self.ended_before(body, end, on),
            (_, None) => {
                body.shorten(END.len());
                on(Found::Ends { body, whole: true });
            }
            (Stop::Ended, Some(end)) => {
                body.shorten(END.len());
                if body.is_json() {
                    on(Found::Ends { body, whole: true });
                } else {
                    body.push(END);
                    self.ended_before(body, end, on);
                }
            }
        }
        &text[read..]
    }

    /// The call ended at `end` of the body; what stands behind it is read again as text.
    fn ended_before(&mut self, mut body: Body, end: usize, on: &mut dyn FnMut(Found<'_>)) {
        let behind = body.split_off(end);
        body.shorten(END.len());
        on(Found::Ends { body, whole: true });
        self.plain = true;
        self.feed(&behind, on);
        self.plain = false;
    }
}

impl Open {
    /// Reads on, and answers how many bytes belong to the call so far, and whether that is its end.
    fn scan(&mut self, text: &str) -> (usize, Option<Stop>) {
        let bytes = text.as_bytes();
        let before = self.body.length();
        let mut at = 0;
        loop {
            if self.matched == 0 && !self.escaped {
                let plain = bytes[at..]
                    .iter()
                    .take_while(|byte| PLAIN[usize::from(**byte)]);
                at += plain.count();
            }
            let Some(&byte) = bytes.get(at) else {
                return (at, None);
            };
            at += 1;
            let was_broken = self.broken;
            self.strings(byte);
            let proved = self.broken && !was_broken;
            if proved && self.inner_end.is_some() && before + at <= CALL_MAX {
                return (at, Some(Stop::EndedBefore));
            }
            if byte == END.as_bytes()[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(byte == b'<');
            }
            if self.matched == END.len() {
                self.matched = 0;
                if !self.in_string || self.broken {
                    return (at, Some(Stop::Ended));
                }
                self.inner_end.get_or_insert(before + at);
            }
        }
    }

    /// Keeps account of whether a JSON string is open.
    fn strings(&mut self, byte: u8) {
        if self.broken {
            return;
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'"' => self.in_string = !self.in_string,
            b'\\' if self.in_string => self.escaped = true,
            0..0x20 if self.in_string => self.broken = true,
            _ => {}
        }
    }
}

/// How many bytes at the beginning of both are the same.
fn same(wanted: &str, text: &str) -> usize {
    let both = wanted.bytes().zip(text.bytes());
    both.take_while(|(a, b)| a == b).count()
}

/// Bytes that neither begin nor end anything.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut control = 0;
    while control < 0x20 {
        plain[control] = false;
        control += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain[b'<' as usize] = false;
    plain
};
