//! Which provider's language model an attempt asks, and how much of it it is expected to use.

use serde::{Deserialize, Serialize};

use crate::agent::definition::AgentDefinition;

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

/// What an attempt asks of a provider whose limits are shared by all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelUse {
    /// Whose model.
    pub provider: String,
    /// Which, by its name at the provider.
    pub model: String,
    /// Tokens that the attempt is expected to use.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub tokens: u64,
}

fn is_nothing(tokens: &u64) -> bool {
    *tokens == 0
}

impl ModelUse {
    /// What an attempt of the agent asks; nothing where its definition names no model, or one that is nobody's.
    pub fn of(definition: &AgentDefinition) -> Option<Self> {
        let (provider, model) = provider_of(definition.model.as_deref()?)?;
        Some(Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            // One at least: who is not told how many waits while the bucket is empty, as all do.
            tokens: definition.estimated_tokens.unwrap_or(0).max(1),
        })
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
