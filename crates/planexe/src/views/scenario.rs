//! The scenario that the plan chose.

use serde::Serialize;

use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// The choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// The scenario chosen.
    pub name: Option<String>,
    /// Why.
    pub justification: Option<String>,
}

/// The choice of `selected_scenario.json`, else of its raw form.
pub fn scenario(plan: &Plan) -> View<Scenario> {
    read::first(
        plan,
        &["selected_scenario.json", "selected_scenario_raw.json"],
        |value, reader| {
            let Some(root) = reader.root(value) else {
                return Scenario::default();
            };
            let (at, inner) = match root.get("response").and_then(|inner| inner.as_object()) {
                Some(inner) => ("/response", inner),
                None => ("", root),
            };
            let Some(choice) = reader.object(inner, at, "final_choice") else {
                return Scenario::default();
            };
            let at = format!("{at}/final_choice");
            Scenario {
                name: reader.text(choice, &at, "chosen_scenario_name"),
                justification: reader.text(choice, &at, "justification"),
            }
        },
    )
}
