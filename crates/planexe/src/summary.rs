//! The plan in short: what a gate sees and `plan_summary.json` holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::completeness::{Completeness, Presence, completeness};
use crate::plan::Plan;
use crate::view::View;
use crate::views::deadline::{Deadlines, When, deadlines};
use crate::views::level::Level;
use crate::views::risks::{Risk, risks};
use crate::views::{
    assumptions, cost, currency, decision, dependencies, documents, durations, experts, governance,
    premortem, project_plan, purpose, scenario, schedule, self_audit, start, team, wbs,
};

/// The summary's largest size as compact JSON, in bytes.
pub const SUMMARY_MAX: usize = 64 * 1024;
/// The longest text in it, in characters. All its texts and lists together stay below [`SUMMARY_MAX`], whatever the alphabet.
const TEXT_MAX: usize = 600;
/// The most items of one list.
const LIST_MAX: usize = 8;

/// The summary: at most [`SUMMARY_MAX`] bytes, the same for the same plan. Every key is always there; what is not known is `null`.
pub fn plan_summary(plan: &Plan) -> Value {
    let completeness = completeness(plan);
    let purpose = purpose::purpose(plan).value;
    let project = project_plan::project_plan(plan).value;
    let decision = decision::decision(plan);
    let currency = currency::currency(plan).value;
    let register = risks(plan);
    let start = start::start(plan).value;
    let scenario = scenario::scenario(plan).value;
    json!({
        "title": text(plan.title().as_deref()),
        "topic": text(purpose.topic.as_deref()),
        "purpose": text(purpose.purpose.as_deref()),
        "purposeDetail": text(purpose.detail.as_deref()),
        "goal": text(project.goal.as_deref()),
        "timeBound": text(project.smart.time_bound.as_deref()),
        "tags": list(&project.tags),
        "scenario": text(scenario.name.as_deref()),
        "startDate": start.as_ref().map(|start| start.date.to_string()),
        "deadline": deadline(&deadlines(plan).value, start.map(|start| start.date)),
        "currency": {
            "primary": text(currency.primary.as_deref()),
            "all": list(&currency.list.iter().map(|used| used.currency.clone()).collect::<Vec<_>>()),
        },
        "goNoGo": {
            "verdict": decision.source.is_some().then_some(decision.value.verdict),
            "recommendation": text(decision.value.recommendation.as_deref()),
        },
        "topRisks": top(&register.value),
        "counts": counts(plan, &completeness),
        "completeness": {
            "kind": completeness.kind,
            "expected": completeness.expected,
            "present": completeness.present,
            "missing": missing(&completeness),
            "unreadable": completeness.unreadable.len(),
            "finished": completeness.finished,
        },
        "plannedFinish": schedule::schedule(plan).value.iter().filter_map(|row| row.end).max().map(|end| end.to_string()),
        "madeFor": cost::overview(plan).value.and_then(|overview| overview.total_cost).map(|cost| json!({ "usd": libm::round(cost * 1e6) / 1e6 })),
    })
}

/// A text of [`TEXT_MAX`] characters at most.
fn text(stated: Option<&str>) -> Option<String> {
    stated.map(|stated| cut(stated, TEXT_MAX))
}

/// At most so many characters, control characters as spaces (as JSON they would take six bytes each).
fn cut(stated: &str, most: usize) -> String {
    let mut chars = stated
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    let mut short: String = chars.by_ref().take(most).collect();
    if chars.next().is_some() {
        short.pop();
        short.push('\u{2026}');
    }
    short
}

fn list(texts: &[String]) -> Vec<String> {
    texts
        .iter()
        .take(LIST_MAX)
        .map(|stated| cut(stated, 120))
        .collect()
}

fn deadline(deadlines: &Deadlines, start: Option<jiff::civil::Date>) -> Option<Value> {
    let primary = deadlines.primary()?;
    let days = match primary.when {
        When::Span {
            low_days,
            high_days,
        } => Some((low_days, high_days)),
        when => when.days(start),
    };
    let dates = primary.when.dates(start);
    let rounded = |days: f64| libm::round(days * 100.0) / 100.0;
    Some(json!({
        "quote": text(Some(&primary.quote)),
        "artifact": primary.artifact,
        "pointer": primary.pointer,
        "lowDays": days.map(|(low, _)| rounded(low)),
        "highDays": days.map(|(_, high)| rounded(high)),
        "earliest": dates.map(|(low, _)| low.to_string()),
        "latest": dates.map(|(_, high)| high.to_string()),
    }))
}

/// The gravest risks: by likelihood times severity, then in the plan's order.
fn top(risks: &[Risk]) -> Vec<Value> {
    let weight =
        |risk: &Risk| risk.likelihood.score().unwrap_or(0) * risk.severity.score().unwrap_or(0);
    let mut order: Vec<&Risk> = risks.iter().collect();
    order.sort_by_key(|risk| std::cmp::Reverse(weight(risk)));
    let shown = |level: Level| (level != Level::Unknown).then_some(level);
    let line = |risk: &&Risk| {
        json!({
            "area": cut(&risk.area, 120),
            "description": cut(&risk.description, 300),
            "likelihood": shown(risk.likelihood),
            "severity": shown(risk.severity),
        })
    };
    order.iter().take(LIST_MAX).map(line).collect()
}

/// How many of each; `null` where the artifact is absent or unreadable.
fn counts(plan: &Plan, completeness: &Completeness) -> BTreeMap<&'static str, Option<usize>> {
    let tree = wbs::wbs(plan);
    let level = |level: u32| {
        tree.source
            .as_ref()
            .map(|_| tree.value.at_level(level).count())
    };
    let deaths = premortem::premortem(plan);
    let audit = self_audit::self_audit(plan);
    let blockers = || {
        audit
            .value
            .iter()
            .filter(|item| item.level == Level::High)
            .count()
    };
    let mut counts = states(plan, completeness);
    counts.extend([
        ("phases", level(1)),
        ("activities", level(2)),
        ("workPackages", level(3)),
        ("durations", length(&durations::durations(plan))),
        ("dependencies", length(&dependencies::dependencies(plan))),
        ("risks", length(&risks(plan))),
        ("assumptions", length(&assumptions::assumptions(plan))),
        (
            "assumptionsToKill",
            deaths
                .source
                .as_ref()
                .map(|_| deaths.value.assumptions.len()),
        ),
        (
            "failureModes",
            deaths
                .source
                .as_ref()
                .map(|_| deaths.value.failure_modes.len()),
        ),
        ("teamMembers", length(&team::team(plan))),
        ("experts", length(&experts::experts(plan))),
        ("criticisms", length(&experts::criticism(plan))),
        ("documentsToFind", length(&documents::to_find(plan))),
        ("documentsToCreate", length(&documents::to_create(plan))),
        ("governanceBodies", length(&governance::bodies(plan))),
        ("auditItems", length(&audit)),
        ("auditBlockers", audit.source.as_ref().map(|_| blockers())),
    ]);
    counts
}

/// How many artifacts there are, and in which state.
fn states(plan: &Plan, completeness: &Completeness) -> BTreeMap<&'static str, Option<usize>> {
    let count = |wanted: fn(&Presence) -> bool| {
        Some(
            completeness
                .artifacts
                .values()
                .filter(|presence| wanted(presence))
                .count(),
        )
    };
    BTreeMap::from([
        ("artifacts", Some(plan.artifacts.len())),
        (
            "bytes",
            Some(
                plan.artifacts
                    .values()
                    .map(|artifact| artifact.bytes.len())
                    .sum(),
            ),
        ),
        ("missing", count(|presence| *presence == Presence::Missing)),
        ("empty", count(|presence| *presence == Presence::Empty)),
        (
            "truncated",
            count(|presence| matches!(presence, Presence::Truncated { .. })),
        ),
    ])
}

/// How many there are; nothing where there is no source.
fn length<T>(view: &View<Vec<T>>) -> Option<usize> {
    view.source.as_ref().map(|_| view.value.len())
}

/// The first missing names; all of them stand in the inventory.
fn missing(completeness: &Completeness) -> Vec<&str> {
    let is_missing = |(name, presence): (&'_ String, &Presence)| {
        *presence == Presence::Missing && name.len() <= 120
    };
    completeness
        .artifacts
        .iter()
        .filter(|entry| is_missing(*entry))
        .map(|(name, _)| name.as_str())
        .take(20)
        .collect()
}
