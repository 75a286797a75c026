//! What a report is made from: one plan, the enrichments that it got, and how each came about.
//!
//! The caller fills these in from the store. Nothing here reads a clock, a file or a plan's bytes.

use domain::artifact::EnrichmentStatus;
use domain::plan::PlanManifest;
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::time::{Millis, Timestamp};
use serde_json::Value;

/// A plan with its enrichments, ready to be written out.
#[derive(Clone, Debug)]
pub struct EnrichedPlan {
    /// What the plan is called where it came from: the directory's or zip's name without its ending.
    pub name: String,
    /// The plan in brief, as `planexe::summary::plan_summary` gives it; written as `plan_summary.json`.
    pub summary: Value,
    /// The plan's own artifacts, untouched.
    pub artifacts: PlanManifest,
    /// The plan's identity, [`PlanManifest::hash`].
    pub plan_hash: ContentHash,
    /// The orchestration that enriched it.
    pub orchestration: OrchestrationLine,
    /// The enrichments that stand, in the order in which they were applied.
    pub enrichments: Vec<EnrichmentEntry>,
    /// Every step of the orchestration, in the order of the graph, whether or not it left an enrichment.
    pub steps: Vec<StepLine>,
    /// Agents of the default set that this plan gave nothing to read.
    pub excluded: Vec<ExcludedAgent>,
    /// Who wrote this, with version: `afterplan 0.1.0`.
    pub program: String,
}

/// The orchestration's own line.
#[derive(Clone, Debug)]
pub struct OrchestrationLine {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// `complete`, `partial`, `failed`, `cancelled` or, while unended, `running`.
    pub status: String,
    /// The plan artifact's version: 1 and one more for each enrichment.
    pub version: u64,
    /// When it was submitted.
    pub created: Timestamp,
    /// When it ended, if it has.
    pub ended: Option<Timestamp>,
}

/// One enrichment: what an agent said, and from what.
#[derive(Clone, Debug)]
pub struct EnrichmentEntry {
    /// The agent's id; also the file name under `enrichments/`.
    pub agent: String,
    /// The agent's name for people.
    pub display_name: String,
    /// The agent definition's version.
    pub version: String,
    /// SHA-256 over the agent definition.
    pub definition: ContentHash,
    /// Whether the output is whole.
    pub status: EnrichmentStatus,
    /// Why it is only partial.
    pub reason: Option<String>,
    /// SHA-256 over the declared inputs.
    pub input: ContentHash,
    /// What the agent said.
    pub data: Value,
    /// What it cost.
    pub cost: Credits,
    /// When its first attempt began, where known.
    pub started: Option<Timestamp>,
    /// When it was applied, where known.
    pub ended: Option<Timestamp>,
    /// Attempts that it took.
    pub attempts: u32,
    /// The artifacts that it read.
    pub read: Vec<InputRead>,
    /// The enrichments that it built on.
    pub built_on: Vec<InputRead>,
    /// The orchestration whose equal result was taken over, when it was not worked out anew.
    pub reused_from: Option<String>,
}

/// One input of an enrichment: an artifact's logical name or an agent's id, and the hash of what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRead {
    /// Logical name of the artifact, or id of the agent.
    pub name: String,
    /// SHA-256 over the artifact's bytes, or over the enrichment's data.
    pub hash: ContentHash,
}

/// One step as it stands.
#[derive(Clone, Debug)]
pub struct StepLine {
    /// The step's id, usually its agent's.
    pub step: String,
    /// The agent's id.
    pub agent: String,
    /// The agent's name for people.
    pub display_name: String,
    /// `completed`, `partial`, `failed`, `timeout`, `gated_off`, `skipped`, `cancelled`, or an unended state.
    pub state: String,
    /// Why it did not complete, as a sentence or a cause's name with its details.
    pub cause: Option<String>,
    /// Attempts that it took.
    pub attempts: u32,
    /// How long it worked, where it did.
    pub duration: Option<Millis>,
    /// What it cost.
    pub cost: Credits,
}

/// An agent that was left out of the graph.
#[derive(Clone, Debug)]
pub struct ExcludedAgent {
    /// The agent's id.
    pub agent: String,
    /// Why, as a sentence.
    pub reason: String,
}

impl EnrichedPlan {
    /// The enrichment of an agent, if it left one.
    pub fn enrichment(&self, agent: &str) -> Option<&EnrichmentEntry> {
        self.enrichments.iter().find(|entry| entry.agent == agent)
    }

    /// What all steps cost together; nothing when the sum cannot be held.
    pub fn cost(&self) -> Option<Credits> {
        self.steps
            .iter()
            .try_fold(Credits::ZERO, |sum, step| sum.checked_add(step.cost))
    }

    /// Why an agent left no enrichment, as a sentence for the reader.
    pub fn absence(&self, agent: &str) -> String {
        if let Some(step) = self.steps.iter().find(|step| step.agent == agent) {
            let state = step.state.replace('_', " ");
            return match &step.cause {
                Some(cause) => format!("{} ended as {state}: {cause}.", step.display_name),
                None => format!("{} ended as {state}.", step.display_name),
            };
        }
        match self
            .excluded
            .iter()
            .find(|excluded| excluded.agent == agent)
        {
            Some(excluded) => format!(
                "The agent {agent} was left out: {}.",
                excluded.reason.trim_end_matches('.')
            ),
            None => format!("The agent {agent} was not part of this orchestration."),
        }
    }
}

impl StepLine {
    /// Whether the step did all that it promised.
    pub fn completed(&self) -> bool {
        self.state == "completed"
    }
}
