//! The same script with the same answers gives the same yields: a conversation is rebuilt from them after a crash.

use domain::agent::script::{Resume, Yield};
use proptest::prelude::*;
use script::error::ScriptError;
use script::sandbox::Script;
use serde_json::json;

use crate::play::{nothing, small, start};

/// A script whose every yield depends on all that it was answered, on the order of its collections, its sorting, its
/// garbage, its loops and on when its fuel ends.
const SCRIPT: &str = "function* ({ logger }) {
    const heard = []; const words = new Map(); let sum = 7;
    for (let turn = 0; ; turn++) {
        const { toolResult, stepsComplete, nResponses } = yield (
            sum % 5 === 0 ? 'STEP' : sum % 5 === 1 ? 'STEP_ALL'
            : sum % 5 === 2 ? { type: 'STEP_TEXT', text: [...words].sort().join() + Object.keys({ ...Object.fromEntries(words) }) }
            : sum % 5 === 3 ? { type: 'GENERATE_N', n: 1 + sum % 9 }
            : { toolName: 'tell', input: { sum, heard: heard.slice(-5), sines: heard.map(h => Math.sin(h)) } });
        const text = JSON.stringify([toolResult, stepsComplete, nResponses]);
        for (const c of text) { words.set(c, (words.get(c) ?? 0) + 1); sum = (sum * 31 + c.charCodeAt(0)) >>> 0; }
        heard.push(sum); logger.info(sum);
        for (let i = 0; i < sum % 3000; i++) heard.x = { i, a: [heard] };
        heard.sort((a, b) => a % 7 - b % 7);
        if (sum % 97 === 0) throw new Error('sum ' + sum);
        if (sum % 89 === 0) while (true) sum++;
        if (sum % 83 === 0) return;
    }
}";

fn answer() -> impl Strategy<Value = Resume> {
    let results = proptest::collection::vec(("[a-zä😀]{0,6}", any::<i32>()), 0..3);
    let alternatives = proptest::option::of(proptest::collection::vec("[a-c]{0,3}", 0..3));
    (results, any::<bool>(), alternatives).prop_map(|(results, steps_complete, n_responses)| {
        let value =
            |(text, number)| json!({"type": "json", "value": {"text": text, "number": number}});
        Resume {
            tool_result: results.into_iter().map(value).collect(),
            steps_complete,
            n_responses,
            ..nothing()
        }
    })
}

type Said = Vec<(Result<Yield, ScriptError>, usize)>;

fn play(answers: &[Resume]) -> Said {
    let mut script = Script::start(SCRIPT, &start(), &small()).unwrap();
    let each = answers
        .iter()
        .map(|answer| (script.resume(answer), script.take_lines().len()));
    each.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn two_sandboxes_that_hear_the_same_say_the_same(answers in proptest::collection::vec(answer(), 1..25)) {
        let once = play(&answers);
        let other = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| play(&answers))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<Said>>()
        });
        for said in other {
            prop_assert_eq!(&once, &said);
        }
    }
}
