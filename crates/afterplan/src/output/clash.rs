//! What an output must not do: lie within the plan, hold it, or take the place of another plan's.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use engine::plans::LoadedPlan;
use serde_json::Value;
use zip::ZipArchive;

use crate::failure::Failure;
use crate::screen::{plain, shown};

/// More than any manifest has, in bytes.
const MANIFEST_LIMIT: u64 = 64 << 20;

/// Artifacts that PlanExe writes alike for every plan.
const ALIKE: [&str; 2] = ["pipeline_complete.txt", "expected_filenames1.json"];

/// Refuses an output at `target` that would become part of the plan at `plan`, or replace a folder in which the plan lies.
///
/// # Errors
/// A sentence that names both.
pub fn refuse_overlap(target: &Path, plan: &Path) -> Result<(), Failure> {
    let (real_target, real_plan) = (real(target), real(plan));
    let how = match (
        real_target.starts_with(&real_plan),
        real_plan.starts_with(&real_target),
    ) {
        // Another rule decides of the plan's own place: only an enriched plan is replaced.
        (true, true) | (false, false) => return Ok(()),
        (true, false) => "lies within the plan",
        (false, true) => "holds the plan",
    };
    Err(Failure::refused(format!(
        "the output {} {how} {}; give an --out elsewhere",
        shown(target),
        shown(plan)
    )))
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for part in absolute.components() {
        if part == Component::ParentDir {
            real.pop();
            continue;
        }
        real.push(part);
        if let Ok(there) = fs::canonicalize(&real) {
            real = there;
        }
    }
    real
}

/// Refuses to replace what was made from another plan: another hash, and no artifact in common.
///
/// # Errors
/// A sentence that names both plans.
pub fn refuse_another_plan(target: &Path, name: &str, plan: &LoadedPlan) -> Result<(), Failure> {
    let Some(manifest) = manifest_at(target) else {
        return Ok(());
    };
    let earlier = &manifest["plan"];
    let Some(hash) = earlier["hash"].as_str() else {
        return Ok(());
    };
    let ours: BTreeSet<String> = plan
        .manifest
        .artifacts
        .values()
        .map(|entry| entry.hash.to_string())
        .collect();
    let artifacts = earlier["artifacts"].as_array();
    let shared = artifacts.into_iter().flatten().any(|entry| {
        let alike = ALIKE.iter().any(|name| entry["artifact"] == *name);
        !alike
            && entry["sha256"]
                .as_str()
                .is_some_and(|hash| ours.contains(hash))
    });
    if shared || hash == plan.hash.to_string() {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{} is the enriched plan {} ({}), which shares nothing with {} ({}); give another --out, or remove it",
        shown(target),
        plain(earlier["name"].as_str().unwrap_or("without a name")),
        short(hash),
        plain(name),
        short(&plan.hash.to_string())
    )))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// The manifest of the enriched plan at `target`, a folder or a zip.
fn manifest_at(target: &Path) -> Option<Value> {
    if target.is_dir() {
        return from_limited(File::open(target.join(report::manifest::PATH)).ok()?);
    }
    let mut archive = ZipArchive::new(File::open(target).ok()?).ok()?;
    from_limited(archive.by_name(report::manifest::PATH).ok()?)
}

fn from_limited(reader: impl Read) -> Option<Value> {
    serde_json::from_reader(BufReader::new(reader.take(MANIFEST_LIMIT))).ok()
}
