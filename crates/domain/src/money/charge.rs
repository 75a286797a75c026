//! What an attempt is charged: from its price, how it ended, and what it used.

use serde::{Deserialize, Serialize};

use crate::money::price::{Again, Billing, CostMode, Price, Share};
use crate::money::prices::Rates;
use crate::money::usage::Usage;
use crate::orchestration::graph::StepRules;
use crate::values::credits::Credits;

/// The most that one charge may be, a million credits in each part: more is a fault of who counts.
pub const CHARGE_MAX: Credits = Credits::from_nano(1_000_000_000_000_000);

/// What one attempt was charged. Its identity is (orchestration, step, attempt, ordinal): it stands once, however often
/// it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Charge {
    /// The attempt that it is for; 0 where there was none.
    pub attempt: u32,
    /// 0 is the attempt's own end, 1 a result that stands without further work (taken over, or kept from before).
    #[serde(skip_serializing_if = "is_first")]
    pub ordinal: u32,
    /// For tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub llm_tokens: Credits,
    /// For calls of tools.
    #[serde(skip_serializing_if = "is_zero")]
    pub tool_executions: Credits,
    /// The flat part.
    #[serde(skip_serializing_if = "is_zero")]
    pub base: Credits,
    /// Whether the tokens' part is an estimate: their number was not told, could not be believed, or has no price.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
    /// What it was reckoned from.
    #[serde(skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_first(ordinal: &u32) -> bool {
    *ordinal == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) fn is_zero(credits: &Credits) -> bool {
    *credits == Credits::ZERO
}

impl Charge {
    /// All parts together.
    pub fn total(&self) -> Credits {
        self.llm_tokens
            .saturating_add(self.tool_executions)
            .saturating_add(self.base)
    }
}

/// How an attempt ended, for its bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a whole result.
    Completed,
    /// With a part that stands.
    Partial,
    /// Failed, or too late.
    Failed,
    /// Stopped.
    Cancelled,
    /// Its holder lapsed.
    Lapsed,
    /// It found nothing to work on.
    Lacking,
    /// It waits for its children; another attempt goes on from there.
    Parked,
}

/// What an attempt that ended so is charged; attempt and ordinal are for the caller to fill in.
pub fn charge(rules: &StepRules, outcome: Outcome, usage: &Usage) -> Charge {
    let price = rules.price.as_deref();
    let billing = price.map_or_else(Billing::default, |price| price.billing);
    let share = match outcome {
        Outcome::Completed => Share::Full,
        Outcome::Partial => billing.partial,
        Outcome::Failed => billing.failed,
        Outcome::Cancelled => billing.cancelled,
        Outcome::Lapsed => billing.lapsed,
        Outcome::Lacking | Outcome::Parked => Share::Used,
    };
    let mut charge = Charge {
        usage: usage.clone(),
        ..Charge::default()
    };
    let full = share == Share::Full;
    let Some(price) = price else {
        if full {
            charge.base = rules.cost;
        }
        return charge;
    };
    if share == Share::None {
        return charge;
    }
    let (believed, all) = usage.believed();
    if price.mode != CostMode::Fixed {
        let told = rates(rules, price)
            .zip(believed.tokens())
            .map(|(rates, _)| for_models(price, &rates, &believed));
        let mut others = believed.models.keys();
        let known = told.is_some()
            && price.rates.is_some()
            && others.all(|model| price.rates_of(model).is_some());
        charge.estimated = !all || (!known && (full || believed.tokens().is_some()));
        match told {
            Some(credits) => charge.llm_tokens = credits,
            None if full => charge.llm_tokens = instead(rules, price),
            None if believed.tokens().is_some() => {
                charge.llm_tokens = in_part(rules, price, &believed);
            }
            None => {}
        }
    }
    charge.tool_executions = for_tools(price, &believed);
    if full && price.mode != CostMode::TokenBased {
        charge.base = rules.cost;
    }
    charge
}

/// What a result is charged that no work went into now: taken over from an equal step.
pub fn charge_taken_over(rules: &StepRules) -> Charge {
    // By the token `costPerRun` is no base charge: it stands in for a count of tokens.
    let charged = rules.price.as_ref().is_some_and(|price| {
        price.billing.cached == Again::Full && price.mode != CostMode::TokenBased
    });
    Charge {
        ordinal: 1,
        base: if charged { rules.cost } else { Credits::ZERO },
        ..Charge::default()
    }
}

/// The most that an attempt may cost: as declared, else what the estimates give.
pub fn ceiling(rules: &StepRules) -> Credits {
    let Some(price) = rules.price.as_deref() else {
        return rules.cost;
    };
    if let Some(ceiling) = price.ceiling {
        return ceiling;
    }
    let tokens = || {
        let estimate = rates(rules, price).zip(price.estimated_tokens);
        let dearest = estimate.map_or(Credits::ZERO, |(rates, tokens)| {
            let others = price.fallbacks.values().copied();
            let others = others.filter_map(|rates| rates.or(price.stand_in));
            let rate = others.fold(rates.dearest(), |rate, other| rate.max(other.dearest()));
            rounded(i128::from(rate) * i128::from(tokens))
        });
        dearest.max(instead(rules, price))
    };
    match price.mode {
        CostMode::Fixed => rules.cost,
        CostMode::TokenBased => tokens(),
        CostMode::Hybrid => rules.cost.saturating_add(tokens()),
    }
}

/// What an attempt holds: its ceiling, and at least a nano-credit where it can be charged at all. Where nobody can say how
/// much it uses, what is used up then still lets none start.
pub fn hold(rules: &StepRules) -> Credits {
    let charged = rules.price.as_deref().is_some_and(|price| {
        price.mode != CostMode::Fixed || !price.tool_rates.is_empty() || rules.cost > Credits::ZERO
    });
    ceiling(rules).max(Credits::from_nano(i64::from(charged)))
}

/// Whether an attempt can be charged anything at all.
pub fn billable(rules: &StepRules) -> bool {
    rules.cost > Credits::ZERO || rules.price.is_some()
}

/// What tokens are charged at: the model's rates, or what stands in for them where they are not known and no `costPerRun`
/// does.
fn rates(rules: &StepRules, price: &Price) -> Option<Rates> {
    let fallback = price.mode == CostMode::TokenBased && rules.cost > Credits::ZERO;
    price.rates.or(price.stand_in.filter(|_| !fallback))
}

/// What all its models' tokens cost, each at its own rates: one that nobody knows at what stands in, else at the `first`'s.
fn for_models(price: &Price, first: &Rates, usage: &Usage) -> Credits {
    let others = usage.models.iter().map(|(model, used)| {
        let rates = price.rates_of(model).or(price.stand_in);
        for_tokens(rates.as_ref().unwrap_or(first), used)
    });
    let own = for_tokens(first, &usage.by_first());
    others.fold(own, Credits::saturating_add).min(CHARGE_MAX)
}

/// The tokens' part of what gave no whole result, where `costPerRun` stands in for their price: they cost what stands in for
/// it, and no more than the whole result would.
fn in_part(rules: &StepRules, price: &Price, usage: &Usage) -> Credits {
    let whole = instead(rules, price);
    let tokens = price.stand_in.map(|rates| for_tokens(&rates, usage));
    tokens.map_or(whole, |tokens| tokens.min(whole))
}

/// The tokens' part where their number or price is not known: `costPerRun`, unless that is charged anyway; else what the
/// estimated tokens cost.
fn instead(rules: &StepRules, price: &Price) -> Credits {
    if price.mode == CostMode::TokenBased && rules.cost > Credits::ZERO {
        return rules.cost;
    }
    let estimate = rates(rules, price).zip(price.estimated_tokens);
    estimate.map_or(Credits::ZERO, |(rates, tokens)| {
        for_tokens(&rates, &Usage::of_tokens(tokens))
    })
}

/// What tokens cost, rounded once.
pub fn for_tokens(rates: &Rates, usage: &Usage) -> Credits {
    let parts = [
        (usage.charged_input(), rates.input),
        (usage.cached_input, rates.cached_input),
        (usage.output, rates.output),
        (usage.reasoning, rates.reasoning),
    ];
    let pico = parts
        .into_iter()
        .map(|(count, rate)| i128::from(count) * i128::from(rate))
        .fold(0_i128, i128::saturating_add);
    rounded(pico)
}

fn for_tools(price: &Price, usage: &Usage) -> Credits {
    let calls = usage.tools.iter().map(|(tool, &calls)| {
        let rate = price.tool_rates.get(tool).map_or(0, |rate| rate.nano());
        i128::from(rate) * i128::from(calls)
    });
    let nano = calls.fold(0_i128, i128::saturating_add);
    capped(nano)
}

/// Nano-credits of so many pico-credits, half up.
fn rounded(pico: i128) -> Credits {
    capped(pico.saturating_add(500) / 1_000)
}

fn capped(nano: i128) -> Credits {
    let max = CHARGE_MAX.nano();
    Credits::from_nano(i64::try_from(nano).unwrap_or(max).clamp(0, max))
}
