//! Finding statements of time in a sentence, and telling deadlines from mere mentions.
//!
//! A mention counts as a deadline only where its neighbours leave no doubt: precision before recall.

use std::ops::Range;

use jiff::civil::Date;

use super::words::{Cursor, Kind, Token, tokens};
use super::{Deadline, Place, Strength, When, dates, spans};

/// A statement as found in a text.
pub(super) struct Found {
    quote: String,
    phrase: String,
    strength: Strength,
    when: When,
}

impl Found {
    pub(super) fn into_deadline(self, artifact: &str, pointer: String, place: Place) -> Deadline {
        let Found {
            quote,
            phrase,
            strength,
            when,
        } = self;
        Deadline {
            quote,
            phrase,
            artifact: artifact.to_owned(),
            pointer,
            place,
            strength,
            when,
        }
    }
}

/// Words that, just before a time, make it an end.
const UNTIL: [&str; 12] = [
    "within", "by", "before", "until", "till", "in", "under", "than", "over", "most", "exceed",
    "through",
];
/// The same where users write freely: fewer.
const UNTIL_STRICT: [&str; 7] = ["within", "by", "before", "until", "till", "than", "exceed"];
/// Words that, just before a span, say that it is none of the plan's ends.
const NOT_AN_END: [&str; 12] = [
    "every", "each", "per", "for", "last", "past", "previous", "first", "after", "minimum",
    "least", "ago",
];
/// What a plan is counted from.
const STARTS: [&str; 23] = [
    "start",
    "starts",
    "greenlight",
    "green",
    "kickoff",
    "kick",
    "project",
    "today",
    "now",
    "approval",
    "funding",
    "financing",
    "commencement",
    "initiation",
    "signing",
    "award",
    "inception",
    "beginning",
    "outset",
    "date",
    "contract",
    "authorization",
    "mandate",
];
/// What comes at a plan's end: a span counted from it is none of the plan's.
const ENDS: [&str; 11] = [
    "completion",
    "launch",
    "opening",
    "delivery",
    "release",
    "end",
    "operation",
    "operations",
    "deployment",
    "handover",
    "premiere",
];
/// What a span with a hyphen may describe to be the plan's own.
const WHOLE: [&str; 18] = [
    "project",
    "program",
    "programme",
    "plan",
    "initiative",
    "campaign",
    "timeline",
    "timeframe",
    "schedule",
    "deadline",
    "horizon",
    "period",
    "roadmap",
    "mission",
    "window",
    "duration",
    "timescale",
    "effort",
];
const BEGINNINGS: [&str; 11] = [
    "begin",
    "begins",
    "beginning",
    "begun",
    "start",
    "starts",
    "starting",
    "started",
    "commence",
    "commences",
    "commencing",
];
const SEQUELS: [&str; 6] = [
    "followed",
    "then",
    "subsequently",
    "thereafter",
    "subsequent",
    "afterwards",
];
const UNRELATED: [&str; 9] = [
    "old",
    "experience",
    "ago",
    "warranty",
    "guarantee",
    "later",
    "each",
    "per",
    "earlier",
];

/// All statements of a text, in its order. `start` is needed for words like `by the end of the year`.
pub(super) fn find(text: &str, place: Place, start: Option<Date>) -> Vec<Found> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match statement(&tokens, at, place, start) {
            Some((end, when)) => {
                let (first, mut strength) = weigh(&tokens, at, end, when, place);
                if is_history(&tokens, first..at, when, start) {
                    strength = Strength::Mention;
                }
                let phrase = text[tokens[first].start..tokens[end - 1].end].to_owned();
                found.push(Found {
                    quote: quote(text, tokens[at].start),
                    phrase,
                    strength,
                    when: before(&tokens, at, when),
                });
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// The time that begins at this token, and the token behind it.
fn statement(
    tokens: &[Token],
    at: usize,
    place: Place,
    start: Option<Date>,
) -> Option<(usize, When)> {
    let mut cursor = Cursor { tokens, at };
    if let Some((low, high)) =
        dates::calendar(&mut cursor).or_else(|| dates::this_year(&mut cursor, start?))
    {
        return Some((cursor.at, When::Dates { low, high }));
    }
    if let Some((low_days, high_days)) = spans::span(&mut cursor) {
        return Some((
            cursor.at,
            When::Span {
                low_days,
                high_days,
            },
        ));
    }
    if let Some((low, high)) = bare_year(&mut cursor) {
        return Some((cursor.at, When::Dates { low, high }));
    }
    if place == Place::TimeBound && cursor.skip_word(&["today"]) && cursor.back(2) != Some("from") {
        return Some((
            cursor.at,
            When::Span {
                low_days: 0.0,
                high_days: 1.0,
            },
        ));
    }
    None
}

/// A year in figures behind a word that makes it one: `by 2028`, `by the year 2050`, `2026-2030` (the later counts).
fn bare_year(cursor: &mut Cursor<'_>) -> Option<dates::Range> {
    let before = if cursor.back(1) == Some("year") {
        cursor.back(if cursor.back(2) == Some("the") { 3 } else { 2 })
    } else {
        cursor.back(1)
    };
    let is_year = before.is_some_and(|word| {
        [
            "by", "before", "until", "till", "in", "through", "during", "to", "from", "of",
        ]
        .contains(&word)
    });
    let mut ahead = *cursor;
    let mut year = ahead.year()?;
    let mut range = ahead;
    let is_range = range.sign('-') || range.skip_word(&["to"]);
    if let Some(later) = range.year().filter(|later| is_range && *later > year) {
        (year, ahead) = (later, range);
    } else if !is_year || matches!(ahead.peek(), Some(Kind::Sign('%' | '$' | '\u{20ac}'))) {
        return None;
    }
    let mut behind = ahead;
    if (behind.sign('-') || behind.sign('/')) && behind.figures().is_some() {
        return None;
    }
    *cursor = ahead;
    dates::whole_year(year)
}

/// Where the phrase begins (with the words that make it a deadline), and what it claims.
fn weigh(tokens: &[Token], at: usize, end: usize, when: When, place: Place) -> (usize, Strength) {
    let first = lead(tokens, at);
    let is_span = matches!(when, When::Span { .. });
    let from_start = anchor(tokens, end);
    let unrelated = word(tokens, end).is_some_and(|after| UNRELATED.contains(&after));
    let excluded = is_span && (not_an_end(tokens, first, at) || from_start == Some(false))
        || unrelated
        || more_than(tokens, at)
        || begins(tokens, first)
        || is_part(tokens, first)
        || clause_says(tokens, first, &SEQUELS);
    let described =
        hyphenated(tokens, at, end) && (end..end + 3).any(|index| is_one(tokens, index, &WHOLE));
    let says_until = |words: &[&str]| (first..at).any(|index| is_one(tokens, index, words));
    let counted = is_span && from_start == Some(true);
    let stated = match place {
        Place::TimeBound => true,
        Place::Goal => says_until(&UNTIL) || described || counted,
        Place::Prompt => {
            let announced = clause_says(
                tokens,
                first,
                &["deadline", "timeline", "timeframe", "duration"],
            );
            says_until(&UNTIL_STRICT) || described || counted || announced
        }
    };
    (
        first,
        if stated && !excluded {
            Strength::Deadline
        } else {
            Strength::Mention
        },
    )
}

/// A year or month before the start that no word makes a deadline: `founded in 1998`.
fn is_history(tokens: &[Token], mut lead: Range<usize>, when: When, start: Option<Date>) -> bool {
    const DUE: [&str; 7] = ["by", "until", "till", "before", "than", "within", "through"];
    let is_past = matches!((when, start), (When::Dates { low, high }, Some(start)) if low < high && high < start);
    let says_due = clause_says(tokens, lead.start, &["deadline", "due"]);
    is_past && !says_due && !lead.any(|index| is_one(tokens, index, &DUE))
}

fn word(tokens: &[Token], index: usize) -> Option<&str> {
    Cursor { tokens, at: index }.back(0)
}

fn is_one(tokens: &[Token], index: usize, words: &[&str]) -> bool {
    word(tokens, index).is_some_and(|word| words.contains(&word))
}

/// What a span is counted from, where words like `from` say so behind it: the plan's start (true) or something else (false).
fn anchor(tokens: &[Token], end: usize) -> Option<bool> {
    if !is_one(tokens, end, &["of", "from", "after", "following", "post"]) {
        return None;
    }
    let behind = || end + 1..(end + 6).min(tokens.len());
    let is_start = behind().any(|index| is_one(tokens, index, &STARTS));
    Some(is_start && !behind().any(|index| is_one(tokens, index, &ENDS)))
}

/// Whether the words just before a span make it a rate, a part or a minimum.
fn not_an_end(tokens: &[Token], first: usize, at: usize) -> bool {
    let before = first.saturating_sub(1)..at;
    let minimum =
        at >= 2 && word(tokens, at - 1) == Some("of") && word(tokens, at - 2) == Some("minimum");
    minimum
        || before
            .into_iter()
            .any(|index| is_one(tokens, index, &NOT_AN_END))
}

/// Whether the clause says that something begins then.
fn begins(tokens: &[Token], first: usize) -> bool {
    clause_says(tokens, first, &BEGINNINGS)
        && !clause_says(
            tokens,
            first,
            &["complete", "completed", "finish", "finished", "delivered"],
        )
}

/// Whether the clause speaks of a part of the plan only.
fn is_part(tokens: &[Token], first: usize) -> bool {
    let whole = [
        "all",
        "entire",
        "whole",
        "full",
        "total",
        "overall",
        "complete",
        "completed",
        "completion",
        "project",
        "final",
    ];
    clause_says(
        tokens,
        first,
        &[
            "phase",
            "phases",
            "stage",
            "stages",
            "milestone",
            "milestones",
        ],
    ) && !clause_says(tokens, first, &whole)
}

/// `more than 3 years`, unless `no` or `not` stands before it.
fn more_than(tokens: &[Token], at: usize) -> bool {
    let cursor = Cursor { tokens, at };
    let is_more = cursor.back(1) == Some("than")
        && cursor
            .back(2)
            .is_some_and(|word| ["more", "longer", "greater"].contains(&word));
    is_more
        && !cursor
            .back(3)
            .is_some_and(|word| ["no", "not"].contains(&word))
}

/// The first of the words just before a time that belong to it: `within`, `no later than`, `by the`, `in approximately`.
fn lead(tokens: &[Token], at: usize) -> usize {
    const FILLERS: [&str; 18] = [
        "more",
        "longer",
        "the",
        "a",
        "an",
        "about",
        "around",
        "approximately",
        "roughly",
        "approx",
        "next",
        "year",
        "later",
        "no",
        "not",
        "between",
        "less",
        "at",
    ];
    let mut first = at;
    while first > 0 && at - first < 4 {
        match &tokens[first - 1].kind {
            Kind::Word(word)
                if UNTIL.contains(&word.as_str()) || FILLERS.contains(&word.as_str()) =>
            {
                first -= 1
            }
            Kind::Sign('~') => first -= 1,
            _ => break,
        }
    }
    let is_filler = |index: usize| matches!(&tokens[index].kind, Kind::Word(word) if ["the", "a", "an", "year"].contains(&word.as_str()));
    while first < at && is_filler(first) {
        first += 1;
    }
    first
}

/// Whether a number and its unit are joined: `15-year`.
fn hyphenated(tokens: &[Token], at: usize, end: usize) -> bool {
    end >= at + 3 && tokens[end - 2].kind == Kind::Sign('-')
}

/// Whether the clause before a token holds one of the words.
fn clause_says(tokens: &[Token], at: usize, words: &[&str]) -> bool {
    let clause = tokens[..at]
        .iter()
        .rev()
        .take_while(|token| match &token.kind {
            Kind::Sign(sign) => !matches!(sign, ',' | ';' | '.' | '!' | '?' | '(' | ')'),
            Kind::Word(word) => word != "and",
            Kind::Number(..) => true,
        });
    clause
        .take(25)
        .any(|token| matches!(&token.kind, Kind::Word(word) if words.contains(&word.as_str())))
}

/// `before 2028` ends on the day before it begins.
fn before(tokens: &[Token], at: usize, when: When) -> When {
    let cursor = Cursor { tokens, at };
    let is_before = (1..=3)
        .take_while(|steps| cursor.back(*steps).is_some())
        .any(|steps| cursor.back(steps) == Some("before"));
    match when {
        When::Dates { low, .. } if is_before => {
            let day: Date = low.yesterday().unwrap_or(low);
            When::Dates {
                low: day,
                high: day,
            }
        }
        when => when,
    }
}

/// The sentence around a place, cut to 300 characters.
fn quote(text: &str, at: usize) -> String {
    // A full stop before a small letter or a figure is an abbreviation's: `31 Dec. 2026`.
    let ends = |index: usize, char: char| {
        let behind = &text[index + char.len_utf8()..];
        let goes_on = behind
            .trim_start()
            .starts_with(|next: char| next.is_lowercase() || next.is_ascii_digit());
        let is_apart = behind.chars().next().is_none_or(char::is_whitespace);
        char == '\n' || (matches!(char, '.' | '!' | '?') && is_apart && !(char == '.' && goes_on))
    };
    let start = text[..at]
        .char_indices()
        .rfind(|(index, char)| ends(*index, *char))
        .map_or(0, |(index, char)| index + char.len_utf8());
    let end = text[at..]
        .char_indices()
        .map(|(index, char)| (at + index, char))
        .find(|(index, char)| ends(*index, *char))
        .map_or(text.len(), |(index, char)| index + char.len_utf8());
    text[start..end].trim().chars().take(300).collect()
}
