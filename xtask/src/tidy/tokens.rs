//! Rust source as words and signs with their lines, without comments, texts and characters: enough for our rules.

/// A word (identifier, keyword or number) or a single sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// From 1.
    pub(crate) line: usize,
}

/// Splits a source. Never fails: what cannot be Rust gives tokens that no rule minds.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (length, kept) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (block_comment(rest), false),
            '"' => (quoted(rest, 0), false),
            '\'' => character_or_lifetime(rest),
            _ if is_word(first) => match text_after_prefix(rest) {
                Some(length) => (length, false),
                None => (word(rest), true),
            },
            _ => (first.len_utf8(), !first.is_whitespace()),
        };
        let (text, after) = rest.split_at(length);
        if kept {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn word(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a text that begins with a quote, which may hold escapes; `before` bytes are added.
fn quoted(text: &str, before: usize) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return before + at + 1,
            _ => {}
        }
    }
    before + text.len()
}

/// The length of `b"..."`, `c"..."`, `r"..."`, `br#"..."#` and their like, if one begins here.
fn text_after_prefix(text: &str) -> Option<usize> {
    let prefix = word(text);
    let letters = &text[..prefix];
    if !["b", "c", "r", "br", "cr"].contains(&letters) {
        return None;
    }
    let after = &text[prefix..];
    if !letters.ends_with('r') {
        return after.starts_with('"').then(|| quoted(after, prefix));
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = prefix + hashes + 1;
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| begin + at + end.len()),
    )
}

/// `'a'` and `'\n'` are dropped; of a lifetime only the sign is, so that its name is dropped as well.
fn character_or_lifetime(text: &str) -> (usize, bool) {
    let inside = &text[1..];
    if let Some(escape) = inside.strip_prefix('\\') {
        let sign = escape.chars().next().map_or(0, char::len_utf8);
        let end = escape[sign..]
            .find('\'')
            .map_or(text.len(), |at| 2 + sign + at + 1);
        return (end, false);
    }
    let one = inside.chars().next().map_or(0, char::len_utf8);
    if inside[one..].starts_with('\'') {
        (1 + one + 1, false)
    } else {
        (1 + word(inside), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_texts_and_characters_are_no_words() {
        assert_eq!(
            texts("a // job\nb /* job /* job */ job */ c"),
            ["a", "b", "c"]
        );
        assert_eq!(
            texts(r#"a("jo\"b", b"job", 'j', '\'', '\u{6a}') b"#),
            ["a", "(", ",", ",", ",", ",", ")", "b"]
        );
        assert_eq!(texts("r\"job\\\" a r##\"job\"# job\"## b"), ["a", "b"]);
    }

    #[test]
    fn lifetimes_are_not_taken_for_characters() {
        let words = texts("fn f<'a>(x: &'a str) { x == 'x' }").join(" ");
        assert_eq!(words, "fn f < > ( x : & str ) { x = = }");
    }

    #[test]
    fn lines_are_counted_through_texts_of_many_lines() {
        let all = tokens("a\n\"x\ny\"\n/* \n */ b");
        assert_eq!(all[1], Token { text: "b", line: 5 });
    }
}
