//! The seed's `fileContextSnapshot`: what the plan consists of, and what has changed since its last revision.

use std::fmt::Write;
use std::sync::Arc;

use domain::values::hash::ContentHash;
use similar::TextDiff;
use store::error::StoreError;

use crate::context::Around;
use crate::handle::Engine;
use crate::inputs::quoted;
use crate::plans::LoadedPlan;

/// Longest diff that is sent, in bytes; what is beyond is cut off, and says so.
pub const DIFF_MAX: usize = 64 * 1024;

/// A changed artifact that is larger is only named, in bytes.
const COMPARED_MAX: usize = 256 * 1024;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// The snapshot's JSON text, made once a plan and revision before it. Only a plan that may have revisions is asked about.
///
/// # Errors
/// When the database fails.
pub async fn of(engine: &Engine, around: &Around) -> Result<Arc<str>, StoreError> {
    let plan = &around.plan;
    if !around.revised {
        return Ok(plan.pieces.snapshot("", || text(plan, &[], "")));
    }
    // Another account's plan of the same content has other revisions before it.
    let key = format!("{}/{}", around.account, around.plan_id);
    if let Some(text) = plan.pieces.kept_snapshot(&key) {
        return Ok(text);
    }
    let previous = previous(engine, around).await?;
    let Some(previous) = previous else {
        return Ok(plan.pieces.snapshot(&key, || text(plan, &[], "")));
    };
    let now = plan.clone();
    let compared = tokio::task::spawn_blocking(move || {
        let changed = changed(&previous, &now);
        now.pieces.snapshot(&key, || {
            text(&now, &changed, &diff(&previous, &now, &changed))
        })
    });
    compared.await.map_err(|error| {
        StoreError::Refused(format!("the plan's revisions cannot be compared: {error}"))
    })
}

/// The revision before this one, unless there is none or it has been deleted since.
async fn previous(engine: &Engine, around: &Around) -> Result<Option<Arc<LoadedPlan>>, StoreError> {
    let (account, hash) = (&around.account, around.plan.hash);
    let previous = engine
        .store
        .previous_revision(account.as_str(), &around.plan_id, *hash.as_bytes())
        .await?;
    let Some(previous) = previous else {
        return Ok(None);
    };
    let previous = ContentHash::from_bytes(previous);
    match engine.plans.load(&engine.store, account, previous).await {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        loaded => loaded.map(Some),
    }
}

/// The names of the artifacts that are not in both as they are.
fn changed(before: &LoadedPlan, now: &LoadedPlan) -> Vec<String> {
    let (old, new) = (&before.manifest.artifacts, &now.manifest.artifacts);
    let hash = |artifact: Option<&domain::plan::PlanArtifactEntry>| artifact.map(|a| a.hash);
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| hash(old.get(**name)) != hash(new.get(**name));
    names
        .iter()
        .filter(differs)
        .map(|name| (*name).clone())
        .collect()
}

/// A unified diff of the changed artifacts, at most [`DIFF_MAX`] long.
fn diff(before: &LoadedPlan, now: &LoadedPlan, changed: &[String]) -> String {
    let mut all = String::new();
    for name in changed {
        match (side(before, name), side(now, name)) {
            (Ok(old), Ok(new)) => {
                let compared = TextDiff::from_lines(old, new);
                let (a, b) = (format!("a/{name}"), format!("b/{name}"));
                let mut unified = compared.unified_diff();
                let _ = write!(all, "{}", unified.context_radius(CONTEXT).header(&a, &b));
            }
            _ => {
                let _ = writeln!(all, "Artifacts a/{name} and b/{name} differ");
            }
        }
        if all.len() > DIFF_MAX {
            let end = (0..=DIFF_MAX).rev().find(|at| all.is_char_boundary(*at));
            all.truncate(end.unwrap_or_default());
            all.push_str("\n(cut off)\n");
            break;
        }
    }
    all
}

/// An artifact's text; nothing where it is not there; an error where it is no text or too large to be compared.
fn side<'a>(plan: &'a LoadedPlan, name: &str) -> Result<&'a str, ()> {
    match plan.plan.artifacts.get(name) {
        None => Ok(""),
        Some(artifact) if artifact.bytes.len() > COMPARED_MAX => Err(()),
        Some(artifact) => std::str::from_utf8(&artifact.bytes).map_err(|_| ()),
    }
}

/// The artifacts with their sizes in bytes, one a line, sorted by name.
fn tree(plan: &LoadedPlan) -> String {
    let mut tree = String::new();
    for (name, entry) in &plan.manifest.artifacts {
        let _ = writeln!(tree, "{name} ({} bytes)", entry.bytes);
    }
    tree
}

fn text(plan: &LoadedPlan, changed: &[String], diff: &str) -> String {
    let changed: Vec<String> = changed.iter().map(|name| quoted(name)).collect();
    format!(
        r#"{{"fileTree":{},"changedFiles":[{}],"gitDiff":{}}}"#,
        quoted(&tree(plan)),
        changed.join(","),
        quoted(diff)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use planexe::plan::Plan;

    fn plan(files: &[(&str, &str)]) -> LoadedPlan {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Arc::from(text.as_bytes())));
        LoadedPlan::of(Plan::from_named_bytes(files)).unwrap()
    }

    #[test]
    fn a_snapshot_lists_what_there_is_and_shows_what_has_changed() {
        let before = plan(&[
            ("a.md", "one\ntwo\n"),
            ("b.md", "same\n"),
            ("gone.md", "x\n"),
        ]);
        let now = plan(&[("a.md", "one\nthree\n"), ("b.md", "same\n")]);
        let changed = changed(&before, &now);
        assert_eq!(changed, ["a.md", "gone.md"]);
        let diff = diff(&before, &now, &changed);
        assert!(diff.contains("--- a/a.md\n+++ b/a.md\n"), "{diff}");
        assert!(
            diff.contains("-two\n+three\n") && diff.contains("-x\n"),
            "{diff}"
        );
        let text: serde_json::Value = serde_json::from_str(&text(&now, &changed, &diff)).unwrap();
        assert_eq!(text["fileTree"], "a.md (10 bytes)\nb.md (5 bytes)\n");
        assert_eq!(text["changedFiles"][1], "gone.md");
    }

    #[test]
    fn a_diff_has_a_bound_and_says_that_it_was_cut() {
        let before = plan(&[("a.md", &"old line\n".repeat(9_000))]);
        let now = plan(&[("a.md", &"new line\n".repeat(9_000))]);
        let diff = diff(&before, &now, &changed(&before, &now));
        assert!(diff.len() < DIFF_MAX + 20 && diff.ends_with("(cut off)\n"));
    }
}
