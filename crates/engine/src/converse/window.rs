//! How much the models of a conversation take in, and how much of that one call of a tool may give.

use domain::agent::conversation::setup::Limits;
use domain::agent::conversation::trim::BYTES_PER_TOKEN;
use domain::agent::definition::AgentDefinition;

use crate::handle::Engine;

/// The most tokens that are kept free for an answer whose length nobody bounds.
const ANSWER_TOKENS: u64 = 8_192;

/// The most bytes that a call gives at once, however much the models take in.
const GIVEN_MAX: u64 = 16 << 10;

/// What a conversation has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Tokens that every model of the chain takes in.
    pub(super) tokens: u64,
    /// Bytes that one call of a tool gives at once: an eighth of the window.
    pub(super) given: usize,
}

impl Window {
    /// What the definition says, or the least that is known of its models, with room for an answer where nobody says how long
    /// that may be.
    pub(super) fn of(engine: &Engine, agent: &AgentDefinition) -> Self {
        let usual = Limits::default().window.unwrap_or_default();
        let tokens = agent.context_tokens.map(u64::from).unwrap_or_else(|| {
            let models = agent.models();
            let named = models.iter().chain(&engine.outside.default_model);
            let asked = engine.outside.models.as_ref();
            let each = named
                .take(models.len().max(1))
                .map(|model| asked.and_then(|asked| asked.window(model)));
            let least = each.map(|known| known.unwrap_or(usual)).min();
            let least = least.unwrap_or(usual);
            match agent.max_output_tokens {
                Some(_) => least,
                None => least - (least / 8).min(ANSWER_TOKENS),
            }
        });
        let given = (tokens.saturating_mul(BYTES_PER_TOKEN) / 8).min(GIVEN_MAX);
        Self {
            tokens,
            given: usize::try_from(given).unwrap_or(usize::MAX),
        }
    }
}
