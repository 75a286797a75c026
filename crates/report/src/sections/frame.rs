//! What sections share: a heading with its number, a word on what is absent, what was not used.

use serde_json::Value;

use crate::enriched::{EnrichedPlan, EnrichmentEntry};
use crate::format;
use crate::html::Html;
use crate::read;

/// A section's place in the page.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// Its anchor.
    pub id: &'a str,
    /// Its number in the page.
    pub number: usize,
    /// Its title.
    pub title: &'a str,
}

/// Draws a section: heading, then body.
pub fn section(html: &mut Html, heading: Heading<'_>, body: impl FnOnce(&mut Html)) {
    html.element("section", &[("id", &heading.id)], |html| {
        html.element("h2", &[], |html| {
            html.leaf("span", &[("class", &"number")], heading.number)
                .text(heading.title);
        });
        body(html);
    });
}

/// Draws what `body` makes of an agent's enrichment; says why there is none otherwise.
pub fn from_agent(
    html: &mut Html,
    plan: &EnrichedPlan,
    agent: &str,
    body: impl FnOnce(&mut Html, &EnrichmentEntry),
) {
    let Some(entry) = plan.enrichment(agent) else {
        html.note(
            "absent",
            format!("Nothing to show. {}", plan.absence(agent)),
        );
        return;
    };
    if let Some(summary) = read::text(&entry.data, "/summary") {
        html.note("lead", format::prose(summary));
    }
    if entry.status == domain::artifact::EnrichmentStatus::Partial {
        let reason = entry.reason.as_deref().unwrap_or("no reason was given");
        html.note(
            "partial",
            format!(
                "This analysis is partial: {}.",
                reason.trim_end_matches('.')
            ),
        );
    }
    body(html, entry);
    skipped(html, entry);
}

/// What an agent could not use, folded away on the screen.
pub fn skipped(html: &mut Html, entry: &EnrichmentEntry) {
    const MOST: usize = 25;
    let skipped = read::list(&entry.data, "/skipped");
    if skipped.is_empty() {
        return;
    }
    let many = skipped.len() as u64;
    html.element("details", &[], |html| {
        html.leaf(
            "summary",
            &[],
            format!(
                "{} could not be used",
                format::counted(many, "item", "items")
            ),
        );
        html.element("ul", &[("class", &"plain small")], |html| {
            for item in skipped.iter().take(MOST) {
                html.element("li", &[], |html| {
                    place(html, item);
                    html.text(" ")
                        .text(read::text(item, "/reason").unwrap_or("no reason given"));
                });
            }
            if skipped.len() > MOST {
                let left = (skipped.len() - MOST) as u64;
                let file = crate::files::path_of(&entry.agent);
                html.leaf(
                    "li",
                    &[],
                    format!("and {} more, listed in {file}", format::count(left)),
                );
            }
        });
    });
}

/// Where something stands in the plan: artifact (or agent) and pointer.
pub fn place(html: &mut Html, item: &Value) {
    let artifact = read::text(item, "/artifact")
        .or_else(|| read::text(item, "/agent"))
        .unwrap_or("–");
    html.element("span", &[("class", &"place")], |html| {
        html.leaf("code", &[], artifact);
        if let Some(pointer) = read::text(item, "/pointer") {
            html.raw("<wbr>")
                .leaf("code", &[("class", &"pointer")], pointer);
        }
    });
}

/// Rows and characters up to which a table is kept on one page.
const KEPT: (usize, usize) = (12, 1_500);

/// A table's head: each column's name, and whether it holds numbers.
pub fn table(
    html: &mut Html,
    caption: &str,
    columns: &[(&str, bool)],
    body: impl FnOnce(&mut Html),
) {
    let mut rows = Html::new();
    body(&mut rows);
    let short = rows.count("<tr") <= KEPT.0 && rows.visible() <= KEPT.1;
    let class = if short { "table keep" } else { "table" };
    html.div(class, |html| {
        html.element("table", &[], |html| {
            html.leaf("caption", &[], caption);
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    for (name, numbers) in columns {
                        let class = if *numbers { "num" } else { "" };
                        html.leaf("th", &[("scope", &"col"), ("class", &class)], name);
                    }
                });
            });
            html.element("tbody", &[], |html| {
                html.add(&rows);
            });
        });
    });
}

/// A row of a table.
pub fn row(html: &mut Html, cells: impl FnOnce(&mut Html)) {
    html.element("tr", &[], cells);
}

/// A cell of text.
pub fn cell(html: &mut Html, text: impl std::fmt::Display) {
    html.leaf("td", &[], text);
}

/// A cell of a number.
pub fn num(html: &mut Html, text: impl std::fmt::Display) {
    html.leaf("td", &[("class", &"num")], text);
}

/// The cell that names its row.
pub fn head(html: &mut Html, text: impl std::fmt::Display) {
    html.leaf("th", &[("scope", &"row")], text);
}

/// A severity, band or state as a small label.
pub fn badge(html: &mut Html, word: &str) {
    let class = match word {
        "error" | "severe" | "failed" | "timeout" | "not-ready" => "badge bad",
        "warning" | "high" | "partial" | "needs-work" | "missing" | "truncated" | "empty"
        | "skipped" | "cancelled" => "badge warn",
        "completed" | "complete" | "ready" | "present" | "low" => "badge good",
        _ => "badge",
    };
    html.leaf("span", &[("class", &class)], word.replace(['_', '-'], " "));
}

/// Says how many of a list are shown, when not all are.
pub fn shown_of(html: &mut Html, shown: usize, all: usize, what: &str, agent: &str) {
    if shown < all {
        let file = crate::files::path_of(agent);
        html.note(
            "small",
            format!("Showing {shown} of {all} {what}; all of them are in {file}."),
        );
    }
}
