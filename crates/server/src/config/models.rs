//! How language models and the tools of their agents are set up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Language models, and what bounds a question to one. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Models {
    /// The model of agents that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// PlanExe's `llm_config.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_config: Option<PathBuf>,
    /// Cue sheets of scripted models, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scripted: BTreeMap<String, PathBuf>,
    /// Longest wait until an answer begins.
    pub first_token: u64,
    /// Longest wait between two pieces of an answer.
    pub between_tokens: u64,
    /// Longest time of one answer.
    pub answer_timeout: u64,
    /// Bytes of one answer on the wire.
    pub answer_bytes: usize,
    /// Providers, by the name before a model's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, ModelProvider>,
}

/// Where a provider of models answers, and what it speaks. What is not said is as the program knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ModelProvider {
    /// The URL below which it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The variable that holds its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// What it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ModelKind>,
    /// Whether it can hold an answer to a JSON Schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured_output: Option<bool>,
    /// Whether its models know tools; those that do not are told of them in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<bool>,
    /// Tokens that its models take in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// OpenAI's chat completions.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

/// What agents' outside tools may do. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Tools {
    /// Programs that may be started as MCP servers; `*`: any.
    pub commands: Vec<String>,
    /// Variables of the environment that definitions may name; `*`: any.
    pub variables: Vec<String>,
    /// Longest time until an MCP server's tools are known.
    pub open_timeout: u64,
    /// Longest call of an MCP server's tool.
    pub call_timeout: u64,
    /// Bytes of a result on the wire.
    pub answer_bytes: usize,
    /// Bytes of a result that a model is shown at once.
    pub shown_bytes: usize,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            default: None,
            llm_config: None,
            scripted: BTreeMap::new(),
            first_token: 120_000,
            between_tokens: 60_000,
            answer_timeout: 600_000,
            answer_bytes: 32_000_000,
            providers: BTreeMap::new(),
        }
    }
}

impl Default for Tools {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            variables: Vec::new(),
            open_timeout: 30_000,
            call_timeout: 60_000,
            answer_bytes: 4_000_000,
            shown_bytes: 16_384,
        }
    }
}
