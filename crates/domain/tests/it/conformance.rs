//! Vectors that were recorded by executing Codebuff's runtime, and the list of cases in which we answer otherwise.

use std::path::PathBuf;

use serde_json::Value;

/// The cases of one set; `None`, said aloud, where the vectors do not lie.
pub fn vectors(set: &str) -> Option<Vec<Value>> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("AFTERPLAN_SHARED").map_or_else(beside, PathBuf::from);
    let path = shared.join("conformance").join(format!("{set}.json"));
    if !path.is_file() {
        println!("SKIPPED: no vectors at {}", path.display());
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// The cases of one kind in which we answer otherwise, as the file has them.
pub fn deviations(kind: &str) -> Vec<Value> {
    let all: Value = toml::from_str(include_str!("../conformance/deviations.toml")).unwrap();
    let listed = all[kind].as_array().cloned().unwrap_or_default();
    for case in &listed {
        assert!(case["reason"].as_str().is_some_and(|why| why.len() > 20));
    }
    listed
}
