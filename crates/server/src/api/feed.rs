//! An account's feed: the events of all its orchestrations in one order.

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use domain::values::ids::AccountId;
use domain::values::role::Deed;
use http::HeaderMap;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::events::{AnyPage, answer, heartbeat, sees};
use crate::api::extract::{Asked, At};
use crate::api::routes::{Routes, routes};
use crate::api::views::event::ClientEvent;
use crate::app::App;
use crate::stream::asked::{CameBack, Format, Paged, Wanted};
use crate::stream::cursor::Cursor;
use crate::stream::hub::Topic;
use crate::stream::reader::Reader;
use crate::stream::{sse, websocket};

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(events))
        .routes(routes!(stream))
}

/// The account, where the caller sees it, and the number of its last event. `me` is the caller's own.
async fn own(app: &App, caller: &Caller, id: &str) -> Result<(AccountId, u64), Problem> {
    caller.may(Deed::Read)?;
    let id = if id == "me" {
        caller.account.as_str()
    } else {
        id
    };
    let unknown = || Problem::not_found(format!("there is no account `{id}`"));
    let account = AccountId::new(id).map_err(|_| unknown())?;
    if !sees(caller, id) {
        return Err(unknown());
    }
    // One's own account begins with its first orchestration, and may be followed before.
    if account != caller.account && app.engine.store.account(id).await?.is_none() {
        return Err(unknown());
    }
    let feed = app.engine.store.last_feed(id).await?;
    Ok((account, u64::try_from(feed).unwrap_or(0)))
}

/// Events of an account
///
/// As those of an orchestration, in the order of the account's feed. A live stream without `after` and `Last-Event-ID` begins
/// with what comes; `after=0` begins with the first event that is still stored.
#[utoipa::path(
    get, path = "/accounts/{id}/events", tag = "events",
    params(("id" = String, Path, description = "The account, or `me`"), Paged, CameBack),
    responses(
        (status = 200, description = "The events", content(
            (AnyPage = "application/json"), (sse::Frame = "text/event-stream"), (ClientEvent = "application/x-ndjson"))),
        Refusals,
    )
)]
async fn events(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(paged): Asked<Paged>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (account, position) = own(&app, &caller, &id).await?;
    let topic = Topic::Account(account);
    if paged.format(&headers) == Format::Sse {
        let cursor = paged
            .wanted()
            .cursor(&headers, position, Cursor::at(position))?;
        let reader = Reader::new(&app.hubs, topic, cursor, position, false);
        return Ok(sse::respond(
            reader,
            paged.wanted().filter(),
            heartbeat(&app),
        ));
    }
    answer(&app, topic, position, &paged, &headers).await
}

/// Live events of an account over a WebSocket
///
/// As those of an orchestration; it never ends. Without `after` it begins with what comes.
#[utoipa::path(
    get, path = "/accounts/{id}/stream", tag = "events",
    params(("id" = String, Path, description = "The account, or `me`"), Wanted, CameBack),
    responses((status = 101, description = "The stream; each message is a client event"), Refusals)
)]
async fn stream(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let (account, position) = own(&app, &caller, &id).await?;
    let upgrade = websocket::upgrade(upgrade)?;
    let cursor = wanted.cursor(&headers, position, Cursor::at(position))?;
    let reader = Reader::new(&app.hubs, Topic::Account(account), cursor, position, false);
    Ok(websocket::respond(
        upgrade,
        reader,
        wanted.filter(),
        heartbeat(&app),
    ))
}
