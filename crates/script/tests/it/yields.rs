//! Whatever else a script yields or throws.

use script::error::ScriptError;

use crate::play::{first, nothing, started, told};
use serde_json::json;

#[test]
fn nonsense_is_an_invalid_yield_that_says_what_came() {
    for (body, says) in [
        ("yield", "undefined"),
        ("yield null", "Received: null"),
        ("yield 5", "Received: 5"),
        ("yield NaN", "Received: null"),
        ("yield 'STOP'", "Received: \"STOP\""),
        ("yield ['STEP']", "Received: [\"STEP\"]"),
        ("yield {}", "toolName"),
        ("yield { type: 'STEP' }", "toolName"),
        ("yield { type: 'STEP_TEXT', text: 5 }", "`text`"),
        ("yield { type: 'GENERATE_N' }", "`n`"),
        ("yield { type: 'GENERATE_N', n: 0 }", "`n`"),
        ("yield { type: 'GENERATE_N', n: 1.5 }", "`n`"),
        ("yield { type: 'GENERATE_N', n: 1e300 }", "`n`"),
        ("yield { type: 'GENERATE_N', n: '3' }", "`n`"),
        ("yield { toolName: '', input: {} }", "`toolName`"),
        ("yield { toolName: 7, input: {} }", "`toolName`"),
        ("yield { toolName: 'x' }", "`input`"),
        ("yield { toolName: 'x', input: [1] }", "`input`"),
        (
            "yield { toolName: 'x', input: {}, includeToolCall: 'no' }",
            "`includeToolCall`",
        ),
        ("yield Promise.resolve('STEP')", "a promise"),
        ("yield (async () => 'STEP')()", "a promise"),
        ("yield () => 'STEP'", "a function"),
        ("yield Symbol('STEP')", "a symbol"),
        ("yield 12n", "a BigInt"),
        ("yield { toolName: 'x', input: { n: 12n } }", "BigInt"),
        ("const a = {}; a.a = a; yield a", "circular"),
        (
            "yield { toolName: 'x', get input() { throw new Error('no input') } }",
            "no input",
        ),
        ("yield { toJSON() { return undefined } }", "undefined"),
        ("yield { toJSON() { throw undefined } }", "undefined"),
        (
            "yield new Proxy({}, { ownKeys() { throw 'trap' } })",
            "trap",
        ),
        (
            "let a = []; for (let i = 0; i < 400; i++) a = [a]; yield { toolName: 'x', input: { a } }",
            "nesting",
        ),
        ("yield 'x'.repeat(5000)", "…"),
    ] {
        let error = first(body).unwrap_err();
        assert!(
            matches!(error, ScriptError::InvalidYield(_)),
            "{body}: {error:?}"
        );
        let said = error.to_string();
        assert!(said.contains(says), "{body}: {said}");
        assert!(said.len() < 1_000, "{body}: {said}");
    }
}

#[test]
fn whatever_is_thrown_is_told_without_a_look_inside_of_us() {
    for (body, says) in [
        (
            "throw new TypeError('bad plan')",
            "TypeError: bad plan (line 1)",
        ),
        ("null.x", "TypeError: "),
        ("throw undefined", "undefined"),
        ("throw 'text'", "text"),
        ("throw 5", "5"),
        ("throw { code: 3 }", "{\"code\":3}"),
        ("throw Symbol('s')", "a symbol"),
        ("throw 5n", "a BigInt"),
        ("throw () => 1", "a function"),
        (
            "throw { toString() { throw 1 }, toJSON() { throw 2 } }",
            "cannot be shown",
        ),
        (
            "throw new Proxy({}, { get() { throw 1 }, ownKeys() { throw 1 }, getPrototypeOf() { throw 1 } })",
            "cannot be shown",
        ),
        (
            "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw e } }); throw e",
            "Error",
        ),
        (
            "const e = new Error('x'); Object.defineProperty(e, 'name', { get() { throw null } }); throw e",
            "x",
        ),
        (
            "const e = new Error(''); e.name = ''; Object.defineProperty(e, 'stack', { value: 5 }); throw e",
            "an error without a message",
        ),
        (
            "throw Object.assign(new Error('m'), { message: { toString() { throw 1 } } })",
            "Error",
        ),
        ("throw Promise.reject(1)", "{}"),
        (
            "const r = Proxy.revocable({}, {}); r.revoke(); throw r.proxy",
            "cannot be shown",
        ),
        ("throw 'lost half \\ud83d'", "lost half \u{fffd}"),
        ("throw new Error('m'.repeat(1e6))", "…"),
    ] {
        let error = first(body).unwrap_err();
        assert!(
            matches!(error, ScriptError::Threw { .. }),
            "{body}: {error:?}"
        );
        let said = error.to_string();
        assert!(said.contains(says), "{body}: {said}");
        assert!(said.len() < 5_000, "{body}: {said}");
        for inside in [".rs", "/home", "native", "quickjs", "rquickjs"] {
            assert!(!said.contains(inside), "{body}: {said}");
        }
    }
}

#[test]
fn null_is_what_the_engine_throws_when_it_has_no_memory_for_words() {
    assert!(matches!(
        first("throw null"),
        Err(ScriptError::OutOfMemory { .. })
    ));
}

#[test]
fn a_script_that_failed_is_over_and_says_so_again() {
    let mut script = started("try { yield 5 } finally { yield 'STEP' }");
    let error = script.resume(&nothing()).unwrap_err();
    assert_eq!(script.resume(&nothing()), Err(error));
}

#[test]
fn a_script_that_does_nothing_is_done() {
    assert_eq!(first(""), Ok(domain::agent::script::Yield::Done));
    assert_eq!(first("return 5"), Ok(domain::agent::script::Yield::Done));
}

#[test]
fn half_characters_become_replacement_characters() {
    assert_eq!(
        told(
            "yield { toolName: 'tell', input: { cut: 'Preis 😀'.slice(0, 7), ['k\\udc00']: '😀' } }"
        ),
        json!({"cut": "Preis \u{fffd}", "k\u{fffd}": "😀"})
    );
}
