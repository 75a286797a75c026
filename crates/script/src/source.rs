//! What the source text of a script must look like.

use crate::error::{ScriptError, shortened};

/// The generator function of a script's text, or none where there is only white space. Codebuff's rule: the text begins with
/// `function*`, so `function *x` and `async function*` are refused.
///
/// # Errors
/// `Source` says what stands there instead.
pub fn generator(text: &str) -> Result<Option<&str>, ScriptError> {
    let text = text.trim().trim_end_matches(';').trim_end();
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('\0') {
        return Err(ScriptError::Source("a character of it is NUL".to_owned()));
    }
    if text.starts_with("function*") {
        return Ok(Some(text));
    }
    let why = if text.starts_with("async") {
        "an async generator is not waited for: a script yields its calls"
    } else if text.starts_with("function") && text[8..].trim_start().starts_with('*') {
        "no space may stand between `function` and `*`"
    } else if text.starts_with("function") {
        "a plain function cannot yield"
    } else {
        "it is no function"
    };
    Err(ScriptError::Source(format!(
        "handleSteps must be the text of a generator function and begin with `function*`: {why}. It begins with `{}`",
        shortened(text, 50)
    )))
}
