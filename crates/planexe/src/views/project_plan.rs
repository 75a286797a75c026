//! The project plan: goal, criteria, stakeholders, compliance.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// The project plan. Lists are empty where the plan says nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectPlan {
    /// `/goal_statement`.
    pub goal: Option<String>,
    /// `/smart_criteria`.
    pub smart: Smart,
    /// `/dependencies`.
    pub dependencies: Vec<String>,
    /// `/resources_required`.
    pub resources: Vec<String>,
    /// `/related_goals`.
    pub related_goals: Vec<String>,
    /// `/tags`.
    pub tags: Vec<String>,
    /// `/risk_assessment_and_mitigation_strategies/key_risks`.
    pub key_risks: Vec<String>,
    /// `/risk_assessment_and_mitigation_strategies/diverse_risks`.
    pub diverse_risks: Vec<String>,
    /// `/risk_assessment_and_mitigation_strategies/mitigation_plans`.
    pub mitigation_plans: Vec<String>,
    /// `/stakeholder_analysis/primary_stakeholders`.
    pub primary_stakeholders: Vec<String>,
    /// `/stakeholder_analysis/secondary_stakeholders`.
    pub secondary_stakeholders: Vec<String>,
    /// `/stakeholder_analysis/engagement_strategies`.
    pub engagement: Vec<String>,
    /// `/regulatory_and_compliance_requirements/permits_and_licenses`.
    pub permits: Vec<String>,
    /// `/regulatory_and_compliance_requirements/compliance_standards`.
    pub standards: Vec<String>,
    /// `/regulatory_and_compliance_requirements/regulatory_bodies`.
    pub regulators: Vec<String>,
    /// `/regulatory_and_compliance_requirements/compliance_actions`.
    pub compliance_actions: Vec<String>,
}

/// The SMART criteria.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Smart {
    /// What.
    pub specific: Option<String>,
    /// By what measure.
    pub measurable: Option<String>,
    /// Why it can be done.
    pub achievable: Option<String>,
    /// Why it is worth it.
    pub relevant: Option<String>,
    /// Until when.
    pub time_bound: Option<String>,
}

/// The names that the project plan has had.
pub const NAMES: [&str; 2] = ["project_plan_raw.json", "project_plan.json"];

/// The plan of `project_plan_raw.json`, older `project_plan.json`.
pub fn project_plan(plan: &Plan) -> View<ProjectPlan> {
    read::first(plan, &NAMES, |value, reader| match reader.root(value) {
        Some(root) => whole(root, reader),
        None => ProjectPlan::default(),
    })
}

fn whole(root: &Map<String, Value>, reader: &mut Reader) -> ProjectPlan {
    let nothing = Map::new();
    let mut part = |key: &str| reader.object(root, "", key).unwrap_or(&nothing);
    let smart = part("smart_criteria");
    let risks = part("risk_assessment_and_mitigation_strategies");
    let stakeholders = part("stakeholder_analysis");
    let compliance = part("regulatory_and_compliance_requirements");
    let (risks_at, stakeholders_at) = (
        "/risk_assessment_and_mitigation_strategies",
        "/stakeholder_analysis",
    );
    let compliance_at = "/regulatory_and_compliance_requirements";
    ProjectPlan {
        goal: reader.text(root, "", "goal_statement"),
        smart: Smart {
            specific: reader.text(smart, "/smart_criteria", "specific"),
            measurable: reader.text(smart, "/smart_criteria", "measurable"),
            achievable: reader.text(smart, "/smart_criteria", "achievable"),
            relevant: reader.text(smart, "/smart_criteria", "relevant"),
            time_bound: reader.text(smart, "/smart_criteria", "time_bound"),
        },
        dependencies: reader.texts(root, "", "dependencies"),
        resources: reader.texts(root, "", "resources_required"),
        related_goals: reader.texts(root, "", "related_goals"),
        tags: reader.texts(root, "", "tags"),
        key_risks: reader.texts(risks, risks_at, "key_risks"),
        diverse_risks: reader.texts(risks, risks_at, "diverse_risks"),
        mitigation_plans: reader.texts(risks, risks_at, "mitigation_plans"),
        primary_stakeholders: reader.texts(stakeholders, stakeholders_at, "primary_stakeholders"),
        secondary_stakeholders: reader.texts(
            stakeholders,
            stakeholders_at,
            "secondary_stakeholders",
        ),
        engagement: reader.texts(stakeholders, stakeholders_at, "engagement_strategies"),
        permits: reader.texts(compliance, compliance_at, "permits_and_licenses"),
        standards: reader.texts(compliance, compliance_at, "compliance_standards"),
        regulators: reader.texts(compliance, compliance_at, "regulatory_bodies"),
        compliance_actions: reader.texts(compliance, compliance_at, "compliance_actions"),
    }
}
