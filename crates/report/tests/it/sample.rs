//! An invented plan with the outputs of the six analyses, as `fixtures/*.json`.

use domain::artifact::EnrichmentStatus;
use domain::plan::{PlanArtifactEntry, PlanManifest};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::time::{Millis, Timestamp};
use report::enriched::{
    EnrichedPlan, EnrichmentEntry, ExcludedAgent, InputRead, OrchestrationLine, StepLine,
};
use serde_json::Value;

const OUTPUTS: [(&str, &str, &str); 6] = [
    (
        "plan-inventory",
        "Plan inventory",
        include_str!("../fixtures/plan-inventory.json"),
    ),
    (
        "plan-lint",
        "Plan lint",
        include_str!("../fixtures/plan-lint.json"),
    ),
    (
        "risk-exposure",
        "Risk exposure",
        include_str!("../fixtures/risk-exposure.json"),
    ),
    (
        "critical-path",
        "Critical path",
        include_str!("../fixtures/critical-path.json"),
    ),
    (
        "schedule-monte-carlo",
        "Schedule simulation",
        include_str!("../fixtures/schedule-monte-carlo.json"),
    ),
    (
        "readiness-score",
        "Readiness score",
        include_str!("../fixtures/readiness-score.json"),
    ),
];

/// 2026-11-23T09:30:00Z.
const SUBMITTED: Timestamp = Timestamp(1_795_426_200_000_000);

/// The plan, with all six enrichments.
pub fn sample() -> EnrichedPlan {
    let artifact = |name: &str| {
        let entry = PlanArtifactEntry {
            path: format!("022-2-{name}"),
            hash: ContentHash::of(name.as_bytes()),
            bytes: 1_200,
        };
        (name.to_owned(), entry)
    };
    let artifacts = PlanManifest {
        artifacts: ["plan.txt", "task_durations.json", "wbs_level1.json"]
            .map(artifact)
            .into(),
    };
    let inventory: Value = serde_json::from_str(OUTPUTS[0].2).unwrap();
    EnrichedPlan {
        name: "20270201_skarvik_ferries".to_owned(),
        summary: inventory["planSummary"].clone(),
        plan_hash: artifacts.hash().unwrap(),
        artifacts,
        orchestration: OrchestrationLine {
            id: "0193a7c0-0000-7000-8000-000000000001".to_owned(),
            account: "system".to_owned(),
            status: "complete".to_owned(),
            version: 7,
            created: SUBMITTED,
            ended: Some(SUBMITTED + Millis(640)),
        },
        enrichments: OUTPUTS
            .iter()
            .map(|(agent, name, data)| entry(agent, name, data))
            .collect(),
        steps: OUTPUTS
            .iter()
            .map(|(agent, name, _)| step(agent, name, "completed", None))
            .collect(),
        excluded: vec![ExcludedAgent {
            agent: "supplier-check".to_owned(),
            reason: "the plan has no suppliers.json".to_owned(),
        }],
        program: "afterplan 0.1.0".to_owned(),
    }
}

/// An enrichment of the sample.
pub fn entry(agent: &str, name: &str, data: &str) -> EnrichmentEntry {
    let data: Value = serde_json::from_str(data).unwrap();
    EnrichmentEntry {
        agent: agent.to_owned(),
        display_name: name.to_owned(),
        version: "1".to_owned(),
        definition: ContentHash::of(name.as_bytes()),
        status: EnrichmentStatus::Completed,
        reason: None,
        input: ContentHash::of(agent.as_bytes()),
        data,
        cost: Credits::ZERO,
        started: Some(SUBMITTED + Millis(20)),
        ended: Some(SUBMITTED + Millis(90)),
        attempts: 1,
        read: vec![InputRead {
            name: "task_durations.json".to_owned(),
            hash: ContentHash::of(b"task_durations.json"),
        }],
        built_on: vec![InputRead {
            name: "plan-inventory".to_owned(),
            hash: ContentHash::of(b"inventory"),
        }],
        reused_from: None,
    }
}

/// A step of the sample.
pub fn step(agent: &str, name: &str, state: &str, cause: Option<&str>) -> StepLine {
    StepLine {
        step: agent.to_owned(),
        agent: agent.to_owned(),
        display_name: name.to_owned(),
        state: state.to_owned(),
        cause: cause.map(str::to_owned),
        attempts: 1,
        duration: Some(Millis(70)),
        cost: Credits::ZERO,
    }
}

/// The sample, in which `agent` ended as `state` and left nothing.
pub fn without(agent: &str, state: &str, cause: &str) -> EnrichedPlan {
    let mut plan = sample();
    plan.enrichments.retain(|entry| entry.agent != agent);
    for step in plan.steps.iter_mut().filter(|step| step.agent == agent) {
        state.clone_into(&mut step.state);
        step.cause = Some(cause.to_owned());
    }
    plan
}
