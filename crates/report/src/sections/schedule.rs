//! The schedule from both sides: by the stated dependencies, with the critical path, and one after another.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use crate::charts::gantt::{self, Gantt, Mark, Row, RowKind};
use crate::charts::histogram::when;
use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::cover;
use crate::sections::frame::{Heading, from_agent, head, num, row, section, shown_of, table};

/// Activities in one drawing's pages at most: beyond, a Gantt chart is no longer read.
const ACTIVITIES_MOST: usize = 150;

/// A deadline beyond this many times the bars' length is told, not drawn: it would squeeze the bars.
const DEADLINE_STRETCH: f64 = 1.6;

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "critical-path", |html, entry| {
            let data = &entry.data;
            let activities = read::list(data, "/activities");
            if activities.is_empty() {
                html.note(
                    "absent",
                    "The plan has no activities with durations to draw.",
                );
                return;
            }
            bounds_table(html, data);
            let deadline =
                cover::deadline(plan).and_then(|deadline| read::number(deadline, "/highDays"));
            chart(html, data, View::Network, deadline);
            chain(html, data);
            chart(html, data, View::Waterfall, deadline);
            phases(html, data);
            untidy(html, data);
        });
    });
}

#[derive(Clone, Copy, PartialEq)]
enum View {
    Network,
    Waterfall,
}

fn start(data: &Value) -> Option<Date> {
    read::text(data, "/startDate").and_then(format::parse_date)
}

fn bounds_table(html: &mut Html, data: &Value) {
    html.p(
        "A PlanExe plan states only its most critical dependencies. The finish by those alone is therefore the earliest \
         that is possible, the finish of all activities one after another the latest that is needed: the truth lies between.",
    );
    let columns = [
        ("Reading", false),
        ("Length", true),
        ("Days", true),
        ("Finish", false),
    ];
    table(html, "The two readings of the schedule", &columns, |html| {
        for (name, words) in [
            ("network", "By the stated dependencies"),
            ("waterfall", "One after another"),
        ] {
            let Some(days) = read::number(data, &format!("/{name}/finishDays")) else {
                continue;
            };
            row(html, |html| {
                head(html, words);
                num(html, format::span(days));
                num(html, format::number(days, 1));
                let date = read::text(data, &format!("/{name}/finishDate"));
                html.leaf(
                    "td",
                    &[],
                    date.map_or_else(|| "no start date known".to_owned(), format::date),
                );
            });
        }
    });
}

struct Picture {
    rows: Vec<Row>,
    /// Row number of each activity.
    places: BTreeMap<String, usize>,
    shown: usize,
}

fn picture(data: &Value, view: View) -> Picture {
    let phases: BTreeMap<&str, &Value> = read::list(data, "/phases")
        .iter()
        .filter_map(|phase| Some((read::text(phase, "/id")?, phase)))
        .collect();
    let mut made = Picture {
        rows: Vec::new(),
        places: BTreeMap::new(),
        shown: 0,
    };
    let mut current = None;
    for activity in read::list(data, "/activities").iter().take(ACTIVITIES_MOST) {
        let phase = read::text(activity, "/phase");
        if phase != current {
            current = phase;
            let heading = phase
                .and_then(|id| phases.get(id))
                .and_then(|phase| phase_row(phase, view));
            made.rows.extend(heading);
        }
        let Some(line) = activity_row(activity, view) else {
            continue;
        };
        if let Some(id) = read::text(activity, "/id") {
            made.places.insert(id.to_owned(), made.rows.len());
        }
        made.rows.push(line);
        made.shown += 1;
    }
    made
}

fn phase_row(phase: &Value, view: View) -> Option<Row> {
    let (start, finish) = match view {
        View::Network => ("/networkStart", "/networkFinish"),
        View::Waterfall => ("/waterfallStart", "/waterfallFinish"),
    };
    Some(Row {
        wbs: read::text(phase, "/wbs").unwrap_or("").to_owned(),
        name: read::text(phase, "/name").unwrap_or("Phase").to_owned(),
        start: read::number(phase, start)?,
        finish: read::number(phase, finish)?,
        kind: RowKind::Phase,
    })
}

fn activity_row(activity: &Value, view: View) -> Option<Row> {
    let network = view == View::Network;
    let (start, finish) = if network {
        ("/es", "/ef")
    } else {
        ("/waterfallStart", "/waterfallFinish")
    };
    Some(Row {
        wbs: read::text(activity, "/wbs").unwrap_or("").to_owned(),
        name: read::text(activity, "/name")
            .unwrap_or("Activity")
            .to_owned(),
        start: read::number(activity, start)?,
        finish: read::number(activity, finish)?,
        kind: RowKind::Activity {
            critical: read::flag(activity, "/critical"),
            latest: network.then(|| read::number(activity, "/lf")).flatten(),
        },
    })
}

fn links(data: &Value, picture: &Picture) -> Vec<(usize, usize, bool)> {
    let row_of = |link: &Value, end: &str| picture.places.get(read::text(link, end)?).copied();
    let critical = |at: usize| {
        picture
            .rows
            .get(at)
            .is_some_and(|row| matches!(row.kind, RowKind::Activity { critical: true, .. }))
    };
    let tight = |from: usize, to: usize| match (picture.rows.get(from), picture.rows.get(to)) {
        (Some(before), Some(after)) => (before.finish - after.start).abs() < 1e-6,
        _ => false,
    };
    read::list(data, "/links")
        .iter()
        .filter_map(|link| Some((row_of(link, "/from")?, row_of(link, "/to")?)))
        .map(|(from, to)| (from, to, critical(from) && critical(to) && tight(from, to)))
        .collect()
}

fn chart(html: &mut Html, data: &Value, view: View, deadline: Option<f64>) {
    let picture = picture(data, view);
    let (title, id) = match view {
        View::Network => (
            "By the stated dependencies, with the critical path",
            "gantt-network",
        ),
        View::Waterfall => ("One after another", "gantt-waterfall"),
    };
    let links = if view == View::Network {
        links(data, &picture)
    } else {
        Vec::new()
    };
    let last = picture
        .rows
        .iter()
        .map(|row| row.finish)
        .fold(0.0, f64::max);
    let stated = deadline.filter(|day| *day > 0.0);
    let near = stated.filter(|day| *day < last * DEADLINE_STRETCH);
    let to = near.map_or(last, |day| last.max(day * 1.01));
    let label = |day| format!("Deadline {}", when(day, start(data)));
    let marks: Vec<Mark> = near
        .map(|day| Mark {
            day,
            label: label(day),
        })
        .into_iter()
        .collect();
    html.leaf("h3", &[], title);
    legend(html, view, near.is_some());
    let pages = gantt::pages(&picture.rows);
    for (number, page) in pages.iter().enumerate() {
        let gantt = Gantt {
            id: &format!("{id}-{}", number + 1),
            title: &format!("{title} ({} of {})", number + 1, pages.len()),
            rows: &picture.rows,
            page: page.clone(),
            links: &links,
            marks: &marks,
            to,
            start: start(data),
        };
        gantt::draw(html, &gantt);
    }
    let all = read::list(data, "/activities").len();
    shown_of(html, picture.shown, all, "activities", "critical-path");
    if let Some(day) = stated.filter(|_| near.is_none()) {
        let (date, later) = (when(day, start(data)), format::span(day - last));
        html.note(
            "small",
            format!("The stated deadline, {date}, lies {later} after the last bar."),
        );
    }
}

fn legend(html: &mut Html, view: View, deadline: bool) {
    html.element("p", &[("class", &"legend")], |html| {
        let mut key = |class: &'static str, word: &'static str| {
            html.element("span", &[("class", &"key")], |html| {
                html.leaf("i", &[("class", &class)], "").text(word);
            });
        };
        if view == View::Network {
            key("k-critical", "critical: a delay here delays the finish");
            key("k-bar", "has slack");
            key("k-slack", "how late it may end");
        } else {
            key("k-critical", "critical by the stated dependencies");
            key("k-bar", "has slack by the stated dependencies");
        }
        if deadline {
            key("k-deadline", "stated deadline");
        }
    });
}

fn chain(html: &mut Html, data: &Value) {
    let names: BTreeMap<&str, &Value> = read::list(data, "/activities")
        .iter()
        .filter_map(|activity| Some((read::text(activity, "/id")?, activity)))
        .collect();
    let chains = read::list(data, "/criticalChains");
    let Some(first) = chains.first() else { return };
    let steps: Vec<&Value> = read::texts(first, "")
        .iter()
        .filter_map(|id| names.get(id).copied())
        .collect();
    if steps.is_empty() {
        return;
    }
    let total = read::count(data, "/criticalChainsTotal").unwrap_or(chains.len() as u64);
    let title = if total > 1 {
        format!("A critical chain (one of {})", format::count(total))
    } else {
        "The critical chain".to_owned()
    };
    html.leaf("h3", &[], title);
    html.element("ol", &[("class", &"chain")], |html| {
        for step in steps {
            html.element("li", &[], |html| {
                html.leaf("b", &[], read::text(step, "/wbs").unwrap_or(""))
                    .text(" ");
                html.text(read::text(step, "/name").unwrap_or("Activity"))
                    .text(" ");
                let days = read::number(step, "/days")
                    .map(format::days)
                    .unwrap_or_default();
                html.leaf("span", &[("class", &"muted")], days);
            });
        }
    });
}

fn phases(html: &mut Html, data: &Value) {
    let phases = read::list(data, "/phases");
    if phases.is_empty() {
        return;
    }
    html.leaf("h3", &[], "Phases");
    let columns = [
        ("Phase", false),
        ("Activities", true),
        ("Own estimate", true),
        ("Sum of activities", true),
        ("By dependencies", true),
    ];
    table(
        html,
        "Phases and how long they take, in days",
        &columns,
        |html| {
            for phase in phases {
                row(html, |html| {
                    let (wbs, name) = (
                        read::text(phase, "/wbs").unwrap_or(""),
                        read::text(phase, "/name").unwrap_or("Phase"),
                    );
                    head(html, format!("{wbs} {name}"));
                    let days = |pointer: &str| {
                        read::number(phase, pointer)
                            .map_or_else(|| "–".to_owned(), |days| format::number(days, 1))
                    };
                    num(
                        html,
                        read::count(phase, "/activities")
                            .map_or_else(|| "–".to_owned(), format::count),
                    );
                    num(html, days("/statedDays"));
                    num(html, days("/sumDays"));
                    let between = read::number(phase, "/networkStart")
                        .zip(read::number(phase, "/networkFinish"));
                    num(
                        html,
                        between.map_or_else(
                            || "–".to_owned(),
                            |(from, to)| {
                                format!("{} – {}", format::number(from, 0), format::number(to, 0))
                            },
                        ),
                    );
                });
            }
        },
    );
}

fn untidy(html: &mut Html, data: &Value) {
    let dropped = read::list(data, "/dropped").len() as u64;
    let cycles = read::list(data, "/cycles").len() as u64;
    let mut said = Vec::new();
    if let Some((stated, used)) =
        read::count(data, "/coverage/statedLinks").zip(read::count(data, "/coverage/usedLinks"))
    {
        said.push(format!(
            "{used} of {} were used",
            format::counted(stated, "stated dependency", "stated dependencies")
        ));
    }
    if let Some((linked, all)) =
        read::count(data, "/coverage/linked").zip(read::count(data, "/coverage/activities"))
    {
        said.push(format!(
            "they touch {linked} of {}",
            format::counted(all, "activity", "activities")
        ));
    }
    if dropped > 0 {
        said.push(format!(
            "{} had to be dropped",
            format::counted(dropped, "one", "of them")
        ));
    }
    if cycles > 0 {
        said.push(format!(
            "{} of activities that wait for each other was left out",
            format::counted(cycles, "circle", "circles")
        ));
    }
    if let Some(lanes) = read::count(data, "/lanes/maxConcurrent") {
        said.push(format!(
            "at most {} would be under way at once",
            format::counted(lanes, "activity", "activities")
        ));
    }
    if !said.is_empty() {
        html.note("small", format!("{}.", said.join("; ")));
    }
}
