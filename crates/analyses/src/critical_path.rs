//! `critical-path`: what the stated dependencies say about the finish, beside PlanExe's own waterfall.

use std::collections::BTreeSet;

use jiff::civil::Date;
use planexe::plan::Plan;
use planexe::view::{Skipped, View};
use planexe::views::durations::TaskDuration;
use planexe::views::{dependencies, durations, start, wbs};
use serde_json::{Value, json};

use crate::activities::{Activity, DAYS_MAX, DurationSource, Phase, Project, project};
use crate::calendar::{finish_date, start_date};
use crate::catalog::{AnalysisError, Input};
use crate::cpm::{Schedule, critical_chains, lanes, most_at_once, schedule};
use crate::finding::{Finding, Severity, counted};
use crate::listed::{self, shortage};
use crate::number::{days, plain, share};

/// Its agent id.
pub const ID: &str = "critical-path";

/// Chains listed; more are only counted.
const CHAINS_LISTED: usize = 10;

/// Activities, links and dropped dependencies listed, at most; a plan of more is reckoned whole.
const LISTED: usize = 5_000;

/// Neighbours listed of one activity when there are more than [`LISTED`] links.
const NEIGHBOURS_LISTED: usize = 20;

/// Ids of one chain or cycle, and cycles, listed, at most.
const IDS_LISTED: usize = 1_000;

/// Names in one sentence, at most.
const NAMES_TOLD: usize = 20;

/// What a plan says about its schedule, read once for all who reckon with it.
pub struct Basis {
    /// The network.
    pub project: Project,
    /// Day 0.
    pub start: Option<Date>,
    /// Logical name of where the durations stand.
    pub durations: String,
    /// Logical name of where the dependencies stand.
    pub dependencies: String,
    /// What could not be used.
    pub skipped: Vec<Skipped>,
}

impl Basis {
    /// Reads a plan.
    ///
    /// # Errors
    /// When no task of the plan has a duration, names what was looked for.
    pub fn of(plan: &Plan) -> Result<Self, AnalysisError> {
        let (tasks, mut estimates) = (wbs::wbs(plan), durations::durations(plan));
        drop_endless(&mut estimates);
        let (stated, start) = (dependencies::dependencies(plan), start::start(plan));
        let mut missing = Vec::new();
        if tasks.value.tasks.is_empty() {
            missing.push("wbs_project_level1_and_level2_and_level3.json".to_owned());
        }
        if estimates.value.is_empty() {
            missing.push("task_durations.json".to_owned());
        }
        let made = project(&tasks.value.tasks, &estimates.value, &stated.value);
        let Some(project) = made else {
            if missing.is_empty() {
                missing.push("a usable duration in task_durations.json".to_owned());
            }
            return Err(AnalysisError::MissingInput(missing));
        };
        let mut skipped: Vec<Skipped> = [
            tasks.skipped,
            estimates.skipped,
            stated.skipped,
            start.skipped,
        ]
        .into_iter()
        .flatten()
        .collect();
        skipped.sort();
        skipped.dedup();
        Ok(Self {
            project,
            start: start.value.map(|start| start.date),
            durations: estimates
                .source
                .unwrap_or_else(|| "task_durations.json".to_owned()),
            dependencies: stated
                .source
                .unwrap_or_else(|| "task_dependencies_raw.json".to_owned()),
            skipped,
        })
    }

    /// The times by the network.
    pub fn schedule(&self) -> Schedule {
        let likely: Vec<f64> = self
            .project
            .activities
            .iter()
            .map(|activity| activity.days)
            .collect();
        schedule(&self.project.network, &likely)
    }

    /// Of each activity the days after which it ends when all are done one after another.
    pub fn waterfall(&self) -> Vec<f64> {
        let ends = self.project.activities.iter().scan(0.0, |end, activity| {
            *end += activity.days;
            Some(*end)
        });
        ends.collect()
    }
}

/// Passes over durations beyond [`DAYS_MAX`], and says so.
fn drop_endless(view: &mut View<Vec<TaskDuration>>) {
    let source = view.source.clone().unwrap_or_default();
    let mut passed = Vec::new();
    for estimate in &mut view.value {
        let TaskDuration {
            min,
            realistic,
            max,
            ..
        } = estimate;
        for (key, days) in [
            ("days_min", min),
            ("days_realistic", realistic),
            ("days_max", max),
        ] {
            if let Some(endless) = days.filter(|days| *days > DAYS_MAX) {
                let reason = format!("{endless} days is longer than any task is taken to last");
                passed.push(Skipped::new(
                    &source,
                    format!("{}/{key}", estimate.pointer),
                    reason,
                ));
                *days = None;
            }
        }
    }
    view.skipped.extend(passed);
}

/// The analysis.
///
/// # Errors
/// When no task of the plan has a duration.
pub fn perform(input: &Input<'_>) -> Result<Value, AnalysisError> {
    let basis = Basis::of(input.plan)?;
    let (schedule, waterfall) = (basis.schedule(), basis.waterfall());
    let project = &basis.project;
    let id = |i: &usize| project.activities[*i].id.as_str();
    let ids = |group: &[usize]| group.iter().take(IDS_LISTED).map(id).collect::<Vec<_>>();
    let (chains, total) = critical_chains(&project.network, &schedule, CHAINS_LISTED);
    let lane_of = lanes(&schedule);
    let lane_count = lane_of.iter().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<&str>> = vec![Vec::new(); lane_count];
    for (i, &lane) in lane_of.iter().enumerate().take(LISTED) {
        members[lane].push(id(&i));
    }
    members.truncate(LISTED);
    let whole = waterfall.last().copied().unwrap_or(0.0);
    let findings = findings(&basis);
    let finish =
        |at: f64| json!({ "finishDays": days(at), "finishDate": finish_date(basis.start, at) });
    let links: Vec<Value> = project
        .links
        .iter()
        .take(LISTED)
        .map(|link| json!({ "from": id(&link.from), "to": id(&link.to), "backward": link.from > link.to, "pointer": link.pointer }))
        .collect();
    let dropped: Vec<Value> = project
        .dropped
        .iter()
        .take(LISTED)
        .map(|d| {
            json!({
                "dependent": d.stated.dependent, "dependsOn": d.stated.depends_on, "reason": d.reason,
                "pointer": d.stated.pointer,
            })
        })
        .collect();
    let activities: Vec<Value> = (0..project.activities.len().min(LISTED))
        .map(|i| activity(&basis, &schedule, &waterfall, lane_of[i], i))
        .collect();
    Ok(json!({
        "summary": summary(&basis, &schedule, whole, &chains),
        "level": project.level,
        "startDate": basis.start.map(|date| date.to_string()),
        "network": finish(schedule.finish),
        "waterfall": finish(whole),
        "activities": activities,
        "phases": project.phases.iter().take(LISTED).map(|p| phase(p, &basis, &schedule, &waterfall)).collect::<Vec<_>>(),
        "criticalChains": chains.iter().map(|chain| ids(chain)).collect::<Vec<_>>(),
        "criticalChainsTotal": total,
        "lanes": {
            "count": lane_count,
            "maxConcurrent": most_at_once(&schedule),
            "members": members,
        },
        "links": links,
        "dropped": dropped,
        "cycles": project.cycles.iter().take(IDS_LISTED).map(|cycle| ids(cycle)).collect::<Vec<_>>(),
        "coverage": coverage(project),
        "findings": findings,
        "skipped": skipped(&basis),
    }))
}

/// What could not be used, and what is not listed.
fn skipped(basis: &Basis) -> Vec<Skipped> {
    let (project, mut all) = (&basis.project, basis.skipped.clone());
    let (times, links, first) = (&basis.durations, &basis.dependencies, "the first");
    let lists = [
        (times, "activities", project.activities.len()),
        (times, "phases", project.phases.len()),
        (links, "links", project.links.len()),
        (links, "unused dependencies", project.dropped.len()),
    ];
    all.extend(
        lists
            .into_iter()
            .filter_map(|(artifact, what, count)| shortage(artifact, what, first, count, LISTED)),
    );
    all
}

fn activity(
    basis: &Basis,
    schedule: &Schedule,
    waterfall: &[f64],
    lane: usize,
    at: usize,
) -> Value {
    let (project, times) = (&basis.project, &schedule.times[at]);
    let Activity {
        id,
        wbs,
        name,
        phase,
        days: likely,
        source,
        ..
    } = &project.activities[at];
    let most = if project.links.len() > LISTED {
        NEIGHBOURS_LISTED
    } else {
        LISTED
    };
    let ids = |group: &[usize]| {
        group
            .iter()
            .take(most)
            .map(|&i| project.activities[i].id.as_str())
            .collect::<Vec<_>>()
    };
    json!({
        "id": id, "wbs": wbs, "name": name, "phase": phase,
        "days": days(*likely), "durationSource": source.name(),
        "es": days(times.es), "ef": days(times.ef), "ls": days(times.ls), "lf": days(times.lf),
        "totalSlack": days(times.total_slack), "freeSlack": days(times.free_slack), "critical": times.critical(),
        "waterfallStart": days(waterfall[at] - likely), "waterfallFinish": days(waterfall[at]),
        "lane": lane + 1,
        "startDate": start_date(basis.start, times.es), "finishDate": finish_date(basis.start, times.ef),
        "predecessors": ids(&project.network.predecessors[at]),
        "successors": ids(&project.network.successors[at]),
    })
}

fn phase(phase: &Phase, basis: &Basis, schedule: &Schedule, waterfall: &[f64]) -> Value {
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let likely = |i: usize| basis.project.activities[i].days;
    let of = || phase.activities.iter().copied();
    json!({
        "id": phase.id, "wbs": phase.wbs, "name": phase.name, "activities": phase.activities.len(),
        "statedDays": phase.days.map(days), "sumDays": days(of().map(likely).sum()),
        "networkStart": days(least(&mut of().map(|i| schedule.times[i].es))),
        "networkFinish": days(most(&mut of().map(|i| schedule.times[i].ef))),
        "waterfallStart": days(least(&mut of().map(|i| waterfall[i] - likely(i)))),
        "waterfallFinish": days(most(&mut of().map(|i| waterfall[i]))),
    })
}

/// How many activities any link touches.
fn linked(project: &Project) -> usize {
    project
        .links
        .iter()
        .flat_map(|link| [link.from, link.to])
        .collect::<BTreeSet<_>>()
        .len()
}

fn coverage(project: &Project) -> Value {
    let with_duration = project
        .activities
        .iter()
        .filter(|a| a.source != DurationSource::Missing)
        .count();
    let (all, linked) = (project.activities.len(), linked(project));
    let stated: BTreeSet<&str> = project
        .links
        .iter()
        .map(|link| link.pointer.as_str())
        .chain(
            project
                .dropped
                .iter()
                .map(|dropped| dropped.stated.pointer.as_str()),
        )
        .collect();
    json!({
        "activities": all,
        "withDuration": with_duration,
        "linked": linked,
        "statedLinks": stated.len(),
        "usedLinks": project.links.len(),
        "linkedShare": share(linked as f64 / all.max(1) as f64),
    })
}

fn findings(basis: &Basis) -> Vec<Finding> {
    let project = &basis.project;
    let name = |i: &usize| project.activities[*i].name.as_str();
    let mut found: Vec<Finding> = project
        .cycles
        .iter()
        .map(|cycle| {
            let names: Vec<&str> = cycle.iter().map(name).collect();
            let message = format!(
                "These wait for each other, so none of them could start: {}.",
                listed::names(&names, NAMES_TOLD)
            );
            Finding::new(
                "dependency-cycle",
                Severity::Error,
                (&basis.dependencies, ""),
                message,
            )
            .with("activities", cycle.len())
        })
        .collect();
    let missing: Vec<&str> = project
        .activities
        .iter()
        .filter(|a| a.source == DurationSource::Missing)
        .map(|a| a.name.as_str())
        .collect();
    if !missing.is_empty() {
        let message = format!(
            "Without a duration, and so reckoned as 0 days: {}.",
            listed::names(&missing, NAMES_TOLD)
        );
        let finding = Finding::new(
            "duration-missing",
            Severity::Warning,
            (&basis.durations, ""),
            message,
        );
        found.push(finding.with("activities", missing.len()));
    }
    let unlinked = project.activities.len() - linked(project);
    if unlinked > 0 {
        let all = project.activities.len();
        let message = format!(
            "{unlinked} of {all} activities have no stated dependency: they could start on the first day, which is why the network finish is a lower bound."
        );
        let finding = Finding::new(
            "unlinked-activities",
            Severity::Info,
            (&basis.dependencies, ""),
            message,
        );
        found.push(finding.with("unlinked", unlinked).with("activities", all));
    }
    found
}

fn summary(basis: &Basis, schedule: &Schedule, whole: f64, chains: &[Vec<usize>]) -> String {
    let project = &basis.project;
    let on = |at: f64| {
        finish_date(basis.start, at)
            .map(|date| format!(" ({date})"))
            .unwrap_or_default()
    };
    let mut text = format!(
        "By the stated dependencies the earliest finish is day {}{}; one after another {} take {} days{}.",
        plain(schedule.finish),
        on(schedule.finish),
        if project.activities.len() == 1 {
            "the 1 activity".to_owned()
        } else {
            format!("the {} activities", project.activities.len())
        },
        plain(whole),
        on(whole),
    );
    if let Some(chain) = chains.first() {
        let name = |i: &usize| project.activities[*i].name.as_str();
        let ends = match (chain.first().map(name), chain.last().map(name)) {
            (Some(first), Some(last)) if chain.len() > 1 => {
                format!(" from \u{201c}{first}\u{201d} to \u{201c}{last}\u{201d}")
            }
            (Some(only), _) => format!(": \u{201c}{only}\u{201d}"),
            _ => String::new(),
        };
        text += &format!(
            " The critical chain has {}{ends}.",
            counted(chain.len(), "activity").replace("activitys", "activities")
        );
    }
    text
}
