//! How a JSON text is stored: what such texts are full of (their keys, hashes, ids, times) is written short. The form is for ever.
//!
//! A packed text begins with `PACKED`; then ASCII stands for itself, a byte from `PHRASE` on for a phrase, and the last ones for what
//! follows them. A text that begins otherwise stands as it is.

use std::sync::LazyLock;

use crate::error::StoreError;

/// The first byte of a packed text. No JSON begins with it.
const PACKED: u8 = 1;

/// The first byte that stands for a phrase.
const PHRASE: u8 = 0x80;

/// A quoted string of 64 hexadecimal digits, as 32 bytes.
const HASH: u8 = 0xF8;

/// A quoted UUID, as 16 bytes.
const UUID: u8 = 0xF9;

/// A number of 16 digits, as 7 bytes: a time in microseconds.
const TIME: u8 = 0xFA;

/// Bytes that are not ASCII: how many, and they.
const OTHERS: u8 = 0xFB;

/// Never change or move one: stored texts name them by their place. Each has four bytes at least.
const PHRASES: [&str; 110] = [
    "{\"kind\":\"step_ready\",\"step\":\"",
    "{\"kind\":\"attempt_started\",\"step\":\"",
    "{\"kind\":\"step_completed\",\"step\":\"",
    "{\"kind\":\"orchestration_completed\",\"status\":\"complete\"",
    "{\"kind\":\"orchestration_completed\",\"status\":\"",
    "{\"kind\":\"orchestration_created\",\"account\":\"",
    "{\"kind\":\"step_skipped\",\"step\":\"",
    "{\"kind\":\"step_gated_off\",\"step\":\"",
    "{\"kind\":\"step_failed\",\"step\":\"",
    "{\"kind\":\"step_cancelled\",\"step\":\"",
    "{\"kind\":\"step_parked\",\"step\":\"",
    "{\"kind\":\"attempt_failed\",\"step\":\"",
    "{\"kind\":\"attempt_expired\",\"step\":\"",
    "{\"kind\":\"retry_scheduled\",\"step\":\"",
    "{\"kind\":\"partial_kept\",\"step\":\"",
    "{\"kind\":\"",
    "\",\"attempt\":1,\"number\":",
    "\",\"attempt\":",
    ",\"number\":",
    ",\"holder\":{\"id\":",
    ",\"holder\":",
    ",\"epoch\":1",
    ",\"epoch\":",
    ",\"input\":",
    ",\"data\":",
    ",\"enrichment\":{\"status\":\"completed\",\"input\":",
    ",\"enrichment\":{\"status\":\"partial\",\"input\":",
    ",\"enrichment\":",
    "{\"status\":\"completed\",\"input\":",
    "{\"status\":\"partial\",\"input\":",
    ",\"version\":",
    ",\"cost\":\"0\"",
    ",\"cost\":\"0.0",
    ",\"cost\":\"",
    ",\"tokensUsed\":",
    ",\"reusedFrom\":",
    ",\"reason\":\"",
    ",\"reason\":null",
    "{\"state\":{\"ended\":\"completed\"}",
    "{\"state\":{\"ended\":\"",
    "{\"state\":\"waiting\"",
    "{\"state\":\"running\"",
    "{\"state\":\"ready\"",
    "{\"state\":\"",
    ",\"waitingOn\":0,\"attempt\":1,\"retries\":0,\"lapses\":0",
    ",\"waitingOn\":0,\"attempt\":",
    ",\"waitingOn\":1,\"attempt\":0,\"retries\":0,\"lapses\":0",
    ",\"waitingOn\":",
    ",\"attempt\":",
    ",\"retries\":0",
    ",\"retries\":",
    ",\"lapses\":0",
    ",\"lapses\":",
    ",\"pausedAt\":null,\"cancelling\":null,\"reason\":null,\"version\":",
    ",\"pausedAt\":",
    ",\"cancelling\":",
    ",\"readyAt\":",
    ",\"firstReadyAt\":",
    ",\"dueAt\":",
    ",\"startedAt\":",
    ",\"endedAt\":null}",
    ",\"endedAt\":",
    ",\"kept\":{\"data\":",
    ",\"cause\":{\"",
    ",\"lastError\":\"",
    "{\"account\":\"system\",\"name\":\"",
    "{\"account\":\"",
    ",\"name\":\"",
    "\",\"plan\":",
    ",\"pinned\":",
    ",\"submission\":",
    ",\"submission\":null",
    ",\"reuse\":true",
    ",\"reuse\":false",
    ",\"excluded\":[]",
    ",\"excluded\":[",
    ",\"request\":{",
    "\"planId\":\"",
    "\"user\":\"",
    "\"budget\":\"",
    ",\"status\":\"running\"",
    ",\"status\":\"complete\"",
    ",\"status\":\"",
    ",\"cursor\":",
    ",\"lastNumber\":",
    ",\"createdAt\":",
    ",\"steps\":[{\"id\":\"",
    "},{\"id\":\"",
    "\",\"agent\":\"",
    "\",\"agentVersion\":\"1.0.0\",\"definition\":",
    "\",\"agentVersion\":\"",
    ",\"definition\":",
    ",\"dependencies\":[{\"step\":\"",
    "\"},{\"step\":\"",
    "\"}],\"",
    ",\"acceptsPartial\":true",
    ",\"optional\":true",
    ",\"reusable\":true",
    ",\"gate\":",
    "{\"verdict\":\"open\"}",
    "\"timeout\":",
    ",\"timeout\":",
    ",\"queueTimeout\":3600000",
    ",\"queueTimeout\":",
    ",\"totalTimeout\":86400000",
    ",\"totalTimeout\":",
    ",\"maxRetries\":",
    ",\"concurrency\":{\"key\":\"",
    ",\"message\":\"",
    "agent",
];

/// A phrase and the byte that stands for it.
type Phrase = (u8, &'static [u8]);

/// Phrases by a hash of their first four bytes, the longest first.
static BY_START: LazyLock<Vec<Vec<Phrase>>> = LazyLock::new(|| {
    let mut table = vec![Vec::new(); STARTS];
    for (code, phrase) in (PHRASE..).zip(PHRASES) {
        let bytes = phrase.as_bytes();
        table[start(bytes)].push((code, bytes));
    }
    for phrases in &mut table {
        phrases.sort_by_key(|(code, phrase)| (std::cmp::Reverse(phrase.len()), *code));
    }
    table
});

const STARTS: usize = 1024;

/// Of four bytes at least.
fn start(bytes: &[u8]) -> usize {
    let four = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    (four.wrapping_mul(0x9E37_79B1) >> 22) as usize
}

/// The text as it is stored.
pub(crate) fn pack_text(text: &str) -> Vec<u8> {
    let table = &*BY_START;
    let mut rest = text.as_bytes();
    let mut packed = Vec::with_capacity(16 + rest.len() / 2);
    packed.push(PACKED);
    while let Some(&first) = rest.first() {
        let taken = match first {
            b'"' => quoted(rest, &mut packed),
            b'1'..=b'9' => time(rest, &mut packed),
            0x80.. => run(rest, &mut packed),
            _ => 0,
        };
        if taken > 0 {
            rest = &rest[taken..];
            continue;
        }
        let phrase = (rest.len() >= 4)
            .then(|| table[start(rest)].iter().find(|(_, p)| rest.starts_with(p)))
            .flatten();
        rest = if let Some((code, phrase)) = phrase {
            packed.push(*code);
            &rest[phrase.len()..]
        } else {
            packed.push(first);
            &rest[1..]
        };
    }
    packed.shrink_to_fit();
    packed
}

/// A hash or an id between quotes; answers how many bytes it took, 0 where there is none.
fn quoted(rest: &[u8], packed: &mut Vec<u8>) -> usize {
    let before = packed.len();
    if rest.get(65) == Some(&b'"') {
        packed.push(HASH);
        if rest[1..65].chunks_exact(2).all(|pair| byte(pair, packed)) {
            return 66;
        }
        packed.truncate(before);
    }
    let dashed = |at: usize| rest[at] == b'-';
    if rest.get(37) == Some(&b'"') && [9, 14, 19, 24].into_iter().all(dashed) {
        packed.push(UUID);
        let groups = [1..9, 10..14, 15..19, 20..24, 25..37];
        let mut pairs = groups.into_iter().flat_map(|g| rest[g].chunks_exact(2));
        if pairs.all(|pair| byte(pair, packed)) {
            return 38;
        }
        packed.truncate(before);
    }
    0
}

/// Two lowercase hexadecimal digits as a byte.
fn byte(pair: &[u8], packed: &mut Vec<u8>) -> bool {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    match (digit(pair[0]), digit(pair[1])) {
        (Some(high), Some(low)) => {
            packed.push(high << 4 | low);
            true
        }
        _ => false,
    }
}

/// Sixteen digits, the first of them no zero.
fn time(rest: &[u8], packed: &mut Vec<u8>) -> usize {
    let Some(digits) = rest.get(..16).filter(|d| d.iter().all(u8::is_ascii_digit)) else {
        return 0;
    };
    let number = digits
        .iter()
        .fold(0_u64, |n, d| n * 10 + u64::from(d - b'0'));
    packed.push(TIME);
    packed.extend_from_slice(&number.to_be_bytes()[1..]);
    16
}

fn run(rest: &[u8], packed: &mut Vec<u8>) -> usize {
    let length = rest.iter().take(255).take_while(|b| **b >= 0x80).count();
    packed.push(OTHERS);
    packed.push(u8::try_from(length).unwrap_or(u8::MAX));
    packed.extend_from_slice(&rest[..length]);
    length
}

/// The text again.
pub(crate) fn unpack_text(stored: Vec<u8>, column: &'static str) -> Result<String, StoreError> {
    let bad = || StoreError::Decode { column };
    let plain = if stored.first() == Some(&PACKED) {
        unpacked(&stored[1..]).ok_or_else(bad)?
    } else {
        stored
    };
    String::from_utf8(plain).map_err(|_| bad())
}

fn unpacked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(rest.len() * 4);
    while let Some((&first, after)) = rest.split_first() {
        rest = match first {
            HASH => {
                let (hash, after) = after.split_at_checked(32)?;
                text.push(b'"');
                hex(hash, &mut text);
                text.push(b'"');
                after
            }
            UUID => {
                let (id, after) = after.split_at_checked(16)?;
                text.push(b'"');
                for (n, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
                    if n > 0 {
                        text.push(b'-');
                    }
                    hex(&id[group], &mut text);
                }
                text.push(b'"');
                after
            }
            TIME => {
                let (number, after) = after.split_at_checked(7)?;
                let number = number.iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
                text.extend_from_slice(number.to_string().as_bytes());
                after
            }
            OTHERS => {
                let (length, after) = after.split_first()?;
                let (bytes, after) = after.split_at_checked(usize::from(*length))?;
                text.extend_from_slice(bytes);
                after
            }
            PHRASE.. => {
                let phrase = PHRASES.get(usize::from(first - PHRASE))?;
                text.extend_from_slice(phrase.as_bytes());
                after
            }
            _ => {
                text.push(first);
                after
            }
        };
    }
    Some(text)
}

fn hex(bytes: &[u8], text: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for b in bytes {
        text.push(DIGITS[usize::from(b >> 4)]);
        text.push(DIGITS[usize::from(b & 15)]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn again(text: &str) -> String {
        unpack_text(pack_text(text), "test").unwrap()
    }

    /// Stored texts name phrases by their place: whoever changes the list breaks every database there is.
    #[test]
    fn the_phrases_are_those_that_databases_name() {
        let all = PHRASES.join("\n");
        let sum = crate::chain::content_hash(all.as_bytes());
        let told: String = sum[..8].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(told, "4635d2a41a60c088");
        assert!(PHRASES.iter().all(|p| p.len() >= 4 && p.is_ascii()));
    }

    #[test]
    fn an_events_text_is_stored_in_a_third() {
        let text = "{\"kind\":\"step_completed\",\"step\":\"plan-lint\",\"attempt\":1,\"number\":1,\"enrichment\":{\"status\":\"completed\",\
            \"input\":\"0c08c6d2928ba47849ce14c2a82e2fe08888ff0bd1f4850c63e3ab18a534d6cd\",\
            \"data\":\"de4e72e5fa3a21621bf12ad9afdc75b58ea0506721fa3347508e885baeffb716\"},\"version\":2}";
        assert!(
            pack_text(text).len() * 3 < text.len(),
            "{}",
            pack_text(text).len()
        );
        assert_eq!(again(text), text);
    }

    #[test]
    fn what_is_nearly_a_hash_an_id_or_a_time_comes_back_too() {
        for text in [
            "",
            "{}",
            "\u{1}\u{1}",
            "é",
            "\"ABCDEF00-0000-7000-8000-000000000001\"",
            "\"0192f000-0000-7000-8000-000000000001\"",
            "0000000000000001",
            "9999999999999999",
            "99999999999999999999999999999999999",
            "\"\"\"",
            "1795407843813306",
        ] {
            assert_eq!(again(text), text);
        }
        let upper = format!("\"{}\"", "A".repeat(64));
        assert_eq!(again(&upper), upper);
        assert_eq!(
            unpack_text(b"{\"as\":\"it was\"}".to_vec(), "test").unwrap(),
            "{\"as\":\"it was\"}"
        );
    }

    proptest! {
        #[test]
        fn every_text_comes_back(pieces in prop::collection::vec(piece(), 0..40)) {
            let text = pieces.concat();
            prop_assert_eq!(again(&text), text);
        }

        #[test]
        fn no_stored_bytes_end_in_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = unpack_text(bytes, "test");
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            (0..PHRASES.len()).prop_map(|n| PHRASES[n].to_owned()),
            "\"[0-9a-f]{63,65}\"",
            "\"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\"",
            "[0-9]{15,18}",
            any::<String>(),
        ]
    }
}
