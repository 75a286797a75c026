//! Rules over the estimates of tasks.

use std::collections::BTreeMap;

use planexe::views::durations::TaskDuration;
use serde_json::Value;

use super::Answer;
use super::facts::Facts;
use crate::activities::{DurationSource, days};
use crate::finding::{Finding, Severity};
use crate::number::{days as figure, plain};

/// A phase whose own estimate differs from the sum of its tasks by more than this share of the sum is worth a note.
const SUM_SHARE: f64 = 0.5;

/// Differences up to this many days are rounding.
const SLIVER: f64 = 1e-6;

/// A task with tasks of its own that have estimates.
struct Parent<'f> {
    id: &'f str,
    estimate: &'f TaskDuration,
    days: f64,
    sum: f64,
    longest: (&'f str, f64),
    children: usize,
}

fn parents<'f>(facts: &'f Facts<'_>) -> Result<(Vec<Parent<'f>>, &'f str), String> {
    let ((wbs, _), (estimates, source)) = (facts.tasks()?, facts.estimates()?);
    let by_task: BTreeMap<&str, &TaskDuration> =
        estimates.iter().map(|e| (e.task_id.as_str(), e)).collect();
    let known = |id: &str| {
        by_task
            .get(id)
            .map(|e| days(e))
            .filter(|(_, s)| *s == DurationSource::Stated)
            .map(|(d, _)| d)
    };
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for task in &wbs.tasks {
        if let Some(parent) = &task.parent {
            parts.entry(parent).or_default().push(&task.id);
        }
    }
    let mut found = Vec::new();
    for task in &wbs.tasks {
        let (Some(estimate), Some(own)) = (by_task.get(task.id.as_str()), known(&task.id)) else {
            continue;
        };
        let parts = parts.get(task.id.as_str()).map_or(&[][..], Vec::as_slice);
        let children: Vec<(&str, f64)> = parts
            .iter()
            .filter_map(|part| Some((*part, known(part)?)))
            .collect();
        let all = parts.len();
        let longest = children.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        // With a child unknown nothing can be said of the sum.
        if let Some(longest) = longest.filter(|_| children.len() == all) {
            let sum = children.iter().map(|(_, days)| days).sum();
            found.push(Parent {
                id: &task.id,
                estimate,
                days: own,
                sum,
                longest,
                children: all,
            });
        }
    }
    Ok((found, source))
}

/// A phase is shorter than its longest child.
pub fn parent_shorter_than_child(facts: &Facts<'_>) -> Answer {
    let (parents, source) = parents(facts)?;
    let finding = |parent: &Parent<'_>| {
        let (child, longest) = parent.longest;
        let message = format!(
            "{} is to take {} days, its part {} alone {}.",
            facts.name(parent.id),
            plain(parent.days),
            facts.name(child),
            plain(longest),
        );
        let place = (source, parent.estimate.pointer.as_str());
        Finding::new(
            "parent-shorter-than-child",
            Severity::Warning,
            place,
            message,
        )
        .with("parentDays", figure(parent.days))
        .with("childDays", figure(longest))
    };
    Ok(parents
        .iter()
        .filter(|parent| parent.longest.1 > parent.days + SLIVER)
        .map(finding)
        .collect())
}

/// A phase's own duration differs from the sum of its children by more than half.
pub fn parent_vs_sum(facts: &Facts<'_>) -> Answer {
    let (parents, source) = parents(facts)?;
    let differs =
        |parent: &&Parent<'_>| (parent.days - parent.sum).abs() > parent.sum * SUM_SHARE + SLIVER;
    let finding = |parent: &Parent<'_>| {
        let message = format!(
            "{} is to take {} days, its {} parts add up to {} (which is what PlanExe's chart draws).",
            facts.name(parent.id),
            plain(parent.days),
            parent.children,
            plain(parent.sum),
        );
        let place = (source, parent.estimate.pointer.as_str());
        Finding::new("parent-vs-sum", Severity::Info, place, message)
            .with("parentDays", figure(parent.days))
            .with("sumDays", figure(parent.sum))
            .with("children", parent.children)
    };
    Ok(parents.iter().filter(differs).map(finding).collect())
}

/// Not min <= realistic <= max.
pub fn duration_order(facts: &Facts<'_>) -> Answer {
    let (estimates, source) = facts.estimates()?;
    let wrong = |e: &&TaskDuration| {
        let above = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| a > b + SLIVER);
        above(e.min, e.realistic) || above(e.realistic, e.max) || above(e.min, e.max)
    };
    let finding = |e: &TaskDuration| {
        let told = |days: Option<f64>| days.map_or("none".to_owned(), plain);
        let message = format!(
            "{}: at least {}, most likely {}, at most {} days cannot all hold.",
            facts.name(&e.task_id),
            told(e.min),
            told(e.realistic),
            told(e.max),
        );
        let day = |days: Option<f64>| days.map_or(Value::Null, figure);
        Finding::new(
            "duration-order",
            Severity::Error,
            (source, &e.pointer),
            message,
        )
        .with("daysMin", day(e.min))
        .with("daysRealistic", day(e.realistic))
        .with("daysMax", day(e.max))
    };
    Ok(estimates.iter().filter(wrong).map(finding).collect())
}

/// No likely duration: -1, no number, or a task of the estimated level without an entry.
pub fn duration_missing(facts: &Facts<'_>) -> Answer {
    let ((wbs, tree), (estimates, source)) = (facts.tasks()?, facts.estimates()?);
    let by_task: BTreeMap<&str, &TaskDuration> =
        estimates.iter().map(|e| (e.task_id.as_str(), e)).collect();
    let level = facts.basis.as_ref().map_or(0, |basis| basis.project.level);
    let mut found = Vec::new();
    for task in wbs.tasks.iter().filter(|task| task.level <= level) {
        let name = facts.name(&task.id);
        match by_task.get(task.id.as_str()) {
            Some(e) if e.realistic.is_none() => {
                let message = format!("{name} has no likely duration (-1, or no number).");
                found.push(Finding::new(
                    "duration-missing",
                    Severity::Warning,
                    (source, &e.pointer),
                    message,
                ));
            }
            // Phases may be left to the sum of their parts.
            None if task.level == level => {
                let message = format!("{name} has no estimate at all.");
                found.push(Finding::new(
                    "duration-missing",
                    Severity::Warning,
                    (tree, &task.pointer),
                    message,
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// An estimate of a task that the work breakdown structure does not know.
pub fn duration_without_task(facts: &Facts<'_>) -> Answer {
    facts.tasks()?;
    let (estimates, source) = facts.estimates()?;
    let unknown = |e: &&TaskDuration| !facts.knows(&e.task_id);
    let finding = |e: &TaskDuration| {
        let message = format!(
            "An estimate of {}, which is no task of the work breakdown structure.",
            e.task_id
        );
        Finding::new(
            "duration-without-task",
            Severity::Warning,
            (source, &e.pointer),
            message,
        )
        .with("taskId", e.task_id.as_str())
    };
    Ok(estimates.iter().filter(unknown).map(finding).collect())
}

/// Two estimates of one task. The view keeps the first, so that the file itself is looked at.
pub fn duration_duplicate(facts: &Facts<'_>) -> Answer {
    const NAME: &str = "task_durations.json";
    let value = facts
        .plan
        .json(NAME)
        .map_err(|unreadable| unreadable.to_string())?;
    let rows = value
        .as_array()
        .ok_or_else(|| format!("{NAME} is no list"))?;
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(id) = row["task_id"].as_str() else {
            continue;
        };
        let Some(before) = first.get(id) else {
            first.insert(id, at);
            continue;
        };
        let same = rows[*before]["days_realistic"] == row["days_realistic"];
        let message = format!(
            "A second estimate of {} ({}); the first is used.",
            facts.name(id),
            if same {
                "of the same days"
            } else {
                "of other days"
            },
        );
        let finding = Finding::new(
            "duration-duplicate",
            Severity::Warning,
            (NAME, &format!("/{at}")),
            message,
        );
        found.push(finding.with("firstAt", format!("/{before}")));
    }
    Ok(found)
}
