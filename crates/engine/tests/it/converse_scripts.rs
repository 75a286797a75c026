//! Agents that scripts lead: each way of letting the model speak, and how a script that goes wrong ends its step.

use domain::agent::definition::AgentDefinition;
use domain::orchestration::event::EndedAs;
use domain::orchestration::state::{Status, StepState};
use domain::orchestration::turns::Asked;
use serde_json::json;

use crate::converse::{house, turns};
use crate::house::{agent, assert_status, begin, clock, ended, given, step, step_state};
use crate::place::Place;

/// An agent that this script leads.
fn led_by(script: &str) -> AgentDefinition {
    agent(
        "a",
        &format!(
            "executor = {{ kind = 'script' }}\nmodel = 'scripted/demo'\nmaxRetries = 0\nllmRetries = 0\ntoolNames = ['list_artifacts', 'search_artifacts', 'set_output']\noutputMode = 'structured_output'\nhandleSteps = '''{script}'''"
        ),
    )
}

#[tokio::test]
async fn a_script_lets_the_model_have_all_its_turns_speaks_for_it_and_asks_for_alternatives() {
    let script = r#"
        function* () {
          const all = yield 'STEP_ALL';
          const { toolResult } = yield { type: 'STEP_TEXT', text: 'I look.\n<codebuff_tool_call>\n{"cb_tool_name": "list_artifacts"}\n</codebuff_tool_call>\nThere.' };
          const named = yield { toolName: 'search_artifacts', input: { text: 'shed', name: 'plan.txt' } };
          const nowhere = yield { toolName: 'search_artifacts', input: { text: 'shed', name: 'costs.json' } };
          const { nResponses } = yield { type: 'GENERATE_N', n: 2 };
          yield { toolName: 'set_output', input: {
            complete: all.stepsComplete, listed: toolResult[0].value.artifacts[0].name, nResponses,
            found: named.toolResult[0].value.found.length, nowhere: nowhere.toolResult[0].value.errorMessage } };
        }"#;
    let sheet = "
        [[answers]]
        turn = 1
        calls = [{ name = 'list_artifacts' }]
        [[answers]]
        turn = 2
        text = 'Done.'
        [[answers]]
        text = '[\"Red.\", \"Blue.\"]'";
    let place = Place::sqlite();
    let house = house(&place, &clock(), vec![led_by(script)], sheet).await;
    let id = begin(&house.engine, 1).await;
    let state = ended(&house.engine, id).await;
    assert_status(&state, Status::Complete);
    let gave = given(&house.engine, id, &state, "a").await;
    assert_eq!(gave["complete"], true);
    assert_eq!(gave["listed"], "plan.txt");
    assert_eq!(gave["nResponses"], json!(["Red.", "Blue."]));
    assert_eq!(gave["found"], 1);
    assert!(
        gave["nowhere"].as_str().unwrap().contains("costs.json"),
        "{gave}"
    );
    let asked = turns(&house.engine, id, "a").await;
    let models = asked.iter().filter(|(_, asked)| *asked == Asked::Model);
    assert!(models.count() >= 3, "{asked:?}");
    house.close().await;
}

#[tokio::test]
async fn a_script_that_goes_wrong_ends_its_step_with_the_cause() {
    for (script, why) in [
        ("function* () { while (true) {} }", "calls and jumps"),
        (
            "function* () { const a = []; while (true) a.push('x'.repeat(1e5) + a.length) }",
            "memory",
        ),
        (
            "function* () { throw new RangeError('no risks') }",
            "RangeError: no risks",
        ),
        ("function* () { yield { toolName: 5 } }", "invalid yield"),
        ("function* () { yield Promise.resolve(1) }", "a promise"),
        (
            "function* () { yield { toolName: 'set_output', input: { at: Date.now() } } }",
            "Date is not available",
        ),
    ] {
        let place = Place::sqlite();
        let house = house(
            &place,
            &clock(),
            vec![led_by(script)],
            "[[answers]]\ntext = 'a'",
        )
        .await;
        let id = begin(&house.engine, 1).await;
        let state = ended(&house.engine, id).await;
        assert_eq!(step_state(&state, "a"), StepState::Ended(EndedAs::Failed));
        let cause = format!("{:?}", state.step(&step("a")).unwrap().1.cause);
        for part in ["Fatal", "script-error", why] {
            assert!(cause.contains(part), "`{part}` is not in {cause}");
        }
        house.close().await;
    }
}
