//! `plan-lint`: does the plan contradict itself?

use serde_json::{Value, json};

use crate::catalog::{AnalysisError, Input};
use crate::finding::{Finding, Severity, count, counted, sort};
use crate::lint::RULES;
use crate::lint::facts::Facts;

/// Its agent id.
pub const ID: &str = "plan-lint";

/// Findings told, at most; all are counted. A plan with more has one cause for most of them.
const FINDINGS_MAX: usize = 200;

/// The analysis.
///
/// # Errors
/// When the plan has none of the artifacts that the rules look at.
pub fn perform(input: &Input<'_>) -> Result<Value, AnalysisError> {
    if input.plan.artifacts.is_empty() {
        let wanted = [
            "wbs_project_level1_and_level2_and_level3.json",
            "task_durations.json",
            "project_plan_raw.json",
        ];
        return Err(AnalysisError::MissingInput(
            wanted.map(str::to_owned).to_vec(),
        ));
    }
    let facts = Facts::of(input.plan);
    let mut findings: Vec<Finding> = Vec::new();
    let mut rules = Vec::new();
    for (name, rule) in RULES {
        let (applied, found, reason) = match rule(&facts) {
            Ok(found) => (true, found, None),
            Err(reason) => (false, Vec::new(), Some(reason)),
        };
        rules.push(
            json!({ "rule": name, "applied": applied, "findings": found.len(), "reason": reason }),
        );
        findings.extend(found);
    }
    sort(&mut findings);
    let of = |severity| count(&findings, severity);
    let counts = json!({
        "error": of(Severity::Error), "warning": of(Severity::Warning), "info": of(Severity::Info),
    });
    let summary = summary(&findings);
    findings.truncate(FINDINGS_MAX);
    Ok(json!({
        "summary": summary, "counts": counts, "findings": findings, "rules": rules, "skipped": facts.skipped(),
    }))
}

fn summary(findings: &[Finding]) -> String {
    let Some(first) = findings.first() else {
        return "No contradictions were found.".to_owned();
    };
    let of = |severity, noun: &str| counted(count(findings, severity), noun);
    // The promise that cannot be kept is what a client asks about first.
    let gravest = findings
        .iter()
        .filter(|finding| finding.severity == first.severity)
        .find(|finding| finding.rule == "deadline-vs-schedule")
        .unwrap_or(first);
    format!(
        "{}, {} and {}. The gravest: {}",
        of(Severity::Error, "error"),
        of(Severity::Warning, "warning"),
        of(Severity::Info, "note"),
        gravest.message,
    )
}
