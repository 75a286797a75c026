//! The day on which the plan starts.

use jiff::civil::Date;

use super::deadline::dates;
use super::prompt::prompt;
use crate::plan::Plan;
use crate::read;
use crate::view::View;

/// The start, as PlanExe's schedule takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The day, in the words' own zone (PlanExe's server, mostly UTC).
    pub date: Date,
    /// The words it was read from.
    pub stated: String,
    /// The artifact.
    pub artifact: String,
    /// Where in it: a JSON pointer or `line N`.
    pub pointer: String,
}

/// The day of `start_time.json`, else the date in `plan.txt`.
pub fn start(plan: &Plan) -> View<Option<Start>> {
    let mut view = read::first(plan, &["start_time.json"], |value, reader| {
        let root = reader.root(value)?;
        for key in ["server_iso_utc", "server_iso_local"] {
            let Some(stated) = reader.text(root, "", key) else {
                continue;
            };
            match stated.get(..10).and_then(|day| day.parse::<Date>().ok()) {
                Some(date) => {
                    return Some(Start {
                        date,
                        stated,
                        artifact: "start_time.json".to_owned(),
                        pointer: format!("/{key}"),
                    });
                }
                None => reader.skip(format!("/{key}"), format!("\"{stated}\" is no date")),
            }
        }
        None
    });
    if view.value.is_none() {
        let words = prompt(plan);
        let found = words
            .value
            .zip(words.source)
            .and_then(|(prompt, artifact)| {
                let stated = prompt.today.clone()?;
                let date = dates::lone_date(&stated)?;
                Some(Start {
                    date,
                    stated,
                    artifact,
                    pointer: prompt
                        .field
                        .or(prompt.today_line.map(|line| format!("line {line}")))?,
                })
            });
        view.source = found.as_ref().map(|start| start.artifact.clone());
        view.value = found;
    }
    view
}
