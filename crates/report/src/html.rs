//! Writing HTML in which text cannot become markup.
//!
//! Markup is only what stands in this program's own source (`&'static str`); everything else goes through
//! [`Html::text`] or an attribute's value, and both escape it.

use std::fmt::{self, Display, Write};

/// Markup as written so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html {
    out: String,
}

/// An attribute's name and value.
pub type Attr<'a> = (&'static str, &'a dyn Display);

/// Passes text on with the five characters escaped that have a meaning in HTML, and without control characters.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(character),
                _ if character.is_control() => {}
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

impl Html {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds markup of our own.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.out.push_str(markup);
        self
    }

    /// Adds text, escaped.
    pub fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing into a String fails only when a Display does, which ours do not.
        let _ = write!(Escaping(&mut self.out), "{text}");
        self
    }

    /// Adds a text as a quoted string of a style sheet, which cannot end the string or the sheet.
    pub fn style_text(&mut self, text: &str) -> &mut Self {
        self.out.push_str(&style_string(text));
        self
    }

    /// Adds what another piece wrote.
    pub fn add(&mut self, piece: &Self) -> &mut Self {
        self.out.push_str(&piece.out);
        self
    }

    /// Adds `<name …>` without an end: `meta`, `path`, `rect`.
    pub fn void(&mut self, name: &'static str, attrs: &[Attr<'_>]) -> &mut Self {
        self.open(name, attrs, if is_drawing(name) { "/>" } else { ">" })
    }

    /// Adds an element around what `body` writes.
    pub fn element(
        &mut self,
        name: &'static str,
        attrs: &[Attr<'_>],
        body: impl FnOnce(&mut Self),
    ) -> &mut Self {
        self.open(name, attrs, ">");
        body(self);
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self
    }

    /// Adds an element around a text.
    pub fn leaf(
        &mut self,
        name: &'static str,
        attrs: &[Attr<'_>],
        text: impl Display,
    ) -> &mut Self {
        self.element(name, attrs, |html| {
            html.text(text);
        })
    }

    /// Adds an element of one class around what `body` writes.
    pub fn div(&mut self, class: &'static str, body: impl FnOnce(&mut Self)) -> &mut Self {
        self.element("div", &[("class", &class)], body)
    }

    /// Adds a paragraph of text.
    pub fn p(&mut self, text: impl Display) -> &mut Self {
        self.leaf("p", &[], text)
    }

    /// Adds a paragraph of one class.
    pub fn note(&mut self, class: &'static str, text: impl Display) -> &mut Self {
        self.leaf("p", &[("class", &class)], text)
    }

    /// How often a piece of markup was written; text cannot be mistaken for it.
    pub fn count(&self, markup: &'static str) -> usize {
        self.out.matches(markup).count()
    }

    /// The length of the text that a reader sees, in bytes.
    pub fn visible(&self) -> usize {
        let texts = self
            .out
            .split('<')
            .filter_map(|piece| piece.split_once('>'));
        texts.map(|(_, text)| text.len()).sum()
    }

    /// The markup's length in bytes.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// The markup.
    pub fn into_string(self) -> String {
        self.out
    }

    fn open(&mut self, name: &'static str, attrs: &[Attr<'_>], end: &'static str) -> &mut Self {
        self.out.push('<');
        self.out.push_str(name);
        for (attr, value) in attrs {
            self.out.push(' ');
            self.out.push_str(attr);
            self.out.push_str("=\"");
            self.text(value);
            self.out.push('"');
        }
        self.out.push_str(end);
        self
    }
}

fn is_drawing(name: &str) -> bool {
    matches!(
        name,
        "path" | "rect" | "line" | "circle" | "polygon" | "stop"
    )
}

/// `text` as a quoted string for a style sheet, where everything but letters, digits and spaces is written as a code point.
fn style_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars().filter(|character| !character.is_control()) {
        if character.is_alphanumeric() || character == ' ' {
            quoted.push(character);
        } else {
            let _ = write!(quoted, "\\{:06x}", u32::from(character));
        }
    }
    quoted.push('"');
    quoted
}

/// A coordinate in a drawing: at most two places, no trailing zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Px(pub f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return f.write_str("0");
        }
        let text = format!("{:.2}", self.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_never_become_markup() {
        let mut html = Html::new();
        html.leaf(
            "p",
            &[("title", &"a\"b'c<d")],
            "<script>alert('x') & more</script>\u{7}",
        );
        assert_eq!(
            html.into_string(),
            "<p title=\"a&quot;b&#39;c&lt;d\">&lt;script&gt;alert(&#39;x&#39;) &amp; more&lt;/script&gt;</p>"
        );
    }

    #[test]
    fn a_title_in_the_style_sheet_cannot_end_it() {
        assert_eq!(
            style_string("A </style>\""),
            "\"A \\00003c\\00002fstyle\\00003e\\000022\""
        );
    }

    #[test]
    fn coordinates_are_short() {
        let written = [12.0, 12.5, -0.001, 0.126, f64::NAN].map(|at| Px(at).to_string());
        assert_eq!(written, ["12", "12.5", "0", "0.13", "0"]);
    }
}
