//! No bytes make intake panic, pass a limit, or let a name out of the plan.

use intake::limits::Limits;
use intake::read::read_zip;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{Entry, archive, deflated};

/// How files that are, or might be, zips begin.
const STARTS: [&[u8]; 3] = [b"PK\x03\x04", b"PK\x05\x06", b""];

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let part = proptest::sample::select(
        [
            "..",
            ".",
            "",
            "run",
            "001-2-plan.txt",
            "013-team.md",
            "a\\b",
            "C:",
            "\0",
            "__MACOSX",
            "\u{e4}",
        ]
        .as_slice(),
    );
    let path = vec(part, 1..4).prop_map(|parts| parts.join("/").into_bytes());
    prop_oneof![3 => path, 1 => vec(any::<u8>(), 0..20), 2 => "[a-z]{1,6}".prop_map(String::into_bytes)]
}

prop_compose! {
    fn any_entry()(
        name in any_name(),
        content in vec(any::<u8>(), 0..200),
        flags in prop_oneof![6 => Just(0x800u16), 2 => Just(0), 1 => any::<u16>()],
        method in prop_oneof![6 => Just(0u16), 2 => Just(8), 1 => any::<u16>()],
        mode in prop_oneof![6 => Just(0o100_644u32), 1 => Just(0o120_777), 1 => Just(0), 1 => 0..0xffffu32],
        lie in prop_oneof![6 => Just(None), 1 => any::<u32>().prop_map(Some)],
    ) -> Entry {
        let declared_size = lie.unwrap_or(content.len() as u32);
        Entry { name, content, flags, method, mode, declared_size }
    }
}

/// What must hold of whatever is let through.
fn check(bytes: &[u8], limits: &Limits) -> Result<(), TestCaseError> {
    let Ok(named) = read_zip(bytes, "p.zip", "p.zip", limits) else {
        return Ok(());
    };
    prop_assert!(named.total_bytes() <= limits.total_bytes);
    prop_assert!(
        named.files.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "sorted, each name once"
    );
    for (path, content) in &named.files {
        prop_assert!(
            !path.starts_with('/')
                && !path.contains(['\\', '\0'])
                && !path.split('/').any(|part| matches!(part, "" | "." | "..")),
            "{:?}",
            path
        );
        prop_assert!(content.len() as u64 <= limits.file_bytes);
    }
    prop_assert_eq!(named.plan().artifacts.len(), named.files.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn made_up_archives(mut entries in vec(any_entry(), 0..6), planned in any::<bool>()) {
        if planned {
            entries.push(Entry::plan());
        }
        check(&archive(&entries), &Limits::default())?;
    }

    #[test]
    fn damaged_archives(flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6), cut in proptest::option::of(any::<proptest::sample::Index>()), packed in any::<bool>()) {
        let text = "Plan:\nA tram from here to there. ".repeat(20);
        let files = [("001-2-plan.txt", text.as_bytes()), ("run/013-team.md", b"us".as_slice()), ("014-2-swot_analysis.md", b"x".as_slice())];
        let mut bytes = if packed { deflated(&files) } else { archive(&files.map(|(name, content)| Entry::new(name, content))) };
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let end = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
        check(&bytes[..end], &Limits::default())?;
    }

    #[test]
    fn any_bytes(start in proptest::sample::select(STARTS.as_slice()), rest in vec(any::<u8>(), 0..400)) {
        check(&[start, &rest].concat(), &Limits::default())?;
    }
}
