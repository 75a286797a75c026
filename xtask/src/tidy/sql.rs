//! An index that no query uses only costs writes: each says which query needs it.

use std::collections::BTreeSet;

use super::Finding;
use super::files::Tree;
use super::tokens::tokens;

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let queries = functions_of_store(tree);
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".sql") {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let lower = line.to_ascii_lowercase();
            if !(lower.starts_with("create index") || lower.starts_with("create unique index")) {
                continue;
            }
            let above = lines[..at]
                .iter()
                .rev()
                .take_while(|line| line.starts_with("--"));
            let named = above
                .filter_map(|line| query(line))
                .any(|query| queries.contains(query));
            if !named {
                let message = "an index without a use: write above it `-- used in <query>`, with the name of the \
                               store's function that needs it, or drop it";
                findings.push(Finding::at(path, at + 1, message));
            }
        }
    }
    findings
}

/// `next_due` of `-- used in steps::next_due: the one that waited longest`.
fn query(comment: &str) -> Option<&str> {
    let (_, after) = comment.split_once("used in ")?;
    let path = after
        .split(|c: char| !(c == '_' || c == ':' || c.is_alphanumeric()))
        .next()?;
    path.trim_end_matches(':').rsplit("::").next()
}

/// The names of all functions of the store; a comment that names none of them names no query.
fn functions_of_store(tree: &Tree) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for (path, text) in tree.ending(".rs") {
        if path.starts_with("crates/store/src/") {
            let all = tokens(text);
            names.extend(
                all.windows(2)
                    .filter(|pair| pair[0].text == "fn")
                    .map(|pair| pair[1].text),
            );
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_must_name_a_query_that_exists() {
        let sql = "-- used in next_due\ncreate index a on step (due_at);\n\
                   create index b on step (x);\n\
                   -- used in forgotten_query, not next_due\nCREATE UNIQUE INDEX c on step (y);\n";
        let store = (
            "crates/store/src/steps.rs",
            "//! Steps.\nasync fn next_due() {}",
        );
        let found = findings(&Tree::of(&[("m.sql", sql), store]));
        let places: Vec<&str> = found.iter().map(|f| f.place.as_str()).collect();
        assert_eq!(places, ["m.sql:3", "m.sql:5"]);
    }

    #[test]
    fn a_comment_of_several_lines_counts() {
        let sql = "-- used in steps::next_due:\n-- the one that waited longest\ncreate index a on step (due_at);\n";
        let store = ("crates/store/src/steps.rs", "//! Steps.\nfn next_due() {}");
        assert_eq!(findings(&Tree::of(&[("m.sql", sql), store])), []);
    }
}
