//! The head of the page: what plan this is, what it aims at and by when.

use serde_json::Value;

use crate::charts::gauge::{self, Gauge};
use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;

/// The plan's title: as it calls itself, else as its folder is called.
pub fn title(plan: &EnrichedPlan) -> &str {
    read::text(&plan.summary, "/title").unwrap_or(&plan.name)
}

/// The plan's start, as an ISO date, from whoever knows it.
pub fn start(plan: &EnrichedPlan) -> Option<&str> {
    let from = |agent: &str| read::text(&plan.enrichment(agent)?.data, "/startDate");
    from("critical-path")
        .or_else(|| from("schedule-monte-carlo"))
        .or_else(|| read::text(&plan.summary, "/startDate"))
        .or_else(|| read::text(&plan.summary, "/start/date"))
}

/// The stated deadline that the forecast used, else the first that the plan summary knows.
pub fn deadline(plan: &EnrichedPlan) -> Option<&Value> {
    let forecast = plan
        .enrichment("schedule-monte-carlo")
        .and_then(|entry| read::at(&entry.data, "/deadline"));
    let of_summary = || {
        let summary = &plan.summary;
        read::at(summary, "/deadline")
            .or_else(|| read::at(summary, "/statedDeadline"))
            .or_else(|| read::list(summary, "/deadlines").first())
    };
    forecast.or_else(of_summary)
}

/// A deadline in words: its date, else its span, with the day that it means.
pub fn deadline_words(deadline: &Value, start: Option<&str>) -> String {
    let high = read::number(deadline, "/highDays");
    let start = start.and_then(format::parse_date);
    let date = read::text(deadline, "/date").or_else(|| read::text(deadline, "/latest"));
    match (date, high) {
        (Some(date), _) => format::date(date),
        (None, Some(high)) if start.is_some() => {
            format!(
                "{} ({})",
                crate::charts::histogram::when(high, start),
                format::span(high)
            )
        }
        (None, Some(high)) => format!("{} after the start", format::span(high)),
        (None, None) => {
            let quote = read::text(deadline, "/quote")
                .or(deadline.as_str())
                .unwrap_or("stated, not readable");
            format!("“{}”", format::shortened(quote, 80))
        }
    }
}

/// Draws the head of the page.
pub fn draw(html: &mut Html, plan: &EnrichedPlan) {
    html.element("header", &[("class", &"cover")], |html| {
        html.div("cover-text", |html| {
            html.note("overline", "Enriched plan · report");
            html.leaf("h1", &[], title(plan));
            if let Some(goal) = goal(&plan.summary) {
                html.note("goal", format::shortened(goal, 420));
            }
        });
        if let Some(entry) = plan.enrichment("readiness-score") {
            html.div("cover-gauge", |html| readiness_gauge(html, &entry.data));
        }
        html.element("dl", &[("class", &"facts")], |html| facts(html, plan));
    });
}

fn goal(summary: &Value) -> Option<&str> {
    [
        "/goal",
        "/goal/statement",
        "/goalStatement",
        "/purpose",
        "/topic",
    ]
    .iter()
    .find_map(|pointer| read::text(summary, pointer))
}

fn facts(html: &mut Html, plan: &EnrichedPlan) {
    let mut fact = |name: &str, value: String| {
        html.element("div", &[], |html| {
            html.leaf("dt", &[], name).leaf("dd", &[], value);
        });
    };
    fact(
        "Start",
        start(plan).map_or_else(|| "not stated".to_owned(), format::date),
    );
    let stated = deadline(plan).map(|deadline| deadline_words(deadline, start(plan)));
    fact(
        "Stated deadline",
        stated.unwrap_or_else(|| "none that can be read".to_owned()),
    );
    let created = plan.orchestration.created.to_string();
    fact("Report of", format::date(&created));
    let enrichments = format::counted(plan.enrichments.len() as u64, "enrichment", "enrichments");
    fact(
        "Enriched",
        format!(
            "{}, {enrichments}",
            plan.orchestration.status.replace('_', " ")
        ),
    );
}

fn readiness_gauge(html: &mut Html, data: &Value) {
    let bounds: Vec<f64> = read::list(data, "/bands")
        .iter()
        .filter_map(|band| read::number(band, "/from"))
        .collect();
    let band = format::words(read::text(data, "/band").unwrap_or("unknown"));
    gauge::draw(
        html,
        &Gauge {
            score: read::number(data, "/score"),
            band: &band,
            bounds: &bounds,
        },
    );
    html.note("gauge-band", format!("Readiness: {}", band.to_lowercase()));
    if let Some(confidence) = read::number(data, "/confidence") {
        html.note(
            "gauge-note",
            format!("confidence {}", format::percent(confidence)),
        );
    }
}
