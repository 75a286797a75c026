//! The handle: opens a database, commits row sets, answers reads. Cheap to clone.

use std::time::Duration;

use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::url::DatabaseUrl;
use crate::write::{CommitError, Committed, RowSet};

/// An open store. Clones share the writer and the connections.
#[derive(Debug, Clone)]
pub struct Store {}

/// Waits for commits of other replicas or programs.
#[derive(Debug)]
pub struct Woken {}

impl Store {
    /// Opens the database, making it (and its folder) when it is a file that is not there, and migrates it to this program's schema.
    ///
    /// # Errors
    /// Each names the database and the way out: `CannotConnect`, `Newer`, `Altered`, `TooOld`, `Locked`, `ReadOnly`, `Corrupt`.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let _ = url;
        Err(StoreError::Closed)
    }

    /// Commits a row set; answers once it is durable. Row sets that arrive while a transaction is under way share the next one.
    /// Dropping the future does not take the row set back.
    ///
    /// # Errors
    /// Each `CommitError` says what it means for the caller.
    pub async fn commit(&self, rows: RowSet) -> Result<Committed, CommitError> {
        let _ = rows;
        Err(StoreError::Closed.into())
    }

    /// A number that changes when another program or replica has committed since. Cheap: SQLite asks `pragma data_version`,
    /// PostgreSQL counts notifications without asking the server.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn commits_elsewhere(&self) -> Result<i64, StoreError> {
        Err(StoreError::Closed)
    }

    /// Register BEFORE looking for work: `wait` then misses nothing that was committed after this call.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn woken(&self) -> Result<Woken, StoreError> {
        Err(StoreError::Closed)
    }

    /// Ends the writer after what was handed over, and closes the connections. Other clones then answer `Closed`.
    pub async fn close(&self) {}

    /// The database, for messages; without its password.
    pub fn name(&self) -> String {
        String::new()
    }

    pub(crate) async fn query(
        &self,
        text: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Record>, StoreError> {
        let _ = (text, parameters);
        Err(StoreError::Closed)
    }

    /// `text` ends in `in`; the keys follow. Order and repetition of keys do not matter to the answer, which has no order.
    pub(crate) async fn query_in(
        &self,
        text: &'static str,
        keys: Vec<Value>,
    ) -> Result<Vec<Record>, StoreError> {
        let _ = (text, keys);
        Err(StoreError::Closed)
    }
}

impl Woken {
    /// Returns when another program or replica has committed: at once on PostgreSQL, within `poll` on SQLite (which has to be asked).
    /// Errors of the asking count as woken: look, and meet the error there.
    pub async fn wait(&mut self, poll: Duration) {
        let _ = poll;
    }
}
