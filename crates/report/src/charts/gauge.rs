//! A score of 0..100 on a half circle, with the bands that it may fall in.

use crate::charts::figure::{self, Frame};
use crate::format;
use crate::html::{Html, Px};

/// What the gauge shows.
#[derive(Clone, Debug)]
pub struct Gauge<'a> {
    /// 0..100, or nothing when it could not be reckoned.
    pub score: Option<f64>,
    /// The band's name in words.
    pub band: &'a str,
    /// The lower bounds of the bands, each with a class of 0 (worst) and up.
    pub bounds: &'a [f64],
}

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 142.0;
const MIDDLE: (f64, f64) = (120.0, 122.0);
const RADIUS: f64 = 92.0;

/// The point of a score on a half circle of `radius` around the middle: 0 at the left, 100 at the right.
pub fn point(score: f64, radius: f64) -> (f64, f64) {
    let angle = std::f64::consts::PI * (1.0 - score.clamp(0.0, 100.0) / 100.0);
    (
        MIDDLE.0 + radius * libm::cos(angle),
        MIDDLE.1 - radius * libm::sin(angle),
    )
}

fn arc(from: f64, to: f64, radius: f64) -> String {
    let (a, b) = (point(from, radius), point(to, radius));
    format!(
        "M{} {}A{r} {r} 0 0 1 {} {}",
        Px(a.0),
        Px(a.1),
        Px(b.0),
        Px(b.1),
        r = Px(radius)
    )
}

/// Draws the gauge.
pub fn draw(html: &mut Html, gauge: &Gauge<'_>) {
    let said = gauge.score.map_or_else(
        || "The score could not be reckoned.".to_owned(),
        |score| format!("{} of 100: {}.", format::number(score, 0), gauge.band),
    );
    let frame = Frame {
        id: "gauge",
        title: "Readiness",
        description: &said,
        width: WIDTH,
        height: HEIGHT,
    };
    let mut bounds = gauge.bounds.to_vec();
    bounds.sort_by(f64::total_cmp);
    figure::svg(html, frame, "gauge", |html| {
        bands(html, &bounds);
        let track = arc(0.0, 100.0, RADIUS);
        html.void("path", &[("class", &"gauge-track"), ("d", &track)]);
        value(html, gauge.score, &bounds);
        for (end, side) in [("0", -RADIUS), ("100", RADIUS)] {
            let place = (MIDDLE.0 + side, MIDDLE.1 + 15.0);
            figure::label(html, "gauge-end", place, "middle", end);
        }
    });
}

const BANDS: [&str; 4] = ["band-0", "band-1", "band-2", "band-3"];

fn bands(html: &mut Html, bounds: &[f64]) {
    for (at, from) in bounds.iter().enumerate() {
        let to = bounds.get(at + 1).copied().unwrap_or(100.0);
        let gap = if at == 0 { 0.0 } else { 0.5 };
        let band = arc(from + gap, to, RADIUS + 13.0);
        let class = BANDS[at.min(BANDS.len() - 1)];
        html.void("path", &[("class", &class), ("d", &band)]);
    }
}

fn value(html: &mut Html, score: Option<f64>, bounds: &[f64]) {
    let Some(score) = score else {
        figure::label(
            html,
            "gauge-score",
            (MIDDLE.0, MIDDLE.1 - 20.0),
            "middle",
            "–",
        );
        return;
    };
    let level = bounds.iter().rposition(|from| score >= *from).unwrap_or(0);
    let class = format!("gauge-value {}", BANDS[level.min(BANDS.len() - 1)]);
    let reached = arc(0.0, score.max(0.5), RADIUS);
    html.void("path", &[("class", &class), ("d", &reached)]);
    let number = format::number(score, 0);
    figure::label(
        html,
        "gauge-score",
        (MIDDLE.0, MIDDLE.1 - 24.0),
        "middle",
        number,
    );
    figure::label(
        html,
        "gauge-of",
        (MIDDLE.0, MIDDLE.1 - 4.0),
        "middle",
        "of 100",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_goes_from_left_over_the_top_to_the_right() {
        let near = |one: (f64, f64), other: (f64, f64)| {
            assert!(
                (one.0 - other.0).abs() < 1e-9 && (one.1 - other.1).abs() < 1e-9,
                "{one:?} {other:?}"
            );
        };
        near(point(0.0, 90.0), (30.0, 122.0));
        near(point(50.0, 90.0), (120.0, 32.0));
        near(point(100.0, 90.0), (210.0, 122.0));
        near(point(170.0, 90.0), (210.0, 122.0));
    }
}
