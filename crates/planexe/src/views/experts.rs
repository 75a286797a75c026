//! The experts asked, and what they criticised.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// An expert.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expert {
    /// As the list numbers them.
    pub id: Option<String>,
    /// Their title.
    pub title: String,
    /// What they know.
    pub knowledge: Option<String>,
    /// Why they are asked.
    pub why: Option<String>,
    /// What they are asked.
    pub what: Option<String>,
    /// What they can.
    pub skills: Option<String>,
    /// Where it stands: `/3`.
    pub pointer: String,
}

/// The experts of `experts.json`, else of its raw form.
pub fn experts(plan: &Plan) -> View<Vec<Expert>> {
    read::first(
        plan,
        &["experts.json", "experts_raw.json"],
        |value, reader| {
            let mut experts = Vec::new();
            for (pointer, row) in reader.objects(value, &["experts"]) {
                let Some(title) = reader.text_of(row, &pointer, &["title", "expert_title"]) else {
                    reader.skip(format!("{pointer}/title"), "no text");
                    continue;
                };
                experts.push(Expert {
                    id: reader.text(row, &pointer, "id"),
                    title,
                    knowledge: reader.text_of(row, &pointer, &["knowledge", "expert_knowledge"]),
                    why: reader.text_of(row, &pointer, &["why", "expert_why"]),
                    what: reader.text_of(row, &pointer, &["what", "expert_what"]),
                    skills: reader.text_of(row, &pointer, &["skills", "expert_relevant_skills"]),
                    pointer,
                });
            }
            experts
        },
    )
}

/// One point of criticism.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Criticism {
    /// The chunk's number: which expert, from 1.
    pub expert: u32,
    /// In a few words.
    pub title: String,
    /// In full.
    pub detail: Option<String>,
    /// Its kinds.
    pub tags: Vec<String>,
    /// What helps.
    pub mitigation: Option<String>,
    /// What happens otherwise.
    pub consequence: Option<String>,
    /// Where it comes from.
    pub root_cause: Option<String>,
    /// The chunk that it stands in: `expert_criticism_raw.json#1`.
    pub artifact: String,
    /// Where in the chunk.
    pub pointer: String,
}

/// All criticism, by expert. PlanExe asks the first two experts only.
pub fn criticism(plan: &Plan) -> View<Vec<Criticism>> {
    const BASE: &str = "expert_criticism_raw.json";
    let mut view = View::<Vec<Criticism>>::default();
    for (expert, _) in plan.series(BASE) {
        let name = format!("{BASE}#{expert}");
        let mut read = read::first(plan, &[&name], |value, reader| {
            let mut points = Vec::new();
            for (pointer, row) in reader.objects(value, &["negative_feedback_list"]) {
                let Some(title) = reader.required(row, &pointer, "feedback_title") else {
                    continue;
                };
                points.push(Criticism {
                    expert,
                    title,
                    detail: reader.text(row, &pointer, "feedback_verbose"),
                    tags: reader.texts(row, &pointer, "feedback_problem_tags"),
                    mitigation: reader.text(row, &pointer, "feedback_mitigation"),
                    consequence: reader.text(row, &pointer, "feedback_consequence"),
                    root_cause: reader.text(row, &pointer, "feedback_root_cause"),
                    artifact: name.clone(),
                    pointer,
                });
            }
            points
        });
        if read.source.is_some() {
            view.source = Some(BASE.to_owned());
        }
        view.value.append(&mut read.value);
        view.skipped.append(&mut read.skipped);
    }
    view
}
