//! What of a plan is there: a map, not one flag.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::plan::{Artifact, Plan, UnreadableReason};
use crate::view::Skipped;
use crate::{known, naming, read};

/// What a plan is, as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The core is there and PlanExe says that it finished, or drew its report.
    Complete,
    /// Some of it.
    Partial,
    /// PlanExe only asked whether the model answers: there is a marker and a report, and no plan.
    Ping,
    /// Nothing that PlanExe writes.
    NotAPlan,
}

/// How one artifact stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum Presence {
    /// It is there, with so many bytes.
    Present {
        /// Bytes.
        size: u64,
    },
    /// It was expected and is not there.
    Missing,
    /// It is there, with nothing, white space or a byte order mark in it.
    Empty,
    /// It ends too early.
    Truncated {
        /// How that was seen.
        reason: String,
    },
}

/// The completeness map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Completeness {
    /// What it is, as a whole.
    pub kind: Kind,
    /// Why it is taken for that: short sentences for a person.
    pub reasons: Vec<String>,
    /// Every artifact that is there or was expected, by logical name.
    pub artifacts: BTreeMap<String, Presence>,
    /// The logical names that were expected: PlanExe's own list when the plan has it, else what every plan has.
    pub expected_names: BTreeSet<String>,
    /// Whether `expected_names` is PlanExe's own list.
    pub listed: bool,
    /// How many were expected.
    pub expected: usize,
    /// How many of these are there: not empty, truncated or unreadable.
    pub present: usize,
    /// Artifacts that are there but are not what their name says (no UTF-8, no JSON).
    pub unreadable: Vec<Skipped>,
    /// Whether the marker of a finished pipeline is there (of a whole one, not of a ping).
    pub finished: bool,
    /// Whether someone had asked PlanExe to stop.
    pub stop_requested: bool,
}

/// A report that PlanExe drew is half a megabyte; a ping's is a page.
const REPORT_BYTES_MIN: usize = 10_000;

/// Looks at every artifact once. Complete means: the core is there and can be read, so are most
/// of the expected artifacts, and there is PlanExe's marker or a whole report.
pub fn completeness(plan: &Plan) -> Completeness {
    let listed_names = listed(plan);
    let is_listed = listed_names.is_some();
    let expected_names = listed_names.unwrap_or_else(of_every_plan);
    let (mut artifacts, mut unreadable) = (BTreeMap::new(), Vec::new());
    for (name, artifact) in &plan.artifacts {
        let (presence, note) = look(name, artifact);
        unreadable.extend(note);
        artifacts.insert(name.clone(), presence);
    }
    for name in &expected_names {
        if !plan.has(name) {
            artifacts.insert(name.clone(), Presence::Missing);
        }
    }
    let unread: BTreeSet<&str> = unreadable
        .iter()
        .map(|note| note.artifact.as_str())
        .collect();
    let is_whole = |name: &str| {
        matches!(artifacts.get(name), Some(Presence::Present { .. })) && !unread.contains(name)
    };
    let is_there = |name: &str| {
        let chunks = plan.series(name).into_iter();
        is_whole(name)
            || chunks
                .map(|(chunk, _)| format!("{name}#{chunk}"))
                .any(|key| is_whole(&key))
    };
    let marker = plan.text(known::MARKER).ok().map(str::to_lowercase);
    let is_ping = marker.as_deref().is_some_and(|text| text.contains("ping"));
    let report = is_there(known::REPORT)
        && plan
            .get(known::REPORT)
            .is_some_and(|report| report.bytes.len() >= REPORT_BYTES_MIN);
    let lacking: Vec<&str> = known::CORE
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    let finished = marker.is_some() && !is_ping;
    let present = expected_names.iter().filter(|name| is_there(name)).count();
    let (kind, reasons) = judge(
        plan,
        &Signs {
            is_ping,
            finished,
            report,
            lacking: &lacking,
            present,
            expected: expected_names.len(),
        },
    );
    Completeness {
        kind,
        reasons,
        expected: expected_names.len(),
        present,
        listed: is_listed,
        finished,
        stop_requested: plan.has(known::STOP),
        artifacts,
        expected_names,
        unreadable,
    }
}

/// What every plan has.
fn of_every_plan() -> BTreeSet<String> {
    let names = known::CORE.into_iter().chain([known::REPORT]);
    names.map(str::to_owned).collect()
}

/// What the kind is judged by.
struct Signs<'a> {
    is_ping: bool,
    finished: bool,
    report: bool,
    lacking: &'a [&'a str],
    present: usize,
    expected: usize,
}

fn judge(plan: &Plan, signs: &Signs<'_>) -> (Kind, Vec<String>) {
    let Signs {
        is_ping,
        finished,
        report,
        lacking,
        present,
        expected,
    } = *signs;
    let has_work = known::CORE
        .iter()
        .any(|name| *name != "plan.txt" && plan.has(name));
    let ended = finished || is_ping || plan.has(known::REPORT);
    if !has_work && ended {
        let how = if is_ping {
            "its marker speaks of a ping"
        } else {
            "it has an end but no tasks, durations or assumptions"
        };
        return (Kind::Ping, vec![how.to_owned()]);
    }
    if !known::is_plan(
        plan.artifacts
            .values()
            .map(|artifact| (artifact.path.as_str(), &*artifact.bytes)),
    ) {
        return (
            Kind::NotAPlan,
            vec!["nothing in it is named as PlanExe names its files".to_owned()],
        );
    }
    let mut reasons = Vec::new();
    if !lacking.is_empty() {
        reasons.push(format!(
            "of the core these are missing, empty, cut off or unreadable: {}",
            lacking.join(", ")
        ));
    }
    let most_are_there = present * 2 >= expected;
    if !most_are_there {
        reasons.push(format!(
            "of {expected} expected artifacts only {present} are there and whole"
        ));
    }
    match (finished, report) {
        (true, _) => reasons.push("PlanExe's marker says that it finished".to_owned()),
        (false, true) => reasons.push("there is no marker, but a whole report".to_owned()),
        (false, false) => {
            reasons.push("there is neither PlanExe's marker nor a whole report".to_owned())
        }
    }
    let kind = if lacking.is_empty() && most_are_there && (finished || report) {
        Kind::Complete
    } else {
        Kind::Partial
    };
    (kind, reasons)
}

/// PlanExe's own list, by logical name.
fn listed(plan: &Plan) -> Option<BTreeSet<String>> {
    let value = plan.json(known::EXPECTED).ok()?;
    let names: BTreeSet<String> = value
        .as_array()?
        .iter()
        .filter_map(|name| Some(naming::logical(name.as_str()?).key()))
        .collect();
    Some(names).filter(|names| !names.is_empty())
}

/// How one artifact stands, and a note when it is not what its name says.
fn look(name: &str, artifact: &Artifact) -> (Presence, Option<Skipped>) {
    let present = Presence::Present {
        size: artifact.bytes.len() as u64,
    };
    let is_blank = |bytes: &[u8]| bytes.trim_ascii().is_empty();
    let marks: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFF\xFE", b"\xFE\xFF"];
    let is_mark = |mark: &&[u8]| artifact.bytes.strip_prefix(*mark).is_some_and(is_blank);
    if is_blank(&artifact.bytes) || marks.iter().any(is_mark) {
        return (Presence::Empty, None);
    }
    let base = name.split(['#', '~']).next().unwrap_or(name);
    let is_text = [".json", ".jsonl", ".md", ".txt", ".csv", ".html"]
        .iter()
        .any(|ending| base.ends_with(ending));
    let text = match read::text(&artifact.bytes) {
        Ok(text) => text,
        Err(reason) if is_text => {
            return (present, Some(Skipped::new(name, "", reason.to_string())));
        }
        Err(_) => return (present, None),
    };
    let cut_html =
        base == known::REPORT && artifact.bytes.len() >= REPORT_BYTES_MIN && !ends_html(text);
    let flaw = match base {
        _ if known::PLAIN_TEXT.contains(&base) => Ok(()),
        _ if cut_html => Err(UnreadableReason::Truncated {
            line: text.lines().count(),
            column: text.lines().last().map_or(0, str::len),
        }),
        _ if base.ends_with(".json") => read::check_json(text),
        _ => Ok(()),
    };
    match flaw {
        Ok(()) => (present, None),
        Err(UnreadableReason::Empty) => (Presence::Empty, None),
        Err(reason @ UnreadableReason::Truncated { .. }) => (
            Presence::Truncated {
                reason: reason.to_string(),
            },
            None,
        ),
        Err(reason) => (present, Some(Skipped::new(name, "", reason.to_string()))),
    }
}

fn ends_html(text: &str) -> bool {
    let tail: String = text
        .chars()
        .rev()
        .take(200)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    tail.to_lowercase().contains("</html>")
}
