//! Cuts a stream of bytes into lines (NDJSON) or events (SSE), wherever the network happened to cut it.

/// How a stream is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One JSON text a line.
    Lines,
    /// Server-sent events.
    Events,
}

/// One line, or one event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// The event's name; nothing for lines and for events without one.
    pub(crate) name: Option<&'a str>,
    /// JSON, if the peer keeps its word.
    pub(crate) text: &'a [u8],
}

/// What is left over from the pieces seen so far.
#[derive(Debug)]
pub(crate) struct Frames {
    framing: Framing,
    /// A line that has not ended.
    line: Vec<u8>,
    /// The last line ended with a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// No line has ended yet: a byte order mark may stand before it.
    first: bool,
    name: Option<String>,
    data: Option<Vec<u8>>,
}

impl Frames {
    pub(crate) fn new(framing: Framing) -> Self {
        Self {
            framing,
            line: Vec::new(),
            after_return: false,
            first: true,
            name: None,
            data: None,
        }
    }

    /// Takes the next piece and gives each frame that it ends to `each`.
    ///
    /// # Errors
    /// What `each` refuses; nothing more is read then.
    pub(crate) fn feed<E>(
        &mut self,
        mut piece: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !piece.is_empty() {
            if std::mem::take(&mut self.after_return) && piece[0] == b'\n' {
                piece = &piece[1..];
                continue;
            }
            let ends =
                |byte: &u8| *byte == b'\n' || (*byte == b'\r' && self.framing == Framing::Events);
            let Some(end) = piece.iter().position(ends) else {
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            self.after_return = piece[end] == b'\r';
            let (head, tail) = (&piece[..end], &piece[end + 1..]);
            if self.line.is_empty() {
                self.line_ended(head, &mut each)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.line_ended(&line, &mut each)?;
                // Its room serves the next line.
                line.clear();
                self.line = line;
            }
            piece = tail;
        }
        Ok(())
    }

    /// The line that the stream ended in, where it did not end with one. An event without its blank line is none.
    pub(crate) fn rest(&self) -> Option<Frame<'_>> {
        let text = without_mark(&self.line, self.first).trim_ascii();
        (self.framing == Framing::Lines && !text.is_empty()).then_some(Frame { name: None, text })
    }

    fn line_ended<E>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = without_mark(line, std::mem::take(&mut self.first));
        match self.framing {
            Framing::Lines if line.trim_ascii().is_empty() => Ok(()),
            Framing::Lines => each(Frame {
                name: None,
                text: line,
            }),
            Framing::Events if line.is_empty() => self.event_ended(each),
            Framing::Events => {
                self.field(line);
                Ok(())
            }
        }
    }

    fn event_ended<E>(
        &mut self,
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let name = self.name.take().filter(|name| !name.is_empty());
        match self.data.take() {
            Some(data) => each(Frame {
                name: name.as_deref(),
                text: &data,
            }),
            None => Ok(()),
        }
    }

    /// One `field: value` of an event; comments and fields that mean nothing here are passed over.
    fn field(&mut self, line: &[u8]) {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            _ => {}
        }
    }
}

/// A line without the byte order mark that may stand before the first.
fn without_mark(line: &[u8], first: bool) -> &[u8] {
    match line.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) if first => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    type Seen = Vec<(Option<String>, Vec<u8>)>;

    fn seen(framing: Framing, pieces: &[&[u8]]) -> Seen {
        let mut frames = Frames::new(framing);
        let mut seen = Seen::new();
        let mut keep =
            |frame: Frame<'_>| seen.push((frame.name.map(str::to_owned), frame.text.to_vec()));
        for piece in pieces {
            frames
                .feed(piece, |frame| {
                    keep(frame);
                    Ok::<(), ()>(())
                })
                .unwrap();
        }
        if let Some(rest) = frames.rest() {
            keep(rest);
        }
        seen
    }

    #[test]
    fn events_are_read_as_the_standard_has_them() {
        let text = "\u{feff}: a comment\nevent: progress\ndata: {\"a\":\ndata:1}\n\ndata\n\nevent:x\n\nid: 7\r\ndata:  two\r\rretry: 1\n\ndata: cut off";
        let expected: Seen = vec![
            (Some("progress".to_owned()), b"{\"a\":\n1}".to_vec()),
            (None, b"".to_vec()),
            (None, b" two".to_vec()),
        ];
        assert_eq!(seen(Framing::Events, &[text.as_bytes()]), expected);
    }

    #[test]
    fn lines_may_end_either_way_and_the_last_not_at_all() {
        let expected: Seen = vec![
            (None, b"{}\r".to_vec()),
            (None, b"1".to_vec()),
            (None, b"2".to_vec()),
        ];
        assert_eq!(seen(Framing::Lines, &[b"{}\r\n\n  \n1\n2"]), expected);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(0xef), Just(0xbb), Just(0xbf),
                Just(b'd'), Just(b'a'), Just(b't'), any::<u8>()
            ], 0..80),
            fields in proptest::collection::vec(prop_oneof![
                Just("data: x\n"), Just("data: é\r\n"), Just("event: result\r"), Just("\n"), Just("\r\n"), Just(": c\n")
            ], 0..12),
            events: bool,
        ) {
            let framing = if events { Framing::Events } else { Framing::Lines };
            let mut bytes = bytes;
            bytes.extend(fields.concat().into_bytes());
            let whole = seen(framing, &[&bytes]);
            for cut in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(cut);
                prop_assert_eq!(&seen(framing, &[head, tail]), &whole);
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&seen(framing, &single), &whole);
        }
    }
}
