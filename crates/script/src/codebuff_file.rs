//! Codebuff's definition files: JSON, or a module of TypeScript or JavaScript that exports a definition by default.

use std::sync::mpsc::channel;

use rquickjs::function::This;
use rquickjs::{Function, Object, Value};
use serde_json::{Map, Value as Json};

use crate::body;
use crate::crossing;
use crate::error::{ScriptError, shortened};
use crate::limits::Limits;
use crate::realm::{self, Realm};
use crate::sandbox::{self, bounded};
use crate::{source, strip};

/// The field that holds a generator.
const HANDLE_STEPS: &str = "handleSteps";

/// The definition in a file, as JSON; `handleSteps` is the text of a generator function that a sandbox can start. A module is
/// evaluated in a sandbox under the same limits as a step. `name` says by its end what the file is.
///
/// # Errors
/// `Source` says what cannot be read: another kind of file, an import, a default export that is no object, a function in a place where
/// none can be. The others as for a script.
pub fn read(name: &str, text: &str, limits: &Limits) -> Result<Json, ScriptError> {
    bounded("the file", text.len(), limits.source_bytes)?;
    let typed = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("json") => return json(text),
        Some("ts" | "mts" | "cts") => true,
        Some("js" | "mjs" | "cjs") => false,
        _ => {
            return Err(ScriptError::Source(
                "a definition is a file .ts, .js or .json".to_owned(),
            ));
        }
    };
    let body = match typed {
        true => body::of_module(&strip::module(text)?)?,
        false => body::of_module(text)?,
    };
    let mut definition = evaluated(&body, limits)?;
    if let Some(Json::String(text)) = definition.get(HANDLE_STEPS) {
        match standing_alone(text, &body)? {
            Some(script) => {
                sandbox::check(&script, limits)?;
                definition.insert(HANDLE_STEPS.to_owned(), Json::String(script));
            }
            None => {
                definition.remove(HANDLE_STEPS);
            }
        }
    }
    Ok(Json::Object(definition))
}

fn json(text: &str) -> Result<Json, ScriptError> {
    match serde_json::from_str(text) {
        Ok(definition @ Json::Object(_)) => Ok(definition),
        Ok(_) => Err(ScriptError::Source("it holds no JSON object".to_owned())),
        Err(error) => Err(ScriptError::Source(format!("it is no JSON: {error}"))),
    }
}

/// A generator's text, with the module around it where it uses names of the module: they are made anew at each start. Lines stay
/// what they are in the module.
fn standing_alone(text: &str, body: &str) -> Result<Option<String>, ScriptError> {
    let method = text.trim_start().strip_prefix('*');
    let text = match method {
        Some(rest) => format!("function* {rest}"),
        None => text.to_owned(),
    };
    let Some(generator) = source::generator(&text)? else {
        return Ok(None);
    };
    if body::free_names(generator)?.is_empty() {
        return Ok(Some(generator.to_owned()));
    }
    Ok(Some(format!(
        "function* (start) {{ const definition = (() => {{ {body}\n}})();\nreturn yield* definition.{HANDLE_STEPS}(start);\n}}"
    )))
}

/// What a module's body returns, as JSON.
fn evaluated(body: &str, limits: &Limits) -> Result<Map<String, Json>, ScriptError> {
    let expression = format!("(() => {{ {body}\n}})()");
    let (answer, answers) = channel();
    let output_bytes = limits.output_bytes;
    realm::start(limits.clone(), move |realm| {
        let definition = realm.and_then(|realm| definition(realm, &expression, output_bytes));
        // Whoever asked may have stopped waiting.
        let _ = answer.send(definition);
    })?;
    let (definition, script) = answers
        .recv_timeout(limits.step_time + sandbox::PATIENCE)
        .map_err(|_| ScriptError::Sandbox("its thread gave no answer".to_owned()))??;
    let mut definition: Map<String, Json> = serde_json::from_str(&definition)
        .map_err(|_| ScriptError::Source("it is no object, or nested too deep".to_owned()))?;
    if let Some(script) = script {
        definition.insert(HANDLE_STEPS.to_owned(), Json::String(script));
    }
    Ok(definition)
}

/// The definition's JSON, which knows no functions, and its generator's text.
fn definition(
    realm: &Realm<'_>,
    expression: &str,
    output_bytes: usize,
) -> Result<(String, Option<String>), ScriptError> {
    let engine = |error| realm.failure(&error);
    let text_of: Function<'_> = realm
        .ctx
        .eval("Function.prototype.toString")
        .map_err(engine)?;
    let value = realm
        .evaluate(expression)
        .map_err(|error| match engine(error) {
            // What oxc lets pass in a module and a function may not have, such as `await`.
            ScriptError::Threw { message } if message.starts_with("SyntaxError") => {
                ScriptError::Source(message)
            }
            other => other,
        })?;
    let wrong = |why: &str| ScriptError::Source(why.to_owned());
    let plain = |value: &Value<'_>| {
        value.is_object() && !value.is_function() && !value.is_array() && !value.is_promise()
    };
    let Some(object) = value.as_object().filter(|_| plain(&value)) else {
        return Err(wrong("what it exports by default is no object"));
    };
    let script = generator(realm, object, &text_of)?;
    let json = crossing::json(&realm.ctx, &value).map_err(engine)?;
    let json = json.ok_or_else(|| wrong("what it exports by default is no object"))?;
    bounded("the definition", json.len(), output_bytes)?;
    match realm.meter.spent() {
        Some(spent) => Err(ScriptError::OutOfTime(spent)),
        None => Ok((json, script)),
    }
}

/// A function's text as Codebuff's rule wants a generator's to begin: without white space before the `*`.
fn spelt(text: &str) -> String {
    let star = text.strip_prefix("function").map(str::trim_start);
    match star.and_then(|rest| rest.strip_prefix('*')) {
        Some(rest) => format!("function*{rest}"),
        None => text.to_owned(),
    }
}

/// The text of the generator, where the definition has one as a function. Other functions have no place in it.
fn generator<'js>(
    realm: &Realm<'js>,
    object: &Object<'js>,
    text_of: &Function<'js>,
) -> Result<Option<String>, ScriptError> {
    let engine = |error| realm.failure(&error);
    let mut script = None;
    for name in object.keys::<rquickjs::String<'js>>() {
        let name = name.map_err(engine)?;
        let value: Value<'js> = object.get(name.clone()).map_err(engine)?;
        if !value.is_function() {
            continue;
        }
        let name = crossing::text(&realm.ctx, name.as_value()).unwrap_or_default();
        if name != HANDLE_STEPS {
            return Err(ScriptError::Source(format!(
                "`{}` is a function: only {HANDLE_STEPS} can be one",
                shortened(&name, 100)
            )));
        }
        let text: Value<'js> = text_of.call((This(value),)).map_err(engine)?;
        script = crossing::text(&realm.ctx, &text).map(|text| spelt(&text));
    }
    Ok(script)
}
