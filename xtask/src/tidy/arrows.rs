//! Arrows only point down: which crate may know which, by its manifest.

use super::Finding;
use super::files::Tree;

/// A crate, the crates of ours that it may depend on. A new crate enters here with the floor that it stands on.
const FLOORS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("planexe", &["domain"]),
    ("report", &["planexe", "domain"]),
    ("intake", &["planexe", "domain"]),
    ("analyses", &["planexe", "domain"]),
    ("script", &["domain"]),
    ("providers", &["domain"]),
    ("store", &["domain"]),
    (
        "engine",
        &[
            "store",
            "providers",
            "analyses",
            "script",
            "planexe",
            "domain",
        ],
    ),
    (
        "server",
        &["engine", "store", "intake", "report", "planexe", "domain"],
    ),
    (
        "afterplan",
        &[
            "server",
            "engine",
            "store",
            "providers",
            "script",
            "analyses",
            "intake",
            "report",
            "planexe",
            "domain",
        ],
    ),
    ("dashboard", &[]),
    ("xtask", &[]),
];

/// Somebody else's crate, the crates of ours that may use it, and why no other may.
const RESERVED: [(&str, &[&str], &str); 15] = [
    ("rusqlite", &["store"], "SQL lives in store alone"),
    ("tokio-postgres", &["store"], "SQL lives in store alone"),
    ("deadpool-postgres", &["store"], "SQL lives in store alone"),
    (
        "tokio-postgres-rustls",
        &["store"],
        "SQL lives in store alone",
    ),
    (
        "zstd",
        &["store"],
        "how blobs are kept is the store's affair",
    ),
    (
        "reqwest",
        &["providers"],
        "the only outgoing network is providers",
    ),
    (
        "hyper",
        &["providers", "server"],
        "providers speaks HTTP outward, server inward",
    ),
    ("axum", &["server"], "HTTP is served by server alone"),
    (
        "rquickjs",
        &["script"],
        "the only JavaScript engine is in script",
    ),
    ("cel", &["domain"], "gates are evaluated in one place"),
    (
        "zip",
        &["intake", "report", "afterplan"],
        "archives are read under intake's limits, written by report; the program looks into its own",
    ),
    (
        "clap",
        &["afterplan"],
        "only the program has a command line",
    ),
    (
        "indicatif",
        &["afterplan"],
        "only the program draws on a terminal",
    ),
    (
        "tokio",
        &[
            "store",
            "engine",
            "providers",
            "server",
            "script",
            "afterplan",
        ],
        "it is pure: no async, no clock, no I/O",
    ),
    ("rand", &[], "chance is given: a hash of ids, or a seed"),
];

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending("Cargo.toml") {
        let Some(folder) = path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let Some((_, below)) = FLOORS.iter().find(|(floor, _)| *floor == name) else {
            let message = "a crate without a floor: enter it in xtask/src/tidy/arrows.rs and in ARCHITECTURE.md";
            findings.push(Finding::new(path, message));
            continue;
        };
        for (line, dependency) in dependencies(text) {
            let ours = FLOORS.iter().any(|(floor, _)| *floor == dependency);
            if ours && !below.contains(&dependency) {
                let message = format!(
                    "{name} must not know {dependency}: move what it wants down, or hand it in as a parameter"
                );
                findings.push(Finding::at(path, line, message));
            }
            let reserved = RESERVED
                .iter()
                .find(|(reserved, ..)| *reserved == dependency);
            if let Some((_, allowed, why)) = reserved
                && !allowed.contains(&name)
            {
                let way_out = if allowed.is_empty() {
                    "no crate".to_owned()
                } else {
                    allowed.join(", ")
                };
                let message =
                    format!("{name} must not use {dependency}: {why} (allowed: {way_out})");
                findings.push(Finding::at(path, line, message));
            }
        }
    }
    findings
}

/// The names under `[dependencies]` and `[build-dependencies]`, with their lines. Tests may look up; the house may not.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (at, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = ["dependencies", "build-dependencies"].contains(&section)
                || (section.starts_with("target.") && section.ends_with(".dependencies"));
            if let Some(name) = section.strip_prefix("dependencies.") {
                found.push((at + 1, name));
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                found.push((at + 1, name));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, manifest)]);
        findings(&tree)
            .into_iter()
            .map(|f| format!("{} {}", f.place, f.message))
            .collect()
    }

    #[test]
    fn an_arrow_upwards_is_found() {
        let found = found(
            "crates/store/Cargo.toml",
            "[dependencies]\ndomain.workspace = true\nengine.workspace = true\n",
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/store/Cargo.toml:3 store must not know engine"));
    }

    #[test]
    fn a_reserved_crate_is_found_in_every_spelling() {
        for line in [
            "[dependencies]\ntokio = \"1\"",
            "[dependencies.tokio]\nversion = \"1\"",
            "[dependencies]\ntokio.workspace = true",
        ] {
            assert_eq!(found("crates/domain/Cargo.toml", line).len(), 1, "{line}");
        }
        assert_eq!(
            found(
                "crates/engine/Cargo.toml",
                "[dependencies]\nrusqlite = \"0\""
            )
            .len(),
            1
        );
        assert_eq!(
            found(
                "crates/store/Cargo.toml",
                "[dependencies]\nrusqlite = \"0\""
            )
            .len(),
            0
        );
        assert_eq!(
            found("crates/engine/Cargo.toml", "[dependencies]\nrand = \"0\"").len(),
            1
        );
    }

    #[test]
    fn tests_may_look_up_and_the_root_is_no_crate() {
        assert_eq!(
            found(
                "crates/domain/Cargo.toml",
                "[dev-dependencies]\nengine.workspace = true"
            )
            .len(),
            0
        );
        assert_eq!(
            found("Cargo.toml", "[workspace.dependencies]\ntokio = \"1\"").len(),
            0
        );
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        assert_eq!(found("crates/attic/Cargo.toml", "[dependencies]").len(), 1);
    }
}
