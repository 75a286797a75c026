//! Plans made by hand.

use planexe::plan::Plan;
use planexe::view::View;

/// A plan of these files.
pub fn plan(files: &[(&str, &str)]) -> Plan {
    Plan::from_named_bytes(
        files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.as_bytes().into())),
    )
}

/// A plan of one file.
pub fn one(name: &str, content: &str) -> Plan {
    plan(&[(name, content)])
}

/// The notes of a view as `artifact pointer: reason` lines.
pub fn notes<T>(view: &View<T>) -> Vec<String> {
    view.skipped
        .iter()
        .map(|note| format!("{} {}: {}", note.artifact, note.pointer, note.reason))
        .collect()
}
