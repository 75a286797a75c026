//! Rules over names, sums of money, ratings and files.

use std::collections::{BTreeMap, BTreeSet};

use planexe::plan::UnreadableReason;

use super::Answer;
use super::facts::{Facts, found};
use crate::amounts::{Money, money};
use crate::finding::{Finding, Severity};
use crate::lexer::tokens;
use crate::number::plain;

/// Tasks of one level with one name: a warning under one parent, a note under several.
pub fn name_duplicate(facts: &Facts<'_>) -> Answer {
    let (wbs, source) = facts.tasks()?;
    let mut by_name: BTreeMap<(u32, String), Vec<usize>> = BTreeMap::new();
    for (at, task) in wbs.tasks.iter().enumerate() {
        let words: Vec<String> = task
            .name
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        by_name
            .entry((task.level, words.join(" ")))
            .or_default()
            .push(at);
    }
    let mut findings = Vec::new();
    for group in by_name.values().filter(|group| group.len() > 1) {
        let first = &wbs.tasks[group[0]];
        let parents: BTreeSet<Option<&str>> = group
            .iter()
            .map(|&i| wbs.tasks[i].parent.as_deref())
            .collect();
        let severity = if parents.len() < group.len() {
            Severity::Warning
        } else {
            Severity::Info
        };
        let numbers: Vec<&str> = group
            .iter()
            .map(|&i| wbs.tasks[i].number.as_str())
            .collect();
        let message = format!(
            "{} tasks are called \u{201c}{}\u{201d}: {}.",
            group.len(),
            first.name,
            numbers.join(", ")
        );
        let pointer = &wbs.tasks[group[1]].pointer;
        let finding = Finding::new("name-duplicate", severity, (source, pointer), message);
        findings.push(finding.with("tasks", numbers));
    }
    Ok(findings)
}

/// Which listed currencies a sign that stands for several may mean.
fn allowed(currency: &str, listed: &BTreeSet<String>) -> bool {
    match currency {
        "$" => listed.iter().any(|code| {
            code.ends_with('D') || matches!(code.as_str(), "MXN" | "ARS" | "CLP" | "COP" | "BRL")
        }),
        "¥" => listed
            .iter()
            .any(|code| matches!(code.as_str(), "JPY" | "CNY")),
        code => listed.contains(code),
    }
}

/// A currency is used in the text that the plan's own list does not have.
pub fn currency_not_listed(facts: &Facts<'_>) -> Answer {
    let (currency, source) = found(&facts.currency, "currency_strategy_raw.json", |c| {
        c.list.is_empty()
    })?;
    let stated: Vec<&str> = currency
        .list
        .iter()
        .map(|used| used.currency.as_str())
        .chain(currency.primary.as_deref())
        .collect();
    let is_code =
        |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    let codes = |text: &'_ str| {
        tokens(text)
            .into_iter()
            .map(|t| t.text.to_owned())
            .filter(|word| is_code(word))
            .collect::<Vec<_>>()
    };
    if let Some(strange) = stated.iter().find(|text| codes(text).is_empty()) {
        return Err(format!(
            "{source} lists \u{201c}{strange}\u{201d}, which has no currency code in it"
        ));
    }
    let listed: BTreeSet<String> = stated.iter().flat_map(|text| codes(text)).collect();
    let mut uses: BTreeMap<(String, String), (usize, String, String)> = BTreeMap::new();
    let mut note = |artifact: &str, pointer: &str, text: &str| {
        for Money {
            currency, quote, ..
        } in money(text)
        {
            if !allowed(&currency, &listed) {
                let place = uses.entry((currency, artifact.to_owned()));
                place.or_insert_with(|| (0, pointer.to_owned(), quote)).0 += 1;
            }
        }
    };
    for (artifact, pointer, text) in texts(facts) {
        note(&artifact, &pointer, &text);
    }
    let finding = |((currency, artifact), (count, pointer, quote)): (
        (String, String),
        (usize, String, String),
    )| {
        let list = listed.iter().map(String::as_str).collect::<Vec<_>>();
        let message = format!(
            "\u{201c}{quote}\u{201d}: {currency} is not among the plan's currencies ({}).{}",
            list.join(", "),
            if count > 1 {
                format!(" Stands {count} times in this artifact.")
            } else {
                String::new()
            },
        );
        Finding::new(
            "currency-not-listed",
            Severity::Warning,
            (&artifact, &pointer),
            message,
        )
        .with("currency", currency)
        .with("listed", list)
        .with("times", count)
    };
    Ok(uses.into_iter().map(finding).collect())
}

/// The texts in which sums are looked for, with their places.
fn texts(facts: &Facts<'_>) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut add = |artifact: &Option<String>, pointer: String, text: &Option<String>| {
        if let (Some(artifact), Some(text)) = (artifact, text) {
            all.push((artifact.clone(), pointer, text.clone()));
        }
    };
    let plan = &facts.project_plan;
    add(&plan.source, "/goal_statement".to_owned(), &plan.value.goal);
    let smart = &plan.value.smart;
    for (key, text) in [
        ("specific", &smart.specific),
        ("measurable", &smart.measurable),
        ("achievable", &smart.achievable),
        ("relevant", &smart.relevant),
        ("time_bound", &smart.time_bound),
    ] {
        add(&plan.source, format!("/smart_criteria/{key}"), text);
    }
    for risk in &facts.risks.value {
        add(
            &facts.risks.source,
            format!("{}/potential_impact", risk.pointer),
            &risk.impact,
        );
        add(
            &facts.risks.source,
            format!("{}/action", risk.pointer),
            &risk.action,
        );
    }
    for name in ["executive_summary.md"] {
        for (at, line) in facts
            .plan
            .text(name)
            .unwrap_or_default()
            .lines()
            .enumerate()
        {
            add(
                &Some(name.to_owned()),
                format!("line {}", at + 1),
                &Some(line.to_owned()),
            );
        }
    }
    all
}

/// A premortem rating that is not one of 1 to 5.
pub fn rating_out_of_range(facts: &Facts<'_>) -> Answer {
    let (premortem, source) = found(&facts.premortem, "premortem_raw.json", |p| {
        p.failure_modes.is_empty()
    })?;
    let mut findings = Vec::new();
    for mode in &premortem.failure_modes {
        for (key, rating) in [("likelihood_5", mode.likelihood), ("impact_5", mode.impact)] {
            let Some(rating) = rating.filter(|rating| !(1.0..=5.0).contains(rating)) else {
                continue;
            };
            let message = format!(
                "\u{201c}{}\u{201d} is rated {} on a scale of 1 to 5.",
                mode.title,
                plain(rating)
            );
            let pointer = format!("{}/{key}", mode.pointer);
            let finding = Finding::new(
                "rating-out-of-range",
                Severity::Error,
                (source, &pointer),
                message,
            );
            findings.push(finding.with("rating", crate::number::days(rating)));
        }
    }
    Ok(findings)
}

/// An artifact that these rules look at and that cannot be read.
pub fn unreadable(facts: &Facts<'_>) -> Answer {
    let mut findings = Vec::new();
    // PlanExe writes the title as plain text under a name of JSON.
    let title = "wbs_level1_project_title.json";
    for name in facts.plan.artifacts.keys().filter(|name| *name != title) {
        let unreadable = if name.ends_with(".json") {
            facts.plan.json(name).err()
        } else {
            facts.plan.text(name).err()
        };
        let Some(unreadable) = unreadable.filter(|u| u.reason != UnreadableReason::Missing) else {
            continue;
        };
        let message = format!("{name} cannot be read: {}.", unreadable.reason);
        findings.push(Finding::new(
            "unreadable",
            Severity::Error,
            (name, ""),
            message,
        ));
    }
    Ok(findings)
}
