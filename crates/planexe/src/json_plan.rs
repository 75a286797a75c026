//! A plan given as one JSON value: PlanExe's artifacts by name in an object, or any other JSON, which is one artifact.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::known;
use crate::plan::{Artifact, Plan};

/// The name of the one artifact that a JSON plan is which is no PlanExe plan.
pub const PLAN_JSON: &str = "plan.json";

/// The plan that a JSON value is: where its keys are the names of PlanExe's files, these; else the text as it stands.
/// `text` must be JSON: that is not asked again.
pub fn plan_of_json(text: &str) -> Plan {
    artifacts(text).unwrap_or_else(|| one_artifact(text))
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
fn artifacts(text: &str) -> Option<Plan> {
    if !is_file_name(first_key(text)?) {
        return None;
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    if !members.keys().all(|name| is_file_name(name)) {
        return None;
    }
    let files: Vec<(String, Arc<[u8]>)> = members
        .into_iter()
        .map(|(name, value)| (name, content(value)))
        .collect();
    known::is_plan(
        files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_ref())),
    )
    .then(|| Plan::from_named_bytes(files))
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
        ] {
            let plan = plan_of_json(text);
            assert_eq!(plan.text(PLAN_JSON).unwrap(), text);
            assert_eq!(plan.artifacts.len(), 1);
        }
    }

    #[test]
    fn an_object_of_planexe_s_files_is_a_plan() {
        let text = r#"{"001-2-plan.txt": "Plan:\nBuild a shed.", "018-5-wbs_level1.json": {"id": "1"},
            "019-wbs_level2.json": "[{}]", "notes.md": "x"}"#;
        let plan = plan_of_json(text);
        assert_eq!(plan.text("plan.txt").unwrap(), "Plan:\nBuild a shed.");
        assert_eq!(plan.text("wbs_level1.json").unwrap(), r#"{"id": "1"}"#);
        assert_eq!(plan.text("wbs_level2.json").unwrap(), "[{}]");
        assert_eq!(plan.artifacts.len(), 4);
    }
}
