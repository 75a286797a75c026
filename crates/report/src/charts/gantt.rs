//! Activities as bars over time, grouped by phase, with what waits for what.

use jiff::civil::Date;

use crate::charts::axis::{self, Scale};
use crate::charts::figure::{self, Frame, WIDTH};
use crate::format;
use crate::html::{Html, Px};

/// One line of the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number in the tree: `2.3`.
    pub wbs: String,
    /// What it is called.
    pub name: String,
    /// The day it starts.
    pub start: f64,
    /// The day it is done.
    pub finish: f64,
    /// How it is drawn.
    pub kind: RowKind,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RowKind {
    /// A bracket over its activities.
    Phase,
    /// A bar.
    Activity {
        /// A delay of it delays the finish.
        critical: bool,
        /// The day it may end at the latest, where that is known.
        latest: Option<f64>,
    },
}

/// A vertical line through the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// The day.
    pub day: f64,
    /// What it is.
    pub label: String,
}

/// One drawing: a slice of all rows.
#[derive(Clone, Debug)]
pub struct Gantt<'a> {
    /// Unique within the page.
    pub id: &'a str,
    /// What is drawn.
    pub title: &'a str,
    /// All rows, from top to bottom.
    pub rows: &'a [Row],
    /// Which of the rows are drawn; arrows to and from others lead over the edge.
    pub page: std::ops::Range<usize>,
    /// Pairs of row numbers: the second waits for the first; whether both are critical.
    pub links: &'a [(usize, usize, bool)],
    /// Deadlines and the like.
    pub marks: &'a [Mark],
    /// The last day to be drawn.
    pub to: f64,
    /// The date of day 0, if known.
    pub start: Option<Date>,
}

/// Rows in one drawing at most: slices of this height fill printed pages well and keep the time axis in sight.
pub const ROWS_MOST: usize = 24;

const LABELS: f64 = 246.0;
const ROW: f64 = 19.0;
const BAR: f64 = 9.0;
/// The axis and its labels.
const TOP: f64 = 26.0;
/// What a mark's label takes above the axis.
const MARK: f64 = 16.0;
const RIGHT: f64 = WIDTH - 40.0;

/// Splits rows into pages, where possible before a phase, so that no phase's heading stands alone at the foot.
pub fn pages(rows: &[Row]) -> Vec<std::ops::Range<usize>> {
    let mut pages = Vec::new();
    let mut from = 0;
    while from < rows.len() {
        let mut to = (from + ROWS_MOST).min(rows.len());
        if to < rows.len() {
            let tail = &rows[from..=to];
            let least = ROWS_MOST / 2;
            let before_phase = tail
                .iter()
                .rposition(|row| row.kind == RowKind::Phase)
                .filter(|at| *at >= least);
            to = before_phase.map_or(to, |at| from + at);
        }
        pages.push(from..to);
        from = to;
    }
    pages
}

/// The scale of all drawings that reach to day `to`.
pub fn scale(to: f64) -> Scale {
    Scale {
        from: 0.0,
        to: to.max(1.0),
        left: LABELS,
        right: RIGHT,
    }
}

/// Where the rows of one slice stand.
#[derive(Clone, Copy)]
struct Ladder {
    top: f64,
    first: usize,
    count: usize,
}

impl Ladder {
    /// The middle of a row; above or below the slice for rows that are not in it.
    fn middle(self, row: usize) -> f64 {
        self.top + (row as f64 - self.first as f64 + 0.5) * ROW
    }

    fn bottom(self) -> f64 {
        self.top + self.count as f64 * ROW
    }
}

/// Draws one slice of the rows.
pub fn draw(html: &mut Html, gantt: &Gantt<'_>) {
    let scale = scale(gantt.to);
    let rows = gantt.rows.get(gantt.page.clone()).unwrap_or_default();
    let ladder = Ladder {
        top: if gantt.marks.is_empty() {
            TOP
        } else {
            TOP + MARK
        },
        first: gantt.page.start,
        count: rows.len(),
    };
    let said = spoken(rows, gantt.to);
    let height = ladder.bottom() + 6.0;
    let frame = Frame {
        id: gantt.id,
        title: gantt.title,
        description: &said,
        width: WIDTH,
        height,
    };
    html.element("figure", &[("class", &"gantt")], |html| {
        figure::svg(html, frame, "chart", |html| {
            for (at, _) in rows
                .iter()
                .enumerate()
                .filter(|(_, row)| row.kind == RowKind::Phase)
            {
                let y = ladder.middle(ladder.first + at) - ROW / 2.0;
                figure::rect(html, "phase-row", (0.0, y), (WIDTH, ROW), 0.0);
            }
            axis::draw(
                html,
                scale,
                &axis::ticks(scale, gantt.start, 7),
                ladder.top - 6.0,
                ladder.bottom(),
            );
            for mark in gantt.marks.iter().filter(|mark| scale.holds(mark.day)) {
                draw_mark(html, scale, ladder, mark);
            }
            links(html, scale, ladder, gantt);
            for (at, row) in rows.iter().enumerate() {
                draw_row(html, scale, ladder.middle(ladder.first + at), row);
            }
        });
    });
}

fn spoken(rows: &[Row], to: f64) -> String {
    let activities = rows.iter().filter(|row| row.kind != RowKind::Phase);
    let critical = activities
        .clone()
        .filter(|row| matches!(row.kind, RowKind::Activity { critical: true, .. }));
    format!(
        "Bars of {} activities on a line from day 0 to day {}; {} of them are critical.",
        activities.clone().count(),
        format::number(to, 0),
        critical.count()
    )
}

fn draw_mark(html: &mut Html, scale: Scale, ladder: Ladder, mark: &Mark) {
    let x = scale.x(mark.day);
    figure::line(
        html,
        "deadline",
        (x, ladder.top - 22.0),
        (x, ladder.bottom()),
    );
    let right = x > (scale.left + scale.right) / 2.0;
    let (anchor, x) = if right {
        ("end", x + 4.0)
    } else {
        ("start", x - 4.0)
    };
    figure::label(
        html,
        "deadline-text",
        (x, ladder.top - 28.0),
        anchor,
        &mark.label,
    );
}

/// The arrows, cut off where they lead out of the slice.
fn links(html: &mut Html, scale: Scale, ladder: Ladder, gantt: &Gantt<'_>) {
    let page = &gantt.page;
    let height = ladder.bottom() - ladder.top;
    let view = format!("0 {} {} {}", Px(ladder.top), Px(WIDTH), Px(height));
    let attrs: [crate::html::Attr<'_>; 5] = [
        ("x", &0),
        ("y", &Px(ladder.top)),
        ("width", &Px(WIDTH)),
        ("height", &Px(height)),
        ("viewBox", &view),
    ];
    html.element("svg", &attrs, |html| {
        for (from, to, critical) in gantt.links {
            let passes = *from.min(to) < page.end && *from.max(to) >= page.start;
            let ends = gantt
                .rows
                .get(*from)
                .zip(gantt.rows.get(*to))
                .filter(|_| passes);
            if let Some((before, after)) = ends {
                let start = (scale.x(before.finish), ladder.middle(*from));
                let end = (scale.x(after.start), ladder.middle(*to));
                link(html, start, end, *critical);
            }
        }
    });
}

fn draw_row(html: &mut Html, scale: Scale, y: f64, row: &Row) {
    let (x, end) = (scale.x(row.start), scale.x(row.finish));
    let width = (end - x).max(1.5);
    let told = format!(
        "{} {}: {}, from {} to {}",
        row.wbs,
        row.name,
        format::days(row.finish - row.start),
        format::day(row.start),
        format::day(row.finish)
    );
    let (text_class, wbs_class, size) = match row.kind {
        RowKind::Phase => ("row-name phase-name", "row-wbs phase-name", 11.4),
        RowKind::Activity { critical: true, .. } => {
            ("row-name critical-name", "row-wbs critical-name", 11.0)
        }
        RowKind::Activity { .. } => ("row-name", "row-wbs", 11.0),
    };
    let indent = if row.kind == RowKind::Phase {
        22.0
    } else {
        34.0
    };
    figure::label(html, wbs_class, (indent - 6.0, y + 3.8), "end", &row.wbs);
    let name = figure::fitted(&row.name, LABELS - indent - 10.0, size);
    figure::label(html, text_class, (indent, y + 3.8), "start", name);
    match row.kind {
        RowKind::Phase => {
            let d = format!(
                "M{l} {b}V{t}H{r}V{b}",
                l = Px(x),
                r = Px(x + width),
                t = Px(y - 3.0),
                b = Px(y + 4.0)
            );
            html.element("path", &[("class", &"phase-bar"), ("d", &d)], |html| {
                html.leaf("title", &[], &told);
            });
        }
        RowKind::Activity { critical, latest } => {
            let latest = latest
                .map(|day| scale.x(day))
                .filter(|until| !critical && *until > end + 1.0);
            if let Some(until) = latest {
                figure::line(html, "slack", (end, y), (until, y));
                figure::line(html, "slack-end", (until, y - 3.0), (until, y + 3.0));
            }
            let class = if critical { "bar critical" } else { "bar" };
            figure::titled_rect(html, class, (x, y - BAR / 2.0), (width, BAR), 1.5, &told);
            let text = format!("{} d", format::number(row.finish - row.start, 0));
            figure::label(html, "bar-days", (x + width + 7.0, y + 3.4), "start", text);
        }
    }
}

/// From the end of one bar to the start of another: along the later row where there is room, else onto the bar's edge.
fn link(html: &mut Html, (x1, y1): (f64, f64), (x2, y2): (f64, f64), critical: bool) {
    let class = if critical {
        "link critical-link"
    } else {
        "link"
    };
    let (line, tip) = if x2 - x1 >= 10.0 {
        let line = format!("M{} {}h4V{}H{}", Px(x1), Px(y1), Px(y2), Px(x2 - 3.0));
        (line, [(x2, y2), (x2 - 4.0, y2 - 2.6), (x2 - 4.0, y2 + 2.6)])
    } else {
        let down = if y2 > y1 { -1.0 } else { 1.0 };
        let (x, edge) = (x2 + 3.5, y2 + down * BAR / 2.0);
        let line = format!("M{} {}H{}V{}", Px(x1), Px(y1), Px(x), Px(edge + down * 3.0));
        (
            line,
            [
                (x, edge),
                (x - 2.6, edge + down * 4.0),
                (x + 2.6, edge + down * 4.0),
            ],
        )
    };
    html.void("path", &[("class", &class), ("d", &line)]);
    let points = tip.map(|(x, y)| format!("{},{}", Px(x), Px(y))).join(" ");
    let tip_class = if critical { "tip critical-tip" } else { "tip" };
    html.void("polygon", &[("class", &tip_class), ("points", &points)]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn activity(wbs: &str, start: f64, finish: f64) -> Row {
        let kind = RowKind::Activity {
            critical: false,
            latest: None,
        };
        Row {
            wbs: wbs.to_owned(),
            name: format!("Activity {wbs}"),
            start,
            finish,
            kind,
        }
    }

    fn attribute(markup: &str, name: &str) -> f64 {
        let rest = markup.split_once(&format!(" {name}=\"")).unwrap().1;
        rest.split_once('"').unwrap().0.parse().unwrap()
    }

    #[test]
    fn bars_begin_and_end_in_proportion_to_their_days() {
        let rows = [activity("1.1", 0.0, 100.0), activity("1.2", 100.0, 150.0)];
        let mut html = Html::new();
        let gantt = Gantt {
            id: "g",
            title: "T",
            rows: &rows,
            page: 0..2,
            links: &[],
            marks: &[],
            to: 200.0,
            start: None,
        };
        draw(&mut html, &gantt);
        let drawn = html.into_string();
        let bars: Vec<&str> = drawn.split("<rect class=\"bar\"").skip(1).collect();
        assert_eq!(bars.len(), 2);
        let day = (RIGHT - LABELS) / 200.0;
        let near =
            |one: f64, other: f64| assert!((one - other).abs() < 0.02, "{one} is not {other}");
        near(attribute(bars[0], "x"), LABELS);
        near(attribute(bars[0], "width"), 100.0 * day);
        near(attribute(bars[1], "x"), LABELS + 100.0 * day);
        near(attribute(bars[1], "width"), 50.0 * day);
        near(attribute(bars[1], "y") - attribute(bars[0], "y"), ROW);
    }

    #[test]
    fn pages_break_before_a_phase() {
        let phase = |wbs: &str| Row {
            kind: RowKind::Phase,
            ..activity(wbs, 0.0, 1.0)
        };
        let mut rows = Vec::new();
        for number in 0..10 {
            rows.push(phase(&format!("{number}")));
            rows.extend((0..8).map(|_| activity("x", 0.0, 1.0)));
        }
        let pages = pages(&rows);
        assert!(pages.len() >= 3);
        for page in &pages {
            assert!(page.len() <= ROWS_MOST);
            assert_eq!(rows[page.start].kind, RowKind::Phase, "{pages:?}");
        }
        assert_eq!(
            pages.iter().map(std::ops::Range::len).sum::<usize>(),
            rows.len()
        );
    }

    #[test]
    fn an_arrow_goes_on_from_one_slice_to_the_next() {
        let rows: Vec<Row> = (0..6)
            .map(|at| activity("1", f64::from(at), f64::from(at) + 1.0))
            .collect();
        let drawn = |page: std::ops::Range<usize>| {
            let links = [(1, 4, true)];
            let gantt = Gantt {
                id: "g",
                title: "T",
                rows: &rows,
                page,
                links: &links,
                marks: &[],
                to: 6.0,
                start: None,
            };
            let mut html = Html::new();
            draw(&mut html, &gantt);
            html.into_string().matches("critical-link").count()
        };
        assert_eq!(
            [
                drawn(0..3),
                drawn(3..6),
                drawn(2..3),
                drawn(0..1),
                drawn(5..6)
            ],
            [1, 1, 1, 0, 0]
        );
    }

    #[test]
    fn an_activity_name_stays_text() {
        let rows = [Row {
            name: "<b>&".to_owned(),
            ..activity("1", 0.0, 1.0)
        }];
        let mut html = Html::new();
        draw(
            &mut html,
            &Gantt {
                id: "g",
                title: "T",
                rows: &rows,
                page: 0..1,
                links: &[],
                marks: &[],
                to: 1.0,
                start: None,
            },
        );
        assert!(!html.into_string().contains("<b>"));
    }
}
