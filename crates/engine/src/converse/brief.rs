//! What a conversation must know of its orchestration: taken when the attempt starts.

use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::agent::input::InputRef;
use domain::agent::model::ModelUse;
use domain::orchestration::children::{CHILDREN_MAX, Child, DEPTH_MAX};
use domain::orchestration::command::Holder;
use domain::orchestration::graph::{StepIndex, StepRules};
use domain::orchestration::state::{Cause, Orchestration, StepState};
use domain::orchestration::submission::Pinned;
use domain::orchestration::turns::SoFar;
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, StepId};

use crate::gather;
use crate::plans::LoadedPlan;
use crate::registry::Prepared;

/// What a conversation must know of its orchestration.
#[derive(Debug)]
pub struct Brief {
    /// Who holds the attempt.
    pub holder: Holder,
    /// Whose the orchestration is.
    pub account: Option<AccountId>,
    /// How far its conversation has come.
    pub turns: Option<SoFar>,
    /// The plan.
    pub plan: Arc<LoadedPlan>,
    /// The agent.
    pub prepared: Arc<Prepared>,
    /// All definitions of the orchestration.
    pub pinned: Arc<Pinned>,
    /// The enrichments that the step builds on; of a child those that the step above all builds on.
    pub built_on: Vec<(StepId, ContentHash)>,
    /// The conversations that it declares to hear: whose, which, and what was said in it.
    pub heard: Vec<(String, u32, ContentHash)>,
    /// Whether another agent declares to hear this conversation.
    pub is_heard: bool,
    /// What makes it a child.
    pub child: Option<Box<Child>>,
    /// Levels of children that may lie below it.
    pub depth_left: u32,
    /// Children that other conversations of the step have spawned.
    pub children_before: u32,
    /// The children that the next turn has waited for, by their places.
    pub ended: Vec<(u32, Ended)>,
    /// What its first question is counted as already.
    pub drawn: Option<ModelUse>,
    /// What the attempt holds.
    pub held: Credits,
    /// The rules that the step lives by.
    pub rules: StepRules,
    /// What may be spawned, with its bounds, for who is refused a child.
    pub bounds: String,
}

/// How a child has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What it gave.
    pub data: Option<ContentHash>,
    /// Whether that is all that was promised.
    pub whole: bool,
    /// Why not.
    pub why: String,
}

impl Brief {
    /// Of the step at `index`, whose attempt starts.
    pub fn of(
        state: &Orchestration,
        index: StepIndex,
        holder: Holder,
        plan: Arc<LoadedPlan>,
        (prepared, pinned): (Arc<Prepared>, Arc<Pinned>),
    ) -> Self {
        let step = &state.steps[index];
        let conversation = step
            .turns
            .map_or(step.attempt, |so_far| so_far.conversation);
        let next = step.turns.map_or(1, |so_far| so_far.turns + 1);
        let ended = state.asked_for(index, conversation, next);
        let ended = ended.map(|(place, child)| (place, Ended::of(state, child)));
        let top = state.graph.ancestors(index).last().unwrap_or(index);
        let built_on = state.graph.dependencies(top).filter_map(|dependency| {
            let enrichment = state.steps[dependency].enrichment.as_ref()?;
            Some((state.graph.rules(dependency).id.clone(), enrichment.data))
        });
        let of_others = state.graph.children(index).iter().filter(|&&child| {
            let child = state.steps[child].child.as_deref();
            child.is_some_and(|child| child.conversation != conversation)
        });
        let max_steps = state
            .graph
            .spawning()
            .map_or(0, |spawning| spawning.max_steps);
        let hears = prepared.hears.iter().filter_map(|of| {
            let (conversation, said) = gather::said_in(state, of)?;
            Some((of.clone(), conversation, said))
        });
        let own = format!("{}{}", InputRef::MESSAGES, prepared.definition.id);
        Self {
            holder,
            account: state.head.as_ref().map(|head| head.account.clone()),
            heard: hears.collect(),
            is_heard: step.child.is_none()
                && pinned.agents.iter().any(|agent| declares(agent, &own)),
            turns: step.turns,
            built_on: built_on.collect(),
            child: step.child.clone(),
            depth_left: DEPTH_MAX.saturating_sub(state.depth(index)),
            children_before: u32::try_from(of_others.count()).unwrap_or(CHILDREN_MAX),
            ended: ended.collect(),
            drawn: step.model.as_deref().cloned(),
            held: step.hold,
            rules: state.graph.rules(index).clone(),
            bounds: format!(
                "a step has at most {} children, they lie at most {DEPTH_MAX} levels deep, the orchestration has at most {max_steps} steps, and the plan must have what an agent requires",
                prepared.definition.children_max().min(CHILDREN_MAX),
            ),
            plan,
            prepared,
            pinned,
        }
    }

    /// The attempt that began the conversation which `attempt` goes on with.
    pub fn conversation(&self, attempt: u32) -> u32 {
        self.turns.map_or(attempt, |so_far| so_far.conversation)
    }
}

/// Whether the agent declares `input`, as something that may be absent or not.
fn declares(agent: &AgentDefinition, input: &str) -> bool {
    let schema = &agent.input_schema;
    let mut declared = schema.fields.iter().chain(&schema.context);
    declared.any(|text| text.strip_suffix('?').unwrap_or(text) == input)
}

impl Ended {
    fn of(state: &Orchestration, index: StepIndex) -> Self {
        let step = &state.steps[index];
        let enrichment = step.enrichment.as_ref();
        let partial = enrichment.and_then(|enrichment| enrichment.reason.clone());
        let how = match step.state {
            StepState::Ended(ended) => ended.name(),
            other => other.name(),
        };
        let why = match &step.cause {
            Some(Cause::Failed(cause)) => cause.to_string(),
            Some(Cause::Cancelled { reason }) => format!("cancelled: {reason}"),
            _ => partial.clone().unwrap_or_else(|| how.to_owned()),
        };
        Self {
            data: enrichment.map(|enrichment| enrichment.data),
            whole: partial.is_none(),
            why,
        }
    }
}
