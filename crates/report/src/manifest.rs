//! The manifest: what stands in an enriched plan, from what it was made, by whom and at what cost.
//!
//! Hashes are SHA-256 as 64 hex digits, times RFC 3339 in UTC, costs exact decimal strings of credits. `plan` has every original
//! artifact by logical name; `enrichments` every file under `enrichments/` with its lineage: the artifacts and the enrichments that it
//! was made from, these by their `dataHash`, which is taken over canonical JSON (RFC 8785); `notCompleted` and `excluded` say what is not there, and why.

use std::collections::BTreeMap;

use domain::canonical;
use domain::values::hash::ContentHash;
use serde_json::{Value, json};

use crate::enriched::{EnrichedPlan, EnrichmentEntry, InputRead, StepLine};
use crate::files::{OutputFile, path_of};

/// Where the manifest stands within an enriched plan.
pub const PATH: &str = "enrichment_manifest.json";

/// The version of the manifest's own form.
pub const FORMAT: u32 = 1;

/// The manifest of `plan`, whose files other than the manifest itself and the page are `files`.
pub fn manifest(plan: &EnrichedPlan, files: &[OutputFile]) -> Value {
    let hashes: BTreeMap<&str, String> = files
        .iter()
        .map(|file| (file.path.as_str(), ContentHash::of(&file.bytes).to_string()))
        .collect();
    let orchestration = &plan.orchestration;
    json!({
        "formatVersion": FORMAT,
        "program": plan.program,
        "plan": {
            "name": plan.name,
            "hash": plan.plan_hash.to_string(),
            "artifacts": artifacts(plan),
        },
        "orchestration": {
            "id": orchestration.id,
            "account": orchestration.account,
            "status": orchestration.status,
            "artifactVersion": orchestration.version,
            "createdAt": orchestration.created.to_string(),
            "endedAt": orchestration.ended.map(|time| time.to_string()),
            "cost": plan.cost().map(|cost| cost.to_string()),
        },
        "summary": { "file": "plan_summary.json", "sha256": hashes.get("plan_summary.json") },
        "enrichments": plan.enrichments.iter().map(|entry| enrichment(entry, &hashes)).collect::<Vec<_>>(),
        "notCompleted": plan.steps.iter().filter(|step| !step.completed()).map(step).collect::<Vec<_>>(),
        "excluded": plan
            .excluded
            .iter()
            .map(|excluded| json!({ "agent": excluded.agent, "reason": excluded.reason }))
            .collect::<Vec<_>>(),
    })
}

fn artifacts(plan: &EnrichedPlan) -> Vec<Value> {
    let line = |(name, entry): (&String, &domain::plan::PlanArtifactEntry)| json!({ "artifact": name, "path": entry.path, "sha256": entry.hash.to_string(), "bytes": entry.bytes });
    plan.artifacts.artifacts.iter().map(line).collect()
}

fn enrichment(entry: &EnrichmentEntry, hashes: &BTreeMap<&str, String>) -> Value {
    let file = path_of(&entry.agent);
    json!({
        "agent": entry.agent,
        "displayName": entry.display_name,
        "version": entry.version,
        "definitionHash": entry.definition.to_string(),
        "status": entry.status,
        "reason": entry.reason,
        "sha256": hashes.get(file.as_str()),
        "file": file,
        "dataHash": canonical::hash(&entry.data).ok().map(|hash| hash.to_string()),
        "inputHash": entry.input.to_string(),
        "cost": entry.cost.to_string(),
        "attempts": entry.attempts,
        "startedAt": entry.started.map(|time| time.to_string()),
        "endedAt": entry.ended.map(|time| time.to_string()),
        "lineage": { "artifacts": inputs(&entry.read), "enrichments": inputs(&entry.built_on) },
        "reusedFrom": entry.reused_from,
    })
}

fn inputs(read: &[InputRead]) -> Vec<Value> {
    read.iter()
        .map(|input| json!({ "name": input.name, "sha256": input.hash.to_string() }))
        .collect()
}

fn step(step: &StepLine) -> Value {
    json!({
        "step": step.step,
        "agent": step.agent,
        "displayName": step.display_name,
        "state": step.state,
        "cause": step.cause,
        "attempts": step.attempts,
        "cost": step.cost.to_string(),
    })
}
