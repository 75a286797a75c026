//! What an orchestration may cost, before it is submitted.

use axum::extract::{Request, State};
use axum::response::Response;
use engine::forecast::forecast;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::Asked;
use crate::api::orchestrate::json;
use crate::api::routes::{Routes, routes};
use crate::api::uploads::{Submit, UploadForm, ZipQuery, submission};
use crate::api::views::forecast::Forecast;
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(show))
}

/// Forecast what a plan costs
///
/// Takes what `POST /api/orchestrations` takes, and begins nothing: it costs nothing, asks no agent and stores nothing. Each agent's
/// figures come from its own latest steps in the account, by the plan's size; where they are few, from what it declares.
#[utoipa::path(
    post, path = "/forecast", operation_id = "forecast", tag = "credits", params(ZipQuery),
    request_body(content((Submit = "application/json"), (Vec<u8> = "application/zip"), (UploadForm = "multipart/form-data"))),
    responses((status = 200, description = "What it may cost", body = Forecast), Refusals)
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<ZipQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let submission = submission(&app, &caller, query, request).await?;
    let outlook = forecast(&app.engine, submission).await?;
    let text = serde_json::to_vec(&Forecast::of(&outlook)).map_err(Problem::internal)?;
    Ok(json(text))
}
