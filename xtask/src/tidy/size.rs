//! A file is read in one sitting, a function on one screen.

use super::Finding;
use super::files::Tree;
use super::tokens::{Token, tokens};

/// Lines of a file. Most of ours have about 180.
const FILE_MAX: usize = 500;

/// Lines of a function with its signature: what a tall screen shows.
const FUNCTION_MAX: usize = 70;

pub(crate) fn findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for end in [".rs", ".sql"] {
        for (path, text) in tree.ending(end) {
            let lines = text.lines().count();
            if lines > FILE_MAX {
                let message = format!("{lines} lines, at most {FILE_MAX}: split it by subject");
                findings.push(Finding::new(path, message));
            }
        }
    }
    for (path, text) in tree.ending(".rs") {
        for Function { name, line, lines } in functions(&tokens(text)) {
            if lines > FUNCTION_MAX {
                let message = format!(
                    "fn {name} has {lines} lines, at most {FUNCTION_MAX}: name its parts and make them functions"
                );
                findings.push(Finding::at(path, line, message));
            }
        }
    }
    findings
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: usize,
}

fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        // `fn(` is a type.
        if keyword.text != "fn" || name.text == "(" {
            continue;
        }
        if let Some(last) = end_of_body(&tokens[at..]) {
            functions.push(Function {
                name: name.text,
                line: keyword.line,
                lines: last - keyword.line + 1,
            });
        }
    }
    functions
}

/// The line of the brace that closes the body; `None` for a signature without one.
fn end_of_body(tokens: &[Token<'_>]) -> Option<usize> {
    let mut brackets = 0usize;
    let mut braces = 0usize;
    for token in tokens {
        match token.text {
            "(" | "[" => brackets += 1,
            ")" | "]" => brackets = brackets.saturating_sub(1),
            ";" if brackets == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_and_a_long_function_are_found() {
        let long_fn = format!(
            "fn long(x: [u8; 2]) {{\n{}}}\nfn short() {{}}\n",
            "    let c = '{';\n".repeat(70)
        );
        let found = findings(&Tree::of(&[
            ("a.rs", &long_fn),
            ("b.rs", &"//!\n".repeat(501)),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].place, "b.rs");
        assert_eq!(found[1].place, "a.rs:1");
        assert!(found[1].message.starts_with("fn long has 72 lines"));
    }

    #[test]
    fn what_fits_is_left_alone() {
        let fits = format!(
            "trait T {{ fn no_body(&self) -> [u8; 4]; }}\nfn fits() {{\n{}}}\n",
            "    a();\n".repeat(68)
        );
        assert_eq!(findings(&Tree::of(&[("a.rs", &fits)])), []);
    }
}
