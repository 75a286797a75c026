//! How what is scarce is shared: limits of the providers whose models agents ask, and the accounts' weights.

use std::collections::BTreeMap;

use domain::agent::model::{Counts, ModelUse};

/// What is shared, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Limits by provider, as models name it (`openai/gpt-4o`). What is not named has none.
    pub providers: BTreeMap<String, ProviderLimits>,
    /// By account, how many places it gets for each one that an account gets which is not named here.
    pub weights: BTreeMap<String, u32>,
}

/// A provider's limits, over all replicas that share the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Of all its models together.
    pub all: Limits,
    /// Of one of them, beside those of all.
    pub models: BTreeMap<String, Limits>,
}

/// How much may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Questions, and attempts of agents outside that start, in any minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens that are used in a minute.
    pub tokens_per_minute: Option<u64>,
    /// Questions, and attempts of agents outside, in flight at one time.
    pub concurrency: Option<u32>,
}

impl Sharing {
    /// What asking the model of this name is for its provider's limits: one that has none can only say 429.
    pub fn asks(&self, name: &str, tokens: u64, counts: Counts) -> ModelUse {
        let mut asks = ModelUse::of(name, tokens, counts);
        if !self.providers.contains_key(&asks.provider) {
            asks.counts = Counts::Nothing;
        }
        asks
    }

    /// The limits that it counts for, by whose they are: its provider's, and its model's where that has some.
    pub(crate) fn limits(&self, asks: &ModelUse) -> Vec<(String, Limits)> {
        let Some(provider) = self.providers.get(&asks.provider) else {
            return Vec::new();
        };
        let mut limits = vec![(asks.provider.clone(), provider.all)];
        if let Some(of_model) = provider.models.get(&asks.model) {
            limits.push((format!("{}/{}", asks.provider, asks.model), *of_model));
        }
        limits
    }
}
