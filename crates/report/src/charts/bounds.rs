//! The finish at a glance: the stated deadline over the two forecasts that bound the truth, on one time line.

use jiff::civil::Date;

use crate::charts::axis::{self, Scale};
use crate::charts::figure::{self, Frame, WIDTH};
use crate::charts::histogram::when;
use crate::html::{Html, Px};

/// One line: a forecast or a promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// What it is called.
    pub name: &'static str,
    /// Whether it is what the plan promises, rather than a forecast.
    pub promise: bool,
    /// From the earliest to the latest day that was seen.
    pub whole: Option<(f64, f64)>,
    /// Where the truth most likely lies: P10 to P90, or the promise's two readings.
    pub likely: Option<(f64, f64)>,
    /// The day in the middle: P50, the planned finish, or the promise's last day.
    pub middle: f64,
}

const LABELS: f64 = 176.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 30.0;
const LANE: f64 = 44.0;

/// The scale: from the start to a little after the last day of all lanes.
pub fn scale(lanes: &[Lane]) -> Scale {
    let last = lanes
        .iter()
        .flat_map(|lane| {
            [
                Some(lane.middle),
                lane.whole.map(|whole| whole.1),
                lane.likely.map(|likely| likely.1),
            ]
        })
        .flatten()
        .fold(1.0, f64::max);
    Scale {
        from: 0.0,
        to: last * 1.06,
        left: LABELS,
        right: RIGHT,
    }
}

/// Draws the lanes.
pub fn draw(html: &mut Html, lanes: &[Lane], start: Option<Date>) {
    if lanes.is_empty() {
        return;
    }
    let scale = scale(lanes);
    let bottom = TOP + LANE * lanes.len() as f64;
    let said: Vec<_> = lanes
        .iter()
        .map(|lane| format!("{}: {}", lane.name, when(lane.middle, start)))
        .collect();
    let frame = Frame {
        id: "bounds",
        title: "Finish at a glance",
        description: &said.join(". "),
        width: WIDTH,
        height: bottom + 6.0,
    };
    figure::figure(html, frame, |html| {
        axis::draw(
            html,
            scale,
            &axis::ticks(scale, start, 8),
            TOP - 6.0,
            bottom,
        );
        if let Some(promise) = lanes.iter().find(|lane| lane.promise) {
            let x = scale.x(promise.middle);
            figure::line(html, "deadline", (x, TOP - 6.0), (x, bottom));
        }
        for (at, lane) in lanes.iter().enumerate() {
            draw_lane(html, scale, TOP + LANE * at as f64, lane, start);
        }
    });
}

fn draw_lane(html: &mut Html, scale: Scale, top: f64, lane: &Lane, start: Option<Date>) {
    let y = top + 28.0;
    figure::label(html, "lane-name", (0.0, y + 4.0), "start", lane.name);
    let (bar, diamond, text) = if lane.promise {
        ("promise", "diamond promise-mark", "deadline-text")
    } else {
        ("likely", "diamond", "lane-text")
    };
    figure::line(html, "lane", (LABELS, y), (RIGHT, y));
    if let Some((from, to)) = lane.whole {
        figure::rect(
            html,
            "whole",
            (scale.x(from), y - 3.0),
            (scale.x(to) - scale.x(from), 6.0),
            3.0,
        );
    }
    if let Some((from, to)) = lane.likely {
        figure::rect(
            html,
            bar,
            (scale.x(from), y - 6.0),
            ((scale.x(to) - scale.x(from)).max(2.0), 12.0),
            3.0,
        );
    }
    let x = scale.x(lane.middle);
    let points = [(x, y - 8.0), (x + 6.0, y), (x, y + 8.0), (x - 6.0, y)]
        .map(|(x, y)| format!("{},{}", Px(x), Px(y)))
        .join(" ");
    html.void("polygon", &[("class", &diamond), ("points", &points)]);
    let words = when(lane.middle, start);
    let half = figure::text_width(&words, 11.0) / 2.0;
    figure::label(
        html,
        text,
        (x.clamp(LABELS + half, RIGHT - half), y - 13.0),
        "middle",
        words,
    );
}
