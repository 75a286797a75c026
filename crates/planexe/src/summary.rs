//! The plan in short: what a gate sees and `plan_summary.json` holds.

use serde_json::{Value, json};

use crate::plan::Plan;

/// The summary's largest size as compact JSON, in bytes.
pub const SUMMARY_MAX: usize = 64 * 1024;

/// The summary: at most [`SUMMARY_MAX`] bytes, the same for the same plan.
pub fn plan_summary(plan: &Plan) -> Value {
    json!({ "title": plan.title() })
}
