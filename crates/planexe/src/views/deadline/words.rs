//! A text as words, numbers and signs, each with its place.

/// One word, number or sign.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// First byte in the text.
    pub(super) start: usize,
    /// Behind its last byte.
    pub(super) end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Letters, in lower case; apostrophes left out.
    Word(String),
    /// Digits, perhaps with a decimal point or thousands' commas, and how many digits.
    Number(f64, usize),
    /// Anything else; every dash is `-`.
    Sign(char),
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some(&(start, char)) = chars.peek() {
        if char.is_ascii_digit() {
            tokens.push(number(text, start));
        } else if char.is_alphabetic() {
            let end = text[start..]
                .find(|char: char| !(char.is_alphabetic() || matches!(char, '\'' | '\u{2019}')))
                .map_or(text.len(), |at| start + at);
            let word = text[start..end]
                .to_lowercase()
                .replace(['\'', '\u{2019}'], "");
            tokens.push(Token {
                kind: Kind::Word(word),
                start,
                end,
            });
        } else {
            if !char.is_whitespace() {
                let sign = if matches!(char, '\u{2010}'..='\u{2015}' | '\u{2212}') {
                    '-'
                } else {
                    char
                };
                tokens.push(Token {
                    kind: Kind::Sign(sign),
                    start,
                    end: start + char.len_utf8(),
                });
            }
            chars.next();
            continue;
        }
        let end = tokens.last().map_or(start + 1, |token| token.end);
        while chars.peek().is_some_and(|(at, _)| *at < end) {
            chars.next();
        }
    }
    tokens
}

/// Digits with thousands' commas (`1,500`) and one decimal point (`1.5`).
fn number(text: &str, start: usize) -> Token {
    let bytes = text.as_bytes();
    let digits = |at: usize| {
        bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let mut end = start + digits(start);
    let whole = end - start;
    while end < bytes.len() && bytes[end] == b',' && whole <= 3 && digits(end + 1) == 3 {
        end += 4;
    }
    if end < bytes.len() && bytes[end] == b'.' && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    let value = text[start..end]
        .replace(',', "")
        .parse()
        .unwrap_or(f64::INFINITY);
    Token {
        kind: Kind::Number(value, whole),
        start,
        end,
    }
}

/// Tokens from a place on; each step asks for what comes next and moves on only when it is that.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    pub(super) tokens: &'t [Token],
    pub(super) at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn peek(&self) -> Option<&'t Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn word(&mut self) -> Option<&'t str> {
        match self.peek()? {
            Kind::Word(word) => {
                self.at += 1;
                Some(word)
            }
            _ => None,
        }
    }

    /// The next word when it is one of these.
    pub(super) fn one_of(&mut self, words: &[&str]) -> Option<&'t str> {
        let mut ahead = *self;
        let word = ahead.word().filter(|word| words.contains(word))?;
        *self = ahead;
        Some(word)
    }

    /// Passes over the word when it is next.
    pub(super) fn skip_word(&mut self, words: &[&str]) -> bool {
        self.one_of(words).is_some()
    }

    pub(super) fn sign(&mut self, sign: char) -> bool {
        let is_next = self.peek() == Some(&Kind::Sign(sign));
        self.at += usize::from(is_next);
        is_next
    }

    /// A number in figures with its count of digits.
    pub(super) fn figures(&mut self) -> Option<(f64, usize)> {
        match self.peek()? {
            Kind::Number(value, digits) => {
                self.at += 1;
                Some((*value, *digits))
            }
            _ => None,
        }
    }

    /// A whole number of so many digits at most.
    pub(super) fn whole(&mut self, digits_max: usize) -> Option<i64> {
        let mut ahead = *self;
        let (value, digits) = ahead.figures()?;
        if digits > digits_max || value != libm::floor(value) {
            return None;
        }
        *self = ahead;
        Some(value as i64)
    }

    /// A year in four figures that a plan may speak of.
    pub(super) fn year(&mut self) -> Option<i16> {
        let mut ahead = *self;
        let (value, digits) = ahead.figures()?;
        if digits != 4 || !(1990.0..2200.0).contains(&value) || value != libm::floor(value) {
            return None;
        }
        *self = ahead;
        Some(value as i16)
    }

    /// The word before the next token, so many steps back.
    pub(super) fn back(&self, steps: usize) -> Option<&'t str> {
        match &self.tokens.get(self.at.checked_sub(steps)?)?.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}
