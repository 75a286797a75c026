//! Where the plan contradicts itself, with the place and the numbers.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::frame::{Heading, badge, from_agent, place, row, section, shown_of, table};

/// Findings of one rule at most: the rest say the same of other places.
const OF_ONE_RULE_MOST: usize = 6;
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
                findings_table(html, "Findings, the gravest first", findings, "plan-lint");
            }
            rules(html, &entry.data);
        });
    });
}

/// A table of findings: severity, message with its rule and place, numbers. Of one rule only the first few are shown.
pub fn findings_table(html: &mut Html, caption: &str, findings: &[Value], agent: &str) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut shown: Vec<&Value> = findings
        .iter()
        .filter(|finding| {
            let of_rule = seen
                .entry(read::text(finding, "/rule").unwrap_or(""))
                .or_default();
            *of_rule += 1;
            *of_rule <= OF_ONE_RULE_MOST
        })
        .take(FINDINGS_MOST)
        .collect();
    // Of equally grave ones the deadline comes first: it is what a client asks for.
    let gravity = |finding: &Value| match read::text(finding, "/severity") {
        Some("error") => 0,
        Some("warning") => 1,
        _ => 2,
    };
    shown.sort_by_key(|finding| {
        (
            gravity(finding),
            read::text(finding, "/rule") != Some("deadline-vs-schedule"),
        )
    });
    let columns = [("", false), ("Finding", false), ("Numbers", false)];
    table(html, caption, &columns, |html| {
        for finding in &shown {
            row(html, |html| finding_row(html, finding));
        }
    });
    shown_of(html, shown.len(), findings.len(), "findings", agent);
    let more: Vec<String> = seen
        .iter()
        .filter(|(_, count)| **count > OF_ONE_RULE_MOST)
        .map(|(rule, count)| format!("{} more of {rule}", count - OF_ONE_RULE_MOST))
        .collect();
    if !more.is_empty() {
        html.note("small", format!("Not shown: {}.", more.join(", ")));
    }
}

fn finding_row(html: &mut Html, finding: &Value) {
    html.element("td", &[], |html| {
        badge(html, read::text(finding, "/severity").unwrap_or("info"))
    });
    html.element("td", &[("class", &"wide")], |html| {
        let message = format::prose(read::text(finding, "/message").unwrap_or("–"));
        html.text(format::shortened(&message, 600));
        html.element("div", &[("class", &"detail")], |html| {
            if let Some(rule) = read::text(finding, "/rule") {
                html.leaf("code", &[], rule).raw(" · ");
            }
            place(html, finding);
        });
    });
    html.element("td", &[("class", &"numbers")], |html| {
        let numbers = read::at(finding, "/numbers").and_then(Value::as_object);
        let shown = numbers
            .into_iter()
            .flatten()
            .filter(|(key, _)| !matches!(key.as_str(), "quote" | "pointers"))
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
