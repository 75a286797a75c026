//! Scripts with types.

use std::time::{Duration, Instant};

use domain::agent::script::Yield;
use script::error::ScriptError;
use script::sandbox::{Script, check};
use script::strip;

use crate::play::{nothing, small, start};

const TYPED: &str = "function* ({ agentState, prompt, params }: AgentStepContext): Generator<ToolCall | 'STEP', void, any> {
    enum Weight { Low = 1, High = Low * 5 }
    const limits = { days: 30 } as const;
    const names = new Map<string, number>([['a', Weight.High]]);
    type Row = { id: string };
    interface Named { name?: string }
    function pick<T extends Named>(items: T[], at = 0): T | undefined { return items[at]!; }
    const row = pick<{ name: string }>([{ name: 'first' }]) satisfies Named | undefined;
    yield { toolName: 'tell', input: { high: names.get('a')!, days: limits.days, name: row?.name, level: <string>Weight[1] } };
}";

#[test]
fn types_are_stripped_and_what_has_a_meaning_stays() {
    let mut script = Script::start(TYPED, &start(), &small()).unwrap();
    let Ok(Yield::Tool { input, .. }) = script.resume(&nothing()) else {
        panic!("no call")
    };
    assert_eq!(
        input,
        serde_json::json!({"high": 5, "days": 30, "name": "first", "level": "Low"})
    );
    let stripped = strip::generator(TYPED).unwrap();
    assert!(stripped.starts_with("function*") && !stripped.contains("AgentStepContext"));
}

#[test]
fn what_is_neither_is_refused_with_its_line() {
    for bad in [
        "function* (a: ) {\n}",
        "function* (a: string) {\n  const = 3\n}",
        "function* (a: string) {\n} } (",
        "function* (a: string) {} + 1",
        "function* (a: string) { yield 1 }, 5",
    ] {
        let error = check(bad, &small()).unwrap_err();
        assert!(matches!(error, ScriptError::Source(_)), "{bad}: {error:?}");
    }
    let error = check("function* (a: string) {\n  const = 3\n}", &small()).unwrap_err();
    assert!(error.to_string().contains("(line 2)"), "{error}");
}

#[test]
fn nesting_of_every_kind_ends_with_an_answer_and_never_with_the_program() {
    let n = 20_000;
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{", "", "}"),
        ("!", "1", ""),
        ("- ", "1", ""),
        ("a = ", "1", ""),
        ("1 + ", "1", ""),
        ("1 ** ", "1", ""),
        ("a ? 1 : ", "1", ""),
        ("a => ", "1", ""),
        ("`${", "1", "}`"),
        ("if (a) ", ";", ""),
        ("if (a) {} else ", ";", ""),
        ("a(", "1", ")"),
        ("a.", "b", ""),
        ("new ", "A", ""),
        ("({a:", "1", "})"),
        ("async () => ", "1", ""),
        ("let a: A<", "B", ">"),
        ("let a: (", "B", ")"),
        ("let a: ", "B", "[]"),
        ("let a: B extends C ? D : ", "B", ""),
        ("let a: () => ", "B", ""),
        ("<T>", "1", ""),
        ("label: ", ";", ""),
        ("class A extends (", "1", "){}"),
        ("function f() {", "", "}"),
        ("/(", "", ")/"),
        ("for (;;) ", ";", ""),
        ("yield ", "1", ""),
    ] {
        let source = format!(
            "function* (a: any) {{ {}{middle}{} }}",
            open.repeat(n),
            close.repeat(n)
        );
        if source.len() > strip::SOURCE_BYTES {
            let n = strip::SOURCE_BYTES / (open.len() + close.len()) - 50;
            let source = format!(
                "function* (a: any) {{ {}{middle}{} }}",
                open.repeat(n),
                close.repeat(n)
            );
            let _ = strip::generator(&source);
            continue;
        }
        let began = Instant::now();
        // Whether it can be read is not the question.
        let stripped = strip::generator(&source);
        assert!(began.elapsed() < Duration::from_secs(30), "{open}");
        if let Ok(stripped) = stripped {
            assert!(stripped.len() < 4_000_000, "{open}: {}", stripped.len());
        }
        let _ = check(&source, &small());
    }
}

#[test]
fn a_longer_text_than_can_be_read_is_refused() {
    let long = format!(
        "function* (a: any) {{ {} }}",
        " ".repeat(strip::SOURCE_BYTES)
    );
    assert!(matches!(
        strip::generator(&long),
        Err(ScriptError::TooLarge { .. })
    ));
}
