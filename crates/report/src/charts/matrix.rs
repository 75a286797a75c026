//! Likelihood against impact: what stands in which of 25 cells.

use crate::charts::figure::{self, Frame};
use crate::html::{Html, Px};

/// Classes on each side.
pub const SIZE: usize = 5;

/// One cell's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// 1..5, upwards.
    pub likelihood: usize,
    /// 1..5, to the right.
    pub impact: usize,
    /// The ids of what stands here.
    pub ids: Vec<String>,
}

const LEFT: f64 = 74.0;
const TOP: f64 = 8.0;
const CELL: (f64, f64) = (112.0, 58.0);
const HEIGHT: f64 = TOP + 5.0 * CELL.1 + 46.0;
const WIDTH: f64 = LEFT + 5.0 * CELL.0 + 10.0;
const CHIP: (f64, f64) = (29.0, 15.0);
const CHIPS_A_LINE: usize = 3;
const CHIPS_MOST: usize = 9;

/// The upper left corner of a cell.
pub fn corner(likelihood: usize, impact: usize) -> (f64, f64) {
    (
        LEFT + (impact as f64 - 1.0) * CELL.0,
        TOP + (SIZE as f64 - likelihood as f64) * CELL.1,
    )
}

/// How grave a cell is, by the mid points of its classes: 100 x likelihood x impact.
pub fn heat(likelihood: usize, impact: usize) -> &'static str {
    let mid = |class: usize| (class as f64 - 0.5) / SIZE as f64;
    match 100.0 * mid(likelihood) * mid(impact) {
        50.0.. => "heat severe",
        30.0.. => "heat high",
        15.0.. => "heat moderate",
        _ => "heat low",
    }
}

/// Draws the matrix.
pub fn draw(html: &mut Html, cells: &[Cell]) {
    let placed: usize = cells.iter().map(|cell| cell.ids.len()).sum();
    let said = format!(
        "{placed} items by likelihood (upwards) and impact (to the right). {}",
        spoken(cells)
    );
    let frame = Frame {
        id: "matrix",
        title: "Likelihood and impact",
        description: &said,
        width: WIDTH,
        height: HEIGHT,
    };
    figure::figure(html, frame, |html| {
        for likelihood in 1..=SIZE {
            for impact in 1..=SIZE {
                let (x, y) = corner(likelihood, impact);
                let size = (CELL.0 - 2.0, CELL.1 - 2.0);
                figure::rect(
                    html,
                    heat(likelihood, impact),
                    (x + 1.0, y + 1.0),
                    size,
                    2.0,
                );
            }
        }
        for cell in cells {
            chips(html, cell);
        }
        axes(html);
    });
}

fn spoken(cells: &[Cell]) -> String {
    let said = |cell: &Cell| {
        format!(
            "Likelihood {}, impact {}: {}.",
            cell.likelihood,
            cell.impact,
            cell.ids.join(", ")
        )
    };
    cells.iter().map(said).collect::<Vec<_>>().join(" ")
}

fn chips(html: &mut Html, cell: &Cell) {
    let (x, y) = corner(cell.likelihood, cell.impact);
    let hidden = if cell.ids.len() > CHIPS_MOST {
        cell.ids.len() - (CHIPS_MOST - 1)
    } else {
        0
    };
    let shown = cell.ids.iter().take(cell.ids.len() - hidden).cloned();
    let more = (hidden > 0).then(|| format!("+{hidden}"));
    let chips: Vec<String> = shown.chain(more).collect();
    let lines = chips.len().div_ceil(CHIPS_A_LINE);
    let pitch = (CHIP.0 + 4.0, CHIP.1 + 2.0);
    let top = y + (CELL.1 - lines as f64 * pitch.1) / 2.0 + 1.0;
    for (line, members) in chips.chunks(CHIPS_A_LINE).enumerate() {
        let left = x + (CELL.0 - members.len() as f64 * pitch.0) / 2.0 + 2.0;
        for (at, id) in members.iter().enumerate() {
            let place = (left + at as f64 * pitch.0, top + line as f64 * pitch.1);
            figure::rect(html, "chip", place, CHIP, 7.5);
            figure::label(
                html,
                "chip-text",
                (place.0 + CHIP.0 / 2.0, place.1 + 11.0),
                "middle",
                id,
            );
        }
    }
}

fn axes(html: &mut Html) {
    const WORDS: [&str; SIZE] = ["1 very low", "2", "3 medium", "4", "5 very high"];
    for (at, word) in WORDS.iter().enumerate() {
        let class = at + 1;
        let (x, _) = corner(1, class);
        let bottom = TOP + 5.0 * CELL.1;
        figure::label(
            html,
            "tick",
            (x + CELL.0 / 2.0, bottom + 15.0),
            "middle",
            word,
        );
        let (_, y) = corner(class, 1);
        figure::label(
            html,
            "tick",
            (LEFT - 8.0, y + CELL.1 / 2.0 + 4.0),
            "end",
            word,
        );
    }
    let middle = LEFT + 2.5 * CELL.0;
    figure::label(
        html,
        "axis-name",
        (middle, HEIGHT - 8.0),
        "middle",
        "Impact",
    );
    let y = TOP + 2.5 * CELL.1;
    let turn = format!("rotate(-90 10 {})", Px(y));
    let attrs: [crate::html::Attr<'_>; 5] = [
        ("class", &"axis-name"),
        ("x", &10),
        ("y", &Px(y)),
        ("text-anchor", &"middle"),
        ("transform", &turn),
    ];
    html.leaf("text", &attrs, "Likelihood");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihood_goes_up_and_impact_to_the_right() {
        let (low, high) = (corner(1, 1), corner(5, 5));
        assert!(low.0 < high.0 && low.1 > high.1);
        assert_eq!(high.0 - low.0, 4.0 * CELL.0);
    }

    #[test]
    fn the_gravest_corner_is_severe() {
        assert_eq!(
            [heat(5, 5), heat(4, 4), heat(1, 5), heat(1, 1)],
            ["heat severe", "heat high", "heat low", "heat low"]
        );
    }

    #[test]
    fn a_crowded_cell_counts_what_it_cannot_name() {
        let ids = (1..=12).map(|n| format!("R{n}")).collect();
        let mut html = Html::new();
        draw(
            &mut html,
            &[Cell {
                likelihood: 3,
                impact: 3,
                ids,
            }],
        );
        let drawn = html.into_string();
        assert_eq!(drawn.matches("class=\"chip\"").count(), CHIPS_MOST);
        assert!(drawn.contains(">+4<"));
    }
}
