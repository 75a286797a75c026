//! What an agent reads: names of artifacts and JSON pointers into them.

use std::fmt;
use std::str::FromStr;

/// One declared input, as written in `inputSchema`: `task_durations.json`, `project_plan_raw.json#/smart_criteria?`.
///
/// The part behind the first `#/` (or a closing `#`) is a JSON pointer (RFC 6901); `name#7` is the seventh member of a
/// series. A `?` at the end marks the input optional. `plan` means the prompt and the summary, which every plan has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InputRef {
    /// Logical name of the artifact, or `plan`.
    pub artifact: String,
    /// JSON pointer into it; empty for the whole.
    pub pointer: String,
    /// Whether the step can do without it.
    pub optional: bool,
}

impl InputRef {
    /// The name of the plan's own prompt and summary.
    pub const PLAN: &str = "plan";

    /// The name that stands for every artifact of the plan: for agents that look at the plan as a whole.
    pub const ALL: &str = "*";

    /// What stands before an agent's id where its conversation is meant.
    pub const MESSAGES: &str = "messages:";

    /// Whose conversation is meant, if one is.
    pub fn messages_of(&self) -> Option<&str> {
        self.artifact.strip_prefix(Self::MESSAGES)
    }

    /// Whether this is the prompt and summary, which are always there.
    pub fn is_plan(&self) -> bool {
        self.artifact == Self::PLAN
    }
}

/// A declared input that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input `{text}` cannot be read: {reason}")]
pub struct InvalidInput {
    text: String,
    reason: &'static str,
}

impl FromStr for InputRef {
    type Err = InvalidInput;

    fn from_str(text: &str) -> Result<Self, InvalidInput> {
        let refuse = |reason| {
            Err(InvalidInput {
                text: text.to_owned(),
                reason,
            })
        };
        let (body, optional) = text
            .strip_suffix('?')
            .map_or((text, false), |body| (body, true));
        let (artifact, pointer) = match body.split_once("#/") {
            Some((artifact, _)) => (artifact, &body[artifact.len() + 1..]),
            None => (body.strip_suffix('#').unwrap_or(body), ""),
        };
        if artifact.is_empty() {
            return refuse("it names no artifact");
        }
        if artifact.contains(['/', '\\']) || artifact.contains(char::is_control) {
            return refuse("an artifact is a logical name without folders");
        }
        let mut after_tilde = pointer.split('~').skip(1);
        if !after_tilde.all(|rest| rest.starts_with(['0', '1'])) {
            return refuse("in a JSON pointer `~` must be followed by 0 or 1");
        }
        Ok(Self {
            artifact: artifact.to_owned(),
            pointer: pointer.to_owned(),
            optional,
        })
    }
}

impl fmt::Display for InputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.optional { "?" } else { "" };
        match self.pointer.as_str() {
            "" => write!(f, "{}{mark}", self.artifact),
            pointer => write!(f, "{}#{pointer}{mark}", self.artifact),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_input_names_an_artifact_a_pointer_and_whether_it_is_needed() {
        let input: InputRef = "project_plan_raw.json#/smart_criteria?".parse().unwrap();
        assert_eq!(
            (
                input.artifact.as_str(),
                input.pointer.as_str(),
                input.optional
            ),
            ("project_plan_raw.json", "/smart_criteria", true)
        );
        let chunk: InputRef = "task_durations_raw.json#7".parse().unwrap();
        assert_eq!(
            (chunk.artifact.as_str(), chunk.pointer.as_str()),
            ("task_durations_raw.json#7", "")
        );
        for text in ["plan", "a.json#/b~1c?", "a#3"] {
            assert_eq!(text.parse::<InputRef>().unwrap().to_string(), text);
        }
        for refused in ["", "?", "#/x", "../secret", "a#/b~2"] {
            assert!(refused.parse::<InputRef>().is_err(), "{refused}");
        }
    }
}
