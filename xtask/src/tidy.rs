//! `cargo xtask tidy`: the rules of the house that no compiler knows. Each finding says the way out.

mod arrows;
mod events;
mod files;
mod layout;
mod names;
mod paths;
mod size;
mod sql;
mod tokens;

use std::path::Path;

use anyhow::Result;

use files::Tree;

/// One breach of one rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// Path from the root, with `:line` where there is one.
    place: String,
    /// What is wrong, then the way out.
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            place: place.into(),
            message: message.into(),
        }
    }

    fn at(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding::new(format!("{path}:{line}"), message)
    }
}

/// The rules, by the file that explains them.
const RULES: [fn(&Tree) -> Vec<Finding>; 7] = [
    size::findings,
    layout::findings,
    names::findings,
    arrows::findings,
    sql::findings,
    events::findings,
    paths::findings,
];

/// Prints what is untidy, and answers whether nothing is.
pub(crate) fn report(root: &Path) -> Result<bool> {
    let findings = findings(root)?;
    for Finding { place, message } in &findings {
        println!("{place}: {message}");
    }
    match findings.len() {
        0 => println!("tidy"),
        1 => println!("1 finding"),
        many => println!("{many} findings"),
    }
    Ok(findings.is_empty())
}

fn findings(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    Ok(RULES.iter().flat_map(|rule| rule(&tree)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// `cargo test` goes through the same rules as `cargo xtask tidy`.
    #[test]
    fn the_house_is_tidy() {
        let found = findings(&crate::shell::root().unwrap()).unwrap();
        let lines: Vec<String> = found
            .iter()
            .map(|f| format!("{}: {}", f.place, f.message))
            .collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
