//! How an orchestration and its steps stand, in the wire's words.

use domain::agent::gate::Verdict;
use domain::orchestration::event::{EndedAs, SkipCause};
use domain::orchestration::state::{Cause, Orchestration, Status, Step, StepState};
use domain::values::ids::StepId;
use serde::Serialize;
use utoipa::ToSchema;

/// How an orchestration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrchestrationStatus {
    /// No step has started.
    Pending,
    /// Steps are left.
    Running,
    /// All completed or gated off.
    Complete,
    /// Some enrichments stand.
    Partial,
    /// Aborted, or no enrichment stands.
    Failed,
    /// Stopped as asked.
    Cancelled,
}

impl OrchestrationStatus {
    /// How `state` stands.
    pub fn of(state: &Orchestration) -> Self {
        let started = state.head.as_ref().is_some_and(|head| head.last_number > 0);
        Self::named(state.status(), started)
    }

    /// The wire's word for `status`.
    pub fn named(status: Status, started: bool) -> Self {
        match status {
            Status::New => Self::Pending,
            Status::Running if started => Self::Running,
            Status::Running => Self::Pending,
            Status::Complete => Self::Complete,
            Status::Partial => Self::Partial,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// The agents of an orchestration by how their steps stand.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agents<'a> {
    /// Completed.
    pub completed_agents: Vec<&'a str>,
    /// Failed or too late.
    pub failed_agents: Vec<&'a str>,
    /// Left a part of what they promised.
    pub partial_agents: Vec<&'a str>,
    /// Could not start.
    pub skipped_agents: Vec<&'a str>,
    /// Not wanted for this plan.
    pub gated_agents: Vec<&'a str>,
    /// Stopped as asked.
    pub cancelled_agents: Vec<&'a str>,
}

impl<'a> Agents<'a> {
    /// Those of `state`, in the order of submission.
    pub fn of(state: &'a Orchestration) -> Self {
        let mut agents = Self::default();
        for (index, step) in state.steps.iter().enumerate() {
            let list = match step.state.ended() {
                Some(EndedAs::Completed) => &mut agents.completed_agents,
                Some(EndedAs::Failed | EndedAs::Timeout) => &mut agents.failed_agents,
                Some(EndedAs::Partial) => &mut agents.partial_agents,
                Some(EndedAs::Skipped) => &mut agents.skipped_agents,
                Some(EndedAs::GatedOff) => &mut agents.gated_agents,
                Some(EndedAs::Cancelled) => &mut agents.cancelled_agents,
                None => continue,
            };
            list.push(state.graph.rules(index).agent.as_str());
        }
        agents
    }

    /// Those at work now.
    pub fn current(state: &'a Orchestration) -> Vec<&'a str> {
        let running = |(index, step): (usize, &domain::orchestration::state::Step)| {
            (step.state == StepState::Running).then(|| state.graph.rules(index).agent.as_str())
        };
        state.steps.iter().enumerate().filter_map(running).collect()
    }
}

/// Why a step ended as it did, in words.
pub fn why(step: &Step) -> Option<String> {
    match step.cause.as_ref()? {
        Cause::Failed(cause) => Some(cause.to_string()),
        Cause::Cancelled { reason } => Some(reason.clone()),
        Cause::Skipped(cause) => Some(of_skip(cause)),
        Cause::Gated { gate, dependency } => Some(of_gate(gate.as_ref(), dependency.as_ref())),
    }
}

fn of_skip(cause: &SkipCause) -> String {
    match cause {
        SkipCause::MissingInput { names } => format!("missing input: {}", names.join("; ")),
        SkipCause::Dependency { step, ended } => {
            format!("it needs `{step}`, which ended as {}", ended.name())
        }
    }
}

fn of_gate(gate: Option<&Verdict>, dependency: Option<&StepId>) -> String {
    match (gate, dependency) {
        (Some(Verdict::Error { message }), _) => format!("its gate failed: {message}"),
        (Some(_), _) => "its gate is closed for this plan".to_owned(),
        (None, Some(step)) => format!("it needs `{step}`, which was gated off"),
        (None, None) => "it was gated off".to_owned(),
    }
}
