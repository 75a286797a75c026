//! TypeScript to JavaScript: types go, enums and namespaces become code, imports of types vanish.

use std::path::Path;
use std::thread;

use oxc::allocator::Allocator;
use oxc::ast::ast::Program;
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::SourceType;
use oxc::transformer::{TransformOptions, Transformer};

use crate::error::{ScriptError, TOLD, shortened};
use crate::sandbox::bounded;

/// Bytes of a text that is read here. Agents have some ten thousand.
pub const SOURCE_BYTES: usize = 128 << 10;

/// Bytes of stack for each byte of source, beside a fixed share: the parser goes as deep as the text is nested, and nests at most
/// once a byte. Only what is used of it is ever memory.
const STACK_A_BYTE: usize = 6 << 10;

const STACK: usize = 4 << 20;

/// Brackets inside one another above which lines are no longer indented: indents would be longer than all else.
const INDENTED: usize = 100;

/// A script's generator function without its types.
///
/// # Errors
/// `Source` where it cannot be read, with the line; `TooLarge`.
pub fn generator(source: &str) -> Result<String, ScriptError> {
    let code = module(&format!("({source}\n)"))?;
    let code = code.trim_end().trim_end_matches(';');
    let inner = code
        .strip_prefix('(')
        .and_then(|code| code.strip_suffix(')'));
    match inner {
        Some(inner) if inner.starts_with("function*") => Ok(inner.to_owned()),
        _ => Err(ScriptError::Source(
            "without its types it is more than a generator function".to_owned(),
        )),
    }
}

/// A module without its types, printed anew. What it imports and nobody uses but as a type is gone.
///
/// # Errors
/// As `generator`.
pub fn module(source: &str) -> Result<String, ScriptError> {
    bounded("the source text", source.len(), SOURCE_BYTES)?;
    with_stack(source, move |source| {
        let allocator = Allocator::default();
        let (mut program, scoping) = parsed(&allocator, source, SourceType::ts())?;
        let options = TransformOptions::default();
        let transformer = Transformer::new(&allocator, Path::new("script.ts"), &options);
        let done = transformer.build_with_scoping(scoping, &mut program);
        refuse(source, done.diagnostics.into_iter())?;
        Ok(printed(&program, source))
    })
}

/// Lets `work` look at a text in a thread whose stack is deep enough for it, however it is nested.
pub(crate) fn with_stack<T: Send>(
    source: &str,
    work: impl FnOnce(&str) -> Result<T, ScriptError> + Send,
) -> Result<T, ScriptError> {
    // What was printed anew may be longer than what was read, but not by much.
    bounded("the text", source.len(), 2 * SOURCE_BYTES)?;
    let failed = |why: &str| ScriptError::Sandbox(why.to_owned());
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("strip".to_owned())
            .stack_size(STACK + source.len() * STACK_A_BYTE)
            .spawn_scoped(scope, || work(source));
        match thread {
            Err(error) => Err(failed(&error.to_string())),
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(failed("the parser broke"))),
        }
    })
}

/// A text's syntax tree and its names.
pub(crate) fn parsed<'a>(
    allocator: &'a Allocator,
    source: &'a str,
    kind: SourceType,
) -> Result<(Program<'a>, Scoping), ScriptError> {
    let parsed = Parser::new(allocator, source, kind).parse();
    refuse(source, parsed.diagnostics.into_iter())?;
    let semantic = SemanticBuilder::new()
        .with_enum_eval(true)
        .with_check_syntax_error(true)
        .build(&parsed.program);
    refuse(source, semantic.diagnostics.into_iter())?;
    let scoping = semantic.semantic.into_scoping();
    Ok((parsed.program, scoping))
}

fn printed(program: &Program<'_>, source: &str) -> String {
    let mut options = CodegenOptions::default();
    if nesting(source) > INDENTED {
        options.indent_width = 0;
    }
    Codegen::new().with_options(options).build(program).code
}

/// How deep brackets stand inside one another, at most; those in texts and comments count too.
fn nesting(source: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn refuse(
    source: &str,
    mut complaints: impl Iterator<Item = OxcDiagnostic>,
) -> Result<(), ScriptError> {
    let Some(complaint) = complaints.next() else {
        return Ok(());
    };
    let message = shortened(&complaint.message, TOLD);
    let label = complaint.labels.as_slice().first();
    let line = label.and_then(|label| source.get(..label.offset() as usize));
    Err(ScriptError::Source(match line {
        Some(before) => format!("{message} (line {})", before.matches('\n').count() + 1),
        None => message,
    }))
}
