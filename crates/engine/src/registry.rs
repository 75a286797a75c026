//! The agents that this replica knows: definitions by id and version, one snapshot for all who look.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use analyses::catalog;
use domain::agent::definition::{AgentDefinition, from_toml};
use domain::agent::input::InputRef;
use domain::agent::reference::AgentReference;
use domain::agent::validate::problems;
use domain::values::hash::ContentHash;
use domain::values::ids::AgentId;
use domain::values::time::Timestamp;
use serde_json::Value;

use crate::shipped;

/// Most definitions kept ready for use: those of the orchestrations in hand and more.
const PREPARED_KEPT: usize = 1_024;

/// Most errors of an output that are told.
const ERRORS_TOLD: usize = 5;

/// A definition that cannot be registered.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the agent definition {name} is invalid: {reason}")]
pub struct InvalidDefinition {
    /// Its file or id.
    pub name: String,
    /// All its problems.
    pub reason: String,
}

/// Where a definition came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is part of the program.
    BuiltIn,
    /// A file at the start.
    File,
    /// The API.
    Api,
    /// An agent's own word, asked for at its URL.
    Discovery,
}

impl Source {
    /// As stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::File => "file",
            Self::Api => "api",
            Self::Discovery => "discovery",
        }
    }

    /// The source of that name; an unknown one counts as the API's.
    pub fn of(name: &str) -> Self {
        match name {
            "built_in" => Self::BuiltIn,
            "file" => Self::File,
            "discovery" => Self::Discovery,
            _ => Self::Api,
        }
    }
}

/// One version of an agent, as registered.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it says.
    pub definition: AgentDefinition,
    /// SHA-256 over its canonical JSON.
    pub hash: ContentHash,
    /// Where it came from.
    pub source: Source,
    /// Where it was discovered.
    pub url: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was retired.
    pub retired_at: Option<Timestamp>,
}

/// All agents at one moment.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    enabled: BTreeMap<AgentId, AgentDefinition>,
    versions: BTreeMap<AgentId, Vec<Arc<Known>>>,
}

impl Agents {
    /// The agents that may be asked for: of each the latest version that is not retired.
    pub fn enabled(&self) -> &BTreeMap<AgentId, AgentDefinition> {
        &self.enabled
    }

    /// Who is in an orchestration that names nobody: the enabled agents but those that are there on request alone.
    pub fn by_default(&self) -> Vec<AgentId> {
        let usual = self.enabled.iter().filter(|(_, agent)| !agent.on_request);
        usual.map(|(id, _)| id.clone()).collect()
    }

    /// All ids, those of retired agents too.
    pub fn ids(&self) -> impl Iterator<Item = &AgentId> {
        self.versions.keys()
    }

    /// All versions of an agent in the order of registration, retired ones too.
    pub fn versions(&self, id: &str) -> &[Arc<Known>] {
        self.versions.get(id).map_or(&[], Vec::as_slice)
    }

    /// One version of an agent.
    pub fn get(&self, id: &str, version: &str) -> Option<&Arc<Known>> {
        self.versions(id)
            .iter()
            .find(|known| known.definition.version == version)
    }

    /// The version that is used when none is named.
    pub fn latest(&self, id: &str) -> Option<&Arc<Known>> {
        self.versions(id)
            .iter()
            .rev()
            .find(|known| known.retired_at.is_none())
    }

    /// The definition that a reference means: of the version that it names, else of the latest that is not retired.
    pub fn meant(&self, reference: &AgentReference) -> Option<&AgentDefinition> {
        let versions = self.versions(reference.parts().name).iter().rev();
        let standing = versions.filter(|known| known.retired_at.is_none());
        let mut definitions = standing.map(|known| &known.definition);
        definitions.find(|definition| reference.means(definition))
    }

    /// Adds a version, or replaces the one of the same name.
    pub(crate) fn put(&mut self, known: Known) {
        let id = known.definition.id.clone();
        let versions = self.versions.entry(id.clone()).or_default();
        let same = |other: &Arc<Known>| other.definition.version == known.definition.version;
        match versions.iter().position(same) {
            Some(at) => versions[at] = Arc::new(known),
            None => versions.push(Arc::new(known)),
        }
        match self.latest(id.as_str()).cloned() {
            Some(latest) => self.enabled.insert(id, latest.definition.clone()),
            None => self.enabled.remove(&id),
        };
    }
}

/// A definition ready for use: what follows from its text is worked out once.
#[derive(Debug)]
pub struct Prepared {
    /// What it says.
    pub definition: Arc<AgentDefinition>,
    /// SHA-256 over its canonical JSON.
    pub hash: ContentHash,
    /// What it declares to read of the plan.
    pub inputs: Vec<InputRef>,
    /// The agents whose conversations it declares to hear.
    pub hears: Vec<String>,
    /// The same as one text: agents that read the same have the same.
    pub reads: String,
    validator: Option<jsonschema::Validator>,
}

impl Prepared {
    fn of(definition: &AgentDefinition, hash: ContentHash) -> Self {
        let mut inputs = definition.inputs().unwrap_or_default();
        let hears = inputs.iter().filter_map(InputRef::messages_of);
        let hears = hears.map(str::to_owned).collect();
        inputs.retain(|input| input.messages_of().is_none());
        let names: Vec<String> = inputs.iter().map(ToString::to_string).collect();
        Self {
            hash,
            inputs,
            hears,
            reads: names.join("\n"),
            validator: jsonschema::validator_for(&definition.output_json_schema()).ok(),
            definition: Arc::new(definition.clone()),
        }
    }

    /// Holds an output against the agent's output schema.
    ///
    /// # Errors
    /// The first [`ERRORS_TOLD`] things wrong with it, each with its place.
    pub fn check(&self, output: &Value) -> Result<(), String> {
        let Some(validator) = &self.validator else {
            return Err("the agent's outputSchema cannot be checked".to_owned());
        };
        if validator.is_valid(output) {
            return Ok(());
        }
        let told: Vec<String> = validator
            .iter_errors(output)
            .take(ERRORS_TOLD)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        Err(told.join("; "))
    }
}

/// The agents, shared: whoever looks takes a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    agents: RwLock<Arc<Agents>>,
    prepared: Mutex<HashMap<ContentHash, Arc<Prepared>>>,
    /// Of what was last read from the store; 0 for an empty table.
    stamp: AtomicI64,
}

impl Registry {
    /// The built-in analyses and the shipped agents that converse, which tests have validated: a program that starts need not.
    ///
    /// # Errors
    /// Never in a program whose tests have passed.
    pub fn built_in() -> Result<Self, InvalidDefinition> {
        let registry = Self::default();
        for analysis in catalog::all() {
            let read = from_toml(analysis.definition);
            registry.add(read.map_err(|error| InvalidDefinition {
                name: analysis.id.to_owned(),
                reason: error.to_string(),
            })?);
        }
        shipped::all()?
            .into_iter()
            .for_each(|agent| registry.add(agent));
        Ok(registry)
    }

    /// The agents now.
    pub fn snapshot(&self) -> Arc<Agents> {
        self.0
            .agents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Adds a definition of this program, or replaces its version of the same name. Nothing is stored.
    pub fn add(&self, definition: AgentDefinition) {
        let known = Known {
            hash: definition.hash().unwrap_or_default(),
            definition,
            source: Source::BuiltIn,
            url: None,
            created_at: Timestamp(0),
            retired_at: None,
        };
        self.change(|agents| agents.put(known));
    }

    /// The definition under `hash`, ready for use.
    pub fn prepared(&self, hash: ContentHash, definition: &AgentDefinition) -> Arc<Prepared> {
        let mut kept = self
            .0
            .prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = kept.get(&hash) {
            return prepared.clone();
        }
        if kept.len() >= PREPARED_KEPT {
            kept.clear();
        }
        let prepared = Arc::new(Prepared::of(definition, hash));
        kept.insert(hash, prepared.clone());
        prepared
    }

    /// The stamp of the stored agents that were last read.
    pub(crate) fn stamp(&self) -> i64 {
        self.0.stamp.load(Ordering::Acquire)
    }

    /// Notes what was read.
    pub(crate) fn set_stamp(&self, stamp: i64) {
        self.0.stamp.store(stamp, Ordering::Release);
    }

    /// Changes the agents for all who look from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Agents)) {
        let mut agents = self
            .0
            .agents
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut agents));
    }
}

/// Everything that is wrong with a definition beyond its shape, each with its key.
pub fn faults(definition: &AgentDefinition) -> Vec<String> {
    let mut found: Vec<String> = problems(definition)
        .iter()
        .map(ToString::to_string)
        .collect();
    // One that is made of `fields` is always right, and the checker of schemas takes megabytes once it is used.
    if let Some(schema) = &definition.output_schema.schema
        && let Err(error) = jsonschema::validator_for(schema)
    {
        found.push(format!(
            "outputSchema: not a JSON Schema that can be checked: {error}"
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults_of(text: &str) -> Vec<String> {
        faults(&from_toml(text).unwrap())
    }

    #[test]
    fn the_analyses_of_this_program_can_be_registered() {
        for analysis in catalog::all() {
            assert_eq!(faults_of(analysis.definition), Vec::<String>::new());
        }
        let built_in = Registry::built_in().unwrap().snapshot();
        assert_eq!(built_in.by_default().len(), catalog::all().len());
    }

    #[test]
    fn an_output_schema_that_cannot_be_checked_is_refused_at_once() {
        let with = |output: &str| {
            faults_of(&format!(
                "id = 'a'\ndisplayName = 'A'\noutputSchema = {output}"
            ))
        };
        assert!(with("{ fields = { '$ref' = [], type = 5 } }").is_empty());
        assert!(with("{ schema = { type = 'object' } }").is_empty());
        assert!(with("{ schema = { type = 5 } }")[0].contains("outputSchema"));
        assert!(!with("{ schema = { '$ref' = 'https://example.invalid/s.json' } }").is_empty());
    }
}
