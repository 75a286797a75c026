//! `afterplan agents`: the definitions that this program knows, and checking one's own.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use engine::registry::{Registry, parse};
use serde_json::json;

use crate::arguments::AgentsVerb;
use crate::failure::{COMPLETE, Failure, REFUSED};
use crate::screen::{complain, say, shown, table};

/// In bytes.
const DEFINITION_LIMIT: u64 = 1_000_000;

/// Performs the verb.
pub fn perform(verb: AgentsVerb) -> Result<u8, Failure> {
    let registry = Registry::built_in().map_err(Failure::failed)?;
    match verb {
        AgentsVerb::List { json } => list(&registry, json),
        AgentsVerb::Show { id } => {
            let agents = registry.snapshot();
            let definition = agents.enabled().get(&id);
            let definition = definition.ok_or_else(|| {
                Failure::refused(format!(
                    "there is no agent `{id}`; `afterplan agents list` shows all"
                ))
            })?;
            say(&format!("{:#}", json!(definition)));
        }
        AgentsVerb::Validate { files } => return Ok(validate(&files)),
        AgentsVerb::Schema => say(&format!("{:#}", domain::agent::definition::json_schema())),
    }
    Ok(COMPLETE)
}

fn list(registry: &Registry, json: bool) {
    if json {
        return say(&format!(
            "{:#}",
            json!(registry.snapshot().enabled().values().collect::<Vec<_>>())
        ));
    }
    let mut rows = vec![
        ["AGENT", "VERSION", "COST", "NAME", "AFTER"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for definition in registry.snapshot().enabled().values() {
        let after: Vec<_> = definition
            .dependencies
            .iter()
            .map(|edge| edge.agent.to_string())
            .collect();
        rows.push(vec![
            definition.id.to_string(),
            definition.version.clone(),
            definition.cost_per_run.to_string(),
            definition.display_name.clone(),
            after.join(", "),
        ]);
    }
    say(&table(&rows));
}

/// The text of a definition file, of at most 1 MB: more is something else, and may have no end.
fn definition_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(file)?;
    file.take(DEFINITION_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > DEFINITION_LIMIT {
        return Err(io::Error::other(
            "it has more than 1 MB, and no definition has",
        ));
    }
    Ok(text)
}

/// Says of each file whether it is valid, and everything that is wrong with it.
fn validate(files: &[PathBuf]) -> u8 {
    let mut exit = COMPLETE;
    for file in files {
        let name = shown(file);
        let valid = definition_text(file)
            .map_err(|error| format!("{name} cannot be read: {error}"))
            .and_then(|text| parse(&name, &text).map_err(|error| error.to_string()));
        match valid {
            Ok(definition) => say(&format!(
                "{name}: `{}` version {} is valid",
                definition.id, definition.version
            )),
            Err(sentence) => {
                complain(&sentence);
                exit = REFUSED;
            }
        }
    }
    exit
}
