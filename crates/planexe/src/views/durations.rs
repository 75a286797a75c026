//! How long each task takes, as estimated: three points in days.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::Plan;
use crate::read::{self, Reader};
use crate::view::View;

/// The estimate of one WBS task. Days are as stated, not checked against each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDuration {
    /// The WBS task's id.
    pub task_id: String,
    /// Least days; `None` when absent, negative (PlanExe writes -1 for "does not apply") or no number.
    pub min: Option<f64>,
    /// Likeliest days.
    pub realistic: Option<f64>,
    /// Most days.
    pub max: Option<f64>,
    /// What may delay it.
    pub delay_risks: Option<String>,
    /// What is done against that.
    pub mitigation: Option<String>,
    /// Where it stands in the source: `/7`; in raw chunks with the chunk before it, `#2/task_details/7`.
    pub pointer: String,
}

const NAME: &str = "task_durations.json";
const CHUNKS: &str = "task_durations_raw.json";

/// The estimates of `task_durations.json`, else of its raw chunks, in their order. A second estimate of the same task is passed over, and said.
pub fn durations(plan: &Plan) -> View<Vec<TaskDuration>> {
    let mut view = read::first(plan, &[NAME], estimates);
    if view.source.is_none() {
        from_chunks(plan, &mut view);
    }
    drop_repeats(&mut view);
    view
}

fn estimates(value: &Value, reader: &mut Reader) -> Vec<TaskDuration> {
    let rows = reader.objects(value, &["task_details", "task_durations", "durations"]);
    rows.into_iter()
        .filter_map(|(pointer, row)| estimate(row, pointer, reader))
        .collect()
}

fn estimate(
    row: &Map<String, Value>,
    pointer: String,
    reader: &mut Reader,
) -> Option<TaskDuration> {
    Some(TaskDuration {
        task_id: reader.required(row, &pointer, "task_id")?,
        min: days(row, &pointer, "days_min", reader),
        realistic: days(row, &pointer, "days_realistic", reader),
        max: days(row, &pointer, "days_max", reader),
        delay_risks: reader.text(row, &pointer, "delay_risks"),
        mitigation: reader.text(row, &pointer, "mitigation_strategy"),
        pointer,
    })
}

fn days(row: &Map<String, Value>, at: &str, key: &str, reader: &mut Reader) -> Option<f64> {
    let days = reader.number(row, at, key)?;
    if days < 0.0 {
        reader.skip(
            format!("{at}/{key}"),
            format!("{days} days: PlanExe's mark for \"does not apply\""),
        );
        return None;
    }
    Some(days)
}

fn from_chunks(plan: &Plan, view: &mut View<Vec<TaskDuration>>) {
    for (chunk, _) in plan.series(CHUNKS) {
        let name = format!("{CHUNKS}#{chunk}");
        let mut read = read::first(plan, &[&name], estimates);
        if read.source.is_some() {
            view.source = Some(CHUNKS.to_owned());
        }
        for duration in &mut read.value {
            duration.pointer = format!("#{chunk}{}", duration.pointer);
        }
        view.value.append(&mut read.value);
        view.skipped.append(&mut read.skipped);
    }
}

fn drop_repeats(view: &mut View<Vec<TaskDuration>>) {
    let mut seen = std::collections::BTreeSet::new();
    let source = view.source.clone().unwrap_or_default();
    for duration in std::mem::take(&mut view.value) {
        if seen.insert(duration.task_id.clone()) {
            view.value.push(duration);
        } else {
            view.skip(
                &source,
                duration.pointer,
                format!("a second estimate of task {}", duration.task_id),
            );
        }
    }
}
