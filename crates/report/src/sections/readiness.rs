//! How ready the plan is: every component with its points and the evidence for them.

use serde_json::Value;

use crate::charts::bars;
use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::frame::{Heading, from_agent, head, num, place, row, section, table};

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "readiness-score", |html, entry| {
            components(html, &entry.data);
            gaps(html, &entry.data);
            confidence(html, &entry.data);
        });
    });
}

fn components(html: &mut Html, data: &Value) {
    let components = read::list(data, "/components");
    if components.is_empty() {
        return;
    }
    let columns = [
        ("Component", false),
        ("", false),
        ("Points", true),
        ("Why", false),
    ];
    table(html, "What the score is made of", &columns, |html| {
        for component in components {
            row(html, |html| component_row(html, component));
        }
    });
}

fn component_row(html: &mut Html, component: &Value) {
    let of = read::number(component, "/of").unwrap_or(0.0);
    head(html, title(component));
    match read::number(component, "/points") {
        Some(points) => {
            let share = if of > 0.0 { points / of } else { 0.0 };
            let class = match share {
                0.8.. => "fill good",
                0.5.. => "fill middling",
                _ => "fill bad",
            };
            html.element("td", &[("class", &"bar-cell")], |html| {
                bars::share(html, class, share, &format::percent(share));
            });
            num(
                html,
                format!("{} of {}", format::number(points, 1), format::number(of, 0)),
            );
        }
        None => {
            html.leaf("td", &[("class", &"muted")], "left out");
            num(html, format!("– of {}", format::number(of, 0)));
        }
    }
    html.element("td", &[], |html| {
        let why =
            read::text(component, "/explanation").or_else(|| read::text(component, "/reason"));
        html.text(format::prose(why.unwrap_or("–")));
        let evidence = read::list(component, "/evidence");
        if !evidence.is_empty() {
            html.element("ul", &[("class", &"evidence")], |html| {
                for item in evidence.iter().take(4) {
                    html.element("li", &[], |html| {
                        place(html, item);
                        let value = read::at(item, "/value").and_then(read::line);
                        html.text(" ").leaf(
                            "b",
                            &[],
                            format::shortened(&value.unwrap_or_default(), 60),
                        );
                    });
                }
            });
        }
    });
}

fn title(component: &Value) -> String {
    let id = read::text(component, "/id").unwrap_or("component");
    read::text(component, "/title").map_or_else(|| format::words(id), str::to_owned)
}

fn gaps(html: &mut Html, data: &Value) {
    let gaps = read::list(data, "/gaps");
    if gaps.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Where the points are lost");
    html.element("ul", &[("class", &"gaps")], |html| {
        for gap in gaps.iter().take(8) {
            html.element("li", &[], |html| {
                let lost = read::number(gap, "/lost").unwrap_or(0.0);
                html.leaf("b", &[], format!("−{}", format::number(lost, 1)))
                    .text(" ");
                html.text(format::prose(
                    read::text(gap, "/message").unwrap_or("without a reason"),
                ));
            });
        }
    });
}

fn confidence(html: &mut Html, data: &Value) {
    let lost = read::list(data, "/confidenceLost");
    if let Some(confidence) = read::number(data, "/confidence").filter(|_| !lost.is_empty()) {
        let reasons: Vec<_> = lost
            .iter()
            .map(|item| {
                let share = read::number(item, "/lost").unwrap_or(0.0);
                let reason = read::text(item, "/reason").unwrap_or("without a reason");
                format!(
                    "{} because {}",
                    format::percent(share),
                    reason.trim_end_matches('.')
                )
            })
            .collect();
        let said = format!(
            "Confidence is {}; it lost {}.",
            format::percent(confidence),
            reasons.join(", and ")
        );
        html.note("small", said);
    }
}
