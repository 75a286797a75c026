//! What the plan takes for granted: the questions asked, the short list, and the review.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// A question with the assumption that answers it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assumption {
    /// What was asked.
    pub question: Option<String>,
    /// What is assumed.
    pub assumption: String,
    /// What follows from it.
    pub assessment: Option<String>,
    /// Where it stands: `/3`.
    pub pointer: String,
}

/// The assumptions of `make_assumptions.json`, else of its raw form.
pub fn assumptions(plan: &Plan) -> View<Vec<Assumption>> {
    read::first(
        plan,
        &[
            "make_assumptions.json",
            "make_assumptions_raw.json",
            "assumptions.json",
        ],
        |value, reader| {
            let mut assumptions = Vec::new();
            for (pointer, row) in
                reader.objects(value, &["question_assumption_list", "assumptions"])
            {
                let question = reader.text(row, &pointer, "question");
                let assumption = reader.text_of(row, &pointer, &["assumptions", "assumption"]);
                let assessment = reader.text_of(row, &pointer, &["assessments", "assessment"]);
                match assumption {
                    Some(assumption) => assumptions.push(Assumption {
                        question,
                        assumption,
                        assessment,
                        pointer,
                    }),
                    None => reader.skip(format!("{pointer}/assumptions"), "no text"),
                }
            }
            assumptions
        },
    )
}

/// An assumption of the short list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistilledAssumption {
    /// In one sentence.
    pub text: String,
    /// Where it stands: `/assumption_list/3`.
    pub pointer: String,
}

/// The short list of `distill_assumptions_raw.json`.
pub fn distilled(plan: &Plan) -> View<Vec<DistilledAssumption>> {
    read::first(
        plan,
        &["distill_assumptions_raw.json", "distill_assumptions.json"],
        |value, reader| {
            let mut list = Vec::new();
            for (pointer, item) in reader.list(value, &["assumption_list", "assumptions"]) {
                match read::plain(item) {
                    Some(text) => list.push(DistilledAssumption { text, pointer }),
                    None => reader.skip(pointer, "no text"),
                }
            }
            list
        },
    )
}

/// The review of the assumptions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssumptionReview {
    /// Whose eyes it was read with.
    pub expert_domain: Option<String>,
    /// What is missing or weak.
    pub issues: Vec<AssumptionIssue>,
    /// The end of the review.
    pub conclusion: Option<String>,
}

/// One finding of the review.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssumptionIssue {
    /// The finding.
    pub issue: String,
    /// Why it matters.
    pub explanation: Option<String>,
    /// What to do.
    pub recommendation: Option<String>,
    /// What a change of it would do to the plan.
    pub sensitivity: Option<String>,
    /// Where it stands: `/issues/0`.
    pub pointer: String,
}

/// The review of `review_assumptions_raw.json`.
pub fn review(plan: &Plan) -> View<AssumptionReview> {
    read::first(
        plan,
        &["review_assumptions_raw.json", "review_assumptions.json"],
        |value, reader| {
            let Some(root) = reader.root(value) else {
                return AssumptionReview::default();
            };
            let mut issues = Vec::new();
            for (pointer, row) in reader.objects(value, &["issues"]) {
                let Some(issue) = reader.required(row, &pointer, "issue") else {
                    continue;
                };
                let explanation = reader.text(row, &pointer, "explanation");
                let recommendation = reader.text(row, &pointer, "recommendation");
                let sensitivity = reader.text(row, &pointer, "sensitivity");
                issues.push(AssumptionIssue {
                    issue,
                    explanation,
                    recommendation,
                    sensitivity,
                    pointer,
                });
            }
            AssumptionReview {
                expert_domain: reader.text(root, "", "expert_domain"),
                issues,
                conclusion: reader.text(root, "", "conclusion"),
            }
        },
    )
}
