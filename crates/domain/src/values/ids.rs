//! Names of things. A text id is checked once, where it enters; a binary id is a UUIDv7.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// Longest text id, in bytes. Ids stand in file names, URLs and index keys.
pub const TEXT_ID_MAX: usize = 64;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// One durable enrichment of one plan.
    OrchestrationId
}
uuid_id! {
    /// A replica or an outside worker: whoever holds attempts and has a heartbeat.
    HolderId
}

/// A text that may not be an id, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid id: {reason}")]
pub struct InvalidId {
    text: String,
    reason: &'static str,
}

fn check(text: &str) -> Result<(), InvalidId> {
    let refuse = |reason| {
        Err(InvalidId {
            text: text.chars().take(80).collect(),
            reason,
        })
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > TEXT_ID_MAX {
        return refuse("it is longer than 64 characters");
    }
    if !text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    {
        return refuse("only lower-case letters, digits, `-`, `_` and `.` are allowed");
    }
    if !text.as_bytes()[0].is_ascii_alphanumeric() {
        return refuse("it must begin with a letter or a digit");
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text: 1 to 64 of `a-z 0-9 - _ .`, beginning with a letter or digit.
            ///
            /// # Errors
            /// The text and the rule that it breaks.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                check(text).map(|()| Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "minLength": 1, "maxLength": TEXT_ID_MAX, "pattern": "^[a-z0-9][a-z0-9._-]*$"
                })
            }
        }
    };
}

text_id! {
    /// The name of an agent definition, shared by all its versions.
    AgentId
}
text_id! {
    /// A step's name within its orchestration. A step of the submitted graph bears its agent's id.
    StepId
}
text_id! {
    /// Whose an orchestration is.
    AccountId
}

impl AccountId {
    /// The account that owns everything while there are no keys.
    pub fn system() -> Self {
        Self("system".into())
    }
}

impl From<&AgentId> for StepId {
    fn from(agent: &AgentId) -> Self {
        Self(agent.0.clone())
    }
}
