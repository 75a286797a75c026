//! Credits: what an account has, what moved them, and what an orchestration was charged.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::money::ledger::Kind;
use domain::values::ids::{AccountId, AgentId, OrchestrationId, StepId};
use domain::values::role::Deed;
use domain::values::time::Timestamp;
use engine::credits::{self, Filter};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::events::own;
use crate::api::extract::{Asked, At};
use crate::api::number::{Amount, Whole};
use crate::api::orchestrate::account_of;
use crate::api::page::limit;
use crate::api::routes::{Routes, routes};
use crate::api::views::money::{Balance, CreditTransaction, DaySum, HistoryLine, Movement};
use crate::app::App;
use crate::stream::books::{self, LineForm};
use crate::stream::movements::{self, Form};

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(of_orchestration))
        .routes(routes!(balance))
        .routes(routes!(history))
        .routes(routes!(days))
        .routes(routes!(exported))
}

/// What an orchestration was charged.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Charges {
    /// A row a charge, in the order in which they were made.
    transactions: Vec<CreditTransaction>,
    /// The sum of the rows' totals: the orchestration's `creditsUsed`.
    #[schema(value_type = f64)]
    credits_used: Amount,
    /// The same as text, for adding up.
    credits_used_exact: String,
}

/// A page of an account's movements.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MovementPage {
    /// The newest first.
    movements: Vec<Movement>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// What an account was charged, day by day.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Days {
    /// By day, then by agent.
    days: Vec<DaySum>,
}

/// Which movements are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wanted {
    /// Only these of one kind.
    #[param(inline, nullable = false)]
    kind: Option<KindName>,
    /// Only those of this orchestration.
    #[param(nullable = false)]
    orchestration: Option<Uuid>,
    /// Only those of this agent.
    #[param(value_type = Option<String>, nullable = false)]
    agent: Option<AgentId>,
    /// Only those of this step.
    #[param(value_type = Option<String>, nullable = false)]
    step: Option<StepId>,
    /// Only those then or later, in milliseconds since 1970.
    #[param(value_type = Option<u64>, maximum = 9_000_000_000_000_u64, nullable = false)]
    from: Option<u64>,
    /// Only those before, in milliseconds since 1970.
    #[param(value_type = Option<u64>, maximum = 9_000_000_000_000_u64, nullable = false)]
    to: Option<u64>,
    /// The `nextCursor` of the page before.
    #[param(max_length = 18, pattern = "^[0-9]{1,18}$", nullable = false)]
    cursor: Option<String>,
    /// Most movements of a page; 50 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    limit: Option<u32>,
    /// `json` (a page), `ndjson` or `csv` (all, the oldest first). `Accept` says the same.
    #[param(inline, nullable = false)]
    format: Option<Form>,
}

/// A kind of movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// Kept back for an attempt.
    Hold,
    /// Charged.
    Settle,
    /// Given back unused.
    Release,
    /// A grant that lapsed.
    Expire,
    /// A grant.
    Grant,
    /// A correction.
    Adjust,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Hold => Self::Hold,
            KindName::Settle => Self::Settle,
            KindName::Release => Self::Release,
            KindName::Expire => Self::Expire,
            KindName::Grant => Self::Grant,
            KindName::Adjust => Self::Adjust,
        }
    }
}

/// The latest time that is taken, in milliseconds: the year 2255.
const LATEST: u64 = 9_000_000_000_000;

/// A time that was given in milliseconds.
///
/// # Errors
/// 400 for one that is too late.
pub fn time(key: &str, Whole(millis): Whole) -> Result<Timestamp, Problem> {
    let known = i64::try_from(millis).ok().filter(|_| millis <= LATEST);
    known
        .map(|millis| Timestamp(millis * 1_000))
        .ok_or_else(|| Problem::invalid(format!("`{key}` is at most {LATEST}")))
}

impl Wanted {
    fn filter(&self) -> Result<Filter, Problem> {
        Ok(Filter {
            kind: self.kind.map(Kind::from),
            orchestration: self.orchestration.map(OrchestrationId),
            agent: self.agent.as_ref().map(ToString::to_string),
            step: self.step.as_ref().map(ToString::to_string),
            from: self.from.map(|at| time("from", Whole(at))).transpose()?,
            to: self.to.map(|at| time("to", Whole(at))).transpose()?,
        })
    }

    fn before(&self) -> Result<Option<i64>, Problem> {
        let read = |cursor: &String| cursor.parse::<i64>().ok().filter(|seq| *seq >= 0);
        match &self.cursor {
            None => Ok(None),
            Some(cursor) => match read(cursor) {
                Some(seq) => Ok(Some(seq)),
                None => Err(Problem::invalid("`cursor` is none that a page gave")),
            },
        }
    }
}

/// The account that is asked for, where the caller sees it.
///
/// # Errors
/// 403 where the caller may not look, 404 for another's account.
pub async fn seen(app: &App, caller: &Caller, id: &str) -> Result<AccountId, Problem> {
    caller.may(Deed::Read)?;
    let unknown = || Problem::not_found("there is no such account");
    let account = account_of(caller, id).ok_or_else(unknown)?;
    // Credits may come before the first orchestration.
    let store = &app.engine.store;
    let is_known = account == caller.account
        || store.account(account.as_str()).await?.is_some()
        || store.ledger(account.as_str()).await?.is_some();
    is_known.then_some(account).ok_or_else(unknown)
}

/// What an orchestration was charged
///
/// The sum of the rows is the orchestration's `creditsUsed`.
#[utoipa::path(
    get, path = "/orchestrations/{id}/credits", tag = "credits",
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "Its charges", body = Charges), Refusals)
)]
async fn of_orchestration(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
) -> Result<Json<Charges>, Problem> {
    own(&app, &caller, id).await?;
    let entries = credits::of_orchestration(&app.engine, OrchestrationId(id)).await?;
    let transactions: Vec<CreditTransaction> =
        entries.iter().filter_map(CreditTransaction::of).collect();
    let sum = transactions.iter().fold(
        Default::default(),
        |sum: domain::values::credits::Credits, row| sum.saturating_add(row.total_credits.0),
    );
    Ok(Json(Charges {
        transactions,
        credits_used: Amount(sum),
        credits_used_exact: sum.to_string(),
    }))
}

/// What an account has
///
/// Balance, what attempts in flight hold, debt, and the grants in the order of their use.
#[utoipa::path(
    get, path = "/accounts/{id}/credits", tag = "credits",
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses((status = 200, description = "It", body = Balance), Refusals)
)]
async fn balance(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Json<Balance>, Problem> {
    let account = seen(&app, &caller, &id).await?;
    let balance = credits::balance(&app.engine, &account).await?;
    Ok(Json(balance.into()))
}

/// What moved an account's credits
///
/// Each movement with the balance after it. As a page, the newest first; or as JSON lines (`application/x-ndjson`) or CSV
/// (`text/csv`), all of them, the oldest first.
#[utoipa::path(
    get, path = "/accounts/{id}/credits/history", tag = "credits",
    params(("id" = String, Path, description = "The account; `me` for one's own"), Wanted),
    responses(
        (status = 200, description = "The movements", content(
            (MovementPage = "application/json"), (Movement = "application/x-ndjson"), (String = "text/csv"))),
        Refusals,
    )
)]
async fn history(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let account = seen(&app, &caller, &id).await?;
    let (filter, before) = (wanted.filter()?, wanted.before()?);
    let limit = limit(wanted.limit)?;
    match wanted.format.unwrap_or_else(|| Form::of(&headers)) {
        Form::Json => {}
        form => {
            return Ok(movements::respond(
                app.engine.clone(),
                account,
                filter,
                form,
            ));
        }
    }
    let many = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut entries = credits::history(
        &app.engine,
        &account,
        &filter,
        before,
        many.saturating_add(1),
    )
    .await?;
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = entries
        .last()
        .filter(|_| more)
        .map(|entry| entry.seq.to_string());
    Ok(Json(MovementPage {
        movements: entries.into_iter().map(Movement::from).collect(),
        next_cursor,
    })
    .into_response())
}

/// What an account was charged, day by day
///
/// Days in UTC, by agent. `from` and `to` bound the time, the others say what was charged.
#[utoipa::path(
    get, path = "/accounts/{id}/credits/days", tag = "credits",
    params(("id" = String, Path, description = "The account; `me` for one's own"), Bounds),
    responses((status = 200, description = "The sums", body = Days), Refusals)
)]
async fn days(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(bounds): Asked<Bounds>,
) -> Result<Json<Days>, Problem> {
    let account = seen(&app, &caller, &id).await?;
    let filter = Filter {
        kind: None,
        orchestration: bounds.orchestration.map(OrchestrationId),
        agent: bounds.agent.as_ref().map(ToString::to_string),
        step: bounds.step.as_ref().map(ToString::to_string),
        from: bounds.from.map(|at| time("from", Whole(at))).transpose()?,
        to: bounds.to.map(|at| time("to", Whole(at))).transpose()?,
    };
    let sums = credits::by_day(&app.engine, &account, &filter).await?;
    Ok(Json(Days {
        days: sums.into_iter().map(DaySum::from).collect(),
    }))
}

/// List charges as PlanExe's books have them
///
/// For operators: every charge of every account, or of one, as a row of PlanExe's `credit_history`, an account after the other
/// and the oldest first; lines of JSON, or CSV. Nothing is written or noted by it: `afterplan credits export --to` beside the database
/// writes the rows, once each.
#[utoipa::path(
    get, path = "/credits/export", tag = "credits", params(Exported),
    responses(
        (status = 200, description = "The rows", content(
            (HistoryLine = "application/x-ndjson"), (String = "text/csv"))),
        Refusals,
    )
)]
async fn exported(
    State(app): State<App>,
    caller: Caller,
    Asked(wanted): Asked<Exported>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may(Deed::Money)?;
    let accounts = match wanted.account {
        Some(account) => vec![account],
        None => {
            let all = credits::balances(&app.engine).await?;
            all.into_iter().map(|balance| balance.account).collect()
        }
    };
    let form = wanted.format.unwrap_or_else(|| match Form::of(&headers) {
        Form::Csv => LineForm::Csv,
        Form::Json | Form::Ndjson => LineForm::Ndjson,
    });
    Ok(books::respond(app.engine.clone(), accounts, form))
}

/// Whose charges, and how they are told.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exported {
    /// Only those of this account.
    #[param(value_type = Option<String>, nullable = false)]
    account: Option<AccountId>,
    /// `ndjson` (by default) or `csv`. `Accept` says the same.
    #[param(inline, nullable = false)]
    format: Option<LineForm>,
}

/// Which days, and whose.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bounds {
    /// Only those of this orchestration.
    #[param(nullable = false)]
    orchestration: Option<Uuid>,
    /// Only those of this agent.
    #[param(value_type = Option<String>, nullable = false)]
    agent: Option<AgentId>,
    /// Only those of this step.
    #[param(value_type = Option<String>, nullable = false)]
    step: Option<StepId>,
    /// Only what was charged then or later, in milliseconds since 1970.
    #[param(value_type = Option<u64>, maximum = 9_000_000_000_000_u64, nullable = false)]
    from: Option<u64>,
    /// Only what was charged before, in milliseconds since 1970.
    #[param(value_type = Option<u64>, maximum = 9_000_000_000_000_u64, nullable = false)]
    to: Option<u64>,
}
