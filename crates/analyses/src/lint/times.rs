//! Rules over dates and deadlines.

use jiff::civil::Date;
use planexe::views::deadline::{Strength, When};

use super::Answer;
use super::facts::Facts;
use crate::dates::due_dates;
use crate::finding::{Finding, Severity, shortened};
use crate::number::{days, plain};

/// The stated deadline against the two finishes. An error when even the dependency network ends later, a warning when only the
/// waterfall does: that one is an upper bound.
pub fn deadline_vs_schedule(facts: &Facts<'_>) -> Answer {
    let basis = facts.basis.as_ref().ok_or("no task has a duration")?;
    let deadline = facts
        .deadlines
        .value
        .primary()
        .ok_or("the plan states no deadline that can be read without doubt")?;
    let span = deadline.when.days(basis.start);
    let (_, latest) =
        span.ok_or("the deadline is a date, and the plan has no start date to count from")?;
    if latest < 0.0 {
        return Err("the deadline lies before the start: see date-before-start".to_owned());
    }
    let (network, waterfall) = (
        basis.schedule().finish,
        basis.waterfall().last().copied().unwrap_or(0.0),
    );
    // A begun day counts.
    let severity = match latest + 1.0 {
        limit if network > limit => Severity::Error,
        limit if waterfall > limit => Severity::Warning,
        _ => return Ok(Vec::new()),
    };
    let message = format!(
        "The plan promises \u{201c}{}\u{201d} (at most {} days); by the stated dependencies alone its tasks take {} days, one after another {}.",
        deadline.phrase,
        plain(libm::round(latest)),
        plain(network),
        plain(waterfall),
    );
    let finding = Finding::new(
        "deadline-vs-schedule",
        severity,
        (&deadline.artifact, &deadline.pointer),
        message,
    )
    .with("deadlineDays", days(latest))
    .with("networkDays", days(network))
    .with("waterfallDays", days(waterfall))
    .with("quote", deadline.quote.as_str());
    Ok(vec![finding])
}

/// A text that speaks of what is to be done: where it stands, and what it says.
struct Intent<'f> {
    artifact: &'f str,
    pointer: String,
    text: &'f str,
    /// Whether a bare year can be taken for a date to be met there.
    years: bool,
}

fn intents<'f>(facts: &'f Facts<'_>) -> Vec<Intent<'f>> {
    let mut found = Vec::new();
    let mut add =
        |artifact: Option<&'f String>, pointer: String, text: Option<&'f String>, years| {
            if let (Some(artifact), Some(text)) = (artifact, text) {
                found.push(Intent {
                    artifact,
                    pointer,
                    text,
                    years,
                });
            }
        };
    for item in &facts.audit.value {
        add(
            facts.audit.source.as_ref(),
            item.pointer.clone(),
            item.mitigation.as_ref(),
            true,
        );
    }
    for risk in &facts.risks.value {
        add(
            facts.risks.source.as_ref(),
            format!("{}/action", risk.pointer),
            risk.action.as_ref(),
            false,
        );
    }
    let premortem = &facts.premortem;
    for assumption in &premortem.value.assumptions {
        let pointer = format!("{}/test_now", assumption.pointer);
        add(
            premortem.source.as_ref(),
            pointer,
            assumption.test_now.as_ref(),
            false,
        );
    }
    for mode in &premortem.value.failure_modes {
        let lists = [("tripwires", &mode.tripwires), ("playbook", &mode.playbook)];
        for (key, list) in lists {
            for (at, text) in list.iter().enumerate() {
                add(
                    premortem.source.as_ref(),
                    format!("{}/{key}/{at}", mode.pointer),
                    Some(text),
                    false,
                );
            }
        }
        let pointer = format!("{}/stop_rule", mode.pointer);
        add(
            premortem.source.as_ref(),
            pointer,
            mode.stop_rule.as_ref(),
            false,
        );
    }
    found
}

/// A date to be met, in what the plan says is to be done, lies before the start.
pub fn date_before_start(facts: &Facts<'_>) -> Answer {
    let start = facts
        .start
        .value
        .as_ref()
        .ok_or("the plan has no start date")?
        .date;
    let mut found: Vec<Finding> = deadlines_before(facts, start);
    for intent in intents(facts) {
        for due in due_dates(intent.text) {
            if due.last < start && (intent.years || !due.year_only) {
                let message = format!(
                    "\u{201c}{}\u{201d} lies before the start, {start}: {}",
                    due.quote,
                    shortened(intent.text, 200),
                );
                found.push(
                    Finding::new(
                        "date-before-start",
                        Severity::Warning,
                        (intent.artifact, &intent.pointer),
                        message,
                    )
                    .with("date", due.last.to_string())
                    .with("startDate", start.to_string()),
                );
            }
        }
    }
    Ok(found)
}

/// Stated deadlines of the plan itself that lie before its start.
fn deadlines_before(facts: &Facts<'_>, start: Date) -> Vec<Finding> {
    let stated = facts
        .deadlines
        .value
        .stated
        .iter()
        .filter(|deadline| deadline.strength == Strength::Deadline);
    let finding = |deadline: &planexe::views::deadline::Deadline| match deadline.when {
        When::Dates { high, .. } if high < start => {
            let message = format!(
                "The deadline \u{201c}{}\u{201d} lies before the start, {start}.",
                deadline.phrase
            );
            let place = (deadline.artifact.as_str(), deadline.pointer.as_str());
            let finding = Finding::new("date-before-start", Severity::Warning, place, message);
            Some(
                finding
                    .with("date", high.to_string())
                    .with("startDate", start.to_string()),
            )
        }
        _ => None,
    };
    stated.filter_map(finding).collect()
}
