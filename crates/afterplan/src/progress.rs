//! Live progress: a tree of steps on a terminal, plain lines elsewhere.

mod tree;

use std::io::IsTerminal;

use domain::orchestration::event::{Event, Recorded};
use domain::orchestration::state::Orchestration;
use domain::values::ids::OrchestrationId;
use report::words;

use crate::progress::tree::Tree;
use crate::screen::{note, plain};

/// Shows how an orchestration goes on, on standard error.
pub enum Progress {
    /// A line a step, redrawn in place.
    Tree(Tree),
    /// A line an event of this orchestration.
    Lines(OrchestrationId),
}

impl Progress {
    /// For the steps of `state`, which is that of `id`.
    pub fn of(id: OrchestrationId, state: &Orchestration) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines(id);
        }
        Self::Tree(Tree::of(state))
    }

    /// An event came; `state` is what it made.
    pub fn show(&self, state: &Orchestration, recorded: &Recorded) {
        match self {
            Self::Tree(tree) => tree.draw(state, recorded.at),
            Self::Lines(id) => {
                let line = plain(&words::event(&recorded.event));
                // The id, by which another shell can steer it, is needed before anything goes wrong.
                note(&match recorded.event {
                    Event::OrchestrationCreated(_) => {
                        line.replacen("created", &format!("created orchestration {id}"), 1)
                    }
                    _ => line,
                });
            }
        }
    }

    /// Says something beside the steps.
    pub fn say(&self, line: &str) {
        match self {
            Self::Tree(tree) => tree.say(line),
            Self::Lines(_) => note(line),
        }
    }

    /// Shows no more: somebody wants to leave.
    pub fn freeze(&self) {
        if let Self::Tree(tree) = self {
            tree.freeze();
        }
    }

    /// Leaves the last picture standing.
    pub fn end(&self) {
        if let Self::Tree(tree) = self {
            tree.end();
        }
    }
}
