//! Money on the wire: the seed's transactions, an account's balance, its movements.

use domain::money::usage::TOKENS_MAX;
use domain::values::time::Timestamp;
use engine::{credits, planexe_credits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::number::Amount;
use crate::api::views::artifact::millis;

/// What an attempt was charged, in the seed's shape.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreditTransaction {
    /// The orchestration.
    pub orchestration_id: Uuid,
    /// The agent.
    pub agent_id: String,
    /// The step's number in the order of starting; 0 for one that never started.
    pub step_number: u32,
    /// The parts.
    pub costs: Costs,
    /// Their sum, in credits.
    #[schema(value_type = f64)]
    pub total_credits: Amount,
    /// When it was charged, in milliseconds.
    pub timestamp: i64,
}

/// The parts of a charge, in credits.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// Tokens times the model's rate.
    #[schema(value_type = f64)]
    pub llm_tokens: Amount,
    /// Calls of tools times each one's rate.
    #[schema(value_type = f64)]
    pub tool_executions: Amount,
    /// The flat part.
    #[schema(value_type = f64)]
    pub base_charge: Amount,
}

impl CreditTransaction {
    /// The charge of an entry; nothing for one that charges nobody.
    pub fn of(entry: &credits::Entry) -> Option<Self> {
        let parts = entry.parts?;
        Some(Self {
            orchestration_id: entry.orchestration?.0,
            agent_id: entry.agent.clone().unwrap_or_default(),
            step_number: entry.number.unwrap_or(0),
            costs: Costs {
                llm_tokens: Amount(parts.llm_tokens),
                tool_executions: Amount(parts.tool_executions),
                base_charge: Amount(parts.base),
            },
            total_credits: Amount(
                parts
                    .llm_tokens
                    .saturating_add(parts.tool_executions)
                    .saturating_add(parts.base),
            ),
            timestamp: millis(entry.at),
        })
    }
}

/// How an account stands. Amounts are in credits; texts are for adding up.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// Whose.
    pub account: String,
    /// What its grants have left, less its debt.
    #[schema(value_type = f64)]
    pub balance: Amount,
    /// The same as text.
    pub balance_exact: String,
    /// Kept back for attempts in flight.
    #[schema(value_type = f64)]
    pub held: Amount,
    /// What the next attempt may hold.
    #[schema(value_type = f64)]
    pub available: Amount,
    /// The same as text.
    pub available_exact: String,
    /// Used, and covered by no grant: the next one pays it first.
    #[schema(value_type = f64)]
    pub debt: Amount,
    /// All that it was ever charged.
    #[schema(value_type = f64)]
    pub charged: Amount,
    /// What happens to a step that does not fit: `stop`, `pause` or `warn`.
    pub at_limit: String,
    /// Grants with something left, in the order of their use.
    pub grants: Vec<Grant>,
}

/// Credits given, of which something is left.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Its name within the account.
    pub key: String,
    /// How much was given.
    #[schema(value_type = f64)]
    pub amount: Amount,
    /// What is left.
    #[schema(value_type = f64)]
    pub remaining: Amount,
    /// Lower ones are used first.
    pub priority: i32,
    /// When what is left lapses, in milliseconds.
    pub expires_at: Option<i64>,
    /// When it was given, in milliseconds.
    pub created_at: i64,
}

impl From<credits::Balance> for Balance {
    fn from(told: credits::Balance) -> Self {
        let grant = |grant: credits::Grant| Grant {
            key: grant.key,
            amount: Amount(grant.amount),
            remaining: Amount(grant.remaining),
            priority: grant.priority,
            expires_at: grant.expires_at.map(millis),
            created_at: millis(grant.created_at),
        };
        Self {
            account: told.account.to_string(),
            balance: Amount(told.balance),
            balance_exact: told.balance.to_string(),
            held: Amount(told.held),
            available: Amount(told.available),
            available_exact: told.available.to_string(),
            debt: Amount(told.debt),
            charged: Amount(told.charged),
            at_limit: told.at_limit.name().to_owned(),
            grants: told.grants.into_iter().map(grant).collect(),
        }
    }
}

/// One movement of an account's credits.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Movement {
    /// Its number in the account: 1, 2, 3 … without gaps.
    pub number: i64,
    /// `hold`, `settle`, `release`, `expire`, `grant` or `adjust`.
    pub kind: String,
    /// When, in milliseconds.
    pub at: i64,
    /// By how much the balance changed, as text.
    pub amount: String,
    /// By how much what is held changed, as text.
    pub hold: String,
    /// The balance after it, as text.
    pub balance: String,
    /// What is held after it, as text.
    pub held: String,
    /// The orchestration.
    pub orchestration_id: Option<Uuid>,
    /// The step.
    pub step_id: Option<String>,
    /// The agent.
    pub agent_id: Option<String>,
    /// The attempt.
    pub attempt: Option<u32>,
    /// Which charge of that attempt: 0 its own, 1 one for a result that took no further work.
    pub ordinal: Option<u32>,
    /// Tokens used; none where more were told than can be believed.
    pub tokens_used: Option<u64>,
    /// Whether the part for tokens is an estimate.
    pub estimated: Option<bool>,
    /// The key of a grant or correction.
    pub key: Option<String>,
    /// Said with it.
    pub note: Option<String>,
}

impl From<credits::Entry> for Movement {
    fn from(entry: credits::Entry) -> Self {
        Self {
            number: entry.seq,
            kind: entry.kind.name().to_owned(),
            at: millis(entry.at),
            amount: entry.amount.to_string(),
            hold: entry.hold.to_string(),
            balance: entry.balance.to_string(),
            held: entry.held.to_string(),
            orchestration_id: entry.orchestration.map(|id| id.0),
            step_id: entry.step,
            agent_id: entry.agent,
            attempt: entry.attempt,
            ordinal: entry.ordinal,
            tokens_used: entry
                .parts
                .map(|parts| parts.tokens_used)
                .filter(|&tokens| tokens <= TOKENS_MAX),
            estimated: entry.parts.map(|parts| parts.estimated),
            key: entry.key,
            note: entry.note,
        }
    }
}

impl Movement {
    /// The first line of a CSV.
    pub const COLUMNS: &str = "number,at,kind,amount,hold,balance,held,orchestration,step,agent,attempt,ordinal,tokens,estimated,key,note";

    /// A line of CSV (RFC 4180), without its end. A text that a spreadsheet would take for a formula gets an apostrophe.
    pub fn csv(&self) -> String {
        let number = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
        let text = |text: &Option<String>| quoted(text.as_deref().unwrap_or(""));
        let fields = [
            self.number.to_string(),
            Timestamp(self.at.saturating_mul(1_000)).to_string(),
            self.kind.clone(),
            self.amount.clone(),
            self.hold.clone(),
            self.balance.clone(),
            self.held.clone(),
            self.orchestration_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            text(&self.step_id),
            text(&self.agent_id),
            number(self.attempt),
            number(self.ordinal),
            self.tokens_used.map(|n| n.to_string()).unwrap_or_default(),
            self.estimated.map(|is| is.to_string()).unwrap_or_default(),
            text(&self.key),
            text(&self.note),
        ];
        fields.join(",")
    }
}

/// A text as one field of a line of CSV.
pub fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// What an agent was charged on one day.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DaySum {
    /// The day in UTC: `2026-11-23`.
    pub day: String,
    /// The agent.
    pub agent_id: String,
    /// What it was charged, as text.
    pub charged: String,
    /// How many charges.
    pub charges: i64,
    /// Tokens used.
    pub tokens_used: i64,
}

impl DaySum {
    /// The first line of a CSV.
    pub const COLUMNS: &str = "day,agent,charged,charges,tokens";

    /// A line of CSV, without its end.
    pub fn csv(&self) -> String {
        let Self {
            day,
            agent_id,
            charged,
            charges,
            tokens_used,
        } = self;
        let agent = quoted(agent_id);
        format!("{day},{agent},{charged},{charges},{tokens_used}")
    }
}

impl From<credits::DaySum> for DaySum {
    fn from(sum: credits::DaySum) -> Self {
        Self {
            day: sum.day,
            agent_id: sum.agent,
            charged: sum.charged.to_string(),
            charges: sum.charges,
            tokens_used: sum.tokens_used,
        }
    }
}

/// A charge as a row of PlanExe's `credit_history`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryLine {
    /// Whose credits change; null where nobody's do.
    pub user_id: Option<Uuid>,
    /// By how much, as text: below zero.
    pub delta: String,
    /// What for.
    pub reason: String,
    /// `enrichment`.
    pub source: String,
    /// The charge's identity: orchestration, step, attempt and ordinal, with colons.
    pub external_id: String,
    /// When, in milliseconds.
    pub created_at: i64,
    /// The account that was charged.
    pub account: String,
}

impl From<planexe_credits::HistoryRow> for HistoryLine {
    fn from(row: planexe_credits::HistoryRow) -> Self {
        Self {
            user_id: row.user_id,
            delta: row.delta.to_string(),
            reason: row.reason,
            source: store::planexe_history::SOURCE.to_owned(),
            external_id: row.external_id,
            created_at: millis(row.at),
            account: row.account.to_string(),
        }
    }
}

impl HistoryLine {
    /// The first line of a CSV: columns of the table, and the account.
    pub const COLUMNS: &str = "user_id,delta,reason,source,external_id,created_at,account";

    /// A line of CSV, without its end.
    pub fn csv(&self) -> String {
        let fields = [
            self.user_id.map(|id| id.to_string()).unwrap_or_default(),
            self.delta.clone(),
            quoted(&self.reason),
            self.source.clone(),
            quoted(&self.external_id),
            Timestamp(self.created_at.saturating_mul(1_000)).to_string(),
            self.account.clone(),
        ];
        fields.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn texts_stay_one_field_and_are_no_formula() {
        assert_eq!(quoted("top-up"), "top-up");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"yes\""), "\"say \"\"yes\"\"\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
    }
}
