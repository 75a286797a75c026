//! What an agent's work costs, as its definition and the price table said it when the orchestration started.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agent::definition::AgentDefinition;
use crate::money::budget::Budget;
use crate::money::prices::{Prices, Rates};
use crate::values::credits::Credits;

/// What is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CostMode {
    /// `costPerRun`.
    #[default]
    Fixed,
    /// Tokens at the model's rates; `costPerRun` where their number was not told.
    TokenBased,
    /// Both.
    Hybrid,
}

/// How much of an attempt is charged that ended in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Share {
    /// As if it had given the whole result.
    Full,
    /// The tokens and tools that it told of; no base charge.
    Used,
    /// Nothing.
    None,
}

/// Whether a result is charged that no work went into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Again {
    /// Nothing.
    #[default]
    None,
    /// The base charge.
    Full,
}

/// What is charged for attempts that give no whole result, and for results that take no attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Billing {
    /// A failed attempt, each.
    pub failed: Share,
    /// A partial result.
    pub partial: Share,
    /// A cancelled attempt.
    pub cancelled: Share,
    /// An attempt whose holder lapsed.
    pub lapsed: Share,
    /// An enrichment taken over from an equal step.
    pub cached: Again,
    /// A turn that was paid for by an earlier attempt.
    pub replayed: Again,
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            failed: Share::Used,
            partial: Share::Full,
            cancelled: Share::Used,
            lapsed: Share::Used,
            cached: Again::None,
            replayed: Again::None,
        }
    }
}

impl Billing {
    /// Whether it is what a definition without one has.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A step's price beyond its flat one, pinned. The flat one is [`crate::orchestration::graph::StepRules::cost`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// What is charged.
    #[serde(default)]
    pub mode: CostMode,
    /// What a token costs; absent where the model's price is unknown or tokens are not charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// What a token is taken to cost where the model's price is unknown: of each kind the dearest of the price table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<Rates>,
    /// What a token of the models costs that are asked where the first fails, by their names; absent where that is unknown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fallbacks: BTreeMap<String, Option<Rates>>,
    /// The price table that the rates come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// What a call of a tool costs, by tool; others cost nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_rates: BTreeMap<String, Credits>,
    /// Tokens that an attempt is expected to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_tokens: Option<u64>,
    /// What is charged for what gives no whole result.
    #[serde(default, skip_serializing_if = "Billing::is_default")]
    pub billing: Billing,
    /// The most that the step may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What one attempt holds, where that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Credits>,
}

impl Price {
    /// The price that `definition` states, at the rates of `prices`. Nothing for a plain flat one.
    pub fn of(definition: &AgentDefinition, prices: &Prices) -> Option<Box<Self>> {
        let by_token = definition.cost_mode != CostMode::Fixed;
        let plain = !by_token
            && definition.tool_rates.is_empty()
            && definition.billing.is_default()
            && definition.budget.is_none()
            && definition.ceiling.is_none();
        if plain {
            return None;
        }
        let models = if by_token {
            prices.models_of(definition)
        } else {
            Vec::new()
        };
        let mut models = models.into_iter().map(|model| {
            let rates = prices.of_model(&model).copied();
            (model, rates)
        });
        let rates = models.next().and_then(|(_, rates)| rates);
        let fallbacks: BTreeMap<_, _> = models.collect();
        let unknown = rates.is_none() || fallbacks.values().any(Option::is_none);
        let stand_in = prices.dearest().filter(|_| by_token && unknown);
        Some(Box::new(Self {
            mode: definition.cost_mode,
            rates,
            stand_in,
            fallbacks,
            prices: rates.or(stand_in).map(|_| prices.version.clone()),
            tool_rates: definition.tool_rates.clone(),
            estimated_tokens: definition.estimated_tokens,
            billing: definition.billing,
            budget: definition.budget,
            ceiling: definition.ceiling,
        }))
    }

    /// Whether what it charges by is known: tokens are not charged, or the rates of all its models are there.
    pub fn known(&self) -> bool {
        let fallbacks = || self.fallbacks.values().all(Option::is_some);
        self.mode == CostMode::Fixed || (self.rates.is_some() && fallbacks())
    }

    /// What tokens of a model are charged at that is not the first; nothing where that is not known.
    pub fn rates_of(&self, model: &str) -> Option<Rates> {
        self.fallbacks.get(model).copied().flatten()
    }
}
