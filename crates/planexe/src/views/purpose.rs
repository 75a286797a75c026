//! What the plan is about and what it is for.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// Topic and purpose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    /// In a few words.
    pub topic: Option<String>,
    /// `business`, `personal`, `other`.
    pub purpose: Option<String>,
    /// In a sentence.
    pub detail: Option<String>,
}

/// The purpose of `identify_purpose_raw.json`.
pub fn purpose(plan: &Plan) -> View<Purpose> {
    read::first(
        plan,
        &["identify_purpose_raw.json", "identify_purpose.json"],
        |value, reader| match reader.root(value) {
            Some(root) => Purpose {
                topic: reader.text(root, "", "topic"),
                purpose: reader.text(root, "", "purpose"),
                detail: reader.text(root, "", "purpose_detailed"),
            },
            None => Purpose::default(),
        },
    )
}
