//! Codebuff's definition files: which files are some, and what becomes of them.

use std::path::Path;

use domain::agent::codebuff;
use domain::agent::definition::AgentDefinition;
use engine::registry::faults;
use script::codebuff_file;
use script::limits::Limits;
use serde_json::{Map, Value};

/// The folder in which Codebuff looks for definitions.
pub const FOLDER: &str = ".agents";

/// How a module's name ends.
pub const MODULES: [&str; 6] = ["ts", "mts", "cts", "js", "mjs", "cjs"];

/// Members that Codebuff has, one of which at least a definition for a model needs.
const WORDS: [&str; 5] = [
    "systemPrompt",
    "instructionsPrompt",
    "stepPrompt",
    "handleSteps",
    "toolNames",
];

/// Members that Codebuff does not have and that change what an agent is. Where one stands the file is none of Codebuff's.
const OWN: [&str; 5] = [
    "executor",
    "dependencies",
    "costPerRun",
    "timeout",
    "runCondition",
];

/// A file of Codebuff that was read.
#[derive(Debug)]
pub struct Found {
    /// What became of it.
    pub definition: AgentDefinition,
    /// What of it is not used, and why.
    pub warnings: Vec<String>,
}

/// Whether a file is Codebuff's: a module, whatever lies in a folder `.agents`, and JSON that speaks of a model as Codebuff does
/// and says nothing that only we understand.
pub fn is_one(file: &Path, text: &str) -> bool {
    let module = ends(file).is_some_and(|end| MODULES.contains(&end));
    let json = ends(file) == Some("json");
    module || (json && (is_at_home(file) || speaks_so(text)))
}

/// Whether the file lies in a folder `.agents`, at whatever depth.
pub fn is_at_home(file: &Path) -> bool {
    file.parent()
        .is_some_and(|folder| folder.components().any(|part| part.as_os_str() == FOLDER))
}

/// Reads one.
///
/// # Errors
/// Everything that is wrong with it; the tools that it needs and that are not there, by name.
pub fn read(file: &Path, text: &str) -> Result<Found, Vec<String>> {
    let definition = object(file, text).map_err(|why| vec![why])?;
    let told = |problems: Vec<_>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let imported = codebuff::read(&definition).map_err(|problems| {
        let problems: Vec<domain::agent::validate::Problem> = problems;
        told(problems)
    })?;
    let warnings = imported.warnings.clone();
    let definition = imported
        .usable()
        .map_err(|problem| vec![problem.to_string()])?;
    let found = faults(&definition);
    if !found.is_empty() {
        return Err(found);
    }
    Ok(Found {
        definition,
        warnings,
    })
}

/// Whether a file among Codebuff's is no definition at all: types, helpers of tests, settings of other programs.
pub fn is_something_else(file: &Path, text: &str) -> bool {
    match object(file, text) {
        Ok(Value::Object(members)) => !members.contains_key("id") && !members.contains_key("model"),
        _ => false,
    }
}

fn object(file: &Path, text: &str) -> Result<Value, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    codebuff_file::read(&name, text, &Limits::default()).map_err(|error| error.to_string())
}

fn speaks_so(text: &str) -> bool {
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let has = |key: &&str| members.contains_key(*key);
    members.get("model").is_some_and(Value::is_string)
        && WORDS.iter().any(has)
        && !OWN.iter().any(has)
}

fn ends(file: &Path) -> Option<&str> {
    file.extension().and_then(|end| end.to_str())
}
