//! Nothing committed may know one person's machine.

use super::Finding;
use super::files::Tree;

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let home = std::env::var("HOME").unwrap_or_default();
    let parent = tree.root.rsplit_once('/').map_or("", |(parent, _)| parent);
    let places = [tree.root.as_str(), parent, &home];
    // `/` and `/x` would be found in half of all texts.
    let places: Vec<String> = places
        .iter()
        .filter(|p| p.len() > 3)
        .map(|p| format!("{p}/"))
        .collect();
    let temporary = "/tmp".to_owned() + "/";
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        for (at, line) in text.lines().enumerate() {
            for place in places.iter().chain([&temporary]) {
                if begins_a_path(line, place) {
                    let message = format!(
                        "`{place}` is a place on one machine: take it relative to the repository, from the environment, or from tempfile"
                    );
                    findings.push(Finding::at(path, at + 1, message));
                }
            }
        }
    }
    findings
}

/// Whether the place stands in the line as the beginning of a path, not inside of one (`next/work/`).
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"./}*-_:>".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_s_own_place_is_found() {
        let mut tree = Tree::of(&[
            ("a.md", "good: ../plans\nbad: `/somewhere/checkout/x`"),
            ("b.rs", "\"/somewhere/other/file\""),
            (
                "c.md",
                "see https://example.org/somewhere/else and ./somewhere/x",
            ),
        ]);
        tree.root = "/somewhere/checkout".to_owned();
        let found = findings(&tree);
        let places: Vec<&str> = found.iter().map(|f| f.place.as_str()).collect();
        assert_eq!(places, ["a.md:2", "a.md:2", "b.rs:1"]);
    }

    #[test]
    fn temporary_places_are_found() {
        let line = format!("let x = \"{}x\";", "/tmp".to_owned() + "/");
        assert_eq!(findings(&Tree::of(&[("a.rs", &line)])).len(), 1);
    }
}
