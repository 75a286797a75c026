//! The tree of steps on a terminal: each step below the one that it waits for longest.

use std::cell::Cell;
use std::time::Duration;

use domain::orchestration::graph::{Graph, StepIndex};
use domain::orchestration::state::{Orchestration, StepState};
use domain::values::time::Timestamp;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use report::words;

use crate::screen::{note, plain, span};

/// How often what is running is drawn anew.
const TICK: Duration = Duration::from_millis(120);

/// The lines of the steps.
pub struct Tree {
    branches: Vec<Branch>,
    all: MultiProgress,
    /// A short last line: what a person types stands there and breaks nothing.
    foot: ProgressBar,
    /// Room for the longest name with what leads to it.
    width: usize,
}

struct Branch {
    step: StepIndex,
    /// What leads to the name: `│  ├─ `.
    lead: String,
    line: ProgressBar,
    ticking: Cell<bool>,
}

impl Tree {
    /// For the steps of `state`.
    pub fn of(state: &Orchestration) -> Self {
        let all = MultiProgress::new();
        let branches: Vec<Branch> = arrange(&state.graph)
            .into_iter()
            .map(|(step, lead)| Branch {
                step,
                lead,
                line: all.add(ProgressBar::new_spinner()),
                ticking: Cell::new(false),
            })
            .collect();
        let length = |branch: &Branch| {
            branch.lead.chars().count() + state.graph.rules(branch.step).id.as_str().len()
        };
        let width = branches.iter().map(length).max().unwrap_or(0);
        let foot = all.add(ProgressBar::new_spinner());
        foot.set_style(style("{msg}"));
        let tree = Self {
            branches,
            all,
            foot,
            width,
        };
        let begun = state.head.as_ref().map(|head| head.created_at);
        tree.draw(state, begun.unwrap_or_default());
        tree
    }

    /// Draws every step as it is at `now`.
    pub fn draw(&self, state: &Orchestration, now: Timestamp) {
        for branch in &self.branches {
            let line = &branch.line;
            let running = state.steps[branch.step].state == StepState::Running;
            if running && !branch.ticking.replace(true) {
                line.set_style(style("{spinner} {msg}{elapsed}"));
                line.reset_elapsed();
                line.enable_steady_tick(TICK);
            } else if !running {
                branch.ticking.set(false);
                line.disable_steady_tick();
                line.set_style(style("{wide_msg}"));
            }
            line.set_message(self.text(state, branch, now));
        }
        let (all, unended) = (state.steps.len(), state.tally.unended as usize);
        self.foot
            .set_message(format!("{} of {all} steps are done", all - unended));
    }

    fn text(&self, state: &Orchestration, branch: &Branch, now: Timestamp) -> String {
        let (rules, step) = (state.graph.rules(branch.step), &state.steps[branch.step]);
        let name = format!("{}{}", branch.lead, rules.id);
        let what = format!(
            "{name:<width$}  {:<9}  ",
            step.state.name(),
            width = self.width
        );
        let Some(mark) = mark(step.state) else {
            return what;
        };
        let took = step
            .started_at
            .zip(step.ended_at)
            .map(|(start, end)| span((end - start).0));
        let cost = step
            .enrichment
            .as_ref()
            .map(|enrichment| format!("{} credits", enrichment.cost));
        let why = words::why(state, branch.step, now).map(|why| {
            let why = plain(&why);
            why.strip_prefix("it waits ").unwrap_or(&why).to_owned()
        });
        let details: Vec<String> = [took, cost, why].into_iter().flatten().collect();
        format!("{mark} {what}{}", details.join(", "))
    }

    /// Writes a line above the tree.
    pub fn say(&self, line: &str) {
        let _ = self.all.println(line);
    }

    /// Draws no more, and lets what follows begin on a line of its own. The keys of an interruption are echoed in the midst of
    /// the picture, where another drawing would not hit its own lines.
    pub fn freeze(&self) {
        self.all.set_draw_target(ProgressDrawTarget::hidden());
        note("");
    }

    /// Leaves the last picture standing.
    pub fn end(&self) {
        // First all tickers: one that draws while others are given up would draw what they have left standing again.
        for branch in &self.branches {
            branch.line.disable_steady_tick();
        }
        for branch in &self.branches {
            branch.line.abandon();
        }
        self.foot.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏●")
}

/// The steps in the order in which a tree shows them, with what leads to each.
fn arrange(graph: &Graph) -> Vec<(StepIndex, String)> {
    let count = graph.all().len();
    let depths = depths(graph);
    // A step hangs on the deepest of its dependencies: that one is most likely what it waits for.
    let parent = |step: StepIndex| graph.dependencies(step).max_by_key(|&other| depths[other]);
    let mut below: Vec<Vec<StepIndex>> = vec![Vec::new(); count];
    let mut roots = Vec::new();
    for step in 0..count {
        match parent(step) {
            Some(parent) => below[parent].push(step),
            None => roots.push(step),
        }
    }
    let mut arranged = Vec::new();
    // The step, what leads to its siblings, and whether it is the last of them.
    let mut left: Vec<(StepIndex, String, Option<bool>)> = roots
        .iter()
        .rev()
        .map(|&step| (step, String::new(), None))
        .collect();
    while let Some((step, trunk, last)) = left.pop() {
        let (fork, onward) = match last {
            None => ("", ""),
            Some(false) => ("├─ ", "│  "),
            Some(true) => ("└─ ", "   "),
        };
        arranged.push((step, format!("{trunk}{fork}")));
        let trunk = format!("{trunk}{onward}");
        for (at, &child) in below[step].iter().enumerate().rev() {
            let is_last = at + 1 == below[step].len();
            left.push((child, trunk.clone(), Some(is_last)));
        }
    }
    arranged
}

/// For each step the longest way to it from a step without dependencies.
fn depths(graph: &Graph) -> Vec<usize> {
    let mut depths = vec![0; graph.all().len()];
    // A graph has no cycle, so that as many passes as steps are always enough.
    for _ in 0..depths.len() {
        let mut changed = false;
        for step in 0..depths.len() {
            let depth = graph
                .dependencies(step)
                .map(|other| depths[other] + 1)
                .max()
                .unwrap_or(0);
            changed |= depth != depths[step];
            depths[step] = depth;
        }
        if !changed {
            break;
        }
    }
    depths
}

/// The mark before a step; what is running has a moving one.
fn mark(state: StepState) -> Option<char> {
    use domain::orchestration::event::EndedAs;
    Some(match state {
        StepState::Ended(EndedAs::Completed) => '✓',
        StepState::Ended(EndedAs::Partial) => '◐',
        StepState::Ended(EndedAs::Failed | EndedAs::Timeout) => '✗',
        StepState::Ended(EndedAs::GatedOff | EndedAs::Skipped | EndedAs::Cancelled) => '–',
        StepState::Running => return None,
        StepState::Parked => '?',
        StepState::Ready | StepState::Waiting => '·',
    })
}
