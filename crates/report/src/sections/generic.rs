//! Enrichments of agents that this page does not know: whatever they said, as headings, tables and lists.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::enriched::EnrichmentEntry;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::findings::findings_table;
use crate::sections::frame::{Heading, num, row, section, shown_of, skipped, table};

/// How deep values are followed; what lies deeper is in the enrichment's own file.
const DEPTH_MOST: usize = 5;
/// Rows of a table and items of a list at most.
const ROWS_MOST: usize = 40;
/// Columns of a table at most.
const COLUMNS_MOST: usize = 7;
/// One enrichment's share of the page in bytes, after which it is referred to its file.
const BYTES_MOST: usize = 60_000;
/// Characters of one text.
const TEXT_MOST: usize = 2_000;

/// Draws one enrichment as a section of its own.
pub fn draw(html: &mut Html, entry: &EnrichmentEntry, heading: Heading<'_>) {
    section(html, heading, |html| {
        if let Some(summary) = read::text(&entry.data, "/summary") {
            html.note("lead", format::shortened(summary, TEXT_MOST));
        }
        if let Some(reason) = &entry.reason {
            html.note(
                "partial",
                format!(
                    "This enrichment is partial: {}.",
                    reason.trim_end_matches('.')
                ),
            );
        }
        let findings = read::list(&entry.data, "/findings");
        let known_findings = !findings.is_empty()
            && findings
                .iter()
                .all(|finding| read::text(finding, "/message").is_some());
        if known_findings {
            html.leaf("h3", &[], "Findings");
            findings_table(html, "Findings", findings, &entry.agent);
        }
        let mut writer = Writer {
            end: html.len() + BYTES_MOST,
            cut: false,
            agent: &entry.agent,
        };
        match &entry.data {
            Value::Object(object) => {
                let rest: Map<String, Value> = object
                    .iter()
                    .filter(|(key, _)| !matches!(key.as_str(), "summary" | "skipped"))
                    .filter(|(key, _)| !(known_findings && key.as_str() == "findings"))
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                writer.object(html, &rest, 0);
            }
            other => writer.value(html, "Output", other, 0),
        }
        if writer.cut {
            html.note(
                "small",
                format!(
                    "Shortened; the whole is in {}.",
                    crate::files::path_of(&entry.agent)
                ),
            );
        }
        skipped(html, entry);
    });
}

struct Writer<'a> {
    end: usize,
    cut: bool,
    agent: &'a str,
}

impl Writer<'_> {
    fn full(&mut self, html: &Html, depth: usize) -> bool {
        let full = html.len() > self.end || depth > DEPTH_MOST;
        self.cut |= full;
        full
    }

    fn object(&mut self, html: &mut Html, object: &Map<String, Value>, depth: usize) {
        if self.full(html, depth) {
            return;
        }
        let short = |value: &Value| read::line(value).filter(|line| line.chars().count() <= 300);
        let flat: Vec<(&String, String)> = object
            .iter()
            .filter_map(|(key, value)| Some((key, short(value)?)))
            .collect();
        if !flat.is_empty() {
            html.element("dl", &[("class", &"generic")], |html| {
                for (key, line) in &flat {
                    html.leaf("dt", &[], format::words(key));
                    html.leaf("dd", &[], if line.is_empty() { "none" } else { line });
                }
            });
        }
        for (key, value) in object.iter().filter(|(_, value)| short(value).is_none()) {
            self.value(html, &format::words(key), value, depth + 1);
        }
    }

    fn value(&mut self, html: &mut Html, name: &str, value: &Value, depth: usize) {
        if self.full(html, depth) {
            return;
        }
        let tag = if depth <= 1 { "h3" } else { "h4" };
        html.leaf(tag, &[], name);
        match value {
            Value::Object(object) if object.is_empty() => {
                html.note("small", "Nothing.");
            }
            Value::Object(object) => self.object(html, object, depth),
            Value::Array(items) => self.list(html, name, items, depth),
            scalar => {
                let text = read::scalar(scalar).unwrap_or_default();
                self.cut |= text.chars().count() > TEXT_MOST;
                html.note("text", format::shortened(&text, TEXT_MOST));
            }
        }
    }

    fn list(&mut self, html: &mut Html, name: &str, items: &[Value], depth: usize) {
        let objects: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
        if !items.is_empty() && objects.len() == items.len() {
            let flat = objects
                .iter()
                .all(|object| object.values().all(|value| read::line(value).is_some()));
            if flat {
                self.table(html, name, &objects);
            } else {
                for (at, object) in objects.iter().enumerate().take(ROWS_MOST) {
                    if self.full(html, depth + 1) {
                        return;
                    }
                    let named = ["title", "name", "id"]
                        .iter()
                        .find_map(|key| object.get(*key)?.as_str());
                    let heading = named.map_or_else(|| format!("{name} {}", at + 1), str::to_owned);
                    html.leaf("h4", &[], format::shortened(&heading, 120));
                    self.object(html, object, depth + 1);
                }
                shown_of(
                    html,
                    objects.len().min(ROWS_MOST),
                    objects.len(),
                    "entries",
                    self.agent,
                );
            }
            return;
        }
        html.element("ul", &[("class", &"plain")], |html| {
            for item in items.iter().take(ROWS_MOST) {
                if self.full(html, depth) {
                    return;
                }
                html.element("li", &[], |html| match read::line(item) {
                    Some(line) => {
                        html.text(format::shortened(&line, TEXT_MOST));
                    }
                    None => match item {
                        Value::Object(object) => self.object(html, object, depth + 1),
                        Value::Array(inner) => self.list(html, name, inner, depth + 1),
                        _ => {}
                    },
                });
            }
        });
        shown_of(
            html,
            items.len().min(ROWS_MOST),
            items.len(),
            "entries",
            self.agent,
        );
    }

    fn table(&mut self, html: &mut Html, name: &str, objects: &[&Map<String, Value>]) {
        let mut seen = BTreeSet::new();
        let keys: Vec<&String> = objects
            .iter()
            .flat_map(|object| object.keys())
            .filter(|key| seen.insert(*key))
            .collect();
        let numeric = |key: &String| {
            objects.iter().all(|object| {
                object
                    .get(key)
                    .is_none_or(|value| value.is_number() || value.is_null())
            })
        };
        let (shown, hidden) = keys.split_at(keys.len().min(COLUMNS_MOST));
        let names: Vec<(String, bool)> = shown
            .iter()
            .map(|key| (format::words(key), numeric(key)))
            .collect();
        let columns: Vec<(&str, bool)> = names
            .iter()
            .map(|(name, numbers)| (name.as_str(), *numbers))
            .collect();
        table(html, name, &columns, |html| {
            for object in objects.iter().take(ROWS_MOST) {
                row(html, |html| {
                    for (key, (_, numbers)) in shown.iter().zip(&columns) {
                        let line = object
                            .get(*key)
                            .and_then(read::line)
                            .unwrap_or_else(|| "–".to_owned());
                        if *numbers {
                            num(html, line);
                        } else {
                            html.leaf("td", &[], format::shortened(&line, 400));
                        }
                    }
                });
            }
        });
        if !hidden.is_empty() {
            let names: Vec<_> = hidden.iter().map(|key| format::words(key)).collect();
            html.note("small", format!("Not shown here: {}.", names.join(", ")));
            self.cut = true;
        }
        shown_of(
            html,
            objects.len().min(ROWS_MOST),
            objects.len(),
            "rows",
            self.agent,
        );
    }
}
