//! Child steps: what a step spawns on its way. They are steps of the same graph, and belong to their parent: it is parked until
//! all of them have ended, what they give goes to it and not to the plan, and they end with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::money::charge::Outcome;
use crate::money::price::Again;
use crate::money::usage::Usage;
use crate::orchestration::command::{Holder, Rejected};
use crate::orchestration::ending::Ending;
use crate::orchestration::event::{Event, ParkedFor};
use crate::orchestration::graph::{StepIndex, StepRules};
use crate::orchestration::report::held;
use crate::orchestration::spending;
use crate::orchestration::standing::Wait;
use crate::orchestration::state::{Orchestration, Step, StepState};
use crate::values::credits::Credits;
use crate::values::hash::ContentHash;
use crate::values::ids::{AgentId, StepId, TEXT_ID_MAX};
use crate::values::time::Timestamp;

/// How deep children may lie below a step of the submitted graph.
pub const DEPTH_MAX: u32 = 4;

/// Most children of one step, however much its definition allows.
pub const CHILDREN_MAX: u32 = 64;

/// What an orchestration may spawn, pinned when it is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spawning {
    /// Most steps in all, children among them.
    pub max_steps: u32,
    /// The rules that children of these agents live by, but for their ids.
    pub agents: Vec<StepRules>,
}

impl Spawning {
    /// The rules that children of this version of the agent live by.
    fn rules(&self, (agent, version): (&AgentId, &str)) -> Option<&StepRules> {
        let mut pinned = self.agents.iter();
        pinned.find(|rules| rules.agent == *agent && rules.agent_version == version)
    }
}

/// What makes a step a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Child {
    /// Who spawned it.
    pub parent: StepId,
    /// 1 for the child of a step of the submitted graph.
    pub depth: u32,
    /// The conversation of its parent that wants it.
    pub conversation: u32,
    /// The turn there that its end is a part of.
    pub turn: u32,
    /// Its place among the children that this turn asked for, from 0.
    pub place: u32,
    /// What it was asked (JSON): its own turn 0.
    pub input: ContentHash,
    /// The rules that it lives by.
    pub rules: StepRules,
}

/// A child that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChild {
    /// Who shall perform it.
    pub agent: AgentId,
    /// In which version.
    pub version: String,
    /// Its place among those asked for together, from 0.
    pub place: u32,
    /// What it is asked (JSON).
    pub input: ContentHash,
}

/// Children that a turn asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Spawn {
    /// The turn that waits for them.
    pub turn: u32,
    /// Those, in the order asked.
    pub children: Vec<NewChild>,
    /// The most children that the parent's definition allows, all together.
    pub most: u32,
    /// What the attempt used so far.
    pub usage: Usage,
}

impl Orchestration {
    /// A child, which waits for nothing but to be ready.
    pub(super) fn spawn(&mut self, child: &Child) {
        let Some(parent) = self.graph.index(&child.parent) else {
            return;
        };
        Arc::make_mut(&mut self.graph).push(parent, child.rules.clone());
        self.steps.push(Step {
            child: Some(Box::new(child.clone())),
            ..Step::default()
        });
        self.tally.unended += 1;
        let parent = &mut self.steps[parent];
        parent.children += 1;
        parent.awaits += 1;
    }

    /// Out of flight until its children have ended. Meanwhile its clocks stand still: theirs go.
    pub(super) fn await_children(&mut self, index: StepIndex, at: Timestamp) {
        // Where earlier turns are charged again, the next attempt tells of them itself.
        let price = self.graph.rules(index).price.as_ref();
        let again = price.is_some_and(|price| price.billing.replayed == Again::Full);
        let used = self.steps[index].used.take().filter(|_| !again);
        self.leave_flight(index);
        let step = &mut self.steps[index];
        let tokens = used.and_then(|used| used.tokens()).unwrap_or(0);
        step.tokens_before = step.tokens_before.saturating_add(tokens);
        step.short_since = Some(at);
        step.state = StepState::Parked;
    }

    /// What the step's attempt holds, and with it the steps above it and the whole.
    pub(super) fn hold(&mut self, index: StepIndex, hold: Credits) {
        let before = std::mem::replace(&mut self.steps[index].hold, hold);
        let more = hold.saturating_sub(before);
        if let Some(head) = &mut self.head {
            head.held = head.held.saturating_add(more);
        }
        for above in self.graph.ancestors(index) {
            let step = &mut self.steps[above];
            step.held_below = step.held_below.saturating_add(more);
        }
    }

    /// Why a child of this version of `agent` below the step at `index`, which may have `most` children, would be refused.
    pub fn refuses_child(
        &self,
        index: StepIndex,
        (agent, version): (&AgentId, &str),
        most: u32,
    ) -> Option<String> {
        let Some(spawning) = self.graph.spawning() else {
            return Some("this orchestration spawns nothing".to_owned());
        };
        let Some(rules) = spawning.rules((agent, version)) else {
            return Some(format!(
                "`{agent}@{version}` is not among the agents that were pinned"
            ));
        };
        if !rules.missing.is_empty() {
            return Some(format!("the plan lacks {}", rules.missing.join(", ")));
        }
        if self.depth(index) >= DEPTH_MAX {
            return Some(format!("children lie at most {DEPTH_MAX} levels deep"));
        }
        let most = most.min(CHILDREN_MAX);
        if self.steps[index].children >= most {
            return Some(format!("a step of this agent has at most {most} children"));
        }
        let max = spawning.max_steps;
        (self.steps.len() >= max as usize)
            .then(|| format!("the orchestration has at most {max} steps"))
    }

    /// How deep the step at `index` lies: 0 for one of the submitted graph.
    pub fn depth(&self, index: StepIndex) -> u32 {
        let child = self.steps[index].child.as_ref();
        child.map_or(0, |child| child.depth)
    }

    /// The children that turn `turn` of `conversation` of the step at `index` asked for, each with its place.
    pub fn asked_for(
        &self,
        index: StepIndex,
        conversation: u32,
        turn: u32,
    ) -> impl Iterator<Item = (u32, StepIndex)> + '_ {
        let children = self.graph.children(index).iter().copied();
        children.filter_map(move |at| {
            let child = self.steps[at].child.as_deref()?;
            let is_of_it = child.conversation == conversation && child.turn == turn;
            is_of_it.then_some((child.place, at))
        })
    }
}

/// The parent is parked and its children are there, those that do not fit left out. When none fits nothing happens.
pub(super) fn spawn(
    state: &Orchestration,
    id: &StepId,
    attempt: u32,
    holder: Holder,
    spawn: &Spawn,
) -> Result<Vec<Event>, Rejected> {
    let index = held(state, id, attempt, holder)?;
    let step = &state.steps[index];
    let next = step.turns.map_or(1, |so_far| so_far.turns + 1);
    if spawn.turn != next {
        return Err(Rejected::OutOfTurn {
            step: id.clone(),
            turn: spawn.turn,
            next,
        });
    }
    let whole = state
        .head
        .as_ref()
        .and_then(|head| head.cancelling.as_ref());
    if whole.or(step.cancelling.as_ref()).is_some() {
        let (step, wait) = (id.clone(), Wait::Cancelling);
        return Err(Rejected::NotStartable { step, wait });
    }
    let conversation = step.turns.map_or(attempt, |so_far| so_far.conversation);
    let mut working = Fitting::below(state, index, spawn.most);
    for wanted in &spawn.children {
        let Some((child, rules)) = working.next((&wanted.agent, &wanted.version))? else {
            continue;
        };
        working.spawned.push(Child {
            parent: id.clone(),
            depth: state.depth(index) + 1,
            conversation,
            turn: spawn.turn,
            place: wanted.place,
            input: wanted.input,
            rules: StepRules { id: child, ..rules },
        });
    }
    if working.spawned.is_empty() {
        return Err(Rejected::NoChild(id.clone()));
    }
    Ok(spawned(state, index, working.spawned, &spawn.usage))
}

/// Finds room for one child after another.
struct Fitting<'a> {
    state: &'a Orchestration,
    index: StepIndex,
    most: u32,
    spawned: Vec<Child>,
    named: u32,
}

impl<'a> Fitting<'a> {
    fn below(state: &'a Orchestration, index: StepIndex, most: u32) -> Self {
        Self {
            state,
            index,
            most: most.min(CHILDREN_MAX),
            spawned: Vec::new(),
            named: state.steps[index].children,
        }
    }

    /// A name and rules for a child of this version of an agent, if one fits.
    fn next(&mut self, agent: (&AgentId, &str)) -> Result<Option<(StepId, StepRules)>, Rejected> {
        let refused = self.state.refuses_child(self.index, agent, self.most);
        let spawned = u32::try_from(self.spawned.len()).unwrap_or(u32::MAX);
        let spawning = match (refused, self.state.graph.spawning()) {
            (None, Some(spawning)) => spawning,
            _ => return Ok(None),
        };
        let full = self.state.steps.len() + self.spawned.len() >= spawning.max_steps as usize
            || self.state.steps[self.index].children + spawned >= self.most;
        let rules = spawning.rules(agent);
        match rules.filter(|_| !full) {
            Some(rules) => Ok(Some((self.name()?, childlike(rules)))),
            None => Ok(None),
        }
    }

    /// `parent.1`, `parent.2`, …: the first that nothing bears.
    fn name(&mut self) -> Result<StepId, Rejected> {
        let parent = self.state.graph.rules(self.index).id.clone();
        loop {
            self.named += 1;
            let number = format!(".{}", self.named);
            let kept = parent.as_str().len().min(TEXT_ID_MAX - number.len());
            let id = StepId::new(&format!("{}{number}", &parent.as_str()[..kept]))
                .map_err(|_| Rejected::NoChild(parent.clone()))?;
            let is_new = |child: &Child| child.rules.id != id;
            if self.state.graph.index(&id).is_none() && self.spawned.iter().all(is_new) {
                return Ok(id);
            }
        }
    }
}

/// A child waits for nothing, skips nothing, and nobody takes over what it gives: it was asked by its parent alone.
fn childlike(rules: &StepRules) -> StepRules {
    StepRules {
        dependencies: Vec::new(),
        gate: None,
        aborts: false,
        runs_after_gate: false,
        reusable: false,
        ..rules.clone()
    }
}

fn spawned(
    state: &Orchestration,
    index: StepIndex,
    children: Vec<Child>,
    usage: &Usage,
) -> Vec<Event> {
    let charge = spending::at_end(state, index, Outcome::Parked, usage);
    let mut events = Vec::with_capacity(2 * children.len() + 1);
    let mut ready = Vec::with_capacity(children.len());
    for child in children {
        let step = child.rules.id.clone();
        ready.push(if child.rules.approval {
            Event::StepParked {
                step: step.clone(),
                parked_for: ParkedFor::Approval,
                gate: None,
                short: None,
                charge: None,
            }
        } else {
            Event::StepReady {
                step: step.clone(),
                gate: None,
                approved_by: None,
                raised: None,
            }
        });
        let child = Box::new(child);
        events.push(Event::ChildSpawned { step, child });
    }
    events.push(Event::StepParked {
        step: state.graph.rules(index).id.clone(),
        parked_for: ParkedFor::Children,
        gate: None,
        short: None,
        charge: charge.map(Box::new),
    });
    events.extend(ready);
    events
}

impl Ending<'_> {
    /// Nobody waits any more for what the children of the step at `index` give.
    pub(super) fn end_children(&mut self, index: StepIndex) {
        let reason = format!("`{}`, which spawned it, has ended", self.id(index));
        for &child in self.orchestration.graph.children(index) {
            if self.ended_as(child).is_none() {
                self.cancel_step(child, &reason);
            }
        }
    }

    /// The last child to end brings its parent back into the queue.
    pub(super) fn tell_parent(&mut self, index: StepIndex) {
        let Some(parent) = self.orchestration.graph.parent(index) else {
            return;
        };
        if self.ended_as(parent).is_some() {
            return;
        }
        let awaits = self.orchestration.steps[parent].awaits;
        let left = self.awaits.entry(parent).or_insert(awaits);
        *left = left.saturating_sub(1);
        if *left == 0 {
            let step = self.id(parent);
            self.events.push(Event::StepReady {
                step,
                gate: None,
                approved_by: None,
                raised: None,
            });
        }
    }
}
