//! Scripts that loop, allocate and dig: each ends, soon, with the right name for it.

use std::time::{Duration, Instant};

use domain::agent::script::Yield;
use script::error::{ScriptError, Spent};
use script::limits::Limits;
use script::sandbox::Script;

use crate::play::{first, nothing, small, start, started};

fn of_time(body: &str) {
    let began = Instant::now();
    let error = first(body).unwrap_err();
    assert!(
        matches!(error, ScriptError::OutOfTime(Spent::Fuel(_))),
        "{body}: {error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(20), "{body}");
}

#[test]
fn loops_run_out_of_fuel_whatever_they_catch() {
    for body in [
        "while (true) {}",
        "for (;;) yield* []",
        "while (true) { try { while (true) {} } catch {} }",
        "try { while (true) {} } catch { yield 'STEP' } finally { while (true) {} }",
        "(function f() { try { f() } catch {} while (true) { } })()",
        "const it = { *[Symbol.iterator]() { while (true) yield 1 } }; for (const x of it) ;",
        "const p = new Proxy({}, { get(t, k, r) { while (true) {} } }); p.x",
        "throw { toJSON() { while (true) {} } }",
        "throw Object.defineProperty(new Error(), 'message', { get() { while (true) {} } })",
        "console.log({ toJSON() { while (true) {} } })",
        "yield { get toolName() { while (true) {} } }",
        "yield { toJSON() { while (true) {} } }",
        "new Function('while (true) {}')()",
        "eval('for (;;) {}')",
        "class A { static { while (true) {} } }",
        "const f = async () => { while (true) {} }; f()",
    ] {
        of_time(body);
    }
}

#[test]
fn work_that_the_language_does_for_a_script_is_counted_too() {
    for body in [
        "/^(a+)+$/.test('a'.repeat(40) + 'b')",
        "'a'.repeat(30000).match(/(a*)*b/)",
        "'x'.repeat(1e3).replace(/x/g, () => { while (true) {} })",
        "Array.from({ length: 1e9 }, () => 1).sort(() => Math.sign(1)); ",
        "const a = []; for (let i = 0; i < 1e5; i++) a.push((i * 7919) % 100003); for (;;) a.sort((x, y) => y - x)",
        "[].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
        "[].includes.call({ length: 2 ** 53 - 1 }, 1)",
    ] {
        let began = Instant::now();
        let error = first(body).unwrap_err();
        assert!(
            matches!(
                error,
                ScriptError::OutOfTime(Spent::Fuel(_)) | ScriptError::OutOfMemory { .. }
            ),
            "{body}: {error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(20), "{body}");
    }
}

#[test]
fn memory_has_an_end() {
    for body in [
        "const a = []; while (true) a.push({})",
        "const a = []; while (true) a.push(new Array(1000).fill(1.5))",
        "new Uint8Array(2 ** 30)",
        "const b = new ArrayBuffer(8, { maxByteLength: 2 ** 30 }); try { b.resize(2 ** 29) } catch (e) { throw null }",
        "new Array(2 ** 26).fill(0)",
        "let s = 'x'; while (true) { s += s; s.charCodeAt(0); /x/.test(s) }",
        "'x'.repeat(2 ** 29)",
        "'x'.padEnd(2 ** 29)",
        "new Array(2 ** 24).join('xxxxxxxx')",
        "const m = new Map(); for (let i = 0; ; i++) m.set(i, 'v' + i)",
        "const g = []; while (true) g.push(function* () {}())",
        "const p = []; while (true) p.push(Promise.resolve(1).then(() => 1))",
        "let o = {}; for (let i = 0; ; i++) o['k' + i] = i",
        "Array.from({ length: 2 ** 30 })",
        "yield { toolName: 'x', input: { a: new Array(2 ** 26) } }",
        "let a = ['xxxxxxxx']; for (let i = 0; i < 30; i++) a = [a, a]; yield { toolName: 'x', input: { a } }",
        "JSON.parse('[' + '[],'.repeat(1e6) + '[]]')",
    ] {
        let unfuelled = Limits {
            fuel: u64::MAX,
            ..small()
        };
        let source = format!("function* () {{ {body} }}");
        let mut script = Script::start(&source, &start(), &unfuelled).unwrap();
        let said = script.resume(&nothing());
        assert!(
            matches!(said, Err(ScriptError::OutOfMemory { limit }) if limit == 8 << 20),
            "{body}: {said:?}"
        );
    }
}

#[test]
fn running_out_of_memory_may_be_caught_and_the_script_goes_on_within_its_bounds() {
    let mut script = started(
        "for (let i = 0; i < 20; i++) { try { 'x'.repeat(2 ** 29); } catch (e) {} try { const a = []; while (true) a.push('y'.repeat(1000) + a.length) } catch {} }
         yield 'STEP'",
    );
    let said = script.resume(&nothing());
    assert!(
        matches!(
            said,
            Ok(Yield::Step) | Err(ScriptError::OutOfMemory { .. } | ScriptError::OutOfTime(_))
        ),
        "{said:?}"
    );
}

#[test]
fn deep_calls_and_deep_values_end_with_a_name() {
    for body in [
        "(function f() { f() })()",
        "const f = n => [n].map(f); f(1)",
        "const p = new Proxy({}, { get(t, k, r) { return r[k] } }); p.x",
        "const o = { toString() { return '' + o } }; '' + o",
        "let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); f()",
        "function* g() { yield* g() } yield* g()",
        "new RegExp('('.repeat(1e5) + ')'.repeat(1e5))",
        "eval('('.repeat(1e5) + '1' + ')'.repeat(1e5))",
        "eval('['.repeat(1e5))",
        "JSON.parse('['.repeat(1e6))",
        "class A { constructor() { new A() } } new A()",
        "const a = []; a[0] = a; a.flat(Infinity)",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; JSON.stringify(a)",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; yield a",
        "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; '' + a",
    ] {
        let error = first(body).unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(
                error,
                ScriptError::OutOfStack
                    | ScriptError::OutOfMemory { .. }
                    | ScriptError::OutOfTime(_)
            ) || said.contains("SyntaxError")
                || said.contains("nesting"),
            "{body}: {error:?}"
        );
    }
    assert_eq!(
        first("(function f() { f() })()"),
        Err(ScriptError::OutOfStack)
    );
    // Deep values are also taken apart without deep calls.
    assert_eq!(
        first("let a = []; for (let i = 0; i < 2e4; i++) a = [a]; a = null; yield 'STEP'"),
        Ok(Yield::Step)
    );
    assert_eq!(
        first(
            "let s = ''; for (let i = 0; i < 2e4; i++) s = 'a' + s + 'b'; yield s.length === 4e4 && s[5] === 'a' ? 'STEP' : 5"
        ),
        Ok(Yield::Step)
    );
}

#[test]
fn too_much_out_is_refused() {
    let limits = Limits {
        output_bytes: 1_000,
        ..small()
    };
    let source = "function* () { yield { toolName: 'x', input: { a: 'y'.repeat(1000) } } }";
    let error = Script::start(source, &start(), &limits)
        .unwrap()
        .resume(&nothing())
        .unwrap_err();
    assert!(
        matches!(error, ScriptError::TooLarge { limit: 1_000, .. }),
        "{error:?}"
    );
}

#[test]
fn each_step_has_all_its_fuel_and_the_start_has_its_own() {
    let mut script =
        started("for (let i = 0; i < 5; i++) { for (let j = 0; j < 15e5; j++); yield 'STEP' }");
    for _ in 0..5 {
        assert_eq!(script.resume(&nothing()), Ok(Yield::Step));
    }
    let source = "function* ({ a = (() => { while (true) {} })() }) { yield 'STEP' }";
    let error = Script::start(source, &start(), &small()).unwrap_err();
    assert!(matches!(error, ScriptError::OutOfTime(_)), "{error:?}");
}

#[test]
fn time_bounds_what_fuel_does_not() {
    let limits = Limits {
        fuel: u64::MAX,
        step_time: Duration::from_millis(200),
        ..small()
    };
    let began = Instant::now();
    let error = Script::start("function* () { while (true) {} }", &start(), &limits)
        .unwrap()
        .resume(&nothing())
        .unwrap_err();
    assert!(
        matches!(error, ScriptError::OutOfTime(Spent::Time(_))),
        "{error:?}"
    );
    assert!(error.may_pass());
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn whatever_the_heap_a_script_ends_with_an_answer_and_never_with_the_program() {
    let source = "function* () {
        const seen = [];
        try { for (let i = 0; i < 2000; i++) seen.push({ i, text: 'x'.repeat(i), at: new Map([[i, [i]]]), run: async function* () { yield i } }); }
        catch (e) { yield { toolName: 'tell', input: { caught: String(e) } } }
        const asyncs = seen.slice(0, 5).map(s => s.run().next());
        new RegExp('(a|b)*c').exec('abc'.repeat(100));
        yield { toolName: 'tell', input: { asyncs: asyncs.length, seen } };
    }";
    let mut out_of_memory = 0;
    let mut yielded = 0;
    for heap_bytes in (0..120).map(|n| 20_000 + n * n * 400) {
        let limits = Limits {
            heap_bytes,
            ..small()
        };
        let said = Script::start(source, &start(), &limits)
            .and_then(|mut script| script.resume(&nothing()));
        match said {
            Ok(Yield::Tool { .. }) => yielded += 1,
            Err(ScriptError::OutOfMemory { .. }) => out_of_memory += 1,
            other => panic!("{heap_bytes}: {other:?}"),
        }
    }
    assert!(
        out_of_memory > 10 && yielded > 10,
        "{out_of_memory} {yielded}"
    );
}
