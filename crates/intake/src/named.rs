//! What intake hands on.

use std::sync::Arc;

use planexe::plan::Plan;

/// A plan's files, by path relative to the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What the plan is called: the directory's name, or the archive's without `.zip`.
    pub name: String,
    /// Path and bytes, sorted by path.
    pub files: Vec<(String, Arc<[u8]>)>,
    /// What was passed over, sorted by path.
    pub ignored: Vec<Ignored>,
}

/// A file or folder that is no part of the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ignored {
    /// Its path.
    pub path: String,
    /// Why it was passed over.
    pub reason: String,
}

impl Named {
    /// The plan that these files make. Bytes are shared.
    pub fn plan(&self) -> Plan {
        Plan::from_named_bytes(self.files.iter().cloned())
    }

    /// Bytes of all files together.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}
