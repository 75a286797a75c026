//! Registering, retiring and validating agents.

use domain::agent::definition::AgentDefinition;
use domain::values::hash::ContentHash;
use store::error::StoreError;

use crate::handle::Engine;
use crate::registry::{Known, Source, faults};

/// A registered definition.
#[derive(Clone, Debug)]
pub struct Registered {
    /// What it says.
    pub definition: AgentDefinition,
    /// SHA-256 over its canonical JSON.
    pub hash: ContentHash,
    /// It was not registered before.
    pub new: bool,
}

/// A definition that was not registered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RegisterError {
    /// It is not right.
    #[error("the agent definition is invalid: {}", .0.join("; "))]
    Invalid(Vec<String>),
    /// Its version says something else already.
    #[error("`{id}` version {version} is registered already and says something else (hash {hash}); a changed definition needs another version")]
    VersionTaken {
        /// The agent.
        id: String,
        /// Which version.
        version: String,
        /// The hash of what is registered.
        hash: ContentHash,
    },
    /// Nothing could be read at its address, or must not be.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Registers a definition; `url` is where it was discovered. The same one again changes nothing.
///
/// # Errors
/// When it is invalid, when its version says something else already, or when the database fails.
pub async fn register(
    engine: &Engine,
    definition: AgentDefinition,
    source: Source,
    url: Option<String>,
) -> Result<Registered, RegisterError> {
    let found = faults(&definition);
    if !found.is_empty() {
        return Err(RegisterError::Invalid(found));
    }
    let hash = definition
        .hash()
        .map_err(|error| RegisterError::Invalid(vec![error.to_string()]))?;
    let known = Known {
        definition: definition.clone(),
        hash,
        source,
        url,
        created_at: engine.clock.now(),
        retired_at: None,
    };
    engine.registry.change(|agents| agents.put(known));
    Ok(Registered {
        definition,
        hash,
        new: true,
    })
}

/// Retires one version of an agent, or all: nothing new begins with it, and what has begun goes on. Answers whether
/// there was anything to retire.
///
/// # Errors
/// When the database fails.
pub async fn retire(engine: &Engine, id: &str, version: Option<&str>) -> Result<bool, StoreError> {
    let now = engine.clock.now();
    let mut any = false;
    engine.registry.change(|agents| {
        let versions = agents.versions(id).to_vec();
        let meant = versions.iter().filter(|known| {
            known.retired_at.is_none() && version.is_none_or(|version| known.definition.version == version)
        });
        for known in meant {
            any = true;
            agents.put(Known {
                retired_at: Some(now),
                ..(**known).clone()
            });
        }
    });
    Ok(any)
}

/// Reads and validates a definition, JSON or TOML, without registering it.
///
/// # Errors
/// Everything that is wrong with it: an unknown key with the nearest one that there is.
pub fn validate(text: &str) -> Result<AgentDefinition, Vec<String>> {
    let definition: AgentDefinition = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| vec![error.to_string()])?
    } else {
        domain::agent::definition::from_toml(text).map_err(|error| vec![error.to_string()])?
    };
    let found = faults(&definition);
    if found.is_empty() {
        Ok(definition)
    } else {
        Err(found)
    }
}
