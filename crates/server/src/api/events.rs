//! One orchestration's events: a page, a stream, an export.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::{IntoResponse, Response};
use domain::values::ids::OrchestrationId;
use domain::values::role::Deed;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use store::rows::OrchestrationRow;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At};
use crate::api::routes::{Routes, routes};
use crate::api::views::event::ClientEvent;
use crate::api::views::stored::StoredEvent;
use crate::app::App;
use crate::stream::asked::{CameBack, Format, Paged, Wanted, last_event_id};
use crate::stream::cursor::Cursor;
use crate::stream::hub::Topic;
use crate::stream::page::{Page, Search, page};
use crate::stream::reader::Reader;
use crate::stream::{ndjson, sse, websocket};

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(events))
        .routes(routes!(stream))
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// In the order in which they happened.
    pub events: Vec<ClientEvent>,
    /// Where the next page begins; none where the log ends, for now.
    pub next_cursor: Option<String>,
}

/// A page of stored events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredPage {
    /// In the order in which they happened.
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; none where the log ends, for now.
    pub next_cursor: Option<String>,
}

/// A page of either.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "read by the description alone")]
pub struct AnyPage {
    /// In the order in which they happened.
    pub events: Vec<AnyEvent>,
    /// Where the next page begins; none where the log ends, for now.
    pub next_cursor: Option<String>,
}

/// What a page may hold.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "read by the description alone")]
pub enum AnyEvent {
    /// Client events.
    Told(ClientEvent),
    /// Stored events, with `stored=1`.
    Stored(StoredEvent),
}

/// The orchestration, where it is the caller's.
///
/// # Errors
/// 403 where the caller may not read, 404 where there is none or it is another account's.
pub async fn own(app: &App, caller: &Caller, id: Uuid) -> Result<OrchestrationRow, Problem> {
    caller.may(Deed::Read)?;
    let row = app.engine.store.orchestration(*id.as_bytes()).await?;
    row.filter(|row| sees(caller, &row.account))
        .ok_or_else(|| Problem::not_found(format!("there is no orchestration {id}")))
}

/// Whether what belongs to `account` is there for the caller.
pub fn sees(caller: &Caller, account: &str) -> bool {
    caller.account.as_str() == account || caller.role.may(Deed::AllAccounts)
}

/// The longest silence of a stream.
pub fn heartbeat(app: &App) -> Duration {
    Duration::from_millis(app.settings.streams.heartbeat.max(1))
}

/// The number of its last event.
pub fn position(row: &OrchestrationRow) -> u64 {
    u64::try_from(row.cursor).unwrap_or(0)
}

/// Events of an orchestration
///
/// A page as JSON; everything as JSON lines (`Accept: application/x-ndjson`); or a live stream (`Accept:
/// text/event-stream`): first what is stored behind `Last-Event-ID` or `after`, then what comes, without a gap and without
/// repetition; after the end the event `end`. Who reconnects behind the end gets 204: there is nothing to come.
#[utoipa::path(
    get, path = "/orchestrations/{id}/events", tag = "events",
    params(("id" = Uuid, Path, description = "The orchestration"), Paged, CameBack),
    responses(
        (status = 200, description = "The events", content(
            (AnyPage = "application/json"), (sse::Frame = "text/event-stream"), (ClientEvent = "application/x-ndjson"))),
        (status = 204, description = "A reconnecting reader has seen everything of an orchestration that has ended"),
        Refusals,
    )
)]
async fn events(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(paged): Asked<Paged>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let row = own(&app, &caller, id).await?;
    let topic = Topic::Orchestration(OrchestrationId(id));
    let ended = row.ended_at.is_some();
    let start = Cursor::default();
    if paged.format(&headers) == Format::Sse {
        let cursor = paged.wanted().cursor(&headers, position(&row), start)?;
        let came_back = last_event_id(&headers)?.is_some();
        if came_back && ended && cursor.position >= position(&row) {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let reader = Reader::new(&app.hubs, topic, cursor, position(&row), ended);
        return Ok(sse::respond(
            reader,
            paged.wanted().filter(),
            heartbeat(&app),
        ));
    }
    answer(&app, topic, position(&row), &paged, &headers).await
}

/// The stored events of a log in the form that is asked for.
pub(crate) async fn answer(
    app: &App,
    topic: Topic,
    position: u64,
    paged: &Paged,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let cursor = paged
        .wanted()
        .cursor(headers, position, Cursor::default())?;
    let search = Search::new(topic, cursor, paged);
    if paged.format(headers) == Format::Ndjson {
        return Ok(ndjson::respond(&app.hubs, search, position));
    }
    let is_stored = search.is_stored();
    let Page { rows, events, next } = page(&app.hubs, search).await?;
    let next_cursor = next.map(|cursor| cursor.to_string());
    if is_stored {
        let events = rows.iter().map(StoredEvent::of).collect();
        return Ok(Json(StoredPage {
            events,
            next_cursor,
        })
        .into_response());
    }
    Ok(Json(EventPage {
        events,
        next_cursor,
    })
    .into_response())
}

/// Live events of an orchestration over a WebSocket
///
/// One text message a client event: first what is stored behind `after`, then what comes; closed with 1000 after the last.
/// Where headers cannot be set, offer the subprotocols `afterplan.v1` and `afterplan.key.<key>`.
#[utoipa::path(
    get, path = "/orchestrations/{id}/stream", tag = "events",
    params(("id" = Uuid, Path, description = "The orchestration"), Wanted, CameBack),
    responses((status = 101, description = "The stream; each message is a client event"), Refusals)
)]
async fn stream(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let row = own(&app, &caller, id).await?;
    let upgrade = websocket::upgrade(upgrade)?;
    let cursor = wanted.cursor(&headers, position(&row), Cursor::default())?;
    let topic = Topic::Orchestration(OrchestrationId(id));
    let ended = row.ended_at.is_some();
    let reader = Reader::new(&app.hubs, topic, cursor, position(&row), ended);
    Ok(websocket::respond(
        upgrade,
        reader,
        wanted.filter(),
        heartbeat(&app),
    ))
}
