//! The command line of `afterplan credits`.

use clap::{Args, Subcommand, ValueEnum};
use domain::money::budget::AtLimit;
use domain::money::ledger::Kind;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId, OrchestrationId, StepId};
use domain::values::time::Timestamp;
use engine::credits::Filter;
use engine::days;
use engine::quotas::Window;
use server::api::grants::COUNT_MAX;
use server::api::submission::{BUDGET_MAX, NAME_MAX};
use store::url::DatabaseUrl;

use crate::arguments::{amount, exact, orchestration_id};

/// Looking at credits, and moving them.
#[derive(Debug, Subcommand)]
pub enum CreditsVerb {
    /// Show what an account has: balance, what attempts in flight hold, debt, grants.
    Balance {
        /// The account.
        #[arg(default_value = "system")]
        account: AccountId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what moved an account's credits, each movement with the balance after it.
    History(HistoryRequest),
    /// Give an account credits. They pay its debt first.
    Grant {
        /// The account.
        account: AccountId,
        /// How much, above 0.
        #[arg(allow_negative_numbers = true, value_parser = given)]
        amount: Credits,
        /// Given once, however often it is asked for under this key. Default: a new one.
        #[arg(long, value_name = "TEXT", value_parser = key)]
        key: Option<String>,
        /// Grants with lower numbers are used first. Default: 50.
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        priority: Option<i32>,
        /// After how many days what is left lapses. Default: never.
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires: Option<u32>,
        /// What it is for.
        #[arg(long, value_name = "TEXT", default_value = "", value_parser = note)]
        note: String,
    },
    /// Correct a balance, up or down.
    Adjust {
        /// The account.
        account: AccountId,
        /// By how much; below 0 takes away.
        #[arg(allow_negative_numbers = true, value_parser = correction)]
        amount: Credits,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        note: String,
        /// Made once, however often it is asked for under this key. Default: a new one.
        #[arg(long, value_name = "TEXT", value_parser = key)]
        key: Option<String>,
    },
    /// Say what happens to steps that do not fit what the account has.
    Limit {
        /// The account.
        account: AccountId,
        /// `stop` fails them, `pause` lets a person decide, `warn` starts them all the same.
        #[arg(value_parser = at_limit)]
        at_limit: AtLimit,
    },
    /// Show an account's quotas, set one, or drop one.
    Quota(QuotaRequest),
    /// Write charges into PlanExe's `credit_history`, each once (source `enrichment`); or print them as its rows.
    Export {
        /// PlanExe's database. Default: the rows are printed.
        #[arg(long, value_name = "URL", value_parser = planexe)]
        to: Option<String>,
        /// Look at every charge again, not only at those since the last export.
        #[arg(long, requires = "to")]
        from_start: bool,
    },
}

/// Which movements, and how they are shown.
#[derive(Debug, Args)]
pub struct HistoryRequest {
    /// The account.
    #[arg(default_value = "system")]
    pub account: AccountId,
    /// Only one kind: hold, settle, release, expire, grant or adjust.
    #[arg(long, value_parser = kind)]
    pub kind: Option<Kind>,
    /// Only those of this orchestration.
    #[arg(long, value_name = "ID", value_parser = orchestration_id)]
    pub orchestration: Option<OrchestrationId>,
    /// Only those of this agent.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// Only those of this step.
    #[arg(long)]
    pub step: Option<StepId>,
    /// Only those of this day (UTC, such as 2026-11-23) or later.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<Timestamp>,
    /// Only those before this day.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub to: Option<Timestamp>,
    /// Sums of charges by day and agent. Goes with all that says which, but not with --kind: charges are of one kind.
    #[arg(long, conflicts_with_all = ["kind", "limit"])]
    pub days: bool,
    /// How many, the newest ones. Default: 20 in a table, else all.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// How they are shown.
    #[arg(long = "form", value_enum, default_value_t = HistoryForm::Table)]
    pub form: HistoryForm,
}

/// How movements are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistoryForm {
    /// For people.
    Table,
    /// Comma-separated values under a line of names, the oldest first.
    Csv,
    /// A JSON object a line, the oldest first.
    Ndjson,
}

impl HistoryRequest {
    /// As the engine takes it.
    pub fn filter(&self) -> Filter {
        Filter {
            kind: self.kind,
            orchestration: self.orchestration,
            agent: self.agent.as_ref().map(ToString::to_string),
            step: self.step.as_ref().map(ToString::to_string),
            from: self.from,
            to: self.to,
        }
    }

    /// As a server takes it.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        let kind = self.kind.map(|kind| ("kind", kind.name().to_owned()));
        let id = self
            .orchestration
            .map(|id| ("orchestration", id.to_string()));
        let agent = self
            .agent
            .as_ref()
            .map(|agent| ("agent", agent.to_string()));
        let step = self.step.as_ref().map(|step| ("step", step.to_string()));
        let millis = |at: Timestamp| (at.0 / 1_000).to_string();
        let from = self.from.map(|at| ("from", millis(at)));
        let to = self.to.map(|at| ("to", millis(at)));
        [kind, id, agent, step, from, to]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Which quota, and how much.
#[derive(Debug, Args)]
pub struct QuotaRequest {
    /// The account.
    pub account: AccountId,
    /// Only for this agent. Default: for all together.
    #[arg(long)]
    pub agent: Option<AgentId>,
    /// In what time: an hour, a day or a month (UTC). Without --count, --credits and --drop the quota is shown.
    #[arg(long, value_parser = window)]
    pub per: Option<Window>,
    /// Sets the most attempts that may start; what is said of credits stays.
    #[arg(long, value_name = "N", requires = "per", allow_negative_numbers = true, value_parser = count)]
    pub count: Option<u64>,
    /// Sets the most credits that may be held and charged; what is said of attempts stays.
    #[arg(long, value_name = "CREDITS", requires = "per", allow_negative_numbers = true, value_parser = amount)]
    pub credits: Option<Credits>,
    /// Drops the quota.
    #[arg(long, requires = "per", conflicts_with_all = ["count", "credits"])]
    pub drop: bool,
}

/// Credits that may be given.
fn given(text: &str) -> Result<Credits, String> {
    match amount(text) {
        Ok(Credits::ZERO) => Err(format!("it is above 0, at most {BUDGET_MAX} credits")),
        of => of,
    }
}

/// What a balance may be corrected by.
fn correction(text: &str) -> Result<Credits, String> {
    let credits = exact(text)?;
    if credits == Credits::ZERO {
        return Err("by 0 nothing is corrected: below 0 takes away, above 0 gives".to_owned());
    }
    if credits.nano().unsigned_abs() > BUDGET_MAX.nano().unsigned_abs() {
        return Err(format!("it is -{BUDGET_MAX} to {BUDGET_MAX} credits"));
    }
    Ok(credits)
}

fn count(text: &str) -> Result<u64, String> {
    let count = text.parse().ok().filter(|count| *count <= COUNT_MAX);
    count.ok_or_else(|| format!("it is a whole number of attempts, 0 to {COUNT_MAX}"))
}

fn key(text: &str) -> Result<String, String> {
    let long = text.chars().count();
    if !(1..=NAME_MAX).contains(&long) {
        return Err(format!("a key has 1 to {NAME_MAX} characters"));
    }
    Ok(text.to_owned())
}

fn note(text: &str) -> Result<String, String> {
    if text.chars().count() > NAME_MAX {
        return Err(format!("a note has at most {NAME_MAX} characters"));
    }
    Ok(text.to_owned())
}

/// A note without which nothing is done.
fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it says why: it must not be empty".to_owned());
    }
    note(text)
}

/// The URL of PlanExe's database.
fn planexe(text: &str) -> Result<String, String> {
    match DatabaseUrl::parse(text) {
        Ok(DatabaseUrl::Postgres(_)) => Ok(text.to_owned()),
        _ => Err("PlanExe's database is a PostgreSQL one: postgres://USER@HOST/NAME".to_owned()),
    }
}

fn at_limit(text: &str) -> Result<AtLimit, String> {
    AtLimit::named(text).ok_or_else(|| "one of stop, pause, warn".to_owned())
}

fn day(text: &str) -> Result<Timestamp, String> {
    days::beginning(text).ok_or_else(|| "a day in UTC such as 2026-11-23".to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::named(text)
        .ok_or_else(|| "one of hold, settle, release, expire, grant, adjust".to_owned())
}

fn window(text: &str) -> Result<Window, String> {
    Window::named(text).ok_or_else(|| "one of hour, day, month".to_owned())
}
