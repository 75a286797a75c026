//! The audit log of an orchestration: its stored events as clients are told them, filtered.

use axum::extract::State;
use axum::response::Response;
use domain::values::ids::OrchestrationId;
use http::HeaderMap;
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::events::{AnyPage, answer, own, position};
use crate::api::extract::{Asked, At};
use crate::api::routes::{Routes, routes};
use crate::api::views::event::ClientEvent;
use crate::app::App;
use crate::stream::asked::{CameBack, Format, Paged};
use crate::stream::hub::Topic;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(log))
}

/// The audit log of an orchestration
///
/// What happened, by agent, status, type and time; with `stored=1` the stored events with their hashes, which the documented
/// formula verifies. As a page, or as JSON lines (`Accept: application/x-ndjson`).
#[utoipa::path(
    get, path = "/orchestrations/{id}/log", tag = "events",
    params(("id" = Uuid, Path, description = "The orchestration"), Paged, CameBack),
    responses(
        (status = 200, description = "The log",
            content((AnyPage = "application/json"), (ClientEvent = "application/x-ndjson"))),
        Refusals,
    )
)]
async fn log(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(mut paged): Asked<Paged>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = own(&app, &caller, id).await?;
    if paged.format(&headers) == Format::Sse {
        paged.format = Some(Format::Json);
    }
    let topic = Topic::Orchestration(OrchestrationId(id));
    answer(&app, topic, position(&row), &paged, &headers).await
}
