//! Times a script: a sandbox made and started, and its steps, with a short history and with long ones, looked at or not.

#![allow(clippy::print_stdout, reason = "a bench speaks by printing")]
#![allow(clippy::unwrap_used, reason = "a broken bench is to stop")]

use std::time::Instant;

use domain::agent::script::{News, Resume, Start, Yield};
use script::limits::Limits;
use script::sandbox::Script;
use serde_json::json;

/// Steps of each kind in a round.
const STEPS: usize = 500;

/// Steps over a long history, each of which adds to it.
const LONG_STEPS: usize = 100;

const STARTS: usize = 200;

/// Bytes of a message: what a tool gives at most.
const MESSAGE: usize = 16 << 10;

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

/// The same that also looks at the last message and counts them.
fn looking() -> String {
    SCRIPT.replace("const { toolResult, stepsComplete }", "const { toolResult, agentState: now }").replace(
        "for (const { value } of toolResult)",
        "const { messageHistory } = now; seen.set('last', messageHistory.at(-1)?.content.length); seen.set('all', messageHistory.length);
        for (const { value } of toolResult)",
    )
}

fn main() {
    let started = middle(starts);
    let short = middle(|| steps(SCRIPT, 0, STEPS));
    println!("bench script-start {started:.1} us target <=1000");
    println!("bench script-step {short:.1} us target <=1000");
    for megabytes in [1, 5] {
        let long = middle(|| steps(SCRIPT, megabytes, LONG_STEPS));
        let looked = middle(|| steps(&looking(), megabytes, LONG_STEPS));
        println!("bench script-step-{megabytes}-mb-of-history {long:.1} us target <=1000");
        println!("bench script-step-{megabytes}-mb-looked-at {looked:.1} us target <=1000");
    }
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

fn start(source: &str) -> Script {
    let start = Start {
        agent_state: json!({"agentId": "risk-reader", "runId": "r"}),
        news: News::default(),
        prompt: Some("Read the risks".to_owned()),
        params: serde_json::Map::new(),
        model: None,
    };
    Script::start(source, &start, &Limits::default()).unwrap()
}

/// So many new messages behind `kept`.
fn resume(kept: usize, new: usize) -> Resume {
    let text = "What a tool says of a plan. ".repeat(MESSAGE / 28);
    let message = json!({"role": "tool", "content": [{"type": "json", "value": text}]});
    Resume {
        news: News {
            state: serde_json::Map::new(),
            kept,
            messages: vec![message.to_string(); new],
        },
        tool_result: vec![
            json!({"type": "json", "value": {"text": "fog ice wind and late parts"}}),
        ],
        steps_complete: false,
        n_responses: None,
    }
}

/// A sandbox, its start, its first step and its end.
fn starts() -> f64 {
    let resume = resume(0, 0);
    let begun = Instant::now();
    for _ in 0..STARTS {
        assert!(matches!(
            start(SCRIPT).resume(&resume),
            Ok(Yield::Tool { .. })
        ));
    }
    each(begun, STARTS)
}

/// Steps over a history of so many megabytes, to which each adds a message if there is one at all.
fn steps(source: &str, megabytes: usize, times: usize) -> f64 {
    let mut script = start(source);
    let before = megabytes * (1 << 20) / MESSAGE;
    for resume in [resume(0, before), resume(before, 0)] {
        assert!(matches!(script.resume(&resume), Ok(Yield::Tool { .. })));
    }
    let resumes: Vec<Resume> = (0..times)
        .map(|n| match before {
            0 => resume(0, 0),
            _ => resume(before + n, 1),
        })
        .collect();
    let begun = Instant::now();
    for resume in &resumes {
        assert!(matches!(script.resume(resume), Ok(Yield::Tool { .. })));
    }
    each(begun, times)
}
