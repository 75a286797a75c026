//! What an agent says of itself: its definition, and whether it is well.

use domain::values::time::Millis;

use crate::failure::Failure;
use crate::outgoing::Outgoing;

/// The most bytes that a definition served by an agent may have.
pub const DEFINITION_MAX: usize = 256 * 1024;

/// How long fetching a definition may take in all.
pub const DEFINITION_TIMEOUT: Millis = Millis(10_000);

impl Outgoing {
    /// The bytes at `url`, at most [`DEFINITION_MAX`] of them, within [`DEFINITION_TIMEOUT`].
    ///
    /// # Errors
    /// Whatever kept them from coming; a refused address is fatal.
    pub async fn definition(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let _ = url;
        Err(Failure::fatal("definitions are not fetched yet"))
    }

    /// Asks an agent whether it is well: a GET that is answered with a status from 200 to 299 within `timeout`.
    ///
    /// # Errors
    /// What it answered instead, or that it did not answer.
    pub async fn healthy(&self, url: &str, timeout: Millis) -> Result<(), Failure> {
        let _ = (url, timeout);
        Err(Failure::fatal("agents are not asked yet"))
    }
}
