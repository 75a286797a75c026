//! The same commands, asked of a server: `--server URL`.

pub mod agents;
pub mod enrich;
pub mod following;
pub mod orchestrations;

use std::path::Path;

use providers::remote::{Remote, RemoteError};
use uuid::Uuid;

use crate::arguments::Verb;
use crate::credits;
use crate::failure::Failure;
use crate::screen::plain;

/// Performs the verb at the server at `url`; gives it back where it is a matter of this machine.
///
/// # Errors
/// What the server says, or that it cannot be reached.
pub async fn perform(
    url: &str,
    key: Option<&str>,
    authority: Option<&Path>,
    verb: Verb,
) -> Result<Result<u8, Verb>, Failure> {
    let key = key.filter(|key| !key.is_empty());
    let authority = authority.filter(|file| !file.as_os_str().is_empty());
    let remote = Remote::new(url, key, authority)?;
    let exit = match verb {
        Verb::Enrich(request) => enrich::enrich(&remote, request).await?,
        Verb::Agents(verb) => agents::perform(&remote, verb).await?,
        Verb::Orchestrations(verb) => orchestrations::perform(&remote, verb).await?,
        Verb::Credits(verb) => credits::perform_there(&remote, verb).await?,
        verb => return Ok(Err(verb)),
    };
    Ok(Ok(exit))
}

/// A name for one change: asked for twice it is made once.
pub fn once() -> String {
    Uuid::now_v7().to_string()
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let sentence = plain(&error.to_string());
        match &error {
            RemoteError::Problem { status, .. } => match status {
                401 => Self::refused(format!(
                    "{sentence}; give a key with --key or AFTERPLAN_KEY: `afterplan keys create` makes one at the server"
                )),
                400..=499 => Self::refused(sentence),
                _ => Self::failed(sentence),
            },
            RemoteError::Address { .. } | RemoteError::Key => {
                Self::refused(format!("{sentence}; --server or AFTERPLAN_URL names it"))
            }
            RemoteError::Unreachable { .. } => Self::failed(format!(
                "{sentence}; see that it serves there, or give another --server"
            )),
            RemoteError::Authority { .. } => {
                Self::refused(format!("{sentence}; --ca or AFTERPLAN_CA names it"))
            }
            RemoteError::Strange { .. } | RemoteError::File { .. } => Self::failed(sentence),
        }
    }
}
