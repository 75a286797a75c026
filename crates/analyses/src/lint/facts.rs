//! What the rules look at, read once.

use std::collections::BTreeMap;

use planexe::plan::Plan;
use planexe::view::{Skipped, View};
use planexe::views::currency::{self, Currency};
use planexe::views::deadline::{self, Deadlines};
use planexe::views::dependencies::{self, Dependency};
use planexe::views::durations::{self, TaskDuration};
use planexe::views::premortem::{self, Premortem};
use planexe::views::project_plan::{self, ProjectPlan};
use planexe::views::risks::{self, Risk};
use planexe::views::self_audit::{self, AuditItem};
use planexe::views::start::{self, Start};
use planexe::views::wbs::{self, Wbs, WbsTask};

use crate::critical_path::Basis;

/// A plan as the rules see it.
pub struct Facts<'p> {
    /// The declared artifacts.
    pub plan: &'p Plan,
    /// The work breakdown structure.
    pub wbs: View<Wbs>,
    /// Estimates.
    pub durations: View<Vec<TaskDuration>>,
    /// Dependencies as stated.
    pub dependencies: View<Vec<Dependency>>,
    /// Day 0.
    pub start: View<Option<Start>>,
    /// Times stated in words.
    pub deadlines: View<Deadlines>,
    /// Currencies.
    pub currency: View<Currency>,
    /// Risks.
    pub risks: View<Vec<Risk>>,
    /// The premortem.
    pub premortem: View<Premortem>,
    /// The self audit.
    pub audit: View<Vec<AuditItem>>,
    /// Goal and criteria.
    pub project_plan: View<ProjectPlan>,
    /// The network; `None` when no task has a duration.
    pub basis: Option<Basis>,
    places: BTreeMap<String, usize>,
}

impl<'p> Facts<'p> {
    /// Reads a plan.
    pub fn of(plan: &'p Plan) -> Self {
        let wbs = wbs::wbs(plan);
        let tasks = wbs.value.tasks.iter().enumerate();
        Self {
            plan,
            places: tasks.map(|(at, task)| (task.id.clone(), at)).collect(),
            wbs,
            durations: durations::durations(plan),
            dependencies: dependencies::dependencies(plan),
            start: start::start(plan),
            deadlines: deadline::deadlines(plan),
            currency: currency::currency(plan),
            risks: risks::risks(plan),
            premortem: premortem::premortem(plan),
            audit: self_audit::self_audit(plan),
            project_plan: project_plan::project_plan(plan),
            basis: Basis::of(plan).ok(),
        }
    }

    /// All that could not be read, in order, each once.
    pub fn skipped(&self) -> Vec<Skipped> {
        let lists = [
            &self.wbs.skipped,
            &self.durations.skipped,
            &self.dependencies.skipped,
            &self.start.skipped,
            &self.deadlines.skipped,
            &self.currency.skipped,
            &self.risks.skipped,
            &self.premortem.skipped,
            &self.audit.skipped,
            &self.project_plan.skipped,
        ];
        let mut all: Vec<Skipped> = lists.into_iter().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// The estimates, when there are any.
    pub fn estimates(&self) -> Result<(&[TaskDuration], &str), String> {
        found(&self.durations, "task_durations.json", Vec::is_empty)
            .map(|(value, source)| (value.as_slice(), source))
    }

    /// The dependencies, when there are any.
    pub fn stated(&self) -> Result<(&[Dependency], &str), String> {
        found(
            &self.dependencies,
            "task_dependencies_raw.json",
            Vec::is_empty,
        )
        .map(|(value, source)| (value.as_slice(), source))
    }

    /// The work breakdown structure, when there is one.
    pub fn tasks(&self) -> Result<(&Wbs, &str), String> {
        found(&self.wbs, "the work breakdown structure", |wbs| {
            wbs.tasks.is_empty()
        })
    }

    /// The task of this id.
    pub fn task(&self, id: &str) -> Option<&WbsTask> {
        self.places
            .get(id)
            .and_then(|&at| self.wbs.value.tasks.get(at))
    }

    /// Whether the id is a task's or the project's own.
    pub fn knows(&self, id: &str) -> bool {
        self.places.contains_key(id) || self.wbs.value.root.as_deref() == Some(id)
    }

    /// A task's name in quotation marks, or its id.
    pub fn name(&self, id: &str) -> String {
        let named = self.task(id).map(|task| task.name.as_str());
        format!("\u{201c}{}\u{201d}", named.unwrap_or(id))
    }
}

/// A view's value and source, or a sentence that says it is not there.
pub fn found<'v, T>(
    view: &'v View<T>,
    name: &str,
    empty: fn(&T) -> bool,
) -> Result<(&'v T, &'v str), String> {
    match &view.source {
        Some(source) if !empty(&view.value) => Ok((&view.value, source.as_str())),
        Some(source) => Err(format!("nothing usable in {source}")),
        None => Err(format!("{name} is not there or cannot be read")),
    }
}
