//! Words that our names do not use: each means something else here, or nothing at all.

use std::collections::BTreeSet;

use super::Finding;
use super::files::Tree;
use super::tokens::{Token, tokens};

/// Where a word is refused.
#[derive(Clone, Copy, PartialEq)]
enum Where {
    /// In every identifier, our own or borrowed.
    Everywhere,
    /// In the names that we give: `fn`, types, modules, constants.
    Given,
    /// In the names of things (types, modules, constants); as a verb it is good English.
    Things,
}

/// The word (its plural counts as well), where it is refused, and why with the way out.
const WORDS: [(&str, Where, &str); 8] = [
    (
        "job",
        Where::Everywhere,
        "say step (a place in the graph), attempt (one try) or orchestration",
    ),
    (
        "manager",
        Where::Everywhere,
        "it hides what is done: name the thing that is kept, or the verb",
    ),
    (
        "helper",
        Where::Everywhere,
        "it says nothing: name what the function does, in the file that needs it",
    ),
    (
        "util",
        Where::Everywhere,
        "it says nothing: put each function in the file of its subject",
    ),
    (
        "service",
        Where::Given,
        "everything serves: name what it does",
    ),
    (
        "task",
        Where::Given,
        "tasks are PlanExe's; ours are steps and attempts",
    ),
    (
        "run",
        Where::Things,
        "as a thing it is an orchestration or an attempt; the verb is fine",
    ),
    (
        "process",
        Where::Things,
        "as a thing it is a replica or a worker; for a function name the verb that it really does",
    ),
];

/// Who reads PlanExe's files has PlanExe's words in its names: tasks, `typical_job_activities`.
const PLANEXE_READERS: [&str; 4] = [
    "crates/planexe/",
    "crates/intake/",
    "crates/analyses/",
    "crates/report/",
];
const PLANEXE_WORDS: [&str; 2] = ["job", "task"];

/// A path in somebody else's crate keeps its name: `tokio_util`, `tower_service`.
const BORROWED: [&str; 3] = ["tokio_util", "tower_service", "http_body_util"];

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let reader = PLANEXE_READERS
            .iter()
            .any(|crate_path| path.starts_with(crate_path));
        let stem = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        let file = [
            Token {
                text: "mod",
                line: 1,
            },
            Token {
                text: stem,
                line: 1,
            },
        ];
        let all = tokens(text);
        let borrowed = borrowed(&all);
        for pair in file.windows(2).chain(all.windows(2)) {
            let [before, name] = pair else { continue };
            if borrowed.contains(name.text) {
                continue;
            }
            let refused = refused(before.text, name.text);
            if let Some((word, way_out)) = refused
                && !(reader && PLANEXE_WORDS.contains(&word))
            {
                let message = format!("`{}`: we do not call things `{word}`: {way_out}", name.text);
                findings.push(Finding::at(path, name.line, message));
            }
        }
    }
    findings
}

/// The names that a file takes over from somewhere else by `use`. Ours are found where they are given.
fn borrowed<'a>(tokens: &[Token<'a>]) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for statement in tokens.split(|token| token.text == ";") {
        if let Some(at) = statement.iter().position(|token| token.text == "use") {
            names.extend(statement[at..].iter().map(|token| token.text));
        }
    }
    names
}

/// The banned word in a name, seen with the token before it.
fn refused(before: &str, name: &str) -> Option<(&'static str, &'static str)> {
    if BORROWED.contains(&name) {
        return None;
    }
    let thing = [
        "struct", "enum", "union", "trait", "type", "mod", "const", "static",
    ]
    .contains(&before);
    let given = thing || before == "fn";
    let parts = parts(name);
    WORDS.iter().find_map(|(word, place, way_out)| {
        let here = match place {
            Where::Everywhere => true,
            Where::Given => given,
            Where::Things => thing,
        };
        (here
            && parts
                .iter()
                .any(|part| part.strip_suffix('s').unwrap_or(part) == *word || part == word))
        .then_some((*word, *way_out))
    })
}

/// `snake_case` and `CamelCase` as lower-case words.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if c == '_' || (c.is_uppercase() && after_lower) {
            parts.push(String::new());
        }
        if c != '_'
            && let Some(last) = parts.last_mut()
        {
            last.extend(c.to_lowercase());
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text)]);
        findings(&tree)
            .into_iter()
            .map(|f| format!("{} {}", f.place, f.message))
            .collect()
    }

    #[test]
    fn every_banned_word_is_found_in_a_name() {
        for (word, _, way_out) in WORDS {
            let found = found(
                "crates/engine/src/a.rs",
                &format!("\nstruct some_{word}_x;"),
            );
            assert_eq!(found.len(), 1, "{word}");
            assert!(
                found[0].starts_with("crates/engine/src/a.rs:2") && found[0].ends_with(way_out)
            );
        }
    }

    #[test]
    fn words_are_found_in_camel_case_fields_and_file_names() {
        assert_eq!(found("a.rs", "struct StepManager { job_id: u8 }").len(), 2);
        assert_eq!(found("crates/store/src/utils.rs", "//! X.").len(), 1);
        assert_eq!(found("crates/store/src/helpers.rs", "//! X.").len(), 1);
    }

    #[test]
    fn verbs_borrowed_names_and_longer_words_are_left_alone() {
        assert_eq!(
            found("a.rs", "fn run() { std::process::exit(jobber) }").len(),
            0
        );
        let borrowed =
            "use pool::{Manager, ManagerConfig};\nlet x = Manager::new(ManagerConfig::default());";
        assert_eq!(found("a.rs", borrowed).len(), 0);
        assert_eq!(found("a.rs", "x: tokio_util::sync::Token").len(), 0);
        assert_eq!(
            found(
                "a.rs",
                "// a job\nlet x = \"job\"; struct Runner; struct Processor;"
            )
            .len(),
            0
        );
    }

    #[test]
    fn planexe_keeps_its_words_and_nothing_else() {
        assert_eq!(
            found(
                "crates/planexe/src/tasks.rs",
                "struct Task { typical_job_activities: u8 }"
            )
            .len(),
            0
        );
        assert_eq!(
            found("crates/planexe/src/a.rs", "struct TaskManager;").len(),
            1
        );
    }
}
