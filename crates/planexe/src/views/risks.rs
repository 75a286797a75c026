//! The risk register.

use serde::Serialize;

use super::level::Level;
use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// One risk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Risk {
    /// Its field: `Regulatory & Permitting`.
    pub area: String,
    /// What may happen.
    pub description: String,
    /// What that would do.
    pub impact: Option<String>,
    /// How likely.
    pub likelihood: Level,
    /// How grave.
    pub severity: Level,
    /// What is to be done.
    pub action: Option<String>,
    /// Where it stands: `/risks/3`.
    pub pointer: String,
}

/// The risks of `identify_risks_raw.json`, in its order.
pub fn risks(plan: &Plan) -> View<Vec<Risk>> {
    read::first(
        plan,
        &["identify_risks_raw.json", "identify_risks.json"],
        |value, reader| {
            let mut risks = Vec::new();
            for (pointer, row) in reader.objects(value, &["risks"]) {
                let area = reader.text(row, &pointer, "risk_area").unwrap_or_default();
                let Some(description) = reader.required(row, &pointer, "risk_description") else {
                    continue;
                };
                let mut rated = |key: &str| {
                    let text = reader.text(row, &pointer, key);
                    let level = text.as_deref().map(Level::parse).unwrap_or_default();
                    if level == Level::Unknown {
                        reader.skip(
                            format!("{pointer}/{key}"),
                            text.map_or("no rating".to_owned(), |text| {
                                format!("\"{text}\" is neither low, medium nor high")
                            }),
                        );
                    }
                    level
                };
                let (likelihood, severity) = (rated("likelihood"), rated("severity"));
                let impact = reader.text(row, &pointer, "potential_impact");
                let action = reader.text(row, &pointer, "action");
                risks.push(Risk {
                    area,
                    description,
                    impact,
                    likelihood,
                    severity,
                    action,
                    pointer,
                });
            }
            risks
        },
    )
}
