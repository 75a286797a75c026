//! The frame of every drawing: a title and a description for those who do not see it.

use std::fmt::Display;

use crate::html::{Html, Px};

/// Width of a full drawing in its own units: a little more than a printed column has pixels.
pub const WIDTH: f64 = 760.0;

/// What a drawing is called and says, and how high it is.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Unique within the page.
    pub id: &'a str,
    /// What is drawn.
    pub title: &'a str,
    /// What it shows, in words.
    pub description: &'a str,
    /// Width in drawing units.
    pub width: f64,
    /// Height in drawing units.
    pub height: f64,
}

/// Draws `body` in its frame, with a visible caption.
pub fn figure(html: &mut Html, frame: Frame<'_>, body: impl FnOnce(&mut Html)) {
    html.element("figure", &[], |html| {
        html.leaf("figcaption", &[], frame.title);
        svg(html, frame, "chart", body);
    });
}

/// Draws `body` in its frame without a caption.
pub fn svg(html: &mut Html, frame: Frame<'_>, class: &'static str, body: impl FnOnce(&mut Html)) {
    let (title, description) = (format!("{}-title", frame.id), format!("{}-desc", frame.id));
    let view = format!("0 0 {} {}", Px(frame.width), Px(frame.height));
    let labelled = format!("{title} {description}");
    let attrs: [(&str, &dyn Display); 4] = [
        ("class", &class),
        ("viewBox", &view),
        ("role", &"img"),
        ("aria-labelledby", &labelled),
    ];
    html.element("svg", &attrs, |html| {
        html.leaf("title", &[("id", &title)], frame.title);
        html.leaf("desc", &[("id", &description)], frame.description);
        body(html);
    });
}

/// A line of one class.
pub fn line(html: &mut Html, class: &'static str, from: (f64, f64), to: (f64, f64)) {
    html.void(
        "line",
        &[
            ("class", &class),
            ("x1", &Px(from.0)),
            ("y1", &Px(from.1)),
            ("x2", &Px(to.0)),
            ("y2", &Px(to.1)),
        ],
    );
}

/// A rectangle of one class with its upper left corner, width and height.
pub fn rect(html: &mut Html, class: &str, corner: (f64, f64), size: (f64, f64), radius: f64) {
    html.void(
        "rect",
        &rect_attrs(
            &class,
            &Px(corner.0),
            &Px(corner.1),
            &Px(size.0),
            &Px(size.1),
            &Px(radius),
        ),
    );
}

/// A rectangle that says what it is when pointed at.
pub fn titled_rect(
    html: &mut Html,
    class: &str,
    corner: (f64, f64),
    size: (f64, f64),
    radius: f64,
    title: &str,
) {
    let (x, y, width, height, radius) = (
        Px(corner.0),
        Px(corner.1),
        Px(size.0),
        Px(size.1),
        Px(radius),
    );
    html.element(
        "rect",
        &rect_attrs(&class, &x, &y, &width, &height, &radius),
        |html| {
            html.leaf("title", &[], title);
        },
    );
}

fn rect_attrs<'a>(
    class: &'a dyn Display,
    x: &'a Px,
    y: &'a Px,
    width: &'a Px,
    height: &'a Px,
    radius: &'a Px,
) -> [(&'static str, &'a dyn Display); 6] {
    [
        ("class", class),
        ("x", x),
        ("y", y),
        ("width", width),
        ("height", height),
        ("rx", radius),
    ]
}

/// A label: class, place, and where the place is in the text (`start`, `middle`, `end`).
pub fn label(
    html: &mut Html,
    class: &str,
    place: (f64, f64),
    anchor: &'static str,
    text: impl Display,
) {
    html.leaf(
        "text",
        &[
            ("class", &class),
            ("x", &Px(place.0)),
            ("y", &Px(place.1)),
            ("text-anchor", &anchor),
        ],
        text,
    );
}

/// How wide a text of small print is, roughly, in drawing units at `size`.
pub fn text_width(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | ' ' => 0.30,
            't' | 'f' | 'r' | '-' | '/' => 0.37,
            'm' | 'w' | 'M' | 'W' | '%' | '…' => 0.88,
            _ if !character.is_ascii() && character.is_alphabetic() && character > '\u{2e80}' => {
                1.0
            }
            _ if character.is_uppercase() => 0.68,
            _ => 0.55,
        })
        .sum();
    em * size * 0.98
}

/// `text` shortened so that it is at most `width` wide at `size`.
pub fn fitted(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let room = width - text_width("…", size);
    let mut used = 0.0;
    for character in text.chars() {
        used += text_width(character.encode_utf8(&mut [0; 4]), size);
        if used > room {
            break;
        }
        kept.push(character);
    }
    format!("{}…", kept.trim_end())
}
