//! Plans to test with, and the six analyses performed in the order of their graph.

use std::collections::BTreeMap;
use std::path::PathBuf;

use analyses::catalog::{self, AnalysisError, Input};
use planexe::plan::Plan;
use serde_json::{Map, Value};

/// What each analysis gave.
pub type Outputs = BTreeMap<String, Result<Value, AnalysisError>>;

/// Reads the plan at a path.
pub fn read(path: &std::path::Path) -> Plan {
    let named = intake::read::read(path, &intake::limits::Limits::default()).unwrap();
    Plan::from_named_bytes(named.files)
}

/// A plan of the given files.
pub fn plan(files: &[(&str, &str)]) -> Plan {
    Plan::from_named_bytes(
        files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().into())),
    )
}

/// The project's own folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where the real plans lie; `None`, said aloud, where they do not.
pub fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("AFTERPLAN_SHARED")
        .map_or_else(|| root().join("../shared"), PathBuf::from);
    let plans = shared.join("plans");
    if !plans.is_dir() {
        println!("SKIPPED: no real plans at {}", plans.display());
        return None;
    }
    Some(plans)
}

/// The definition of an agent, as JSON.
pub fn definition(id: &str) -> Value {
    toml::from_str(catalog::find(id).unwrap().definition).unwrap()
}

/// Performs one analysis on what its definition declares.
pub fn perform(id: &str, plan: &Plan, outputs: &Outputs) -> Result<Value, AnalysisError> {
    perform_with(id, plan, outputs, &Map::new())
}

/// The same with parameters.
pub fn perform_with(
    id: &str,
    plan: &Plan,
    outputs: &Outputs,
    parameters: &Map<String, Value>,
) -> Result<Value, AnalysisError> {
    let definition = definition(id);
    let lists = ["fields", "context"].map(|key| {
        definition["inputSchema"][key]
            .as_array()
            .cloned()
            .unwrap_or_default()
    });
    let declared: Vec<String> = lists
        .iter()
        .flatten()
        .map(|name| name.as_str().unwrap().trim_end_matches('?').to_owned())
        .collect();
    let visible = if declared.iter().any(|name| name == "*") {
        plan.clone()
    } else {
        plan.select(&declared)
    };
    let wanted = definition["dependencies"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let wanted: Vec<&str> = wanted
        .iter()
        .filter_map(|d| d.as_str().or_else(|| d["agent"].as_str()))
        .collect();
    let dependencies = outputs
        .iter()
        .filter(|(id, _)| wanted.contains(&id.as_str()))
        .filter_map(|(id, output)| Some((id.clone(), output.as_ref().ok()?.clone())))
        .collect();
    let input = Input {
        plan: &visible,
        dependencies: &dependencies,
        parameters,
    };
    (catalog::find(id).unwrap().perform)(&input)
}

/// Performs all six, each with the outputs of those before it.
pub fn perform_all(plan: &Plan) -> Outputs {
    perform_all_with(plan, &Map::new())
}

/// The same with parameters for whoever knows them.
pub fn perform_all_with(plan: &Plan, parameters: &Map<String, Value>) -> Outputs {
    let order = [
        "plan-inventory",
        "plan-lint",
        "critical-path",
        "risk-exposure",
        "schedule-monte-carlo",
        "readiness-score",
    ];
    let mut outputs = Outputs::new();
    for id in order {
        let output = perform_with(id, plan, &outputs, parameters);
        outputs.insert(id.to_owned(), output);
    }
    outputs
}
