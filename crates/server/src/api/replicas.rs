//! Replicas: who performs steps.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::values::ids::HolderId;
use domain::values::role::Deed;
use domain::values::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::Asked;
use crate::api::page::Page;
use crate::api::routes::{Routes, routes};
use crate::api::views::artifact::millis;
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(list))
}

/// Whoever holds attempts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Replica {
    #[schema(format = Uuid)]
    id: String,
    /// `replica` or `worker`.
    kind: String,
    /// Host and program.
    label: String,
    /// Rises when one that had lapsed comes back.
    epoch: i64,
    /// Its word stands.
    alive: bool,
    /// It is the one that answers.
    this: bool,
    /// Since when, in milliseconds.
    opened_at: i64,
    /// Until when its word stands, in milliseconds.
    until: i64,
}

/// Replicas, by id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Replicas {
    replicas: Vec<Replica>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// List replicas
#[utoipa::path(
    get, path = "/replicas", tag = "server", params(Page),
    responses((status = 200, description = "A page of them", body = Replicas), Refusals)
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    let now = app.engine.clock.now().0;
    let own = app.engine.holder().map(|holder| holder.id);
    let replicas = app.engine.store.holders().await?.into_iter().map(|row| {
        let id = Uuid::from_bytes(row.id);
        Replica {
            id: id.to_string(),
            kind: row.kind,
            label: row.label,
            epoch: row.epoch,
            alive: row.until > now,
            this: own == Some(HolderId(id)),
            opened_at: millis(Timestamp(row.opened_at)),
            until: millis(Timestamp(row.until)),
        }
    });
    let (replicas, next_cursor) = page.of(replicas, |replica| &replica.id)?;
    Ok(Json(Replicas {
        replicas,
        next_cursor,
    })
    .into_response())
}
