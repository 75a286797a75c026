//! Live progress: a tree of steps on a terminal, plain lines elsewhere.

pub mod describe;
mod tree;

use std::io::IsTerminal;

use domain::orchestration::event::Recorded;
use domain::orchestration::state::Orchestration;

use crate::progress::tree::Tree;
use crate::screen::{note, plain};

/// Shows how an orchestration goes on, on standard error.
pub enum Progress {
    /// A line a step, redrawn in place.
    Tree(Tree),
    /// A line an event.
    Lines,
}

impl Progress {
    /// For the steps of `state`.
    pub fn of(state: &Orchestration) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        Self::Tree(Tree::of(state))
    }

    /// An event came; `state` is what it made.
    pub fn show(&self, state: &Orchestration, recorded: &Recorded) {
        match self {
            Self::Tree(tree) => tree.draw(state, recorded.at),
            Self::Lines => note(&plain(&describe::event(&recorded.event))),
        }
    }

    /// Says something beside the steps.
    pub fn say(&self, line: &str) {
        match self {
            Self::Tree(tree) => tree.say(line),
            Self::Lines => note(line),
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
