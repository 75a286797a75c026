//! What this replica bills by: the price table, and what an account and an orchestration begin with.

use domain::values::credits::Credits;

/// What an orchestration may cost where its sender did not say: the seed's `costBudget`. The account `system` begins with
/// a grant of the same.
pub const DEFAULT_BUDGET: Credits = Credits::from_nano(1_000_000_000_000);

/// What is billed by.
#[derive(Clone, Debug)]
pub struct Billing {
    /// What an orchestration may cost where its sender did not say.
    pub default_budget: Credits,
    /// What the account `system` is granted once, at the first start on a database.
    pub initial_grant: Credits,
}

impl Default for Billing {
    /// The seed's amounts.
    fn default() -> Self {
        Self {
            default_budget: DEFAULT_BUDGET,
            initial_grant: DEFAULT_BUDGET,
        }
    }
}
