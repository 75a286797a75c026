//! The executive summary: the figures that count, what the analyses say, what to settle first.

use serde_json::Value;

use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::cover;
use crate::sections::frame::{Heading, badge, place, section};

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        if plan.enrichments.is_empty() {
            html.note(
                "absent",
                "No enrichment stands, so there is nothing to sum up. The last section says why.",
            );
            return;
        }
        html.div("cards", |html| cards(html, plan));
        sayings(html, plan);
        settle_first(html, plan);
    });
}

fn data<'a>(plan: &'a EnrichedPlan, agent: &str) -> Option<&'a Value> {
    plan.enrichment(agent).map(|entry| &entry.data)
}

fn card(html: &mut Html, name: &str, value: &str, note: &str) {
    html.div("card", |html| {
        html.note("card-name", name)
            .note("card-value", value)
            .note("card-note", note);
    });
}

fn cards(html: &mut Html, plan: &EnrichedPlan) {
    if let Some(data) = data(plan, "schedule-monte-carlo") {
        deadline_card(html, data);
    }
    finish_card(html, plan);
    if let Some(counts) = data(plan, "plan-lint").and_then(|data| read::at(data, "/counts")) {
        let of = |kind: &str| read::count(counts, kind).unwrap_or(0);
        let note = format!(
            "{} and {} beside",
            format::counted(of("/warning"), "warning", "warnings"),
            format::counted(of("/info"), "note", "notes")
        );
        card(
            html,
            "Contradictions",
            &format::counted(of("/error"), "error", "errors"),
            &note,
        );
    }
    if let Some(counts) = data(plan, "risk-exposure").and_then(|data| read::at(data, "/counts")) {
        let of = |kind: &str| read::count(counts, kind).unwrap_or(0);
        let all = of("/risks") + of("/failureModes");
        let note = format!(
            "of {} risks and failure modes; {} more are high",
            format::count(all),
            of("/high")
        );
        card(html, "Severe risks", &format::count(of("/severe")), &note);
    }
}

fn deadline_card(html: &mut Html, data: &Value) {
    let (network, waterfall) = (
        read::number(data, "/deadline/chanceNetwork"),
        read::number(data, "/deadline/chanceWaterfall"),
    );
    if let (Some(network), Some(waterfall)) = (network, waterfall) {
        let (low, high) = (format::chance(waterfall), format::chance(network));
        let value = if low == high {
            low
        } else {
            format!("{low} to {high}")
        };
        card(
            html,
            "Chance to meet the deadline",
            &value,
            "one after another, and by the stated dependencies",
        );
    }
}

fn finish_card(html: &mut Html, plan: &EnrichedPlan) {
    let of = |pointer: &str, date: &str, days: &str| {
        let data = data(plan, pointer)?;
        read::text(data, date)
            .map(format::short_date)
            .or_else(|| read::number(data, days).map(format::day))
    };
    let bound = |name: &str| {
        of(
            "schedule-monte-carlo",
            &format!("/{name}/dates/p50"),
            &format!("/{name}/p50"),
        )
        .or_else(|| {
            of(
                "critical-path",
                &format!("/{name}/finishDate"),
                &format!("/{name}/finishDays"),
            )
        })
    };
    if let (Some(network), Some(waterfall)) = (bound("network"), bound("waterfall")) {
        let note = "even odds: by the stated dependencies, and one after another";
        card(
            html,
            "Finish between",
            &format!("{network} – {waterfall}"),
            note,
        );
    }
}

/// The agents in the order in which a reader wants them; others follow in their own.
const ORDER: [&str; 6] = [
    "readiness-score",
    "schedule-monte-carlo",
    "critical-path",
    "risk-exposure",
    "plan-lint",
    "plan-inventory",
];

fn sayings(html: &mut Html, plan: &EnrichedPlan) {
    let known = ORDER.iter().filter_map(|agent| plan.enrichment(agent));
    let others = plan
        .enrichments
        .iter()
        .filter(|entry| !ORDER.contains(&entry.agent.as_str()));
    html.element("dl", &[("class", &"sayings")], |html| {
        for entry in known.chain(others) {
            if let Some(summary) = read::text(&entry.data, "/summary") {
                html.leaf(
                    "dt",
                    &[],
                    subject(&entry.agent).unwrap_or(&entry.display_name),
                );
                html.leaf("dd", &[], format::shortened(&format::prose(summary), 600));
            }
        }
    });
}

fn subject(agent: &str) -> Option<&'static str> {
    Some(match agent {
        "readiness-score" => "Readiness",
        "schedule-monte-carlo" => "Finish",
        "critical-path" => "Schedule",
        "risk-exposure" => "Risks",
        "plan-lint" => "Consistency",
        "plan-inventory" => "Completeness",
        _ => return None,
    })
}

fn settle_first(html: &mut Html, plan: &EnrichedPlan) {
    let findings = data(plan, "plan-lint").map_or(&[][..], |data| read::list(data, "/findings"));
    let of = |severity: &'static str| {
        findings
            .iter()
            .filter(move |finding| read::text(finding, "/severity") == Some(severity))
    };
    // The deadline is what a client asks for first, even where it is only a warning.
    let deadline = of("warning")
        .filter(|finding| read::text(finding, "/rule") == Some("deadline-vs-schedule"));
    let findings = of("error").take(4).chain(deadline.take(1));
    let risks = data(plan, "risk-exposure").map_or(&[][..], |data| read::list(data, "/items"));
    let risks = risks
        .iter()
        .filter(|item| read::text(item, "/band") == Some("severe"))
        .take(3);
    let (findings, risks): (Vec<_>, Vec<_>) = (findings.collect(), risks.collect());
    if findings.is_empty() && risks.is_empty() {
        return;
    }
    html.leaf("h3", &[], "To settle first");
    html.element("ol", &[("class", &"first")], |html| {
        for finding in findings {
            html.element("li", &[], |html| {
                badge(html, read::text(finding, "/severity").unwrap_or("error"));
                html.text(" ")
                    .text(format::prose(
                        read::text(finding, "/message").unwrap_or("a finding without words"),
                    ))
                    .text(" ");
                place(html, finding);
            });
        }
        for item in risks {
            html.element("li", &[], |html| {
                badge(html, "severe");
                let id = read::text(item, "/id").unwrap_or("");
                let title = read::text(item, "/title").unwrap_or("a risk without a title");
                html.text(format_args!(" {id}: {}", format::shortened(title, 200)));
                if let Some(action) = read::text(item, "/action") {
                    html.text(" ").leaf(
                        "span",
                        &[("class", &"muted")],
                        format::shortened(action, 200),
                    );
                }
            });
        }
    });
    let quote = cover::deadline(plan).and_then(|deadline| read::text(deadline, "/quote"));
    if let Some(quote) = quote {
        let quote = format::shortened(quote, 200);
        let quote = quote.trim_end_matches('.');
        html.note(
            "small",
            format!("The deadline as the plan states it: “{quote}”."),
        );
    }
}
