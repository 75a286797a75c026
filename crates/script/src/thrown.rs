//! What a script throws or says, in words. Whatever it is, even if it fights back.

use rquickjs::{Ctx, Object, Value};

use crate::crossing;
use crate::error::{TOLD, shortened};

/// A value in words: text as it is, errors by name and message, the rest as JSON.
pub(crate) fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> String {
    if let Some(error) = value.as_object().filter(|object| object.is_error()) {
        return of_error(ctx, error);
    }
    if let Some(text) = crossing::text(ctx, value) {
        return text;
    }
    if value.is_undefined() {
        return "undefined".to_owned();
    }
    if value.is_function() {
        return "a function".to_owned();
    }
    if value.is_symbol() {
        return "a symbol".to_owned();
    }
    if value.is_big_int() {
        return "a BigInt".to_owned();
    }
    match crossing::json(ctx, value) {
        Ok(Some(json)) => json,
        Ok(None) => format!("a value of type {}", value.type_name()),
        Err(_) => {
            // What went wrong in there is the script's own doing and told nowhere.
            ctx.catch();
            "an object that cannot be shown".to_owned()
        }
    }
}

/// Name, message and line of an error.
fn of_error<'js>(ctx: &Ctx<'js>, error: &Object<'js>) -> String {
    let name = field(ctx, error, "name").filter(|name| !name.is_empty());
    let message = field(ctx, error, "message").filter(|message| !message.is_empty());
    let words = match (name, message) {
        (Some(name), Some(message)) => format!("{name}: {}", shortened(&message, TOLD)),
        (Some(only), None) | (None, Some(only)) => shortened(&only, TOLD),
        (None, None) => "an error without a message".to_owned(),
    };
    match field(ctx, error, "stack").as_deref().and_then(line) {
        Some(line) => format!("{words} (line {line})"),
        None => words,
    }
}

/// A property that holds text; what gets in the way counts as none.
fn field<'js>(ctx: &Ctx<'js>, object: &Object<'js>, name: &str) -> Option<String> {
    match object.get::<_, Value<'js>>(name) {
        Ok(value) => crossing::text(ctx, &value),
        Err(_) => {
            ctx.catch();
            None
        }
    }
}

/// The line of the script in the topmost frame that lies in it.
fn line(stack: &str) -> Option<u32> {
    let marker = format!("{}:", crate::realm::FILE);
    let at = stack.find(&marker)? + marker.len();
    let digits: String = stack[at..]
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
