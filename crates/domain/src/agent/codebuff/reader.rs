//! Reads members of an object by name and type, and keeps account of what is wrong and what nobody asked for.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::agent::validate::Problem;

/// An object that is being read.
pub(super) struct Reader<'a> {
    members: &'a Map<String, Value>,
    asked: BTreeSet<&'a str>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn of(members: &'a Map<String, Value>) -> Self {
        Self {
            members,
            asked: BTreeSet::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// What is wrong, and what is not used.
    pub(super) fn end(mut self) -> (Vec<Problem>, Vec<String>) {
        for key in self.members.keys() {
            if !self.asked.contains(key.as_str()) {
                let message = format!("`{key}` is not known and is left out");
                self.warnings.push(message);
            }
        }
        (self.problems, self.warnings)
    }

    pub(super) fn refuse(&mut self, key: &str, message: &str) {
        self.problems.push(Problem {
            key: key.to_owned(),
            message: message.to_owned(),
        });
    }

    pub(super) fn warn(&mut self, message: String) {
        self.warnings.push(message);
    }

    /// Takes over what was found in the object under `key`, of which `also` was read without asking.
    pub(super) fn adopt(&mut self, key: &str, mut inner: Reader<'a>, also: &[&'static str]) {
        inner.asked.extend(also);
        let (problems, warnings) = inner.end();
        for found in problems {
            self.refuse(&format!("{key}.{}", found.key), &found.message);
        }
        let warnings = warnings.into_iter();
        self.warnings
            .extend(warnings.map(|text| format!("`{key}`: {text}")));
    }

    /// The member. `null` is a value and not an absence, as in Codebuff.
    fn member(&mut self, key: &str) -> Option<&'a Value> {
        let (key, value) = self.members.get_key_value(key)?;
        self.asked.insert(key);
        Some(value)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.member(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.refuse(key, "must be a text");
                None
            }
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> Option<String> {
        if !self.members.contains_key(key) {
            self.refuse(key, "is missing");
        }
        self.text(key)
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.optional_flag(key).unwrap_or(false)
    }

    pub(super) fn optional_flag(&mut self, key: &str) -> Option<bool> {
        let value = self.member(key)?.as_bool();
        if value.is_none() {
            self.refuse(key, "must be true or false");
        }
        value
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.member(key) else {
            return Vec::new();
        };
        let texts = value.as_array().and_then(|list| {
            let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()
        });
        if texts.is_none() {
            self.refuse(key, "must be a list of texts");
        }
        texts.unwrap_or_default()
    }

    pub(super) fn object(&mut self, key: &str) -> Option<&'a Map<String, Value>> {
        let object = self.member(key)?.as_object();
        if object.is_none() {
            self.refuse(key, "must be an object");
        }
        object
    }

    /// One of these words.
    pub(super) fn word(&mut self, key: &str, words: &[&str]) {
        if let Some(text) = self.text(key)
            && !words.contains(&text.as_str())
        {
            self.refuse(key, &format!("must be one of {}", words.join(", ")));
        }
    }

    /// One of an enumeration's names.
    pub(super) fn one_of<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let value = self.member(key)?;
        match serde_json::from_value(value.clone()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(key, &error.to_string());
                None
            }
        }
    }
}
