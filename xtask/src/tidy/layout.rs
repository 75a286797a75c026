//! How a file begins, and what a `lib.rs` may hold.

use super::Finding;
use super::files::Tree;

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs") {
        if !text.starts_with("//! ") {
            let message = "does not open with `//! `: say in one sentence what the file is about";
            findings.push(Finding::new(path, message));
        }
        if path.ends_with("src/lib.rs") {
            findings.extend(contents_only(path, text));
        }
    }
    findings
}

fn contents_only(path: &str, text: &str) -> Vec<Finding> {
    let stray = |line: &str| {
        let line = line.trim();
        let module =
            line.ends_with(';') && (line.starts_with("pub mod ") || line.starts_with("mod "));
        !(line.is_empty() || line.starts_with("//") || line.starts_with('#') || module)
    };
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| stray(line))
        .map(|(at, line)| {
            let way_out = if line.contains("use ") {
                "import it from the file that defines it (re-exports are how import circles begin)"
            } else {
                "move it to a file of its own"
            };
            let message = format!("lib.rs is a table of contents, `//!` and `mod` only: {way_out}");
            Finding::at(path, at + 1, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_sentence_is_found() {
        let tree = Tree::of(&[
            ("a.rs", "use std::fs;\n"),
            ("b.rs", "//! Good.\n"),
            ("c.rs", ""),
        ]);
        let places: Vec<String> = findings(&tree).into_iter().map(|f| f.place).collect();
        assert_eq!(places, ["a.rs", "c.rs"]);
    }

    #[test]
    fn a_re_export_is_found_and_modules_are_not() {
        let text = "//! X.\n\npub mod a;\n#[cfg(test)]\nmod b;\npub use a::A;\n";
        let found = findings(&Tree::of(&[("crates/x/src/lib.rs", text)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/x/src/lib.rs:6");
        assert!(found[0].message.contains("from the file that defines it"));
    }

    #[test]
    fn code_in_lib_rs_is_found() {
        let found = findings(&Tree::of(&[("crates/x/src/lib.rs", "//! X.\nfn f() {}\n")]));
        assert!(found[0].message.contains("a file of its own"));
    }
}
