//! From a plan's tasks, durations and dependencies to the network that is reckoned with.

use std::collections::{BTreeMap, BTreeSet};

use planexe::views::dependencies::Dependency;
use planexe::views::durations::TaskDuration;
use planexe::views::wbs::WbsTask;

use crate::network::{Network, untangle};
use crate::tree::Tree;

/// Where an activity's days come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationSource {
    /// The plan's most likely estimate.
    Stated,
    /// The middle of its least and most, since the most likely is missing.
    Midpoint,
    /// Its least or its most, since nothing else is there.
    Bound,
    /// Nothing is there: taken as 0.
    Missing,
}

impl DurationSource {
    /// As written in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Midpoint => "midpoint",
            Self::Bound => "bound",
            Self::Missing => "missing",
        }
    }
}

/// A task that is reckoned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// Its id in the plan.
    pub id: String,
    /// Its number in the tree, as `2.3`.
    pub wbs: String,
    /// Its name.
    pub name: String,
    /// The id of the task it is a part of.
    pub phase: Option<String>,
    /// Days, most likely.
    pub days: f64,
    /// Where `days` come from.
    pub source: DurationSource,
    /// Days at least; `days` when not stated.
    pub min: f64,
    /// Days at most; `days` when not stated.
    pub max: f64,
}

/// A task that activities are parts of.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its id in the plan.
    pub id: String,
    /// Its number in the tree.
    pub wbs: String,
    /// Its name.
    pub name: String,
    /// Its own estimate, most likely days.
    pub days: Option<f64>,
    /// Its activities, by position.
    pub activities: Vec<usize>,
}

/// An edge of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Position of the activity that ends first.
    pub from: usize,
    /// Position of the one that waits.
    pub to: usize,
    /// Where the plan states it.
    pub pointer: String,
}

/// A stated dependency that is not reckoned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// As stated.
    pub stated: Dependency,
    /// `unknown-id`, `self`, `duplicate`, `within-phase`, `cycle` or `too-many`.
    pub reason: &'static str,
}

/// All that is reckoned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// The level whose tasks are the activities.
    pub level: u32,
    /// In document order.
    pub activities: Vec<Activity>,
    /// In document order.
    pub phases: Vec<Phase>,
    /// The edges that are reckoned with, in the order stated.
    pub links: Vec<Link>,
    /// The dependencies that are not.
    pub dropped: Vec<Dropped>,
    /// Groups of activities that wait for each other, by position.
    pub cycles: Vec<Vec<usize>>,
    /// The network of `links`.
    pub network: Network,
}

/// A task is not taken to last longer than this many days (2,737 years): sums stay exact, and dates exist.
pub const DAYS_MAX: f64 = 1_000_000.0;

/// A dependency between two phases stands for one between each two of their activities; beyond this many edges a plan is not
/// taken at its word (real ones state some thirty).
pub const LINKS_MAX: usize = 200_000;

/// Makes the network of a plan. `None` when no task has a duration.
pub fn project(
    tasks: &[WbsTask],
    estimates: &[TaskDuration],
    stated: &[Dependency],
) -> Option<Project> {
    let tree = Tree::of(tasks);
    let by_task: BTreeMap<&str, &TaskDuration> = estimates
        .iter()
        .rev()
        .map(|e| (e.task_id.as_str(), e))
        .collect();
    let level = level(tasks, &by_task)?;
    let is_activity = |i: usize| {
        tasks[i].level == level || (tasks[i].level < level && tree.children[i].is_empty())
    };
    let chosen: Vec<usize> = (0..tasks.len()).filter(|&i| is_activity(i)).collect();
    let position: BTreeMap<usize, usize> = chosen
        .iter()
        .enumerate()
        .map(|(at, &task)| (task, at))
        .collect();
    let activities: Vec<Activity> = chosen
        .iter()
        .map(|&i| activity(&tasks[i], by_task.get(tasks[i].id.as_str()).copied()))
        .collect();
    let phases = phases(tasks, &tree, &chosen, &by_task);
    let (links, mut dropped) = links(&tree, &position, stated);
    let edges: Vec<(usize, usize)> = links.iter().map(|(link, _)| (link.from, link.to)).collect();
    let untangled = untangle(activities.len(), &edges);
    let tangled: BTreeSet<usize> = untangled.left_out.iter().copied().collect();
    let mut told = BTreeSet::new();
    for &at in &untangled.left_out {
        let of = links[at].1;
        if told.insert(of) {
            dropped.push((
                of,
                Dropped {
                    stated: stated[of].clone(),
                    reason: "cycle",
                },
            ));
        }
    }
    dropped.sort_by_key(|(of, _)| *of);
    let kept = links
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !tangled.contains(at));
    Some(Project {
        level,
        activities,
        phases,
        links: kept.map(|(_, (link, _))| link).collect(),
        dropped: dropped.into_iter().map(|(_, dropped)| dropped).collect(),
        cycles: untangled.cycles,
        network: untangled.network,
    })
}

/// The deepest level most of whose tasks have a duration, else the deepest at which any has.
fn level(tasks: &[WbsTask], by_task: &BTreeMap<&str, &TaskDuration>) -> Option<u32> {
    let mut counts: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for task in tasks {
        let (all, known) = counts.entry(task.level).or_default();
        *all += 1;
        *known += usize::from(
            by_task
                .get(task.id.as_str())
                .is_some_and(|e| days(e).1 != DurationSource::Missing),
        );
    }
    let deepest = |enough: fn(usize, usize) -> bool| {
        counts
            .iter()
            .rev()
            .find(|(_, (all, known))| enough(*all, *known))
            .map(|(level, _)| *level)
    };
    deepest(|all, known| known * 2 > all).or_else(|| deepest(|_, known| known > 0))
}

/// The most likely days of an estimate, and where they come from.
pub fn days(estimate: &TaskDuration) -> (f64, DurationSource) {
    match (estimate.realistic, estimate.min, estimate.max) {
        (Some(days), _, _) => (days, DurationSource::Stated),
        (None, Some(min), Some(max)) => ((min + max) / 2.0, DurationSource::Midpoint),
        (None, Some(bound), None) | (None, None, Some(bound)) => (bound, DurationSource::Bound),
        (None, None, None) => (0.0, DurationSource::Missing),
    }
}

fn activity(task: &WbsTask, estimate: Option<&TaskDuration>) -> Activity {
    let (days, source) = estimate.map_or((0.0, DurationSource::Missing), days);
    Activity {
        id: task.id.clone(),
        wbs: task.number.clone(),
        name: task.name.clone(),
        phase: task.parent.clone(),
        days,
        source,
        min: estimate.and_then(|e| e.min).unwrap_or(days),
        max: estimate.and_then(|e| e.max).unwrap_or(days),
    }
}

fn phases(
    tasks: &[WbsTask],
    tree: &Tree<'_>,
    chosen: &[usize],
    by_task: &BTreeMap<&str, &TaskDuration>,
) -> Vec<Phase> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, &task) in chosen.iter().enumerate() {
        if let Some(parent) = tree.parent[task] {
            members.entry(parent).or_default().push(at);
        }
    }
    let phase = |(task, activities): (usize, Vec<usize>)| Phase {
        id: tasks[task].id.clone(),
        wbs: tasks[task].number.clone(),
        name: tasks[task].name.clone(),
        days: by_task
            .get(tasks[task].id.as_str())
            .map(|e| days(e))
            .filter(|(_, source)| *source != DurationSource::Missing)
            .map(|(days, _)| days),
        activities,
    };
    members.into_iter().map(phase).collect()
}

type OfStated<T> = Vec<(T, usize)>;

/// The edges between activities that the stated dependencies stand for, each with the position of its statement, and the
/// statements that stand for none.
fn links(
    tree: &Tree<'_>,
    position: &BTreeMap<usize, usize>,
    stated: &[Dependency],
) -> (OfStated<Link>, Vec<(usize, Dropped)>) {
    let (mut links, mut dropped) = (Vec::new(), Vec::new());
    let mut known = BTreeSet::new();
    for (of, statement) in stated.iter().enumerate() {
        let found = |id: &str| tree.position.get(id).copied();
        let refused = match (found(&statement.depends_on), found(&statement.dependent)) {
            (Some(before), Some(after)) if before == after => Some("self"),
            (Some(before), Some(after)) if tree.line(before).any(|i| i == after) => {
                Some("within-phase")
            }
            (Some(before), Some(after)) if tree.line(after).any(|i| i == before) => {
                Some("within-phase")
            }
            (Some(before), Some(after)) => {
                let (from, to) = (
                    tree.stands_for(before, position),
                    tree.stands_for(after, position),
                );
                if from.len() * to.len() + links.len() > LINKS_MAX {
                    Some("too-many")
                } else if from == to {
                    Some("within-phase")
                } else {
                    let pairs = from
                        .iter()
                        .flat_map(|&from| to.iter().map(move |&to| (from, to)));
                    let new: Vec<_> = pairs.filter(|pair| known.insert(*pair)).collect();
                    let pointer = &statement.pointer;
                    let link = |&(from, to): &(usize, usize)| {
                        (
                            Link {
                                from,
                                to,
                                pointer: pointer.clone(),
                            },
                            of,
                        )
                    };
                    links.extend(new.iter().map(link));
                    new.is_empty().then_some("duplicate")
                }
            }
            _ => Some("unknown-id"),
        };
        if let Some(reason) = refused {
            dropped.push((
                of,
                Dropped {
                    stated: statement.clone(),
                    reason,
                },
            ));
        }
    }
    (links, dropped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Two phases of two activities each, `a` with a work package below it, and a phase without parts.
    fn tasks() -> Vec<WbsTask> {
        let task = |id: &str, parent: Option<&str>, number: &str| WbsTask {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            level: number.split('.').count() as u32,
            number: number.to_owned(),
            name: id.to_uppercase(),
            ..WbsTask::default()
        };
        vec![
            task("p", None, "1"),
            task("a", Some("p"), "1.1"),
            task("a1", Some("a"), "1.1.1"),
            task("b", Some("p"), "1.2"),
            task("q", None, "2"),
            task("c", Some("q"), "2.1"),
            task("d", Some("q"), "2.2"),
            task("lone", None, "3"),
        ]
    }

    fn estimates() -> Vec<TaskDuration> {
        let all = |task: &str, days: f64| TaskDuration {
            task_id: task.to_owned(),
            min: Some(days - 1.0),
            realistic: Some(days),
            max: Some(days + 2.0),
            ..TaskDuration::default()
        };
        vec![
            all("p", 9.0),
            all("a", 3.0),
            TaskDuration {
                realistic: None,
                ..all("b", 5.0)
            },
            TaskDuration {
                realistic: None,
                max: None,
                ..all("c", 5.0)
            },
        ]
    }

    fn made(stated: &[(&str, &str)]) -> Project {
        let state = |(dependent, depends_on): &(&str, &str)| Dependency {
            dependent: (*dependent).to_owned(),
            depends_on: (*depends_on).to_owned(),
            ..Dependency::default()
        };
        project(
            &tasks(),
            &estimates(),
            &stated.iter().map(state).collect::<Vec<_>>(),
        )
        .unwrap()
    }

    fn edges(project: &Project) -> Vec<(&str, &str)> {
        let id = |i: usize| project.activities[i].id.as_str();
        project
            .links
            .iter()
            .map(|link| (id(link.from), id(link.to)))
            .collect()
    }

    fn reasons(project: &Project) -> Vec<&str> {
        project
            .dropped
            .iter()
            .map(|dropped| dropped.reason)
            .collect()
    }

    #[test]
    fn activities_are_the_deepest_level_with_durations_and_phases_without_parts() {
        let project = made(&[]);
        let told: Vec<_> = project
            .activities
            .iter()
            .map(|a| (a.id.as_str(), a.wbs.as_str(), a.days, a.source.name()))
            .collect();
        assert_eq!(
            told,
            [
                ("a", "1.1", 3.0, "stated"),
                ("b", "1.2", 5.5, "midpoint"),
                ("c", "2.1", 4.0, "bound"),
                ("d", "2.2", 0.0, "missing"),
                ("lone", "3", 0.0, "missing"),
            ]
        );
        let phases: Vec<_> = project
            .phases
            .iter()
            .map(|p| (p.id.as_str(), p.days, p.activities.clone()))
            .collect();
        assert_eq!(
            phases,
            [("p", Some(9.0), vec![0, 1]), ("q", None, vec![2, 3])]
        );
        assert_eq!(
            (
                project.level,
                project.activities[0].min,
                project.activities[0].max
            ),
            (2, 2.0, 5.0)
        );
    }

    #[test]
    fn a_phase_stands_for_its_activities_and_a_work_package_for_the_one_above_it() {
        assert_eq!(edges(&made(&[("q", "a1")])), [("a", "c"), ("a", "d")]);
        assert_eq!(edges(&made(&[("q", "p")])).len(), 4);
    }

    #[test]
    fn what_cannot_be_reckoned_with_is_dropped_with_its_reason() {
        let project = made(&[
            ("c", "a"),
            ("c", "nobody"),
            ("c", "c"),
            ("c", "a"),
            ("a", "p"),
            ("a1", "a"),
        ]);
        assert_eq!(edges(&project), [("a", "c")]);
        assert_eq!(
            reasons(&project),
            [
                "unknown-id",
                "self",
                "duplicate",
                "within-phase",
                "within-phase"
            ]
        );
    }

    #[test]
    fn edges_in_a_cycle_are_dropped_and_the_others_kept() {
        let project = made(&[("b", "a"), ("a", "b"), ("c", "b")]);
        assert_eq!(edges(&project), [("b", "c")]);
        assert_eq!(
            (reasons(&project), project.cycles.clone()),
            (vec!["cycle", "cycle"], vec![vec![0, 1]])
        );
    }

    #[test]
    fn without_any_duration_there_is_nothing_to_reckon_with() {
        assert_eq!(project(&tasks(), &[], &[]), None);
        assert_eq!(project(&[], &estimates(), &[]), None);
    }

    #[test]
    fn a_tree_that_bites_its_own_tail_does_no_harm() {
        let mut tasks = tasks();
        tasks[0].parent = Some("a".to_owned());
        assert_eq!(
            project(&tasks, &estimates(), &[]).unwrap().activities.len(),
            5
        );
    }
}
