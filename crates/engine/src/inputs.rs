//! What of a plan an agent outside is sent: each declared input's JSON or text, found once a plan and set of inputs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::agent::input::InputRef;
use domain::values::hash::ContentHash;
use serde_json::value::RawValue;

use crate::plans::LoadedPlan;
use crate::registry::Prepared;

/// The artifact that a JSON plan of somebody else's making becomes.
const PLAN_JSON: &str = "plan.json";

/// Most snapshots of one plan that are kept.
const SNAPSHOTS_KEPT: usize = 16;

/// A part of a text: its own, or a piece of an artifact, whose bytes are not copied.
#[derive(Debug)]
enum Segment {
    Own(String),
    Artifact {
        bytes: Arc<[u8]>,
        range: Range<usize>,
        hash: ContentHash,
    },
}

impl Segment {
    /// The text. A piece of an artifact was UTF-8 when it was cut.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(text) => text.as_bytes(),
            Self::Artifact { bytes, range, .. } => &bytes[range.clone()],
        }
    }

    /// What stands for the text when it is hashed: the hash of a whole artifact is known already.
    fn write_digest(&self, digest: &mut Vec<u8>) {
        match self {
            Self::Artifact { bytes, range, hash } if range.len() == bytes.len() => {
                digest.extend_from_slice(b"sha256:");
                digest.extend_from_slice(hash.as_bytes());
            }
            _ => digest.extend_from_slice(self.bytes()),
        }
    }
}

/// The object `inputs` of a request.
#[derive(Debug)]
pub struct Inputs {
    segments: Vec<Segment>,
    /// SHA-256 over its text, in which the hashes of whole artifacts stand for them.
    pub hash: ContentHash,
    /// Declared inputs that this plan lacks.
    pub missing: Vec<String>,
}

impl Inputs {
    fn of(segments: Vec<Segment>, missing: Vec<String>) -> Self {
        let mut digest = Vec::new();
        for segment in &segments {
            segment.write_digest(&mut digest);
        }
        Self {
            hash: ContentHash::of(&digest),
            segments,
            missing,
        }
    }

    /// The text's length in bytes.
    pub fn len(&self) -> usize {
        self.segments
            .iter()
            .map(|segment| match segment {
                Segment::Own(text) => text.len(),
                Segment::Artifact { range, .. } => range.len(),
            })
            .sum()
    }

    /// Whether there is no text; there always is some.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Appends the text.
    pub fn write_to(&self, body: &mut Vec<u8>) {
        for segment in &self.segments {
            body.extend_from_slice(segment.bytes());
        }
    }
}

/// What was prepared of a plan for agents outside: by set of inputs, and its snapshot by
/// account and the id that its sender gave it.
#[derive(Debug, Default)]
pub struct Pieces {
    inputs: Mutex<BTreeMap<String, Arc<Inputs>>>,
    snapshots: Mutex<BTreeMap<String, Arc<str>>>,
}

impl Pieces {
    fn snapshots(&self) -> MutexGuard<'_, BTreeMap<String, Arc<str>>> {
        self.snapshots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot's text under `key`, made by `make` when it is first asked for.
    pub fn snapshot(&self, key: &str, make: impl FnOnce() -> String) -> Arc<str> {
        if let Some(text) = self.kept_snapshot(key) {
            return text;
        }
        let text: Arc<str> = make().into();
        let mut kept = self.snapshots();
        // One plan under so many names is not what anybody does in earnest.
        if kept.len() >= SNAPSHOTS_KEPT {
            kept.clear();
        }
        kept.insert(key.to_owned(), text.clone());
        text
    }

    /// The snapshot's text under `key`, where it was made already.
    pub fn kept_snapshot(&self, key: &str) -> Option<Arc<str>> {
        self.snapshots().get(key).cloned()
    }
}

/// The inputs of `agent` from `plan`.
pub fn of(plan: &LoadedPlan, agent: &Prepared) -> Arc<Inputs> {
    let kept = || {
        plan.pieces
            .inputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(inputs) = kept().get(&agent.reads) {
        return inputs.clone();
    }
    let inputs = Arc::new(collect(plan, &agent.inputs));
    kept().insert(agent.reads.clone(), inputs.clone());
    inputs
}

fn collect(plan: &LoadedPlan, declared: &[InputRef]) -> Inputs {
    let mut segments = vec![Segment::Own("{".to_owned())];
    let (mut missing, mut named) = (Vec::new(), Vec::new());
    for input in declared {
        let name = name(input);
        if named.contains(&name) {
            continue;
        }
        match find(plan, input) {
            Ok(found) => {
                let comma = if named.is_empty() { "" } else { "," };
                segments.push(Segment::Own(format!("{comma}{}:", quoted(&name))));
                segments.extend(found);
                named.push(name);
            }
            Err(_) => missing.push(name),
        }
    }
    // An input of that very name is what the agent asked for.
    if !missing.is_empty() && !named.iter().any(|name| name == "missing") {
        let comma = if named.is_empty() { "" } else { "," };
        let names: Vec<String> = missing.iter().map(|name| quoted(name)).collect();
        segments.push(Segment::Own(format!(
            "{comma}\"missing\":[{}]",
            names.join(",")
        )));
    }
    segments.push(Segment::Own("}".to_owned()));
    Inputs::of(segments, missing)
}

/// An input as declared, without the mark of what may be absent.
fn name(input: &InputRef) -> String {
    InputRef {
        optional: false,
        ..input.clone()
    }
    .to_string()
}

/// Why the plan lacks `input`, if it does. Who wants the plan as a whole takes it as it is.
pub fn lacks(plan: &LoadedPlan, input: &InputRef) -> Option<String> {
    let whole = input.is_plan() && input.pointer.is_empty();
    let text = plan.plan.artifacts.contains_key(&input.artifact) && !is_json(&input.artifact);
    if whole || text || input.artifact == InputRef::ALL || input.messages_of().is_some() {
        return None;
    }
    find(plan, input).err()
}

/// A part of the plan as agents are given it: an artifact's JSON, its text where it is none, or what `plan` means.
pub fn value(plan: &LoadedPlan, name: &str) -> Option<serde_json::Value> {
    let input = InputRef {
        artifact: name.to_owned(),
        pointer: String::new(),
        optional: false,
    };
    let mut text = Vec::new();
    for segment in find(plan, &input).ok()? {
        text.extend_from_slice(segment.bytes());
    }
    serde_json::from_slice(&text).ok()
}

/// The text of one input: JSON where it is JSON, else a JSON string.
fn find(plan: &LoadedPlan, input: &InputRef) -> Result<Vec<Segment>, String> {
    let pointer = input.pointer.as_str();
    if input.is_plan() {
        if is_one_value(plan) {
            return Ok(vec![cut(plan, PLAN_JSON, pointer)?]);
        }
        let prompt = plan.plan.prompt();
        let text = serde_json::json!({"prompt": prompt, "summary": plan.summary()}).to_string();
        return Ok(vec![Segment::Own(part(&text, pointer)?.to_owned())]);
    }
    if plan.plan.artifacts.contains_key(&input.artifact) {
        return artifact(plan, &input.artifact, pointer).map(|segment| vec![segment]);
    }
    let named = plan.manifest.named(&input.artifact);
    if !named.is_empty() {
        let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
        return Ok(several(plan, input, &names));
    }
    if !is_one_value(plan) {
        return Err("the plan has no such artifact".to_owned());
    }
    let key = input.artifact.replace('~', "~0").replace('/', "~1");
    cut(plan, PLAN_JSON, &format!("/{key}{pointer}")).map(|segment| vec![segment])
}

/// Whether the plan is one JSON value of somebody else's making.
fn is_one_value(plan: &LoadedPlan) -> bool {
    plan.plan.artifacts.contains_key(PLAN_JSON) && !plan.is_planexe()
}

/// A file among many that is not what its name says: its text, or nothing where it is no text.
fn as_it_is(plan: &LoadedPlan, name: &str) -> Segment {
    let text = plan.plan.text(name).map(quoted);
    Segment::Own(text.unwrap_or_else(|_| "null".to_owned()))
}

/// The members of a series in order as a list, or all artifacts by name. One that is damaged does not take the others away.
fn several(plan: &LoadedPlan, input: &InputRef, names: &[&str]) -> Vec<Segment> {
    let by_name = input.artifact == InputRef::ALL;
    let (open, close) = if by_name { ("{", "}") } else { ("[", "]") };
    let mut segments = vec![Segment::Own(open.to_owned())];
    for (at, name) in names.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        segments.push(Segment::Own(if by_name {
            format!("{comma}{}:", quoted(name))
        } else {
            comma.to_owned()
        }));
        segments
            .push(artifact(plan, name, &input.pointer).unwrap_or_else(|_| as_it_is(plan, name)));
    }
    segments.push(Segment::Own(close.to_owned()));
    segments
}

/// Whether an artifact of this name is meant to be JSON.
fn is_json(name: &str) -> bool {
    let base = name.split('#').next().unwrap_or(name);
    base.to_ascii_lowercase().ends_with(".json")
}

/// One artifact, or the part of it at `pointer`.
fn artifact(plan: &LoadedPlan, name: &str, pointer: &str) -> Result<Segment, String> {
    let is_json = is_json(name);
    if is_json {
        let found = cut(plan, name, pointer);
        if found.is_ok() || !pointer.is_empty() {
            return found;
        }
    }
    let text = plan
        .plan
        .text(name)
        .map_err(|unreadable| unreadable.reason.to_string())?;
    if is_json {
        // Required as JSON, and not JSON: who reads it should not have to find out.
        return match plan.plan.json(name) {
            Err(unreadable) => Err(unreadable.reason.to_string()),
            Ok(_) => Ok(Segment::Own(text.to_owned())),
        };
    }
    if !pointer.is_empty() {
        return Err(format!("it is not JSON and has nothing at `{pointer}`"));
    }
    Ok(Segment::Own(quoted(text)))
}

/// The part of a JSON artifact at `pointer`, not copied.
fn cut(plan: &LoadedPlan, name: &str, pointer: &str) -> Result<Segment, String> {
    let text = plan
        .plan
        .text(name)
        .map_err(|unreadable| unreadable.reason.to_string())?;
    let (Some(artifact), Some(entry)) = (
        plan.plan.artifacts.get(name),
        plan.manifest.artifacts.get(name),
    ) else {
        return Err("the plan has no such artifact".to_owned());
    };
    let part = part(text, pointer)?;
    let start = part.as_ptr() as usize - artifact.bytes.as_ptr() as usize;
    Ok(Segment::Artifact {
        bytes: artifact.bytes.clone(),
        range: start..start + part.len(),
        hash: entry.hash,
    })
}

/// The text of the part of a JSON text at `pointer`.
fn part<'a>(text: &'a str, pointer: &str) -> Result<&'a str, String> {
    let nothing = || format!("it has nothing at `{pointer}`");
    let mut found: &'a RawValue = serde_json::from_str(text).map_err(|error| error.to_string())?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let text = found.get();
        found = if text.starts_with('{') {
            let members: BTreeMap<Cow<'_, str>, &'a RawValue> =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            members.get(token.as_str()).copied().ok_or_else(nothing)?
        } else if text.starts_with('[') && (token == "0" || !token.starts_with(['0', '+'])) {
            let items: Vec<&'a RawValue> =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            let at: usize = token.parse().map_err(|_| nothing())?;
            items.get(at).copied().ok_or_else(nothing)?
        } else {
            return Err(nothing());
        };
    }
    Ok(found.get())
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use domain::agent::definition::from_toml;
    use planexe::plan::Plan;
    use serde_json::{Value, json};

    fn plan(files: &[(&str, &str)]) -> LoadedPlan {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Arc::from(text.as_bytes())));
        LoadedPlan::of(Plan::from_named_bytes(files)).unwrap()
    }

    fn read(plan: &LoadedPlan, fields: &[&str], context: &[&str]) -> (String, Inputs) {
        let text = format!(
            "id = 'a'\ndisplayName = 'A'\ninputSchema = {{ fields = {fields:?}, context = {context:?} }}"
        );
        let inputs = collect(plan, &from_toml(&text).unwrap().inputs().unwrap());
        let mut text = Vec::new();
        inputs.write_to(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.len(), inputs.len());
        (text, inputs)
    }

    const FILES: [(&str, &str); 4] = [
        ("001-1-plan.txt", "Build a \"shed\".\n"),
        (
            "002-3-project_plan_raw.json",
            "{\"goal\": 1.10, \"smart\": {\"a/b\": [7, {\"x\": true}]}}",
        ),
        ("022-1-1-task_durations_raw.json", "[1]"),
        ("022-1-2-task_durations_raw.json", "[2]"),
    ];

    #[test]
    fn an_input_is_the_part_that_was_declared_and_no_more() {
        let plan = plan(&FILES);
        let part = "project_plan_raw.json#/smart/a~1b/1";
        let (text, _) = read(
            &plan,
            &[part, "plan.txt"],
            &["task_durations_raw.json", "none.md"],
        );
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value[part], json!({"x": true}));
        assert_eq!(value["plan.txt"], "Build a \"shed\".\n");
        assert_eq!(value["task_durations_raw.json"], json!([[1], [2]]));
        assert_eq!(value["missing"], json!(["none.md"]));
        assert!(!text.contains("1.10"));
        let (whole, _) = read(&plan, &["project_plan_raw.json"], &[]);
        assert!(whole.contains("\"goal\": 1.10"), "numbers stay as written");
    }

    #[test]
    fn the_hash_goes_by_what_is_sent() {
        let hash = |goal: &str, field: &str| {
            let text = format!("{{\"goal\": {goal}, \"smart\": 1}}");
            read(&plan(&[("project_plan_raw.json", &text)]), &[field], &[])
                .1
                .hash
        };
        let (part, whole) = ("project_plan_raw.json#/smart", "project_plan_raw.json");
        assert_eq!(hash("1", part), hash("2", part));
        assert_ne!(hash("1", whole), hash("2", whole));
    }

    #[test]
    fn the_keys_of_a_plan_that_is_one_value_are_inputs_too() {
        let plan = LoadedPlan::of_json("{\"a/b\": {\"c\": [1]}, \"missing\": 0}").unwrap();
        let lacks = |text: &str| super::lacks(&plan, &text.parse().unwrap());
        assert_eq!(lacks("plan"), None);
        assert_eq!(lacks("plan#/a~1b/c/0"), None);
        assert_eq!(lacks("missing"), None);
        assert!(lacks("plan#/a~1b/c/1").is_some());
        assert!(lacks("plan#/a~1b/c/00").is_some());
        assert!(lacks("architecture").is_some());
        let (text, inputs) = read(&plan, &["missing"], &["architecture"]);
        assert_eq!(
            text, "{\"missing\":0}",
            "what was asked for is not overwritten"
        );
        assert_eq!(inputs.missing, ["architecture"]);
    }

    #[test]
    fn an_artifact_that_is_no_json_though_it_should_be_is_missing() {
        let plan = plan(&[("start_time.json", "{\"a\": "), ("plan.txt", "x")]);
        let (text, inputs) = read(&plan, &[], &["start_time.json", "plan.txt"]);
        assert_eq!(inputs.missing, ["start_time.json"]);
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
    }

    #[test]
    fn who_takes_the_plan_as_a_whole_takes_it_as_it_is() {
        let plan = plan(&[
            ("001-start_time.json", "{\"a\": "),
            ("022-1-1-task_durations_raw.json", "[1]"),
            ("022-1-2-task_durations_raw.json", "[2"),
        ]);
        let lacks = |text: &str| super::lacks(&plan, &text.parse().unwrap());
        assert_eq!(lacks("*"), None);
        assert_eq!(lacks("task_durations_raw.json"), None);
        assert!(lacks("start_time.json").is_some());
        let (text, _) = read(&plan, &["*"], &[]);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["*"]["start_time.json"], "{\"a\": ");
        assert_eq!(value["*"]["task_durations_raw.json#1"], json!([1]));
    }
}
