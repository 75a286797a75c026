//! The price table that new orchestrations are billed by.

use axum::Json;
use axum::extract::State;
use domain::values::role::Deed;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::routes::{Routes, routes};
use crate::api::views::prices::PriceTable;
use crate::app::App;

/// Its route.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(price_table))
}

/// Show the price table
///
/// What language models' tokens cost in orchestrations that begin now, with its version, date and source. One that is under way
/// keeps the prices that it began with, and says their version in `priceTables`.
#[utoipa::path(
    get, path = "/prices", tag = "credits",
    responses((status = 200, description = "It", body = PriceTable), Refusals)
)]
async fn price_table(State(app): State<App>, caller: Caller) -> Result<Json<PriceTable>, Problem> {
    caller.may(Deed::Read)?;
    Ok(Json(PriceTable::of(&app.engine.billing.prices)))
}
