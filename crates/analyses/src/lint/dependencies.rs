//! Rules over the stated dependencies.

use std::collections::BTreeMap;

use planexe::views::dependencies::Dependency;
use serde_json::Value;

use super::Answer;
use super::facts::Facts;
use crate::activities::{Activity, Dropped, Project};
use crate::finding::{Finding, Severity};

fn project<'f>(facts: &'f Facts<'_>) -> Result<&'f Project, String> {
    let basis = facts
        .basis
        .as_ref()
        .ok_or("no task has a duration, so that there is no network")?;
    Ok(&basis.project)
}

/// A dependency names an id that the work breakdown structure does not know.
pub fn unknown(facts: &Facts<'_>) -> Answer {
    let (stated, source) = facts.stated()?;
    facts.tasks()?;
    let mut found = Vec::new();
    for edge in stated {
        for id in [&edge.dependent, &edge.depends_on] {
            if !facts.knows(id) {
                let message = format!(
                    "A dependency names {id}, which is no task of the work breakdown structure."
                );
                let finding = Finding::new(
                    "dependency-unknown",
                    Severity::Error,
                    (source, &edge.pointer),
                    message,
                );
                found.push(finding.with("taskId", id.as_str()));
            }
        }
    }
    Ok(found)
}

/// A task that waits for itself.
pub fn to_itself(facts: &Facts<'_>) -> Answer {
    let (stated, source) = facts.stated()?;
    let finding = |edge: &Dependency| {
        let message = format!("{} waits for itself.", facts.name(&edge.dependent));
        Finding::new(
            "dependency-self",
            Severity::Warning,
            (source, &edge.pointer),
            message,
        )
        .with("taskId", edge.dependent.as_str())
    };
    Ok(stated
        .iter()
        .filter(|edge| edge.dependent == edge.depends_on)
        .map(finding)
        .collect())
}

/// The same dependency stated again.
pub fn duplicate(facts: &Facts<'_>) -> Answer {
    let (stated, source) = facts.stated()?;
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for edge in stated {
        let (one, other) = (edge.dependent.as_str(), edge.depends_on.as_str());
        if let Some(before) = first.get(&(one, other)) {
            let (one, other) = (facts.name(one), facts.name(other));
            let message = format!("That {one} waits for {other} is stated twice.");
            let finding = Finding::new(
                "dependency-duplicate",
                Severity::Warning,
                (source, &edge.pointer),
                message,
            );
            found.push(finding.with("firstAt", *before));
        } else {
            first.insert((one, other), &edge.pointer);
        }
    }
    Ok(found)
}

/// Tasks that wait for each other.
pub fn cycle(facts: &Facts<'_>) -> Answer {
    let (_, source) = facts.stated()?;
    let project = project(facts)?;
    let finding = |cycle: &Vec<usize>| {
        let members: Vec<&Activity> = cycle.iter().map(|&i| &project.activities[i]).collect();
        let names: Vec<&str> = members
            .iter()
            .map(|activity| activity.name.as_str())
            .collect();
        let ids: Vec<&str> = members
            .iter()
            .map(|activity| activity.id.as_str())
            .collect();
        let of_cycle = |dropped: &&Dropped| {
            dropped.reason == "cycle" && ids.contains(&dropped.stated.dependent.as_str())
        };
        let pointers: Vec<&str> = project
            .dropped
            .iter()
            .filter(of_cycle)
            .map(|d| d.stated.pointer.as_str())
            .collect();
        let message = format!(
            "These wait for each other, so none could start: {}.",
            names.join("; ")
        );
        let place = (source, pointers.first().copied().unwrap_or_default());
        Finding::new("dependency-cycle", Severity::Error, place, message)
            .with("taskIds", ids)
            .with("pointers", pointers)
    };
    Ok(project.cycles.iter().map(finding).collect())
}

/// A task that waits for one that stands later in the work breakdown structure.
pub fn backward(facts: &Facts<'_>) -> Answer {
    let (_, source) = facts.stated()?;
    let project = project(facts)?;
    let mut found: Vec<Finding> = Vec::new();
    for link in project.links.iter().filter(|link| link.from > link.to) {
        let (before, after) = (&project.activities[link.from], &project.activities[link.to]);
        // One statement about two phases stands for many links.
        if found
            .last()
            .is_some_and(|last| last.pointer == link.pointer)
        {
            continue;
        }
        let message = format!(
            "\u{201c}{}\u{201d} ({}) waits for \u{201c}{}\u{201d} ({}), which the plan lists later: PlanExe's chart draws them in the wrong order.",
            after.name, after.wbs, before.name, before.wbs,
        );
        found.push(
            Finding::new(
                "dependency-backward",
                Severity::Info,
                (source, &link.pointer),
                message,
            )
            .with("dependent", after.wbs.as_str())
            .with("dependsOn", before.wbs.as_str()),
        );
    }
    Ok(found)
}

/// Lists of ids and of explanations that differ in length.
pub fn explanations(facts: &Facts<'_>) -> Answer {
    const NAME: &str = "task_dependencies_raw.json";
    let value = facts
        .plan
        .json(NAME)
        .map_err(|unreadable| unreadable.to_string())?;
    let details = &value["task_dependency_details"];
    let rows = details
        .as_array()
        .ok_or_else(|| format!("{NAME} has no list of dependencies"))?;
    let length = |row: &Value, key: &str| row[key].as_array().map(Vec::len);
    let mut found = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let ids = length(row, "depends_on_task_id_list");
        let reasons = length(row, "depends_on_task_explanation_list");
        if let (Some(ids), Some(reasons)) = (ids, reasons)
            && ids != reasons
        {
            let message = format!("{reasons} explanations for {ids} dependencies.");
            let pointer = format!("/task_dependency_details/{at}");
            let finding = Finding::new(
                "dependency-explanations",
                Severity::Info,
                (NAME, &pointer),
                message,
            );
            found.push(
                finding
                    .with("dependencies", ids)
                    .with("explanations", reasons),
            );
        }
    }
    Ok(found)
}
