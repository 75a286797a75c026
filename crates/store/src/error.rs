//! What can go wrong with a database, each error naming the thing and the way out.

/// A failure of the store. The answers that a healthy store gives to a commit are in `write::CommitError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The URL is of no kind that is known.
    #[error("{url} is no database: give a file path, sqlite:PATH or postgres://USER@HOST/NAME")]
    UnknownUrl {
        /// What was given.
        url: String,
    },
    /// Another program kept the file locked.
    #[error(
        "{database} has been locked by another program for 10 seconds: wait for it or stop it, then try again"
    )]
    Locked {
        /// The file.
        database: String,
    },
    /// The database was written by a later version of this program.
    #[error(
        "{database} has schema {found}, this program knows {known}: use the newer afterplan, or another database"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// A migration that was applied is not the one that this program has.
    #[error(
        "{database}: migration {migration} was applied with other text than this program has: restore a backup, or use the version that made it"
    )]
    Altered {
        /// The database.
        database: String,
        /// The migration.
        migration: String,
    },
    /// No room.
    #[error(
        "{database}: the disk is full: free some space, then try again (nothing half-written was kept)"
    )]
    DiskFull {
        /// The database.
        database: String,
    },
    /// Writing is not allowed.
    #[error(
        "{database} is read-only: check the permissions of the file and its folder, or give another database"
    )]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// The file is damaged or no database.
    #[error(
        "{database} is damaged or no database ({detail}): restore a backup, or give another file"
    )]
    Corrupt {
        /// The database.
        database: String,
        /// What the database said.
        detail: String,
    },
    /// The file or server cannot be reached.
    #[error("cannot open {database}: {detail}")]
    CannotConnect {
        /// The database.
        database: String,
        /// What failed.
        detail: String,
    },
    /// A PostgreSQL before 15.
    #[error("{database} is PostgreSQL {found}: version 15 or later is needed")]
    TooOld {
        /// The database.
        database: String,
        /// Its version.
        found: String,
    },
    /// The server could not be reached, or the connection was lost, and so it stayed when it was tried again for a while. Nothing of
    /// what was asked is stored, except that a plan may be, or a holder's row: both may be put again.
    #[error(
        "lost the connection to {database} ({detail}): start it or check the address; the same command goes on where it stopped"
    )]
    Lost {
        /// The database.
        database: String,
        /// What failed.
        detail: String,
    },
    /// The transaction collided with others, and did so when it was tried again. Nothing was written.
    #[error("{database}: the transaction kept colliding with others: try again")]
    Contended {
        /// The database.
        database: String,
    },
    /// A text with a NUL character, which PostgreSQL cannot hold.
    #[error("{column} has a NUL character, which a text must not have")]
    Nul {
        /// The column.
        column: &'static str,
    },
    /// The caller handed over rows that contradict each other.
    #[error("refused: {0}")]
    Refused(String),
    /// Rows that the schema's constraints refuse.
    #[error("{database} refused a row: {detail}")]
    Constraint {
        /// The database.
        database: String,
        /// What the database said.
        detail: String,
    },
    /// A stored value is not of the form that was written.
    #[error("{column} holds what was never written: run `afterplan check`")]
    Decode {
        /// The column.
        column: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Whatever else the database said.
    #[error("{database}: {detail}")]
    Other {
        /// The database.
        database: String,
        /// What the database said.
        detail: String,
    },
}
