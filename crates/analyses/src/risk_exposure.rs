//! `risk-exposure`: the plan's risks and failure modes in one ranked list, each with what the plan says of it.

use std::collections::BTreeMap;

use planexe::plan::Plan;
use planexe::view::{Skipped, View};
use planexe::views::level::Level;
use planexe::views::premortem::{self, AssumptionToKill, FailureMode, Premortem};
use planexe::views::risks::{self, Risk};
use planexe::views::wbs::{self, WbsTask};
use serde_json::{Value, json};

use crate::amounts::{Delay, Money, delays, money};
use crate::catalog::{AnalysisError, Input};
use crate::finding::{Finding, Severity, counted, shortened};
use crate::listed::shortage;
use crate::number::{days, plain};
use crate::terms::{Index, Mention};

/// Its agent id.
pub const ID: &str = "risk-exposure";

/// Activities that one item is linked to, at most.
const LINKS_MAX: usize = 3;

/// Risks and failure modes listed, at most: the highest.
const ITEMS_LISTED: usize = 500;

/// Areas, assumptions and sums or delays of one item listed, at most.
const PARTS_LISTED: usize = 200;

/// Letters of a text repeated here, at most.
const TEXT_MAX: usize = 4_000;

/// The level of the work breakdown structure that items are linked to.
const LINK_LEVEL: u32 = 2;

/// A rating on a scale of so many classes.
#[derive(Clone, Copy)]
struct Rating {
    value: u32,
    of: u32,
}

impl Rating {
    /// The middle of its class on 0..1.
    fn middle(self) -> f64 {
        (f64::from(self.value) - 0.5) / f64::from(self.of)
    }

    /// Its place among five classes.
    fn cell(self) -> u32 {
        libm::ceil(self.middle() * 5.0) as u32
    }
}

#[derive(Default)]
struct Item<'p> {
    id: String,
    source: &'static str,
    title: String,
    area: &'p str,
    description: &'p str,
    likelihood: Option<Rating>,
    impact: Option<Rating>,
    owner: Option<&'p str>,
    action: Option<String>,
    gaps: Vec<&'static str>,
    assumption: Option<&'p AssumptionToKill>,
    /// What delays, sums and activities are looked for in.
    text: String,
    artifact: &'p str,
    pointer: &'p str,
    delays: Vec<Delay>,
    money: Vec<Money>,
    mentions: Vec<Mention>,
}

impl Item<'_> {
    fn score(&self) -> Option<f64> {
        Some(100.0 * self.likelihood?.middle() * self.impact?.middle())
    }

    fn band(&self) -> &'static str {
        match self.score() {
            None => "unrated",
            Some(score) if score >= 50.0 => "severe",
            Some(score) if score >= 30.0 => "high",
            Some(score) if score >= 15.0 => "moderate",
            Some(_) => "low",
        }
    }
}

/// The analysis.
///
/// # Errors
/// When there are neither risks nor failure modes.
pub fn perform(input: &Input<'_>) -> Result<Value, AnalysisError> {
    let (risks, premortem) = (risks::risks(input.plan), premortem::premortem(input.plan));
    if risks.value.is_empty() && premortem.value.failure_modes.is_empty() {
        let wanted = ["identify_risks_raw.json", "premortem_raw.json"];
        return Err(AnalysisError::MissingInput(
            wanted.map(str::to_owned).to_vec(),
        ));
    }
    let tasks = activities(input.plan);
    let mut items: Vec<Item<'_>> = of_risks(&risks);
    items.extend(of_failure_modes(&premortem));
    let names = tasks.value.iter().map(|task| task.name.as_str());
    let index = Index::of(names, items.iter().map(|item| item.text.as_str()));
    for item in &mut items {
        item.delays = delays(&item.text);
    }
    // Ids are made in document order, so that the stable sort keeps that order among equals.
    items.sort_by(|a, b| {
        b.score()
            .unwrap_or(-1.0)
            .total_cmp(&a.score().unwrap_or(-1.0))
    });
    for item in items.iter_mut().take(ITEMS_LISTED) {
        item.money = money(&item.text);
        item.mentions = index.mentions(&item.text, LINKS_MAX);
    }
    let listed = &items[..items.len().min(ITEMS_LISTED)];
    let mut skipped: Vec<Skipped> =
        [risks.skipped.as_slice(), &premortem.skipped, &tasks.skipped].concat();
    skipped.sort();
    skipped.dedup();
    let artifact = items.first().map_or("", |item| item.artifact);
    let (what, which) = ("risks and failure modes", "the highest");
    skipped.extend(shortage(artifact, what, which, items.len(), ITEMS_LISTED));
    let told = listed
        .iter()
        .enumerate()
        .map(|(at, item)| told(item, at + 1, &tasks.value));
    Ok(json!({
        "summary": summary(&items),
        "scales": {
            "risk": { "classes": 3, "labels": ["low", "medium", "high"] },
            "failureMode": { "classes": 5, "labels": ["1", "2", "3", "4", "5"] },
        },
        "counts": counts(&items),
        "items": told.collect::<Vec<_>>(),
        "matrix": matrix(&items, listed.len()),
        "areas": areas(&items),
        "assumptions": assumptions(&premortem, &items),
        "activities": by_activity(listed, &tasks.value),
        "statedDelay": stated_delay(&items),
        "findings": findings(&items),
        "skipped": skipped,
    }))
}

fn activities(plan: &Plan) -> View<Vec<WbsTask>> {
    let view = wbs::wbs(plan);
    let tasks = view.value.at_level(LINK_LEVEL).cloned().collect();
    View {
        value: tasks,
        source: view.source,
        skipped: view.skipped,
    }
}

fn of_risks(view: &View<Vec<Risk>>) -> Vec<Item<'_>> {
    let artifact = view.source.as_deref().unwrap_or_default();
    view.value
        .iter()
        .enumerate()
        .map(|(at, risk)| of_risk(artifact, at, risk))
        .collect()
}

fn of_risk<'p>(artifact: &'p str, at: usize, risk: &'p Risk) -> Item<'p> {
    let rating = |level: Level| level.score().map(|value| Rating { value, of: 3 });
    let action = risk
        .action
        .as_deref()
        .filter(|action| !action.trim().is_empty());
    Item {
        id: format!("R{}", at + 1),
        source: "risk",
        title: shortened(first_sentence(&risk.description), 120),
        area: &risk.area,
        description: &risk.description,
        likelihood: rating(risk.likelihood),
        impact: rating(risk.severity),
        action: action.map(str::to_owned),
        gaps: if action.is_none() {
            vec!["no-action"]
        } else {
            vec![]
        },
        text: [
            risk.description.as_str(),
            risk.impact.as_deref().unwrap_or_default(),
        ]
        .join("\n"),
        artifact,
        pointer: &risk.pointer,
        ..Item::default()
    }
}

fn of_failure_modes(view: &View<Premortem>) -> Vec<Item<'_>> {
    let artifact = view.source.as_deref().unwrap_or_default();
    let modes = view.value.failure_modes.iter().enumerate();
    // Of two of one id the first is meant.
    let assumptions = view.value.assumptions.iter().rev();
    let by_id = assumptions
        .filter(|assumption| !assumption.id.is_empty())
        .map(|assumption| (assumption.id.as_str(), assumption))
        .collect();
    modes
        .map(|(at, mode)| of_failure_mode(artifact, at, mode, &by_id))
        .collect()
}

fn of_failure_mode<'p>(
    artifact: &'p str,
    at: usize,
    mode: &'p FailureMode,
    assumptions: &BTreeMap<&str, &'p AssumptionToKill>,
) -> Item<'p> {
    let cause = mode.root_cause.as_deref();
    let assumption = cause.and_then(|id| assumptions.get(id).copied());
    let description = mode.analysis.as_deref().unwrap_or_default();
    Item {
        id: format!("F{}", at + 1),
        source: "failure-mode",
        title: shortened(&mode.title, 120),
        area: mode.archetype.as_deref().unwrap_or_default(),
        description,
        likelihood: rating_of_5(mode.likelihood),
        impact: rating_of_5(mode.impact),
        owner: mode.owner.as_deref(),
        action: (!mode.playbook.is_empty()).then(|| mode.playbook.join(" ")),
        gaps: gaps(mode, assumption.is_some()),
        assumption,
        text: [mode.title.as_str(), description].join(".\n"),
        artifact,
        pointer: &mode.pointer,
        ..Item::default()
    }
}

fn rating_of_5(stated: Option<f64>) -> Option<Rating> {
    let value = libm::round(stated.filter(|value| (1.0..=5.0).contains(value))?) as u32;
    Some(Rating { value, of: 5 })
}

fn gaps(mode: &FailureMode, assumption_known: bool) -> Vec<&'static str> {
    let blank = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
    let all = [
        (blank(&mode.owner), "no-owner"),
        (mode.early_warning_signs.is_empty(), "no-warning-signs"),
        (mode.tripwires.is_empty(), "no-tripwires"),
        (mode.playbook.is_empty(), "no-playbook"),
        (blank(&mode.stop_rule), "no-stop-rule"),
        (!assumption_known, "unknown-assumption"),
    ];
    all.into_iter()
        .filter(|(gap, _)| *gap)
        .map(|(_, name)| name)
        .collect()
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

/// A text as it stands, or its beginning when it is endless.
fn bounded(text: &str) -> String {
    if text.chars().nth(TEXT_MAX).is_none() {
        text.to_owned()
    } else {
        shortened(text, TEXT_MAX)
    }
}

fn told(item: &Item<'_>, rank: usize, tasks: &[WbsTask]) -> Value {
    let label = |rating: Rating| match (rating.of, rating.value) {
        (3, 1) => "low".to_owned(),
        (3, 2) => "medium".to_owned(),
        (3, _) => "high".to_owned(),
        (_, value) => value.to_string(),
    };
    let rating = |rating: Option<Rating>| {
        rating.map(|r| json!({ "value": r.value, "of": r.of, "stated": label(r) }))
    };
    let cell = item.likelihood.zip(item.impact);
    let link = |mention: &Mention| {
        let task = &tasks[mention.activity];
        json!({ "activity": task.id, "wbs": task.number, "name": task.name, "terms": mention.terms, "quote": mention.quote })
    };
    let delay =
        |d: &Delay| json!({ "lowDays": days(d.low), "highDays": days(d.high), "quote": d.quote });
    let sum = |m: &Money| json!({ "low": days(m.low), "high": days(m.high), "currency": m.currency, "quote": m.quote });
    json!({
        "rank": rank, "id": item.id, "source": item.source, "title": item.title, "area": item.area,
        "description": bounded(item.description),
        "likelihood": rating(item.likelihood), "impact": rating(item.impact),
        "score": item.score().map(days), "band": item.band(),
        "cell": cell.map(|(l, i)| json!({ "likelihood": l.cell(), "impact": i.cell() })),
        "owner": item.owner, "action": item.action.as_deref().map(bounded), "gaps": item.gaps,
        "assumption": item.assumption.map(|a| json!({ "id": a.id, "statement": a.statement, "pointer": a.pointer })),
        "delays": item.delays.iter().take(PARTS_LISTED).map(delay).collect::<Vec<_>>(),
        "money": item.money.iter().take(PARTS_LISTED).map(sum).collect::<Vec<_>>(),
        "links": item.mentions.iter().map(link).collect::<Vec<_>>(),
        "artifact": item.artifact, "pointer": item.pointer,
    })
}

fn counts(items: &[Item<'_>]) -> Value {
    let source = |name: &str| items.iter().filter(|item| item.source == name).count();
    let band = |name: &str| items.iter().filter(|item| item.band() == name).count();
    json!({
        "risks": source("risk"), "failureModes": source("failure-mode"),
        "severe": band("severe"), "high": band("high"), "moderate": band("moderate"), "low": band("low"),
        "unrated": band("unrated"),
    })
}

/// Counts all, and names the first `listed`.
fn matrix(items: &[Item<'_>], listed: usize) -> Value {
    let mut cells: BTreeMap<(u32, u32), (usize, Vec<&str>)> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some((likelihood, impact)) = item.likelihood.zip(item.impact) {
            let cell = cells.entry((likelihood.cell(), impact.cell())).or_default();
            cell.0 += 1;
            if at < listed {
                cell.1.push(&item.id);
            }
        }
    }
    let cell = |((likelihood, impact), (count, ids)): ((u32, u32), (usize, Vec<&str>))| json!({ "likelihood": likelihood, "impact": impact, "count": count, "ids": ids });
    json!({ "size": 5, "cells": cells.into_iter().map(cell).collect::<Vec<_>>() })
}

/// Groups in the order of their summed scores, then of their names: `(name, items)`.
fn by_score<'i, 'p>(
    groups: BTreeMap<String, Vec<&'i Item<'p>>>,
) -> Vec<(String, Vec<&'i Item<'p>>, f64)> {
    let sum = |items: &[&Item<'_>]| items.iter().filter_map(|item| item.score()).sum::<f64>();
    let mut all: Vec<_> = groups
        .into_iter()
        .map(|(name, items)| (name, sum(&items), items))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.into_iter()
        .map(|(name, score, items)| (name, items, score))
        .collect()
}

fn areas(items: &[Item<'_>]) -> Vec<Value> {
    let mut groups: BTreeMap<String, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items.iter().filter(|item| !item.area.is_empty()) {
        groups.entry(item.area.to_owned()).or_default().push(item);
    }
    let area = |(area, items, score): (String, Vec<&Item<'_>>, f64)| json!({ "area": area, "count": items.len(), "score": days(score), "worst": items.first().map(|item| item.id.as_str()) });
    by_score(groups)
        .into_iter()
        .take(PARTS_LISTED)
        .map(area)
        .collect()
}

fn assumptions(view: &View<Premortem>, items: &[Item<'_>]) -> Vec<Value> {
    let mut all: Vec<(f64, Value)> = Vec::new();
    for assumption in view.value.assumptions.iter().take(PARTS_LISTED) {
        let from = |item: &&Item<'_>| {
            item.assumption
                .is_some_and(|a| a.pointer == assumption.pointer)
        };
        let modes: Vec<&Item<'_>> = items.iter().filter(from).collect();
        let score: f64 = modes.iter().filter_map(|item| item.score()).sum();
        let told = json!({
            "id": assumption.id, "statement": assumption.statement, "testNow": assumption.test_now,
            "falsifier": assumption.falsifier,
            "failureModes": modes.iter().take(PARTS_LISTED).map(|item| item.id.as_str()).collect::<Vec<_>>(),
            "score": days(score), "artifact": view.source, "pointer": assumption.pointer,
        });
        all.push((score, told));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, told)| told).collect()
}

fn by_activity(items: &[Item<'_>], tasks: &[WbsTask]) -> Vec<Value> {
    let mut groups: BTreeMap<usize, Vec<&Item<'_>>> = BTreeMap::new();
    for item in items {
        for mention in &item.mentions {
            groups.entry(mention.activity).or_default().push(item);
        }
    }
    let mut all: Vec<(f64, usize, Vec<&Item<'_>>)> = groups
        .into_iter()
        .map(|(at, items)| {
            (
                items.iter().filter_map(|item| item.score()).sum(),
                at,
                items,
            )
        })
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let told = |(score, at, items): (f64, usize, Vec<&Item<'_>>)| {
        json!({
            "activity": tasks[at].id, "wbs": tasks[at].number, "name": tasks[at].name,
            "items": items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), "score": days(score),
        })
    };
    all.into_iter().map(told).collect()
}

/// The longest delay that each item states, added up.
fn stated_delay(items: &[Item<'_>]) -> Value {
    let longest = |item: &Item<'_>| {
        item.delays
            .iter()
            .max_by(|a, b| a.high.total_cmp(&b.high))
            .map(|d| (d.low, d.high))
    };
    let all: Vec<(f64, f64)> = items.iter().filter_map(longest).collect();
    let low: f64 = all.iter().map(|(low, _)| low).sum();
    let high: f64 = all.iter().map(|(_, high)| high).sum();
    json!({ "items": all.len(), "lowDays": days(low), "highDays": days(high) })
}

fn findings(items: &[Item<'_>]) -> Vec<Finding> {
    let mut found = Vec::new();
    for item in items {
        let place = (item.artifact, item.pointer);
        if item.score().is_none() {
            let message = format!(
                "{} \u{201c}{}\u{201d} lacks a usable rating.",
                item.id, item.title
            );
            found.push(Finding::new("unrated", Severity::Warning, place, message));
        }
        if !item.gaps.is_empty() && item.score().is_none_or(|score| score >= 30.0) {
            let gaps: Vec<String> = item.gaps.iter().map(|gap| gap.replace('-', " ")).collect();
            let message = format!(
                "{} \u{201c}{}\u{201d} has {}.",
                item.id,
                item.title,
                gaps.join(", ")
            );
            found.push(
                Finding::new("no-response", Severity::Warning, place, message)
                    .with("gaps", item.gaps.clone()),
            );
        }
    }
    found
}

fn summary(items: &[Item<'_>]) -> String {
    let source = |name: &str| items.iter().filter(|item| item.source == name).count();
    let (risks, modes) = (
        counted(source("risk"), "risk"),
        counted(source("failure-mode"), "failure mode"),
    );
    let grave = items
        .iter()
        .filter(|item| matches!(item.band(), "severe" | "high"))
        .count();
    let greatest = items.first().and_then(|item| Some((item, item.score()?)));
    let greatest = greatest.map_or(String::new(), |(item, score)| {
        let title = item.title.trim_end_matches('.');
        format!(
            " The greatest is {}, \u{201c}{title}\u{201d}, with {} of 100.",
            item.id,
            plain(libm::round(score))
        )
    });
    format!("{risks} and {modes}, of which {grave} stand high or severe.{greatest}")
}
