//! The repository as texts by path: what the rules look at.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 5] = [".git", "target", "out", "node_modules", "dist"];

/// All text files, by their path from the root with `/` between its parts.
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
    /// Where the tree was read; empty for a tree made in a test.
    pub(crate) root: String,
}

impl Tree {
    pub(crate) fn read(root: &Path) -> Result<Tree> {
        let mut tree = Tree {
            files: BTreeMap::new(),
            root: root.display().to_string(),
        };
        tree.add(root, "")?;
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            let kind = entry.file_type()?;
            // What `enrich` wrote here is no more ours than what cargo wrote.
            let skipped = SKIPPED.contains(&name.as_str()) || name.ends_with(".enriched");
            if kind.is_dir() && !skipped {
                self.add(&path, &format!("{prefix}{name}/"))?;
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(fs::read(&path)?)
            {
                self.files.insert(format!("{prefix}{name}"), text);
            }
        }
        Ok(())
    }

    /// The files whose names end so.
    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let files = self.files.iter();
        files.filter_map(move |(path, text)| {
            path.ends_with(end)
                .then_some((path.as_str(), text.as_str()))
        })
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Tree {
            files: files.collect(),
            root: String::new(),
        }
    }
}
