//! `plan-inventory`: what is there, and what only looks as if it were.

use planexe::completeness::{Completeness, Kind, Presence, completeness};
use planexe::naming::Collision;
use planexe::plan::{Artifact, Plan};
use planexe::summary::plan_summary;
use planexe::view::{Skipped, View};
use planexe::views::{
    assumptions, decision, dependencies, documents, durations, experts, governance, premortem,
    risks, team, wbs,
};
use serde_json::{Value, json};

use crate::catalog::{AnalysisError, Input};
use crate::finding::{Finding, Severity, count, counted, sort};

/// Its agent id.
pub const ID: &str = "plan-inventory";

/// PlanExe asks the first two of its experts for criticism.
const CRITICS: usize = 2;

/// Lines of placeholder text told in one artifact, at most.
const PLACEHOLDERS_MAX: usize = 3;

/// Text that a writer leaves to be replaced. In small letters.
const PLACEHOLDERS: [&str; 7] = [
    "lorem ipsum",
    "[insert ",
    "[placeholder",
    "[your ",
    "[tbd]",
    "[todo",
    "todo:",
];

/// The analysis.
///
/// # Errors
/// When there is no artifact at all.
pub fn perform(input: &Input<'_>) -> Result<Value, AnalysisError> {
    let plan = input.plan;
    if plan.artifacts.is_empty() {
        return Err(AnalysisError::MissingInput(vec!["plan.txt".to_owned()]));
    }
    let map = completeness(plan);
    let contents = Contents::of(plan);
    let missing: Vec<&str> = map
        .expected_names
        .iter()
        .filter(|name| matches!(map.artifacts.get(*name), None | Some(Presence::Missing)))
        .map(String::as_str)
        .collect();
    let mut findings = presence_findings(&map);
    findings.extend(missing_finding(&missing, &map));
    findings.extend(contents.empty_lists());
    findings.extend(few_criticisms(plan, &contents));
    findings.extend(silent_critics(plan));
    findings.extend(placeholders(plan));
    findings.extend(collisions(plan));
    sort(&mut findings);
    Ok(json!({
        "summary": summary(&map, &findings),
        "kind": map.kind,
        "counts": counts(plan, &map, &contents),
        "artifacts": map.artifacts.iter().map(|(name, presence)| artifact(plan, &map, name, presence)).collect::<Vec<_>>(),
        "missing": missing,
        "findings": findings,
        "planSummary": plan_summary(plan),
        "skipped": contents.skipped,
    }))
}

fn artifact(plan: &Plan, map: &Completeness, name: &str, presence: &Presence) -> Value {
    let file = plan.get(name);
    let unread = map.unreadable.iter().find(|note| note.artifact == name);
    let (state, reason) = match presence {
        Presence::Present { .. } => ("present", unread.map(|note| note.reason.as_str())),
        Presence::Missing => ("missing", None),
        Presence::Empty => ("empty", None),
        Presence::Truncated { reason } => ("truncated", Some(reason.as_str())),
    };
    json!({
        "artifact": name, "path": file.map(|file| file.path.as_str()), "state": state,
        "bytes": file.map_or(0, |file| file.bytes.len()), "expected": map.expected_names.contains(name),
        "reason": reason,
    })
}

/// How much the typed readings of a plan hold.
struct Contents {
    /// What is counted, how much there is of it (`None` when its artifact is absent or unreadable), and where it was read.
    counts: Vec<(&'static str, Option<usize>, Option<String>, &'static str)>,
    skipped: Vec<Skipped>,
}

impl Contents {
    fn of(plan: &Plan) -> Self {
        let mut made = Self {
            counts: Vec::new(),
            skipped: Vec::new(),
        };
        let tree = wbs::wbs(plan);
        for (name, level) in [("phases", 1), ("activities", 2), ("workPackages", 3)] {
            made.note(name, "/wbs_project/task_children", &tree, |wbs| {
                wbs.at_level(level).count()
            });
        }
        made.note("durations", "", &durations::durations(plan), Vec::len);
        made.note(
            "dependencies",
            "/task_dependency_details",
            &dependencies::dependencies(plan),
            Vec::len,
        );
        made.note("risks", "/risks", &risks::risks(plan), Vec::len);
        made.note("assumptions", "", &assumptions::assumptions(plan), Vec::len);
        let premortem = premortem::premortem(plan);
        made.note("failureModes", "/failure_modes", &premortem, |p| {
            p.failure_modes.len()
        });
        made.note(
            "assumptionsToKill",
            "/assumptions_to_kill",
            &premortem,
            |p| p.assumptions.len(),
        );
        made.note("experts", "", &experts::experts(plan), Vec::len);
        made.note("expertCriticisms", "", &experts::criticism(plan), Vec::len);
        made.note("teamMembers", "", &team::team(plan), Vec::len);
        made.note("documentsToFind", "", &documents::to_find(plan), Vec::len);
        made.note(
            "documentsToCreate",
            "",
            &documents::to_create(plan),
            Vec::len,
        );
        made.note("governanceBodies", "", &governance::bodies(plan), Vec::len);
        made.note("feedback", "/feedback", &decision::decision(plan), |d| {
            d.feedback.len()
        });
        made.skipped.sort();
        made.skipped.dedup();
        made
    }

    fn note<T>(
        &mut self,
        name: &'static str,
        pointer: &'static str,
        view: &View<T>,
        count: impl Fn(&T) -> usize,
    ) {
        let counted = view.source.as_ref().map(|_| count(&view.value));
        self.counts
            .push((name, counted, view.source.clone(), pointer));
        self.skipped.extend(view.skipped.iter().cloned());
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.counts
            .iter()
            .find(|(known, ..)| *known == name)
            .and_then(|(_, count, ..)| *count)
    }

    /// Lists that are there with nothing in them: a stage that failed in silence. Plans without work packages are older ones.
    fn empty_lists(&self) -> Vec<Finding> {
        let empty = self
            .counts
            .iter()
            .filter(|(name, count, ..)| *count == Some(0) && *name != "workPackages");
        let finding = |(name, _, source, pointer): &(&str, Option<usize>, Option<String>, &str)| {
            let artifact = source.clone().unwrap_or_default();
            let message = format!(
                "{artifact} is there, but holds nothing that could be read as {}.",
                spoken(name)
            );
            Finding::new(
                "empty-list",
                Severity::Warning,
                (&artifact, pointer),
                message,
            )
            .with("items", 0)
        };
        empty.map(finding).collect()
    }
}

/// `expertCriticisms` as `expert criticisms`.
fn spoken(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_uppercase() {
            text.push(' ');
        }
        text.extend(c.to_lowercase());
        text
    })
}

fn counts(plan: &Plan, map: &Completeness, contents: &Contents) -> Value {
    let state = |wanted: fn(&Presence) -> bool| {
        map.artifacts
            .values()
            .filter(|presence| wanted(presence))
            .count()
    };
    let mut counts = json!({
        "artifacts": plan.artifacts.len(),
        "bytes": plan.artifacts.values().map(|artifact| artifact.bytes.len()).sum::<usize>(),
        "expected": map.expected,
        "present": map.present,
        "missing": state(|p| matches!(p, Presence::Missing)),
        "empty": state(|p| matches!(p, Presence::Empty)),
        "truncated": state(|p| matches!(p, Presence::Truncated { .. })),
    });
    for (name, count, ..) in &contents.counts {
        counts[*name] = json!(count);
    }
    counts
}

fn presence_findings(map: &Completeness) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, presence) in &map.artifacts {
        let severity = if map.expected_names.contains(name) {
            Severity::Error
        } else {
            Severity::Warning
        };
        match presence {
            Presence::Empty => {
                found.push(Finding::new(
                    "empty-artifact",
                    severity,
                    (name, ""),
                    format!("{name} is there, but empty."),
                ));
            }
            Presence::Truncated { reason } => {
                let message = format!("{name} ends too early: {reason}.");
                found.push(Finding::new(
                    "truncated-text",
                    severity,
                    (name, ""),
                    message,
                ));
            }
            Presence::Present { .. } | Presence::Missing => {}
        }
    }
    for skipped in &map.unreadable {
        let severity = if map.expected_names.contains(&skipped.artifact) {
            Severity::Error
        } else {
            Severity::Warning
        };
        let message = format!("{} cannot be read: {}.", skipped.artifact, skipped.reason);
        found.push(Finding::new(
            "unreadable",
            severity,
            (&skipped.artifact, &skipped.pointer),
            message,
        ));
    }
    if map.kind == Kind::Partial && !map.finished {
        let asked = if map.stop_requested {
            "; someone had asked it to stop"
        } else {
            ""
        };
        let message = format!("PlanExe left no sign that it finished this plan{asked}.");
        found.push(Finding::new(
            "not-finished",
            Severity::Warning,
            ("pipeline_complete.txt", ""),
            message,
        ));
    }
    found
}

fn missing_finding(missing: &[&str], map: &Completeness) -> Option<Finding> {
    let (first, more) = (missing.first()?, missing.len() - 1);
    let others = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let message = format!(
        "{} of {} expected artifacts are not there: {first}{others}.",
        missing.len(),
        map.expected
    );
    let finding = Finding::new("missing-expected", Severity::Warning, (first, ""), message);
    Some(
        finding
            .with("missing", missing.len())
            .with("expected", map.expected),
    )
}

/// Files that want one name: which of them is meant, nobody can know.
fn collisions(plan: &Plan) -> Vec<Finding> {
    let one = |collision: &Collision| {
        let Collision {
            name, kept, path, ..
        } = collision;
        let message = format!("Two files are both {name}: {kept} was read, {path} was not.");
        Finding::new("name-collision", Severity::Warning, (name, ""), message)
            .with("read", kept.as_str())
            .with("passedOver", path.as_str())
    };
    plan.collisions.iter().map(one).collect()
}

/// One chunk an expert.
const CRITICISM: &str = "expert_criticism_raw.json";

/// Experts that were asked and whose answer holds no criticism, where at least one other's does (else the whole list is
/// empty, which is told once).
fn silent_critics(plan: &Plan) -> Vec<Finding> {
    let points = experts::criticism(plan).value;
    let silent = |chunk: &(u32, &Artifact)| !points.iter().any(|point| point.expert == chunk.0);
    let finding = |(chunk, _): (u32, &Artifact)| {
        let artifact = format!("{CRITICISM}#{chunk}");
        let message = format!("Expert {chunk} was asked and gave no criticism that could be read.");
        let place = (artifact.as_str(), "/negative_feedback_list");
        Finding::new("empty-list", Severity::Warning, place, message).with("items", 0)
    };
    let chunks = plan.series(CRITICISM).into_iter().filter(silent);
    if points.is_empty() {
        Vec::new()
    } else {
        chunks.map(finding).collect()
    }
}

/// Fewer files of expert criticism than PlanExe writes for so many experts.
fn few_criticisms(plan: &Plan, contents: &Contents) -> Option<Finding> {
    let experts = contents.get("experts").filter(|experts| *experts > 0)?;
    let (wanted, given) = (experts.min(CRITICS), plan.series(CRITICISM).len());
    if given >= wanted || (given == 0 && plan.has(CRITICISM)) {
        return None;
    }
    let message =
        format!("{experts} experts are named; {given} of the {wanted} asked gave criticism.");
    let finding = Finding::new(
        "few-expert-criticisms",
        Severity::Warning,
        (CRITICISM, ""),
        message,
    );
    Some(
        finding
            .with("experts", experts)
            .with("expected", wanted)
            .with("given", given),
    )
}

/// Text left to be replaced, in what a reader is given: not in raw answers, which hold the prompts too.
fn placeholders(plan: &Plan) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in plan.artifacts.keys().filter(|name| name.ends_with(".md")) {
        let lines = plan
            .text(name)
            .unwrap_or_default()
            .lines()
            .enumerate()
            .filter_map(|(at, line)| {
                let small = line.to_lowercase();
                PLACEHOLDERS
                    .iter()
                    .find(|text| small.contains(*text))
                    .map(|text| (at + 1, *text))
            });
        for (line, text) in lines.take(PLACEHOLDERS_MAX) {
            let message = format!(
                "{name} still has the placeholder \u{201c}{}\u{201d}.",
                text.trim()
            );
            let place = (name.as_str(), &*format!("line {line}"));
            found.push(
                Finding::new("placeholder-text", Severity::Warning, place, message)
                    .with("line", line),
            );
        }
    }
    found
}

fn summary(map: &Completeness, findings: &[Finding]) -> String {
    let kind = match map.kind {
        Kind::Complete => "A complete plan",
        Kind::Partial => "A partial plan",
        Kind::Ping => "No plan, only the trace of a connection test",
        Kind::NotAPlan => "Nothing that PlanExe writes",
    };
    let signals = count(findings, Severity::Error) + count(findings, Severity::Warning);
    let signals = match signals {
        0 => "No sign that a stage failed in silence.".to_owned(),
        some => format!("{} to look at.", counted(some, "quality signal")),
    };
    format!(
        "{kind}: {} of {} expected artifacts are there and whole. {signals}",
        map.present, map.expected
    )
}
