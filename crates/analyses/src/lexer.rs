//! Cuts plain text into words, figures and signs, each with its place.

/// One word, figure or sign of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token<'t> {
    /// As it stands in the text.
    pub text: &'t str,
    /// Where it begins, in bytes.
    pub at: usize,
    /// Its value, when it is a figure.
    pub number: Option<f64>,
}

impl Token<'_> {
    /// Where it ends, in bytes.
    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// In lower case.
    pub fn lower(&self) -> String {
        self.text.to_lowercase()
    }
}

/// The tokens of a text: words (letters, with inner apostrophes), figures (digits with inner points and commas), currency signs with
/// the capitals before them (`HK$`), line ends, and every other sign by itself. A point that ends a sentence is a token.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let length = length(&text[at..], first);
        let part = &text[at..at + length];
        if first == '\n' || !first.is_whitespace() {
            found.push(Token {
                text: part,
                at,
                number: first.is_ascii_digit().then(|| figure(part)),
            });
        }
        at += length;
    }
    found
}

fn length(rest: &str, first: char) -> usize {
    if first.is_ascii_digit() {
        return figure_length(rest);
    }
    if !first.is_alphabetic() {
        return first.len_utf8();
    }
    let bytes = rest.len();
    let capitals = rest
        .find(|c: char| !c.is_ascii_uppercase())
        .unwrap_or(bytes);
    if rest[capitals..].starts_with('$') && (1..=2).contains(&capitals) {
        return capitals + 1;
    }
    let word = |c: char| c.is_alphabetic() || c == '\'' || c == '’';
    rest.find(|c: char| !word(c)).unwrap_or(bytes)
}

/// Digits, and points or commas that stand between digits.
fn figure_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let inner = |i: usize| matches!(bytes.get(i), Some(b'.' | b',')) && digit(i + 1);
    (0..=bytes.len())
        .find(|&i| !digit(i) && !inner(i))
        .unwrap_or(bytes.len())
}

/// The value of digits with points and commas. Groups of three behind every comma make it a separator of thousands; a lone
/// comma before other than three digits is a decimal comma. Points likewise when there are several.
fn figure(text: &str) -> f64 {
    let grouped = |sign: char| {
        let mut parts = text.split(sign);
        let head = parts
            .next()
            .is_some_and(|head| (1..=3).contains(&head.len()));
        head && parts.all(|part| part.split('.').next().is_some_and(|group| group.len() == 3))
    };
    let plain = if text.contains(',') && !grouped(',') {
        text.replace('.', "").replacen(',', ".", 1).replace(',', "")
    } else if text.matches('.').count() > 1 {
        text.replace(['.', ','], "")
    } else {
        text.replace(',', "")
    };
    plain.parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn a_text_falls_into_words_figures_and_signs() {
        assert_eq!(
            texts("HK$1,000.50 - don't, stop."),
            ["HK$", "1,000.50", "-", "don't", ",", "stop", "."]
        );
        assert_eq!(
            texts("2–6 weeks\n€5k"),
            ["2", "–", "6", "weeks", "\n", "€", "5", "k"]
        );
        assert_eq!(texts(""), Vec::<&str>::new());
    }

    #[test]
    fn figures_are_read_in_the_ways_people_write_them() {
        let value = |text: &str| tokens(text)[0].number;
        assert_eq!(value("1,000,000"), Some(1e6));
        assert_eq!(value("10,5"), Some(10.5));
        assert_eq!(value("1.5"), Some(1.5));
        assert_eq!(value("1.000.000"), Some(1e6));
        assert_eq!(value("12,345.75"), Some(12_345.75));
        assert_eq!(value("word"), None);
    }

    #[test]
    fn places_are_those_of_the_text() {
        for token in tokens("Größe: 5 €, naïve") {
            assert_eq!(&"Größe: 5 €, naïve"[token.at..token.end()], token.text);
        }
    }
}
