//! Accounts: who owns orchestrations.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::values::role::Deed;
use domain::values::time::Timestamp;
use serde::Serialize;
use store::rows::AccountRow;
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At};
use crate::api::number::Amount;
use crate::api::orchestrate::account_of;
use crate::api::page::Page;
use crate::api::routes::{Routes, routes};
use crate::api::views::artifact::millis;
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(show))
}

/// An account.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Account {
    id: String,
    /// The feed number of its last event.
    feed: u64,
    /// Orchestrations.
    orchestrations: u64,
    /// Those of them that have not ended.
    running: u64,
    /// What an orchestration of it may cost that names no budget.
    #[schema(value_type = f64)]
    default_budget: Amount,
    /// When its first orchestration was created, in milliseconds; null before.
    created_at: Option<i64>,
}

impl Account {
    fn of(app: &App, row: AccountRow) -> Self {
        Self {
            id: row.id,
            feed: u64::try_from(row.feed).unwrap_or(0),
            orchestrations: u64::try_from(row.orchestrations).unwrap_or(0),
            running: u64::try_from(row.running).unwrap_or(0),
            default_budget: Amount(app.settings.default_budget),
            created_at: Some(millis(Timestamp(row.created_at))),
        }
    }

    fn unborn(app: &App, id: String) -> Self {
        Self {
            id,
            feed: 0,
            orchestrations: 0,
            running: 0,
            default_budget: Amount(app.settings.default_budget),
            created_at: None,
        }
    }
}

/// Accounts, by id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Accounts {
    accounts: Vec<Account>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// The accounts that the caller sees. One's own is there before its first orchestration.
async fn seen(app: &App, caller: &Caller) -> Result<Vec<Account>, Problem> {
    let rows = app.engine.store.accounts().await?;
    let mut accounts: Vec<Account> = rows
        .into_iter()
        .filter(|row| caller.sees(&row.id))
        .map(|row| Account::of(app, row))
        .collect();
    if let Err(place) =
        accounts.binary_search_by(|account| account.id.as_str().cmp(caller.account.as_str()))
    {
        accounts.insert(place, Account::unborn(app, caller.account.to_string()));
    }
    Ok(accounts)
}

/// List accounts
///
/// One's own; for an admin all that have orchestrations.
#[utoipa::path(
    get, path = "/accounts", tag = "access", params(Page),
    responses((status = 200, description = "A page of them", body = Accounts), Refusals)
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    let (accounts, next_cursor) = page.of(seen(&app, &caller).await?, |account| &account.id)?;
    Ok(Json(Accounts {
        accounts,
        next_cursor,
    })
    .into_response())
}

/// Show an account
#[utoipa::path(
    get, path = "/accounts/{id}", tag = "access",
    params(("id" = String, Path, description = "The account; `me` for one's own")),
    responses((status = 200, description = "It", body = Account), Refusals)
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("there is no such account");
    let account = account_of(&caller, &id).ok_or_else(unknown)?;
    let shown = match app.engine.store.account(account.as_str()).await? {
        Some(row) => Account::of(&app, row),
        None if account == caller.account => Account::unborn(&app, account.to_string()),
        None => return Err(unknown()),
    };
    Ok(Json(shown).into_response())
}
