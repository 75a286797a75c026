//! The same commands, asked of a server: `--server URL`.

pub mod agents;
pub mod enrich;
pub mod following;
pub mod keys;
pub mod orchestrations;

use std::path::Path;

use providers::remote::Remote;
use providers::remote::error::RemoteError;
use uuid::Uuid;

use crate::arguments::Verb;
use crate::credits;
use crate::failure::Failure;
use crate::prices;
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
        Verb::Keys(verb) => keys::perform(&remote, verb).await?,
        Verb::Check => return Err(not_there("check")),
        Verb::Migrate => return Err(not_there("migrate")),
        Verb::Prices { model, json } => {
            prices::prices_there(&remote, model.as_deref(), json).await?
        }
        verb => return Ok(Err(verb)),
    };
    Ok(Ok(exit))
}

/// A command that no server carries out.
pub fn not_there(command: &str) -> Failure {
    Failure::refused(format!(
        "{command} works on a database, not at a server: leave --server (AFTERPLAN_URL) out and give --database"
    ))
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
                    "{sentence}; give a key with --api-key or AFTERPLAN_KEY: `afterplan keys create` makes one at the server"
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
            RemoteError::Untrusted { .. } => Self::failed(format!(
                "{sentence}; --ca FILE (AFTERPLAN_CA) names an authority of your own"
            )),
            RemoteError::Certificate { .. } => Self::failed(format!(
                "{sentence}; see to the server's certificate, or give another --server"
            )),
            RemoteError::Spoken { .. } => {
                Self::failed(format!("{sentence}; --server or AFTERPLAN_URL names it"))
            }
            RemoteError::Strange { .. } | RemoteError::File { .. } => Self::failed(sentence),
        }
    }
}
