//! Spans of time in words and figures: `18-20 months`, `two years`, `a 15-year programme`, `month 18`.

use super::words::{Cursor, Kind};

/// Least and most days.
pub(super) type Days = (f64, f64);

/// A span longer than this is no plan's.
const DAYS_MAX: f64 = 200_000.0;

/// A span shorter than half a day is no deadline of a plan, and would be told as none.
const DAYS_MIN: f64 = 0.5;

/// Days of one unit. A month is a twelfth of 365.25 days.
fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "minute" | "minutes" | "min" | "mins" => 1.0 / 1440.0,
        "hour" | "hours" | "hr" | "hrs" => 1.0 / 24.0,
        "day" | "days" => 1.0,
        "week" | "weeks" => 7.0,
        "fortnight" | "fortnights" => 14.0,
        "month" | "months" => 30.4375,
        "quarter" | "quarters" => 91.3125,
        "year" | "years" | "yr" | "yrs" => 365.25,
        "decade" | "decades" => 3652.5,
        _ => return None,
    })
}

/// The span that comes next.
pub(super) fn span(cursor: &mut Cursor<'_>) -> Option<Days> {
    if doubtful(cursor) {
        return None;
    }
    let readers = [measured, numbered];
    readers.into_iter().find_map(|reader| {
        let mut ahead = *cursor;
        let (low, high) = reader(&mut ahead)?;
        if high > DAYS_MAX || low > high || high < DAYS_MIN {
            return None;
        }
        *cursor = ahead;
        Some((low, high))
    })
}

/// Whether what stands just before leaves it open what the next number means: `-3 months`, `18 to 6 months`, `1e3 days`.
fn doubtful(cursor: &Cursor<'_>) -> bool {
    let token = |steps: usize| cursor.tokens.get(cursor.at.checked_sub(steps)?);
    let (Some(next), Some(before)) = (token(0), token(1)) else {
        return false;
    };
    let is_glued = before.end == next.start;
    let is_number = matches!(next.kind, Kind::Number(..));
    let behind_number = |steps| matches!(token(steps).map(|t| &t.kind), Some(Kind::Number(..)));
    match &before.kind {
        Kind::Word(word) if matches!(word.as_str(), "to" | "or" | "and") => {
            let is_range = word != "and" || cursor.back(3) == Some("between");
            is_number && is_range && behind_number(2)
        }
        Kind::Word(_) => is_number && is_glued,
        Kind::Sign('-') => {
            let is_minus = is_glued && token(2).is_none_or(|token| token.end < before.start);
            is_number && (is_minus || behind_number(2))
        }
        Kind::Sign(_) | Kind::Number(..) => false,
    }
}

/// A number or two with a unit behind: `18-20 months`, `6 months to 2 years`, `2 years and 6 months`.
fn measured(cursor: &mut Cursor<'_>) -> Option<Days> {
    let between = cursor.back(1) == Some("between");
    let low = number(cursor)?;
    let mut ahead = *cursor;
    if let Some(high) = second_number(&mut ahead, between)
        && let Some(days) = unit_behind(&mut ahead)
    {
        *cursor = ahead;
        return Some((low * days, high * days));
    }
    let days = unit_behind(cursor)?;
    let mut ahead = *cursor;
    if let Some(other) = second_number(&mut ahead, true)
        && let Some(other_days) = unit_behind(&mut ahead)
    {
        let is_sum = matches!(cursor.peek(), Some(Kind::Word(word)) if word == "and")
            && other_days < days
            && !between;
        let is_range = other * other_days >= low * days && !is_sum;
        if is_sum {
            *cursor = ahead;
            let sum = low * days + other * other_days;
            return Some((sum, sum));
        } else if is_range {
            *cursor = ahead;
            return Some((low * days, other * other_days));
        }
    }
    Some((low * days, low * days))
}

/// `month 18`, `week 6`: the end of the unit so numbered, counted from the start.
fn numbered(cursor: &mut Cursor<'_>) -> Option<Days> {
    cursor
        .back(1)
        .filter(|word| ["by", "until", "before", "through", "than", "of", "in"].contains(word))?;
    let days = cursor
        .one_of(&["day", "week", "month", "year", "quarter"])
        .and_then(unit)?;
    let number = cursor.whole(3).filter(|number| *number > 0)? as f64;
    let end = match cursor.back(3) {
        Some("before") => number - 1.0,
        _ => number,
    };
    Some(((number - 1.0) * days, end * days))
}

/// `-20`, `to 20`, `or 20`; `and 20` where that makes a range.
fn second_number(cursor: &mut Cursor<'_>, and: bool) -> Option<f64> {
    let joined =
        cursor.sign('-') || cursor.skip_word(&["to", "or"]) || (and && cursor.skip_word(&["and"]));
    if joined { number(cursor) } else { None }
}

/// The unit behind a number, `-` or one word of its kind between them: `15-year`, `10 business days`.
fn unit_behind(cursor: &mut Cursor<'_>) -> Option<f64> {
    let mut ahead = *cursor;
    ahead.sign('-');
    let working = ahead.skip_word(&["business", "working"]);
    ahead.skip_word(&["calendar", "full", "consecutive", "more"]);
    let days = ahead.word().and_then(unit)?;
    *cursor = ahead;
    Some(if working && days == 1.0 {
        7.0 / 5.0
    } else {
        days
    })
}

/// A number in figures or words. `a` and `an` count only behind a word that makes them a measure (`within a year`).
fn number(cursor: &mut Cursor<'_>) -> Option<f64> {
    let mut ahead = *cursor;
    if let Some((value, _)) = ahead.figures() {
        *cursor = ahead;
        return Some(value);
    }
    let is_measure = cursor
        .back(1)
        .is_some_and(|word| ["within", "in", "over", "than", "under"].contains(&word));
    let word = ahead.word()?;
    let value = match word {
        "half" => {
            ahead.sign('-');
            ahead.skip_word(&["a", "an"]);
            0.5
        }
        "a" | "an" if is_measure => 1.0,
        word => small_number(word)?,
    };
    let tens = (20.0..100.0).contains(&value);
    let mut further = ahead;
    if tens
        && further.sign('-')
        && let Some(ones) = further
            .word()
            .and_then(small_number)
            .filter(|ones| *ones < 10.0)
    {
        *cursor = further;
        return Some(value + ones);
    }
    *cursor = ahead;
    Some(value)
}

fn small_number(word: &str) -> Option<f64> {
    const WORDS: [&str; 20] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    const TENS: [&str; 7] = [
        "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let ones = WORDS
        .iter()
        .position(|known| *known == word)
        .map(|at| at as f64 + 1.0);
    ones.or_else(|| {
        TENS.iter()
            .position(|known| *known == word)
            .map(|at| (at as f64 + 3.0) * 10.0)
    })
}
