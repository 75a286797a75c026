//! What a step's own rules say of its cost, before anything is known of how it goes.

use std::fmt;

use crate::money::budget::AtLimit;
use crate::money::charge::{Outcome, ceiling, charge};
use crate::money::forecast::Declared;
use crate::money::price::{Billing, CostMode, Share};
use crate::money::usage::Usage;
use crate::orchestration::graph::StepRules;
use crate::values::credits::Credits;

/// Why nothing bounds what a step may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbounded {
    /// Its model is in no price table.
    Price,
    /// It is charged for what it uses, and neither its definition's `ceiling` nor `estimatedTokens` says how much that is.
    Ceiling,
    /// It may spawn children, and its definition has no `budget` that they would have to live on.
    Children,
}

impl fmt::Display for Unbounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Price => "the price of its model is unknown, a price table can name it",
            Self::Ceiling => "its definition has no `ceiling` on what it uses, and could have one",
            Self::Children => {
                "it may spawn others, and its definition has no `budget` for them, and could have one"
            }
        })
    }
}

/// Why nothing bounds what the step may cost, if nothing does.
pub fn unbounded(rules: &StepRules) -> Option<Unbounded> {
    let price = rules.price.as_deref()?;
    if !price.known() {
        return Some(Unbounded::Price);
    }
    let tokens = price.mode != CostMode::Fixed && price.estimated_tokens.is_none();
    let open = price.ceiling.is_none() && (tokens || !price.tool_rates.is_empty());
    open.then_some(Unbounded::Ceiling)
}

/// The figures that the rules give. `fresh` orchestrations take nothing over.
pub fn declared(rules: &StepRules, fresh: bool) -> Declared {
    let price = rules.price.as_deref();
    let usage = price
        .and_then(|price| price.estimated_tokens)
        .map_or_else(Usage::default, Usage::of_tokens);
    let estimate = charge(rules, Outcome::Completed, &usage).total();
    let ceiling = ceiling(rules).max(estimate);
    let billing = price.map_or_else(Billing::default, |price| price.billing);
    let retries = times(failed(rules, billing.failed, ceiling), rules.max_retries);
    let cap = step_cap(rules).unwrap_or(Credits::from_nano(i64::MAX));
    Declared {
        estimate: estimate.min(cap),
        ceiling: ceiling.min(cap),
        worst: ceiling.saturating_add(retries).min(cap),
        flat: price.is_none_or(|price| {
            price.mode == CostMode::Fixed
                && price.tool_rates.is_empty()
                && price.billing.failed != Share::Full
        }),
        may_be_idle: rules.gate.is_some() || (rules.reusable && !fresh),
    }
}

/// What the rules of a step give that may spawn others, and why nothing bounds it: its children live on its own budget, if
/// that stops them, and on nothing else that its rules know; nor do these know how often it begins anew after them.
pub fn with_children(rules: &StepRules, declared: Declared) -> (Declared, Option<Unbounded>) {
    let cap = step_cap(rules);
    let declared = Declared {
        worst: cap.unwrap_or(declared.worst),
        flat: false,
        ..declared
    };
    let open = cap.is_none().then_some(Unbounded::Children);
    (declared, unbounded(rules).or(open))
}

/// The most that one failed attempt is charged.
fn failed(rules: &StepRules, share: Share, ceiling: Credits) -> Credits {
    let mode = rules.price.as_ref().map(|price| price.mode);
    match (share, mode) {
        (Share::Full, _) => ceiling,
        (Share::None, _) | (Share::Used, None) => Credits::ZERO,
        (Share::Used, Some(CostMode::TokenBased)) => ceiling,
        // The base charge is due with a result alone.
        (Share::Used, Some(_)) => ceiling.saturating_sub(rules.cost).max(Credits::ZERO),
    }
}

/// The most that the step may cost by its own budget, where that stops it.
fn step_cap(rules: &StepRules) -> Option<Credits> {
    let budget = rules.price.as_deref()?.budget?;
    (budget.at_limit == AtLimit::Stop).then_some(budget.max)
}

fn times(credits: Credits, count: u32) -> Credits {
    Credits::from_nano(credits.nano().saturating_mul(i64::from(count)))
}
