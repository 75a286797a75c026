//! What a decision will want to know of the world.

use crate::orchestration::command::Command;
use crate::orchestration::graph::StepIndex;
use crate::orchestration::state::Orchestration;

/// The facts to fetch before a command can be decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Steps whose gates must be evaluated.
    pub gates: Vec<StepIndex>,
    /// A step whose input hash, equal enrichment and counters must be looked up.
    pub start: Option<StepIndex>,
    /// A step whose question the limits of its provider, or of its account, may keep waiting.
    pub ask: Option<StepIndex>,
}

/// What deciding `command` on `state` takes.
pub fn needs(state: &Orchestration, command: &Command) -> Needs {
    match command {
        Command::OpenGates => Needs {
            gates: state.tally.gates_due.iter().copied().collect(),
            ..Needs::default()
        },
        Command::Start { step, .. } => Needs {
            start: state.graph.index(step),
            ..Needs::default()
        },
        Command::Ask { asking, .. } => Needs {
            ask: state.graph.index(&asking.step),
            ..Needs::default()
        },
        _ => Needs::default(),
    }
}
