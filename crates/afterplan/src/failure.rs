//! How the program ends: one sentence, and an exit code that scripts can rely on.

use std::fmt;

/// Everything completed or was gated off; or the command did what was asked.
pub const COMPLETE: u8 = 0;
/// The orchestration failed, or a check found something, or the database failed.
pub const FAILED: u8 = 1;
/// The input or the request was refused; nothing was changed.
pub const REFUSED: u8 = 2;
/// Some enrichments stand and some do not.
pub const PARTIAL: u8 = 3;
/// The orchestration was cancelled.
pub const CANCELLED: u8 = 4;
/// Stopped by a signal: the same command goes on where it stopped.
pub const INTERRUPTED: u8 = 130;

/// Why the program ends early.
#[derive(Debug)]
pub struct Failure {
    exit: u8,
    sentence: String,
}

impl Failure {
    /// Something broke.
    pub fn failed(sentence: impl fmt::Display) -> Self {
        Self {
            exit: FAILED,
            sentence: sentence.to_string(),
        }
    }

    /// The request cannot be carried out as it was given.
    pub fn refused(sentence: impl fmt::Display) -> Self {
        Self {
            exit: REFUSED,
            sentence: sentence.to_string(),
        }
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<store::error::StoreError> for Failure {
    fn from(error: store::error::StoreError) -> Self {
        Self::failed(error)
    }
}

impl From<engine::error::TransitionError> for Failure {
    fn from(error: engine::error::TransitionError) -> Self {
        use engine::error::TransitionError::{Rejected, Unknown};
        match error {
            Rejected(_) | Unknown(_) => Self::refused(error),
            _ => Self::failed(error),
        }
    }
}
