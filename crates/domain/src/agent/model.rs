//! Which provider's language model an attempt asks, and how much of it it is expected to use.

use serde::{Deserialize, Serialize};

/// Whose a model is that is named without its provider, by how its name begins.
const PROVIDERS: [(&str, &str); 14] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-", "openai"),
    ("claude", "anthropic"),
    ("gemini", "google"),
    ("mistral", "mistral"),
    ("codestral", "mistral"),
    ("command", "cohere"),
    ("deepseek", "deepseek"),
    ("grok", "xai"),
    ("qwen", "alibaba"),
];

/// What an attempt, or one of its questions, asks of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelUse {
    /// Whose model.
    pub provider: String,
    /// Which, by its name at the provider.
    pub model: String,
    /// Tokens that are expected to be used; of a question that was not answered, those that it used.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub tokens: u64,
    /// What of it counts for the provider's limits.
    #[serde(default, skip_serializing_if = "Counts::is_attempt")]
    pub counts: Counts,
}

/// What counts for the limits of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// The attempt, until it ends.
    #[default]
    Attempt,
    /// One question, until it is answered.
    Question,
    /// Nothing: the provider has no limits, and can only say 429.
    Nothing,
}

impl Counts {
    const fn is_attempt(&self) -> bool {
        matches!(self, Self::Attempt)
    }
}

fn is_nothing(tokens: &u64) -> bool {
    *tokens == 0
}

impl ModelUse {
    /// The model of this name. One that is nobody's, such as an entry of PlanExe's configuration, is a provider of its own.
    pub fn of(name: &str, tokens: u64, counts: Counts) -> Self {
        let (provider, model) = provider_of(name).unwrap_or((name, name));
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            // One at least: who is not told how many waits while the bucket is empty, as all do.
            tokens: tokens.max(1),
            counts,
        }
    }

    /// Whether it counts for limits of its provider.
    pub fn is_counted(&self) -> bool {
        self.counts != Counts::Nothing
    }

    /// Whether both ask the same model.
    pub fn asks_as(&self, other: &Self) -> bool {
        (&self.provider, &self.model) == (&other.provider, &other.model)
    }
}

/// The provider of a model and the model's name there: `openai/gpt-4o` says it, `gpt-4o` begins as its provider's do.
pub fn provider_of(model: &str) -> Option<(&str, &str)> {
    if let Some((provider, name)) = model.split_once('/') {
        let named = !provider.is_empty() && !name.is_empty();
        return named.then_some((provider, name));
    }
    let known = PROVIDERS
        .iter()
        .find(|(begins, _)| model.starts_with(begins));
    known.map(|(_, provider)| (*provider, model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_its_provider_or_begins_as_its_models_do() {
        for (model, provider) in [
            ("openai/gpt-4o", Some(("openai", "gpt-4o"))),
            (
                "openrouter/openai/gpt-4o",
                Some(("openrouter", "openai/gpt-4o")),
            ),
            ("gpt-4", Some(("openai", "gpt-4"))),
            ("o3-mini", Some(("openai", "o3-mini"))),
            (
                "claude-sonnet-4-5",
                Some(("anthropic", "claude-sonnet-4-5")),
            ),
            ("house-blend", None),
            ("/gpt-4", None),
            ("", None),
        ] {
            assert_eq!(provider_of(model), provider, "{model}");
        }
    }
}
