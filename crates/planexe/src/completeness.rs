//! What of a plan is there: a map, not one flag.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::plan::Plan;
use crate::view::Skipped;

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
    /// It is there, with nothing or only white space in it.
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
    /// How many of these are there, neither empty nor truncated.
    pub present: usize,
    /// Artifacts that are there but are not what their name says (no UTF-8, no JSON).
    pub unreadable: Vec<Skipped>,
    /// Whether the marker of a finished pipeline is there (of a whole one, not of a ping).
    pub finished: bool,
    /// Whether someone had asked PlanExe to stop.
    pub stop_requested: bool,
}

/// Looks at every artifact once.
pub fn completeness(plan: &Plan) -> Completeness {
    let _ = plan;
    Completeness {
        kind: Kind::NotAPlan,
        reasons: Vec::new(),
        artifacts: BTreeMap::new(),
        expected_names: BTreeSet::new(),
        listed: false,
        expected: 0,
        present: 0,
        unreadable: Vec::new(),
        finished: false,
        stop_requested: false,
    }
}
