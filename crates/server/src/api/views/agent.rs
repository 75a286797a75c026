//! Agents as the wire shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::definition::{AgentDefinition, Dependency, Executor};
use domain::values::ids::AgentId;
use engine::breaker::BreakerState;
use engine::handle::Engine;
use engine::registry::Known;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::error::Problem;
use crate::api::number::Amount;
use crate::api::views::artifact::millis;

/// How an agent's circuit breaker stands on this replica.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreakerShown {
    #[serde(skip)]
    agent: String,
    /// `closed`: attempts pass; `open`: none does until the pause is over; `half_open`: one does, as a trial.
    state: &'static str,
    /// Failures one after another.
    failures: u32,
    /// When it opened, in milliseconds.
    opened_at: Option<i64>,
    /// When the pause is over, in milliseconds.
    retry_at: Option<i64>,
    /// The last failure.
    reason: Option<String>,
}

impl From<BreakerState> for BreakerShown {
    fn from(state: BreakerState) -> Self {
        Self {
            agent: state.agent.to_string(),
            state: state.state.name(),
            failures: state.failures,
            opened_at: state.opened_at.map(millis),
            retry_at: state.retry_at.map(millis),
            reason: state.reason,
        }
    }
}

/// How this replica finds its agents.
pub struct Health {
    breakers: Vec<BreakerShown>,
    unwell: BTreeMap<AgentId, String>,
}

impl Health {
    /// As it is now.
    pub fn of(engine: &Engine) -> Self {
        let breakers = engine.breakers.all(engine.clock.now());
        Self {
            breakers: breakers.into_iter().map(BreakerShown::from).collect(),
            unwell: engine.breakers.all_unwell(),
        }
    }

    fn breaker(&self, agent: &AgentId) -> Option<BreakerShown> {
        let of = |breaker: &&BreakerShown| breaker.agent == agent.as_str();
        self.breakers.iter().find(of).cloned()
    }

    fn unwell(&self, agent: &AgentId) -> Option<String> {
        self.unwell.get(agent).cloned()
    }
}

/// An agent, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentLine<'a> {
    /// Its name, shared by all versions.
    pub id: &'a str,
    /// Its name for people.
    display_name: &'a str,
    /// What it does.
    description: &'a str,
    /// Longest time of one attempt, in milliseconds.
    timeout: u64,
    /// Flat price of one completed step.
    #[schema(value_type = f64)]
    cost_per_run: Amount,
    /// The version that is used when none is named.
    version: &'a str,
    /// `analysis`, `http`, `worker`, `model` or `script`; null where the server decides.
    executor: Option<&'static str>,
    /// The kind of enrichment.
    enrichment_type: &'a str,
    /// Agents that end before it starts.
    dependencies: Vec<&'a str>,
    /// SHA-256 of the definition in canonical JSON.
    hash: String,
    /// `built_in`, `file`, `api` or `discovery`.
    source: &'static str,
    /// Its circuit breaker; null where it has never failed here.
    breaker: Option<BreakerShown>,
    /// Why its last probe from this replica says that it is not well; null where it is, or nobody probes it.
    unwell: Option<String>,
}

impl<'a> AgentLine<'a> {
    /// A version of an agent.
    pub fn of(known: &'a Known, health: &Health) -> Self {
        let definition = &known.definition;
        let edges = definition.dependencies.iter();
        Self {
            id: definition.id.as_str(),
            display_name: &definition.display_name,
            description: &definition.description,
            timeout: definition.timeout.0,
            cost_per_run: Amount(definition.cost_per_run),
            version: &definition.version,
            executor: definition.executor.as_ref().map(kind),
            enrichment_type: &definition.output_schema.enrichment_type,
            dependencies: edges.map(|edge| edge.agent.as_str()).collect(),
            hash: known.hash.to_string(),
            source: known.source.name(),
            breaker: health.breaker(&definition.id),
            unwell: health.unwell(&definition.id),
        }
    }
}

const fn kind(executor: &Executor) -> &'static str {
    match executor {
        Executor::Analysis {} => "analysis",
        Executor::Http { .. } => "http",
        Executor::Worker {} => "worker",
        Executor::Model {} => "model",
        Executor::Script {} => "script",
    }
}

/// One version of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentVersion<'a> {
    /// The definition, with all its defaults.
    #[schema(value_type = Object)]
    agent: Value,
    /// SHA-256 of the definition in canonical JSON.
    hash: String,
    /// `built_in`, `file`, `api` or `discovery`.
    source: &'static str,
    /// Where it was discovered.
    url: Option<&'a str>,
    /// When it was registered, in milliseconds.
    created_at: i64,
    /// When it was retired, in milliseconds.
    retired_at: Option<i64>,
}

impl<'a> AgentVersion<'a> {
    /// A version.
    ///
    /// # Errors
    /// Never for a registered one.
    pub fn of(known: &'a Known) -> Result<Self, Problem> {
        Ok(Self {
            agent: definition(&known.definition)?,
            hash: known.hash.to_string(),
            source: known.source.name(),
            url: known.url.as_deref(),
            created_at: millis(known.created_at),
            retired_at: known.retired_at.map(millis),
        })
    }
}

/// A version, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VersionLine<'a> {
    version: &'a str,
    hash: String,
    /// When it was registered, in milliseconds.
    created_at: i64,
    /// When it was retired, in milliseconds.
    retired_at: Option<i64>,
}

/// An agent with its versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentShown<'a> {
    #[serde(flatten)]
    of: AgentVersion<'a>,
    /// In the order of registration.
    versions: Vec<VersionLine<'a>>,
    /// Its circuit breaker; null where it has never failed here.
    breaker: Option<BreakerShown>,
    /// Why its last probe from this replica says that it is not well; null where it is, or nobody probes it.
    unwell: Option<String>,
}

impl<'a> AgentShown<'a> {
    /// The `latest` of its `versions`.
    ///
    /// # Errors
    /// Never for a registered one.
    pub fn of(
        latest: &'a Known,
        versions: &'a [Arc<Known>],
        health: &Health,
    ) -> Result<Self, Problem> {
        let id = &latest.definition.id;
        let lines = versions.iter().map(|known| VersionLine {
            version: &known.definition.version,
            hash: known.hash.to_string(),
            created_at: millis(known.created_at),
            retired_at: known.retired_at.map(millis),
        });
        Ok(Self {
            of: AgentVersion::of(latest)?,
            versions: lines.collect(),
            breaker: health.breaker(id),
            unwell: health.unwell(id),
        })
    }
}

/// A definition as the wire shows it: its price as a number, an edge that says nothing beside whose it is as a name, and what the seed
/// always has, also where it is empty.
///
/// # Errors
/// Never for a registered one.
pub fn definition(definition: &AgentDefinition) -> Result<Value, Problem> {
    let mut shown = serde_json::to_value(definition).map_err(Problem::internal)?;
    let cost: f64 = definition.cost_per_run.to_string().parse().unwrap_or(0.0);
    let edges: Vec<Value> = definition.dependencies.iter().map(edge).collect();
    if let Some(object) = shown.as_object_mut() {
        object.insert("costPerRun".to_owned(), json!(cost));
        object.insert("dependencies".to_owned(), Value::from(edges));
    }
    let output = &definition.output_schema;
    if output.schema.is_none() {
        shown["outputSchema"]["fields"] = Value::from(output.fields.clone());
    }
    Ok(shown)
}

fn edge(edge: &Dependency) -> Value {
    match edge {
        Dependency {
            agent,
            accepts_partial: false,
            optional: false,
        } => json!(agent),
        edge => json!(edge),
    }
}
