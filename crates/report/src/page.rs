//! The whole page: one HTML file that needs no network, no script and no other file.

use crate::enriched::{EnrichedPlan, EnrichmentEntry};
use crate::html::Html;
use crate::sections::frame::Heading;
use crate::sections::{
    brief, completeness, cover, findings, forecast, generic, method, provenance, readiness, risks,
    schedule,
};

/// Agents whose output has a section of its own.
const KNOWN: [&str; 6] = [
    "plan-inventory",
    "plan-lint",
    "critical-path",
    "schedule-monte-carlo",
    "risk-exposure",
    "readiness-score",
];

/// Nothing may be loaded or executed; the style is in the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

type Draw = fn(&mut Html, &EnrichedPlan, Heading<'_>);

const SECTIONS: [(&str, &str, Draw); 7] = [
    ("summary", "Executive summary", brief::draw),
    ("readiness", "Readiness", readiness::draw),
    ("schedule", "Schedule and critical path", schedule::draw),
    ("forecast", "Finish forecast", forecast::draw),
    ("risks", "Risk exposure", risks::draw),
    ("findings", "Consistency findings", findings::draw),
    ("completeness", "Completeness", completeness::draw),
];

const CLOSING: [(&str, &str, Draw); 2] = [
    ("method", "Method and sources", method::draw),
    ("provenance", "Provenance", provenance::draw),
];

/// The report as an HTML document.
pub fn html(plan: &EnrichedPlan) -> String {
    let others: Vec<&EnrichmentEntry> = plan
        .enrichments
        .iter()
        .filter(|entry| !KNOWN.contains(&entry.agent.as_str()))
        .collect();
    let anchors: Vec<String> = (1..=others.len())
        .map(|number| format!("enrichment-{number}"))
        .collect();
    let mut html = Html::new();
    html.raw("<!doctype html>\n");
    html.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], |html| head(html, plan));
        html.raw("\n");
        html.element("body", &[], |html| {
            html.leaf(
                "a",
                &[("class", &"skip"), ("href", &"#main")],
                "Skip to the report",
            );
            contents(html, &others, &anchors);
            html.element("main", &[("id", &"main")], |html| {
                cover::draw(html, plan);
                let mut number = 0;
                let mut next = |id, title| {
                    number += 1;
                    Heading { id, number, title }
                };
                for (id, title, draw) in SECTIONS {
                    draw(html, plan, next(id, title));
                    html.raw("\n");
                }
                for (entry, anchor) in others.iter().zip(&anchors) {
                    generic::draw(html, entry, next(anchor, &entry.display_name));
                    html.raw("\n");
                }
                for (id, title, draw) in CLOSING {
                    draw(html, plan, next(id, title));
                    html.raw("\n");
                }
            });
        });
    });
    html.raw("\n");
    html.into_string()
}

fn head(html: &mut Html, plan: &EnrichedPlan) {
    let title = cover::title(plan);
    html.void("meta", &[("charset", &"utf-8")]);
    html.void(
        "meta",
        &[
            ("http-equiv", &"Content-Security-Policy"),
            ("content", &POLICY),
        ],
    );
    html.void(
        "meta",
        &[
            ("name", &"viewport"),
            ("content", &"width=device-width, initial-scale=1"),
        ],
    );
    html.void(
        "meta",
        &[("name", &"color-scheme"), ("content", &"light dark")],
    );
    html.void(
        "meta",
        &[("name", &"generator"), ("content", &plan.program)],
    );
    html.void("meta", &[("name", &"robots"), ("content", &"noindex")]);
    html.leaf("title", &[], format_args!("{title} – enriched plan"));
    html.raw("<style>").raw(include_str!("page.css"));
    html.raw("@page{@bottom-left{content:")
        .style_text(title)
        .raw("}}</style>");
}

fn contents(html: &mut Html, others: &[&EnrichmentEntry], anchors: &[String]) {
    html.element("nav", &[("aria-label", &"Contents")], |html| {
        html.note("nav-name", "Contents");
        html.element("ol", &[], |html| {
            let mut entry = |anchor: &str, title: &str| {
                html.element("li", &[], |html| {
                    html.leaf("a", &[("href", &format_args!("#{anchor}"))], title);
                });
            };
            for (id, title, _) in SECTIONS {
                entry(id, title);
            }
            for (other, anchor) in others.iter().zip(anchors) {
                entry(anchor, &other.display_name);
            }
            for (id, title, _) in CLOSING {
                entry(id, title);
            }
        });
    });
}
