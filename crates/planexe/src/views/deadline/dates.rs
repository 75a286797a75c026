//! Calendar words: days, months, quarters, halves and years.

use jiff::civil::Date;

use super::words::{Cursor, tokens};

/// First and last day that words can mean.
pub(super) type Range = (Date, Date);

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The number of the month (1 to 12) that a word in small letters names: `march`, `mar`, `sept`.
pub fn month_number(word: &str) -> Option<i8> {
    let is_short = word.len() == 3 || word == "sept";
    (1..)
        .zip(MONTHS)
        .find(|(_, month)| *month == word || (is_short && month.starts_with(word)))
        .map(|(number, _)| number)
}

/// `M/D/YYYY`, as PlanExe's schedule writes it; also `YYYY-MM-DD`.
pub fn slashed(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Ok(date) = text.parse() {
        return Some(date);
    }
    let mut parts = text.split('/');
    let (month, day, year) = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, month, day).ok()
}

/// A text that is one day and nothing else: `2026-Mar-10`, `2026-03-10`, `March 10, 2026`.
pub fn lone_date(text: &str) -> Option<Date> {
    let tokens = tokens(text);
    let mut cursor = Cursor {
        tokens: &tokens,
        at: 0,
    };
    let (low, high) = day(&mut cursor)?;
    (low == high && cursor.peek().is_none()).then_some(low)
}

/// The calendar words that come next: a day, a month, a quarter, a half, a part of a year. A bare year is not taken: it needs a word before it.
pub(super) fn calendar(cursor: &mut Cursor<'_>) -> Option<Range> {
    let readers = [day, end_of, month, quarter, half, part_of_year];
    readers.into_iter().find_map(|reader| {
        let mut ahead = *cursor;
        let range = reader(&mut ahead)?;
        *cursor = ahead;
        Some(range)
    })
}

/// `the end of the year`, `end of this year`, `end of next year`, as seen from the start.
pub(super) fn this_year(cursor: &mut Cursor<'_>, start: Date) -> Option<Range> {
    let mut ahead = *cursor;
    ahead.skip_word(&["the"]);
    ahead.one_of(&["end"])?;
    ahead.one_of(&["of"])?;
    let years = if ahead.one_of(&["the", "this", "next"])? == "next" {
        1
    } else {
        0
    };
    ahead.skip_word(&["calendar"]);
    ahead.one_of(&["year"])?;
    if ahead.year().is_some() || ahead.whole(4).is_some() {
        return None;
    }
    let (_, last) = whole_year(start.year().checked_add(years)?)?;
    *cursor = ahead;
    Some((last, last))
}

/// A whole year.
pub(super) fn whole_year(year: i16) -> Option<Range> {
    months(year, 1, 12)
}

fn months(year: i16, first: i8, last: i8) -> Option<Range> {
    Some((
        Date::new(year, first, 1).ok()?,
        Date::new(year, last, 1).ok()?.last_of_month(),
    ))
}

fn month_word(cursor: &mut Cursor<'_>) -> Option<i8> {
    let number = month_number(cursor.word()?)?;
    cursor.sign('.');
    Some(number)
}

fn day(cursor: &mut Cursor<'_>) -> Option<Range> {
    let readers = [year_first, month_first, day_first, by_slashes];
    readers.into_iter().find_map(|reader| {
        let mut ahead = *cursor;
        let range = reader(&mut ahead)?;
        *cursor = ahead;
        Some(range)
    })
}

/// `2026-03-10`, `2026-Mar-10`.
fn year_first(cursor: &mut Cursor<'_>) -> Option<Range> {
    let year = cursor.year()?;
    if !cursor.sign('-') {
        return None;
    }
    let mut ahead = *cursor;
    let month = match month_word(&mut ahead) {
        Some(month) => {
            *cursor = ahead;
            month
        }
        None => i8::try_from(cursor.whole(2)?).ok()?,
    };
    if !cursor.sign('-') {
        return None;
    }
    let date = Date::new(year, month, i8::try_from(cursor.whole(2)?).ok()?).ok()?;
    Some((date, date))
}

/// `March 10, 2026`, `March 10th 2026`.
fn month_first(cursor: &mut Cursor<'_>) -> Option<Range> {
    let month = month_word(cursor)?;
    let day = i8::try_from(cursor.whole(2)?).ok()?;
    cursor.skip_word(&["st", "nd", "rd", "th"]);
    cursor.sign(',');
    let date = Date::new(cursor.year()?, month, day).ok()?;
    Some((date, date))
}

/// `10 March 2026`, `10th of March, 2026`.
fn day_first(cursor: &mut Cursor<'_>) -> Option<Range> {
    let day = i8::try_from(cursor.whole(2)?).ok()?;
    cursor.skip_word(&["st", "nd", "rd", "th"]);
    cursor.skip_word(&["of"]);
    let month = month_word(cursor)?;
    cursor.sign(',');
    let date = Date::new(cursor.year()?, month, day).ok()?;
    Some((date, date))
}

/// `3/10/2026`: both readings where both are possible.
fn by_slashes(cursor: &mut Cursor<'_>) -> Option<Range> {
    let first = i8::try_from(cursor.whole(2)?).ok()?;
    let second = cursor
        .sign('/')
        .then(|| cursor.whole(2))
        .flatten()
        .and_then(|second| i8::try_from(second).ok())?;
    let year = cursor.sign('/').then(|| cursor.year()).flatten()?;
    let readings = [
        Date::new(year, first, second).ok(),
        Date::new(year, second, first).ok(),
    ];
    let mut dates: Vec<Date> = readings.into_iter().flatten().collect();
    dates.sort();
    Some((*dates.first()?, *dates.last()?))
}

/// `March 2026`, `March of 2026`.
fn month(cursor: &mut Cursor<'_>) -> Option<Range> {
    let month = month_word(cursor)?;
    cursor.sign(',');
    cursor.skip_word(&["of"]);
    let year = cursor.year()?;
    months(year, month, month)
}

/// `Q4 2029`, `2029 Q4`, `Q4/2029`, `fourth quarter of 2029`.
fn quarter(cursor: &mut Cursor<'_>) -> Option<Range> {
    let mut ahead = *cursor;
    if let Some(year) = ahead.year() {
        ahead.sign('-');
        let quarter = quarter_sign(&mut ahead)?;
        *cursor = ahead;
        return nth(year, quarter, 3);
    }
    let quarter = quarter_sign(cursor).or_else(|| ordinal_of(cursor, "quarter"))?;
    let year = year_behind(cursor)?;
    nth(year, quarter, 3)
}

fn quarter_sign(cursor: &mut Cursor<'_>) -> Option<i8> {
    let mut ahead = *cursor;
    ahead.one_of(&["q"])?;
    let number = i8::try_from(ahead.whole(1)?)
        .ok()
        .filter(|number| (1..=4).contains(number))?;
    *cursor = ahead;
    Some(number)
}

/// `H1 2027`, `first half of 2027`.
fn half(cursor: &mut Cursor<'_>) -> Option<Range> {
    let mut ahead = *cursor;
    let number = match ahead.one_of(&["h"]) {
        Some(_) => {
            let number = i8::try_from(ahead.whole(1)?)
                .ok()
                .filter(|number| (1..=2).contains(number))?;
            *cursor = ahead;
            number
        }
        None => ordinal_of(cursor, "half").filter(|number| *number <= 2)?,
    };
    let year = year_behind(cursor)?;
    nth(year, number, 6)
}

/// `first`, `2nd`, ... and then `unit`.
fn ordinal_of(cursor: &mut Cursor<'_>, unit: &str) -> Option<i8> {
    let mut ahead = *cursor;
    let number = match ahead.whole(1) {
        Some(number) => {
            ahead.one_of(&["st", "nd", "rd", "th"])?;
            i8::try_from(number)
                .ok()
                .filter(|number| (1..=4).contains(number))?
        }
        None => match ahead.word()? {
            "first" => 1,
            "second" => 2,
            "third" => 3,
            "fourth" | "last" | "final" => 4,
            _ => return None,
        },
    };
    ahead.one_of(&[unit])?;
    *cursor = ahead;
    Some(number)
}

fn year_behind(cursor: &mut Cursor<'_>) -> Option<i16> {
    if !cursor.sign(',') && !cursor.sign('/') {
        cursor.sign('-');
    }
    cursor.skip_word(&["of", "in"]);
    cursor.year()
}

fn nth(year: i16, number: i8, length: i8) -> Option<Range> {
    months(year, (number - 1) * length + 1, number * length)
}

/// `end of 2027`, `the end of Q3 2027`, `year-end 2027`: the last day.
fn end_of(cursor: &mut Cursor<'_>) -> Option<Range> {
    cursor.skip_word(&["the"]);
    if cursor.skip_word(&["year"]) {
        cursor.sign('-');
    }
    cursor.one_of(&["end"])?;
    cursor.skip_word(&["of"]);
    cursor.skip_word(&["the"]);
    cursor.skip_word(&["year"]);
    let readers = [month, quarter, half];
    let mut ahead = *cursor;
    let range = readers.into_iter().find_map(|reader| {
        let mut trial = ahead;
        let range = reader(&mut trial)?;
        ahead = trial;
        Some(range)
    });
    *cursor = ahead;
    let (_, last) = match range {
        Some(range) => range,
        None => whole_year(cursor.year()?)?,
    };
    Some((last, last))
}

/// `early 2027`, `mid-2027`, `late 2027`: four months each.
fn part_of_year(cursor: &mut Cursor<'_>) -> Option<Range> {
    let part = match cursor.word()? {
        "early" => 1,
        "mid" | "middle" => 2,
        "late" => 3,
        _ => return None,
    };
    cursor.sign('-');
    cursor.skip_word(&["of"]);
    cursor.skip_word(&["in"]);
    let year = cursor.year()?;
    nth(year, part, 4)
}
