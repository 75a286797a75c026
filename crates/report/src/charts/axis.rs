//! Where a day stands on paper, and which days are worth a mark.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::charts::figure;
use crate::format;
use crate::html::Html;

/// Days on a horizontal line, in proportion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The day at the left end.
    pub from: f64,
    /// The day at the right end.
    pub to: f64,
    /// The left end in drawing units.
    pub left: f64,
    /// The right end in drawing units.
    pub right: f64,
}

impl Scale {
    /// The place of a day; days outside stand at the nearer end.
    pub fn x(self, day: f64) -> f64 {
        let length = (self.to - self.from).max(f64::MIN_POSITIVE);
        let share = ((day - self.from) / length).clamp(0.0, 1.0);
        self.left + share * (self.right - self.left)
    }

    /// Whether a day lies on the line.
    pub fn holds(self, day: f64) -> bool {
        (self.from..=self.to).contains(&day)
    }
}

/// A mark on the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// The day it stands at.
    pub day: f64,
    /// What is written there.
    pub label: String,
}

/// At most `most` marks between two days: first days of months, quarters or years when the start is known, else round days.
pub fn ticks(scale: Scale, start: Option<Date>, most: usize) -> Vec<Tick> {
    let most = most.max(2);
    let dated = start.and_then(|start| dated_ticks(scale, start, most));
    dated.unwrap_or_else(|| day_ticks(scale, most))
}

fn day_ticks(scale: Scale, most: usize) -> Vec<Tick> {
    let least = (scale.to - scale.from).max(1.0) / most as f64;
    let mut power = 1.0;
    while power * 5.0 < least {
        power *= 10.0;
    }
    let step = [1.0, 2.0, 5.0]
        .map(|leading| leading * power)
        .into_iter()
        .find(|step| *step >= least);
    let step = step.unwrap_or(power * 10.0);
    let mut marks = Vec::new();
    let mut day = (scale.from / step).ceil() * step;
    while day <= scale.to && marks.len() <= most {
        marks.push(Tick {
            day,
            label: format!("day {}", format::number(day, 0)),
        });
        day += step;
    }
    marks
}

fn dated_ticks(scale: Scale, start: Date, most: usize) -> Option<Vec<Tick>> {
    let months = (scale.to - scale.from) / 30.44;
    if months < 2.0 {
        return weekly_ticks(scale, start, most);
    }
    let step = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600]
        .into_iter()
        .find(|step| months / f64::from(*step) <= most as f64)?;
    let first = start.checked_add((scale.from.floor() as i64).days()).ok()?;
    let mut date = Date::new(first.year(), 1, 1).ok()?;
    let mut marks = Vec::new();
    loop {
        let day = f64::from(start.until(date).ok()?.get_days());
        if day > scale.to {
            return Some(marks);
        }
        let on_grid = step < 24 || i32::from(date.year()) % (step / 12) == 0;
        if day >= scale.from && on_grid {
            let year = date.year();
            let label = if step >= 12 {
                year.to_string()
            } else {
                format!("{} {year}", format::short_month(date))
            };
            marks.push(Tick { day, label });
        }
        date = date.checked_add(step.min(12).months()).ok()?;
    }
}

fn weekly_ticks(scale: Scale, start: Date, most: usize) -> Option<Vec<Tick>> {
    let step = [1.0, 2.0, 7.0, 14.0]
        .into_iter()
        .find(|step| (scale.to - scale.from) / step <= most as f64)?;
    let mut marks = Vec::new();
    let mut day = scale.from.ceil();
    while day <= scale.to {
        let date = start.checked_add((day as i64).days()).ok()?;
        marks.push(Tick {
            day,
            label: format!("{} {}", date.day(), format::short_month(date)),
        });
        day += step;
    }
    Some(marks)
}

/// Draws marks as fine vertical lines between `top` and `bottom`, with their labels above.
pub fn draw(html: &mut Html, scale: Scale, marks: &[Tick], top: f64, bottom: f64) {
    for tick in marks {
        let x = scale.x(tick.day);
        figure::line(html, "grid", (x, top), (x, bottom));
        figure::label(html, "tick", (x, top - 6.0), "middle", &tick.label);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: Scale = Scale {
        from: 0.0,
        to: 500.0,
        left: 100.0,
        right: 600.0,
    };

    #[test]
    fn a_place_is_proportional_to_its_day() {
        assert_eq!(
            [0.0, 250.0, 500.0].map(|day| SCALE.x(day)),
            [100.0, 350.0, 600.0]
        );
        assert_eq!([-5.0, 900.0].map(|day| SCALE.x(day)), [100.0, 600.0]);
        let point = Scale {
            from: 3.0,
            to: 3.0,
            ..SCALE
        };
        assert!(point.x(3.0).is_finite());
    }

    #[test]
    fn dated_marks_stand_on_first_days_of_months() {
        let start = jiff::civil::date(2027, 2, 1);
        let marks = ticks(SCALE, Some(start), 8);
        let labels: Vec<_> = marks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(
            labels,
            ["Apr 2027", "Jul 2027", "Oct 2027", "Jan 2028", "Apr 2028"]
        );
        assert_eq!(marks[0].day, 59.0);
    }

    #[test]
    fn long_plans_are_marked_by_years_and_short_ones_by_days() {
        let start = jiff::civil::date(2026, 6, 15);
        let years = ticks(
            Scale {
                to: 13_000.0,
                ..SCALE
            },
            Some(start),
            8,
        );
        assert!(years.iter().all(|tick| tick.label.len() == 4), "{years:?}");
        assert!((3..=9).contains(&years.len()), "{years:?}");
        let week = ticks(Scale { to: 6.0, ..SCALE }, Some(start), 8);
        assert_eq!(week[1].label, "16 Jun");
    }

    #[test]
    fn without_a_start_marks_are_round_days() {
        let labels: Vec<_> = ticks(SCALE, None, 6)
            .into_iter()
            .map(|tick| tick.label)
            .collect();
        assert_eq!(
            labels,
            [
                "day 0", "day 100", "day 200", "day 300", "day 400", "day 500"
            ]
        );
    }
}
