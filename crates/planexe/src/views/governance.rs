//! Who decides: bodies, setup steps, escalation, monitoring.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// A body that decides or oversees.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernanceBody {
    /// Its name.
    pub name: String,
    /// Why there is one.
    pub rationale: Option<String>,
    /// What it answers for.
    pub responsibilities: Vec<String>,
    /// Who sits in it.
    pub membership: Vec<String>,
    /// What it may decide.
    pub decision_rights: Option<String>,
    /// How often it meets.
    pub cadence: Option<String>,
    /// Where its disputes go.
    pub escalation_path: Option<String>,
    /// Where it stands.
    pub pointer: String,
}

/// The bodies of `governance_phase2_bodies_raw.json`.
pub fn bodies(plan: &Plan) -> View<Vec<GovernanceBody>> {
    read::first(
        plan,
        &["governance_phase2_bodies_raw.json"],
        |value, reader| {
            let mut bodies = Vec::new();
            for (pointer, row) in reader.objects(value, &["internal_governance_bodies"]) {
                let Some(name) = reader.required(row, &pointer, "name") else {
                    continue;
                };
                bodies.push(GovernanceBody {
                    name,
                    rationale: reader.text(row, &pointer, "rationale_for_inclusion"),
                    responsibilities: reader.texts(row, &pointer, "responsibilities"),
                    membership: reader.texts(row, &pointer, "membership"),
                    decision_rights: reader.text(row, &pointer, "decision_rights"),
                    cadence: reader.text(row, &pointer, "meeting_cadence"),
                    escalation_path: reader.text(row, &pointer, "escalation_path"),
                    pointer,
                });
            }
            bodies
        },
    )
}

/// A step of setting the bodies up.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GovernanceStep {
    /// What is done.
    pub description: String,
    /// By whom.
    pub responsible: Option<String>,
    /// When: `Project Week 2`.
    pub timeframe: Option<String>,
    /// What comes out.
    pub deliverables: Vec<String>,
    /// What has to be there first.
    pub dependencies: Vec<String>,
    /// Where it stands.
    pub pointer: String,
}

/// The steps of `governance_phase3_impl_plan_raw.json`.
pub fn steps(plan: &Plan) -> View<Vec<GovernanceStep>> {
    read::first(
        plan,
        &["governance_phase3_impl_plan_raw.json"],
        |value, reader| {
            let mut steps = Vec::new();
            for (pointer, row) in reader.objects(value, &["governance_implementation_plan"]) {
                let Some(description) = reader.required(row, &pointer, "step_description") else {
                    continue;
                };
                steps.push(GovernanceStep {
                    description,
                    responsible: reader.text(row, &pointer, "responsible_body_or_role"),
                    timeframe: reader.text(row, &pointer, "suggested_timeframe"),
                    deliverables: reader.texts(row, &pointer, "key_outputs_deliverables"),
                    dependencies: reader.texts(row, &pointer, "dependencies"),
                    pointer,
                });
            }
            steps
        },
    )
}

/// What goes up to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Escalation {
    /// The kind of issue.
    pub issue: String,
    /// To whom.
    pub level: Option<String>,
    /// How it is decided.
    pub approval: Option<String>,
    /// What happens otherwise.
    pub consequences: Option<String>,
    /// Where it stands.
    pub pointer: String,
}

/// The matrix of `governance_phase4_decision_escalation_matrix_raw.json`.
pub fn escalations(plan: &Plan) -> View<Vec<Escalation>> {
    read::first(
        plan,
        &["governance_phase4_decision_escalation_matrix_raw.json"],
        |value, reader| {
            let mut rows = Vec::new();
            for (pointer, row) in reader.objects(value, &["decision_escalation_matrix"]) {
                let Some(issue) = reader.required(row, &pointer, "issue_type") else {
                    continue;
                };
                rows.push(Escalation {
                    issue,
                    level: reader.text(row, &pointer, "escalation_level"),
                    approval: reader.text(row, &pointer, "approval_process"),
                    consequences: reader.text(row, &pointer, "negative_consequences"),
                    pointer,
                });
            }
            rows
        },
    )
}

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// What and how.
    pub approach: String,
    /// With what.
    pub tools: Vec<String>,
    /// How often.
    pub frequency: Option<String>,
    /// By whom.
    pub responsible_role: Option<String>,
    /// When the plan is changed for it.
    pub trigger: Option<String>,
    /// Where it stands.
    pub pointer: String,
}

/// The list of `governance_phase5_monitoring_progress_raw.json`.
pub fn monitoring(plan: &Plan) -> View<Vec<Monitoring>> {
    read::first(
        plan,
        &["governance_phase5_monitoring_progress_raw.json"],
        |value, reader| {
            let mut rows = Vec::new();
            for (pointer, row) in reader.objects(value, &["monitoring_progress"]) {
                let Some(approach) = reader.required(row, &pointer, "approach") else {
                    continue;
                };
                rows.push(Monitoring {
                    approach,
                    tools: reader.texts(row, &pointer, "monitoring_tools_platforms"),
                    frequency: reader.text(row, &pointer, "frequency"),
                    responsible_role: reader.text(row, &pointer, "responsible_role"),
                    trigger: reader.text(row, &pointer, "adaptation_trigger"),
                    pointer,
                });
            }
            rows
        },
    )
}
