//! Plans to try with, and what may be said of an enriched one.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use domain::values::hash::ContentHash;
use serde_json::Value;
use zip::write::SimpleFileOptions;

/// The files of a folder, by their paths within it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The agents of the program, by name.
pub const AGENTS: [&str; 6] = [
    "critical-path",
    "plan-inventory",
    "plan-lint",
    "readiness-score",
    "risk-exposure",
    "schedule-monte-carlo",
];

/// The sample plan's folder.
pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plans/harbour-ferry-solveig")
}

/// The sample plan's folder as an argument.
pub fn sample_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| sample().display().to_string());
    &PATH
}

/// All files below a folder, but for a `.git` in it.
pub fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    gather(folder, "", &mut found);
    found
}

fn gather(folder: &Path, prefix: &str, found: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if name != ".git" {
                gather(&entry.path(), &format!("{name}/"), found);
            }
        } else {
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

/// Writes the files below a folder.
pub fn lay_out(folder: &Path, files: &Files) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A zip of the files, each name with `prefix` before it.
pub fn zipped<'a>(
    files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>,
    prefix: &str,
) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, bytes) in files {
        zip.start_file(format!("{prefix}{path}"), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The files of an enriched plan that Afterplan made.
pub fn made(files: &Files) -> Files {
    let ours = |path: &str| {
        path.starts_with("enrichments/")
            || [
                "plan_summary.json",
                "enrichment_manifest.json",
                "enrichment_report.html",
            ]
            .contains(&path)
    };
    files
        .iter()
        .filter(|(path, _)| ours(path))
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect()
}

/// The enrichment files alone: what must be equal wherever and whenever a plan is enriched.
pub fn enrichments(files: &Files) -> Files {
    let mut made = made(files);
    made.retain(|path, _| path.starts_with("enrichments/"));
    made
}

pub fn json(files: &Files, path: &str) -> Value {
    let bytes = files
        .get(path)
        .unwrap_or_else(|| panic!("there is no {path}"));
    serde_json::from_slice(bytes).unwrap()
}

/// An enriched plan is whole: the originals untouched, one file an agent, and a manifest that fits what is there.
#[track_caller]
pub fn assert_whole(files: &Files, originals: &Files, agents: &[&str]) {
    for (path, bytes) in originals {
        assert_eq!(files.get(path), Some(bytes), "{path} is not the original");
    }
    let made = made(files);
    assert_eq!(
        files.len(),
        originals.len() + made.len(),
        "{:?}",
        files.keys()
    );
    let expected: Vec<String> = agents
        .iter()
        .map(|agent| format!("enrichments/{agent}.json"))
        .collect();
    let found: Vec<&String> = made
        .keys()
        .filter(|path| path.starts_with("enrichments/"))
        .collect();
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
    let hash = |path: &str| ContentHash::of(&files[path]).to_string();
    let manifest = json(files, "enrichment_manifest.json");
    assert_eq!(manifest["summary"]["sha256"], hash("plan_summary.json"));
    let listed = manifest["enrichments"].as_array().unwrap();
    assert_eq!(listed.len(), agents.len());
    for entry in listed {
        let file = entry["file"].as_str().unwrap();
        assert_eq!(entry["sha256"], hash(file), "{file}");
        assert_eq!(json(files, file)["agent"], entry["agent"]);
        assert_eq!(json(files, file)["inputHash"], entry["inputHash"]);
    }
    for artifact in manifest["plan"]["artifacts"].as_array().unwrap() {
        let path = artifact["path"].as_str().unwrap();
        assert_eq!(artifact["sha256"], hash(path), "{path}");
        assert_eq!(artifact["bytes"], files[path].len(), "{path}");
    }
    let report = String::from_utf8(files["enrichment_report.html"].clone()).unwrap();
    assert!(report.starts_with("<!doctype html>") || report.starts_with("<!DOCTYPE html>"));
    assert!(report.trim_end().ends_with("</html>"));
}
