//! What may go wrong: the matrix, the ranked list, and the assumptions that it hangs on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::charts::bars;
use crate::charts::matrix::{self, Cell, SIZE};
use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::frame::{
    Heading, badge, cell, from_agent, head, num, row, section, shown_of, table,
};

/// Rows of the ranked table at most.
const RANKED_MOST: usize = 20;

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "risk-exposure", |html, entry| {
            let data = &entry.data;
            if read::list(data, "/items").is_empty() {
                html.note("absent", "The plan lists no risks that could be read.");
                return;
            }
            matrix::draw(html, &cells(data));
            html.note("small", "R: a risk of the plan. F: a failure mode of its premortem. Shades: low, moderate, high, severe exposure.");
            ranked(html, data);
            areas(html, data);
            assumptions(html, data);
            exposed(html, data);
        });
    });
}

/// The cells as the analysis gives them, else as its items stand.
fn cells(data: &Value) -> Vec<Cell> {
    let mut by_place: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for item in read::list(data, "/items") {
        let class = |pointer: &str| {
            let class = usize::try_from(read::count(item, pointer)?).ok()?;
            (1..=SIZE).contains(&class).then_some(class)
        };
        let place = class("/cell/likelihood").zip(class("/cell/impact"));
        if let (Some(place), Some(id)) = (place, read::text(item, "/id")) {
            by_place.entry(place).or_default().push(id.to_owned());
        }
    }
    by_place
        .into_iter()
        .map(|((likelihood, impact), ids)| Cell {
            likelihood,
            impact,
            ids,
        })
        .collect()
}

fn ranked(html: &mut Html, data: &Value) {
    let items = read::list(data, "/items");
    html.leaf("h3", &[], "Ranked by exposure");
    let columns = [
        ("", false),
        ("What may go wrong", false),
        ("Likely", false),
        ("Impact", false),
        ("Score", true),
        ("", false),
    ];
    table(
        html,
        "Risks and failure modes by exposure, the greatest first",
        &columns,
        |html| {
            for item in items.iter().take(RANKED_MOST) {
                row(html, |html| ranked_row(html, item));
            }
        },
    );
    shown_of(
        html,
        items.len().min(RANKED_MOST),
        items.len(),
        "items",
        "risk-exposure",
    );
}

fn ranked_row(html: &mut Html, item: &Value) {
    head(html, read::text(item, "/id").unwrap_or("–"));
    html.element("td", &[("class", &"wide")], |html| {
        let title = read::text(item, "/title")
            .or_else(|| read::text(item, "/description"))
            .unwrap_or("–");
        html.leaf("b", &[], format::shortened(title, 180));
        if let Some(area) = read::text(item, "/area") {
            html.text(" ").leaf("span", &[("class", &"muted")], area);
        }
        details(html, item);
    });
    for pointer in ["/likelihood", "/impact"] {
        let stated = read::text(item, &format!("{pointer}/stated"));
        let of = read::number(item, &format!("{pointer}/of")).unwrap_or(0.0);
        cell(
            html,
            match stated {
                Some(stated) if stated.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("{stated} of {of}")
                }
                Some(stated) => stated.to_owned(),
                None => "–".to_owned(),
            },
        );
    }
    num(
        html,
        read::number(item, "/score")
            .map_or_else(|| "–".to_owned(), |score| format::number(score, 0)),
    );
    html.element("td", &[], |html| {
        badge(html, read::text(item, "/band").unwrap_or("unrated"))
    });
}

fn details(html: &mut Html, item: &Value) {
    let mut said: Vec<(&str, String)> = Vec::new();
    if let Some(action) = read::text(item, "/action") {
        said.push(("Answer", format::shortened(action, 220)));
    }
    if let Some(owner) = read::text(item, "/owner") {
        said.push(("Owner", format::shortened(owner, 80)));
    }
    let delays: Vec<_> = read::list(item, "/delays")
        .iter()
        .filter_map(|delay| range(delay, "/lowDays", "/highDays", format::days))
        .collect();
    if !delays.is_empty() {
        said.push(("Stated delay", delays.join("; ")));
    }
    let money: Vec<_> = read::list(item, "/money")
        .iter()
        .filter_map(money)
        .collect();
    if !money.is_empty() {
        said.push(("Stated cost", money.join("; ")));
    }
    let links: Vec<_> = read::list(item, "/links")
        .iter()
        .take(3)
        .filter_map(|link| read::text(link, "/name"))
        .collect();
    if !links.is_empty() {
        said.push(("Touches", links.join("; ")));
    }
    let gaps: Vec<_> = read::texts(item, "/gaps")
        .iter()
        .map(|gap| format::words(gap).to_lowercase())
        .collect();
    if !gaps.is_empty() {
        said.push(("Gaps", gaps.join(", ")));
    }
    for (name, text) in said {
        html.element("div", &[("class", &"detail")], |html| {
            html.leaf("span", &[("class", &"detail-name")], name)
                .text(" ")
                .text(text);
        });
    }
}

fn range(value: &Value, low: &str, high: &str, words: fn(f64) -> String) -> Option<String> {
    let (low, high) = (read::number(value, low)?, read::number(value, high)?);
    if (low - high).abs() < 1e-9 {
        return Some(words(high));
    }
    let short = words(low);
    let bare = short.trim_end_matches(" days").trim_end_matches(" day");
    Some(format!("{bare} to {}", words(high)))
}

fn money(value: &Value) -> Option<String> {
    let currency = read::text(value, "/currency").unwrap_or("");
    let amount = range(value, "/low", "/high", |amount| format::number(amount, 0))?;
    Some(format!("{currency} {amount}").trim().to_owned())
}

fn areas(html: &mut Html, data: &Value) {
    let areas = read::list(data, "/areas");
    let most = areas
        .iter()
        .filter_map(|area| read::number(area, "/score"))
        .fold(0.0, f64::max);
    if areas.len() < 2 || most <= 0.0 {
        return;
    }
    html.leaf("h3", &[], "By area");
    let columns = [
        ("Area", false),
        ("Items", true),
        ("Summed score", true),
        ("", false),
        ("Worst", false),
    ];
    table(html, "Exposure by area", &columns, |html| {
        for area in areas.iter().take(12) {
            row(html, |html| {
                head(html, read::text(area, "/area").unwrap_or("–"));
                num(html, read::count(area, "/count").unwrap_or(0));
                let score = read::number(area, "/score").unwrap_or(0.0);
                num(html, format::number(score, 0));
                html.element("td", &[("class", &"bar-cell")], |html| {
                    bars::share(html, "fill accent", score / most, &format::number(score, 0));
                });
                cell(html, read::text(area, "/worst").unwrap_or("–"));
            });
        }
    });
    shown_of(
        html,
        areas.len().min(12),
        areas.len(),
        "areas",
        "risk-exposure",
    );
}

fn assumptions(html: &mut Html, data: &Value) {
    let assumptions = read::list(data, "/assumptions");
    if assumptions.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Assumptions to test now");
    let columns = [
        ("", false),
        ("Assumption", false),
        ("Test now", false),
        ("Leads to", false),
        ("Score", true),
    ];
    table(
        html,
        "Assumptions that the failure modes hang on, the most exposed first",
        &columns,
        |html| {
            for assumption in assumptions.iter().take(12) {
                row(html, |html| {
                    head(html, read::text(assumption, "/id").unwrap_or("–"));
                    html.leaf(
                        "td",
                        &[("class", &"wide")],
                        format::shortened(read::text(assumption, "/statement").unwrap_or("–"), 220),
                    );
                    cell(
                        html,
                        format::shortened(read::text(assumption, "/testNow").unwrap_or("–"), 180),
                    );
                    cell(html, read::texts(assumption, "/failureModes").join(", "));
                    num(
                        html,
                        read::number(assumption, "/score")
                            .map_or_else(|| "–".to_owned(), |score| format::number(score, 0)),
                    );
                });
            }
        },
    );
    shown_of(
        html,
        assumptions.len().min(12),
        assumptions.len(),
        "assumptions",
        "risk-exposure",
    );
}

fn exposed(html: &mut Html, data: &Value) {
    let activities = read::list(data, "/activities");
    if !activities.is_empty() {
        html.leaf("h3", &[], "Activities that risks speak of");
        let columns = [
            ("Activity", false),
            ("Named by", false),
            ("Summed score", true),
        ];
        table(
            html,
            "Activities named by risks, by the summed score of those",
            &columns,
            |html| {
                for activity in activities.iter().take(10) {
                    row(html, |html| {
                        let (wbs, name) = (
                            read::text(activity, "/wbs").unwrap_or(""),
                            read::text(activity, "/name").unwrap_or("–"),
                        );
                        head(html, format!("{wbs} {name}"));
                        cell(html, read::texts(activity, "/items").join(", "));
                        num(
                            html,
                            read::number(activity, "/score")
                                .map_or_else(|| "–".to_owned(), |score| format::number(score, 0)),
                        );
                    });
                }
            },
        );
    }
    let delay = read::at(data, "/statedDelay")
        .and_then(|delay| range(delay, "/lowDays", "/highDays", format::days));
    if let (Some(delay), Some(items)) = (
        delay,
        read::count(data, "/statedDelay/items").filter(|items| *items > 0),
    ) {
        html.note(
            "small",
            format!(
                "{} a delay; were all of them to come true one after another, that would be {delay}: an order of magnitude, not a forecast.",
                format::counted(items, "item states", "items state")
            ),
        );
    }
}
