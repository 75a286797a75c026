//! Registering, retiring and validating agents, and reading anew what others have registered.

use domain::agent::definition::{AgentDefinition, from_json, from_toml};
use domain::canonical;
use domain::values::hash::ContentHash;
use domain::values::time::Timestamp;
use script::limits::Limits;
use script::sandbox::check;
use store::agents::AgentPut;
use store::error::StoreError;
use store::rows::AgentRow;

use crate::handle::Engine;
use crate::registry::{InvalidDefinition, Known, Source, faults};
use crate::spelling::explain;

/// The seed document's two agents, as printed there.
const SEEDS: [(&str, &str); 2] = [
    (
        "security-review",
        include_str!("../agents/security-review.json"),
    ),
    (
        "performance-analysis",
        include_str!("../agents/performance-analysis.json"),
    ),
];

/// Longest text of a definition, in bytes: more is something else.
pub const DEFINITION_MAX: usize = 256 * 1024;

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
    #[error(
        "`{id}` version {version} is registered already and says something else (hash {hash}); a changed definition needs another version"
    )]
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

/// The seed document's two agents. They are registered by whoever wants them.
///
/// # Errors
/// Never in a program whose tests have passed.
pub fn seeds() -> Result<Vec<AgentDefinition>, InvalidDefinition> {
    let read = |(name, text): &(&str, &str)| {
        validate(text).map_err(|faults| InvalidDefinition {
            name: (*name).to_owned(),
            reason: faults.join("; "),
        })
    };
    SEEDS.iter().map(read).collect()
}

/// Registers a definition for all replicas; `url` is where it was discovered. The same one again changes nothing.
///
/// # Errors
/// When it is invalid, when its version says something else already or was retired, or when the database fails.
pub async fn register(
    engine: &Engine,
    definition: AgentDefinition,
    source: Source,
    url: Option<String>,
) -> Result<Registered, RegisterError> {
    let (known, text) = prepared(engine, definition, source, url)?;
    let (id, version) = (known.definition.id.as_str(), &known.definition.version);
    if let Some(other) = engine.registry.snapshot().get(id, version) {
        if other.hash != known.hash {
            return Err(taken(&known, other.hash));
        }
        if other.retired_at.is_none() {
            return Ok(registered(&known, false));
        }
    }
    let put = engine.store.put_agent(row(&known, text)).await?;
    match put {
        AgentPut::New => {
            engine.registry.change(|agents| agents.put(known.clone()));
            Ok(registered(&known, true))
        }
        AgentPut::Differs { hash } => Err(taken(&known, ContentHash::from_bytes(hash))),
        AgentPut::Same => {
            // Others have it, or have retired it, and this replica has not heard yet.
            refresh(engine).await?;
            let agents = engine.registry.snapshot();
            match agents.get(id, version) {
                Some(other) if other.retired_at.is_some() => Err(retired(&known)),
                _ => Ok(registered(&known, false)),
            }
        }
    }
}

/// Registers what was found at one address: all of it, or when one cannot be, none. (Unless somebody else registers one of
/// them otherwise in the same moment: then those before it stand.)
///
/// # Errors
/// As [`register`], of the first that cannot be.
pub(crate) async fn register_all(
    engine: &Engine,
    definitions: Vec<AgentDefinition>,
    url: &str,
) -> Result<Vec<Registered>, RegisterError> {
    let discovered = |definition| {
        let at = Some(url.to_owned());
        prepared(engine, definition, Source::Discovery, at).map(|(known, _)| known)
    };
    refresh(engine).await?;
    let agents = engine.registry.snapshot();
    let mut all: Vec<Known> = Vec::with_capacity(definitions.len());
    for definition in definitions {
        let known = discovered(definition)?;
        let (id, version) = (&known.definition.id, &known.definition.version);
        let before = all
            .iter()
            .find(|before| (&before.definition.id, &before.definition.version) == (id, version));
        let stored = agents.get(id.as_str(), version).map(AsRef::as_ref);
        match before.or(stored) {
            Some(other) if other.hash != known.hash => return Err(taken(&known, other.hash)),
            Some(other) if other.retired_at.is_some() => return Err(retired(&known)),
            _ => all.push(known),
        }
    }
    let mut done = Vec::with_capacity(all.len());
    for known in all {
        done.push(register(engine, known.definition, known.source, known.url).await?);
    }
    Ok(done)
}

/// A definition as it would be registered, and its canonical text.
fn prepared(
    engine: &Engine,
    definition: AgentDefinition,
    source: Source,
    url: Option<String>,
) -> Result<(Known, String), RegisterError> {
    let found = faults(&definition);
    if !found.is_empty() {
        return Err(RegisterError::Invalid(found));
    }
    let text = canonical::to_string(&definition)
        .map_err(|error| RegisterError::Invalid(vec![error.to_string()]))?;
    let known = Known {
        hash: ContentHash::of(text.as_bytes()),
        definition,
        source,
        url,
        created_at: engine.clock.now(),
        retired_at: None,
    };
    Ok((known, text))
}

fn taken(known: &Known, hash: ContentHash) -> RegisterError {
    RegisterError::VersionTaken {
        id: known.definition.id.to_string(),
        version: known.definition.version.clone(),
        hash,
    }
}

fn retired(known: &Known) -> RegisterError {
    RegisterError::Refused(format!(
        "`{}` version {} was retired; register it under another version",
        known.definition.id, known.definition.version
    ))
}

fn registered(known: &Known, new: bool) -> Registered {
    Registered {
        definition: known.definition.clone(),
        hash: known.hash,
        new,
    }
}

fn row(known: &Known, definition: String) -> AgentRow {
    AgentRow {
        id: known.definition.id.as_str().to_owned(),
        version: known.definition.version.clone(),
        hash: *known.hash.as_bytes(),
        definition,
        source: known.source.name().to_owned(),
        url: known.url.clone(),
        created_at: known.created_at.0,
        retired_at: None,
    }
}

/// Retires one version of an agent, or all: nothing new begins with it, and what has begun goes on. Answers whether
/// there was anything to retire.
///
/// # Errors
/// When the database fails.
pub async fn retire(engine: &Engine, id: &str, version: Option<&str>) -> Result<bool, StoreError> {
    refresh(engine).await?;
    let now = engine.clock.now();
    let agents = engine.registry.snapshot();
    let mut any = false;
    for known in agents.versions(id) {
        let meant = version.is_none_or(|version| known.definition.version == version);
        if known.retired_at.is_some() || !meant {
            continue;
        }
        let version = known.definition.version.as_str();
        // What is part of the program is not stored until it is retired.
        let text = canonical::to_string(&known.definition)
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        engine.store.put_agent(row(known, text)).await?;
        any |= engine.store.retire_agent(id, version, now.0).await?;
    }
    if any {
        refresh(engine).await?;
    }
    Ok(any)
}

/// Takes in what was registered and retired elsewhere, if anything was. Answers whether there was.
///
/// # Errors
/// When the database fails or holds a definition that cannot be read.
pub async fn refresh(engine: &Engine) -> Result<bool, StoreError> {
    let stamp = engine.store.agents_stamp().await?;
    refresh_to(engine, stamp).await
}

/// The same where the stamp is known already.
///
/// # Errors
/// As [`refresh`].
pub async fn refresh_to(engine: &Engine, stamp: i64) -> Result<bool, StoreError> {
    if engine.registry.stamp() == stamp {
        return Ok(false);
    }
    let rows = engine.store.agents(true).await?;
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        stored.push(known(engine, row)?);
    }
    engine.registry.change(|agents| {
        for known in stored {
            agents.put(known);
        }
    });
    engine.registry.set_stamp(stamp);
    Ok(true)
}

fn known(engine: &Engine, row: AgentRow) -> Result<Known, StoreError> {
    let definition =
        serde_json::from_str(&row.definition).map_err(|error| StoreError::Corrupt {
            database: engine.store.name(),
            detail: format!("the agent `{}` version {}: {error}", row.id, row.version),
        })?;
    Ok(Known {
        definition,
        hash: ContentHash::from_bytes(row.hash),
        source: Source::of(&row.source),
        url: row.url,
        created_at: Timestamp(row.created_at),
        retired_at: row.retired_at.map(Timestamp),
    })
}

/// Reads and validates a definition, JSON or TOML, without registering it.
///
/// # Errors
/// Everything that is wrong with it; an unknown key with the nearest one that there is.
pub fn validate(text: &str) -> Result<AgentDefinition, Vec<String>> {
    if text.len() > DEFINITION_MAX {
        return Err(vec![format!("it has more than {DEFINITION_MAX} bytes")]);
    }
    let read = if text.trim_start().starts_with('{') {
        from_json(text).map_err(|error| error.to_string())
    } else {
        from_toml(text).map_err(|error| error.to_string())
    };
    let definition = read.map_err(|error| vec![explain(&error)])?;
    let mut found = faults(&definition);
    found.extend(script_fault(&definition));
    if found.is_empty() {
        Ok(definition)
    } else {
        Err(found)
    }
}

/// Why its script cannot be started, if it has one. What a busy machine may be at fault for is no fault of its.
fn script_fault(definition: &AgentDefinition) -> Option<String> {
    let source = definition.handle_steps.as_deref()?;
    let fault = check(source, &Limits::default()).err()?;
    (!fault.may_pass()).then(|| format!("handleSteps: {fault}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use domain::values::credits::Credits;
    use domain::values::time::Millis;

    #[test]
    fn the_seeds_agents_are_what_the_seed_prints() {
        let seeds = seeds().unwrap();
        assert_eq!(seeds.len(), 2);
        let (security, performance) = (&seeds[0], &seeds[1]);
        assert_eq!(security.cost_per_run, "0.50".parse::<Credits>().unwrap());
        assert_eq!(performance.cost_per_run, "0.4".parse::<Credits>().unwrap());
        assert_eq!(performance.dependencies[0].agent, security.id);
        assert!(security.executor.is_none() && !security.parallel);
        assert_eq!(security.timeout, Millis(120_000));
        let inputs = security.inputs().unwrap();
        assert!(inputs[0].is_plan() && !inputs[0].optional);
        assert!(inputs[1].optional && inputs[1].artifact == "architecture");
    }

    #[test]
    fn a_script_that_cannot_be_started_is_refused_before_it_is_registered() {
        let with = |script: &str| {
            format!(
                "id = 'a'\ndisplayName = 'A'\nmodel = 'scripted/a'\nexecutor = {{ kind = 'script' }}\nhandleSteps = '{script}'"
            )
        };
        assert!(validate(&with("function* () { yield \"STEP\" }")).is_ok());
        let faults = validate(&with("not js at all (")).unwrap_err();
        assert!(faults[0].starts_with("handleSteps: "), "{faults:?}");
    }

    #[test]
    fn a_mistyped_key_is_named_with_the_one_that_was_meant_in_both_forms() {
        for text in [
            r#"{"id": "a", "displayName": "A", "costPerRnu": 1}"#,
            "id = 'a'\ndisplayName = 'A'\ncostPerRnu = 1",
        ] {
            let faults = validate(text).unwrap_err();
            assert!(
                faults[0].contains("`costPerRnu`; did you mean `costPerRun`?"),
                "{faults:?}"
            );
        }
        assert!(validate(r#"{"id": "A", "displayName": "A"}"#).is_err());
    }
}
