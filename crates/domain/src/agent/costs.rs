//! What can be wrong with what a definition says of money: negative amounts, and absurd ones.

use crate::agent::definition::AgentDefinition;
use crate::agent::validate::Problem;
use crate::money::usage::COUNT_MAX;
use crate::values::credits::Credits;

/// The highest price of one step or one call, and the highest ceiling: a million credits. More is a typo in units.
pub const PRICE_MAX: Credits = Credits::from_nano(1_000_000_000_000_000);

/// The highest budget: a hundred million credits, as much as a grant can give.
pub const BUDGET_MAX: Credits = crate::money::ledger::AMOUNT_MAX;

/// All problems of `definition` with money.
pub(super) fn problems(definition: &AgentDefinition) -> Vec<Problem> {
    let rates = definition.tool_rates.iter();
    let rates = rates.map(|(tool, rate)| (format!("toolRates.{tool}"), *rate, PRICE_MAX));
    let ceiling = definition
        .ceiling
        .map(|most| ("ceiling".to_owned(), most, PRICE_MAX));
    let budget = definition
        .budget
        .map(|budget| ("budget.max".to_owned(), budget.max, BUDGET_MAX));
    let flat = ("costPerRun".to_owned(), definition.cost_per_run, PRICE_MAX);
    let amounts = [flat].into_iter().chain(rates).chain(ceiling).chain(budget);
    let mut found: Vec<Problem> = amounts
        .filter_map(|(key, amount, max)| Some((key, fault(amount, max)?)))
        .map(|(key, message)| Problem { key, message })
        .collect();
    if let Some(tokens) = definition
        .estimated_tokens
        .filter(|tokens| *tokens > COUNT_MAX)
    {
        found.push(Problem {
            key: "estimatedTokens".to_owned(),
            message: format!("{tokens} is more than {COUNT_MAX}"),
        });
    }
    found
}

/// What is wrong with an amount, if anything is.
fn fault(amount: Credits, max: Credits) -> Option<String> {
    if amount < Credits::ZERO {
        Some(format!("{amount} is negative"))
    } else if amount > max {
        Some(format!("{amount} is more than {max} credits"))
    } else {
        None
    }
}
