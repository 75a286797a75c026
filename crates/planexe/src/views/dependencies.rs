//! Which task waits for which, as stated.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::read::{self, Reader, plain};
use crate::view::View;

/// One stated edge, not checked against the WBS.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// The task that waits.
    pub dependent: String,
    /// The task it waits for.
    pub depends_on: String,
    /// Why, where the lists of ids and explanations are as long as each other there.
    pub explanation: Option<String>,
    /// Where the id stands: `/task_dependency_details/3/depends_on_task_id_list/0`.
    pub pointer: String,
}

/// The edges of `task_dependencies_raw.json`, in its order, repeats included.
pub fn dependencies(plan: &Plan) -> View<Vec<Dependency>> {
    read::first(
        plan,
        &["task_dependencies_raw.json", "task_dependencies.json"],
        |value, reader| {
            let rows = reader.objects(
                value,
                &[
                    "task_dependency_details",
                    "task_dependencies",
                    "dependencies",
                ],
            );
            rows.into_iter()
                .flat_map(|(pointer, row)| edges(row, &pointer, reader))
                .collect()
        },
    )
}

fn edges(row: &Map<String, Value>, at: &str, reader: &mut Reader) -> Vec<Dependency> {
    const IDS: &str = "depends_on_task_id_list";
    const REASONS: &str = "depends_on_task_explanation_list";
    let Some(dependent) = reader.required(row, at, "dependent_task_id") else {
        return Vec::new();
    };
    let ids = as_list(row.get(IDS));
    let reasons = as_list(row.get(REASONS));
    let agree = ids.len() == reasons.len();
    if !reasons.is_empty() && !agree {
        reader.skip(
            format!("{at}/{REASONS}"),
            format!("{} explanations for {} tasks", reasons.len(), ids.len()),
        );
    }
    let mut edges = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("{at}/{IDS}/{index}");
        match plain(id) {
            Some(depends_on) => {
                let explanation = reasons
                    .get(index)
                    .filter(|_| agree)
                    .and_then(|reason| plain(reason));
                edges.push(Dependency {
                    dependent: dependent.clone(),
                    depends_on,
                    explanation,
                    pointer,
                });
            }
            None => reader.skip(pointer, "no task id"),
        }
    }
    edges
}

/// A list, or a lone value as a list of one.
fn as_list(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
    }
}
