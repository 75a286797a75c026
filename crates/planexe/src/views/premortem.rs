//! The premortem: assumptions to kill and the ways in which the plan dies of them.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// The premortem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Premortem {
    /// What must hold for the plan to live.
    pub assumptions: Vec<AssumptionToKill>,
    /// How it dies when one does not.
    pub failure_modes: Vec<FailureMode>,
}

/// An assumption with its test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssumptionToKill {
    /// `A1`.
    pub id: String,
    /// What is assumed.
    pub statement: String,
    /// How to test it now.
    pub test_now: Option<String>,
    /// What would prove it wrong.
    pub falsifier: Option<String>,
    /// Where it stands.
    pub pointer: String,
}

/// A way to fail.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureMode {
    /// Its number as stated.
    pub index: Option<i64>,
    /// The assumption it comes from: `A1`.
    pub root_cause: Option<String>,
    /// `Process/Financial`, `Technical/Logistical`, `Market/Human`.
    pub archetype: Option<String>,
    /// Its title.
    pub title: String,
    /// The story.
    pub analysis: Option<String>,
    /// Signs that it begins.
    pub early_warning_signs: Vec<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// Likelihood as stated; meant to be 1 to 5, not checked.
    pub likelihood: Option<f64>,
    /// Impact as stated; meant to be 1 to 5, not checked.
    pub impact: Option<f64>,
    /// Measurable alarms.
    pub tripwires: Vec<String>,
    /// What to do then.
    pub playbook: Vec<String>,
    /// When to give up.
    pub stop_rule: Option<String>,
    /// Where it stands: `/failure_modes/3`.
    pub pointer: String,
}

/// The premortem of `premortem_raw.json`.
pub fn premortem(plan: &Plan) -> View<Premortem> {
    read::first(
        plan,
        &["premortem_raw.json", "premortem.json"],
        |value, reader| {
            let mut premortem = Premortem::default();
            if reader.root(value).is_some() {
                for (pointer, row) in reader.objects(value, &["assumptions_to_kill"]) {
                    premortem
                        .assumptions
                        .extend(assumption(row, pointer, reader));
                }
                for (pointer, row) in reader.objects(value, &["failure_modes"]) {
                    premortem
                        .failure_modes
                        .extend(failure_mode(row, pointer, reader));
                }
            }
            premortem
        },
    )
}

fn assumption(
    row: &Map<String, Value>,
    pointer: String,
    reader: &mut Reader,
) -> Option<AssumptionToKill> {
    Some(AssumptionToKill {
        id: reader
            .text(row, &pointer, "assumption_id")
            .unwrap_or_default(),
        statement: reader.required(row, &pointer, "statement")?,
        test_now: reader.text(row, &pointer, "test_now"),
        falsifier: reader.text(row, &pointer, "falsifier"),
        pointer,
    })
}

fn failure_mode(
    row: &Map<String, Value>,
    pointer: String,
    reader: &mut Reader,
) -> Option<FailureMode> {
    Some(FailureMode {
        index: reader
            .number(row, &pointer, "failure_mode_index")
            .map(|index| index as i64),
        root_cause: reader.text(row, &pointer, "root_cause_assumption_id"),
        archetype: reader.text(row, &pointer, "failure_mode_archetype"),
        title: reader.required(row, &pointer, "failure_mode_title")?,
        analysis: reader.text(row, &pointer, "risk_analysis"),
        early_warning_signs: reader.texts(row, &pointer, "early_warning_signs"),
        owner: reader.text(row, &pointer, "owner"),
        likelihood: reader.number(row, &pointer, "likelihood_5"),
        impact: reader.number(row, &pointer, "impact_5"),
        tripwires: reader.texts(row, &pointer, "tripwires"),
        playbook: reader.texts(row, &pointer, "playbook"),
        stop_rule: reader.text(row, &pointer, "stop_rule"),
        pointer,
    })
}
