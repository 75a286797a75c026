//! Performs all analyses on a plan without an engine: `cargo run -p analyses --example analyse PATH [AGENT]`.
//!
//! Prints one JSON object: the output, or the error, of each agent. For looking at an analysis while working on it.

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;

use analyses::catalog::{self, Input};
use planexe::plan::Plan;
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("the path of a plan is missing")?;
    let wanted = arguments.next();
    let named = intake::read::read(Path::new(&path), &intake::limits::Limits::default())?;
    let plan = Plan::from_named_bytes(named.files);
    let parameters = Map::new();
    let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
    let mut told = Map::new();
    for analysis in catalog::all() {
        let input = Input {
            plan: &plan,
            dependencies: &outputs,
            parameters: &parameters,
        };
        match (analysis.perform)(&input) {
            Ok(output) => {
                told.insert(analysis.id.to_owned(), output.clone());
                outputs.insert(analysis.id.to_owned(), output);
            }
            Err(error) => {
                told.insert(
                    analysis.id.to_owned(),
                    json!({ "error": error.to_string() }),
                );
            }
        }
    }
    let shown = wanted
        .and_then(|id| told.remove(&id))
        .unwrap_or(Value::Object(told));
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}
