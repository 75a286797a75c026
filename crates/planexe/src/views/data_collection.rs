//! What has to be found out before the plan can be trusted.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// One subject of inquiry.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DataItem {
    /// Its title.
    pub title: String,
    /// What to collect.
    pub data: Vec<String>,
    /// Why.
    pub rationale: Option<String>,
    /// By whom.
    pub responsible: Vec<String>,
    /// What it is to show.
    pub objective: Option<String>,
    /// Where it stands.
    pub pointer: String,
}

/// The list of `data_collection_raw.json`.
pub fn data_collection(plan: &Plan) -> View<Vec<DataItem>> {
    read::first(plan, &["data_collection_raw.json"], |value, reader| {
        let mut items = Vec::new();
        for (pointer, row) in reader.objects(value, &["data_collection_list"]) {
            let Some(title) = reader.required(row, &pointer, "title") else {
                continue;
            };
            items.push(DataItem {
                title,
                data: reader.texts(row, &pointer, "data_to_collect"),
                rationale: reader.text(row, &pointer, "rationale"),
                responsible: reader.texts(row, &pointer, "responsible_parties"),
                objective: reader.text(row, &pointer, "smart_validation_objective"),
                pointer,
            });
        }
        items
    })
}
