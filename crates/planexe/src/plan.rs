//! A plan: artifacts by logical name. Bytes are shared, so that a sub-plan costs nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use thiserror::Error;

use crate::naming::{self, Collision};
use crate::read;

/// One file of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its path as given, relative to the plan.
    pub path: String,
    /// What it holds.
    pub bytes: Arc<[u8]>,
}

/// A PlanExe plan, as submitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Logical name (`task_durations.json`, `wbs_level3_raw.json#7`) to file.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Files that wanted a name which another had.
    pub collisions: Vec<Collision>,
}

/// Why an artifact could not be read as what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{artifact}: {reason}")]
pub struct Unreadable {
    /// Logical name.
    pub artifact: String,
    /// What is wrong with it.
    pub reason: UnreadableReason,
}

/// What is wrong with an artifact. Lines, columns and offsets count from 1, 1 and 0.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnreadableReason {
    /// The plan has no such artifact.
    #[error("the plan has no such artifact")]
    Missing,
    /// Nothing but white space, or no byte at all.
    #[error("the artifact is empty")]
    Empty,
    /// Not text in UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// The first byte that is not.
        offset: usize,
    },
    /// JSON that ends too early.
    #[error("cut off at line {line}, column {column}")]
    Truncated {
        /// The last line.
        line: usize,
        /// Where it ends.
        column: usize,
    },
    /// Not JSON, though its name says so.
    #[error("not JSON at line {line}, column {column}: {message}")]
    NotJson {
        /// Where it goes wrong.
        line: usize,
        /// Where in that line.
        column: usize,
        /// What the parser says.
        message: String,
    },
}

impl Plan {
    /// Makes a plan of files. Of files that want one name the first that holds anything has it, the others are kept beside it and
    /// named in `collisions`.
    pub fn from_named_bytes(files: impl IntoIterator<Item = (String, Arc<[u8]>)>) -> Plan {
        let (paths, contents): (Vec<String>, Vec<Arc<[u8]>>) = files.into_iter().unzip();
        let (mut keys, mut collisions) = naming::keys(&paths);
        prefer_filled(&mut keys, &mut collisions, &contents);
        let artifacts = keys
            .into_iter()
            .zip(paths.into_iter().zip(contents))
            .map(|(key, (path, bytes))| (key, Artifact { path, bytes }))
            .collect();
        Plan {
            artifacts,
            collisions,
        }
    }

    /// The artifact of exactly this name.
    pub fn get(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.get(name)
    }

    /// The chunks of a series, by number.
    pub fn series(&self, base: &str) -> Vec<(u32, &Artifact)> {
        let start = format!("{base}#");
        let members = self
            .artifacts
            .range(start.clone()..)
            .take_while(|(key, _)| key.starts_with(&start));
        let mut series: Vec<_> = members
            .filter_map(|(key, artifact)| Some((key[start.len()..].parse().ok()?, artifact)))
            .collect();
        series.sort_by_key(|(chunk, _)| *chunk);
        series
    }

    /// Whether the name is an artifact's or a series'.
    pub fn has(&self, name: &str) -> bool {
        self.artifacts.contains_key(name) || !self.series(name).is_empty()
    }

    /// An artifact as text, without a byte order mark.
    ///
    /// # Errors
    /// When it is missing or not UTF-8. An empty artifact is an empty text.
    pub fn text(&self, name: &str) -> Result<&str, Unreadable> {
        let unreadable = |reason| Unreadable {
            artifact: name.to_owned(),
            reason,
        };
        let artifact = self
            .get(name)
            .ok_or_else(|| unreadable(UnreadableReason::Missing))?;
        read::text(&artifact.bytes).map_err(unreadable)
    }

    /// An artifact as JSON.
    ///
    /// # Errors
    /// When it is missing, empty, not UTF-8, cut off or not JSON.
    pub fn json(&self, name: &str) -> Result<Value, Unreadable> {
        let text = self.text(name)?;
        read::json(text).map_err(|reason| Unreadable {
            artifact: name.to_owned(),
            reason,
        })
    }

    /// A plan of these artifacts only; the bare name of a series means all its chunks, a name that is not there nothing. Bytes are shared.
    pub fn select<S: AsRef<str>>(&self, names: impl IntoIterator<Item = S>) -> Plan {
        let mut artifacts = BTreeMap::new();
        for name in names {
            let name = name.as_ref();
            if let Some(artifact) = self.get(name) {
                artifacts.insert(name.to_owned(), artifact.clone());
            }
            for (chunk, artifact) in self.series(name) {
                artifacts.insert(format!("{name}#{chunk}"), artifact.clone());
            }
        }
        let collisions = self
            .collisions
            .iter()
            .filter(|collision| artifacts.contains_key(&collision.name))
            .cloned()
            .collect();
        Plan {
            artifacts,
            collisions,
        }
    }

    /// The project's title as the WBS states it, else the topic that PlanExe made out.
    pub fn title(&self) -> Option<String> {
        crate::views::wbs::title(self).or_else(|| crate::views::purpose::purpose(self).value.topic)
    }

    /// What the user asked for: `plan.txt` without the frame that PlanExe puts around it.
    pub fn prompt(&self) -> Option<String> {
        crate::views::prompt::prompt(self)
            .value
            .map(|prompt| prompt.text)
    }
}

/// Gives a name to the file that holds something, where the one that has it holds nothing.
fn prefer_filled(keys: &mut [String], collisions: &mut [Collision], contents: &[Arc<[u8]>]) {
    for collision in collisions {
        let place = |wanted: &str| keys.iter().position(|key| key == wanted);
        let (Some(kept), Some(other)) = (place(&collision.name), place(&collision.other)) else {
            continue;
        };
        if holds_nothing(&contents[kept]) && !holds_nothing(&contents[other]) {
            keys.swap(kept, other);
            std::mem::swap(&mut collision.kept, &mut collision.path);
        }
    }
}

/// Whether there is nothing in a file but white space, or an empty list or object.
fn holds_nothing(bytes: &[u8]) -> bool {
    let Ok(text) = read::text(bytes) else {
        return false;
    };
    let mut marks = text.chars().filter(|char| !char.is_whitespace());
    let start = (marks.next(), marks.next(), marks.next());
    matches!(
        start,
        (None, ..) | (Some('['), Some(']'), None) | (Some('{'), Some('}'), None)
    )
}
