//! The price table: what a model's tokens cost, with its date and source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::definition::{AgentDefinition, Executor};
use crate::values::credits::Credits;

/// The table that comes with the program.
const BUILT_IN: &str = include_str!("../../prices.toml");

/// The highest price of a million tokens, in US dollars: more is a typo in units.
const USD_MAX: Credits = Credits::from_nano(1_000_000_000_000_000);

/// The least and the most that a credit may cost, in US dollars: beyond them rates have no places left, or no room.
const CREDIT_USD: (Credits, Credits) = (
    Credits::from_nano(1_000_000),
    Credits::from_nano(1_000_000_000_000),
);

/// What one token costs, by kind, in pico-credits (1e-12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rates {
    /// Read.
    pub input: i64,
    /// Read from a cache.
    pub cached_input: i64,
    /// Written.
    pub output: i64,
    /// Of reasoning.
    pub reasoning: i64,
}

impl Rates {
    /// The highest of them.
    pub fn dearest(&self) -> i64 {
        let Self {
            input,
            cached_input,
            output,
            reasoning,
        } = *self;
        input.max(cached_input).max(output).max(reasoning)
    }
}

impl Rates {
    /// The same dollars in credits that cost `now` in place of `before`, rounded half up.
    fn at_credit(self, before: Credits, now: Credits) -> Self {
        let (before, now) = (i128::from(before.nano()), i128::from(now.nano()));
        let scaled = |rate: i64| {
            let pico = (i128::from(rate) * before + now / 2) / now.max(1);
            i64::try_from(pico).unwrap_or(i64::MAX)
        };
        Self {
            input: scaled(self.input),
            cached_input: scaled(self.cached_input),
            output: scaled(self.output),
            reasoning: scaled(self.reasoning),
        }
    }
}

/// A price table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Its version, which orchestrations pin.
    pub version: String,
    /// Of which day its prices are.
    pub date: String,
    /// Where they come from.
    pub source: String,
    /// What a credit costs, in US dollars.
    pub credit_usd: Credits,
    /// Rates by model.
    pub models: BTreeMap<String, Rates>,
    /// The model of agents that converse and name none.
    pub default_model: Option<String>,
    /// Whether agents converse that do not say how they are performed.
    pub bare_converse: bool,
}

/// A price table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrices {
    /// No TOML, an unknown key, a wrong type, a missing field.
    #[error("{0}")]
    Text(String),
    /// A price that is negative, absurd, or finer than can be held.
    #[error("models.\"{model}\".{key}: {price} is {fault}")]
    Price {
        /// Whose.
        model: String,
        /// Which.
        key: &'static str,
        /// As written, in US dollars.
        price: Credits,
        /// What is wrong.
        fault: &'static str,
    },
    /// A credit that costs nothing or less, or what none costs.
    #[error("creditUsd: {0} is not between {least} and {most}", least = CREDIT_USD.0, most = CREDIT_USD.1)]
    Credit(Credits),
    /// No version, date or source.
    #[error("{0}: must not be empty")]
    Empty(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Table {
    version: String,
    date: String,
    source: String,
    #[serde(default)]
    credit_usd: Option<Credits>,
    #[serde(default)]
    models: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    input: Credits,
    cached_input: Option<Credits>,
    output: Credits,
    reasoning: Option<Credits>,
}

impl Prices {
    /// The table that comes with the program.
    pub fn built_in() -> Self {
        Self::from_toml(BUILT_IN).unwrap_or_default()
    }

    /// A table from TOML text: US dollars a million tokens.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_toml(text: &str) -> Result<Self, InvalidPrices> {
        let table: Table =
            toml::from_str(text).map_err(|error| InvalidPrices::Text(error.to_string()))?;
        for (key, text) in [
            ("version", &table.version),
            ("date", &table.date),
            ("source", &table.source),
        ] {
            if text.trim().is_empty() {
                return Err(InvalidPrices::Empty(key));
            }
        }
        let credit_usd = table
            .credit_usd
            .unwrap_or(Credits::from_nano(1_000_000_000));
        if credit_usd < CREDIT_USD.0 || credit_usd > CREDIT_USD.1 {
            return Err(InvalidPrices::Credit(credit_usd));
        }
        let mut models = BTreeMap::new();
        for (model, written) in table.models {
            let rate = |key, price: Credits| {
                pico_a_token(price, credit_usd).map_err(|fault| InvalidPrices::Price {
                    model: model.clone(),
                    key,
                    price,
                    fault,
                })
            };
            let rates = Rates {
                input: rate("input", written.input)?,
                cached_input: rate("cachedInput", written.cached_input.unwrap_or(written.input))?,
                output: rate("output", written.output)?,
                reasoning: rate("reasoning", written.reasoning.unwrap_or(written.output))?,
            };
            models.insert(model, rates);
        }
        Ok(Self {
            version: table.version,
            date: table.date,
            source: table.source,
            credit_usd,
            models,
            ..Self::default()
        })
    }

    /// This table with `over` laid over it, model by model: version, date, source and credit are those of `over`, and what
    /// is only here costs as many dollars as before.
    pub fn overlaid(mut self, over: Self) -> Self {
        for rates in self.models.values_mut() {
            *rates = rates.at_credit(self.credit_usd, over.credit_usd);
        }
        self.models.extend(over.models);
        Self {
            models: self.models,
            ..over
        }
    }

    /// The models that `definition` is billed by: that it names first, then those that are asked where it fails.
    pub fn models_of(&self, definition: &AgentDefinition) -> Vec<String> {
        let converses = match &definition.executor {
            Some(Executor::Model {} | Executor::Script {}) => true,
            None => self.bare_converse,
            Some(_) => false,
        };
        if !converses {
            return definition.model.iter().cloned().collect();
        }
        let mut models = definition.models();
        if models.is_empty() {
            models.extend(self.default_model.clone());
        }
        models
    }

    /// Of each kind the dearest that any model has; nothing where no model is known.
    pub fn dearest(&self) -> Option<Rates> {
        self.models.values().copied().reduce(|a, b| Rates {
            input: a.input.max(b.input),
            cached_input: a.cached_input.max(b.cached_input),
            output: a.output.max(b.output),
            reasoning: a.reasoning.max(b.reasoning),
        })
    }

    /// The rates of a model: under its own name, without its provider (`openai/gpt-4`), or without the day or tag of a
    /// release (`gpt-4o-2024-08-06`, `claude-3-5-haiku-latest`).
    pub fn of_model(&self, model: &str) -> Option<&Rates> {
        let bare = model.rsplit('/').next().unwrap_or(model);
        let unreleased = without_release(bare);
        [model, bare, unreleased]
            .into_iter()
            .find_map(|name| self.models.get(name))
    }
}

/// The model's name without `-latest` or the day of its release.
fn without_release(model: &str) -> &str {
    if let Some(name) = model.strip_suffix("-latest") {
        return name;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = model.rsplitn(4, '-');
    let last: Vec<&str> = parts.by_ref().take(3).collect();
    match last[..] {
        [day, _, ..] if day.len() == 8 && digits(day) => &model[..model.len() - 9],
        [day, month, year]
            if (day.len(), month.len(), year.len()) == (2, 2, 4)
                && [day, month, year].into_iter().all(digits) =>
        {
            model[..model.len() - 10].trim_end_matches('-')
        }
        _ => model,
    }
}

/// Pico-credits a token of a price in US dollars a million tokens.
fn pico_a_token(price: Credits, credit_usd: Credits) -> Result<i64, &'static str> {
    if price < Credits::ZERO {
        return Err("negative");
    }
    if price > USD_MAX {
        return Err("more than a million dollars for a million tokens");
    }
    // (nano-dollars / 1e9) dollars / 1e6 tokens / (credit / 1e9) dollars a credit * 1e12 pico-credits
    let numerator = i128::from(price.nano()) * 1_000_000;
    let credit = i128::from(credit_usd.nano());
    if numerator % credit != 0 && credit_usd == Credits::from_nano(1_000_000_000) {
        return Err("finer than a pico-credit a token");
    }
    let pico = i64::try_from((numerator + credit / 2) / credit);
    match pico.map_err(|_| "too much for what a credit costs")? {
        0 if numerator > 0 => Err("too little for what a credit costs"),
        pico => Ok(pico),
    }
}
