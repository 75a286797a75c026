//! What the user asked for.

use serde::Serialize;

use crate::plan::{Plan, UnreadableReason};
use crate::read;
use crate::view::View;

/// The user's own words and the frame that PlanExe puts around them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The words, without the frame.
    pub text: String,
    /// The JSON pointer of the words, where the artifact is JSON and not text.
    pub field: Option<String>,
    /// The line (from 1) on which the words begin.
    pub line: usize,
    /// What stands after `Today's date:`.
    pub today: Option<String>,
    /// The line (from 1) on which that date stands.
    pub today_line: Option<usize>,
}

impl Prompt {
    /// Where a line of `text` (from 0) stands in the artifact: `line N`, or the pointer of the field that holds all of it.
    pub fn pointer(&self, line: usize) -> String {
        match &self.field {
            Some(field) => field.clone(),
            None => format!("line {}", self.line + line),
        }
    }
}

/// The prompt of `plan.txt`: `Plan:`, the words, `Today's date:`, a date. Without that frame all of it is the user's words.
/// Where there is no such text, the newest numbering's `plan_raw.json`.
pub fn prompt(plan: &Plan) -> View<Option<Prompt>> {
    let mut view = View::<Option<Prompt>>::default();
    for name in ["plan.txt", "initial_plan.txt", "prompt.txt"] {
        match plan.text(name) {
            Ok(text) if text.trim().is_empty() => view.skip(name, "", "the artifact is empty"),
            Ok(text) => {
                view.value = Some(unframe(text));
                view.source = Some(name.to_owned());
                return view;
            }
            Err(unreadable) if unreadable.reason == UnreadableReason::Missing => {}
            Err(unreadable) => view.skip(name, "", unreadable.reason.to_string()),
        }
    }
    let mut raw = read::first(plan, &["plan_raw.json"], |value, reader| {
        let root = reader.root(value)?;
        let words = reader.text(root, "", "plan_prompt")?;
        Some(Prompt {
            field: Some("/plan_prompt".to_owned()),
            ..unframe(&words)
        })
    });
    view.skipped.append(&mut raw.skipped);
    View {
        value: raw.value,
        source: raw.source,
        skipped: view.skipped,
    }
}

fn unframe(text: &str) -> Prompt {
    let lines: Vec<&str> = text.lines().collect();
    let is_frame = |line: &&str| {
        line.trim()
            .replace('\u{2019}', "'")
            .eq_ignore_ascii_case("today's date:")
    };
    let frame = lines.iter().rposition(is_frame);
    let mut start = 0;
    while lines.get(start).is_some_and(|line| line.trim().is_empty()) {
        start += 1;
    }
    if lines
        .get(start)
        .is_some_and(|line| line.trim().eq_ignore_ascii_case("plan:"))
    {
        start += 1;
    }
    let end = frame.unwrap_or(lines.len()).max(start);
    let date =
        frame.and_then(|frame| (frame + 1..lines.len()).find(|&at| !lines[at].trim().is_empty()));
    Prompt {
        text: lines[start.min(lines.len())..end]
            .join("\n")
            .trim()
            .to_owned(),
        field: None,
        line: start + 1,
        today: date.map(|at| lines[at].trim().to_owned()),
        today_line: date.map(|at| at + 1),
    }
}
