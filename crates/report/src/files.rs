//! The files that stand beside the original artifacts in an enriched plan.

use serde_json::{Map, Value, json};

use crate::enriched::{EnrichedPlan, EnrichmentEntry};
use crate::{manifest, page};

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
    let mut files: Vec<OutputFile> = plan.enrichments.iter().map(enrichment_file).collect();
    files.push(OutputFile {
        path: "plan_summary.json".to_owned(),
        bytes: pretty(&plan.summary),
    });
    let manifest = manifest::manifest(plan, &files);
    files.push(OutputFile {
        path: manifest::PATH.to_owned(),
        bytes: pretty(&manifest),
    });
    files.push(OutputFile {
        path: "enrichment_report.html".to_owned(),
        bytes: page::html(plan).into_bytes(),
    });
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

/// The file of one enrichment: no times, ids or costs, so that equal inputs give equal bytes.
pub fn enrichment_file(entry: &EnrichmentEntry) -> OutputFile {
    let mut content = json!({
        "agent": entry.agent,
        "version": entry.version,
        "inputHash": entry.input.to_string(),
        "status": entry.status,
        "data": entry.data,
    });
    if let (Some(reason), Value::Object(object)) = (&entry.reason, &mut content) {
        object.insert("reason".to_owned(), json!(reason));
    }
    OutputFile {
        path: path_of(&entry.agent),
        bytes: pretty(&content),
    }
}

/// Where an agent's enrichment stands. Agent ids are safe in file names (`domain::values::ids`); what is not is replaced.
pub fn path_of(agent: &str) -> String {
    let safe: String = agent
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || "-_.".contains(character) {
                character
            } else {
                '_'
            }
        })
        .collect();
    format!("enrichments/{}.json", safe.trim_start_matches('.'))
}

/// JSON with sorted keys, two spaces a level, and a newline at the end.
pub fn pretty(value: &Value) -> Vec<u8> {
    // A JSON value always has string keys, so that writing it cannot fail.
    let mut bytes = serde_json::to_vec_pretty(&sorted(value)).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The same value with the keys of every object in order, whichever map the JSON library was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let ordered: Map<_, _> = entries
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect();
            Value::Object(ordered)
        }
        scalar => scalar.clone(),
    }
}
