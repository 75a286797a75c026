//! Reading what models wrote: text and JSON that may be cut, mistyped, or something else than its name says.

use serde_json::{Map, Value};

use crate::plan::{Plan, UnreadableReason};
use crate::view::{Skipped, View};

/// Bytes as text, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, UnreadableReason> {
    let without_mark = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mark = bytes.len() - without_mark.len();
    std::str::from_utf8(without_mark).map_err(|error| UnreadableReason::NotUtf8 {
        offset: mark + error.valid_up_to(),
    })
}

/// Text as JSON.
pub(crate) fn json(text: &str) -> Result<Value, UnreadableReason> {
    if text.trim().is_empty() {
        return Err(UnreadableReason::Empty);
    }
    serde_json::from_str(text).map_err(|error| json_reason(&error))
}

/// Whether text is JSON, without keeping it.
pub(crate) fn check_json(text: &str) -> Result<(), UnreadableReason> {
    if text.trim().is_empty() {
        return Err(UnreadableReason::Empty);
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| json_reason(&error))?;
    // Passing over values has no limit of depth, reading them has: what is that deep is put to the reader itself.
    if nesting(text) < NESTING_PLAIN {
        return Ok(());
    }
    json(text).map(drop)
}

/// Lists and objects within each other that any reader takes.
const NESTING_PLAIN: usize = 100;

/// How deep lists and objects of well-formed JSON stand within each other.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn json_reason(error: &serde_json::Error) -> UnreadableReason {
    let (line, column) = (error.line(), error.column());
    if error.is_eof() {
        return UnreadableReason::Truncated { line, column };
    }
    let message = error.to_string();
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    UnreadableReason::NotJson {
        line,
        column,
        message,
    }
}

/// A place in a JSON artifact that is being read, with the notes of what was passed over.
pub(crate) struct Reader {
    artifact: String,
    skipped: Vec<Skipped>,
}

/// Reads the first of `names` that is there and is JSON, by `body`; what is there but unreadable is noted.
pub(crate) fn first<T: Default>(
    plan: &Plan,
    names: &[&str],
    body: impl FnOnce(&Value, &mut Reader) -> T,
) -> View<T> {
    let mut view = View::default();
    for name in names {
        match plan.json(name) {
            Ok(value) => {
                let mut reader = Reader::new(name);
                view.value = body(&value, &mut reader);
                view.source = Some((*name).to_owned());
                view.skipped.append(&mut reader.skipped);
                return view;
            }
            Err(unreadable) if unreadable.reason == UnreadableReason::Missing => {}
            Err(unreadable) => view.skip(name, "", unreadable.reason.to_string()),
        }
    }
    view
}

impl Reader {
    /// For one artifact.
    pub(crate) fn new(artifact: &str) -> Reader {
        Reader {
            artifact: artifact.to_owned(),
            skipped: Vec::new(),
        }
    }

    /// What was passed over.
    pub(crate) fn into_skipped(self) -> Vec<Skipped> {
        self.skipped
    }

    /// Notes that something was passed over.
    pub(crate) fn skip(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.skipped
            .push(Skipped::new(&self.artifact, pointer, reason));
    }

    /// The list that `value` is, or that stands under one of `keys` of the object that it is, with each item's pointer.
    pub(crate) fn list<'v>(&mut self, value: &'v Value, keys: &[&str]) -> Vec<(String, &'v Value)> {
        let found = match value {
            Value::Array(items) => Some((String::new(), items)),
            Value::Object(map) => keys
                .iter()
                .find_map(|key| Some((format!("/{}", escape(key)), map.get(*key)?.as_array()?))),
            _ => None,
        };
        match found {
            Some((at, items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{at}/{index}"), item))
                .collect(),
            None => {
                self.skip(
                    "",
                    format!("no list {}; found {}", keys.join(" or "), kind(value)),
                );
                Vec::new()
            }
        }
    }

    /// The list's items that are objects; the others are noted.
    pub(crate) fn objects<'v>(
        &mut self,
        value: &'v Value,
        keys: &[&str],
    ) -> Vec<(String, &'v Map<String, Value>)> {
        let mut objects = Vec::new();
        for (pointer, item) in self.list(value, keys) {
            match item.as_object() {
                Some(object) => objects.push((pointer, object)),
                None => self.skip(pointer, format!("not an object but {}", kind(item))),
            }
        }
        objects
    }

    /// The objects of the list in a field, with their pointers; absence and null are an empty list, anything else is noted.
    pub(crate) fn objects_under<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Vec<(String, &'v Map<String, Value>)> {
        let at = format!("{at}/{}", escape(key));
        let items = match object.get(key) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(value) => {
                self.skip(at, format!("not a list but {}", kind(value)));
                return Vec::new();
            }
        };
        let mut objects = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.as_object() {
                Some(item) => objects.push((format!("{at}/{index}"), item)),
                None => self.skip(
                    format!("{at}/{index}"),
                    format!("not an object but {}", kind(item)),
                ),
            }
        }
        objects
    }

    /// A field as text: a string that is not blank, a number or a truth value in words, a list of such joined by `; `.
    /// Absent, null and blank give `None` without a note; an object is noted.
    pub(crate) fn text(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<String> {
        match object.get(key)? {
            Value::Array(items) => {
                let texts: Vec<String> = items.iter().filter_map(plain).collect();
                if texts.is_empty() {
                    None
                } else {
                    Some(texts.join("; "))
                }
            }
            Value::Object(_) => {
                self.skip(format!("{at}/{}", escape(key)), "not a text but an object");
                None
            }
            value => plain(value),
        }
    }

    /// A field as text, the first of several names that has one.
    pub(crate) fn text_of(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        keys: &[&str],
    ) -> Option<String> {
        keys.iter().find_map(|key| self.text(object, at, key))
    }

    /// A field that has to be there as text; noted when it is not.
    pub(crate) fn required(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<String> {
        let text = self.text(object, at, key);
        if text.is_none() && !matches!(object.get(key), Some(Value::Object(_))) {
            self.skip(format!("{at}/{}", escape(key)), "no text");
        }
        text
    }

    /// A field as a number: a number, or a text that begins with one (`"12"`, `"12.5 days"`). Anything else but absence and null is noted.
    pub(crate) fn number(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<f64> {
        let value = object.get(key)?;
        let number = match value {
            Value::Null => return None,
            Value::Number(number) => number.as_f64(),
            Value::String(text) => leading_number(text),
            _ => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.skip(
                format!("{at}/{}", escape(key)),
                format!("not a number but {}", shown(value)),
            );
        }
        number
    }

    /// A field as a list of texts: a list, or one text; items that are none are noted.
    pub(crate) fn texts(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Vec<String> {
        match object.get(key) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => {
                let mut texts = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    match plain(item) {
                        Some(text) => texts.push(text),
                        None if item.is_object() || item.is_array() => self.skip(
                            format!("{at}/{}/{index}", escape(key)),
                            format!("not a text but {}", kind(item)),
                        ),
                        None => {}
                    }
                }
                texts
            }
            Some(Value::Object(_)) => {
                self.skip(format!("{at}/{}", escape(key)), "not a list but an object");
                Vec::new()
            }
            Some(value) => plain(value).into_iter().collect(),
        }
    }

    /// A field as an object; anything else but absence and null is noted.
    pub(crate) fn object<'v>(
        &mut self,
        object: &'v Map<String, Value>,
        at: &str,
        key: &str,
    ) -> Option<&'v Map<String, Value>> {
        match object.get(key)? {
            Value::Object(inner) => Some(inner),
            Value::Null => None,
            value => {
                self.skip(
                    format!("{at}/{}", escape(key)),
                    format!("not an object but {}", kind(value)),
                );
                None
            }
        }
    }

    /// The whole as an object, noted when it is something else.
    pub(crate) fn root<'v>(&mut self, value: &'v Value) -> Option<&'v Map<String, Value>> {
        if value.as_object().is_none() {
            self.skip("", format!("not an object but {}", kind(value)));
        }
        value.as_object()
    }
}

/// A scalar as text; null, blanks, lists and objects are none.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim())
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The number that a text begins with.
pub(crate) fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end = text.char_indices().find(|(at, char)| {
        !(char.is_ascii_digit() || *char == '.' || (*at == 0 && matches!(char, '-' | '+')))
    });
    let (number, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let is_word = rest.chars().next().is_none_or(char::is_whitespace);
    if is_word { number.parse().ok() } else { None }
}

/// A pointer's token: `~` and `/` as RFC 6901 writes them.
pub(crate) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
        value => kind(value).to_owned(),
    }
}
