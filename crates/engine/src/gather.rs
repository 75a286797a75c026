//! Facts: what a decision may know of the world, fetched before it is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::definition::{AgentDefinition, Executor};
use domain::agent::gate::{Gate, GateFacts, Verdict};
use domain::agent::input::InputRef;
use domain::agent::model::Counts;
use domain::canonical;
use domain::orchestration::command::{Facts, StartFacts};
use domain::orchestration::decide::counters;
use domain::orchestration::event::Recorded;
use domain::orchestration::graph::{StepIndex, StepRules};
use domain::orchestration::needs::Needs;
use domain::orchestration::state::{Orchestration, Step};
use domain::orchestration::submission::Pinned;
use domain::values::hash::ContentHash;
use domain::values::ids::{OrchestrationId, StepId};
use serde_json::{Value, json};
use store::error::StoreError;

use crate::handle::Engine;
use crate::inputs;
use crate::lane::{Asked, Hot};
use crate::plans::LoadedPlan;
use crate::project::counter_changes;
use crate::throttle::first_open;

/// What the commit that is being prepared already changes, and what the last try learned.
pub struct Pending<'a> {
    /// Whose.
    pub id: OrchestrationId,
    /// The touched steps as they stood before.
    pub before: &'a BTreeMap<StepIndex, Step>,
    /// Counters that the store found full.
    pub full: &'a BTreeMap<String, i64>,
    /// What it makes happen so far.
    pub events: &'a [Recorded],
    /// The commands, with bytes that are not stored yet.
    pub asked: &'a [Asked],
}

impl Pending<'_> {
    /// The bytes under `hash`, if the commit brings them.
    fn bytes(&self, hash: ContentHash) -> Option<Arc<[u8]>> {
        let mut blobs = self.asked.iter().flat_map(|asked| &asked.blobs);
        let blob = blobs.find(|blob| blob.hash == *hash.as_bytes())?;
        Some(blob.bytes.clone())
    }
}

/// Fetches what `needs` names.
///
/// # Errors
/// When the database fails or lacks what the orchestration has pinned.
pub async fn gather(
    engine: &Engine,
    hot: &mut Hot,
    needs: &Needs,
    pending: &Pending<'_>,
) -> Result<Facts, StoreError> {
    let mut facts = Facts {
        now: engine.clock.now(),
        ..Facts::default()
    };
    for &index in &needs.gates {
        let verdict = match verdict(engine, &hot.state, index, pending).await {
            // What is damaged stays so: the step must not wait for it for ever.
            Err(error @ (StoreError::Corrupt { .. } | StoreError::Decode { .. })) => {
                Verdict::Error {
                    message: error.to_string(),
                }
            }
            verdict => verdict?,
        };
        facts
            .verdicts
            .insert(hot.state.graph.rules(index).id.clone(), verdict);
    }
    if let Some(index) = needs.start {
        facts.start = Some(start_facts(engine, hot, index, pending).await?);
    }
    Ok(facts)
}

async fn verdict(
    engine: &Engine,
    state: &Orchestration,
    index: StepIndex,
    pending: &Pending<'_>,
) -> Result<Verdict, StoreError> {
    let Some(source) = &state.graph.rules(index).gate else {
        return Ok(Verdict::Open);
    };
    let gate = match Gate::compile(source) {
        Ok(gate) => gate,
        Err(error) => {
            return Ok(Verdict::Error {
                message: error.to_string(),
            });
        }
    };
    let mut seen = GateFacts::default();
    if let Some(head) = &state.head {
        seen.plan = engine
            .plans
            .load(&engine.store, &head.account, head.plan)
            .await?
            .summary()
            .clone();
    }
    for dependency in state.graph.dependencies(index) {
        let step = &state.steps[dependency];
        let data = match &step.enrichment {
            Some(enrichment) => match pending.bytes(enrichment.data) {
                Some(bytes) => parsed(engine, enrichment.data, &bytes)?,
                None => data(engine, pending.id, enrichment.data).await?,
            },
            None => Value::Null,
        };
        let shown = json!({"status": step.state.name(), "data": data});
        seen.enrichments
            .insert(state.graph.rules(dependency).id.as_str().to_owned(), shown);
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut statuses: BTreeMap<&str, &str> = BTreeMap::new();
    for (step, rules) in state.steps.iter().zip(state.graph.all()) {
        *counts.entry(step.state.name()).or_default() += 1;
        statuses.insert(rules.id.as_str(), step.state.name());
    }
    seen.state = json!({"counts": counts, "statuses": statuses});
    let evaluated = tokio::task::spawn_blocking(move || gate.evaluate(&seen)).await;
    Ok(evaluated.unwrap_or_else(|error| Verdict::Error {
        message: error.to_string(),
    }))
}

/// What these counters hold, with what the commit that is being prepared changes in them.
async fn held(
    engine: &Engine,
    state: &Orchestration,
    counters: Vec<(String, i64)>,
    pending: &Pending<'_>,
) -> Result<BTreeMap<String, i64>, StoreError> {
    let keys: Vec<String> = counters.into_iter().map(|(key, _)| key).collect();
    let mut held = BTreeMap::new();
    if !keys.is_empty() {
        let named: Vec<&str> = keys.iter().map(String::as_str).collect();
        held = engine.store.counters(&named).await?;
        held.extend(
            pending
                .full
                .iter()
                .filter(|(key, _)| keys.contains(key))
                .map(|(key, held)| (key.clone(), *held)),
        );
        for change in counter_changes(state, pending.before) {
            *held.entry(change.key).or_default() += change.delta;
        }
    }
    Ok(held)
}

async fn start_facts(
    engine: &Engine,
    hot: &mut Hot,
    index: StepIndex,
    pending: &Pending<'_>,
) -> Result<StartFacts, StoreError> {
    let pinned = pinned(engine, hot).await?;
    let lost = |detail: String| StoreError::Corrupt {
        database: engine.store.name(),
        detail,
    };
    let Some(head) = &hot.state.head else {
        return Err(lost("an orchestration without a head".to_owned()));
    };
    let rules = hot.state.graph.rules(index);
    let definition =
        definition(&pinned, rules).ok_or_else(|| lost(format!("no pinned `{}`", rules.agent)))?;
    let plan = engine
        .plans
        .load(&engine.store, &head.account, head.plan)
        .await?;
    let reads = if engine.performer.sends(engine, definition) {
        let prepared = engine.registry.prepared(rules.definition, definition);
        json!(inputs::of(&plan, &prepared).hash)
    } else {
        json!(artifacts(definition, &plan).map_err(lost)?)
    };
    let input = input_hash(&hot.state, index, definition, &pinned, &reads).map_err(lost)?;
    let held = held(
        engine,
        &hot.state,
        counters(&hot.state, index, input),
        pending,
    )
    .await?;
    // After the counters: equal work that is in flight no longer has left its enrichment by now.
    let reusable = if rules.reusable && head.reuse {
        engine
            .store
            .reusable(head.account.as_str(), *input.as_bytes())
            .await?
            .and_then(|row| {
                let from = OrchestrationId(uuid::Uuid::from_bytes(row.orchestration));
                Some((ContentHash::from_bytes(row.data_hash?), from))
            })
    } else {
        None
    };
    let mut chain = engine.chain(definition, || told(definition, &plan));
    let (mut model, mut throttled) = (None, None);
    // What is taken over asks nobody.
    if !chain.is_empty() && reusable.is_none() {
        let open = Box::pin(first_open(engine, &hot.state, &chain, Some(pending)));
        let (place, found) = open.await?;
        let asks = chain.swap_remove(place);
        throttled = found;
        // A script may ask others first, and a question that counts for nothing needs no note.
        let drawn = definition.handle_steps.is_none() || asks.counts == Counts::Attempt;
        let noted = asks.is_counted() || !engine.performer.converses(engine, definition);
        model = (drawn && noted).then(|| Box::new(asks));
    }
    Ok(StartFacts {
        input,
        reusable,
        held,
        short: None,
        model,
        throttled,
    })
}

/// Bytes that an agent is told at first: its prompts and the parts of the plan that it declares.
pub(crate) fn told(definition: &AgentDefinition, plan: &LoadedPlan) -> u64 {
    let prompts = [&definition.system_prompt, &definition.instructions_prompt];
    let prompts = prompts.into_iter().flatten().map(|text| text.len() as u64);
    let inputs = definition.inputs().unwrap_or_default();
    let parts = inputs.iter().map(|input| {
        let named = plan.manifest.named(&input.artifact).into_iter();
        named.map(|(_, part)| part.bytes).sum::<u64>()
    });
    prompts.chain(parts).sum()
}

/// The pinned definitions, kept in the lane once loaded.
///
/// # Errors
/// When the database fails or lacks them.
pub async fn pinned(engine: &Engine, hot: &mut Hot) -> Result<Arc<Pinned>, StoreError> {
    if let Some(pinned) = &hot.pinned {
        return Ok(pinned.clone());
    }
    let hash = hot
        .state
        .head
        .as_ref()
        .map(|head| head.pinned)
        .unwrap_or_default();
    let pinned = pinned_as(engine, hash).await?;
    hot.pinned = Some(pinned.clone());
    Ok(pinned)
}

/// The pinned definitions under `hash`, kept in memory once loaded.
///
/// # Errors
/// When the database fails or lacks them.
pub(crate) async fn pinned_as(
    engine: &Engine,
    hash: ContentHash,
) -> Result<Arc<Pinned>, StoreError> {
    Ok(match engine.pins.get(hash) {
        Some(pinned) => pinned,
        None => {
            let bytes = match engine.outputs.get(hash) {
                Some(bytes) => bytes,
                None => found(engine, hash, engine.store.blob(*hash.as_bytes()).await?)?,
            };
            let value = parsed(engine, hash, &bytes)?;
            let read: Result<Pinned, _> =
                serde_json::from_value(value).map_err(|error| StoreError::Corrupt {
                    database: engine.store.name(),
                    detail: format!("pinned definitions: {error}"),
                });
            let pinned = Arc::new(read?);
            engine.pins.keep(hash, pinned.clone());
            pinned
        }
    })
}

/// The pinned definition of who performs the step: of an agent there may be several versions, since children may be named with
/// theirs.
pub fn definition<'a>(pinned: &'a Pinned, rules: &StepRules) -> Option<&'a AgentDefinition> {
    let versions = || pinned.agents.iter().filter(|of| of.id == rules.agent);
    let same = versions().find(|definition| definition.version == rules.agent_version);
    same.or_else(|| versions().next())
}

/// The artifacts that an agent of this program declares, by content.
fn artifacts(
    definition: &AgentDefinition,
    plan: &LoadedPlan,
) -> Result<BTreeMap<String, Value>, String> {
    let mut artifacts = BTreeMap::new();
    let declared = definition.inputs().map_err(|error| error.to_string())?;
    for input in declared
        .into_iter()
        .filter(|input| input.messages_of().is_none())
    {
        let read = if input.is_plan() {
            json!(canonical::hash(plan.summary()).map_err(|error| error.to_string())?)
        } else {
            let named = plan.manifest.named(&input.artifact);
            json!(
                named
                    .into_iter()
                    .map(|(name, entry)| (name, entry.hash))
                    .collect::<BTreeMap<_, _>>()
            )
        };
        artifacts.insert(input.to_string(), read);
    }
    Ok(artifacts)
}

/// SHA-256 over everything that the step declares to read: the artifacts by content, the dependencies' data, the agent's
/// definition and its parameters. Equal hashes mean equal work.
fn input_hash(
    state: &Orchestration,
    index: StepIndex,
    definition: &AgentDefinition,
    pinned: &Pinned,
    reads: &Value,
) -> Result<ContentHash, String> {
    let built_on: BTreeMap<_, _> = state
        .graph
        .dependencies(index)
        .map(|dependency| {
            let enrichment = state.steps[dependency].enrichment.as_ref();
            (
                state.graph.rules(dependency).id.as_str(),
                enrichment.map(|enrichment| enrichment.data),
            )
        })
        .collect();
    let mut declared = json!({
        "agent": state.graph.rules(index).definition,
        // A built-in analysis is as good as the program that it is part of: another release may say something else.
        "program": definition.executor.as_ref().filter(|how| **how == Executor::Analysis {}).map(|_| env!("CARGO_PKG_VERSION")),
        "artifacts": reads,
        "dependencies": built_on,
        "model": definition.model,
        "parameters": pinned.parameters_of(definition),
    });
    // What most steps have not is no part of their hashes: equal work of earlier versions stays equal.
    if let Some(child) = &state.steps[index].child {
        declared["asked"] = json!(child.input);
    }
    let inputs = definition.inputs().map_err(|error| error.to_string())?;
    let heard: BTreeMap<&str, Option<ContentHash>> = inputs
        .iter()
        .filter_map(InputRef::messages_of)
        .map(|of| (of, said_in(state, of).map(|(_, said)| said)))
        .collect();
    if !heard.is_empty() {
        declared["messages"] = json!(heard);
    }
    canonical::hash(&declared).map_err(|error| error.to_string())
}

/// The conversation of the step `of` that ended, with what was said in it.
pub(crate) fn said_in(state: &Orchestration, of: &str) -> Option<(u32, ContentHash)> {
    let (_, step) = state.step(&StepId::new(of).ok()?)?;
    let so_far = step.turns?;
    Some((so_far.conversation, so_far.transcript?))
}

/// What the orchestration `id` has under `hash`: from memory when it was just given, else from its enrichment or a blob.
///
/// # Errors
/// When the database fails or lacks it.
pub async fn data(
    engine: &Engine,
    id: OrchestrationId,
    hash: ContentHash,
) -> Result<Value, StoreError> {
    let bytes = raw(engine, id, hash).await?;
    parsed(engine, hash, &bytes)
}

/// The same, as it is stored.
///
/// # Errors
/// When the database fails or lacks it.
pub async fn raw(
    engine: &Engine,
    id: OrchestrationId,
    hash: ContentHash,
) -> Result<Arc<[u8]>, StoreError> {
    if let Some(bytes) = engine.outputs.get(hash) {
        return Ok(bytes);
    }
    let stored = engine.store.result(*id.0.as_bytes(), *hash.as_bytes());
    found(engine, hash, stored.await?)
}

fn found(
    engine: &Engine,
    hash: ContentHash,
    stored: Option<Vec<u8>>,
) -> Result<Arc<[u8]>, StoreError> {
    let stored = stored.ok_or_else(|| StoreError::Corrupt {
        database: engine.store.name(),
        detail: format!("the data {hash} is not stored"),
    })?;
    Ok(stored.into())
}

fn parsed(engine: &Engine, hash: ContentHash, bytes: &[u8]) -> Result<Value, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt {
        database: engine.store.name(),
        detail: format!("the data {hash} is not JSON: {error}"),
    })
}
