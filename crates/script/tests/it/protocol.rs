//! What goes in, and when.

use domain::agent::script::{Start, Yield};
use script::error::ScriptError;
use script::limits::Limits;
use script::sandbox::{Script, check};
use script::source;
use serde_json::{Value, json};

use crate::play::{given, nothing, small, start, started};

fn params(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[test]
fn a_script_is_called_with_its_start_and_resumed_with_what_its_calls_gave() {
    let source = "function* ({ agentState, prompt, params, model }) {
        const { toolResult, stepsComplete, agentState: later } = yield {
            toolName: 'read_artifact', input: { prompt, model, name: params.name, by: agentState.agentId } };
        yield { toolName: 'set_output', input: { got: toolResult[0].value.text, stepsComplete, later: later.agentId }, includeToolCall: false };
    }";
    let start = Start {
        prompt: Some("Look at the risks".to_owned()),
        params: params(json!({"name": "risks.json"})),
        model: Some("scripted".to_owned()),
        ..start()
    };
    let mut script = Script::start(source, &start, &Limits::default()).unwrap();
    assert_eq!(
        script.resume(&nothing()).unwrap(),
        Yield::Tool {
            tool_name: "read_artifact".to_owned(),
            input: json!({"prompt": "Look at the risks", "model": "scripted", "name": "risks.json", "by": "risk-reader"}),
            include_tool_call: true,
        }
    );
    assert_eq!(
        script
            .resume(&given(json!({"text": "Zoll\u{0000} 😀 \"hält\""})))
            .unwrap(),
        Yield::Tool {
            tool_name: "set_output".to_owned(),
            input: json!({"got": "Zoll\u{0000} 😀 \"hält\"", "stepsComplete": false, "later": "risk-reader"}),
            include_tool_call: false,
        }
    );
    assert_eq!(script.resume(&nothing()).unwrap(), Yield::Done);
    assert_eq!(
        script.resume(&nothing()).unwrap(),
        Yield::Done,
        "and stays done"
    );
}

#[test]
fn what_is_not_given_is_undefined_so_that_defaults_hold() {
    let source = "function* ({ prompt = 'none', model = 'any', params }) {
        const { nResponses = ['nothing'] } = yield { toolName: 'tell', input: { prompt, model, params } };
        yield { toolName: 'tell', input: { nResponses } };
    }";
    let mut script = Script::start(source, &start(), &small()).unwrap();
    let Yield::Tool { input, .. } = script.resume(&nothing()).unwrap() else {
        panic!("no call")
    };
    assert_eq!(
        input,
        json!({"prompt": "none", "model": "any", "params": {}})
    );
    let Yield::Tool { input, .. } = script.resume(&nothing()).unwrap() else {
        panic!("no call")
    };
    assert_eq!(input, json!({"nResponses": ["nothing"]}));
}

#[test]
fn all_six_yields_come_out() {
    let mut script = started(
        "yield 'STEP'; yield 'STEP_ALL'; yield { type: 'STEP_TEXT', text: 'Said.' };
         const { nResponses } = yield { type: 'GENERATE_N', n: 3 };
         yield { toolName: 'end_turn', input: {} , note: nResponses };",
    );
    let mut next = || script.resume(&nothing()).unwrap();
    assert_eq!(next(), Yield::Step);
    assert_eq!(next(), Yield::StepAll);
    assert_eq!(next(), Yield::StepText("Said.".to_owned()));
    assert_eq!(next(), Yield::GenerateN(3));
    assert!(matches!(next(), Yield::Tool { tool_name, .. } if tool_name == "end_turn"));
    assert_eq!(next(), Yield::Done);
}

#[test]
fn a_source_is_a_generator_function_as_text_or_nothing() {
    assert_eq!(source::generator(" \n "), Ok(None));
    for good in [
        "function* () {}",
        "  function*named({a}) { yield 'STEP' }",
        "function* () {} // end\n",
        "function*(){};",
    ] {
        assert!(source::generator(good).unwrap().is_some(), "{good}");
        assert_eq!(check(good, &small()), Ok(()), "{good}");
    }
    for (bad, why) in [
        ("function *x() {}", "no space may stand"),
        ("async function* () {}", "async generator"),
        ("function () {}", "a plain function"),
        ("() => 1", "it is no function"),
        ("({ *x() {} })", "it is no function"),
    ] {
        let Err(ScriptError::Source(said)) = check(bad, &small()) else {
            panic!("`{bad}` was taken")
        };
        assert!(said.contains(why) && said.contains("`function*`"), "{said}");
    }
    assert!(matches!(check("", &small()), Err(ScriptError::Source(_))));
}

#[test]
fn a_source_that_is_no_javascript_is_refused_with_the_line() {
    for bad in [
        "function* () {\n yield 'STEP'\n const = 3 }",
        "function* () { yield 'STEP' ",
        "function* () {}.constructor",
        "function* () {}, 5",
        "function* () { await x }",
        "function* () { import 'fs' }",
        "function* \0() {}",
    ] {
        let error = check(bad, &small()).unwrap_err();
        assert!(matches!(error, ScriptError::Source(_)), "{bad}: {error:?}");
    }
    let error = check("function* () {\n yield 'STEP'\n const = 3 }", &small()).unwrap_err();
    assert!(error.to_string().contains("(line 3)"), "{error}");
}

#[test]
fn too_much_text_is_refused_before_anything_is_made_of_it() {
    let limits = script::limits::Limits {
        source_bytes: 100,
        input_bytes: 500,
        ..small()
    };
    let long = format!("function* () {{ return {:?} }}", "x".repeat(100));
    assert!(matches!(
        check(&long, &limits),
        Err(ScriptError::TooLarge { limit: 100, .. })
    ));
    let mut script = Script::start("function* () { yield 'STEP' }", &start(), &limits).unwrap();
    let error = script.resume(&given(json!("y".repeat(500)))).unwrap_err();
    assert!(
        matches!(error, ScriptError::TooLarge { limit: 500, .. }),
        "{error:?}"
    );
}

#[test]
fn what_a_script_logs_is_handed_over_in_bounds() {
    let mut script = started(
        "console.log('a', 1, { b: [2] }, undefined, () => 1); logger.info({ n: 1 }, 'info');
         logger.error(new TypeError('x'));
         const loop = {}; loop.loop = loop; console.warn(loop, 12n, Symbol('s'));
         console.log('z'.repeat(1e6));
         yield 'STEP'; for (let i = 0; i < 500; i++) console.debug(i); yield 'STEP'",
    );
    script.resume(&nothing()).unwrap();
    let lines = script.take_lines();
    let of = |at: usize| (lines[at].level, lines[at].text.as_str());
    assert_eq!(of(0), ("info", "a 1 {\"b\":[2]} undefined a function"));
    assert_eq!(of(1), ("info", "{\"n\":1} info"));
    assert!(lines[2].text.starts_with("TypeError: x"));
    assert_eq!(
        of(3),
        ("warn", "an object that cannot be shown a BigInt a symbol")
    );
    assert_eq!(lines[4].text.chars().count(), 2_001);
    script.resume(&nothing()).unwrap();
    let lines = script.take_lines();
    assert_eq!(lines.len(), 201);
    assert_eq!(lines[200].text, "300 more lines");
    assert!(script.take_lines().is_empty());
}

#[test]
fn a_state_is_an_ordinary_value_whenever_it_is_looked_at() {
    let mut script = started(
        "const first = JSON.stringify(agentState); const given = yield 'STEP';
         JSON.parse = null; Object.defineProperty = null;
         const same = given.agentState === given.agentState; given.agentState.agentId = 'changed';
         const copy = { ...given }; const keys = Object.keys(given).sort();
         const other = yield 'STEP'; other.agentState = 5;
         yield { toolName: 'tell', input: { first, same, changed: copy.agentState.agentId, keys, replaced: other.agentState } }",
    );
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    let Ok(Yield::Tool { input, .. }) = script.resume(&nothing()) else {
        panic!("no call")
    };
    assert_eq!(
        input,
        json!({
            "first": "{\"agentId\":\"risk-reader\",\"messageHistory\":[]}", "same": true, "changed": "changed",
            "keys": ["agentState", "stepsComplete", "toolResult"], "replaced": 5
        })
    );
}
