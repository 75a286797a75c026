//! The components of the readiness score: what each is worth, and on what evidence.

use std::collections::BTreeMap;

use planexe::views::decision::Decision;
use serde_json::Value;

use crate::finding::counted;
use crate::number::{per_cent, plain};
use crate::readiness_score::verdict_points;

/// Where a judgement comes from: an artifact or another agent's output.
pub struct Evidence {
    /// Logical name, when it stands in the plan.
    pub artifact: Option<String>,
    /// Agent id, when it stands in an output.
    pub agent: Option<&'static str>,
    /// JSON pointer.
    pub pointer: String,
    /// What stands there.
    pub value: Value,
}

/// A part of the score.
pub struct Component {
    /// Its id.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The most points it can give.
    pub of: f64,
    /// The points given, or why it could not be judged.
    pub points: Result<f64, String>,
    /// One sentence.
    pub explanation: String,
    /// On what the points rest.
    pub evidence: Vec<Evidence>,
}

/// What a component comes to: points, sentence, evidence; or why it could not be judged.
type Judged = Result<(f64, String, Vec<Evidence>), String>;

type Outputs = BTreeMap<String, Value>;

/// The components, in order. Their weights sum to 100.
pub fn components(outputs: &Outputs, decision: Option<(&str, &Decision)>) -> Vec<Component> {
    let judge: [(&'static str, &'static str, f64, Judged); 8] = [
        (
            "completeness",
            "The plan is whole",
            15.0,
            completeness(outputs),
        ),
        (
            "consistency",
            "The plan does not contradict itself",
            20.0,
            consistency(outputs),
        ),
        (
            "schedule-fit",
            "The deadline can be met",
            20.0,
            schedule_fit(outputs),
        ),
        (
            "schedule-structure",
            "The schedule hangs together",
            10.0,
            schedule_structure(outputs),
        ),
        (
            "risk-exposure",
            "Risks are bearable",
            10.0,
            risk_exposure(outputs),
        ),
        (
            "risk-response",
            "Risks have an answer",
            10.0,
            risk_response(outputs),
        ),
        (
            "capacity",
            "People and documents are named",
            5.0,
            capacity(outputs),
        ),
        (
            "decision",
            "The plan's own assessment says go",
            10.0,
            go_or_not(decision),
        ),
    ];
    judge
        .map(|(id, title, of, judged)| component(id, title, of, judged))
        .into()
}

fn component(id: &'static str, title: &'static str, of: f64, judged: Judged) -> Component {
    let (points, explanation, evidence) = match judged {
        Ok((share, explanation, evidence)) => {
            (Ok(of * share.clamp(0.0, 1.0)), explanation, evidence)
        }
        Err(reason) => {
            let explanation = format!("Not judged: {reason}.");
            (Err(reason), explanation, Vec::new())
        }
    };
    Component {
        id,
        title,
        of,
        points,
        explanation,
        evidence,
    }
}

/// Reads figures of one output and keeps them as evidence.
struct Reader<'o> {
    agent: &'static str,
    output: &'o Value,
    evidence: Vec<Evidence>,
}

impl<'o> Reader<'o> {
    fn of(outputs: &'o Outputs, agent: &'static str) -> Result<Self, String> {
        let output = outputs
            .get(agent)
            .ok_or_else(|| format!("{agent} gave no output"))?;
        Ok(Self {
            agent,
            output,
            evidence: Vec::new(),
        })
    }

    fn figure(&mut self, pointer: &str) -> Result<f64, String> {
        let found = self.output.pointer(pointer);
        let figure = found
            .and_then(Value::as_f64)
            .ok_or_else(|| format!("{} has no {pointer}", self.agent))?;
        self.note(pointer, found.cloned().unwrap_or_default());
        Ok(figure)
    }

    fn note(&mut self, pointer: &str, value: Value) {
        self.evidence.push(Evidence {
            artifact: None,
            agent: Some(self.agent),
            pointer: pointer.to_owned(),
            value,
        });
    }

    fn list(&self, pointer: &str) -> &'o [Value] {
        self.output
            .pointer(pointer)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

fn completeness(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "plan-inventory")?;
    let (present, expected) = (
        read.figure("/counts/present")?,
        read.figure("/counts/expected")?,
    );
    let of = |severity: &str| {
        read.list("/findings")
            .iter()
            .filter(|f| f["severity"] == severity)
            .count() as f64
    };
    // What is missing is in the share already.
    let missing = read
        .list("/findings")
        .iter()
        .filter(|f| f["rule"] == "missing-expected")
        .count() as f64;
    let (errors, warnings) = (of("error"), of("warning") - missing);
    let signals = (0.03 * errors + 0.01 * warnings).min(0.5);
    let share = if expected > 0.0 {
        present / expected
    } else {
        0.0
    };
    let told = format!(
        "{} of {} expected artifacts are there and whole; {}.",
        plain(present),
        plain(expected),
        counted((errors + warnings) as usize, "quality signal"),
    );
    read.note("/findings", Value::from(errors + warnings));
    Ok((share * (1.0 - signals), told, read.evidence))
}

/// What one rule can take at most: many findings of one rule have one cause.
const RULE_MAX: f64 = 5.0;

fn consistency(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "plan-lint")?;
    read.figure("/counts/error")?;
    read.figure("/counts/warning")?;
    let mut by_rule: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut errors, mut warnings) = (0, 0);
    for finding in read.list("/findings") {
        let rule = finding["rule"].as_str().unwrap_or_default();
        // Whether the deadline holds is judged by itself.
        if rule == "deadline-vs-schedule" {
            continue;
        }
        let lost = by_rule.entry(rule).or_default();
        match finding["severity"].as_str() {
            Some("error") => {
                errors += 1;
                *lost += 4.0;
            }
            Some("warning") => {
                warnings += 1;
                *lost += 1.0;
            }
            _ => {}
        }
    }
    let lost: f64 = by_rule.values().map(|lost| lost.min(RULE_MAX)).sum();
    let told = format!(
        "{} and {}, the deadline not counted.",
        counted(errors, "error"),
        counted(warnings, "warning"),
    );
    Ok(((20.0 - lost) / 20.0, told, read.evidence))
}

fn schedule_fit(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "schedule-monte-carlo")?;
    if read.output["deadline"].is_null() {
        return Err("the plan states no deadline that can be read".to_owned());
    }
    let waterfall = read.figure("/deadline/chanceWaterfall")?;
    let network = read.figure("/deadline/chanceNetwork")?;
    let phrase = read.output["deadline"]["phrase"]
        .as_str()
        .unwrap_or_default();
    let told = format!(
        "\u{201c}{phrase}\u{201d} is met in {} of the trials with all activities one after another, in {} with the stated dependencies alone.",
        per_cent(waterfall),
        per_cent(network),
    );
    Ok(((waterfall + network) / 2.0, told, read.evidence))
}

fn schedule_structure(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "critical-path")?;
    let linked = read.figure("/coverage/linkedShare")?;
    let (all, known) = (
        read.figure("/coverage/activities")?,
        read.figure("/coverage/withDuration")?,
    );
    let cycles = read.list("/cycles").len();
    read.note("/cycles", Value::from(cycles));
    let share = if all > 0.0 { known / all } else { 0.0 };
    let told = format!(
        "{} of {} activities have a duration, {} are linked to another; {} in circles.",
        plain(known),
        plain(all),
        per_cent(linked),
        if cycles == 0 {
            "none wait".to_owned()
        } else {
            counted(cycles, "group") + " wait"
        },
    );
    Ok((
        (6.0 * share + 4.0 * linked - 2.0 * cycles as f64) / 10.0,
        told,
        read.evidence,
    ))
}

fn risk_exposure(outputs: &Outputs) -> Judged {
    const WORST: usize = 5;
    /// The greatest score there is: 5 x 5.
    const GREATEST: f64 = 81.0;
    let mut read = Reader::of(outputs, "risk-exposure")?;
    let mut scores = Vec::new();
    for at in 0..read.list("/items").len().min(WORST) {
        if let Ok(score) = read.figure(&format!("/items/{at}/score")) {
            scores.push(score);
        }
    }
    if scores.is_empty() {
        return Err("no risk has a usable rating".to_owned());
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let told = format!(
        "The {} greatest risks score {} of 100 on average.",
        scores.len(),
        plain(libm::round(mean))
    );
    Ok((1.0 - mean / GREATEST, told, read.evidence))
}

fn risk_response(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "risk-exposure")?;
    let items = read.list("/items");
    if items.is_empty() {
        return Err("there are no risks".to_owned());
    }
    let mut open = 0;
    for (at, item) in items.iter().enumerate() {
        if item["gaps"].as_array().is_some_and(|gaps| !gaps.is_empty()) {
            open += 1;
            read.note(&format!("/items/{at}/gaps"), item["gaps"].clone());
        }
    }
    read.note("/items", Value::from(items.len()));
    let told = format!(
        "{} of {} risks have all that belongs to an answer.",
        items.len() - open,
        items.len()
    );
    Ok((
        (items.len() - open) as f64 / items.len() as f64,
        told,
        read.evidence,
    ))
}

fn capacity(outputs: &Outputs) -> Judged {
    let mut read = Reader::of(outputs, "plan-inventory")?;
    let mut count = |pointer: &str| read.figure(pointer).unwrap_or(0.0);
    let team = count("/counts/teamMembers");
    let documents = count("/counts/documentsToFind") + count("/counts/documentsToCreate");
    if read.evidence.is_empty() {
        return Err("the plan names neither team nor documents".to_owned());
    }
    let told = format!(
        "{} and {} are named.",
        counted(team as usize, "role"),
        counted(documents as usize, "document")
    );
    let share =
        (if team > 0.0 { 3.0 } else { 0.0 } + if documents > 0.0 { 2.0 } else { 0.0 }) / 5.0;
    Ok((share, told, read.evidence))
}

fn go_or_not(decision: Option<(&str, &Decision)>) -> Judged {
    let (source, decision) = decision.ok_or("pre_project_assessment.json is not there")?;
    let recommendation = decision.recommendation.as_deref().unwrap_or_default();
    let points =
        verdict_points(decision.verdict).ok_or("the assessment says neither go nor no-go")?;
    let told = format!(
        "The assessment before the project says \u{201c}{}\u{201d} and asks for {} first.",
        crate::finding::shortened(recommendation, 120),
        counted(decision.feedback.len(), "thing"),
    );
    let evidence = Evidence {
        artifact: Some(source.to_owned()),
        agent: None,
        pointer: "/go_no_go_recommendation".to_owned(),
        value: Value::from(recommendation),
    };
    Ok((points / 10.0, told, vec![evidence]))
}
