//! Who is needed.

use serde::Serialize;
use serde_json::Value;

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// A role.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamMember {
    /// Its number or name in the list.
    pub id: Option<String>,
    /// The role: `Regulatory Affairs Lead`.
    pub category: String,
    /// What for.
    pub explanation: Option<String>,
    /// What happens without.
    pub consequences: Option<String>,
    /// How many, in the plan's free words: `min 1, max 3, depending on ...`.
    pub count: Option<String>,
    /// `full_time`, `independent_contractor`, ...
    pub contract_type: Option<String>,
    /// Why that contract.
    pub contract_justification: Option<String>,
    /// What they do.
    pub activities: Option<String>,
    /// An invented person.
    pub background: Option<String>,
    /// What they need.
    pub equipment: Option<String>,
    /// Where they work.
    pub facilities: Option<String>,
    /// Where it stands: `/3`.
    pub pointer: String,
}

/// Each later artifact holds all of the earlier ones; the latest that is there is read.
const NAMES: [&str; 5] = [
    "enrich_team_members_environment_info.json",
    "enrich_team_members_background_story.json",
    "enrich_team_members_contract_type.json",
    "find_team_members.json",
    "team_members.json",
];

/// The team, from the most complete artifact that has it.
pub fn team(plan: &Plan) -> View<Vec<TeamMember>> {
    read::first(plan, &NAMES, members)
}

fn members(value: &Value, reader: &mut Reader) -> Vec<TeamMember> {
    let mut members = Vec::new();
    for (pointer, row) in reader.objects(value, &["team_members"]) {
        let Some(category) = reader.text_of(row, &pointer, &["category", "job_category_title"])
        else {
            reader.skip(format!("{pointer}/category"), "no text");
            continue;
        };
        members.push(TeamMember {
            id: reader.text(row, &pointer, "id"),
            category,
            explanation: reader.text(row, &pointer, "explanation"),
            consequences: reader.text(row, &pointer, "consequences"),
            count: reader.text(row, &pointer, "count"),
            contract_type: reader.text(row, &pointer, "contract_type"),
            contract_justification: reader.text(row, &pointer, "contract_type_justification"),
            activities: reader.text(row, &pointer, "typical_job_activities"),
            background: reader.text(row, &pointer, "background_story"),
            equipment: reader.text(row, &pointer, "equipment_needs"),
            facilities: reader.text(row, &pointer, "facility_needs"),
            pointer,
        });
    }
    members
}
