//! From the engine's view of an enriched plan to the report's.

use domain::orchestration::graph::StepIndex;
use domain::orchestration::state::StepState;
use domain::values::credits::Credits;
use domain::values::ids::OrchestrationId;
use engine::artifact::EnrichedPlan;
use engine::gather::definition;
use report::enriched::{EnrichmentEntry, ExcludedAgent, InputRead, OrchestrationLine, StepLine};
use report::words;
use serde_json::Value;

/// What this program is called in holder rows and manifests.
pub fn label() -> String {
    format!("afterplan {}", env!("CARGO_PKG_VERSION"))
}

/// What the report is made from.
pub fn outcome(
    name: &str,
    id: OrchestrationId,
    enriched: &EnrichedPlan,
) -> report::enriched::EnrichedPlan {
    let head = enriched.state.head.as_ref();
    report::enriched::EnrichedPlan {
        name: name.to_owned(),
        summary: enriched.plan.summary().clone(),
        artifacts: enriched.plan.manifest.clone(),
        plan_hash: enriched.plan.hash,
        orchestration: OrchestrationLine {
            id: id.to_string(),
            account: head
                .map(|head| head.account.to_string())
                .unwrap_or_default(),
            status: enriched.state.status().name().to_owned(),
            version: head.map_or(1, |head| head.version),
            created: head.map(|head| head.created_at).unwrap_or_default(),
            ended: head.and_then(|head| head.ended_at),
        },
        enrichments: enrichments(enriched),
        steps: steps(enriched),
        excluded: head
            .map(|head| head.excluded.iter().map(excluded).collect())
            .unwrap_or_default(),
        program: label(),
    }
}

fn excluded(excluded: &domain::orchestration::event::Excluded) -> ExcludedAgent {
    ExcludedAgent {
        agent: excluded.agent.to_string(),
        reason: excluded.reason.clone(),
    }
}

/// The enrichments that stand, in the order in which they were applied.
fn enrichments(enriched: &EnrichedPlan) -> Vec<EnrichmentEntry> {
    let mut applied: Vec<(u64, EnrichmentEntry)> = enriched
        .data
        .iter()
        .filter_map(|(&index, data)| {
            Some((
                enriched.state.steps[index].version?,
                entry(enriched, index, data)?,
            ))
        })
        .collect();
    applied.sort_by_key(|(version, _)| *version);
    applied.into_iter().map(|(_, entry)| entry).collect()
}

fn entry(enriched: &EnrichedPlan, index: StepIndex, data: &Value) -> Option<EnrichmentEntry> {
    let (rules, step) = (
        enriched.state.graph.rules(index),
        &enriched.state.steps[index],
    );
    let enrichment = step.enrichment.as_ref()?;
    let agent = definition(&enriched.pinned, rules)?;
    let inputs = agent.inputs().unwrap_or_default();
    let read = inputs
        .iter()
        .flat_map(|input| enriched.plan.manifest.named(&input.artifact));
    let built_on = enriched
        .state
        .graph
        .dependencies(index)
        .filter_map(|dependency| {
            let enrichment = enriched.state.steps[dependency].enrichment.as_ref()?;
            Some(InputRead {
                name: enriched.state.graph.rules(dependency).id.to_string(),
                hash: enrichment.data,
            })
        });
    Some(EnrichmentEntry {
        agent: rules.agent.to_string(),
        display_name: agent.display_name.clone(),
        version: rules.agent_version.clone(),
        definition: rules.definition,
        status: enrichment.status,
        reason: enrichment.reason.clone(),
        input: enrichment.input,
        data: data.clone(),
        cost: enrichment.cost,
        started: step.started_at,
        ended: step.ended_at,
        attempts: step.attempt,
        read: read
            .map(|(name, entry)| InputRead {
                name: name.to_owned(),
                hash: entry.hash,
            })
            .collect(),
        built_on: built_on.collect(),
        reused_from: enrichment.reused_from.map(|from| from.to_string()),
    })
}

/// Every step as it stands.
pub fn steps(enriched: &EnrichedPlan) -> Vec<StepLine> {
    let state = &enriched.state;
    let line = |index: StepIndex| {
        let (rules, step) = (state.graph.rules(index), &state.steps[index]);
        let name = definition(&enriched.pinned, rules).map(|agent| agent.display_name.clone());
        let completed =
            step.state == StepState::Ended(domain::orchestration::event::EndedAs::Completed);
        StepLine {
            step: rules.id.to_string(),
            agent: rules.agent.to_string(),
            display_name: name.unwrap_or_else(|| rules.agent.to_string()),
            state: step.state.name().to_owned(),
            cause: words::why(state, index, step.ended_at.unwrap_or_default())
                .filter(|_| !completed),
            attempts: step.attempt,
            duration: step
                .started_at
                .zip(step.ended_at)
                .map(|(started, ended)| ended - started),
            cost: step
                .enrichment
                .as_ref()
                .map_or(Credits::ZERO, |enrichment| enrichment.cost),
        }
    };
    (0..state.steps.len()).map(line).collect()
}

/// What the agents say in a sentence or two, in the order in which their steps started.
pub fn summaries(enriched: &EnrichedPlan) -> Vec<String> {
    let mut said: Vec<_> = enriched
        .data
        .iter()
        .filter_map(|(&index, data)| {
            let summary = data.get("summary")?.as_str()?;
            Some((
                enriched.state.steps[index].number,
                format!("{}: {summary}", enriched.state.graph.rules(index).id),
            ))
        })
        .collect();
    said.sort();
    said.into_iter().map(|(_, line)| line).collect()
}
