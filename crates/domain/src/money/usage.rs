//! What an attempt used: tokens by kind, and calls of tools.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The most tokens of one kind, or calls of one tool, that a report is believed: a count beyond it is a fault of who counts.
pub const COUNT_MAX: u64 = 10_000_000_000;

/// The most tokens of all kinds together that can be believed.
pub const TOKENS_MAX: u64 = 4 * COUNT_MAX;

/// What an attempt used so far, as its agent tells it. It only ever rises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Usage {
    /// All tokens together, where the agent tells their number. What the kinds below do not account for counts as input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Tokens read that no cache held.
    #[serde(skip_serializing_if = "is_zero")]
    pub input: u64,
    /// Tokens read from a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_input: u64,
    /// Tokens written, without those of reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub output: u64,
    /// Tokens of reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// Calls by tool.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, u64>,
    /// What of the tokens other models than the agent's first used, by the names that they were asked by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Usage>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Usage {
    /// What an agent tells that knows one number of tokens.
    pub fn of_tokens(total: u64) -> Self {
        Self {
            total: Some(total),
            ..Self::default()
        }
    }

    /// This, used by a model that is not the agent's first.
    #[must_use]
    pub fn by(self, model: &str) -> Self {
        if self.tokens().is_none() {
            return self;
        }
        let whole = self.clone();
        Self {
            models: BTreeMap::from([(model.to_owned(), whole)]),
            ..self
        }
    }

    /// What of the tokens the agent's first model used.
    pub fn by_first(&self) -> Self {
        let mut own = Self {
            models: BTreeMap::new(),
            ..self.clone()
        };
        for used in self.models.values() {
            let tokens = used.tokens().unwrap_or(0);
            own.total = own.total.map(|total| total.saturating_sub(tokens));
            own.input = own.input.saturating_sub(used.charged_input());
            own.cached_input = own.cached_input.saturating_sub(used.cached_input);
            own.output = own.output.saturating_sub(used.output);
            own.reasoning = own.reasoning.saturating_sub(used.reasoning);
        }
        own
    }

    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.tokens().is_none() && self.tools.is_empty()
    }

    /// All tokens; nothing where their number was not told.
    pub fn tokens(&self) -> Option<u64> {
        let split = self.split();
        match self.total {
            Some(total) => Some(total.max(split)),
            None => (split > 0).then_some(split),
        }
    }

    /// Tokens to be charged as input: those told as such, and those whose kind was not told.
    pub fn charged_input(&self) -> u64 {
        let rest = self.total.unwrap_or(0).saturating_sub(self.split());
        self.input.saturating_add(rest)
    }

    /// The tokens whose kind was told.
    fn split(&self) -> u64 {
        [self.cached_input, self.output, self.reasoning]
            .into_iter()
            .fold(self.input, u64::saturating_add)
    }

    /// Takes in what the same attempt told later. Usage does not go backwards: of two numbers the higher stands.
    pub fn merge(&mut self, later: &Self) {
        self.total = self.total.max(later.total);
        self.input = self.input.max(later.input);
        self.cached_input = self.cached_input.max(later.cached_input);
        self.output = self.output.max(later.output);
        self.reasoning = self.reasoning.max(later.reasoning);
        for (tool, &calls) in &later.tools {
            match self.tools.get_mut(tool) {
                Some(known) => *known = calls.max(*known),
                None => drop(self.tools.insert(tool.clone(), calls)),
            }
        }
        for (model, used) in &later.models {
            self.models.entry(model.clone()).or_default().merge(used);
        }
    }

    /// Takes in what something else used beside it: the numbers add up.
    pub fn add(&mut self, other: &Self) {
        self.total = match (self.total, other.total) {
            (None, None) => None,
            // Where one side knows only its kinds, they are what it has in all.
            _ => Some(
                self.tokens()
                    .unwrap_or(0)
                    .saturating_add(other.tokens().unwrap_or(0)),
            ),
        };
        self.input = self.input.saturating_add(other.input);
        self.cached_input = self.cached_input.saturating_add(other.cached_input);
        self.output = self.output.saturating_add(other.output);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        for (tool, &calls) in &other.tools {
            let known = self.tools.entry(tool.clone()).or_default();
            *known = known.saturating_add(calls);
        }
        for (model, used) in &other.models {
            self.models.entry(model.clone()).or_default().add(used);
        }
    }

    /// What can be believed of it: a number of tokens or calls beyond [`COUNT_MAX`] counts as not told.
    pub fn believed(&self) -> (Self, bool) {
        let kinds = [
            self.total.unwrap_or(0),
            self.input,
            self.cached_input,
            self.output,
            self.reasoning,
        ];
        let mut models = self.models.values();
        let tokens = kinds.into_iter().all(|count| count <= COUNT_MAX)
            && models.all(|used| used.believed().1);
        let calls = self.tools.values().all(|&calls| calls <= COUNT_MAX);
        let mut believed = if tokens {
            self.clone()
        } else {
            Self {
                tools: self.tools.clone(),
                ..Self::default()
            }
        };
        believed.tools.retain(|_, calls| *calls <= COUNT_MAX);
        (believed, tokens && calls)
    }
}
