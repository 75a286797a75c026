//! What an admin does to an account's credits: grants, corrections, what happens at the limit, quotas.

use axum::Json;
use axum::extract::State;
use domain::money::budget::AtLimit;
use domain::values::credits::Credits;
use domain::values::ids::{AccountId, AgentId};
use domain::values::role::Deed;
use engine::credits::{self, CreditsError, GrantOrder, PRIORITY};
use engine::quotas::{self, Quota, Window};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::credits::{seen, time};
use crate::api::error::{Code, Problem, Refusals};
use crate::api::extract::{At, JsonText};
use crate::api::idempotency::{Keyed, subject};
use crate::api::number::{Amount, Whole};
use crate::api::routes::{Routes, routes};
use crate::api::submission::{BUDGET_MAX, NAME_MAX};
use crate::api::views::artifact::millis;
use crate::api::views::money::Balance;
use crate::app::App;

/// The highest number of attempts that a quota may name.
pub const COUNT_MAX: u64 = 1_000_000_000_000;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(grant))
        .routes(routes!(adjust))
        .routes(routes!(at_limit))
        .routes(routes!(list_quotas, set_quota))
}

/// Credits to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Order {
    /// Given once, however often it is asked for under the same key; by default one that goes with the `Idempotency-Key`, else a new one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    key: Option<String>,
    /// How much, above 0; a number or a text with at most nine places.
    #[schema(value_type = f64, exclusive_minimum = 0, maximum = 9_000_000_000_u64)]
    amount: Credits,
    /// Lower ones are used first; 50 by default.
    #[serde(default)]
    priority: Option<i32>,
    /// When what is left lapses, in milliseconds; never by default.
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 9_000_000_000_000_u64)]
    expires_at: Option<Whole>,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 256, required = false)]
    note: String,
}

/// A balance to be corrected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Correction {
    /// Made once, however often it is asked for under the same key; by default one that goes with the `Idempotency-Key`, else a new one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    key: Option<String>,
    /// By how much, up or down; a number or a text with at most nine places.
    #[schema(value_type = f64, minimum = -9_000_000_000_i64, maximum = 9_000_000_000_u64)]
    amount: Credits,
    /// Why.
    #[schema(min_length = 1, max_length = 256)]
    note: String,
}

/// What became of a grant or a correction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Moved {
    /// Its key.
    key: String,
    /// Whether it was not made before.
    new: bool,
    /// How the account stands now.
    credits: Balance,
}

/// What happens at the limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LimitWish {
    /// `stop` fails a step that does not fit, `pause` lets a person decide, `warn` starts it all the same.
    at_limit: Policy,
}

/// What happens to a step that does not fit.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// It fails.
    Stop,
    /// It waits for a person.
    Pause,
    /// It starts all the same.
    Warn,
}

impl From<Policy> for AtLimit {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Stop => Self::Stop,
            Policy::Pause => Self::Pause,
            Policy::Warn => Self::Warn,
        }
    }
}

/// The length of a quota's time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Per {
    Hour,
    Day,
    Month,
}

impl From<Per> for Window {
    fn from(per: Per) -> Self {
        match per {
            Per::Hour => Self::Hour,
            Per::Day => Self::Day,
            Per::Month => Self::Month,
        }
    }
}

/// A quota to be set in place of the one for the same agent and time. Without `count` and `credits` it is dropped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QuotaWish {
    /// Only for this agent; for all together by default.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    agent_id: Option<AgentId>,
    /// In what time, in UTC.
    per: Per,
    /// Most attempts that may start.
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 1_000_000_000_000_u64)]
    count: Option<Whole>,
    /// Most credits that may be held and charged.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 9_000_000_000_u64)]
    credits: Option<Credits>,
}

/// A quota, and what is used of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QuotaUse {
    /// The agent; null for all together.
    agent_id: Option<String>,
    /// `hour`, `day` or `month`.
    per: String,
    /// Most attempts that may start.
    count: Option<u64>,
    /// Attempts started.
    count_used: u64,
    /// Most credits that may be held and charged.
    #[schema(value_type = Option<f64>)]
    credits: Option<Amount>,
    /// Credits held and charged.
    #[schema(value_type = f64)]
    credits_used: Amount,
    /// When it begins anew, in milliseconds.
    ends_at: i64,
}

/// An account's quotas.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Quotas {
    /// All of them.
    quotas: Vec<QuotaUse>,
}

impl From<CreditsError> for Problem {
    fn from(error: CreditsError) -> Self {
        match error {
            CreditsError::Store(error) => error.into(),
            CreditsError::Refused(why) => Self::new(Code::Refused, why),
            CreditsError::Conflict(_) => Self::new(Code::Conflict, error.to_string()),
        }
    }
}

/// The account that an admin means. One without any orchestration is as good as any.
fn target(caller: &Caller, id: &str) -> Result<AccountId, Problem> {
    caller.may(Deed::Money)?;
    if id == "me" {
        return Ok(caller.account.clone());
    }
    AccountId::new(id).map_err(|error| Problem::invalid(error.to_string()))
}

/// The key of a movement: as given, else that of the repeated write, else a new one.
fn named(key: Option<String>, write: &Keyed) -> Result<String, Problem> {
    match key {
        None => Ok(subject(write).to_string()),
        Some(key) if key.is_empty() || key.chars().count() > NAME_MAX => Err(Problem::invalid(
            format!("`key` has 1 to {NAME_MAX} characters"),
        )),
        Some(key) => Ok(key),
    }
}

/// An amount that a definition of this API takes.
fn bounded(key: &str, amount: Credits) -> Result<Credits, Problem> {
    let most = BUDGET_MAX.nano();
    if amount.nano() > most {
        Err(Problem::invalid(format!("`{key}` is at most {BUDGET_MAX}")))
    } else if amount.nano() < -most {
        Err(Problem::invalid(format!(
            "`{key}` is at least -{BUDGET_MAX}"
        )))
    } else {
        Ok(amount)
    }
}

fn said(note: &str) -> Result<(), Problem> {
    if note.chars().count() > NAME_MAX {
        return Err(Problem::invalid(format!(
            "`note` has at most {NAME_MAX} characters"
        )));
    }
    Ok(())
}

fn moved(key: String, granted: credits::Granted) -> (StatusCode, Json<Moved>) {
    let status = if granted.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let credits = granted.balance.into();
    let new = granted.new;
    (status, Json(Moved { key, new, credits }))
}

/// Grant credits
///
/// They pay the account's debt first. The same `key` again changes nothing and is answered with 200.
#[utoipa::path(
    post, path = "/accounts/{id}/credits/grants", tag = "credits", request_body = Order,
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses(
        (status = 201, description = "Granted", body = Moved),
        (status = 200, description = "Granted before", body = Moved),
        Refusals,
    )
)]
async fn grant(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    write: Keyed,
    body: JsonText,
) -> Result<(StatusCode, Json<Moved>), Problem> {
    let account = target(&caller, &id)?;
    let order: Order = body.read()?;
    said(&order.note)?;
    let key = named(order.key, &write)?;
    let order = GrantOrder {
        key: key.clone(),
        amount: bounded("amount", order.amount)?,
        priority: order.priority.unwrap_or(PRIORITY),
        expires_at: order
            .expires_at
            .map(|at| time("expiresAt", at))
            .transpose()?,
        note: order.note,
    };
    Ok(moved(
        key,
        credits::grant(&app.engine, &account, order).await?,
    ))
}

/// Correct a balance
///
/// Up or down, with the reason. The same `key` again changes nothing and is answered with 200.
#[utoipa::path(
    post, path = "/accounts/{id}/credits/adjustments", tag = "credits", request_body = Correction,
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses(
        (status = 201, description = "Corrected", body = Moved),
        (status = 200, description = "Corrected before", body = Moved),
        Refusals,
    )
)]
async fn adjust(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    write: Keyed,
    body: JsonText,
) -> Result<(StatusCode, Json<Moved>), Problem> {
    let account = target(&caller, &id)?;
    let correction: Correction = body.read()?;
    said(&correction.note)?;
    if correction.note.trim().is_empty() {
        return Err(Problem::invalid("`note` says why: it must not be empty"));
    }
    let key = named(correction.key, &write)?;
    let amount = bounded("amount", correction.amount)?;
    let note = correction.note;
    let granted = credits::adjust(&app.engine, &account, key.clone(), amount, note).await?;
    Ok(moved(key, granted))
}

/// Say what happens at an account's limit
#[utoipa::path(
    post, path = "/accounts/{id}/credits/limit", tag = "credits", request_body = LimitWish,
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses((status = 200, description = "How the account stands", body = Balance), Refusals)
)]
async fn at_limit(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    body: JsonText,
) -> Result<Json<Balance>, Problem> {
    let account = target(&caller, &id)?;
    let wish: LimitWish = body.read()?;
    credits::set_at_limit(&app.engine, &account, wish.at_limit.into()).await?;
    let balance = credits::balance(&app.engine, &account).await?;
    Ok(Json(balance.into()))
}

/// List an account's quotas
#[utoipa::path(
    get, path = "/accounts/{id}/quotas", tag = "credits",
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses((status = 200, description = "They, with what is used of them", body = Quotas), Refusals)
)]
async fn list_quotas(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Json<Quotas>, Problem> {
    let account = seen(&app, &caller, &id).await?;
    shown(&app, &account).await
}

/// Set a quota
///
/// In place of the one for the same agent and time; without `count` and `credits` it is dropped.
#[utoipa::path(
    post, path = "/accounts/{id}/quotas", tag = "credits", request_body = QuotaWish,
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses((status = 200, description = "All quotas of the account", body = Quotas), Refusals)
)]
async fn set_quota(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    body: JsonText,
) -> Result<Json<Quotas>, Problem> {
    let account = target(&caller, &id)?;
    let wish: QuotaWish = body.read()?;
    let count = wish.count.map(|Whole(count)| count);
    if count.is_some_and(|count| count > COUNT_MAX) {
        return Err(Problem::invalid(format!("`count` is at most {COUNT_MAX}")));
    }
    let quota = Quota {
        agent: wish.agent_id,
        window: wish.per.into(),
        count,
        credits: wish.credits.map(|c| bounded("credits", c)).transpose()?,
    };
    quotas::set_quota(&app.engine, &account, quota).await?;
    shown(&app, &account).await
}

async fn shown(app: &App, account: &AccountId) -> Result<Json<Quotas>, Problem> {
    let quotas = quotas::quotas(&app.engine, account).await?;
    let shown = quotas.into_iter().map(|of| QuotaUse {
        agent_id: of.quota.agent.map(|agent| agent.to_string()),
        per: of.quota.window.name().to_owned(),
        count: of.quota.count,
        count_used: of.count_used,
        credits: of.quota.credits.map(Amount),
        credits_used: Amount(of.credits_used),
        ends_at: millis(of.window_ends),
    });
    Ok(Json(Quotas {
        quotas: shown.collect(),
    }))
}
