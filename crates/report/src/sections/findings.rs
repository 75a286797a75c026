//! Where the plan contradicts itself, with the place and the numbers.

use serde_json::Value;

use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::frame::{Heading, badge, from_agent, place, row, section, shown_of, table};

/// Findings in one table at most.
const FINDINGS_MOST: usize = 60;

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "plan-lint", |html, entry| {
            let findings = read::list(&entry.data, "/findings");
            if findings.is_empty() {
                html.p("None of the rules that could be applied found a contradiction.");
            } else {
                findings_table(html, "Findings, the gravest first", findings);
                shown_of(
                    html,
                    findings.len().min(FINDINGS_MOST),
                    findings.len(),
                    "findings",
                    "plan-lint",
                );
            }
            rules(html, &entry.data);
        });
    });
}

/// A table of findings: severity, message, place, numbers.
pub fn findings_table(html: &mut Html, caption: &str, findings: &[Value]) {
    table(
        html,
        caption,
        &[
            ("", false),
            ("Finding", false),
            ("Where", false),
            ("Numbers", false),
        ],
        |html| {
            for finding in findings.iter().take(FINDINGS_MOST) {
                row(html, |html| finding_row(html, finding));
            }
        },
    );
}

fn finding_row(html: &mut Html, finding: &Value) {
    html.element("td", &[], |html| {
        badge(html, read::text(finding, "/severity").unwrap_or("info"))
    });
    html.element("td", &[("class", &"wide")], |html| {
        let message = format::prose(read::text(finding, "/message").unwrap_or("–"));
        html.text(format::shortened(&message, 600));
        if let Some(rule) = read::text(finding, "/rule") {
            html.element("div", &[("class", &"detail")], |html| {
                html.leaf("code", &[], rule);
            });
        }
    });
    html.element("td", &[("class", &"where")], |html| place(html, finding));
    html.element("td", &[("class", &"numbers")], |html| {
        let numbers = read::at(finding, "/numbers").and_then(Value::as_object);
        let shown = numbers
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "quote")
            .take(6);
        for (key, value) in shown {
            let text = match value.as_f64() {
                Some(year) if key.to_lowercase().contains("year") => year.to_string(),
                Some(number) => format::number(number, 2),
                None => read::line(value).unwrap_or_else(|| "…".to_owned()),
            };
            html.element("div", &[], |html| {
                html.leaf("span", &[("class", &"muted")], format::words(key))
                    .text(" ")
                    .leaf("b", &[], format::shortened(&text, 70));
            });
        }
        if let Some(quote) = read::text(finding, "/numbers/quote") {
            html.leaf(
                "div",
                &[("class", &"muted")],
                format!("“{}”", format::shortened(quote, 110)),
            );
        }
    });
}

fn rules(html: &mut Html, data: &Value) {
    let rules = read::list(data, "/rules");
    let applied = rules
        .iter()
        .filter(|rule| read::flag(rule, "/applied"))
        .count();
    let left_out: Vec<String> = rules
        .iter()
        .filter(|rule| !read::flag(rule, "/applied"))
        .filter_map(|rule| {
            let name = read::text(rule, "/rule")?;
            Some(format!(
                "{name} ({})",
                read::text(rule, "/reason").unwrap_or("no reason given")
            ))
        })
        .collect();
    if rules.is_empty() {
        return;
    }
    let mut said = format!("{applied} of {} rules could be applied.", rules.len());
    if !left_out.is_empty() {
        said.push_str(&format!(" Not applied: {}.", left_out.join("; ")));
    }
    html.note("small", said);
}
