//! Writing to the terminal. A closed pipe is not an error: whoever listened has heard enough.

use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

/// What kept standard output from taking all that was said.
static UNSAID: OnceLock<Error> = OnceLock::new();

/// Writes a line to standard output.
pub fn say(line: &str) {
    say_while_heard(line);
}

/// Writes a line to standard output. Answers whether anybody still listens.
pub fn say_while_heard(line: &str) -> bool {
    heard(writeln!(std::io::stdout(), "{line}"))
}

fn heard(written: std::io::Result<()>) -> bool {
    let Err(error) = written else {
        return true;
    };
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = UNSAID.set(error);
    }
    false
}

/// Why something that was said did not get out, if so. Called when all is said.
pub fn unsaid() -> Option<&'static Error> {
    heard(std::io::stdout().flush());
    UNSAID.get()
}

/// Writes a line to standard error.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a failure to standard error. What it quotes may come from anywhere; only its lines stay.
pub fn complain(sentence: &str) {
    let lines: Vec<String> = sentence.split('\n').map(plain).collect();
    note(&format!("afterplan: {}", lines.join("\n")));
}

/// Writes an indented paragraph to standard output, in short lines where a person reads it.
pub fn paragraph(text: &str) {
    const WIDTH: usize = 78;
    if !std::io::stdout().is_terminal() {
        return say(&format!("  {text}"));
    }
    let mut line = String::from(" ");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && !line.trim().is_empty() {
            say(&line);
            line = String::from("   ");
        }
        line.push(' ');
        line.push_str(word);
    }
    say(&line);
}

/// A table with aligned columns, two spaces between them; the first row is its head.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A span in words: `850 ms`, `12.4 s`, `3 min 20 s`.
pub fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", millis as f64 / 1_000.0),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// Text made safe for a terminal: no control characters, so that a plan cannot move the cursor or change the title, and nothing
/// unseen that would make it read otherwise than it is.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if misleads(c) { ' ' } else { c })
        .collect()
}

/// Control characters, those of no width, and those that turn the direction of writing.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// A path made safe for a terminal.
pub fn shown(path: &Path) -> String {
    plain(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_misleads_is_not_shown() {
        for hidden in ['\u{1b}', '\u{9b}', '\n', '\u{200b}', '\u{202e}', '\u{2066}'] {
            assert_eq!(plain(&format!("a{hidden}b")), "a b", "{hidden:?}");
        }
        assert_eq!(plain("Fähre — 渡船 🚢"), "Fähre — 渡船 🚢");
    }
}
