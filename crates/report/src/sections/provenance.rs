//! Where everything comes from: who said what, from which inputs, at what cost; and what did not happen, and why.

use domain::artifact::EnrichmentStatus;
use domain::values::hash::ContentHash;

use crate::enriched::{EnrichedPlan, EnrichmentEntry};
use crate::format;
use crate::html::Html;
use crate::sections::frame::{Heading, badge, cell, head, num, row, section, table};

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        lineage(html, plan);
        not_completed(html, plan);
        identity(html, plan);
    });
}

fn short(html: &mut Html, hash: ContentHash) {
    let whole = hash.to_string();
    html.leaf(
        "code",
        &[("title", &whole)],
        whole.get(..12).unwrap_or(&whole),
    );
}

fn lineage(html: &mut Html, plan: &EnrichedPlan) {
    if plan.enrichments.is_empty() {
        return;
    }
    let columns = [
        ("Agent", false),
        ("Version", false),
        ("Status", false),
        ("Read", false),
        ("Input hash", false),
        ("Time", true),
        ("Cost", true),
    ];
    table(
        html,
        "Enrichments, in the order in which they were applied",
        &columns,
        |html| {
            for entry in &plan.enrichments {
                row(html, |html| lineage_row(html, plan, entry));
            }
        },
    );
    if let Some(cost) = plan.cost() {
        html.note(
            "small",
            format!(
                "Cost of all steps: {cost} credits. Whole hashes stand in enrichment_manifest.json."
            ),
        );
    }
}

fn lineage_row(html: &mut Html, plan: &EnrichedPlan, entry: &EnrichmentEntry) {
    head(html, &entry.agent);
    cell(html, &entry.version);
    html.element("td", &[], |html| {
        let status = match entry.status {
            EnrichmentStatus::Completed => "completed",
            EnrichmentStatus::Partial => "partial",
        };
        badge(html, status);
        if let Some(from) = &entry.reused_from {
            html.leaf(
                "div",
                &[("class", &"detail")],
                format!("taken over from {from}"),
            );
        }
        if entry.attempts > 1 {
            html.leaf(
                "div",
                &[("class", &"detail")],
                format!("{} attempts", entry.attempts),
            );
        }
    });
    html.element("td", &[], |html| {
        html.text(format::counted(
            entry.read.len() as u64,
            "artifact",
            "artifacts",
        ));
        if !entry.built_on.is_empty() {
            let names: Vec<_> = entry
                .built_on
                .iter()
                .map(|input| input.name.as_str())
                .collect();
            html.leaf(
                "div",
                &[("class", &"detail")],
                format!("and {}", names.join(", ")),
            );
        }
    });
    html.element("td", &[], |html| short(html, entry.input));
    let step = plan.steps.iter().find(|step| step.agent == entry.agent);
    let took = step.and_then(|step| step.duration);
    num(
        html,
        took.map_or_else(|| "–".to_owned(), |took| format::duration(took.0)),
    );
    num(html, entry.cost);
}

fn not_completed(html: &mut Html, plan: &EnrichedPlan) {
    let open: Vec<_> = plan.steps.iter().filter(|step| !step.completed()).collect();
    html.leaf("h3", &[], "What was not run, and why");
    if open.is_empty() && plan.excluded.is_empty() {
        html.p("Every agent of this orchestration completed.");
        return;
    }
    table(
        html,
        "Steps that did not complete and agents that were left out",
        &[("Agent", false), ("State", false), ("Why", false)],
        |html| {
            for step in open {
                row(html, |html| {
                    head(html, &step.display_name);
                    html.element("td", &[], |html| badge(html, &step.state));
                    cell(
                        html,
                        step.cause.as_deref().unwrap_or("no cause was recorded"),
                    );
                });
            }
            for excluded in &plan.excluded {
                row(html, |html| {
                    head(html, &excluded.agent);
                    html.element("td", &[], |html| badge(html, "left out"));
                    cell(html, &excluded.reason);
                });
            }
        },
    );
}

fn identity(html: &mut Html, plan: &EnrichedPlan) {
    html.leaf("h3", &[], "Identity");
    let orchestration = &plan.orchestration;
    let mut facts: Vec<(&str, String)> = vec![
        ("Plan", plan.name.clone()),
        ("Plan hash", plan.plan_hash.to_string()),
        (
            "Artifacts",
            format::count(plan.artifacts.artifacts.len() as u64),
        ),
        ("Orchestration", orchestration.id.clone()),
        ("Account", orchestration.account.clone()),
        ("Status", orchestration.status.clone()),
        ("Artifact version", orchestration.version.to_string()),
        ("Submitted", orchestration.created.to_string()),
    ];
    if let Some(ended) = orchestration.ended {
        facts.push(("Ended", ended.to_string()));
    }
    facts.push(("Written by", plan.program.clone()));
    html.element("dl", &[("class", &"generic")], |html| {
        for (name, value) in &facts {
            html.leaf("dt", &[], name).leaf("dd", &[], value);
        }
    });
}
