//! Numbers, dates and sizes as people read them.

use jiff::civil::Date;

/// Days in a month on average: 365.25 / 12.
const DAYS_PER_MONTH: f64 = 30.4375;

/// A number with thousands apart and at most `places` places, without trailing zeros: `1,270`, `0.85`.
pub fn number(value: f64, places: usize) -> String {
    if !value.is_finite() {
        return "not known".to_owned();
    }
    let text = format!("{:.places$}", value.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 && (part.bytes().chain(whole.bytes())).any(|digit| digit != b'0') {
        "−"
    } else {
        ""
    };
    if part.is_empty() {
        format!("{sign}{grouped}")
    } else {
        format!("{sign}{grouped}.{part}")
    }
}

/// A count with thousands apart.
pub fn count(value: u64) -> String {
    let mut digits = value.to_string();
    let mut at = digits.len();
    while at > 3 {
        at -= 3;
        digits.insert(at, ',');
    }
    digits
}

/// A count with its noun: `1 error`, `2 errors`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// Days: `1 day`, `12.5 days`.
pub fn days(value: f64) -> String {
    let text = number(value, if value.abs() < 100.0 { 1 } else { 0 });
    if text == "1" {
        "1 day".to_owned()
    } else {
        format!("{text} days")
    }
}

/// Days in the unit that they are thought of in: `25 days`, `12 months`, `3.5 years`.
pub fn span(value: f64) -> String {
    let months = value / DAYS_PER_MONTH;
    if value.abs() < 75.0 {
        days(value)
    } else if months.abs() < 36.0 {
        format!(
            "{} months",
            number(months, if months < 10.0 { 1 } else { 0 })
        )
    } else {
        format!("{} years", number(months / 12.0, 1))
    }
}

/// A day's number with what it means: `day 592`.
pub fn day(value: f64) -> String {
    format!("day {}", number(value, 0))
}

/// A chance of 0..1 in per cent, never claiming certainty that a simulation cannot give.
pub fn chance(value: f64) -> String {
    if !value.is_finite() {
        "not known".to_owned()
    } else if value < 0.005 {
        "under 1 %".to_owned()
    } else if value > 0.995 {
        "over 99 %".to_owned()
    } else {
        format!("{} %", number(value * 100.0, 0))
    }
}

/// A share of 0..1 in per cent.
pub fn percent(value: f64) -> String {
    format!("{} %", number(value * 100.0, 0))
}

/// The date of an ISO text, or of an ISO date and time.
pub fn parse_date(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The English name of a date's month.
pub fn month(date: Date) -> &'static str {
    usize::try_from(date.month())
        .ok()
        .and_then(|month| MONTHS.get(month.checked_sub(1)?))
        .copied()
        .unwrap_or("")
}

/// The first three letters of a date's month.
pub fn short_month(date: Date) -> &'static str {
    month(date).get(..3).unwrap_or("")
}

/// `10 March 2027`, or the text itself where it is no ISO date.
pub fn date(text: &str) -> String {
    parse_date(text).map_or_else(|| text.to_owned(), long_date)
}

/// `10 March 2027`.
pub fn long_date(date: Date) -> String {
    format!("{} {} {}", date.day(), month(date), date.year())
}

/// `10 Mar 2027`, or the text itself where it is no ISO date.
pub fn short_date(text: &str) -> String {
    parse_date(text).map_or_else(
        || text.to_owned(),
        |date| format!("{} {} {}", date.day(), short_month(date), date.year()),
    )
}

/// A sentence with its ISO dates spelt out: `by 2027-03-10` becomes `by 10 March 2027`.
pub fn prose(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("-") {
        let found = at
            .checked_sub(4)
            .and_then(|from| Some((from, rest.get(from..from + 10)?)));
        let spelt = found.filter(|(from, text)| {
            let digit = |character: Option<char>| {
                character.is_some_and(|c| c.is_alphanumeric() || c == '-')
            };
            !digit(
                rest[..*from]
                    .chars()
                    .next_back()
                    .or(said.chars().next_back()),
            ) && !digit(rest[from + text.len()..].chars().next())
        });
        match spelt.and_then(|(from, text)| Some((from, parse_date(text)?))) {
            Some((from, date)) => {
                said.push_str(&rest[..from]);
                said.push_str(&long_date(date));
                rest = &rest[from + 10..];
            }
            None => {
                said.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    said.push_str(rest);
    said
}

/// A size in bytes: `812 bytes`, `11.2 MB` (decimal units).
pub fn bytes(value: f64) -> String {
    if value < 1_000.0 {
        format!("{} bytes", number(value, 0))
    } else if value < 1e6 {
        format!("{} kB", number(value / 1e3, 1))
    } else {
        format!("{} MB", number(value / 1e6, 1))
    }
}

/// A working time in milliseconds: `45 ms`, `1.2 s`, `3 min 20 s`.
pub fn duration(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// An id such as `needs-work` or `deadline-vs-schedule` in words: `Needs work`.
pub fn words(id: &str) -> String {
    let mut spaced = String::with_capacity(id.len() + 4);
    let mut lower_before = false;
    for character in id.chars() {
        if matches!(character, '-' | '_') {
            spaced.push(' ');
        } else if character.is_uppercase() && lower_before {
            spaced.push(' ');
            spaced.extend(character.to_lowercase());
        } else {
            spaced.push(character);
        }
        lower_before = character.is_lowercase() || character.is_ascii_digit();
    }
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// At most `most` characters of a text, cut at a word where that is near, with an ellipsis.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    let at_word = kept
        .rfind(' ')
        .filter(|at| *at * 3 > kept.len() * 2)
        .map_or(kept.as_str(), |at| &kept[..at]);
    format!("{}…", at_word.trim_end_matches([' ', ',', ';', ':', '.']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_without_needless_places() {
        let written =
            [1270.0, 1_234_567.5, 0.851, -3.0, -0.001, 999.0].map(|value| number(value, 2));
        assert_eq!(written, ["1,270", "1,234,567.5", "0.85", "−3", "0", "999"]);
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "error", "errors"), "1 error");
    }

    #[test]
    fn spans_are_in_the_unit_that_one_thinks_in() {
        let written = [1.0, 12.5, 74.0, 92.0, 365.0, 1270.0].map(span);
        assert_eq!(
            written,
            [
                "1 day",
                "12.5 days",
                "74 days",
                "3 months",
                "12 months",
                "3.5 years"
            ]
        );
    }

    #[test]
    fn no_simulation_is_certain() {
        let written = [0.0, 0.37, 0.9999, 1.0].map(chance);
        assert_eq!(written, ["under 1 %", "37 %", "over 99 %", "over 99 %"]);
    }

    #[test]
    fn dates_and_times_are_spelt_out() {
        assert_eq!(date("2027-03-10"), "10 March 2027");
        assert_eq!(short_date("2027-03-10T12:00:00Z"), "10 Mar 2027");
        assert_eq!(date("some day"), "some day");
        assert_eq!(
            prose(
                "from 2027-03-10 on (2027-12-01), not 2027-13-01, 12027-03-10 or 2027-03-10T10:00"
            ),
            "from 10 March 2027 on (1 December 2027), not 2027-13-01, 12027-03-10 or 2027-03-10T10:00"
        );
        assert_eq!(prose("é-2027-03-10-ü a-b"), "é-2027-03-10-ü a-b");
        assert_eq!(
            [45, 1_250, 200_000].map(duration),
            ["45 ms", "1.2 s", "3 min 20 s"]
        );
    }

    #[test]
    fn ids_become_words_and_long_texts_end_at_a_word() {
        assert_eq!(words("deadline-vs-schedule"), "Deadline vs schedule");
        assert_eq!(words("waterfallDays"), "Waterfall days");
        assert_eq!(
            shortened("Independent safety review of the design", 30),
            "Independent safety review of…"
        );
        assert_eq!(shortened("short", 30), "short");
    }
}
