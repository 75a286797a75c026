//! Where models answer: providers by name, PlanExe's configuration, and cue sheets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::models::scripted::CueSheet;
use crate::outgoing::OutgoingError;

/// All that is known of models.
#[derive(Clone, Debug, Default)]
pub struct ModelsSettings {
    /// Providers by their name in front of a model's (`vllm` in `vllm/qwen3`). What is set here is laid over what the program
    /// knows of the name.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// PlanExe's `llm_config.json`, as it is. Its entries are models by their id, and `auto` is those with a priority.
    pub llm_config: Option<Value>,
    /// Scripted models by name: `demo` answers as `scripted/demo`.
    pub scripted: BTreeMap<String, CueSheet>,
}

/// A provider of models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProviderSettings {
    /// The URL below which it answers: `/chat/completions` or `/messages` is put behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The environment's variable that holds its key. Empty for a provider that wants none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// What it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Whether it can hold an answer to a JSON Schema; believed unless said otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<bool>,
    /// Whether its models know tools; believed unless said otherwise. Those that do not are told of them in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Tokens that its models take in, answers included; by their names where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// OpenAI's chat completions, which most others speak too.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelsError {
    /// A provider that nothing is known of, without a URL.
    #[error("the provider `{0}` has no baseUrl")]
    NoUrl(String),
    /// A URL that cannot be asked.
    #[error("the baseUrl of `{provider}` cannot be used: {why}")]
    Url {
        /// Whose.
        provider: String,
        /// Why not.
        why: String,
    },
    /// A key that no header may hold.
    #[error("the key of `{0}` holds characters that no header may hold")]
    Key(String),
    /// PlanExe's configuration is not what it should be.
    #[error("PlanExe's llm_config cannot be used: {0}")]
    LlmConfig(String),
    /// A cue sheet that cannot be read.
    #[error("the cue sheet cannot be read: {0}")]
    CueSheet(String),
    /// What requests may do.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
}
