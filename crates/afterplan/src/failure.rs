//! How the program ends: one sentence, and an exit code that scripts can rely on.

use std::fmt;

use domain::orchestration::select::Refused;
use engine::error::{SubmitError, TransitionError};
use store::error::StoreError;

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

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownUrl { .. } => Self::refused(error),
            StoreError::CannotConnect { .. } => Self::failed(format!(
                "{error}; see that it is there and may be used, or give another --database"
            )),
            _ => Self::failed(error),
        }
    }
}

impl From<TransitionError> for Failure {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::Rejected(_) => Self::refused(error),
            TransitionError::Unknown(_) => Self::refused(format!(
                "{error}; `afterplan orchestrations list` shows those that there are"
            )),
            TransitionError::Store(error) => error.into(),
            _ => Self::failed(error),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refused) => Self::refused(match refused {
                Refused::UnknownAgent { .. } => {
                    format!("{refused}; `afterplan agents list` shows all")
                }
                other => other.to_string(),
            }),
            SubmitError::Transition(error) => error.into(),
            SubmitError::Store(error) => error.into(),
            SubmitError::OverBudget { .. } | SubmitError::Unbounded { .. } => Self::refused(error),
            SubmitError::Canonical(_) => Self::failed(error),
        }
    }
}
