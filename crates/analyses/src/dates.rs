//! Dates by which a text wants something done.

use jiff::civil::Date;
use planexe::views::deadline::dates::month_number;

use crate::lexer::{Token, tokens};

/// A date by which something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// The last day that the words can mean.
    pub last: Date,
    /// Whether the words name no more than a year.
    pub year_only: bool,
    /// The cue and the date, as the text writes them.
    pub quote: String,
}

/// Words that make a date one to be met. They stand at most [`REACH`] tokens before it.
const CUES: [&str; 7] = ["by", "before", "until", "due", "deadline", "date", "than"];

/// `by the end of March 2026` has three words between.
const REACH: usize = 4;

/// What may stand between a cue and its date.
const BETWEEN: [&str; 10] = [":", "*", "the", "end", "of", "date", "mid", "-", "on", "/"];

/// The dates by which `text` wants something done, in order.
pub fn due_dates(text: &str) -> Vec<Due> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((last, year_only, next)) = date(&tokens, at) else {
            at += 1;
            continue;
        };
        if let Some(cue) = cue(&tokens, at) {
            let quote = text[tokens[cue].at..tokens[next - 1].end()].to_owned();
            found.push(Due {
                last,
                year_only,
                quote,
            });
        }
        at = next;
    }
    found
}

fn cue(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    for i in (at.saturating_sub(REACH)..at).rev() {
        let word = tokens[i].lower();
        if CUES.contains(&word.as_str()) {
            return Some(i);
        }
        if !BETWEEN.contains(&word.as_str()) {
            return None;
        }
    }
    None
}

/// A date that begins at a token: its last day, whether it is only a year, and the token behind it.
fn date(tokens: &[Token<'_>], at: usize) -> Option<(Date, bool, usize)> {
    let figure = |i: usize| {
        tokens
            .get(i)
            .filter(|t| t.number.is_some())
            .and_then(|t| t.text.parse::<i16>().ok())
    };
    let year = |i: usize| figure(i).filter(|year| (1900..=2199).contains(year));
    let day = |i: usize| {
        figure(i)
            .filter(|day| (1..=31).contains(day))
            .map(|day| day as i8)
    };
    let is = |i: usize, text: &str| tokens.get(i).is_some_and(|token| token.text == text);
    let named = |i: usize| tokens.get(i).and_then(|token| month(token.text));
    let any_month =
        |i: usize| named(i).or_else(|| figure(i).filter(|m| (1..=12).contains(m)).map(|m| m as i8));
    if let Some(y) = year(at) {
        if is(at + 1, "-") {
            if let (Some(m), true, Some(d)) = (any_month(at + 2), is(at + 3, "-"), day(at + 4)) {
                return Some((Date::new(y, m, d).ok()?, false, at + 5));
            }
            if let (true, Some(q)) = (is(at + 2, "Q"), quarter(figure(at + 3))) {
                return Some((last_of_month(y, q)?, false, at + 4));
            }
            return any_month(at + 2).and_then(|m| Some((last_of_month(y, m)?, false, at + 3)));
        }
        // "by 2025 people" names no year.
        let ends = tokens
            .get(at + 1)
            .is_none_or(|token| !token.text.starts_with(char::is_alphanumeric));
        return ends
            .then(|| Some((last_of_month(y, 12)?, true, at + 1)))
            .flatten();
    }
    if is(at, "Q") {
        let (q, y) = (quarter(figure(at + 1))?, year(at + 2)?);
        return Some((last_of_month(y, q)?, false, at + 3));
    }
    if let Some(m) = named(at) {
        let comma = usize::from(is(at + 2, ","));
        if let (Some(d), Some(y)) = (day(at + 1), year(at + 2 + comma)) {
            return Some((Date::new(y, m, d).ok()?, false, at + 3 + comma));
        }
        return year(at + 1).and_then(|y| Some((last_of_month(y, m)?, false, at + 2)));
    }
    let (d, m, y) = (day(at)?, named(at + 1)?, year(at + 2)?);
    Some((Date::new(y, m, d).ok()?, false, at + 3))
}

/// The last month of a quarter.
fn quarter(number: Option<i16>) -> Option<i8> {
    number.filter(|q| (1..=4).contains(q)).map(|q| q as i8 * 3)
}

fn last_of_month(year: i16, month: i8) -> Option<Date> {
    Date::new(year, month, 1).ok().map(Date::last_of_month)
}

fn month(word: &str) -> Option<i8> {
    // "may" and "march" in small letters are other words.
    let is_name = word.starts_with(char::is_uppercase);
    is_name
        .then(|| month_number(&word.to_lowercase()))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(text: &str) -> Vec<(String, bool)> {
        due_dates(text)
            .into_iter()
            .map(|due| (due.last.to_string(), due.year_only))
            .collect()
    }

    #[test]
    fn dates_behind_a_cue_are_found_in_the_ways_people_write_them() {
        for (text, last) in [
            ("Sign it by 2025-10-27.", "2025-10-27"),
            ("**Due Date:** 2024-12-31", "2024-12-31"),
            ("Deadline: 2026-Mar-24", "2026-03-24"),
            ("done by the end of March 2026", "2026-03-31"),
            ("no later than March 5, 2026", "2026-03-05"),
            ("before 5 Sept 2026", "2026-09-05"),
            ("by Q4 2025", "2025-12-31"),
            ("by 2028-Q1", "2028-03-31"),
            ("by 2024-02", "2024-02-29"),
        ] {
            assert_eq!(dues(text), [(last.to_owned(), false)], "{text}");
        }
        assert_eq!(
            dues("adjust the budget by 2025."),
            [("2025-12-31".to_owned(), true)]
        );
        assert_eq!(
            due_dates("Sign it by 2025-10-27.")[0].quote,
            "by 2025-10-27"
        );
    }

    #[test]
    fn dates_without_a_cue_and_figures_that_are_no_dates_are_left_alone() {
        for text in [
            "Founded in March 2019.",
            "the 2024-12-31 release",
            "by 2025 people",
            "by 30%",
            "may 2026 come",
            "by 2026-13-45",
        ] {
            assert!(due_dates(text).is_empty(), "{text}: {:?}", due_dates(text));
        }
    }
}
