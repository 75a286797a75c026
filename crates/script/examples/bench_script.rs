//! Times a script: a sandbox made and started, and its steps, with a short state and with a long history to carry in.

#![allow(clippy::print_stdout, reason = "a bench speaks by printing")]
#![allow(clippy::unwrap_used, reason = "a broken bench is to stop")]

use std::time::Instant;

use domain::agent::script::{Resume, Start, Yield};
use script::limits::Limits;
use script::sandbox::Script;
use serde_json::{Value, json};

/// Steps of each kind in a round.
const STEPS: usize = 500;

const STARTS: usize = 200;

const ROUNDS: usize = 7;

/// A script that looks at what it is answered, logs, and asks for the next thing.
const SCRIPT: &str = "function* ({ agentState, prompt, params, logger }) {
    const seen = new Map();
    for (let turn = 0; ; turn++) {
        const { toolResult, stepsComplete } = yield {
            toolName: 'read_artifact', input: { name: 'risks.json', pointer: `/risks/${turn % 10}`, words: [...seen.keys()].slice(0, 5) } };
        for (const { value } of toolResult)
            for (const word of String(value.text).split(/\\s+/)) seen.set(word, (seen.get(word) ?? 0) + 1);
        if (turn % 100 === 0) logger.info({ turn, words: seen.size });
    }
}";

fn main() {
    let short =
        json!({"agentId": "risk-reader", "runId": "r", "messageHistory": [], "output": null});
    let message = json!({"role": "assistant", "content": [{"type": "text", "text": "What a model says of a plan. ".repeat(20)}]});
    let long =
        json!({"agentId": "risk-reader", "runId": "r", "messageHistory": vec![message; 150]});
    let kilobytes = long.to_string().len() / 1024;

    let started = middle(|| starts(&short));
    let short = middle(|| steps(&short));
    let long = middle(|| steps(&long));
    println!("bench script-start {started:.1} us target <=1000");
    println!("bench script-step {short:.1} us target <=1000");
    println!("bench script-step-{kilobytes}-kb-of-history {long:.1} us target <=1000");
    #[cfg(feature = "typescript")]
    {
        let typed = SCRIPT.replace("params, logger }", "params, logger }: AgentStepContext");
        let stripped = middle(|| {
            let start = Instant::now();
            for _ in 0..STARTS {
                script::strip::generator(&typed).unwrap();
            }
            each(start, STARTS)
        });
        println!("bench script-strip {stripped:.1} us");
    }
}

/// The middle of the rounds.
fn middle(round: impl Fn() -> f64) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// Microseconds each since then.
fn each(start: Instant, times: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(times).unwrap())
}

fn start(agent_state: &Value) -> Script {
    let start = Start {
        agent_state: agent_state.clone(),
        prompt: Some("Read the risks".to_owned()),
        params: serde_json::Map::new(),
        model: None,
    };
    Script::start(SCRIPT, &start, &Limits::default()).unwrap()
}

fn resume(agent_state: &Value) -> Resume {
    Resume {
        agent_state: agent_state.clone(),
        tool_result: vec![
            json!({"type": "json", "value": {"text": "fog ice wind and late parts"}}),
        ],
        steps_complete: false,
        n_responses: None,
    }
}

/// A sandbox, its start, its first step and its end.
fn starts(agent_state: &Value) -> f64 {
    let resume = resume(agent_state);
    let begun = Instant::now();
    for _ in 0..STARTS {
        assert!(matches!(
            start(agent_state).resume(&resume),
            Ok(Yield::Tool { .. })
        ));
    }
    each(begun, STARTS)
}

fn steps(agent_state: &Value) -> f64 {
    let resume = resume(agent_state);
    let mut script = start(agent_state);
    let begun = Instant::now();
    for _ in 0..STEPS {
        assert!(matches!(script.resume(&resume), Ok(Yield::Tool { .. })));
    }
    each(begun, STEPS)
}
