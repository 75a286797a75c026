//! The events of one commit as one row: the last one stands in the row's columns, those before it packed beside it.
//!
//! Of each packed event: a byte of flags, how much earlier than the last it happened (zigzag), its kind and step unless its data
//! begins by naming both, its data as `text.rs` packs it, and its hash. Numbers are LEB128, texts have their length before them.

use crate::error::StoreError;
use crate::rows::{EventRow, Hash};
use crate::text::{pack_text, unpack_text};
use crate::write::NewEvent;

/// The kind and the step stand in the data: `{"kind":"…"`, then `,"step":"…"` where it is about one.
const TOLD: u8 = 1;

/// It is about a step, and that stands here.
const STEP: u8 = 2;

/// What a damaged row holds.
const BAD: StoreError = StoreError::Decode {
    column: "event.earlier",
};

/// Packs events with their hashes, given the time of the one that follows them.
pub(crate) fn pack<'e>(
    earlier: impl Iterator<Item = (&'e NewEvent, &'e Hash)>,
    last_at: i64,
) -> Vec<u8> {
    let mut packed = Vec::with_capacity(256);
    for (event, hash) in earlier {
        let step = event.step.as_deref();
        let told = told(&event.data) == Some((&event.kind, step));
        let flags = match (told, step) {
            (true, _) => TOLD,
            (false, Some(_)) => STEP,
            (false, None) => 0,
        };
        packed.push(flags);
        let before = last_at.wrapping_sub(event.at);
        number(
            ((before << 1) ^ (before >> 63)).cast_unsigned(),
            &mut packed,
        );
        if !told {
            bytes(event.kind.as_bytes(), &mut packed);
            step.inspect(|step| bytes(step.as_bytes(), &mut packed));
        }
        bytes(&pack_text(&event.data), &mut packed);
        packed.extend_from_slice(hash);
    }
    packed
}

/// The kind and the step that an event's data begins with.
pub(crate) fn told(data: &str) -> Option<(&str, Option<&str>)> {
    let (kind, rest) = data.strip_prefix("{\"kind\":\"")?.split_once('"')?;
    let step = rest
        .strip_prefix(",\"step\":\"")
        .and_then(|step| step.split_once('"'));
    Some((kind, step.map(|(step, _)| step)))
}

/// All events of a row in order, given the last one and how many there are.
pub(crate) fn unpack(
    earlier: Option<&[u8]>,
    last: EventRow,
    count: i64,
    into: &mut Vec<EventRow>,
) -> Result<(), StoreError> {
    let mut rest = earlier.unwrap_or_default();
    for before in (1..count).rev() {
        let (flags, at) = (byte(&mut rest)?, take_number(&mut rest)?);
        let later = (at >> 1).cast_signed() ^ -((at & 1).cast_signed());
        let mut named = None;
        if flags & TOLD == 0 {
            let kind = text(&mut rest)?;
            let step = (flags & STEP != 0).then(|| text(&mut rest)).transpose()?;
            named = Some((kind, step));
        }
        let data = unpack_text(take_bytes(&mut rest)?.to_vec(), "event.earlier")?;
        let (kind, step) = match named {
            Some(named) => named,
            None => {
                let (kind, step) = told(&data).ok_or(BAD)?;
                (kind.to_owned(), step.map(str::to_owned))
            }
        };
        let (hash, after) = rest.split_first_chunk().ok_or(BAD)?;
        rest = after;
        into.push(EventRow {
            orchestration: last.orchestration,
            seq: last.seq.wrapping_sub(before),
            account: last.account.clone(),
            feed: last.feed.wrapping_sub(before),
            at: last.at.wrapping_sub(later),
            kind,
            step,
            data,
            hash: *hash,
        });
    }
    if !rest.is_empty() {
        return Err(BAD);
    }
    into.push(last);
    Ok(())
}

fn number(mut n: u64, into: &mut Vec<u8>) {
    while n >= 0x80 {
        into.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    into.push(n.to_le_bytes()[0]);
}

fn bytes(of: &[u8], into: &mut Vec<u8>) {
    number(of.len() as u64, into);
    into.extend_from_slice(of);
}

fn byte(rest: &mut &[u8]) -> Result<u8, StoreError> {
    let (first, after) = rest.split_first().ok_or(BAD)?;
    *rest = after;
    Ok(*first)
}

fn take_number(rest: &mut &[u8]) -> Result<u64, StoreError> {
    let mut n = 0;
    for shift in (0..64).step_by(7) {
        let next = byte(rest)?;
        n |= u64::from(next & 0x7F) << shift;
        if next < 0x80 {
            return Ok(n);
        }
    }
    Err(BAD)
}

fn take_bytes<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8], StoreError> {
    let length = usize::try_from(take_number(rest)?).map_err(|_| BAD)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(BAD)?;
    *rest = after;
    Ok(taken)
}

fn text(rest: &mut &[u8]) -> Result<String, StoreError> {
    String::from_utf8(take_bytes(rest)?.to_vec()).map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = NewEvent> {
        let data = prop_oneof![
            Just("{\"kind\":\"a\",\"step\":\"b\"}".to_owned()),
            Just("{\"kind\":\"a\"}".to_owned()),
            Just("{\"kind\":\"a\",\"step\":\"b".to_owned()),
            ".{0,9}".prop_map(|text| text.replace('\0', "")),
        ];
        let name = || prop_oneof!["[ab]", ".{0,3}"];
        let step = proptest::option::of(name());
        (any::<i64>(), name(), step, data).prop_map(|(at, kind, step, data)| NewEvent {
            seq: 0,
            at,
            kind,
            step,
            data,
        })
    }

    proptest! {
        #[test]
        fn events_come_back_as_they_were(mut events in proptest::collection::vec(event(), 1..6)) {
            for (seq, event) in (1..).zip(&mut events) {
                event.seq = seq;
            }
            let hashes: Vec<Hash> = events.iter().map(|e| [e.seq.to_be_bytes()[7]; 32]).collect();
            let (last, earlier) = events.split_last().unwrap();
            let bundle = pack(earlier.iter().zip(&hashes), last.at);
            let row = |e: &NewEvent| EventRow {
                orchestration: [7; 16],
                seq: e.seq,
                account: "ann".to_owned(),
                feed: 100 + e.seq,
                at: e.at,
                kind: e.kind.clone(),
                step: e.step.clone(),
                data: e.data.clone(),
                hash: [e.seq.to_be_bytes()[7]; 32],
            };
            let (mut read, count) = (Vec::new(), last.seq);
            unpack(Some(&bundle), row(last), count, &mut read).unwrap();
            prop_assert_eq!(read, events.iter().map(row).collect::<Vec<_>>());
            // One more or one fewer is no reading of it.
            prop_assert!(unpack(Some(&bundle), row(last), count + 1, &mut Vec::new()).is_err());
            if count > 1 {
                prop_assert!(unpack(Some(&bundle), row(last), count - 1, &mut Vec::new()).is_err());
                prop_assert!(unpack(Some(&bundle[..bundle.len() - 1]), row(last), count, &mut Vec::new()).is_err());
            }
        }
    }
}
