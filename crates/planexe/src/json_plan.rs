//! A plan given as one JSON value: PlanExe's artifacts by name in an object, or any other JSON, which is one artifact.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::known;
use crate::plan::{Artifact, Plan};

/// The name of the one artifact that a JSON plan is which is no PlanExe plan.
pub const PLAN_JSON: &str = "plan.json";

/// An artifact that is there twice: which of the two is meant nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` comes twice: give each artifact once")]
pub struct Twice(String);

/// The plan that a JSON value is: where its keys are the names of PlanExe's files, these; else the text as it stands.
/// `text` must be JSON: that is not asked again.
///
/// # Errors
/// When one of PlanExe's files comes twice.
pub fn plan_of_json(text: &str) -> Result<Plan, Twice> {
    Ok(artifacts(text)?.unwrap_or_else(|| one_artifact(text)))
}

fn one_artifact(text: &str) -> Plan {
    let artifact = Artifact {
        path: PLAN_JSON.to_owned(),
        bytes: Arc::from(text.as_bytes()),
    };
    Plan {
        artifacts: BTreeMap::from([(PLAN_JSON.to_owned(), artifact)]),
        ..Plan::default()
    }
}

/// PlanExe's files, if every key is a file's name and they are a plan. The first key tells of most other values that they
/// are something else, without a look at the rest.
fn artifacts(text: &str) -> Result<Option<Plan>, Twice> {
    if !first_key(text).is_some_and(is_file_name) {
        return Ok(None);
    }
    let Ok(Members(members)) = serde_json::from_str::<Members<'_>>(text) else {
        return Ok(None);
    };
    if !members.iter().all(|(name, _)| is_file_name(name)) {
        return Ok(None);
    }
    let files: Vec<(String, Arc<[u8]>)> = members
        .into_iter()
        .map(|(name, value)| (name, content(value)))
        .collect();
    if !known::is_plan(
        files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_ref())),
    ) {
        return Ok(None);
    }
    let mut names = BTreeSet::new();
    if let Some((twice, _)) = files.iter().find(|(name, _)| !names.insert(name.as_str())) {
        return Err(Twice(twice.clone()));
    }
    Ok(Some(Plan::from_named_bytes(files)))
}

/// An object's members as they stand, by name: a map would keep the last of those with one name alone.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                // In the order of their names, whatever the order in which they came.
                members.sort_by(|(one, _): &(String, _), (other, _)| one.cmp(other));
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read)
    }
}

/// What a file holds: a string is its text, any other value is its JSON.
fn content(value: &RawValue) -> Arc<[u8]> {
    match serde_json::from_str::<String>(value.get()) {
        Ok(text) => Arc::from(text.into_bytes()),
        Err(_) => Arc::from(value.get().as_bytes()),
    }
}

/// The first key of an object, as it is written; none where it holds an escape, which no file's name does.
fn first_key(text: &str) -> Option<&str> {
    let inside = text.trim_start().strip_prefix('{')?.trim_start();
    let key = inside.strip_prefix('"')?;
    let (key, _) = key.split_once('"')?;
    (!key.contains('\\')).then_some(key)
}

fn is_file_name(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending);
    let known = ["json", "txt", "md", "csv", "html", "log", "yaml"];
    ending.is_some_and(|ending| known.contains(&ending)) && !key.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_json_is_one_artifact_byte_for_byte() {
        for text in [
            "{ \"title\": \"My Plan\",\n \"n\": 1.0 }",
            "[1]",
            "\"a plan\"",
            "{}",
            "{\"tasks.json\": 1, \"why\": 2}",
            "{\"a.json\": {}}",
            "{\"a.json\": 1, \"a.json\": 2}",
        ] {
            let plan = plan_of_json(text).unwrap();
            assert_eq!(plan.text(PLAN_JSON).unwrap(), text);
            assert_eq!(plan.artifacts.len(), 1);
        }
    }

    #[test]
    fn an_object_of_planexe_s_files_is_a_plan() {
        let text = r#"{"001-2-plan.txt": "Plan:\nBuild a shed.", "018-5-wbs_level1.json": {"id": "1"},
            "019-wbs_level2.json": "[{}]", "notes.md": "x"}"#;
        let plan = plan_of_json(text).unwrap();
        assert_eq!(plan.text("plan.txt").unwrap(), "Plan:\nBuild a shed.");
        assert_eq!(plan.text("wbs_level1.json").unwrap(), r#"{"id": "1"}"#);
        assert_eq!(plan.text("wbs_level2.json").unwrap(), "[{}]");
        assert_eq!(plan.artifacts.len(), 4);
    }
    #[test]
    fn a_file_that_comes_twice_is_refused_by_its_name() {
        let text = r#"{"001-2-plan.txt": "Plan:\nBuild a shed.", "018-5-wbs_level1.json": {"id": "1"},
            "019-wbs_level2.json": "[{}]", "001-2-plan.txt": "Plan:\nBuild a boat."}"#;
        let twice = plan_of_json(text).unwrap_err();
        assert!(
            twice
                .to_string()
                .starts_with("`001-2-plan.txt` comes twice")
        );
    }
}
