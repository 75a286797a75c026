//! What came out of an enrichment, for people and for scripts.

use std::path::PathBuf;

use domain::values::ids::OrchestrationId;
use engine::artifact::EnrichedPlan;
use serde_json::{Value, json};
use server::enriched::{steps, summaries};

use crate::screen::{paragraph, plain, say, shown, span};

/// An orchestration that has ended.
pub struct Outcome<'a> {
    /// Which.
    pub id: OrchestrationId,
    /// What it made.
    pub enriched: &'a EnrichedPlan,
    /// Where that was written, if any of it stands.
    pub written: Option<PathBuf>,
    /// Milliseconds that reading the plan took.
    pub read: u64,
    /// Milliseconds that everything took.
    pub total: u64,
}

impl Outcome<'_> {
    /// The outcome as one JSON object.
    pub fn json(&self) -> Value {
        let head = self.enriched.state.head.as_ref();
        let lines = steps(self.enriched);
        let steps: Vec<Value> = lines
            .iter()
            .zip(&self.enriched.state.steps)
            .map(|(line, step)| {
                json!({
                    "step": line.step,
                    "state": line.state,
                    "cause": line.cause,
                    "attempts": line.attempts,
                    "durationMs": line.duration.map(|span| span.0),
                    "cost": line.cost,
                    "reusedFrom": step.enrichment.as_ref().and_then(|enrichment| enrichment.reused_from),
                })
            })
            .collect();
        json!({
            "orchestration": self.id,
            "status": self.enriched.state.status(),
            "plan": head.map(|head| &head.name),
            "planHash": head.map(|head| head.plan),
            "artifactVersion": head.map(|head| head.version),
            "cost": head.map(|head| head.cost),
            "out": self.written,
            "steps": steps,
            "excluded": head.map(|head| &head.excluded),
            "readMs": self.read,
            "totalMs": self.total,
        })
    }

    /// The outcome in a few lines.
    pub fn tell(&self) {
        let Some(head) = &self.enriched.state.head else {
            return;
        };
        let lines = steps(self.enriched);
        let completed = lines.iter().filter(|line| line.state == "completed");
        say(&format!(
            "{}: {} of {} steps completed in {}, artifact version {}, {} credits",
            head.status.name(),
            completed.count(),
            lines.len(),
            span(self.total),
            head.version,
            head.cost
        ));
        for line in lines.iter().filter(|line| line.state != "completed") {
            let cause = line.cause.as_deref().unwrap_or("no reason is known");
            let state = line.state.replace('_', " ");
            paragraph(&format!("{} {state}: {}", line.step, plain(cause)));
        }
        for summary in summaries(self.enriched) {
            paragraph(&plain(&summary));
        }
        let Some(path) = &self.written else {
            return say("nothing was written, since no enrichment stands");
        };
        say(&format!("written to {}", shown(path)));
        if path.is_dir() {
            say(&format!(
                "read {}",
                shown(&path.join("enrichment_report.html"))
            ));
        }
    }
}
