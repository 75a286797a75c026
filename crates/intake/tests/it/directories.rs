//! Run directories.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use intake::limits::Limits;
use intake::named::Named;
use tempfile::TempDir;

use crate::support::{PLAN, paths, told};

/// A run directory with a prompt in it.
fn run() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join(PLAN.0), PLAN.1).unwrap();
    place
}

fn read(path: &Path) -> Named {
    intake::read::read(path, &Limits::default()).unwrap()
}

#[track_caller]
fn refusal(path: &Path) -> String {
    told(intake::read::read(path, &Limits::default())).replace(&path.display().to_string(), "RUN")
}

#[test]
fn a_directory_is_read_in_the_order_of_its_names() {
    let place = run();
    fs::write(place.path().join("013-team.md"), "us").unwrap();
    fs::write(place.path().join(".DS_Store"), "x").unwrap();
    fs::create_dir_all(place.path().join("enrichments")).unwrap();
    fs::write(place.path().join("enrichments/plan-lint.json"), "{}").unwrap();
    fs::write(place.path().join("plan_summary.json"), "{}").unwrap();
    fs::create_dir(place.path().join(".git")).unwrap();
    symlink("/etc", place.path().join(".git/link")).unwrap();
    let read = read(place.path());
    assert_eq!(paths(&read), ["001-2-plan.txt", "013-team.md"]);
    assert_eq!(read.ignored.len(), 4, "{:?}", read.ignored);
    assert_eq!(
        read.name,
        place.path().file_name().unwrap().to_str().unwrap()
    );
}

#[test]
fn the_folder_above_the_run_will_do() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("run")).unwrap();
    fs::write(place.path().join("run").join(PLAN.0), PLAN.1).unwrap();
    assert_eq!(paths(&read(place.path())), ["001-2-plan.txt"]);
}

#[test]
fn a_link_to_the_run_is_followed_and_links_in_it_are_refused() {
    let (place, other) = (run(), tempfile::tempdir().unwrap());
    let link = other.path().join("my-plan");
    symlink(place.path(), &link).unwrap();
    assert_eq!(read(&link).name, "my-plan");
    for target in ["/etc/passwd", "001-2-plan.txt", "nowhere", "."] {
        symlink(target, place.path().join("013-team.md")).unwrap();
        assert_eq!(
            refusal(place.path()),
            "RUN has a symbolic link: \"013-team.md\"; replace it by the file itself",
            "{target}"
        );
        fs::remove_file(place.path().join("013-team.md")).unwrap();
    }
}

#[test]
fn sockets_and_names_that_are_no_text_are_refused() {
    let place = run();
    let _socket = std::os::unix::net::UnixListener::bind(place.path().join("talk")).unwrap();
    assert!(refusal(place.path()).contains("neither file nor directory: \"talk\""));
    let place = run();
    fs::write(
        place
            .path()
            .join(std::ffi::OsStr::from_bytes(b"caf\xe9.md")),
        "x",
    )
    .unwrap();
    assert!(
        refusal(place.path()).contains("not UTF-8: caf"),
        "{}",
        refusal(place.path())
    );
    let place = run();
    fs::write(place.path().join("a\\b.md"), "x").unwrap();
    assert!(refusal(place.path()).contains("not a plain relative path"));
}

#[test]
fn what_is_not_there_or_not_a_plan_is_refused() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(&place.path().join("gone")),
        "RUN does not exist; give the path of a PlanExe run directory or of its zip"
    );
    assert!(refusal(place.path()).starts_with("RUN holds no files;"));
    fs::write(place.path().join("notes.txt"), "x").unwrap();
    assert!(refusal(place.path()).starts_with("RUN is not a PlanExe plan: it holds notes.txt;"));
    assert!(
        refusal(&place.path().join("notes.txt"))
            .starts_with("RUN is neither a directory nor a zip")
    );
    assert!(refusal(&place.path().join("notes.txt/x")).starts_with("RUN does not exist"));
    assert!(refusal(Path::new("/dev/null")).starts_with("RUN is neither a directory nor a zip"));
}

#[test]
fn limits_hold_for_directories_too() {
    let place = run();
    fs::create_dir_all(place.path().join("a/b/c/d/e/f")).unwrap();
    assert!(
        refusal(place.path()).contains("folders more than 4 deep: \"a/b/c/d/e/f\""),
        "{}",
        refusal(place.path())
    );
    let place = run();
    fs::write(place.path().join("big"), vec![0; 2_000]).unwrap();
    let told = |limits: Limits| told(intake::read::read(place.path(), &limits));
    assert!(
        told(Limits {
            file_bytes: 1_999,
            ..Limits::default()
        })
        .contains("a file of more than")
    );
    assert!(
        told(Limits {
            total_bytes: 1_999,
            ..Limits::default()
        })
        .contains("holds more than 0 MB")
    );
    assert!(
        told(Limits {
            entries: 1,
            ..Limits::default()
        })
        .contains("more than 1 files")
    );
    assert!(
        intake::read::read(
            place.path(),
            &Limits {
                file_bytes: 2_000,
                ..Limits::default()
            }
        )
        .is_ok()
    );
    let sparse = fs::File::create(place.path().join("big")).unwrap();
    sparse.set_len(10_000_000_000).unwrap();
    assert!(
        refusal(place.path()).contains("a file of more than 64 MB: \"big\""),
        "ten sparse gigabytes are not read"
    );
}

#[test]
fn one_file_that_may_not_be_read_does_not_cost_the_plan() {
    let place = run();
    let locked = place.path().join("013-team.md");
    fs::write(&locked, "x").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&locked).is_ok() {
        eprintln!("SKIPPED: this user may read everything");
        return;
    }
    let read = read(place.path());
    assert_eq!(
        (paths(&read), read.ignored[0].reason.as_str()),
        (vec!["001-2-plan.txt"], "permission denied")
    );
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(refusal(place.path()).contains("may not be read (permission denied)"));
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
}
