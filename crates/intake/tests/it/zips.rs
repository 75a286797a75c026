//! What a zip may hold, and what it may not.

use intake::limits::Limits;
use intake::read::{read as read_path, read_zip};

use crate::support::{Entry, PLAN, archive, deflated, paths, read, refusal};

#[test]
fn flat_and_with_a_top_folder_are_the_same() {
    let flat = read(&deflated(&[
        (PLAN.0, PLAN.1.as_bytes()),
        ("013-team.md", b"us"),
    ]))
    .unwrap();
    let nested = read(&deflated(&[
        ("run/001-2-plan.txt", PLAN.1.as_bytes()),
        ("run/013-team.md", b"us"),
    ]))
    .unwrap();
    assert_eq!((&flat.name, &flat.files), (&nested.name, &nested.files));
    assert_eq!(
        (flat.name.as_str(), paths(&flat)),
        ("p", vec!["001-2-plan.txt", "013-team.md"])
    );
    assert_eq!(flat.plan().text("plan.txt"), Ok(PLAN.1));
}

#[test]
fn a_folder_beside_files_stays_a_folder() {
    let read = read(&archive(&[
        Entry::plan(),
        Entry::new("drafts/013-team.md", "x"),
        Entry::new("drafts/", ""),
    ]))
    .unwrap();
    assert_eq!(paths(&read), ["001-2-plan.txt", "drafts/013-team.md"]);
}

#[test]
fn noise_and_our_own_output_are_passed_over() {
    let read = read(&archive(&[
        Entry::new("run/001-2-plan.txt", PLAN.1),
        Entry::new("__MACOSX/run/._001-2-plan.txt", "\0"),
        Entry::new("run/.DS_Store", "\0"),
        Entry::new("run/._013-team.md", "\0"),
        Entry::new("run/.git/config", "x"),
        Entry::new("run/enrichments/plan-lint.json", "{}"),
        Entry::new("run/plan_summary.json", "{}"),
        Entry::new("run/enrichment_manifest.json", "{}"),
        Entry::new("run/enrichment_report.html", "<html>"),
    ]))
    .unwrap();
    assert_eq!(paths(&read), ["001-2-plan.txt"]);
    assert_eq!(read.ignored.len(), 8, "{:?}", read.ignored);
    assert_eq!(
        read.ignored
            .iter()
            .filter(|ignored| ignored.reason == "written by Afterplan")
            .count(),
        4
    );
}

#[test]
fn a_zip_is_told_by_its_content() {
    let bytes = deflated(&[(PLAN.0, PLAN.1.as_bytes())]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("download");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(
        read_path(&path, &Limits::default()).unwrap().name,
        "download"
    );
    std::fs::write(&path, "just text").unwrap();
    assert!(
        read_path(&path, &Limits::default())
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("is neither a directory nor a zip")
    );
}

#[test]
fn names_that_lead_out_of_the_plan_are_refused() {
    for name in [
        "../evil.sh",
        "a/../../evil.sh",
        "/etc/passwd",
        "C:\\evil.bat",
        "c:evil",
        "a\\b.txt",
        "..",
        "run/..",
        "a\0b",
    ] {
        let told = refusal(&archive(&[Entry::plan(), Entry::new(name, "x")]));
        assert!(
            told.contains("not a plain relative path")
                && told.contains(name.split(['\\', '\0']).next().unwrap()),
            "{name:?}: {told}"
        );
    }
    for name in ["./013-team.md", "013-team..md", "...md", "run//x.md"] {
        assert!(
            read(&archive(&[Entry::plan(), Entry::new(name, "x")])).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn links_and_special_files_are_refused() {
    let mut link = Entry::new("013-team.md", "/etc/passwd");
    link.mode = 0o120_777;
    assert_eq!(
        refusal(&archive(&[Entry::plan(), link.clone()])),
        "p.zip has a symbolic link: \"013-team.md\"; replace it by the file itself"
    );
    link.mode = 0o010_644;
    assert!(refusal(&archive(&[Entry::plan(), link])).contains("neither file nor directory"));
}

#[test]
fn the_same_name_twice_is_refused() {
    let told = refusal(&archive(&[
        Entry::plan(),
        Entry::new("013-team.md", "one"),
        Entry::new("013-team.md", "two"),
    ]));
    assert_eq!(
        told,
        "p.zip has two entries named \"013-team.md\"; pack the zip again with one of them"
    );
    assert!(
        refusal(&archive(&[
            Entry::plan(),
            Entry::new("./013-team.md", "one"),
            Entry::new("013-team.md", "two")
        ]))
        .contains("two entries")
    );
}

#[test]
fn names_that_are_not_utf8_are_refused_and_contents_are_not() {
    let told = refusal(&archive(&[Entry::plan(), Entry::new(b"caf\xe9.md", "x")]));
    assert!(told.contains("not UTF-8: caf"), "{told}");
    let mut unmarked = Entry::new("café.md", "x");
    unmarked.flags = 0;
    let read = read(&archive(&[
        Entry::plan(),
        unmarked,
        Entry::new("013-team.md", b"caf\xe9"),
    ]))
    .unwrap();
    assert_eq!(
        paths(&read),
        ["001-2-plan.txt", "013-team.md", "café.md"],
        "UTF-8 counts, marked or not"
    );
    assert!(read.plan().text("team.md").is_err());
}

#[test]
fn encrypted_and_exotic_entries_are_refused() {
    let mut secret = Entry::new("013-team.md", "x");
    secret.flags |= 1;
    assert!(
        refusal(&archive(&[Entry::plan(), secret]))
            .contains("is encrypted (entry \"013-team.md\")")
    );
    for method in [9, 12, 14, 93, 99, 1234] {
        let mut exotic = Entry::new("013-team.md", "x");
        exotic.method = method;
        let told = refusal(&archive(&[Entry::plan(), exotic]));
        assert!(
            told.contains("not supported") || told.contains("damaged"),
            "{method}: {told}"
        );
    }
}

#[test]
fn damage_is_told_from_other_files() {
    let whole = deflated(&[(PLAN.0, PLAN.1.as_bytes()), ("013-team.md", &[b'x'; 5000])]);
    for end in [0, 4, 30, whole.len() / 2, whole.len() - 1] {
        let told = refusal(&whole[..end]);
        assert!(
            told.contains("damaged zip") && told.contains("again"),
            "{end}: {told}"
        );
    }
    let mut flipped = archive(&[Entry::plan()]);
    let at = 30 + PLAN.0.len() + 3;
    flipped[at] ^= 1;
    assert!(
        refusal(&flipped).contains("damaged zip (001-2-plan.txt"),
        "{}",
        refusal(&flipped)
    );
}

#[test]
fn empty_zips_and_other_peoples_zips_are_refused() {
    assert!(refusal(&archive(&[])).contains("holds no files"));
    assert!(refusal(&archive(&[Entry::new("run/", "")])).contains("holds no files"));
    assert!(refusal(&archive(&[Entry::new("__MACOSX/._x", "x")])).contains("holds no files"));
    let told = refusal(&archive(
        &["a.txt", "b.txt", "c.txt", "d.txt"].map(|name| Entry::new(name, "x")),
    ));
    assert!(
        told.starts_with(
            "p.zip is not a PlanExe plan: it holds a.txt, b.txt, c.txt and 1 more; give "
        ),
        "{told}"
    );
}

#[test]
fn a_ping_and_a_plan_just_begun_are_let_through() {
    let begun = [Entry::new(
        "001-1-start_time.json",
        r#"{"server_iso_utc": "2026-03-10T19:21:45Z"}"#,
    )];
    assert!(read(&archive(&begun)).is_ok());
    assert!(
        read(&archive(&[
            Entry::new("plan.txt", "Plan:\nx"),
            Entry::new("report.html", "<html>")
        ]))
        .is_ok()
    );
}

#[test]
fn bytes_that_are_no_zip_say_so_by_their_name() {
    let limits = Limits::default();
    assert!(
        read_zip(b"hello", "p.zip", "p.zip", &limits)
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("damaged zip")
    );
    assert!(
        read_zip(b"hello", "p", "p", &limits)
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("neither a directory nor a zip")
    );
    assert!(
        read_zip(b"", "P.ZIP", "P.ZIP", &limits)
            .map(drop)
            .unwrap_err()
            .to_string()
            .contains("holds no byte")
    );
}

#[test]
fn the_plan_is_found_beside_other_files_and_in_deeper_folders() {
    let beside = read(&archive(&[
        Entry::new("README.md", "read me"),
        Entry::new("runs/tram/001-2-plan.txt", PLAN.1),
        Entry::new("runs/tram/drafts/001-2-plan.txt", PLAN.1),
    ]))
    .unwrap();
    assert_eq!(paths(&beside), ["001-2-plan.txt", "drafts/001-2-plan.txt"]);
    assert_eq!(
        (
            beside.ignored[0].path.as_str(),
            beside.ignored[0].reason.as_str()
        ),
        ("README.md", "beside the plan")
    );
}

#[test]
fn several_plans_are_not_guessed_between() {
    let two = [
        Entry::new("a/001-2-plan.txt", PLAN.1),
        Entry::new("b/001-2-plan.txt", PLAN.1),
    ];
    assert_eq!(
        refusal(&archive(&two)),
        "p.zip holds 2 plans (\"a\", \"b\"); give one of them"
    );
}
