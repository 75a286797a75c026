//! References to agents as Codebuff writes them (`name`, `name@version`, `publisher/name@version`), and which of those that an
//! agent may spawn is meant by one that it asks for.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use crate::agent::definition::AgentDefinition;
use crate::values::ids::{AgentId, TEXT_ID_MAX};

/// The parts of a reference, as far as its text has them. Nothing is said of whether such an agent exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// Whose.
    pub publisher: Option<&'a str>,
    /// Which.
    pub name: &'a str,
    /// Which version.
    pub version: Option<&'a str>,
}

/// Takes a reference apart; nothing where it has an empty part or more than two. The last `@` with something on both
/// sides begins the version, so that `a@1@2` is version 2 of `a@1` and `a@` is a name.
pub fn parts(text: &str) -> Option<Parts<'_>> {
    let (publisher, rest) = match text.split_once('/') {
        Some((publisher, rest)) => (Some(publisher), rest),
        None => (None, text),
    };
    if publisher == Some("") || rest.is_empty() || rest.contains('/') {
        return None;
    }
    let version = rest
        .char_indices()
        .rev()
        .find(|&(at, c)| c == '@' && at > 0 && at + 1 < rest.len());
    let (name, version) = match version {
        Some((at, _)) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    Some(Parts {
        publisher,
        name,
        version,
    })
}

/// Which entry of `spawnable` is meant by `asked`: the first that agrees in all that `asked` says. An entry that says more
/// than it is asked for agrees, one that says less does not: nobody reaches a publisher or a version that was not allowed.
pub fn matching<'a>(spawnable: impl IntoIterator<Item = &'a str>, asked: &str) -> Option<&'a str> {
    let asked = parts(asked)?;
    let agrees = |entry: &Parts<'_>| {
        entry.name == asked.name
            && (asked.publisher.is_none() || entry.publisher == asked.publisher)
            && (asked.version.is_none() || entry.version == asked.version)
    };
    spawnable
        .into_iter()
        .find(|entry| parts(entry).is_some_and(|entry| agrees(&entry)))
}

/// A reference in an agent definition: well-formed in each of its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AgentReference(String);

/// A text that is no reference, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no agent: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: String,
}

impl FromStr for AgentReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let refuse = |reason: String| InvalidReference {
            text: text.chars().take(80).collect(),
            reason,
        };
        let parts = parts(text).ok_or_else(|| {
            refuse("it must be `name`, `name@version` or `publisher/name@version`".to_owned())
        })?;
        for id in [parts.publisher, Some(parts.name)].into_iter().flatten() {
            AgentId::new(id).map_err(|error| refuse(error.to_string()))?;
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
        match parts.version {
            Some(version) if !version.chars().all(plain) => Err(refuse(
                "in a version only letters, digits and `. - _ +` are allowed".to_owned(),
            )),
            Some(version) if version.len() > TEXT_ID_MAX => Err(refuse(
                "its version is longer than 64 characters".to_owned(),
            )),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

impl AgentReference {
    /// The text, as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts.
    pub fn parts(&self) -> Parts<'_> {
        parts(&self.0).unwrap_or(Parts {
            publisher: None,
            name: &self.0,
            version: None,
        })
    }

    /// Whether it means this definition. A definition without a publisher is the house's own, under whatever publisher it
    /// is asked for.
    pub fn means(&self, definition: &AgentDefinition) -> bool {
        let Parts {
            publisher,
            name,
            version,
        } = self.parts();
        let same_publisher = match (&definition.publisher, publisher) {
            (Some(own), Some(asked)) => own.as_str() == asked,
            _ => true,
        };
        definition.id.as_str() == name
            && version.is_none_or(|version| version == definition.version)
            && same_publisher
    }
}

impl fmt::Display for AgentReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for AgentReference {
    fn schema_name() -> Cow<'static, str> {
        "AgentReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let id = "[a-z0-9][a-z0-9._-]{0,63}";
        json_schema!({
            "description": "An agent: `name`, `name@version`, `publisher/name` or `publisher/name@version`.",
            "type": "string",
            "pattern": format!("^({id}/)?{id}(@[A-Za-z0-9._+-]{{1,64}})?$")
        })
    }
}
