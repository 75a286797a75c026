//! The plan's audit of itself: twenty questions, each rated.

use serde::Serialize;
use serde_json::Value;

use super::level::Level;
use crate::plan::{Plan, UnreadableReason};
use crate::read::{self, Reader};
use crate::view::View;

/// One question of the audit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    /// Its number, from 1.
    pub number: u32,
    /// Its title: `Timeline Issues`. Only the text form has it.
    pub title: Option<String>,
    /// High means a blocker.
    pub level: Level,
    /// Why.
    pub justification: Option<String>,
    /// What to do; `None` where the plan says "None".
    pub mitigation: Option<String>,
    /// `line N` of the text form (the heading), else a JSON pointer.
    pub pointer: String,
}

const TEXT: &str = "self_audit.md";
const RAW: &str = "self_audit_raw.json";

/// The audit of `self_audit.md`, else of its raw form (which is 4 MB of prompts around the same).
pub fn self_audit(plan: &Plan) -> View<Vec<AuditItem>> {
    let mut view = View::default();
    match plan.text(TEXT) {
        Ok(text) => {
            view.value = from_text(text);
            if view.value.is_empty() {
                view.skip(TEXT, "", "no numbered headings");
            } else {
                view.source = Some(TEXT.to_owned());
                return view;
            }
        }
        Err(unreadable) if unreadable.reason == UnreadableReason::Missing => {}
        Err(unreadable) => view.skip(TEXT, "", unreadable.reason.to_string()),
    }
    let mut raw = read::first(plan, &[RAW], from_raw);
    view.skipped.append(&mut raw.skipped);
    View {
        value: raw.value,
        source: raw.source,
        skipped: view.skipped,
    }
}

/// `## 5. Timeline Issues`, then `**Level**: ...`, `**Justification**: ...`, `**Mitigation**: ...`, each until the next of them.
fn from_text(text: &str) -> Vec<AuditItem> {
    let mut items: Vec<AuditItem> = Vec::new();
    let mut field = Field::None;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            field = Field::None;
            items.extend(heading(line, index + 1));
            continue;
        }
        let Some(item) = items.last_mut() else {
            continue;
        };
        let (begun, rest) = labelled(line.trim());
        field = begun.unwrap_or(field);
        match field {
            Field::None => {}
            Field::Level if begun.is_some() => item.level = Level::parse(rest),
            Field::Level => {}
            Field::Justification => append(&mut item.justification, rest),
            Field::Mitigation => append(&mut item.mitigation, rest),
        }
    }
    for item in &mut items {
        item.mitigation = item.mitigation.take().filter(|text| !is_none(text));
    }
    items
}

#[derive(Clone, Copy)]
enum Field {
    None,
    Level,
    Justification,
    Mitigation,
}

fn heading(line: &str, number_of_line: usize) -> Option<AuditItem> {
    let (number, title) = line.trim_start_matches('#').trim().split_once('.')?;
    let number = number.trim().parse().ok()?;
    Some(AuditItem {
        number,
        title: Some(title.trim().to_owned()).filter(|title| !title.is_empty()),
        pointer: format!("line {number_of_line}"),
        ..AuditItem::default()
    })
}

fn labelled(line: &str) -> (Option<Field>, &str) {
    for (label, field) in [
        ("level", Field::Level),
        ("justification", Field::Justification),
        ("mitigation", Field::Mitigation),
    ] {
        let rest = line
            .strip_prefix("**")
            .and_then(|rest| Some((rest.get(..label.len())?, rest.get(label.len()..)?)));
        if let Some((_, rest)) = rest.filter(|(word, _)| word.eq_ignore_ascii_case(label)) {
            return (Some(field), rest.trim_start_matches(['*', ':']).trim());
        }
    }
    (None, line)
}

fn append(text: &mut Option<String>, more: &str) {
    if more.is_empty() {
        return;
    }
    match text {
        Some(text) => {
            text.push(' ');
            text.push_str(more);
        }
        None => *text = Some(more.to_owned()),
    }
}

fn is_none(text: &str) -> bool {
    matches!(
        text.trim().trim_end_matches('.').to_lowercase().as_str(),
        "none" | "n/a" | ""
    )
}

fn from_raw(value: &Value, reader: &mut Reader) -> Vec<AuditItem> {
    let Some(root) = reader.root(value) else {
        return Vec::new();
    };
    let Some(responses) = reader.object(root, "", "responses") else {
        return Vec::new();
    };
    let mut items = Vec::new();
    for (key, response) in responses {
        let pointer = format!("/responses/{}", read::escape(key));
        let (Ok(number), Some(row)) = (key.parse(), response.as_object()) else {
            reader.skip(pointer, "no numbered answer");
            continue;
        };
        items.push(AuditItem {
            number,
            title: reader.text_of(row, &pointer, &["title", "name"]),
            level: reader
                .text(row, &pointer, "level")
                .as_deref()
                .map(Level::parse)
                .unwrap_or_default(),
            justification: reader.text(row, &pointer, "justification"),
            mitigation: reader
                .text(row, &pointer, "mitigation")
                .filter(|text| !is_none(text)),
            pointer,
        });
    }
    items.sort_by_key(|item| item.number);
    items
}
