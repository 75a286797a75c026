//! What is there of the plan, what is missing, and what only looks as if it were there.

use serde_json::Value;

use crate::enriched::EnrichedPlan;
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::findings::findings_table;
use crate::sections::frame::{Heading, badge, cell, from_agent, num, row, section, table};

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        from_agent(html, plan, "plan-inventory", |html, entry| {
            counts(html, &entry.data);
            missing(html, &entry.data);
            let findings = read::list(&entry.data, "/findings");
            if !findings.is_empty() {
                html.leaf("h3", &[], "Quality signals");
                findings_table(html, "Quality signals", findings, "plan-inventory");
            }
            artifacts(html, &entry.data);
        });
    });
}

fn counts(html: &mut Html, data: &Value) {
    let Some(counts) = read::at(data, "/counts").and_then(Value::as_object) else {
        return;
    };
    html.element("dl", &[("class", &"counts")], |html| {
        for (key, value) in counts {
            let text = match (key.as_str(), value.as_f64()) {
                (_, None) => "–".to_owned(),
                ("bytes", Some(size)) => format::bytes(size),
                (_, Some(number)) => format::number(number, 0),
            };
            let name = if key == "bytes" {
                "Size".to_owned()
            } else {
                format::words(key)
            };
            html.element("div", &[], |html| {
                html.leaf("dt", &[], name).leaf("dd", &[], text);
            });
        }
    });
}

fn missing(html: &mut Html, data: &Value) {
    let missing = read::texts(data, "/missing");
    if missing.is_empty() {
        return;
    }
    html.leaf(
        "h3",
        &[],
        format!(
            "Missing: {}",
            format::counted(missing.len() as u64, "artifact", "artifacts")
        ),
    );
    html.element("ul", &[("class", &"names")], |html| {
        for name in missing.iter().take(120) {
            html.element("li", &[], |html| {
                html.leaf("code", &[], name);
            });
        }
        if missing.len() > 120 {
            html.leaf("li", &[], format!("and {} more", missing.len() - 120));
        }
    });
}

fn artifacts(html: &mut Html, data: &Value) {
    let artifacts = read::list(data, "/artifacts");
    if artifacts.is_empty() {
        return;
    }
    html.element("details", &[], |html| {
        html.leaf(
            "summary",
            &[],
            format!(
                "All {}",
                format::counted(artifacts.len() as u64, "artifact", "artifacts")
            ),
        );
        let columns = [
            ("Artifact", false),
            ("File", false),
            ("State", false),
            ("Size", true),
        ];
        table(html, "All artifacts", &columns, |html| {
            for artifact in artifacts.iter().take(600) {
                row(html, |html| {
                    html.element("td", &[], |html| {
                        html.leaf(
                            "code",
                            &[],
                            read::text(artifact, "/artifact").unwrap_or("–"),
                        );
                    });
                    cell(html, read::text(artifact, "/path").unwrap_or("–"));
                    html.element("td", &[], |html| {
                        badge(html, read::text(artifact, "/state").unwrap_or("–"));
                        if let Some(reason) = read::text(artifact, "/reason") {
                            html.text(" ").text(reason);
                        }
                    });
                    num(
                        html,
                        read::number(artifact, "/bytes")
                            .map_or_else(|| "–".to_owned(), format::bytes),
                    );
                });
            }
        });
    });
}
