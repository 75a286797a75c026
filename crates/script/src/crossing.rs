//! Values over the border, as JSON text both ways. The engine's own functions are called from outside, so nothing that a script
//! does to `JSON`, to prototypes or to iterators is in the way.

use rquickjs::{Ctx, Value};

/// A value's JSON; none where JSON has no word for it (`undefined`, functions, symbols).
pub(crate) fn json<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> rquickjs::Result<Option<String>> {
    match ctx.json_stringify(value.clone())? {
        None => Ok(None),
        Some(text) => Ok(Some(whole(text.to_string()?))),
    }
}

/// The text of a string; none where the value is no string. A string that holds half characters goes by way of JSON.
pub(crate) fn text<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Option<String> {
    if let Ok(text) = value.as_string()?.to_string() {
        return Some(text);
    }
    match json(ctx, value) {
        Ok(json) => serde_json::from_str(&json?).ok(),
        Err(_) => {
            ctx.catch();
            None
        }
    }
}

/// JSON text in which every half of a surrogate pair (`"…😀…".slice(0, n)` makes them) has become U+FFFD.
fn whole(json: String) -> String {
    // Engines write halves as `\ud83d`, whole pairs as they are.
    if !json.contains("\\ud") {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let half = escape.len() >= 6 && escape.starts_with("\\ud") && escape.as_bytes()[3] >= b'8';
        let length = if half { 6 } else { 2.min(escape.len()) };
        out.push_str(if half { "\\ufffd" } else { &escape[..length] });
        rest = &escape[length..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn halves_of_characters_become_replacement_characters_and_nothing_else_changes() {
        for (from, to) in [
            (r#""a\ud83d""#, r#""a\ufffd""#),
            (r#""\udc00b\ud83d""#, r#""\ufffdb\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            ("\"\u{d000}\\ud7ff\"", "\"\u{d000}\\ud7ff\""),
            (r#""\n\u0001😀""#, r#""\n\u0001😀""#),
        ] {
            assert_eq!(whole(from.to_owned()), to, "{from}");
        }
    }
}
