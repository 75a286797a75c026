//! Budgets: the most that may be spent, and what happens at the limit.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::credits::Credits;

/// What happens to a step that does not fit what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AtLimit {
    /// It fails; what was kept of it stands.
    #[default]
    Stop,
    /// It waits for a person, whose yes raises the budget by what it needs.
    Pause,
    /// It starts all the same, and its event says so.
    Warn,
}

impl AtLimit {
    /// The name, as written in definitions and stored in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Warn => "warn",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Stop, Self::Pause, Self::Warn]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

/// The most that an orchestration or a step may be charged and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// How much.
    pub max: Credits,
    /// What happens when it is reached.
    #[serde(default)]
    pub at_limit: AtLimit,
}

impl Budget {
    /// What is left when so much is spent and held; less than nothing after an overage.
    pub fn left(&self, spent: Credits, held: Credits) -> Credits {
        self.max.saturating_sub(spent).saturating_sub(held)
    }
}

/// Whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The step's own budget.
    Step,
    /// The orchestration's budget.
    Orchestration,
    /// The credits that the account has available.
    Account,
    /// What the account or the agent may use in an hour, day or month.
    Quota,
}

impl Scope {
    /// The name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Orchestration => "orchestration",
            Self::Account => "account",
            Self::Quota => "quota",
        }
    }
}

/// A budget that an approval has raised; of an account, that the step's next attempt may go beyond what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Raised {
    /// The step's, the orchestration's or the account's.
    pub scope: Scope,
    /// The most from now on; of an account, what that one attempt holds.
    pub max: Credits,
}

/// A limit that a step did not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shortage {
    /// Whose limit.
    pub scope: Scope,
    /// What the step's next attempt would hold.
    pub needed: Credits,
    /// What is left; less than nothing after an overage.
    pub left: Credits,
    /// Which limit, for people, where the scope alone does not say it (`60 attempts an hour`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scope,
            needed,
            left,
            what,
        } = self;
        let over = Credits::ZERO.saturating_sub(*left);
        let exceeded = over > Credits::ZERO;
        match scope {
            Scope::Step if exceeded => write!(
                f,
                "its budget is exceeded by {over} credits, and it needs {needed}"
            ),
            Scope::Step => write!(
                f,
                "its budget has {left} credits left, and it needs {needed}"
            ),
            Scope::Orchestration if exceeded => write!(
                f,
                "the orchestration's budget is exceeded by {over} credits, and it needs {needed}"
            ),
            Scope::Orchestration => write!(
                f,
                "the orchestration's budget has {left} credits left, and it needs {needed}"
            ),
            Scope::Account if exceeded => write!(
                f,
                "the account is {over} credits below zero, and it needs {needed}"
            ),
            Scope::Account => write!(
                f,
                "the account has {left} credits available, and it needs {needed}"
            ),
            Scope::Quota if what.is_empty() => f.write_str("a quota is used up"),
            Scope::Quota => write!(f, "a quota is used up: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exceeded_is_said_to_be_and_not_to_have_less_than_nothing_left() {
        let said = |scope, left| {
            let short = Shortage {
                scope,
                needed: Credits::from_nano(150_000_000),
                left: Credits::from_nano(left),
                what: String::new(),
            };
            short.to_string()
        };
        for (scope, over) in [
            (Scope::Step, "its budget is exceeded by 0.02 credits"),
            (
                Scope::Orchestration,
                "the orchestration's budget is exceeded by 0.02 credits",
            ),
            (Scope::Account, "the account is 0.02 credits below zero"),
        ] {
            let needs = ", and it needs 0.15";
            assert_eq!(said(scope, -20_000_000), format!("{over}{needs}"));
            for left in [0, 20_000_000] {
                let amount = Credits::from_nano(left);
                assert!(said(scope, left).contains(&format!("has {amount} credits")));
            }
        }
    }
}
