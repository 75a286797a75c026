//! `readiness-score`: how far the plan is from a start, each point with its evidence.

use planexe::views::decision::{self, Verdict};
use serde_json::{Value, json};

use crate::catalog::Input;
use crate::number::{days, plain};
use crate::readiness::{Component, Evidence, components};

/// Its agent id.
pub const ID: &str = "readiness-score";

/// The bands, best first, with the least score of each.
pub const BANDS: [(&str, f64); 4] = [
    ("ready", 80.0),
    ("nearly-ready", 65.0),
    ("needs-work", 45.0),
    ("not-ready", 0.0),
];

/// Below this confidence a score gets no word: too much of it was left out.
const CONFIDENCE_MIN: f64 = 0.5;

/// Gaps below this many points are not told.
const GAP_MIN: f64 = 0.5;

/// The analysis. It never fails: what is missing is said.
pub fn perform(input: &Input<'_>) -> Value {
    let assessment = decision::decision(input.plan);
    let verdict = assessment
        .source
        .as_deref()
        .map(|source| (source, &assessment.value));
    let components = components(input.dependencies, verdict);
    let available = || {
        components
            .iter()
            .filter(|component| component.points.is_ok())
    };
    let (mut points, mut of) = (0.0, 0.0);
    for component in available() {
        points += component.points.as_ref().copied().unwrap_or(0.0);
        of += component.of;
    }
    let score = (of > 0.0).then(|| 100.0 * points / of);
    let lost = confidence_lost(&components);
    let confidence = (1.0 - lost.iter().map(|(_, lost)| lost).sum::<f64>()).max(0.0);
    let band = score
        .filter(|_| confidence >= CONFIDENCE_MIN)
        .map_or("unknown", band);
    let mut gaps: Vec<(f64, Value)> = available().filter_map(gap).collect();
    gaps.sort_by(|a, b| b.0.total_cmp(&a.0));
    json!({
        "summary": summary(score, band, confidence, &gaps),
        "score": score.map(days),
        "band": band,
        "confidence": days(confidence),
        "components": components.iter().map(told).collect::<Vec<_>>(),
        "confidenceLost": lost.iter().map(|(reason, lost)| json!({ "reason": reason, "lost": days(*lost) })).collect::<Vec<_>>(),
        "gaps": gaps.into_iter().map(|(_, gap)| gap).collect::<Vec<_>>(),
        "bands": BANDS.map(|(band, from)| json!({ "band": band, "from": from })),
        "skipped": assessment.skipped,
    })
}

/// The band of a score.
pub fn band(score: f64) -> &'static str {
    BANDS
        .iter()
        .find(|(_, from)| score >= *from)
        .map_or("not-ready", |(band, _)| band)
}

/// What makes the score less sure: the components that could not be judged, by their weights.
fn confidence_lost(components: &[Component]) -> Vec<(String, f64)> {
    let mut lost: Vec<(String, f64)> = Vec::new();
    for component in components {
        if let Err(reason) = &component.points {
            lost.push((
                format!("{}: {reason}", component.title),
                component.of / 100.0,
            ));
        }
    }
    lost
}

fn told(component: &Component) -> Value {
    json!({
        "id": component.id, "title": component.title, "of": component.of,
        "points": component.points.as_ref().ok().map(|points| days(*points)),
        "available": component.points.is_ok(),
        "reason": component.points.as_ref().err(),
        "explanation": component.explanation,
        "evidence": component.evidence.iter().map(evidence).collect::<Vec<_>>(),
    })
}

fn evidence(evidence: &Evidence) -> Value {
    json!({
        "artifact": evidence.artifact, "agent": evidence.agent, "pointer": evidence.pointer, "value": evidence.value,
    })
}

fn gap(component: &Component) -> Option<(f64, Value)> {
    let lost = component.of - component.points.as_ref().ok()?;
    let first = component.evidence.first()?;
    let told = json!({
        "component": component.id, "lost": days(lost), "message": component.explanation, "evidence": evidence(first),
    });
    (lost >= GAP_MIN).then_some((lost, told))
}

fn summary(score: Option<f64>, band: &str, confidence: f64, gaps: &[(f64, Value)]) -> String {
    let Some(score) = score else {
        return "There is too little to judge the plan's readiness by.".to_owned();
    };
    let mut text = format!(
        "{} of 100, {}, confidence {} %.",
        plain(libm::round(score)),
        match band {
            "unknown" => "not enough to tell".to_owned(),
            band => band.replace('-', " "),
        },
        plain(libm::round(confidence * 100.0)),
    );
    if let Some((lost, gap)) = gaps.first() {
        let message = gap["message"].as_str().unwrap_or_default();
        text += &format!(
            " The most is lost here ({} points): {message}",
            plain(*lost)
        );
    }
    text
}

/// What an assessment's verdict is worth, of 10.
pub fn verdict_points(verdict: Verdict) -> Option<f64> {
    match verdict {
        Verdict::Go => Some(10.0),
        Verdict::GoWithConditions => Some(6.0),
        Verdict::NoGo => Some(0.0),
        Verdict::Unclear => None,
    }
}
