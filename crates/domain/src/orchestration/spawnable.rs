//! What the steps of an orchestration may spawn, found before it starts: the agents that their definitions name, and those that
//! these name in turn. A circle among them is no fault; how deep and how many they may be is bounded when they spawn.

use std::collections::BTreeSet;

use crate::agent::definition::AgentDefinition;
use crate::agent::input::InputRef;
use crate::agent::reference::AgentReference;
use crate::canonical::CanonicalError;
use crate::money::prices::Prices;
use crate::orchestration::children::Spawning;
use crate::orchestration::graph::StepRules;
use crate::orchestration::select::lacking_inputs;
use crate::values::ids::AgentId;

/// The definitions that may be spawned and are not among `pinned` themselves, and the rules of all that may be. `registered`
/// says which definition is meant that is not pinned yet: several versions of one agent may be. What is named and not
/// registered is left out: whoever asks for it is told. At most `max_steps` steps are wanted in all.
///
/// # Errors
/// When a definition cannot be hashed.
pub fn spawnable<'a>(
    registered: &dyn Fn(&AgentReference) -> Option<&'a AgentDefinition>,
    pinned: &'a [AgentDefinition],
    max_steps: usize,
    lacks: &dyn Fn(&InputRef) -> Option<String>,
    prices: &Prices,
) -> Result<(Vec<AgentDefinition>, Option<Box<Spawning>>), CanonicalError> {
    let mut named: BTreeSet<(&AgentId, &str)> = BTreeSet::new();
    let mut new: Vec<AgentDefinition> = Vec::new();
    let mut untold: Vec<&AgentDefinition> = pinned.iter().collect();
    let mut rules = Vec::new();
    while let Some(definition) = untold.pop() {
        for reference in &definition.spawnable_agents {
            let own = pinned.iter().find(|agent| reference.means(agent));
            let Some(agent) = own.or_else(|| registered(reference)) else {
                continue;
            };
            if !named.insert((&agent.id, &agent.version)) {
                continue;
            }
            // What cannot be read is found when the child is performed; a step of the graph was held against it already.
            let missing = lacking_inputs(agent, lacks).map(|lacking| lacking.required);
            rules.push(StepRules::of(agent, missing.unwrap_or_default(), prices)?);
            if own.is_none() {
                new.push(agent.clone());
                untold.push(agent);
            }
        }
    }
    let spawning = (!rules.is_empty()).then(|| {
        Box::new(Spawning {
            max_steps: u32::try_from(max_steps).unwrap_or(u32::MAX),
            agents: rules,
        })
    });
    Ok((new, spawning))
}

/// What these definitions may spawn and nobody among them is, each with who names it.
pub fn unmet(definitions: &[AgentDefinition]) -> Vec<(&AgentId, &AgentReference)> {
    let named = definitions.iter().flat_map(|agent| {
        let references = agent.spawnable_agents.iter();
        references.map(move |reference| (&agent.id, reference))
    });
    let is_there = |reference: &AgentReference| definitions.iter().any(|of| reference.means(of));
    named
        .filter(|(_, reference)| !is_there(reference))
        .collect()
}
