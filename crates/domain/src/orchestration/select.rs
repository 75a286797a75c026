//! Which agents an orchestration gets: the chosen ones with what they need, or a default set less what the plan cannot
//! feed.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::definition::AgentDefinition;
use crate::agent::input::InputRef;
use crate::money::prices::Prices;
use crate::orchestration::event::Excluded;
use crate::orchestration::graph::{Graph, GraphError, StepRules};
use crate::orchestration::prior::{Given, Prior};
use crate::values::ids::AgentId;

/// Most steps of one orchestration, unless more agents are registered or it is asked for.
pub const MAX_STEPS: usize = 20;

/// Who was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// These by name: one whose inputs are missing becomes a step that is skipped.
    Named(Vec<AgentId>),
    /// A default set: one whose inputs are missing is left out, and listed.
    Default(Vec<AgentId>),
}

/// The agents that an orchestration gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Their definitions, each after those it depends on where the order of asking leaves it open.
    pub definitions: Vec<AgentDefinition>,
    /// The rules of their steps.
    pub steps: Vec<StepRules>,
    /// Who was left out.
    pub excluded: Vec<Excluded>,
    /// The plan artifact's version at the start, with all priors.
    pub version: u64,
}

/// A set of agents that cannot be orchestrated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Asked for, but not registered.
    #[error("there is no agent `{agent}`{}", .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownAgent {
        /// Who.
        agent: AgentId,
        /// The registered one with the most similar name.
        nearest: Option<AgentId>,
    },
    /// The graph does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Nothing is left to do.
    #[error("no agent is left to perform{}", .0.iter().map(|out| format!("; `{}`: {}", out.agent, out.reason)).collect::<String>())]
    NoStepLeft(Vec<Excluded>),
    /// More steps than the bound.
    #[error("{steps} steps are more than the {max} that maxSteps allows")]
    TooManySteps {
        /// How many there would be.
        steps: usize,
        /// The bound.
        max: usize,
    },
    /// A definition that cannot be used.
    #[error("the definition of `{agent}` is invalid: {reason}")]
    InvalidDefinition {
        /// Whose.
        agent: AgentId,
        /// What is wrong.
        reason: String,
    },
}

/// Selects the steps. An agent with a prior is done: it needs no input and no dependency, it joins whether asked for or
/// not, and it does not count among the most steps. One that is not registered is left out. `lacks` says why a required
/// input cannot be read from the plan, if it cannot. Steps are charged at `prices`.
///
/// # Errors
/// With the names at fault; see [`Refused`].
pub fn select(
    registered: &BTreeMap<AgentId, AgentDefinition>,
    wanted: &Wanted,
    max_steps: Option<usize>,
    given: &Given,
    lacks: &dyn Fn(&InputRef) -> Option<String>,
    prices: &Prices,
) -> Result<Selection, Refused> {
    let (asked, named) = match wanted {
        Wanted::Named(agents) => (agents, true),
        Wanted::Default(agents) => (agents, false),
    };
    let (version, priors) = given.numbered(|agent| registered.contains_key(agent));
    let mut chosen = with_dependencies(registered, asked, named, &priors)?;
    // Before any is left out: a cycle is a fault of the definitions, whatever this plan lacks.
    let rounds = without_rounds(&mut chosen, named, &priors, prices)?;
    let mut excluded: Vec<Excluded> = strangers(registered, given).chain(rounds).collect();
    let mut gone: BTreeSet<AgentId> = excluded.iter().map(|out| out.agent.clone()).collect();
    let mut kept = Vec::new();
    for definition in chosen {
        if priors.contains_key(&definition.id) {
            kept.push((definition, Lacking::default()));
            continue;
        }
        let lacking = lacking_inputs(definition, lacks)?;
        let reason = if named && asked.contains(&definition.id) {
            None
        } else {
            let needs = needs_absent(definition, registered, &gone);
            needs.or_else(|| (!lacking.required.is_empty()).then(|| lacking.required.join("; ")))
        };
        if let Some(reason) = reason {
            gone.insert(definition.id.clone());
            excluded.push(Excluded {
                agent: definition.id.clone(),
                reason,
            });
        } else {
            kept.push((definition, lacking));
        }
    }
    if kept.is_empty() {
        return Err(Refused::NoStepLeft(excluded));
    }
    let max = max_steps.unwrap_or_else(|| MAX_STEPS.max(registered.len()));
    let steps = rules_among(&kept, &priors, prices)?;
    let unended = steps.iter().filter(|step| step.prior.is_none()).count();
    if unended > max {
        return Err(Refused::TooManySteps {
            steps: unended,
            max,
        });
    }
    Ok(Selection {
        definitions: kept
            .into_iter()
            .map(|(definition, _)| definition.clone())
            .collect(),
        steps,
        excluded,
        version,
    })
}

/// Takes out of a default set those that wait for each other: a fault of theirs, and no reason to refuse every plan.
///
/// # Errors
/// The first cycle, where agents were asked for by name.
fn without_rounds(
    chosen: &mut Vec<&AgentDefinition>,
    named: bool,
    priors: &BTreeMap<AgentId, Prior>,
    prices: &Prices,
) -> Result<Vec<Excluded>, Refused> {
    let mut excluded = Vec::new();
    loop {
        let whole: Vec<_> = chosen
            .iter()
            .map(|&definition| (definition, Lacking::default()))
            .collect();
        let refused = match rules_among(&whole, priors, prices) {
            Ok(_) => return Ok(excluded),
            Err(refused) => refused,
        };
        let Refused::Graph(GraphError::Cycle(round)) = &refused else {
            return Err(refused);
        };
        if named {
            return Err(refused);
        }
        chosen.retain(|definition| {
            let waits = round
                .iter()
                .any(|step| step.as_str() == definition.id.as_str());
            if waits {
                excluded.push(Excluded {
                    agent: definition.id.clone(),
                    reason: refused.to_string(),
                });
            }
            !waits
        });
    }
}

/// Why an agent cannot be had: what it needs is left out, or nobody has registered it.
fn needs_absent(
    definition: &AgentDefinition,
    registered: &BTreeMap<AgentId, AgentDefinition>,
    gone: &BTreeSet<AgentId>,
) -> Option<String> {
    let needed = definition.dependencies.iter().filter(|edge| !edge.optional);
    needed.map(|edge| &edge.agent).find_map(|agent| {
        if gone.contains(agent) {
            Some(format!("it needs `{agent}`, which is left out"))
        } else if registered.contains_key(agent) {
            None
        } else {
            Some(format!("it needs `{agent}`, which is not registered"))
        }
    })
}

/// The rules of the steps that these definitions make with what each lacks, their edges within the set.
fn rules_among(
    kept: &[(&AgentDefinition, Lacking)],
    priors: &BTreeMap<AgentId, Prior>,
    prices: &Prices,
) -> Result<Vec<StepRules>, Refused> {
    let present: BTreeSet<&str> = kept
        .iter()
        .map(|(definition, _)| definition.id.as_str())
        .collect();
    let mut steps = Vec::new();
    for (definition, lacking) in kept {
        let lost = definition
            .dependencies
            .iter()
            .filter(|edge| !edge.optional && !present.contains(edge.agent.as_str()))
            .map(|edge| format!("its dependency `{}` is left out", edge.agent));
        let missing = lacking.required.iter().cloned().chain(lost).collect();
        let mut rules = StepRules::of(definition, missing, prices).map_err(|error| {
            Refused::InvalidDefinition {
                agent: definition.id.clone(),
                reason: error.to_string(),
            }
        })?;
        rules.prior = priors.get(&definition.id).cloned().map(Box::new);
        if rules.prior.is_some() {
            rules.dependencies.clear();
            rules.missing.clear();
        }
        rules.absent.clone_from(&lacking.optional);
        rules
            .dependencies
            .retain(|edge| present.contains(edge.step.as_str()));
        steps.push(rules);
    }
    Graph::build(steps.clone())?;
    Ok(steps)
}

/// Priors of agents that nobody has registered: nothing says what to make of them.
fn strangers(
    registered: &BTreeMap<AgentId, AgentDefinition>,
    given: &Given,
) -> impl Iterator<Item = Excluded> {
    let strangers = given
        .enrichments
        .keys()
        .filter(|agent| !registered.contains_key(*agent));
    strangers.map(|agent| Excluded {
        agent: agent.clone(),
        reason: "its enrichment came with the plan, but there is no such agent".to_owned(),
    })
}

/// `asked`, the priors, and everything that they depend on, dependencies first. Of those asked for by name all must be there.
fn with_dependencies<'a>(
    registered: &'a BTreeMap<AgentId, AgentDefinition>,
    asked: &[AgentId],
    named: bool,
    priors: &BTreeMap<AgentId, Prior>,
) -> Result<Vec<&'a AgentDefinition>, Refused> {
    let mut order: Vec<&AgentDefinition> = Vec::new();
    let mut seen = BTreeSet::new();
    // A stack of (agent, whether its dependencies are already placed): depth first without recursion.
    let mut stack: Vec<(AgentId, bool)> = asked
        .iter()
        .rev()
        .chain(priors.keys().rev())
        .map(|agent| (agent.clone(), false))
        .collect();
    while let Some((agent, placed)) = stack.pop() {
        let Some(definition) = registered.get(&agent) else {
            return Err(Refused::UnknownAgent {
                nearest: nearest(&agent, registered.keys()),
                agent,
            });
        };
        if placed {
            order.push(definition);
        } else if seen.insert(agent.clone()) {
            stack.push((agent.clone(), true));
            if priors.contains_key(&agent) {
                continue;
            }
            for edge in definition.dependencies.iter().rev() {
                if registered.contains_key(&edge.agent) {
                    stack.push((edge.agent.clone(), false));
                } else if named && !edge.optional {
                    return Err(GraphError::UnknownDependency {
                        step: (&definition.id).into(),
                        dependency: (&edge.agent).into(),
                    }
                    .into());
                }
            }
        }
    }
    Ok(order)
}

/// What the plan lacks of an agent's inputs.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// Each with its reason.
    pub(super) required: Vec<String>,
    /// By name.
    optional: Vec<String>,
}

pub(super) fn lacking_inputs(
    definition: &AgentDefinition,
    lacks: &dyn Fn(&InputRef) -> Option<String>,
) -> Result<Lacking, Refused> {
    let inputs = definition
        .inputs()
        .map_err(|error| Refused::InvalidDefinition {
            agent: definition.id.clone(),
            reason: error.to_string(),
        })?;
    let mut lacking = Lacking::default();
    for mut input in inputs {
        if !input.optional && input.is_plan() {
            continue;
        }
        let Some(why) = lacks(&input) else { continue };
        if input.optional {
            input.optional = false;
            lacking.optional.push(input.to_string());
        } else {
            lacking.required.push(format!("{input}: {why}"));
        }
    }
    // What is asked for twice is told once, and where it is required, as that.
    lacking.optional.sort();
    lacking.optional.dedup();
    let required = lacking.required.iter();
    let names: BTreeSet<&str> = required
        .filter_map(|told| Some(told.split_once(": ")?.0))
        .collect();
    lacking
        .optional
        .retain(|name| !names.contains(name.as_str()));
    Ok(lacking)
}

/// The name with the fewest edits (Levenshtein 1966) from `agent`, if at most a third of it would change.
fn nearest<'a>(agent: &AgentId, known: impl Iterator<Item = &'a AgentId>) -> Option<AgentId> {
    let distance = |a: &str, b: &str| {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.bytes().enumerate() {
                let fewest = (diagonal + usize::from(x != y))
                    .min(row[j] + 1)
                    .min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], fewest);
            }
        }
        row[b.len()]
    };
    known
        .map(|id| (distance(agent.as_str(), id.as_str()), id))
        .min()
        .filter(|(edits, id)| edits * 3 <= agent.as_str().len().max(id.as_str().len()))
        .map(|(_, id)| id.clone())
}
