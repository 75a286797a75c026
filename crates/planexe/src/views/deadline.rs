//! Until when the plan says it will be done: dates, quarters, years and spans that stand in its own sentences.

pub mod dates;
mod phrases;
mod spans;
mod words;

use jiff::Span;
use jiff::civil::Date;

use super::project_plan;
use super::prompt::prompt;
use super::start::start;
use crate::plan::Plan;
use crate::view::View;

/// All statements of time, and which of them is the deadline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deadlines {
    /// In the order of reading: time bound, goal, prompt.
    pub stated: Vec<Deadline>,
    /// Index into `stated` of the one that binds the whole plan; `None` where the text leaves a doubt.
    pub primary: Option<usize>,
}

/// One statement of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// The sentence, cut to 300 characters.
    pub quote: String,
    /// The words that were parsed: `within 18-20 months`.
    pub phrase: String,
    /// Logical name.
    pub artifact: String,
    /// JSON pointer, or `line N` of the prompt.
    pub pointer: String,
    /// What kind of sentence it stands in.
    pub place: Place,
    /// Whether it says when the plan ends, or only speaks of time.
    pub strength: Strength,
    /// The parsed value.
    pub when: When,
}

/// Where a statement stands; earlier ones bind more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The SMART criterion made for it.
    TimeBound,
    /// The goal statement.
    Goal,
    /// The user's own words.
    Prompt,
}

/// What a statement claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// When the plan, or a part of it, is to be done.
    Deadline,
    /// A time that is relative to something else, recurring, or not said to be an end.
    Mention,
}

/// A parsed time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// From the start: least and most days (a month is 30.4375 days, a year 365.25).
    Span {
        /// Least days.
        low_days: f64,
        /// Most days.
        high_days: f64,
    },
    /// On the calendar: first and last day that the words can mean.
    Dates {
        /// First day.
        low: Date,
        /// Last day.
        high: Date,
    },
}

impl When {
    /// Least and most days from `start`; a date needs a start to become days. Days before the start are negative.
    pub fn days(self, start: Option<Date>) -> Option<(f64, f64)> {
        match self {
            When::Span {
                low_days,
                high_days,
            } => Some((low_days, high_days)),
            When::Dates { low, high } => {
                let days = |date: Date| Some(f64::from(start?.until(date).ok()?.get_days()));
                Some((days(low)?, days(high)?))
            }
        }
    }

    /// First and last day; a span needs a start to become dates. Parts of a day count as a whole one.
    pub fn dates(self, start: Option<Date>) -> Option<(Date, Date)> {
        match self {
            When::Dates { low, high } => Some((low, high)),
            When::Span {
                low_days,
                high_days,
            } => {
                let date = |days: f64| {
                    start?
                        .checked_add(Span::new().try_days(libm::ceil(days) as i64).ok()?)
                        .ok()
                };
                Some((date(low_days)?, date(high_days)?))
            }
        }
    }
}

impl Deadlines {
    /// The one that binds the whole plan.
    pub fn primary(&self) -> Option<&Deadline> {
        self.stated.get(self.primary?)
    }
}

/// The statements of the time bound, the goal and the prompt.
pub fn deadlines(plan: &Plan) -> View<Deadlines> {
    let smart = project_plan::project_plan(plan);
    let words = prompt(plan);
    let first_day = start(plan).value.map(|start| start.date);
    let mut stated = Vec::new();
    if let Some(artifact) = &smart.source {
        let places = [
            (
                Place::TimeBound,
                "/smart_criteria/time_bound",
                &smart.value.smart.time_bound,
            ),
            (Place::Goal, "/goal_statement", &smart.value.goal),
        ];
        for (place, pointer, text) in places {
            for found in text
                .iter()
                .flat_map(|text| phrases::find(text, place, first_day))
            {
                stated.push(found.into_deadline(artifact, pointer.to_owned(), place));
            }
        }
    }
    if let (Some(artifact), Some(prompt)) = (&words.source, &words.value) {
        for (index, line) in prompt.text.lines().enumerate() {
            let pointer = prompt.pointer(index);
            stated.extend(
                phrases::find(line, Place::Prompt, first_day)
                    .into_iter()
                    .map(|found| found.into_deadline(artifact, pointer.clone(), Place::Prompt)),
            );
        }
    }
    let primary = primary(&stated, first_day);
    let mut skipped = smart.skipped;
    skipped.retain(|note| {
        note.pointer.is_empty()
            || note.pointer.starts_with("/smart_criteria")
            || note.pointer == "/goal_statement"
    });
    skipped.extend(words.skipped);
    let source = primary
        .and_then(|index| stated.get(index))
        .or(stated.first())
        .map(|deadline| deadline.artifact.clone());
    View {
        value: Deadlines { stated, primary },
        source,
        skipped,
    }
}

/// Of the first place that states a deadline, the latest end. Where ends cannot be compared (a date and a span without a start) the first.
fn primary(stated: &[Deadline], start: Option<Date>) -> Option<usize> {
    let binding = |deadline: &Deadline| deadline.strength == Strength::Deadline;
    let place = stated
        .iter()
        .filter(|deadline| binding(deadline))
        .map(|deadline| deadline.place)
        .min()?;
    let candidates: Vec<usize> = (0..stated.len())
        .filter(|&index| binding(&stated[index]) && stated[index].place == place)
        .collect();
    let ends: Option<Vec<f64>> = candidates
        .iter()
        .map(|&index| Some(stated[index].when.days(start)?.1))
        .collect();
    let Some(ends) = ends else {
        return candidates.first().copied();
    };
    let mut best = 0;
    for (at, end) in ends.iter().enumerate() {
        if *end > ends[best] {
            best = at;
        }
    }
    candidates.get(best).copied()
}
