//! Live progress: a tree of steps on a terminal, plain lines elsewhere.

pub mod describe;

use std::io::IsTerminal;
use std::time::Duration;

use domain::orchestration::event::Recorded;
use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::{Orchestration, StepState};
use domain::values::time::Timestamp;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::screen::{note, plain, span};

/// Shows how an orchestration goes on, on standard error.
pub enum Progress {
    /// A line a step, redrawn in place.
    Tree(Tree),
    /// A line an event.
    Lines,
}

/// The tree's lines.
pub struct Tree {
    lines: Vec<ProgressBar>,
    _all: MultiProgress,
}

impl Progress {
    /// For the steps of `state`.
    pub fn of(state: &Orchestration) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let all = MultiProgress::new();
        let lines = state.graph.all().iter().map(|_| {
            let line = all.add(ProgressBar::new_spinner());
            line.set_style(
                ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            line
        });
        let tree = Tree {
            lines: lines.collect(),
            _all: all,
        };
        tree.draw(
            state,
            state
                .head
                .as_ref()
                .map_or(Timestamp(0), |head| head.created_at),
        );
        Self::Tree(tree)
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
            Self::Tree(tree) => {
                let _ = tree._all.println(line);
            }
            Self::Lines => note(line),
        }
    }

    /// Leaves the last picture standing.
    pub fn end(&self) {
        if let Self::Tree(tree) = self {
            tree.lines.iter().for_each(ProgressBar::abandon);
        }
    }
}

impl Tree {
    fn draw(&self, state: &Orchestration, now: Timestamp) {
        for (index, line) in self.lines.iter().enumerate() {
            line.set_message(step_line(state, index, now));
            if state.steps[index].state == StepState::Running {
                line.enable_steady_tick(Duration::from_millis(200));
            } else {
                line.disable_steady_tick();
            }
        }
    }
}

/// How deep a step lies: the longest way to it from a step without dependencies.
fn depth(state: &Orchestration, index: StepIndex) -> usize {
    state
        .graph
        .dependencies(index)
        .map(|dependency| depth(state, dependency) + 1)
        .max()
        .unwrap_or(0)
}

fn step_line(state: &Orchestration, index: StepIndex, now: Timestamp) -> String {
    let (rules, step) = (state.graph.rules(index), &state.steps[index]);
    let depth = depth(state, index).min(8);
    let branch = if depth == 0 {
        String::new()
    } else {
        format!("{}└ ", "  ".repeat(depth - 1))
    };
    let name = format!("{branch}{}", rules.id);
    let took = step
        .started_at
        .zip(step.ended_at)
        .map(|(start, end)| span((end - start).0));
    let cost = step
        .enrichment
        .as_ref()
        .map(|enrichment| format!("{} credits", enrichment.cost));
    let why = describe::why(state, index, now).map(|why| plain(&why));
    let details: Vec<String> = [took, cost, why].into_iter().flatten().collect();
    format!(
        "{} {name:<34} {:<10} {}",
        mark(step.state),
        step.state.name(),
        details.join(", ")
    )
}

fn mark(state: StepState) -> char {
    use domain::orchestration::event::EndedAs;
    match state {
        StepState::Ended(EndedAs::Completed) => '✓',
        StepState::Ended(EndedAs::Partial) => '◐',
        StepState::Ended(EndedAs::Failed | EndedAs::Timeout) => '✗',
        StepState::Ended(EndedAs::GatedOff | EndedAs::Skipped | EndedAs::Cancelled) => '–',
        StepState::Running => '●',
        StepState::Parked => '?',
        StepState::Ready | StepState::Waiting => '·',
    }
}
