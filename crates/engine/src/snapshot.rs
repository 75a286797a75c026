//! The seed's `fileContextSnapshot`: what the plan consists of, and what has changed since its last revision.

use std::fmt::Write;
use std::sync::Arc;

use store::error::StoreError;

use crate::context::Around;
use crate::handle::Engine;
use crate::inputs::quoted;
use crate::plans::LoadedPlan;

/// The snapshot's JSON text, made once a plan and revision before it.
///
/// # Errors
/// When the database fails.
pub async fn of(engine: &Engine, around: &Around) -> Result<Arc<str>, StoreError> {
    let _ = engine;
    Ok(around
        .plan
        .pieces
        .snapshot(None, || text(&around.plan, &[], "")))
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
