//! Delays and sums of money that a text states in figures.

use crate::lexer::{Token, tokens};

/// A delay that a text states, in days.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay {
    /// The least days stated.
    pub low: f64,
    /// The most days stated; the same as `low` for a single figure.
    pub high: f64,
    /// The words that state it.
    pub quote: String,
}

/// A sum of money that a text states.
#[derive(Clone, Debug, PartialEq)]
pub struct Money {
    /// The least amount stated.
    pub low: f64,
    /// The most amount stated; the same as `low` for a single figure.
    pub high: f64,
    /// ISO 4217 code, or the symbol where it stands for several currencies (`$`, `¥`, `kr`).
    pub currency: String,
    /// The words that state it.
    pub quote: String,
}

/// Days of a unit of time, by its singular. Months and years are a twelfth of, and 365.25 days.
fn unit_days(word: &str) -> Option<f64> {
    match word.strip_suffix('s').unwrap_or(word) {
        "day" => Some(1.0),
        "week" => Some(7.0),
        "month" => Some(30.4375),
        "quarter" => Some(91.3125),
        "year" => Some(365.25),
        _ => None,
    }
}

/// Figures beyond these are no delay and no sum.
const DELAY_DAYS_MAX: f64 = 1e6;
const SUM_MAX: f64 = 1e18;

/// Words that make a span of time a delay. Without one of them in the same sentence a span is not taken for a delay.
const DELAY_WORDS: [&str; 14] = [
    "delay",
    "delays",
    "delayed",
    "delaying",
    "postpone",
    "postponed",
    "postponement",
    "slip",
    "slippage",
    "setback",
    "setbacks",
    "overrun",
    "overruns",
    "extend",
];

/// The delays stated in `text`, in order: a figure or range with a unit of time, in a sentence that speaks of a delay.
pub fn delays(text: &str) -> Vec<Delay> {
    let tokens = tokens(text);
    sentences(&tokens)
        .filter(|sentence| {
            sentence
                .iter()
                .any(|token| DELAY_WORDS.contains(&token.lower().as_str()))
        })
        .flat_map(|sentence| spans(text, sentence))
        .collect()
}

fn sentences<'t>(tokens: &'t [Token<'t>]) -> impl Iterator<Item = &'t [Token<'t>]> {
    tokens.split(|token| matches!(token.text, "." | ";" | "!" | "?" | "\n"))
}

fn spans(text: &str, sentence: &[Token<'_>]) -> Vec<Delay> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < sentence.len() {
        let Some(range) = range(sentence, at) else {
            at += 1;
            continue;
        };
        // "6-month" has a hyphen between figure and unit.
        let unit_at =
            range.next + usize::from(sentence.get(range.next).is_some_and(|t| is_dash(t.text)));
        at = range.next;
        if let Some(unit) = sentence
            .get(unit_at)
            .and_then(|token| unit_days(&token.lower()))
        {
            let first = &sentence[range.first];
            let quote = text[first.at..sentence[unit_at].end()].to_owned();
            let (low, high) = (
                range.low * range.low_unit.unwrap_or(unit),
                range.high * unit,
            );
            let (low, high) = (low.min(high), low.max(high));
            if high <= DELAY_DAYS_MAX {
                found.push(Delay { low, high, quote });
            }
            at = unit_at + 1;
        }
    }
    found
}

/// A figure, or two joined by a dash or `to`: `2`, `2-6`, `2 to 6`, `2 weeks to 6`.
struct Range {
    first: usize,
    next: usize,
    low: f64,
    high: f64,
    /// The unit of the lower figure, where it has one of its own.
    low_unit: Option<f64>,
}

fn is_dash(text: &str) -> bool {
    matches!(text, "-" | "–" | "—" | "−" | "‑")
}

fn joins(token: &Token<'_>) -> bool {
    is_dash(token.text) || token.lower() == "to"
}

fn range(sentence: &[Token<'_>], at: usize) -> Option<Range> {
    let low = sentence.get(at)?.number?;
    let mut next = at + 1;
    let low_unit = sentence
        .get(next)
        .and_then(|token| unit_days(&token.lower()));
    let after_unit = next + usize::from(low_unit.is_some());
    let high = sentence
        .get(after_unit)
        .filter(|token| joins(token))
        .and_then(|_| sentence.get(after_unit + 1))
        .and_then(|token| token.number);
    // "2 weeks to 6 months" needs the second unit; "2 weeks" alone is left to the caller's unit.
    let Some(high) = high else {
        return Some(Range {
            first: at,
            next,
            low,
            high: low,
            low_unit: None,
        });
    };
    next = after_unit + 2;
    Some(Range {
        first: at,
        next,
        low,
        high,
        low_unit,
    })
}

/// Symbols and codes of money that are told apart without doubt when they stand at a figure.
const SYMBOLS: [(&str, &str); 16] = [
    ("US$", "USD"),
    ("HK$", "HKD"),
    ("NT$", "TWD"),
    ("A$", "AUD"),
    ("C$", "CAD"),
    ("S$", "SGD"),
    ("NZ$", "NZD"),
    ("R$", "BRL"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("₩", "KRW"),
    ("₽", "RUB"),
    ("₺", "TRY"),
    ("$", "$"),
    ("¥", "¥"),
];

/// ISO 4217 codes that are taken for money when they stand at a figure. Those that are words too (COP 26, TRY 3 times, PEN) are not.
const CODES: [&str; 41] = [
    "AED", "ARS", "AUD", "BGN", "BRL", "CAD", "CHF", "CLP", "CNY", "CZK", "DKK", "EGP", "EUR",
    "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KES", "KRW", "MXN", "MYR", "NGN",
    "NOK", "NZD", "PHP", "PKR", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TWD", "USD",
    "VND", "ZAR",
];

/// Which currency a token names: a symbol, or a code in capitals.
fn currency(token: &Token<'_>) -> Option<&'static str> {
    let symbol = SYMBOLS
        .iter()
        .find(|(symbol, _)| *symbol == token.text)
        .map(|(_, code)| *code);
    symbol.or_else(|| CODES.into_iter().find(|code| *code == token.text))
}

fn magnitude(word: &str) -> Option<f64> {
    match word {
        "thousand" | "k" => Some(1e3),
        "million" | "m" | "mn" | "mio" => Some(1e6),
        "billion" | "bn" | "b" => Some(1e9),
        _ => None,
    }
}

/// The sums of money stated in `text`, in order: a figure or range with a currency before or behind it.
pub fn money(text: &str) -> Vec<Money> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match sum(text, &tokens, at) {
            Some((money, next)) => {
                found.push(money);
                at = next;
            }
            None => at += 1,
        }
    }
    found
}

/// One amount: `HK$1,000,000`, `50,000 CZK`, `5 million EUR`.
struct Amount {
    value: f64,
    scale: Option<f64>,
    currency: Option<&'static str>,
    next: usize,
}

fn amount(tokens: &[Token<'_>], at: usize) -> Option<Amount> {
    let before = tokens.get(at).and_then(currency);
    let figure = at + usize::from(before.is_some());
    let value = tokens.get(figure)?.number?;
    let mut next = figure + 1;
    let scale = tokens.get(next).and_then(|token| magnitude(&token.lower()));
    next += usize::from(scale.is_some());
    // A sign behind the figure belongs to it only when none stands before it: in "5 to $10" it is the next one's.
    let behind = before
        .is_none()
        .then(|| tokens.get(next).and_then(currency))
        .flatten();
    next += usize::from(behind.is_some());
    Some(Amount {
        value,
        scale,
        currency: before.or(behind),
        next,
    })
}

fn sum(text: &str, tokens: &[Token<'_>], at: usize) -> Option<(Money, usize)> {
    let low = amount(tokens, at)?;
    let high = tokens
        .get(low.next)
        .filter(|token| joins(token))
        .and_then(|_| amount(tokens, low.next + 1));
    // A span of years or weeks after the figure is no sum: "$5-10 years" does not occur, "2-6 weeks" has no currency.
    let known = low
        .currency
        .or_else(|| high.as_ref().and_then(|high| high.currency))?;
    let agrees = high.filter(|high| high.currency.is_none_or(|code| code == known));
    let (next, low_value, high_value) = match agrees {
        Some(high) => {
            let scale = high.scale.unwrap_or(1.0);
            (
                high.next,
                low.value * low.scale.unwrap_or(scale),
                high.value * scale,
            )
        }
        None => {
            low.currency?;
            let value = low.value * low.scale.unwrap_or(1.0);
            (low.next, value, value)
        }
    };
    let quote = text[tokens[at].at..tokens[next - 1].end()].to_owned();
    let money = Money {
        low: low_value.min(high_value),
        high: low_value.max(high_value),
        currency: known.to_owned(),
        quote,
    };
    (money.high <= SUM_MAX).then_some((money, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> Vec<(i64, i64)> {
        delays(text)
            .into_iter()
            .map(|d| (d.low.round() as i64, d.high.round() as i64))
            .collect()
    }

    fn sums(text: &str) -> Vec<(f64, f64, String)> {
        money(text)
            .into_iter()
            .map(|m| (m.low, m.high, m.currency))
            .collect()
    }

    #[test]
    fn a_delay_is_a_span_in_a_sentence_about_a_delay() {
        assert_eq!(days("A delay of 2-6 weeks in the schedule."), [(14, 42)]);
        assert_eq!(
            days("Could delay the launch by 3 to 6 months, at worst 2 years."),
            [(91, 183), (731, 731)]
        );
        assert_eq!(
            days("A 6-month delay. A delay of 4–6 weeks."),
            [(183, 183), (28, 42)]
        );
        assert_eq!(
            days("Delays of 2 weeks to 3 months are likely."),
            [(14, 91)]
        );
    }

    #[test]
    fn a_span_that_is_no_delay_is_left_alone() {
        assert_eq!(days("The lease lasts 10 years. A delay is possible."), []);
        assert_eq!(days("Delays may cost 5 percent of 200 customers."), []);
        assert_eq!(
            days("A delay is likely. The warranty covers 24 months."),
            []
        );
    }

    #[test]
    fn the_quote_is_the_text_itself() {
        assert_eq!(delays("A delay of 2-6 weeks.")[0].quote, "2-6 weeks");
        assert_eq!(
            money("costs (HK$1,000,000 - HK$5,000,000) rise")[0].quote,
            "HK$1,000,000 - HK$5,000,000"
        );
    }

    #[test]
    fn money_is_a_figure_with_its_currency() {
        let one = |low: f64, high: f64, code: &str| vec![(low, high, code.to_owned())];
        assert_eq!(sums("HK$1,000,000 - HK$5,000,000"), one(1e6, 5e6, "HKD"));
        assert_eq!(
            sums("revenue of CZK 50,000–100,000 during"),
            one(5e4, 1e5, "CZK")
        );
        assert_eq!(sums("about 5-10 million EUR"), one(5e6, 1e7, "EUR"));
        assert_eq!(sums("$1.5M in fees"), one(1.5e6, 1.5e6, "$"));
        assert_eq!(sums("€500k or more"), one(5e5, 5e5, "EUR"));
        assert_eq!(sums("10,5 million DKK").len(), 1);
    }

    #[test]
    fn figures_without_a_currency_are_no_money() {
        assert_eq!(
            sums("2-6 weeks, 30 people, 5 million users, section 4.2"),
            []
        );
        assert_eq!(sums("The USD is strong. EUR too."), []);
        assert_eq!(sums(&format!("EUR 1{}", "0".repeat(400))), []);
    }
}
