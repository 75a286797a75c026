//! When it will be done: the simulated finish from both sides against the stated deadline.

use serde_json::Value;

use crate::charts::bars;
use crate::charts::bounds::{self, Lane};
use crate::charts::histogram::{self, Histogram};
use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::cover;
use crate::sections::frame::{Heading, cell, from_agent, head, num, place, row, section, table};

const BOUNDS: [(&str, &str); 2] = [
    ("network", "By the stated dependencies"),
    ("waterfall", "One after another"),
];

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "schedule-monte-carlo", |html, entry| {
            let data = &entry.data;
            let deadline = cover::deadline(plan);
            glance(html, data, deadline);
            for (name, words) in BOUNDS {
                distribution(html, data, name, words, deadline);
            }
            quantiles(html, data);
            deadlines(html, data);
            drivers(html, data);
        });
    });
}

fn start(data: &Value) -> Option<jiff::civil::Date> {
    read::text(data, "/startDate").and_then(format::parse_date)
}

fn glance(html: &mut Html, data: &Value, deadline: Option<&Value>) {
    let mut lanes = Vec::new();
    if let Some(high) = deadline
        .and_then(|deadline| read::number(deadline, "/highDays"))
        .filter(|day| *day > 0.0)
    {
        let low = deadline
            .and_then(|deadline| read::number(deadline, "/lowDays"))
            .filter(|low| *low < high && *low >= 0.0);
        lanes.push(Lane {
            name: "Stated deadline",
            promise: true,
            whole: None,
            likely: low.map(|low| (low, high)),
            middle: high,
        });
    }
    for (name, words) in BOUNDS {
        let day = |what: &str| read::number(data, &format!("/{name}/{what}"));
        let Some(middle) = day("p50") else { continue };
        lanes.push(Lane {
            name: words,
            promise: false,
            whole: day("min").zip(day("max")),
            likely: day("p10").zip(day("p90")),
            middle,
        });
    }
    bounds::draw(html, &lanes, start(data));
    html.note("small", "Thick: eight in ten simulated finishes (P10 to P90). Thin: all of them. Diamond: even odds, or the last day that meets the deadline.");
}

fn distribution(html: &mut Html, data: &Value, name: &str, words: &str, deadline: Option<&Value>) {
    let Some(bound) = read::at(data, &format!("/{name}")) else {
        return;
    };
    let counts: Vec<f64> = read::list(bound, "/histogram/counts")
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    let (Some(from), Some(width)) = (
        read::number(bound, "/histogram/from"),
        read::number(bound, "/histogram/binWidth"),
    ) else {
        return;
    };
    let quantiles: Vec<(&str, f64)> = [
        ("P10", "/p10"),
        ("P50", "/p50"),
        ("P80", "/p80"),
        ("P90", "/p90"),
    ]
    .into_iter()
    .filter_map(|(name, pointer)| Some((name, read::number(bound, pointer)?)))
    .collect();
    histogram::draw(
        html,
        &Histogram {
            id: &format!("finish-{name}"),
            title: &format!("Simulated finish, {}", words.to_lowercase()),
            from,
            width,
            counts: &counts,
            quantiles: &quantiles,
            deadline: deadline
                .and_then(|deadline| read::number(deadline, "/highDays"))
                .filter(|day| *day > 0.0),
            start: start(data),
        },
    );
}

fn quantiles(html: &mut Html, data: &Value) {
    html.note("small", "Bars: how many trials ended in that stretch of days. Line: the share done by then (right-hand scale). Bars after the stated deadline are drawn in red.");
    let columns = [
        ("Done by", false),
        ("Days", true),
        ("Date", false),
        ("Days", true),
        ("Date", false),
    ];
    table(
        html,
        "Quantiles of the simulated finish: by the stated dependencies (left), one after another (right)",
        &columns,
        |html| {
            for (name, key) in [
                ("P10, one in ten", "p10"),
                ("P50, even odds", "p50"),
                ("P80, four in five", "p80"),
                ("P90, nine in ten", "p90"),
            ] {
                row(html, |html| {
                    head(html, name);
                    for (bound, _) in BOUNDS {
                        let days = read::number(data, &format!("/{bound}/{key}"));
                        num(
                            html,
                            days.map_or_else(|| "–".to_owned(), |days| format::number(days, 0)),
                        );
                        let date = read::text(data, &format!("/{bound}/dates/{key}"));
                        cell(
                            html,
                            date.map_or_else(|| "–".to_owned(), format::short_date),
                        );
                    }
                });
            }
            row(html, |html| {
                head(html, "As planned");
                for (bound, _) in BOUNDS {
                    let days = read::number(data, &format!("/{bound}/planned"));
                    num(
                        html,
                        days.map_or_else(|| "–".to_owned(), |days| format::number(days, 0)),
                    );
                    let chance = read::number(data, &format!("/{bound}/chancePlanned"));
                    cell(
                        html,
                        chance.map_or_else(
                            || "–".to_owned(),
                            |chance| format!("{} likely", format::chance(chance)),
                        ),
                    );
                }
            });
        },
    );
}

fn deadlines(html: &mut Html, data: &Value) {
    let first = read::at(data, "/deadline");
    let all: Vec<&Value> = first
        .into_iter()
        .chain(read::list(data, "/otherDeadlines"))
        .take(12)
        .collect();
    if all.is_empty() {
        html.note("small", "The plan states no deadline that could be read.");
        return;
    }
    html.leaf("h3", &[], "What the plan promises");
    let columns = [
        ("Deadline", false),
        ("Means", false),
        ("By dependencies", true),
        ("One after another", true),
    ];
    table(
        html,
        "Stated deadlines and the chance to meet them",
        &columns,
        |html| {
            for deadline in all {
                row(html, |html| {
                    html.element("td", &[], |html| {
                        html.text("“")
                            .text(format::shortened(
                                read::text(deadline, "/quote").unwrap_or("–"),
                                140,
                            ))
                            .text("” ");
                        place(html, deadline);
                    });
                    cell(
                        html,
                        cover::deadline_words(deadline, read::text(data, "/startDate")),
                    );
                    for pointer in ["/chanceNetwork", "/chanceWaterfall"] {
                        num(
                            html,
                            read::number(deadline, pointer)
                                .map_or_else(|| "–".to_owned(), format::chance),
                        );
                    }
                });
            }
        },
    );
}

fn drivers(html: &mut Html, data: &Value) {
    let ids = read::texts(data, "/drivers");
    let activities = read::list(data, "/activities");
    let found: Vec<&Value> = ids
        .iter()
        .filter_map(|id| {
            activities
                .iter()
                .find(|activity| read::text(activity, "/id") == Some(id))
        })
        .collect();
    if found.is_empty() {
        return;
    }
    html.leaf("h3", &[], "What moves the finish");
    let columns = [
        ("Activity", false),
        ("Range, days", true),
        ("On the longest path", true),
        ("", false),
        ("Sensitivity", true),
        ("", false),
    ];
    table(
        html,
        "The activities whose durations move the finish most, by the stated dependencies",
        &columns,
        |html| {
            for activity in found {
                row(html, |html| driver_row(html, activity));
            }
        },
    );
    html.note("small", "On the longest path: in how many of the trials. Sensitivity: rank correlation of the activity's duration with the finish, 1 where they always move together.");
}

fn driver_row(html: &mut Html, activity: &Value) {
    let (wbs, name) = (
        read::text(activity, "/wbs").unwrap_or(""),
        read::text(activity, "/name").unwrap_or("Activity"),
    );
    head(html, format!("{wbs} {name}"));
    let of = |pointer: &str| {
        read::number(activity, pointer)
            .map_or_else(|| "–".to_owned(), |days| format::number(days, 1))
    };
    num(
        html,
        format!("{} / {} / {}", of("/min"), of("/mode"), of("/max")),
    );
    let criticality = read::number(activity, "/criticality").unwrap_or(0.0);
    num(html, format::percent(criticality));
    html.element("td", &[("class", &"bar-cell")], |html| {
        bars::share(
            html,
            "fill accent",
            criticality,
            &format::percent(criticality),
        );
    });
    let sensitivity = read::number(activity, "/sensitivity");
    num(
        html,
        sensitivity.map_or_else(|| "–".to_owned(), |value| format::number(value, 2)),
    );
    html.element("td", &[("class", &"bar-cell")], |html| {
        bars::signed(html, "fill accent", sensitivity.unwrap_or(0.0));
    });
}
