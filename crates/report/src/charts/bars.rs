//! Small bars inside tables: a share of a whole, or a value between minus one and one.

use crate::charts::figure;
use crate::format;
use crate::html::{Html, Px};

/// Width of a bar in drawing units.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 10.0;

/// A bar for a share of 0..1, with its text for those who do not see it.
pub fn share(html: &mut Html, class: &'static str, share: f64, spoken: &str) {
    frame(html, spoken, |html| {
        figure::rect(html, "track", (0.0, 0.0), (WIDTH, HEIGHT), 2.0);
        figure::rect(
            html,
            class,
            (0.0, 0.0),
            (WIDTH * clamp(share, 0.0), HEIGHT),
            2.0,
        );
    });
}

/// A bar that grows from the middle: to the right for positive, to the left for negative values of -1..1.
pub fn signed(html: &mut Html, class: &'static str, value: f64) {
    let half = WIDTH / 2.0;
    let length = half * clamp(value, -1.0).abs();
    let x = if value < 0.0 { half - length } else { half };
    frame(html, &format::number(value, 2), |html| {
        figure::rect(html, "track", (0.0, 0.0), (WIDTH, HEIGHT), 2.0);
        figure::rect(html, class, (x, 0.0), (length, HEIGHT), 1.0);
        figure::line(html, "mid", (half, 0.0), (half, HEIGHT));
    });
}

fn clamp(value: f64, least: f64) -> f64 {
    if value.is_finite() {
        value.clamp(least, 1.0)
    } else {
        0.0
    }
}

fn frame(html: &mut Html, spoken: &str, body: impl FnOnce(&mut Html)) {
    let view = format!("0 0 {} {}", Px(WIDTH), Px(HEIGHT));
    html.element(
        "svg",
        &[
            ("class", &"mini"),
            ("viewBox", &view),
            ("role", &"img"),
            ("aria-label", &spoken),
        ],
        body,
    );
}
