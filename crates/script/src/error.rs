//! What a script can fail with.

use domain::agent::script::Yield;
use thiserror::Error;

/// Characters of a script's own words that an error repeats.
pub(crate) const TOLD: usize = 1_000;

/// Characters of a yield that an error repeats.
const YIELDED: usize = 200;

/// Why a script gave no yield. After one of these it is over. No text holds anything of this program's inside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScriptError {
    /// The source text is not a generator function, or no JavaScript at all.
    #[error("the script cannot be read: {0}")]
    Source(String),
    /// The script threw, in its own words.
    #[error("the script threw: {message}")]
    Threw {
        /// Name and message of what was thrown, with the script's line where it is known.
        message: String,
    },
    /// It yielded what is none of the six yields.
    #[error("invalid yield: {0}")]
    InvalidYield(String),
    /// Led again to where it was, it went another way.
    #[error(
        "in turn {turn} the script yields {now} where it had yielded {before}: equal answers must give equal yields"
    )]
    Astray {
        /// The conversation's turn.
        turn: i64,
        /// The beginning of what it yielded then.
        before: String,
        /// The beginning of what it yields now.
        now: String,
    },
    /// It wanted more memory than it may have.
    #[error("the script needs more than its {limit} bytes of memory")]
    OutOfMemory {
        /// Bytes that it may have.
        limit: usize,
    },
    /// It did not come to a yield in time.
    #[error("the script did not come to a yield within {0}")]
    OutOfTime(Spent),
    /// Its calls are nested too deep.
    #[error("the script's calls are nested too deep")]
    OutOfStack,
    /// Something that goes in or comes out is too long.
    #[error("{what} has {bytes} bytes, at most {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Bytes that it has.
        bytes: usize,
        /// Bytes that it may have.
        limit: usize,
    },
    /// The sandbox could not be made, or broke. Nothing that the script may be blamed for.
    #[error("the sandbox failed: {0}")]
    Sandbox(String),
}

/// What a step has used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Spent {
    /// Its fuel: it would happen again.
    #[error("its {0} calls and jumps")]
    Fuel(u64),
    /// Its time, in ms: on a machine with less to do it might have been enough.
    #[error("its {0} ms")]
    Time(u64),
}

impl ScriptError {
    /// That of a script that yields `now` in a turn in which it had yielded `before`.
    #[must_use]
    pub fn astray(turn: i64, before: &Yield, now: &Yield) -> Self {
        let told = |yielded: &Yield| {
            let text = serde_json::to_string(yielded).unwrap_or_default();
            shortened(&text, YIELDED)
        };
        Self::Astray {
            turn,
            before: told(before),
            now: told(now),
        }
    }

    /// Whether the same script with the same answers may fare better another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            ScriptError::OutOfTime(Spent::Time(_)) | ScriptError::Sandbox(_)
        )
    }
}

/// The beginning of a text, at most so many characters, and a sign where more followed.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
