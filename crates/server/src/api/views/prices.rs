//! A price table on the wire: credits for a million tokens.

use domain::money::prices::{Prices, Rates};
use domain::values::credits::Credits;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What language models' tokens cost.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PriceTable {
    /// Its version, which orchestrations pin.
    pub version: String,
    /// Of which day its prices are.
    pub date: String,
    /// Where they come from.
    pub source: String,
    /// What a credit costs in US dollars, as text.
    pub credit_usd: String,
    /// By model.
    pub models: Vec<ModelPrices>,
}

/// Credits for a million tokens of a model, as texts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelPrices {
    /// The model.
    pub model: String,
    /// Read.
    pub input: String,
    /// Read from a cache.
    pub cached_input: String,
    /// Written.
    pub output: String,
    /// Of reasoning.
    pub reasoning: String,
}

impl PriceTable {
    /// The table as it is shown.
    pub fn of(prices: &Prices) -> Self {
        let models = prices.models.iter();
        Self {
            version: prices.version.clone(),
            date: prices.date.clone(),
            source: prices.source.clone(),
            credit_usd: prices.credit_usd.to_string(),
            models: models
                .map(|(model, rates)| ModelPrices::of(model, rates))
                .collect(),
        }
    }
}

impl ModelPrices {
    fn of(model: &str, rates: &Rates) -> Self {
        // A rate is pico-credits a token: a millionth of it is credits a million tokens.
        let million = |rate: i64| Credits::from_nano(rate.saturating_mul(1_000)).to_string();
        Self {
            model: model.to_owned(),
            input: million(rates.input),
            cached_input: million(rates.cached_input),
            output: million(rates.output),
            reasoning: million(rates.reasoning),
        }
    }
}
