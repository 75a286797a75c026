//! A plan as submitted: artifacts by logical name, each known by its content. It never changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::input::InputRef;
use crate::canonical::{self, CanonicalError};
use crate::values::hash::ContentHash;

/// One file of a plan: where it stood and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanArtifactEntry {
    /// Its path as submitted, relative to the plan.
    pub path: String,
    /// SHA-256 over its bytes.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The list of a plan's artifacts by logical name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanManifest {
    /// Logical name (`task_durations.json`, `wbs_level3_raw.json#7`) to file.
    pub artifacts: BTreeMap<String, PlanArtifactEntry>,
}

impl PlanManifest {
    /// The plan's identity: SHA-256 over the canonical JSON object of logical name to content hash.
    /// Paths do not count: a zip and a directory of the same files are the same plan.
    ///
    /// # Errors
    /// Never for a manifest that was made of strings and hashes; the type says so to be honest.
    pub fn hash(&self) -> Result<ContentHash, CanonicalError> {
        let by_name: BTreeMap<_, _> = self
            .artifacts
            .iter()
            .map(|(name, entry)| (name, entry.hash))
            .collect();
        canonical::hash(&by_name)
    }

    /// The artifacts that `name` means: itself, or all members of the series that it names, in order; every one for
    /// [`InputRef::ALL`].
    pub fn named<'a>(&'a self, name: &'a str) -> Vec<(&'a str, &'a PlanArtifactEntry)> {
        if name == InputRef::ALL {
            return self
                .artifacts
                .iter()
                .map(|(name, entry)| (name.as_str(), entry))
                .collect();
        }
        if let Some((name, entry)) = self.artifacts.get_key_value(name) {
            return vec![(name, entry)];
        }
        let chunk = |key: &str| {
            key.strip_prefix(name)?
                .strip_prefix('#')?
                .parse::<u32>()
                .ok()
        };
        let mut series: Vec<_> = self
            .artifacts
            .iter()
            .filter_map(|(key, entry)| Some((chunk(key)?, key, entry)))
            .collect();
        series.sort_by_key(|(chunk, ..)| *chunk);
        series
            .into_iter()
            .map(|(_, key, entry)| (key.as_str(), entry))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_an_artifact_a_series_or_all() {
        let entry = |path: &str| PlanArtifactEntry {
            path: path.to_owned(),
            hash: ContentHash::from_bytes([0; 32]),
            bytes: 0,
        };
        let names = ["a.json", "s.json#10", "s.json#9"];
        let artifacts = names.map(|name| (name.to_owned(), entry(name))).into();
        let plan = PlanManifest { artifacts };
        let named = |name: &str| -> Vec<String> {
            plan.named(name)
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect()
        };
        assert_eq!(named("a.json"), ["a.json"]);
        assert_eq!(named("s.json"), ["s.json#9", "s.json#10"]);
        assert_eq!(named("*").len(), 3);
        assert!(named("b.json").is_empty());
    }
}
