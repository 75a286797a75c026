//! Stored events are for ever: each kind has a golden file, so that a change which old logs do not survive is seen.

use super::Finding;
use super::files::Tree;

const EVENTS: &str = "crates/domain/src/orchestration/event.rs";
const GOLDEN: &str = "crates/domain/tests/golden/events/";

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.files.get(EVENTS) else {
        let message = "is gone: name the file that lists the events in xtask/src/tidy/events.rs";
        return vec![Finding::new(EVENTS, message)];
    };
    let kinds = kinds(text);
    if kinds.is_empty() {
        let message =
            "no `fn kind` with `=> \"event_kind\"` arms: tidy reads the closed list there";
        return vec![Finding::new(EVENTS, message)];
    }
    let mut findings = Vec::new();
    for (line, kind) in &kinds {
        let golden = format!("{GOLDEN}{kind}.json");
        if !tree.files.contains_key(&golden) {
            let message =
                format!("`{kind}` has no golden file: write one, with every field, as {golden}");
            findings.push(Finding::at(EVENTS, *line, message));
        }
    }
    for path in tree.files.keys().filter(|path| path.starts_with(GOLDEN)) {
        let kind = path[GOLDEN.len()..].trim_end_matches(".json");
        if !kinds.iter().any(|(_, known)| *known == kind) {
            let message = "no such event: logs that hold it must still be read; keep the kind";
            findings.push(Finding::new(path, message));
        }
    }
    findings
}

/// The kinds that `fn kind` lists, with their lines.
fn kinds(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    let inside = lines
        .skip_while(|(_, line)| !line.contains("fn kind("))
        .skip(1);
    inside
        .take_while(|(_, line)| !line.contains("fn "))
        .filter_map(|(at, line)| {
            let (_, after) = line.split_once("=> \"")?;
            Some((at + 1, after.split('"').next()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn kind(&self) -> &'static str {\n  match self {\n    A => \"step_ready\",\n    B => \"paused\",\n} }\nfn other() { x => \"y\" }";

    #[test]
    fn a_kind_without_a_golden_file_is_found() {
        let tree = Tree::of(&[(EVENTS, SOURCE), (&format!("{GOLDEN}paused.json"), "{}")]);
        let found = findings(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, format!("{EVENTS}:3"));
    }

    #[test]
    fn a_kind_that_vanished_is_found() {
        let golden = |kind| format!("{GOLDEN}{kind}.json");
        let [a, b, c] = [golden("paused"), golden("step_ready"), golden("step_done")];
        let tree = Tree::of(&[(EVENTS, SOURCE), (&a, "{}"), (&b, "{}"), (&c, "{}")]);
        let found = findings(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, c);
    }

    #[test]
    fn a_moved_list_is_found() {
        assert_eq!(findings(&Tree::of(&[])).len(), 1);
        assert_eq!(findings(&Tree::of(&[(EVENTS, "//! X.\n")])).len(), 1);
    }
}
