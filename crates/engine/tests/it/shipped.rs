//! The agents that come along and converse: what they are given, what they may hand in, and whom they build on. Their model
//! answers from a cue sheet: this is about their wiring, and nothing is said of their words.

use std::sync::Arc;

use domain::agent::definition::AgentDefinition;
use domain::orchestration::event::{EndedAs, Event};
use domain::orchestration::select::Wanted;
use domain::orchestration::state::{Orchestration, Status, StepState};
use domain::values::ids::{AccountId, AgentId, OrchestrationId};
use engine::clock::ManualClock;
use engine::handle::Engine;
use engine::plans::LoadedPlan;
use engine::registry::Registry;
use engine::submit::Submission;
use planexe::plan::Plan;
use serde_json::json;

use crate::converse::{models, talks};
use crate::house::{House, assert_status, begin_as, clock, ended, events, given, step, step_state};
use crate::place::{Place, on_both};

const RISKS: &str = r#"{"risks": [{"risk_area": "Ice", "risk_description": "The ferry cannot sail in ice.", "impact": "Two weeks are lost.", "likelihood": "High", "severity": "High", "action": "Order an ice class hull."}]}"#;

/// A house with all that the program brings along, whose model is scripted, and a small plan.
async fn house(place: &Place, clock: &ManualClock, sheet: &str) -> House {
    let analyses = Registry::built_in().unwrap().snapshot();
    let shipped = engine::shipped::all().unwrap().into_iter();
    let shipped = shipped.map(|agent| AgentDefinition {
        model: Some("scripted/demo".to_owned()),
        max_retries: 0,
        ..agent
    });
    let agents = analyses.enabled().values().cloned().chain(shipped);
    talks(clock, agents.collect(), models(sheet))
        .open(place)
        .await
}

async fn begin(engine: &Engine, agents: &[&str]) -> OrchestrationId {
    let files = [
        ("001-2-plan.txt", "Build a ferry line to Solveig."),
        ("018-1-identify_risks_raw.json", RISKS),
        ("036-1-team.md", "# Team\n\nAnn leads."),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), Arc::<[u8]>::from(text.as_bytes())));
    let plan = LoadedPlan::of(Plan::from_named_bytes(files)).unwrap();
    let wanted = agents.iter().map(|id| AgentId::new(id).unwrap()).collect();
    let mut submission = Submission::new(
        AccountId::system(),
        "a plan".to_owned(),
        Arc::new(plan),
        Wanted::Named(wanted),
    );
    submission.fresh = true;
    begin_as(engine, 1, submission).await.id
}

/// What a step used, as questions and calls of its model.
async fn called(engine: &Engine, id: OrchestrationId, name: &str) -> Vec<(String, bool)> {
    let all = events(engine, id).await;
    let calls = all.iter().filter_map(|recorded| match &recorded.event {
        Event::TurnRecorded { step, calls, .. } if step.as_str() == name => Some(calls.clone()),
        _ => None,
    });
    let calls = calls.flatten().map(|call| (call.name.clone(), call.failed));
    calls.collect()
}

const CRITIQUE: &str = r#"
    [[answers]]
    system = "who decides whether a plan gets money"
    turn = 1
    calls = [{ name = "read_enrichment", input = { agent = "risk-exposure" } },
             { name = "read_artifact", input = { name = "identify_risks_raw.json", pointer = "/risks/0" } },
             { name = "search_artifacts", input = { text = "ice" } }]
    [[answers]]
    system = "who decides whether a plan gets money"
    calls = [{ name = "set_output", input = { summary = "Ice decides.", recommendation = { verdict = "rework", reasons = "The hull is not ordered.", citations = [{ agent = "risk-exposure", pointer = "/counts" }] },
        objections = [{ objection = "No hull for ice", consequence = "Two weeks a winter", answeredBy = "An order", weight = "high", citations = [
            { artifact = "identify_risks_raw.json", pointer = "/risks/0/risk_description", quote = "cannot sail in ice" },
            { agent = "risk-exposure", pointer = "/counts" }] }],
        strengths = [{ strength = "It has a leader", citations = [{ artifact = "team.md", pointer = "", quote = "Ann leads." }] }],
        questions = [{ question = "Who orders the hull?", citations = [{ artifact = "plan", pointer = "/prompt", quote = "ferry line" }] }] } }]
"#;

#[tokio::test]
async fn a_critique_is_built_on_the_analyses_and_every_claim_of_it_is_looked_up() {
    on_both(async |place| {
        let house = house(&place, &clock(), CRITIQUE).await;
        let id = begin(&house.engine, &["executive-critique"]).await;
        let state = ended(&house.engine, id).await;
        assert_status(&state, Status::Complete);
        for analysis in ["plan-lint", "risk-exposure", "readiness-score"] {
            assert_eq!(
                step_state(&state, analysis),
                StepState::Ended(EndedAs::Completed)
            );
        }
        let gave = given(&house.engine, id, &state, "executive-critique").await;
        assert_eq!(gave["recommendation"]["verdict"], "rework");
        let called = called(&house.engine, id, "executive-critique").await;
        let called: Vec<_> = called
            .iter()
            .map(|(name, failed)| (name.as_str(), *failed))
            .collect();
        assert_eq!(
            called[..3],
            [
                ("read_enrichment", false),
                ("read_artifact", false),
                ("search_artifacts", false)
            ]
        );
        house.close().await;
    })
    .await;
}

/// A validator's output that cites this.
fn validated(citation: &str) -> String {
    format!(
        "calls = [{{ name = 'set_output', input = {{ summary = 'One.', assumptions = [{{ assumption = 'The ice stays away', stated = false,
            verdict = 'contradicted', reasoning = 'A risk says so.', check = 'Ask the pilots.', citations = [{citation}] }}] }} }}]"
    )
}

#[tokio::test]
async fn a_citation_that_does_not_resolve_is_told_to_the_model_which_may_mend_it() {
    let sheet = format!(
        "[[answers]]\nturn = 1\n{}\n[[answers]]\nturn = 2\nlast = '/risks/7'\n{}\n[[answers]]\ntext = 'Done.'",
        validated("{ artifact = 'identify_risks_raw.json', pointer = '/risks/7' }"),
        validated("{ artifact = 'identify_risks_raw.json', pointer = '/risks/0' }"),
    );
    let place = Place::sqlite();
    let house = house(&place, &clock(), &sheet).await;
    let id = begin(&house.engine, &["assumption-validator"]).await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    let gave = given(&house.engine, id, &state, "assumption-validator").await;
    let cited = gave.pointer("/assumptions/0/citations/0/pointer");
    assert_eq!(cited, Some(&json!("/risks/0")));
    house.close().await;
}

/// Why a step ended as it did.
fn why(state: &Orchestration, name: &str) -> String {
    let (_, step) = state.step(&step(name)).unwrap();
    format!("{:?} {:?}", step.cause, step.last_error)
}

#[tokio::test]
async fn one_that_goes_on_citing_what_is_not_there_fails_and_the_citation_is_named() {
    for (citation, told) in [
        (
            "{ artifact = 'identify_risks_raw.json', pointer = '/risks/7' }",
            "holds nothing at `/risks/7`",
        ),
        (
            "{ artifact = 'costs.json', pointer = '' }",
            "no artifact `costs.json`",
        ),
        (
            "{ agent = 'executive-critique', pointer = '' }",
            "no enrichment by `executive-critique`",
        ),
        (
            "{ artifact = 'team.md', pointer = '', quote = 'Bob leads' }",
            "does not say `Bob leads`",
        ),
    ] {
        let sheet = format!(
            "[[answers]]\nturn = 1\n{}\n[[answers]]\ntext = 'I stay with it.'",
            validated(citation)
        );
        let place = Place::sqlite();
        let house = house(&place, &clock(), &sheet).await;
        let id = begin(&house.engine, &["assumption-validator"]).await;
        let state = ended(&house.engine, id).await;
        assert_eq!(
            step_state(&state, "assumption-validator"),
            StepState::Ended(EndedAs::Failed)
        );
        let why = why(&state, "assumption-validator");
        for part in ["InvalidOutput", "/assumptions/0/citations/0", told] {
            assert!(why.contains(part), "{part} is not in {why}");
        }
        house.close().await;
    }
}

#[tokio::test]
async fn the_others_are_wired_the_same_way() {
    let cited = "citations = [{ artifact = 'identify_risks_raw.json', pointer = '/risks/0', quote = 'Ice' }]";
    let sheet = format!(
        "[[answers]]
        system = 'before authorities'
        calls = [{{ name = 'set_output', input = {{ summary = 'One.', items = [{{ duty = 'Ice class', kind = 'standard', status = 'missing',
            reasoning = 'Named nowhere.', next = 'Ask the register.', {cited} }}] }} }}]
        [[answers]]
        system = 'review plans for security'
        calls = [{{ name = 'set_output', input = {{ issues = [{{ title = 'Ice', severity = 'high', description = 'It sinks.', {cited} }}], recommendations = [] }} }}]
        [[answers]]
        system = 'what will hold a plan up'
        calls = [{{ name = 'set_output', input = {{ bottlenecks = [{{ title = 'One hull', citations = [{{ agent = 'security-review', pointer = '/issues/0/title' }}] }}], recommendations = [] }} }}]"
    );
    let place = Place::sqlite();
    let house = house(&place, &clock(), &sheet).await;
    let id = begin(
        &house.engine,
        &["compliance-checklist", "performance-analysis"],
    )
    .await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    for (agent, pointer, value) in [
        ("compliance-checklist", "/items/0/duty", "Ice class"),
        ("security-review", "/issues/0/severity", "high"),
        ("performance-analysis", "/bottlenecks/0/title", "One hull"),
    ] {
        let gave = given(&house.engine, id, &state, agent).await;
        assert_eq!(gave.pointer(pointer), Some(&json!(value)), "{agent}");
    }
    house.close().await;
}
