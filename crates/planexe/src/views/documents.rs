//! The documents that the plan needs: to be found, and to be written.

use serde::Serialize;
use serde_json::Value;

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The plan's id for it.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Whose it is.
    pub responsible_role: Option<String>,
    /// How to find or write it.
    pub steps: Vec<String>,
    /// Who approves it (to write only).
    pub approval: Option<String>,
    /// How hard it is to get (to find only).
    pub access_difficulty: Option<String>,
    /// Where it stands: `/3`.
    pub pointer: String,
}

/// All documents to find, before PlanExe chose among them.
pub fn to_find(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["identified_documents_to_find.json"])
}

/// All documents to write, before PlanExe chose among them.
pub fn to_create(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["identified_documents_to_create.json"])
}

/// The documents to find that PlanExe kept.
pub fn to_find_kept(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["filter_documents_to_find_clean.json"])
}

/// The documents to write that PlanExe kept.
pub fn to_create_kept(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["filter_documents_to_create_clean.json"])
}

/// The documents to find for which a draft was made.
pub fn to_find_drafted(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["draft_documents_to_find.json"])
}

/// The documents to write for which a draft was made.
pub fn to_create_drafted(plan: &Plan) -> View<Vec<Document>> {
    documents(plan, &["draft_documents_to_create.json"])
}

fn documents(plan: &Plan, names: &[&str]) -> View<Vec<Document>> {
    read::first(plan, names, list)
}

fn list(value: &Value, reader: &mut Reader) -> Vec<Document> {
    let mut documents = Vec::new();
    for (pointer, row) in reader.objects(
        value,
        &[
            "documents",
            "document_list",
            "documents_to_find",
            "documents_to_create",
        ],
    ) {
        let Some(name) = reader.required(row, &pointer, "document_name") else {
            continue;
        };
        let mut steps = reader.texts(row, &pointer, "steps_to_find");
        steps.append(&mut reader.texts(row, &pointer, "steps_to_create"));
        documents.push(Document {
            id: reader.text(row, &pointer, "id"),
            name,
            description: reader.text(row, &pointer, "description"),
            responsible_role: reader.text(row, &pointer, "responsible_role_type"),
            steps,
            approval: reader.text(row, &pointer, "approval_authorities"),
            access_difficulty: reader.text(row, &pointer, "access_difficulty"),
            pointer,
        });
    }
    documents
}
