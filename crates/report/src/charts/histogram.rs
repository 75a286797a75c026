//! How often a simulation ended when: bars, the share done by each day, quantiles and the stated deadline.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::charts::axis::{self, Scale};
use crate::charts::figure::{self, Frame, WIDTH};
use crate::format;
use crate::html::{Html, Px};

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Histogram<'a> {
    /// Unique within the page.
    pub id: &'a str,
    /// What is drawn.
    pub title: &'a str,
    /// The first bin's lower bound in days.
    pub from: f64,
    /// A bin's width in days; 0 when all trials agree.
    pub width: f64,
    /// Trials in each bin.
    pub counts: &'a [f64],
    /// Quantiles by name: `P50` at its day.
    pub quantiles: &'a [(&'static str, f64)],
    /// The last day that still meets the stated deadline.
    pub deadline: Option<f64>,
    /// The date of day 0, if known.
    pub start: Option<Date>,
}

const TOP: f64 = 64.0;
const BASE: f64 = 206.0;
const HEIGHT: f64 = 234.0;
const LEFT: f64 = 8.0;
const RIGHT: f64 = WIDTH - 46.0;
/// Beyond this share of the bars' own span a deadline is pointed at rather than drawn to scale.
const STRETCH_MOST: f64 = 0.6;

impl Histogram<'_> {
    /// Bin bounds in days; a lone bin without width gets a day around it.
    pub fn bounds(&self, bin: usize) -> (f64, f64) {
        if self.width > 0.0 {
            let from = self.from + bin as f64 * self.width;
            (from, from + self.width)
        } else {
            (self.from - 0.5, self.from + 0.5)
        }
    }

    /// The scale: all bins, and the deadline where it is near.
    pub fn scale(&self) -> Scale {
        let (from, _) = self.bounds(0);
        let (_, to) = self.bounds(self.counts.len().saturating_sub(1));
        let reach = (to - from) * STRETCH_MOST;
        let (mut low, mut high) = (from, to);
        if let Some(day) = self
            .deadline
            .filter(|day| *day > from - reach && *day < to + reach)
        {
            let margin = (to - from) * 0.04;
            low = low.min(day - margin);
            high = high.max(day + margin);
        }
        Scale {
            from: low,
            to: high,
            left: LEFT,
            right: RIGHT,
        }
    }
}

/// Draws the histogram.
pub fn draw(html: &mut Html, histogram: &Histogram<'_>) {
    let total: f64 = histogram.counts.iter().sum();
    let most = histogram.counts.iter().copied().fold(0.0, f64::max);
    if histogram.counts.is_empty() || most <= 0.0 {
        html.note("absent", "The simulation gave no distribution to draw.");
        return;
    }
    let scale = histogram.scale();
    let said = spoken(histogram, total);
    let frame = Frame {
        id: histogram.id,
        title: histogram.title,
        description: &said,
        width: WIDTH,
        height: HEIGHT,
    };
    figure::figure(html, frame, |html| {
        percent_axis(html);
        for tick in axis::ticks(scale, histogram.start, 8) {
            let x = scale.x(tick.day);
            figure::line(html, "tick-mark", (x, BASE), (x, BASE + 4.0));
            let anchor = if x < LEFT + 24.0 { "start" } else { "middle" };
            figure::label(html, "tick", (x, BASE + 17.0), anchor, &tick.label);
        }
        bars(html, histogram, scale, total, most);
        figure::line(html, "base", (LEFT, BASE), (RIGHT, BASE));
        cumulative(html, histogram, scale, total);
        let mut labels = Labels::default();
        deadline(html, histogram, scale, &mut labels);
        for (name, day) in histogram.quantiles {
            let x = scale.x(*day);
            let text = format!("{name} {}", when(*day, histogram.start));
            let y = labels.place(x, &text);
            figure::line(html, "quantile", (x, y + 3.0), (x, BASE));
            figure::label(
                html,
                "quantile-text",
                (labels.clamped(x, &text), y),
                "middle",
                text,
            );
        }
    });
}

/// A day as its date when the start is known.
pub fn when(day: f64, start: Option<Date>) -> String {
    let date = start.and_then(|start| start.checked_add((day.ceil() as i64).days()).ok());
    match date {
        Some(date) => format!(
            "{} {} {}",
            date.day(),
            format::short_month(date),
            date.year()
        ),
        None => format::day(day),
    }
}

fn spoken(histogram: &Histogram<'_>, total: f64) -> String {
    let quantiles = histogram
        .quantiles
        .iter()
        .map(|(name, day)| format!("{name}: {}", when(*day, histogram.start)));
    let deadline = histogram
        .deadline
        .map(|day| format!(". Stated deadline: {}", when(day, histogram.start)));
    format!(
        "Finish days of {} trials. {}{}.",
        format::number(total, 0),
        quantiles.collect::<Vec<_>>().join(", "),
        deadline.unwrap_or_default()
    )
}

fn bars(html: &mut Html, histogram: &Histogram<'_>, scale: Scale, total: f64, most: f64) {
    for (bin, count) in histogram.counts.iter().enumerate() {
        let (from, to) = histogram.bounds(bin);
        let (x, end) = (scale.x(from), scale.x(to));
        let height = (BASE - TOP) * count / most;
        let late = histogram
            .deadline
            .is_some_and(|deadline| (from + to) / 2.0 > deadline);
        let class = if late { "hist late" } else { "hist" };
        let told = format!(
            "{} to {}: {} of the trials",
            format::day(from),
            format::day(to),
            format::percent(count / total)
        );
        let size = ((end - x - 1.0).max(0.8), height);
        figure::titled_rect(html, class, (x + 0.5, BASE - height), size, 0.0, &told);
    }
}

fn cumulative(html: &mut Html, histogram: &Histogram<'_>, scale: Scale, total: f64) {
    let mut done = 0.0;
    let mut path = format!("M{} {}", Px(scale.x(histogram.bounds(0).0)), Px(BASE));
    for (bin, count) in histogram.counts.iter().enumerate() {
        done += count;
        let y = BASE - (BASE - TOP) * done / total;
        path.push_str(&format!(
            "L{} {}",
            Px(scale.x(histogram.bounds(bin).1)),
            Px(y)
        ));
    }
    html.void("path", &[("class", &"cumulative"), ("d", &path)]);
}

fn percent_axis(html: &mut Html) {
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let y = BASE - (BASE - TOP) * share;
        figure::line(html, "grid", (LEFT, y), (RIGHT, y));
        figure::label(
            html,
            "tick",
            (RIGHT + 6.0, y + 3.8),
            "start",
            format::percent(share),
        );
    }
}

fn deadline(html: &mut Html, histogram: &Histogram<'_>, scale: Scale, labels: &mut Labels) {
    let Some(day) = histogram.deadline else {
        return;
    };
    let date = when(day, histogram.start);
    if scale.holds(day) {
        let text = format!("Deadline {date}");
        let x = scale.x(day);
        let y = labels.place(x, &text);
        figure::line(html, "deadline", (x, y + 3.0), (x, BASE));
        figure::label(
            html,
            "deadline-text",
            (labels.clamped(x, &text), y),
            "middle",
            text,
        );
    } else {
        let earlier = day < scale.from;
        let off = if earlier {
            scale.from - day
        } else {
            day - scale.to
        };
        let text = if earlier {
            format!(
                "← Deadline {date}, {} before the earliest trial",
                format::span(off)
            )
        } else {
            format!(
                "Deadline {date}, {} after the latest trial →",
                format::span(off)
            )
        };
        let (x, anchor) = if earlier {
            (LEFT, "start")
        } else {
            (RIGHT, "end")
        };
        figure::label(html, "deadline-text", (x, 14.0), anchor, text);
        labels.block_top();
    }
}

/// Places labels above the bars so that none covers another.
#[derive(Default)]
struct Labels {
    taken: Vec<(usize, f64, f64)>,
}

const LEVELS: [f64; 4] = [56.0, 42.0, 28.0, 14.0];
const SIZE: f64 = 10.5;

impl Labels {
    fn clamped(&self, x: f64, text: &str) -> f64 {
        let half = figure::text_width(text, SIZE) / 2.0;
        x.clamp(LEFT + half, (WIDTH - half).max(LEFT + half))
    }

    fn place(&mut self, x: f64, text: &str) -> f64 {
        let half = figure::text_width(text, SIZE) / 2.0 + 4.0;
        let x = self.clamped(x, text);
        let free = |level: &usize| {
            self.taken
                .iter()
                .all(|(at, from, to)| at != level || x + half < *from || x - half > *to)
        };
        let level = (0..LEVELS.len()).find(free).unwrap_or(LEVELS.len() - 1);
        self.taken.push((level, x - half, x + half));
        LEVELS[level]
    }

    fn block_top(&mut self) {
        self.taken.push((LEVELS.len() - 1, 0.0, WIDTH));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(deadline: Option<f64>) -> Histogram<'static> {
        Histogram {
            id: "h",
            title: "T",
            from: 300.0,
            width: 10.0,
            counts: &[1.0, 3.0, 4.0, 2.0],
            quantiles: &[
                ("P10", 305.0),
                ("P50", 318.0),
                ("P80", 328.0),
                ("P90", 331.0),
            ],
            deadline,
            start: None,
        }
    }

    #[test]
    fn the_scale_takes_in_a_near_deadline_only() {
        assert_eq!(histogram(None).scale().to, 340.0);
        assert!(histogram(Some(350.0)).scale().holds(350.0));
        assert!(!histogram(Some(900.0)).scale().holds(900.0));
    }

    #[test]
    fn bins_after_the_deadline_are_late() {
        let mut html = Html::new();
        draw(&mut html, &histogram(Some(320.0)));
        let drawn = html.into_string();
        assert_eq!(drawn.matches("\"hist late\"").count(), 2);
        assert_eq!(drawn.matches("\"hist\"").count(), 2);
    }

    #[test]
    fn near_quantiles_are_labelled_on_different_levels() {
        let mut labels = Labels::default();
        let levels: Vec<f64> = [300.0, 310.0, 320.0]
            .into_iter()
            .map(|x| labels.place(x, "P50 10 Mar 2027"))
            .collect();
        assert_eq!(levels, [56.0, 42.0, 28.0]);
    }

    #[test]
    fn trials_that_all_agree_are_one_bar() {
        let mut html = Html::new();
        let lone = Histogram {
            width: 0.0,
            counts: &[20.0],
            ..histogram(None)
        };
        draw(&mut html, &lone);
        assert_eq!(html.into_string().matches("class=\"hist\"").count(), 1);
    }
}
