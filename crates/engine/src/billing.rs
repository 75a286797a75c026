//! What this replica bills by: the price table, and what an account and an orchestration begin with.

use std::sync::Arc;

use domain::money::budget::Budget;
use domain::money::prices::Prices;
use domain::orchestration::event::Request;
use domain::values::credits::Credits;

use crate::outside::Outside;

/// What an orchestration may cost where its sender did not say: the seed's `costBudget`. The account `system` begins with
/// a grant of the same.
pub const DEFAULT_BUDGET: Credits = Credits::from_nano(1_000_000_000_000);

/// What is billed by.
#[derive(Clone, Debug)]
pub struct Billing {
    /// What tokens cost: an orchestration pins what it finds here when it starts.
    pub prices: Arc<Prices>,
    /// What an orchestration may cost where its sender did not say.
    pub default_budget: Credits,
    /// What the account `system` is granted once, at the first start on a database.
    pub initial_grant: Credits,
}

impl Billing {
    /// The same, for agents that are performed as `outside` says: those that name no model ask the configured one.
    #[must_use]
    pub(crate) fn at(mut self, outside: &Outside) -> Self {
        if outside.models.is_some() {
            let prices = Arc::make_mut(&mut self.prices);
            prices.default_model.clone_from(&outside.default_model);
            prices.bare_converse = outside.agents_base_url.is_none();
        }
        self
    }

    /// The most that an orchestration of this request may be charged and hold.
    pub fn budget(&self, request: &Request) -> Budget {
        Budget {
            max: request.budget.unwrap_or(self.default_budget),
            at_limit: request.at_limit.unwrap_or_default(),
        }
    }
}

impl Default for Billing {
    /// The program's own price table, and the seed's amounts.
    fn default() -> Self {
        Self {
            prices: Arc::new(Prices::built_in()),
            default_budget: DEFAULT_BUDGET,
            initial_grant: DEFAULT_BUDGET,
        }
    }
}
