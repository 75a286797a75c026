//! A module as the body of a function that returns what the module exports by default.

use oxc::allocator::Allocator;
use oxc::ast::ast::{ExportDefaultDeclaration, ExportNamedDeclaration, Statement};
use oxc::span::{GetSpan, SourceType, Span};

use crate::error::{ScriptError, shortened};
use crate::strip;

/// Names that need not be bound for a generator to stand alone.
const GLOBAL: &str = " AggregateError Array ArrayBuffer BigInt BigInt64Array BigUint64Array Boolean DataView Date Error EvalError \
    Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array Iterator JSON Map Math NaN Number Object Promise Proxy \
    RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array \
    Uint8ClampedArray WeakMap WeakSet arguments console decodeURI decodeURIComponent encodeURI encodeURIComponent eval globalThis isFinite \
    isNaN parseFloat parseInt undefined ";

/// The body of a module that is JavaScript already and imports nothing.
///
/// # Errors
/// `Source` names what it imports, or says that it exports nothing by default.
pub(crate) fn of_module(code: &str) -> Result<String, ScriptError> {
    strip::with_stack(code, |code| {
        let allocator = Allocator::default();
        let (program, _) = strip::parsed(&allocator, code, SourceType::mjs())?;
        let mut body = Body::new(code);
        for statement in &program.body {
            body.take(statement)?;
        }
        Ok(body.ended())
    })
}

/// The names that a generator's text uses without binding them, beside those of the language.
///
/// # Errors
/// `Source` where it cannot be read.
pub(crate) fn free_names(generator: &str) -> Result<Vec<String>, ScriptError> {
    let expression = format!("({generator}\n)");
    strip::with_stack(&expression, |expression| {
        let allocator = Allocator::default();
        let (_, scoping) = strip::parsed(&allocator, expression, SourceType::mjs())?;
        let names = scoping.root_unresolved_references().keys();
        let mut free: Vec<String> = names
            .map(|name| name.as_str().to_owned())
            .filter(|name| !GLOBAL.contains(&format!(" {name} ")))
            .collect();
        free.sort();
        Ok(free)
    })
}

/// A body in the making.
struct Body<'a> {
    code: &'a str,
    /// On the same lines as in the code, for errors to name them.
    text: String,
    /// How far the code's lines were counted.
    counted: usize,
    /// What the default export is called in it: a name that the module does not use.
    name: String,
    exported: bool,
    /// What must come last: `export { x as default }` may stand before `x`.
    tail: String,
}

impl<'a> Body<'a> {
    fn new(code: &'a str) -> Self {
        let mut name = "exported$".to_owned();
        while code.contains(&name) {
            name.push('$');
        }
        Body {
            code,
            text: "const module = { exports: {} }, exports = module.exports; ".to_owned(),
            counted: 0,
            name,
            exported: false,
            tail: String::new(),
        }
    }

    /// The text of a span, between what is put before and behind it, on its line.
    fn push(&mut self, before: &str, span: Span, behind: &str) {
        let (start, end) = (span.start as usize, span.end as usize);
        let between = self.code.get(self.counted..start).unwrap_or_default();
        self.text.extend(between.chars().filter(|c| *c == '\n'));
        self.counted = end;
        for text in [before, self.slice(span), behind] {
            self.text.push_str(text);
        }
    }

    fn slice(&self, span: Span) -> &'a str {
        let (start, end) = (span.start as usize, span.end as usize);
        self.code.get(start..end).unwrap_or_default()
    }

    fn take(&mut self, statement: &Statement<'_>) -> Result<(), ScriptError> {
        match statement {
            Statement::ImportDeclaration(import) => return Err(imports(&import.source.value)),
            Statement::ExportAllDeclaration(export) => return Err(imports(&export.source.value)),
            Statement::ExportFromDeclaration(export) => return Err(imports(&export.source.value)),
            Statement::ExportDefaultDeclaration(export) => self.default(export)?,
            Statement::ExportDeclaration(export) => {
                self.push("", export.declaration.span(), "; ");
            }
            Statement::ExportNamedDeclaration(export) => self.named(export),
            other => self.push("", other.span(), "; "),
        }
        Ok(())
    }

    fn default(&mut self, export: &ExportDefaultDeclaration<'_>) -> Result<(), ScriptError> {
        let Some(expression) = export.declaration.as_expression() else {
            return Err(ScriptError::Source(
                "what it exports by default is no definition but a function or class".to_owned(),
            ));
        };
        let before = format!("const {} = (", self.name);
        self.push(&before, expression.span(), "); ");
        self.exported = true;
        Ok(())
    }

    fn named(&mut self, export: &ExportNamedDeclaration<'_>) {
        for specifier in &export.specifiers {
            if specifier.exported.name() == "default" {
                let local = self.slice(specifier.local.span());
                self.tail = format!("const {} = {local};\n", self.name);
                self.exported = true;
            }
        }
    }

    fn ended(self) -> String {
        let Body {
            text, name, tail, ..
        } = self;
        if self.exported {
            format!("{text}\n{tail}return {name};")
        } else {
            // CommonJS, or nothing at all: then `undefined` is what is looked at.
            format!("{text}\nreturn module.exports.default ?? module.exports;")
        }
    }
}

fn imports(what: &str) -> ScriptError {
    ScriptError::Source(format!(
        "it imports `{}`: only types can be imported, a definition stands alone",
        shortened(what, 100)
    ))
}
