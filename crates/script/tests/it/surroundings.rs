//! What a script finds around it, and what it can do to it.

use domain::agent::script::Yield;
use serde_json::json;

use crate::play::{first, given, nothing, started, told};

/// Everything of the language that a script can name. A new version of the engine that brings more is looked at before it is let in.
const NAMES: &str = "AggregateError Array ArrayBuffer AsyncDisposableStack BigInt BigInt64Array BigUint64Array Boolean DataView Date \
    DisposableStack Error EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array \
    InternalError Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String \
    SuppressedError Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet \
    console decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN \
    parseFloat parseInt undefined unescape";

#[test]
fn nothing_is_there_but_the_language() {
    let names = told(
        "yield { toolName: 'tell', input: { names: Object.getOwnPropertyNames(globalThis).sort().join(' ') } }",
    );
    assert_eq!(names["names"].as_str().unwrap(), NAMES);
}

#[test]
fn neither_time_nor_chance_nor_the_outside_can_be_reached() {
    for body in [
        "Date.now()",
        "new Date()",
        "new Date(0)",
        "Date()",
        "Math.random()",
        "performance.now()",
        "setTimeout(() => 1, 1)",
        "fetch('http://127.0.0.1')",
        "require('fs')",
        "process.exit(1)",
        "std.exit(1)",
        "Deno.exit(1)",
        "new SharedArrayBuffer(8)",
        "Atomics.wait(new Int32Array(8), 0, 0)",
        "new WeakRef({})",
        "new Worker('x')",
        "queueMicrotask(() => 1)",
        "new (Object.getPrototypeOf(async function* () {}).constructor)('yield')().next().then().x.y",
    ] {
        let error = first(body).unwrap_err().to_string();
        assert!(error.starts_with("the script threw"), "{body}: {error}");
    }
    assert!(
        first("new Date()")
            .unwrap_err()
            .to_string()
            .contains("Date is not available")
    );
}

#[test]
fn an_import_finds_nothing() {
    assert_eq!(
        first("import('fs').then(() => { throw 1 }); yield 'STEP'"),
        Ok(Yield::Step)
    );
}

#[test]
fn what_is_promised_never_happens() {
    let mut script =
        started("Promise.resolve().then(() => { while (true) {} }); yield 'STEP'; yield 'STEP'");
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
}

#[test]
fn poison_between_steps_reaches_neither_what_comes_in_nor_what_goes_out() {
    let mut script = started(
        "JSON.stringify = () => '\"STOP\"'; JSON.parse = () => { throw 1 }; globalThis.JSON = null;
         Array.prototype.push = Array.prototype.map = Array.prototype.join = () => { throw 2 };
         for (const name of ['value', 'done', 'agentState', 'toolResult', 'stepsComplete', 'type', 'logger', 'then'])
           Object.defineProperty(Object.prototype, name, { __proto__: null, get() { return 'poison' }, set() { throw 3 }, configurable: true });
         Array.prototype[Symbol.iterator] = function* () { while (true) {} };
         const all = Object.getPrototypeOf(function* () {}).prototype;
         all.next = () => ({ value: 'STEP_ALL', done: false }); all.return = all.throw = null;
         Object.freeze(Object.prototype); Object.freeze(Array.prototype);
         globalThis.Object = globalThis.Array = globalThis.Error = globalThis.Function = undefined;
         const got = yield 'STEP';
         const value = got.toolResult[0].value;
         yield { toolName: 'tell', input: { value, own: got.stepsComplete } };",
    );
    assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    assert_eq!(
        script.resume(&given(json!({"list": [1, 2]}))),
        Ok(Yield::Tool {
            tool_name: "tell".to_owned(),
            input: json!({"value": {"list": [1, 2]}, "own": false}),
            include_tool_call: true,
        })
    );
    assert_eq!(script.resume(&nothing()), Ok(Yield::Done));
}

#[test]
fn poisoned_errors_are_told_all_the_same() {
    let error = first(
        "Error.prototype.toString = () => { throw 1 }; Error.prepareStackTrace = () => { throw 2 };
         Object.defineProperty(Error.prototype, 'name', { get() { while (true) {} } });
         Object.defineProperty(TypeError.prototype, 'name', { value: 'Named' });
         null.x",
    )
    .unwrap_err();
    assert!(error.to_string().contains("Named: "), "{error}");
}

#[test]
fn what_a_script_does_to_its_state_stays_with_it() {
    let mut script = started(
        "agentState.agentId = 'other'; const { agentState: again } = yield 'STEP';
         yield { toolName: 'tell', input: { again: again.agentId, mine: agentState.agentId } }",
    );
    script.resume(&nothing()).unwrap();
    let Ok(Yield::Tool { input, .. }) = script.resume(&nothing()) else {
        panic!("no call")
    };
    assert_eq!(input, json!({"again": "risk-reader", "mine": "other"}));
}
