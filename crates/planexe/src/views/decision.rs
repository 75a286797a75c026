//! Go or no go, as the plan's own assessment says.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// The assessment before the project.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// The recommendation in the plan's words.
    pub recommendation: Option<String>,
    /// The same, sorted.
    pub verdict: Verdict,
    /// Both experts in short.
    pub summary: Option<String>,
    /// What has to be done first.
    pub feedback: Vec<Feedback>,
}

/// What a recommendation comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing stated, or words that say neither.
    #[default]
    Unclear,
    /// Go.
    Go,
    /// Go once conditions are met: `Execute with caution`, `Proceed with conditions`.
    GoWithConditions,
    /// No go.
    NoGo,
}

/// One thing to do first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Feedback {
    /// In a few words.
    pub title: String,
    /// In full.
    pub description: Option<String>,
    /// Where it stands: `/feedback/2`.
    pub pointer: String,
}

impl Verdict {
    /// Sorts a recommendation by its first sentence that says anything: there a refusal counts before a condition, a condition before consent.
    pub fn parse(text: &str) -> Verdict {
        text.split(['.', '\n', ';', '!'])
            .map(Verdict::of_sentence)
            .find(|verdict| *verdict != Verdict::Unclear)
            .unwrap_or_default()
    }

    fn of_sentence(sentence: &str) -> Verdict {
        let words: Vec<String> = sentence
            .split(|char: char| !(char.is_alphanumeric() || char == '\''))
            .map(str::to_lowercase)
            .filter(|word| !word.is_empty())
            .collect();
        let padded = format!(" {} ", words.join(" "));
        let says = |phrases: &[&str]| {
            phrases
                .iter()
                .any(|phrase| padded.contains(&format!(" {phrase} ")))
        };
        if says(&[
            "no go",
            "nogo",
            "do not",
            "don't",
            "should not",
            "must not",
            "not recommended",
            "abort",
            "reject",
            "rejected",
            "halt",
            "stop",
        ]) {
            Verdict::NoGo
        } else if says(&[
            "caution",
            "cautiously",
            "condition",
            "conditions",
            "conditional",
            "conditionally",
            "once",
            "provided",
            "only if",
            "subject to",
        ]) {
            Verdict::GoWithConditions
        } else if says(&[
            "go", "proceed", "execute", "approve", "approved", "continue",
        ]) {
            Verdict::Go
        } else {
            Verdict::Unclear
        }
    }
}

/// The assessment of `pre_project_assessment.json`, else of its raw form.
pub fn decision(plan: &Plan) -> View<Decision> {
    read::first(
        plan,
        &[
            "pre_project_assessment.json",
            "pre_project_assessment_raw.json",
        ],
        |value, reader| {
            let Some(root) = reader.root(value) else {
                return Decision::default();
            };
            let mut feedback = Vec::new();
            if root.contains_key("feedback") {
                for (pointer, row) in reader.objects(value, &["feedback"]) {
                    let Some(title) = reader.required(row, &pointer, "title") else {
                        continue;
                    };
                    let description = reader.text(row, &pointer, "description");
                    feedback.push(Feedback {
                        title,
                        description,
                        pointer,
                    });
                }
            }
            for expert in ["expert1", "expert2"] {
                let Some(inner) = root.get(expert) else {
                    continue;
                };
                for (at, row) in reader.objects(inner, &["feedback_item_list"]) {
                    let pointer = format!("/{expert}{at}");
                    let Some(title) = reader.required(row, &pointer, "feedback_title") else {
                        continue;
                    };
                    let description = reader.text(row, &pointer, "feedback_description");
                    feedback.push(Feedback {
                        title,
                        description,
                        pointer,
                    });
                }
            }
            let recommendation = reader.text(root, "", "go_no_go_recommendation");
            let verdict = recommendation
                .as_deref()
                .map(Verdict::parse)
                .unwrap_or_default();
            Decision {
                recommendation,
                verdict,
                summary: reader.text(root, "", "combined_summary"),
                feedback,
            }
        },
    )
}
