//! Which of the six yields a value is.

use domain::agent::script::Yield;
use rquickjs::Value;
use serde_json::Value as Json;

use crate::error::{ScriptError, shortened};

/// Characters of a wrong yield that its error repeats.
const RECEIVED: usize = 300;

/// Why a value can be no yield, whatever it may hold; none where its JSON must be looked at.
pub(crate) fn unspeakable(value: &Value<'_>) -> Option<String> {
    let what = if value.is_promise() {
        "a promise: handleSteps cannot wait, it yields the call itself"
    } else if value.is_function() {
        "a function: handleSteps yields the call, it does not hand over how"
    } else if value.is_undefined() {
        "undefined"
    } else if value.is_symbol() {
        "a symbol"
    } else if value.is_big_int() {
        "a BigInt"
    } else {
        return None;
    };
    Some(format!("received {what}. {EXPECTED}"))
}

const EXPECTED: &str = "A script yields 'STEP', 'STEP_ALL', {type: 'STEP_TEXT', text}, {type: 'GENERATE_N', n} or {toolName, input, includeToolCall?}";

/// The yield that a JSON text stands for.
///
/// # Errors
/// `InvalidYield` says what is wrong with it and repeats its beginning.
pub(crate) fn read(json: &str) -> Result<Yield, ScriptError> {
    let wrong = |why: &str| {
        let received = shortened(json, RECEIVED);
        ScriptError::InvalidYield(format!("{why}. {EXPECTED}. Received: {received}"))
    };
    let value: Json = serde_json::from_str(json).map_err(|_| wrong("its nesting is too deep"))?;
    let fields = match value {
        Json::String(word) => {
            return match word.as_str() {
                "STEP" => Ok(Yield::Step),
                "STEP_ALL" => Ok(Yield::StepAll),
                _ => Err(wrong("an unknown word")),
            };
        }
        Json::Object(fields) => fields,
        _ => return Err(wrong("neither a word nor an object")),
    };
    match fields.get("type").and_then(Json::as_str) {
        Some("STEP_TEXT") => match fields.get("text") {
            Some(Json::String(text)) => return Ok(Yield::StepText(text.clone())),
            _ => return Err(wrong("STEP_TEXT needs `text`, a string")),
        },
        Some("GENERATE_N") => {
            let n = fields.get("n").and_then(whole);
            return match n.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
                Some(n) => Ok(Yield::GenerateN(n)),
                None => Err(wrong("GENERATE_N needs `n`, a positive whole number")),
            };
        }
        _ => {}
    }
    tool(fields).map_err(wrong)
}

fn tool(mut fields: serde_json::Map<String, Json>) -> Result<Yield, &'static str> {
    let tool_name = match fields.remove("toolName") {
        Some(Json::String(name)) if !name.is_empty() => name,
        Some(_) => return Err("`toolName` must be a name"),
        None => return Err("neither a known `type` nor a `toolName`"),
    };
    let input = match fields.remove("input") {
        Some(input @ Json::Object(_)) => input,
        _ => return Err("a call needs `input`, an object"),
    };
    let include_tool_call = match fields.remove("includeToolCall") {
        None => true,
        Some(Json::Bool(include)) => include,
        Some(_) => return Err("`includeToolCall` must be true or false"),
    };
    Ok(Yield::Tool {
        tool_name,
        input,
        include_tool_call,
    })
}

/// A whole number, even one that JavaScript writes as `2e3`.
fn whole(value: &Json) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let fits = number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it fits"
        )]
        fits.then_some(number as u64)
    })
}
