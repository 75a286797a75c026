//! Codebuff's definition files.

use domain::agent::script::{Start, Yield};
use script::codebuff_file::read;
use script::error::ScriptError;
use script::sandbox::Script;
use serde_json::{Value, json};

use crate::play::{given, nothing, small, start};

const REVIEWER: &str =
    "import type { AgentDefinition, AgentStepContext } from './types/agent-definition'
import { type ToolCall } from './types/agent-definition'

/** Looks at the risks, then at what is missing. */
const definition: AgentDefinition = {
  id: 'risk-reviewer',
  displayName: 'Risk Reviewer',
  model: 'anthropic/claude-sonnet-4',
  toolNames: ['read_files', 'set_output'] as const,
  outputMode: 'structured_output',
  outputSchema: { type: 'object', properties: { risks: { type: 'array' } } },
  instructionsPrompt: `Name every risk.
Quote it.`,
  handleSteps: function* ({ agentState, prompt, params, logger }: AgentStepContext) {
    logger.info('begins')
    const { toolResult } = yield {
      toolName: 'read_files',
      input: { paths: ['risks.json'] },
    } satisfies ToolCall
    const found = toolResult[0] as { value: { risks: string[] } }
    for (const risk of found.value.risks) {
      yield { type: 'STEP_TEXT', text: `Risk: ${risk}` }
    }
    yield 'STEP_ALL'
  },
}

export default definition
";

fn play(definition: &Value, answers: usize) -> Vec<Yield> {
    let source = definition["handleSteps"].as_str().unwrap();
    let mut script = Script::start(source, &start(), &small()).unwrap();
    let mut said = vec![script.resume(&nothing()).unwrap()];
    for _ in 1..answers {
        said.push(
            script
                .resume(&given(json!({"risks": ["fog", "ice"]})))
                .unwrap(),
        );
    }
    said
}

#[test]
fn a_typescript_definition_loads_unchanged_and_its_generator_plays() {
    let definition = read("risk-reviewer.ts", REVIEWER, &small()).unwrap();
    assert_eq!(definition["id"], "risk-reviewer");
    assert_eq!(definition["toolNames"], json!(["read_files", "set_output"]));
    assert_eq!(
        definition["instructionsPrompt"],
        "Name every risk.\nQuote it."
    );
    assert_eq!(
        definition["outputSchema"]["properties"]["risks"]["type"],
        "array"
    );
    let said = play(&definition, 5);
    assert!(matches!(&said[0], Yield::Tool { tool_name, .. } if tool_name == "read_files"));
    assert_eq!(said[1], Yield::StepText("Risk: fog".to_owned()));
    assert_eq!(said[2], Yield::StepText("Risk: ice".to_owned()));
    assert_eq!(said[3..], [Yield::StepAll, Yield::Done]);
}

/// What stands around a generator, and what is told of an error in it: the line of the file, where the generator needs its module,
/// else its own.
#[test]
fn an_error_names_the_line_of_the_file() {
    let with_module = "// Looks at risks.
const { most } = {
  most: 3,
}

function worst(risks) {
  // Nobody has looked.
  return risks.worst.slice(0, most)
}

export default {
  id: 'a',
  handleSteps: function *({ prompt }) {
    if (prompt === 'here') {
      throw new Error('seen')
    }
    worst({})
  },
}
";
    let alone = "/* One. */ export default {
  id: 'a',
  * handleSteps() {
    // It begins in line 3.
    null.risks
  },
}
";
    let thrown = |text: &str, prompt: Option<&str>| {
        let definition = read("a.js", text, &small()).unwrap();
        let source = definition["handleSteps"].as_str().unwrap();
        let start = Start {
            prompt: prompt.map(ToOwned::to_owned),
            ..start()
        };
        let mut script = Script::start(source, &start, &small()).unwrap();
        script.resume(&nothing()).unwrap_err().to_string()
    };
    let says = thrown(with_module, None);
    assert!(says.ends_with("(line 8)"), "{says}");
    let says = thrown(with_module, Some("here"));
    assert!(says.ends_with("Error: seen (line 15)"), "{says}");
    let says = thrown(alone, None);
    assert!(says.ends_with("(line 3)"), "{says}");
    let error = read(
        "a.js",
        "export const a = 1\n\nthrow new Error('no')\n",
        &small(),
    );
    let says = error.unwrap_err().to_string();
    assert!(says.ends_with("Error: no (line 3)"), "{says}");
}

#[test]
fn every_way_of_exporting_by_default_is_understood() {
    for (name, text) in [
        (
            "a.ts",
            "export default { id: 'a', model: 'm' } satisfies AgentDefinition",
        ),
        (
            "a.ts",
            "const d: D = { id: 'a', model: 'm' }; export default d",
        ),
        (
            "a.ts",
            "const d = { id: 'a', model: 'm' }; export { d as default, d as other }",
        ),
        (
            "a.ts",
            "export { d as default }; export const d = { id: 'a', model: 'm' }",
        ),
        (
            "a.mjs",
            "const d = { id: 'a', model: 'm' }\nexport default d",
        ),
        ("a.js", "module.exports = { id: 'a', model: 'm' }"),
        (
            "a.cjs",
            "'use strict'; exports.default = { id: 'a', model: 'm' }",
        ),
        ("a.json", "{ \"id\": \"a\", \"model\": \"m\" }"),
        (
            "a.ts",
            "enum M { a = 'm' } const make = (id: string) => ({ id, model: M.a, handleSteps: undefined }); export default make('a')",
        ),
        (
            "a.ts",
            "export default Object.freeze({ id: 'a', model: 'm', handleSteps: '' })",
        ),
    ] {
        assert_eq!(
            read(name, text, &small()),
            Ok(json!({"id": "a", "model": "m"})),
            "{text}"
        );
    }
}

#[test]
fn every_way_of_writing_a_generator_is_understood() {
    for handle_steps in [
        "handleSteps: function* () { yield 'STEP' }",
        "handleSteps: function *() { yield 'STEP' }",
        "handleSteps: function* steps() { yield 'STEP' }",
        "*handleSteps() { yield 'STEP' }",
        "handleSteps: \"function* () { yield 'STEP' }\"",
        "handleSteps: function* ({ params }: Context) { const n: number = 1; yield 'STEP' }",
    ] {
        let definition = read(
            "a.ts",
            &format!("export default {{ id: 'a', {handle_steps} }}"),
            &small(),
        );
        assert_eq!(
            play(&definition.unwrap(), 2),
            [Yield::Step, Yield::Done],
            "{handle_steps}"
        );
    }
    for handle_steps in [
        "handleSteps: async function* () { yield 'STEP' }",
        "handleSteps: () => 1",
        "handleSteps() {}",
        "handleSteps: class {}",
        "handleSteps: 'function () {}'",
        "handleSteps: 'function* ( {'",
        "handleSteps: Array.prototype.values",
    ] {
        let error = read(
            "a.ts",
            &format!("export default {{ id: 'a', {handle_steps} }}"),
            &small(),
        )
        .unwrap_err();
        assert!(
            matches!(error, ScriptError::Source(_)),
            "{handle_steps}: {error:?}"
        );
    }
}

#[test]
fn what_a_generator_takes_from_its_module_comes_with_it() {
    let text = "const LIMIT: number = 2
        export function shout(text: string) { return text.toUpperCase() + LIMIT }
        const make = (word: string) => ({
          id: 'a',
          handleSteps: function* ({ prompt }: any) {
            for (let i = 0; i < LIMIT; i++) yield { type: 'STEP_TEXT', text: shout(word + (prompt ?? '')) }
          },
        })
        export default make('go')";
    let definition = read("a.ts", text, &small()).unwrap();
    let said = Yield::StepText("GO2".to_owned());
    assert_eq!(play(&definition, 3), [said.clone(), said, Yield::Done]);
    let alone = read("a.ts", REVIEWER, &small()).unwrap();
    assert!(
        !alone["handleSteps"]
            .as_str()
            .unwrap()
            .contains("risk-reviewer"),
        "what stands alone stays alone"
    );
}

#[test]
fn what_is_imported_is_refused_by_name() {
    refused(&[
        (
            "a.ts",
            "import { helper } from './helper'; export default { id: helper() }",
            "imports `./helper`",
        ),
        (
            "a.ts",
            "import './polyfill'; export default { id: 'a' }",
            "imports `./polyfill`",
        ),
        (
            "a.js",
            "import fs from 'node:fs'; export default { id: 'a' }",
            "imports `node:fs`",
        ),
        ("a.ts", "export * from './other'", "imports `./other`"),
        (
            "a.ts",
            "export { default } from './other'",
            "imports `./other`",
        ),
        (
            "a.js",
            "const x = require('zod'); module.exports = {}",
            "require",
        ),
        (
            "a.ts",
            "import { z } from 'zod/v4'\nexport default { id: 'a', inputSchema: z.object({}) }",
            "imports `zod/v4`",
        ),
    ]);
}

#[test]
fn what_is_no_definition_is_refused_and_says_why() {
    refused(&[
        (
            "a.ts",
            "export default { id: 'a', run() {} }",
            "`run` is a function",
        ),
        (
            "a.ts",
            "export default function* () {}",
            "no definition but a function",
        ),
        ("a.ts", "export default [1]", "no object"),
        ("a.ts", "export default 'a'", "no object"),
        (
            "a.ts",
            "export default Promise.resolve({ id: 'a' })",
            "no object",
        ),
        ("a.ts", "export default await load()", "'load'"),
        (
            "a.ts",
            "export default {\n id: 'a',\n model 'm' }",
            "line 3",
        ),
        (
            "a.ts",
            "const d = { id: process.env.ID }; export default d",
            "process is not defined",
        ),
        (
            "a.ts",
            "const d: any = { id: 'a' }; d.d = d; export default d",
            "circular",
        ),
        (
            "a.ts",
            "throw new Error('no'); export default {}",
            "Error: no",
        ),
        ("a.json", "{ id: 'a' }", "it is no JSON"),
        ("a.json", "[]", "no JSON object"),
        ("a.toml", "id = 'a'", "a file .ts, .js or .json"),
        ("a.tsx", "export default {}", "a file .ts, .js or .json"),
        ("agents", "", "a file .ts, .js or .json"),
    ]);
}

/// Files, and what their refusal says.
fn refused(files: &[(&str, &str, &str)]) {
    for (name, text, says) in files {
        let error = read(name, text, &small()).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_file_has_the_bounds_of_a_script() {
    for text in [
        "while (true) {} export default {}",
        "export default { get id() { while (true) {} } }",
        "export default { toJSON() { while (true) {} }, id: 'a' }",
        "const a = []; while (true) a.push('x' + a.length); export default {}",
        "export default { id: Math.random() }",
        "export default { id: Date.now() }",
    ] {
        let error = read("a.ts", text, &small()).unwrap_err();
        assert!(
            matches!(
                error,
                ScriptError::OutOfTime(_)
                    | ScriptError::OutOfMemory { .. }
                    | ScriptError::Threw { .. }
                    | ScriptError::Source(_)
            ),
            "{text}: {error:?}"
        );
    }
    let limits = script::limits::Limits {
        source_bytes: 10,
        ..small()
    };
    assert!(matches!(
        read("a.ts", REVIEWER, &limits),
        Err(ScriptError::TooLarge { .. })
    ));
}
