//! How the figures came about, and what they cannot say.

use crate::enriched::{EnrichedPlan, EnrichmentEntry};
use crate::format;
use crate::html::Html;
use crate::read;
use crate::sections::frame::{Heading, section};

/// Draws the section.
pub fn draw(html: &mut Html, plan: &EnrichedPlan, heading: Heading<'_>) {
    section(html, heading, |html| {
        html.p(
            "Days are the plan's own days, counted from its start; weekends and holidays are not taken out, since the plan \
             does not say which they are. A start is rounded down to the day, a finish up.",
        );
        html.element("dl", &[("class", &"method")], |html| {
            for entry in &plan.enrichments {
                let Some(note) = note(&entry.agent) else {
                    continue;
                };
                html.leaf("dt", &[], &entry.display_name);
                html.element("dd", &[], |html| {
                    html.text(note);
                    if let Some(parameters) = parameters(entry) {
                        html.text(" ").text(parameters);
                    }
                });
            }
        });
        html.p(
            "The same plan, the same versions of the agents and the same seed give the same figures, to the last digit. \
             Each figure can be traced: its agent's output stands in enrichments/, with the hash of what it read in \
             enrichment_manifest.json.",
        );
    });
}

fn note(agent: &str) -> Option<&'static str> {
    Some(match agent {
        "plan-inventory" => {
            "Compares what is there with the plan's own list of expected files (else with the core set of any PlanExe plan), \
             then looks for stages that failed silently: empty lists, cut texts, placeholders."
        }
        "plan-lint" => {
            "One rule for one kind of contradiction; a rule that lacks its inputs is not applied and says so. A rule stays silent \
             where the text leaves a doubt."
        }
        "critical-path" => {
            "Critical path method (Kelley and Walker, 1959): finish-to-start dependencies as the plan states them, forward and backward \
             pass. Slack is how much an activity may slip without moving the finish. Nobody's shortage of hands is taken into account."
        }
        "schedule-monte-carlo" => {
            "Each activity is drawn from a Beta-PERT distribution over its shortest, most likely and longest duration (Malcolm, Roseboom, \
             Clark and Fazar, 1959), independently of the others. Independence makes the spread narrower than life does."
        }
        "risk-exposure" => {
            "Exposure is likelihood times impact, each at the middle of its class on a scale of 0 to 1, times 100. Links to activities are \
             claimed only where both share rare terms."
        }
        "readiness-score" => {
            "Eight components with fixed weights that sum to 100. What is missing lowers the confidence, never silently the score."
        }
        _ => return None,
    })
}

fn parameters(entry: &EnrichmentEntry) -> Option<String> {
    let trials = read::count(&entry.data, "/method/trials")?;
    let mut said = format!("Here: {} trials", format::count(trials));
    if let Some(seed) = read::count(&entry.data, "/method/seed") {
        said.push_str(&format!(", seed {seed}"));
    }
    if let Some(generator) = read::text(&entry.data, "/method/generator") {
        said.push_str(&format!(", generator {generator}"));
    }
    said.push('.');
    Some(said)
}
