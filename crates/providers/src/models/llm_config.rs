//! PlanExe's `llm_config.json`, read as it is: entries by id, each a class of LlamaIndex with its arguments.

use std::collections::BTreeMap;

use domain::values::time::Millis;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::models::endpoint::Endpoint;
use crate::models::key::Key;
use crate::models::settings::{Kind, ModelsError};

/// Arguments that go into every question.
const PASSED: [&str; 5] = [
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
];

/// An entry as it stands in the file. What else it says concerns PlanExe alone.
#[derive(Deserialize)]
struct Said {
    class: String,
    #[serde(default)]
    priority: Option<i64>,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// One model of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Smaller comes first; without one it is no part of `auto`.
    pub(crate) priority: Option<i64>,
    /// The way there, or why there is none.
    pub(crate) way: Result<Way, String>,
}

/// Where an entry's model answers, and what is always asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) settings: Map<String, Value>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) timeout: Option<Millis>,
}

/// All entries by id.
///
/// # Errors
/// A text that is no such configuration. An entry that only we cannot use is kept with the reason.
pub(crate) fn read(
    config: Value,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Entry>, ModelsError> {
    let entries: BTreeMap<String, Said> = serde_json::from_value(config)
        .map_err(|error| ModelsError::LlmConfig(error.to_string()))?;
    let read = |(id, said): (String, Said)| {
        let entry = Entry {
            priority: said.priority,
            way: way(&id, said, environment),
        };
        (id, entry)
    };
    Ok(entries.into_iter().map(read).collect())
}

fn way(id: &str, said: Said, environment: &dyn Fn(&str) -> Option<String>) -> Result<Way, String> {
    let (base, kind) = match said.class.as_str() {
        "OpenRouter" => (Some("https://openrouter.ai/api/v1"), Kind::Openai),
        "OpenAI" | "OpenAIResponses" => (Some("https://api.openai.com/v1"), Kind::Openai),
        "LMStudio" => (Some("http://localhost:1234/v1"), Kind::Openai),
        "Ollama" => (Some("http://localhost:11434"), Kind::Openai),
        "OpenAILike" => (None, Kind::Openai),
        "Anthropic" => (Some("https://api.anthropic.com/v1"), Kind::Anthropic),
        other => return Err(format!("models of the class `{other}` cannot be asked")),
    };
    let text = |name: &str| match said.arguments.get(name) {
        Some(Value::String(text)) => substituted(text, environment).map(Some),
        _ => Ok(None),
    };
    let named = match text("base_url")? {
        Some(url) => Some(url),
        None => text("api_base")?,
    };
    let base = named
        .or(base.map(str::to_owned))
        .ok_or("it has no api_base")?;
    // Ollama's own protocol lies at the root, what others speak below /v1.
    let base = base.trim_end_matches('/');
    let base = match said.class.as_str() {
        "Ollama" if !base.ends_with("/v1") => format!("{base}/v1"),
        _ => base.to_owned(),
    };
    let model = match text("model")? {
        Some(model) => model,
        None => text("model_name")?.ok_or("it names no model")?,
    };
    let key = text("api_key")?.as_deref().and_then(Key::read);
    let provider = match said.class.as_str() {
        "OpenRouter" => "openrouter",
        "OpenAI" | "OpenAIResponses" => "openai",
        _ => id,
    };
    let mut endpoint =
        Endpoint::at(provider, &base, kind, key).map_err(|error| error.to_string())?;
    let number = |name: &str| said.arguments.get(name).and_then(Value::as_f64);
    endpoint.window = number("context_window")
        .filter(|tokens| *tokens >= 1.0)
        .map(|tokens| tokens as u64);
    let passed = said.arguments.iter();
    let passed = passed.filter(|(name, value)| PASSED.contains(&name.as_str()) && !value.is_null());
    Ok(Way {
        endpoint,
        model,
        settings: passed
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        max_tokens: number("max_tokens")
            .filter(|most| *most >= 1.0)
            .map(|most| most as u32),
        timeout: number("timeout")
            .or_else(|| number("request_timeout"))
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| Millis((seconds * 1_000.0) as u64)),
    })
}

/// The text with each `${NAME}` replaced by the variable's value.
fn substituted(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        let value = environment(name).filter(|value| !value.trim().is_empty());
        whole.push_str(before);
        whole.push_str(&value.ok_or_else(|| format!("{name} is not set"))?);
        rest = tail;
    }
    whole.push_str(rest);
    Ok(whole)
}
