//! What an agent's request costs to put together: a plan of 20 KB, its text prepared once, and one dependency of 1 KB.
//!
//! Prints `bench body ...` in microseconds of wall time a body, the median of the rounds, beside a plain copy of its bytes.

#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, reason = "a bench measures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use domain::agent::definition::from_toml;
use domain::artifact::{Enrichment, EnrichmentStatus};
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::{AccountId, OrchestrationId, StepId};
use domain::values::time::Timestamp;
use engine::context::{Around, BuiltOn, Parts, body};
use engine::inputs;
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use serde_json::{Map, json};
use uuid::Uuid;

const ROUNDS: usize = 21;
const BODIES: usize = 2_000;

fn main() {
    let words = "a sentence of a plan, with figures 12.5 and names. ".repeat(400);
    let plan = json!({"title": "A plan", "description": words}).to_string();
    let definition =
        from_toml("id = 'next'\ndisplayName = 'Next'\ninputSchema = { fields = ['plan'] }");
    let definition = definition.unwrap();
    let hash = definition.hash().unwrap();
    let agent = Registry::default().prepared(hash, &definition);
    let given: Arc<[u8]> = Arc::from(
        json!({"findings": "x".repeat(1_000)})
            .to_string()
            .as_bytes(),
    );
    let enrichment = Enrichment {
        status: EnrichmentStatus::Completed,
        input: hash,
        data: ContentHash::of(&given),
        reason: None,
        cost: Credits::ZERO,
        reused_from: None,
        tokens_used: Some(2_100),
    };
    let around = Around {
        agent,
        plan: Arc::new(LoadedPlan::of_json(&plan).unwrap()),
        account: AccountId::system(),
        plan_id: "plan-123".to_owned(),
        revised: true,
        plan_version: 2,
        user: "system".to_owned(),
        budget: None,
        cost: Credits::ZERO,
        number: 2,
        deadline: Timestamp(0),
        built_on: vec![BuiltOn {
            step: StepId::new("first").unwrap(),
            enrichment,
            started_at: Some(Timestamp(0)),
            ended_at: Some(Timestamp(1_000)),
        }],
    };
    let step = StepId::new("next").unwrap();
    let (given, parameters) = ([given], Map::new());
    let snapshot = r#"{"fileTree":"","changedFiles":[],"gitDiff":""}"#;
    let put_together = || {
        body(&Parts {
            orchestration: OrchestrationId(Uuid::from_u128(7)),
            step: &step,
            attempt: 1,
            around: &around,
            default_budget: Credits::ZERO,
            given: &given,
            parameters: &parameters,
            snapshot,
            inputs: &inputs::of(&around.plan, &around.agent),
        })
        .unwrap()
    };
    let text = put_together();
    let made = median(&|| drop(black_box(put_together())));
    let copied = median(&|| drop(black_box(text.clone())));
    let bytes = text.len();
    println!("bench body-20k {made:.2} us ({bytes} bytes; a copy of them {copied:.2} us)");
}

/// Microseconds for one.
fn median(act: &dyn Fn()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            (0..BODIES).for_each(|_| act());
            began.elapsed().as_secs_f64() * 1e6 / BODIES as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
