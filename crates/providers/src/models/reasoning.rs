//! How much a model is to think, in one form for all providers: `{"effort": "low"}` or `{"maxTokens": 2000}`.

use serde_json::{Map, Value};

/// What is wished.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    effort: Option<String>,
    tokens: Option<u64>,
}

/// Takes the wish out of a question's settings; nothing where no thinking is wished.
pub(crate) fn taken(settings: &mut Map<String, Value>) -> Option<Wish> {
    let Some(Value::Object(said)) = settings.remove("reasoning") else {
        return None;
    };
    if said.get("enabled") == Some(&Value::Bool(false)) {
        return None;
    }
    let effort = said.get("effort").and_then(Value::as_str);
    if effort == Some("none") {
        return None;
    }
    Some(Wish {
        effort: effort.map(str::to_owned),
        tokens: tokens(&said),
    })
}

/// How many tokens are wished for, in either spelling.
fn tokens(said: &Map<String, Value>) -> Option<u64> {
    let said = said.get("maxTokens").or_else(|| said.get("max_tokens"));
    said.and_then(Value::as_u64)
}

/// Spells the wish as OpenRouter does, which understands all of it.
pub(crate) fn spelled(settings: &mut Map<String, Value>) {
    if let Some(Value::Object(said)) = settings.get_mut("reasoning")
        && let Some(tokens) = said.remove("maxTokens")
    {
        said.insert("max_tokens".to_owned(), tokens);
    }
}

impl Wish {
    /// The effort, for providers that know no number of tokens.
    pub(crate) fn effort(&self) -> Option<String> {
        let by_tokens = |tokens| match tokens {
            0..=2_048 => "low",
            2_049..=8_192 => "medium",
            _ => "high",
        };
        let effort = self.effort.clone();
        effort.or_else(|| self.tokens.map(|tokens| by_tokens(tokens).to_owned()))
    }

    /// The most tokens of thoughts, for providers that know no effort.
    pub(crate) fn tokens(&self) -> u64 {
        let by_effort = match self.effort.as_deref() {
            Some("minimal") => 1_024,
            Some("low") => 2_048,
            Some("high") => 16_384,
            _ => 8_192,
        };
        // Anthropic takes no less.
        self.tokens.unwrap_or(by_effort).max(1_024)
    }
}
