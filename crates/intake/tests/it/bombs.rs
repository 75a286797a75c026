//! Archives that are more than they seem. Limits hold while inflating, whatever the headers say.

use intake::limits::Limits;
use intake::read::read_zip;

use crate::support::{Entry, PLAN, archive, deflated, read, refusal};

#[test]
fn a_thousandfold_entry_is_a_bomb() {
    let zeros = vec![0; 20_000_000];
    let bytes = deflated(&[(PLAN.0, PLAN.1.as_bytes()), ("013-team.md", &zeros)]);
    assert!(bytes.len() < 200_000, "{}", bytes.len());
    assert_eq!(
        refusal(&bytes),
        "p.zip looks like a zip bomb: \"013-team.md\" inflates more than 200 times; pack the plan again"
    );
}

#[test]
fn many_small_bombs_are_too_much_together() {
    let zeros = vec![0; 4_900_000];
    let names: Vec<String> = (0..25).map(|index| format!("{index}.md")).collect();
    let mut files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), zeros.as_slice()))
        .collect();
    files.push((PLAN.0, PLAN.1.as_bytes()));
    assert!(refusal(&deflated(&files)).starts_with("p.zip holds more than 100 MB;"));
}

#[test]
fn sizes_that_lie_are_not_believed() {
    let mut small = Entry::new("013-team.md", vec![b'x'; 3000]);
    small.declared_size = 1;
    let mut large = Entry::new("014-2-swot_analysis.md", "xyz");
    large.declared_size = u32::MAX - 1;
    for entry in [small, large] {
        if let Ok(named) = read(&archive(&[Entry::plan(), entry.clone()])) {
            let (_, bytes) = named
                .files
                .iter()
                .find(|(path, _)| path.as_bytes() == entry.name)
                .unwrap();
            assert!(bytes.len() <= entry.content.len());
        }
    }
}

#[test]
fn each_limit_is_kept() {
    let tight = Limits {
        total_bytes: 2_000,
        file_bytes: 1_000,
        entries: 3,
        ratio: 10,
        ratio_free_bytes: 100,
        depth: 1,
        path_bytes: 30,
    };
    let told = |entries: &[Entry]| {
        read_zip(&archive(entries), "p.zip", "p.zip", &tight)
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    let file = |name: &str, size: usize| Entry::new(name, vec![b'x'; size]);
    assert!(
        told(&[Entry::plan(), file("a", 1_001)])
            .starts_with("p.zip has a file of more than 0 MB: \"a\"")
    );
    assert!(
        told(&[file("a", 950), file("b", 950)]).starts_with("p.zip holds more than 0 MB"),
        "the archive itself counts"
    );
    assert!(
        told(&[Entry::plan(), file("a", 1), file("b", 1), file("c", 1)])
            .starts_with("p.zip holds more than 3 files and folders")
    );
    assert!(
        told(&[Entry::plan(), file("a/b/c", 1)])
            .starts_with("p.zip has folders more than 1 deep: \"a/b/c\"")
    );
    assert!(
        told(&[Entry::plan(), file(&"n".repeat(31), 1)])
            .starts_with("p.zip has a name of more than 30 bytes: \"nnn")
    );
    let packed = deflated(&[(PLAN.0, PLAN.1.as_bytes()), ("a", &[b'x'; 900])]);
    assert!(
        read_zip(&packed, "p.zip", "p.zip", &tight)
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("zip bomb")
    );
    assert!(
        read_zip(
            &archive(&[Entry::plan(), file("a", 900), file("b/c", 900)]),
            "p.zip",
            "p.zip",
            &Limits {
                total_bytes: 4_000,
                ..tight.clone()
            }
        )
        .is_ok()
    );
}

#[test]
fn a_list_of_entries_without_end_is_refused_before_it_is_kept() {
    let mut bytes = archive(&[Entry::plan()]);
    bytes.splice(0..0, b"PK\x01\x02".repeat(3_000));
    bytes.splice(0..0, *b"PK\x03\x04");
    assert!(refusal(&bytes).contains("more than 2000 files"));
}

#[test]
fn entries_that_share_their_bytes_count_each_time() {
    let content = vec![b'x'; 900_000];
    let mut bytes = archive(&[Entry::plan(), Entry::new("a", &content)]);
    let central = bytes
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    let second = central
        + 4
        + bytes[central + 4..]
            .windows(4)
            .position(|window| window == b"PK\x01\x02")
            .unwrap();
    let end = bytes
        .windows(4)
        .position(|window| window == b"PK\x05\x06")
        .unwrap();
    let record = bytes[second..end].to_vec();
    let copies = 150u8;
    let mut more = Vec::new();
    for copy in 0..copies {
        let mut twin = record.clone();
        *twin.last_mut().unwrap() = copy + 48;
        if copy + 48 != b'a' && copy + 48 != b'/' && copy + 48 != b'\\' && (copy + 48).is_ascii() {
            more.extend(twin);
        }
    }
    let added = more.len() / record.len();
    bytes.splice(end..end, more.iter().copied());
    let end = end + more.len();
    let count = (2 + added) as u16;
    bytes[end + 8..end + 10].copy_from_slice(&count.to_le_bytes());
    bytes[end + 10..end + 12].copy_from_slice(&count.to_le_bytes());
    let size = (end - central) as u32;
    bytes[end + 12..end + 16].copy_from_slice(&size.to_le_bytes());
    let tight = Limits {
        total_bytes: 20_000_000,
        ..Limits::default()
    };
    let told = read_zip(&bytes, "p.zip", "p.zip", &tight)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(told.contains("holds more than 20 MB"), "{told}");
}
