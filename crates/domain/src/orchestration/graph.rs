//! The graph of steps: who needs whom, and by which rules each step lives. What was submitted never changes; children come
//! behind it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::agent::definition::{AfterGate, AgentDefinition, Approval, Concurrency, OnFailure};
use crate::canonical::CanonicalError;
use crate::money::price::Price;
use crate::money::prices::Prices;
use crate::orchestration::children::Spawning;
use crate::orchestration::event::Created;
use crate::orchestration::prior::Prior;
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::{AgentId, StepId};
use crate::values::time::Millis;

/// A step's place in its orchestration: dense, in the order of submission.
pub type StepIndex = usize;

/// An edge, as pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edge {
    /// The step that ends first.
    pub step: StepId,
    /// Its partial enrichment is good enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepts_partial: bool,
    /// It need only have ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// All of a definition that scheduling knows, pinned in `orchestration_created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepRules {
    /// The step.
    pub id: StepId,
    /// Who performs it.
    pub agent: AgentId,
    /// In which version.
    pub agent_version: String,
    /// SHA-256 of the whole definition.
    pub definition: ContentHash,
    /// What it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Edge>,
    /// Its gate's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Alone within its orchestration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// A person must say yes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// Its failure ends the orchestration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub aborts: bool,
    /// It starts although a dependency was gated off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs_after_gate: bool,
    /// An equal step's enrichment may be taken over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reusable: bool,
    /// Longest time of one attempt.
    pub timeout: Millis,
    /// Longest wait in the queue.
    pub queue_timeout: Millis,
    /// Longest time in all.
    pub total_timeout: Millis,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// Limit over all orchestrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// Flat price.
    #[serde(default)]
    pub cost: Credits,
    /// What is charged beyond a plain flat price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Box<Price>>,
    /// Required inputs that this plan lacks: the step will be skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Optional inputs that this plan lacks, by name: the step does its work without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// Its enrichment came with the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<Box<Prior>>,
}

impl StepRules {
    /// The rules that `definition` states at these `prices`, with all its dependencies as edges.
    ///
    /// # Errors
    /// When the definition cannot be hashed.
    pub fn of(
        definition: &AgentDefinition,
        missing: Vec<String>,
        prices: &Prices,
    ) -> Result<Self, CanonicalError> {
        let edges = definition.dependencies.iter().map(|dependency| Edge {
            step: StepId::from(&dependency.agent),
            accepts_partial: dependency.accepts_partial,
            optional: dependency.optional,
        });
        Ok(Self {
            id: StepId::from(&definition.id),
            agent: definition.id.clone(),
            agent_version: definition.version.clone(),
            definition: definition.hash()?,
            dependencies: edges.collect(),
            gate: definition.run_condition.clone(),
            exclusive: !definition.parallel,
            approval: definition.approval == Approval::Required,
            aborts: definition.on_failure == OnFailure::Abort,
            runs_after_gate: definition.after_gate == AfterGate::Run,
            reusable: definition.reusable(),
            timeout: definition.timeout,
            queue_timeout: definition.queue_timeout,
            total_timeout: definition.total_timeout,
            max_retries: definition.max_retries,
            concurrency: definition.concurrency.clone(),
            cost: definition.cost_per_run,
            price: Price::of(definition, prices),
            missing,
            absent: Vec::new(),
            prior: None,
        })
    }
}

/// An edge seen from the dependency: who waits, and on which terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// Who waits.
    pub step: StepIndex,
    /// Whether a partial enrichment is good enough.
    pub accepts_partial: bool,
    /// Whether any end is.
    pub optional: bool,
}

/// The steps and who waits for whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    rules: Vec<StepRules>,
    index: BTreeMap<StepId, StepIndex>,
    dependents: Vec<Vec<Dependent>>,
    /// How many were submitted; the rest are children.
    submitted: usize,
    parents: BTreeMap<StepIndex, StepIndex>,
    children: BTreeMap<StepIndex, Vec<StepIndex>>,
    spawning: Option<Box<Spawning>>,
}

/// A graph that cannot be scheduled, with the names at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Two steps bear one id.
    #[error("the step `{0}` is there twice")]
    DuplicateId(StepId),
    /// A dependency that is not in the graph.
    #[error("`{step}` depends on `{dependency}`, which is not among the agents")]
    UnknownDependency {
        /// Who depends.
        step: StepId,
        /// On what.
        dependency: StepId,
    },
    /// Steps that wait for each other.
    #[error("these agents wait for each other: {}", .0.iter().map(StepId::as_str).collect::<Vec<_>>().join(" -> "))]
    Cycle(Vec<StepId>),
}

impl Graph {
    /// Builds the graph.
    ///
    /// # Errors
    /// A duplicate id, an unknown dependency or a cycle, with the names.
    pub fn build(rules: Vec<StepRules>) -> Result<Self, GraphError> {
        let mut index = BTreeMap::new();
        for (at, step) in rules.iter().enumerate() {
            if index.insert(step.id.clone(), at).is_some() {
                return Err(GraphError::DuplicateId(step.id.clone()));
            }
        }
        let mut dependents = vec![Vec::new(); rules.len()];
        for (at, step) in rules.iter().enumerate() {
            for edge in &step.dependencies {
                let Some(&dependency) = index.get(&edge.step) else {
                    return Err(GraphError::UnknownDependency {
                        step: step.id.clone(),
                        dependency: edge.step.clone(),
                    });
                };
                let Edge {
                    step: _,
                    accepts_partial,
                    optional,
                } = *edge;
                dependents[dependency].push(Dependent {
                    step: at,
                    accepts_partial,
                    optional,
                });
            }
        }
        let graph = Self {
            submitted: rules.len(),
            rules,
            index,
            dependents,
            ..Self::default()
        };
        match graph.cycle() {
            Some(cycle) => Err(GraphError::Cycle(cycle)),
            None => Ok(graph),
        }
    }

    /// The names along one cycle, the first repeated at the end; nothing when there is none (Kahn 1962: what a
    /// topological order cannot reach lies on a cycle or behind one).
    fn cycle(&self) -> Option<Vec<StepId>> {
        let mut waiting: Vec<usize> = self
            .rules
            .iter()
            .map(|step| step.dependencies.len())
            .collect();
        let mut free: Vec<StepIndex> = (0..self.len()).filter(|&step| waiting[step] == 0).collect();
        while let Some(step) = free.pop() {
            for dependent in &self.dependents[step] {
                waiting[dependent.step] -= 1;
                if waiting[dependent.step] == 0 {
                    free.push(dependent.step);
                }
            }
        }
        let mut at = (0..self.len()).find(|&step| waiting[step] > 0)?;
        let mut path = Vec::new();
        while !path.contains(&at) {
            path.push(at);
            // A step that still waits has a dependency that still waits: following those must come round.
            at = self.rules[at]
                .dependencies
                .iter()
                .map(|edge| self.index[&edge.step])
                .find(|&step| waiting[step] > 0)?;
        }
        let mut round: Vec<StepIndex> = path.into_iter().skip_while(|&step| step != at).collect();
        round.reverse();
        round.insert(0, at);
        Some(
            round
                .into_iter()
                .map(|step| self.rules[step].id.clone())
                .collect(),
        )
    }

    /// The graph that an orchestration starts with.
    ///
    /// # Errors
    /// As for [`Graph::build`].
    pub fn of(created: &Created) -> Result<Self, GraphError> {
        let mut graph = Self::build(created.steps.clone())?;
        graph.spawning.clone_from(&created.spawning);
        Ok(graph)
    }

    /// Adds a child of the step at `parent`.
    pub(super) fn push(&mut self, parent: StepIndex, rules: StepRules) {
        let at = self.rules.len();
        self.index.insert(rules.id.clone(), at);
        self.rules.push(rules);
        self.dependents.push(Vec::new());
        self.parents.insert(at, parent);
        self.children.entry(parent).or_default().push(at);
    }

    /// Takes back all children from the step at `len` on.
    pub fn truncate(&mut self, len: usize) {
        for rules in self.rules.drain(len..) {
            self.index.remove(&rules.id);
        }
        self.dependents.truncate(len);
        self.parents.retain(|child, _| *child < len);
        for children in self.children.values_mut() {
            children.retain(|child| *child < len);
        }
        self.children.retain(|_, children| !children.is_empty());
    }

    /// How many steps were submitted: the others are children.
    pub fn submitted(&self) -> usize {
        self.submitted
    }

    /// The step that spawned the one at `step`, if it is a child.
    pub fn parent(&self, step: StepIndex) -> Option<StepIndex> {
        self.parents.get(&step).copied()
    }

    /// The steps above the one at `step`: its parent first.
    pub fn ancestors(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
        std::iter::successors(self.parent(step), |&above| self.parent(above))
    }

    /// The children of the step at `step`, in the order of spawning.
    pub fn children(&self, step: StepIndex) -> &[StepIndex] {
        self.children.get(&step).map_or(&[], Vec::as_slice)
    }

    /// What may be spawned.
    pub fn spawning(&self) -> Option<&Spawning> {
        self.spawning.as_deref()
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The versions of the price tables that its steps are billed by; none where all prices are flat.
    pub fn price_tables(&self) -> BTreeSet<&str> {
        let priced = self.all().iter().filter_map(|rules| rules.price.as_ref());
        priced.filter_map(|price| price.prices.as_deref()).collect()
    }

    /// The rules of a step.
    pub fn rules(&self, step: StepIndex) -> &StepRules {
        &self.rules[step]
    }

    /// The rules of all steps, in the order of submission.
    pub fn all(&self) -> &[StepRules] {
        &self.rules
    }

    /// Who waits for `step`.
    pub fn dependents(&self, step: StepIndex) -> &[Dependent] {
        &self.dependents[step]
    }

    /// The place of the step named `id`.
    pub fn index(&self, id: &StepId) -> Option<StepIndex> {
        self.index.get(id).copied()
    }

    /// The places of the steps that `step` depends on.
    pub fn dependencies(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
        self.rules[step]
            .dependencies
            .iter()
            .filter_map(|edge| self.index(&edge.step))
    }
}
