//! Discovery: an agent says itself what it is, at a well-known address.

use crate::agents::{RegisterError, Registered};
use crate::handle::Engine;

/// Where an agent's definition stands below its address.
pub const WELL_KNOWN: &str = "/.well-known/afterplan-agent.json";

/// Asks for the definition, or the list `agents` of several, below `url` and registers what is there. All or, when one is
/// wrong, none.
///
/// # Errors
/// When nobody answers there, when an answer is no definition, or as for [`crate::agents::register`].
pub async fn discover(engine: &Engine, url: &str) -> Result<Vec<Registered>, RegisterError> {
    let _ = (engine, url);
    Err(RegisterError::Refused(
        "agents are not discovered yet".to_owned(),
    ))
}
