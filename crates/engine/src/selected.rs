//! Which steps a submission has, and what is pinned for them: worked out once for all submissions that ask for the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::agent::definition::{AgentDefinition, Executor};
use domain::agent::input::InputRef;
use domain::agent::reference::AgentReference;
use domain::money::prices::Prices;
use domain::orchestration::children::Spawning;
use domain::orchestration::event::Excluded;
use domain::orchestration::graph::StepRules;
use domain::orchestration::prior::Given;
use domain::orchestration::select::{MAX_STEPS, Refused, Selection, Wanted, select};
use domain::orchestration::spawnable::{spawnable, unmet};
use domain::orchestration::submission::Pinned;
use domain::values::hash::ContentHash;
use domain::values::ids::AgentId;
use serde_json::{Map, Value};
use store::write::NewBlob;
use tracing::warn;

use crate::error::SubmitError;
use crate::plans::LoadedPlan;
use crate::project;
use crate::registry::Agents;

/// Selections that are kept in memory.
const KEPT: usize = 32;

/// What a submission asks for, beside the plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    /// Which agents.
    pub(crate) wanted: Wanted,
    /// Settings for all agents.
    pub(crate) parameters: Map<String, Value>,
    /// Most steps; none means the default.
    pub(crate) max_steps: Option<usize>,
}

/// What it gets.
#[derive(Debug)]
pub(crate) struct Selected {
    /// The definitions, and their hash.
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) hash: ContentHash,
    /// They as they are stored.
    pub(crate) blob: NewBlob,
    pub(crate) steps: Vec<StepRules>,
    pub(crate) excluded: Vec<Excluded>,
    pub(crate) version: u64,
    /// What the steps may spawn; the definitions are pinned too.
    pub(crate) spawning: Option<Box<Spawning>>,
}

/// A selection that was made, with all that it depended on.
#[derive(Debug)]
struct Made {
    agents: Arc<Agents>,
    wish: Wish,
    planexe: bool,
    /// What the plan was asked, and what it answered.
    asked: Vec<(InputRef, Option<String>)>,
    selected: Arc<Selected>,
}

/// The latest selections, the last one used at the end.
#[derive(Debug, Default)]
pub(crate) struct Selections(Mutex<Vec<Arc<Made>>>);

impl Selections {
    /// The steps for `wish` on `plan`, which comes with `given`. `lacks` says why the plan lacks an input, if it does. The
    /// table of prices is the same each time.
    pub(crate) fn of(
        &self,
        agents: &Arc<Agents>,
        wish: Wish,
        plan: &LoadedPlan,
        given: &Given,
        lacks: &dyn Fn(&InputRef) -> Option<String>,
        prices: &Prices,
    ) -> Result<Arc<Selected>, SubmitError> {
        if !given.enrichments.is_empty() || given.version > 1 {
            let (selected, _) = make(agents, &wish, plan, (given, lacks), prices)?;
            return Ok(Arc::new(selected));
        }
        let planexe = plan.is_planexe();
        let fits = |made: &&Arc<Made>| {
            Arc::ptr_eq(&made.agents, agents)
                && made.planexe == planexe
                && made.wish == wish
                && made.asked.iter().all(|(input, said)| lacks(input) == *said)
        };
        let known = self.made().clone();
        if let Some(made) = known.iter().rev().find(fits) {
            return Ok(made.selected.clone());
        }
        let (selected, asked) = make(agents, &wish, plan, (given, lacks), prices)?;
        let selected = Arc::new(selected);
        let made = Made {
            agents: agents.clone(),
            wish,
            planexe,
            asked,
            selected: selected.clone(),
        };
        let mut known = self.made();
        known.retain(|other| Arc::ptr_eq(&other.agents, agents));
        if known.len() >= KEPT {
            known.remove(0);
        }
        known.push(Arc::new(made));
        Ok(selected)
    }

    fn made(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Made>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why the plan lacks an input, if it does.
type Lacks<'a> = dyn Fn(&InputRef) -> Option<String> + 'a;

/// What the plan was asked, and what it answered.
type Asked = Vec<(InputRef, Option<String>)>;

fn make(
    agents: &Agents,
    wish: &Wish,
    plan: &LoadedPlan,
    (given, lacks): (&Given, &Lacks<'_>),
    prices: &Prices,
) -> Result<(Selected, Asked), SubmitError> {
    let registered = agents.enabled();
    let (wanted, mut excluded) = without_analyses(registered, &wish.wanted, plan);
    let asked = std::cell::RefCell::new(Asked::new());
    let asking = |input: &InputRef| {
        let said = lacks(input);
        asked.borrow_mut().push((input.clone(), said.clone()));
        said
    };
    let selection = select(registered, &wanted, wish.max_steps, given, &asking, prices);
    let selection = selection.map_err(|refused| match refused {
        Refused::NoStepLeft(others) => {
            excluded.extend(others);
            Refused::NoStepLeft(std::mem::take(&mut excluded))
        }
        refused => refused,
    })?;
    let Selection {
        mut definitions,
        steps,
        excluded: others,
        version,
    } = selection;
    excluded.extend(others);
    let most = wish.max_steps.unwrap_or(MAX_STEPS.max(registered.len()));
    let meant = |reference: &AgentReference| agents.meant(reference);
    let (mut more, spawning) = spawnable(&meant, &definitions, most, &asking, prices)?;
    // Who names no version means the latest: it is found first.
    more.sort_by_key(|agent| {
        let latest = registered.get(&agent.id);
        latest.is_some_and(|latest| latest.version != agent.version)
    });
    definitions.extend(more);
    tell_unmet(&definitions, &wish.wanted)?;
    let pinned = Pinned {
        agents: definitions,
        parameters: wish.parameters.clone(),
    };
    let bytes =
        serde_json::to_vec(&pinned).map_err(|error| SubmitError::Canonical(error.into()))?;
    let (hash, blob) = project::blob(bytes);
    let selected = Selected {
        pinned: Arc::new(pinned),
        hash,
        blob,
        steps,
        excluded,
        version,
        spawning,
    };
    Ok((selected, asked.into_inner()))
}

/// Tells of children that nobody is. Who is asked for by name, and names a version that is not there, is refused: it was promised
/// that one and no other.
fn tell_unmet(definitions: &[AgentDefinition], wanted: &Wanted) -> Result<(), Refused> {
    for (agent, reference) in unmet(definitions) {
        let asked = matches!(wanted, Wanted::Named(agents) if agents.contains(agent));
        if asked && reference.parts().version.is_some() {
            return Err(Refused::InvalidDefinition {
                agent: agent.clone(),
                reason: format!("spawnableAgents: `{reference}` is not registered"),
            });
        }
        warn!(agent.id = %agent, "`{reference}`, which `{agent}` may spawn, is not registered: it cannot be spawned");
    }
    Ok(())
}

/// The default set without the built-in analyses where the plan is none of PlanExe's: they would find nothing to say.
fn without_analyses(
    registered: &BTreeMap<AgentId, AgentDefinition>,
    wanted: &Wanted,
    plan: &LoadedPlan,
) -> (Wanted, Vec<Excluded>) {
    let Wanted::Default(agents) = wanted else {
        return (wanted.clone(), Vec::new());
    };
    if plan.is_planexe() {
        return (wanted.clone(), Vec::new());
    }
    let built_in = |agent: &AgentId| {
        let definition = registered.get(agent);
        definition.is_some_and(|definition| definition.executor == Some(Executor::Analysis {}))
    };
    let (analyses, others): (Vec<_>, Vec<_>) = agents.iter().cloned().partition(built_in);
    let excluded = analyses.into_iter().map(|agent| Excluded {
        agent,
        reason: "it reads PlanExe's artifacts, and this is no PlanExe plan".to_owned(),
    });
    (Wanted::Default(others), excluded.collect())
}
