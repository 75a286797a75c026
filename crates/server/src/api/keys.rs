//! Keys: who may do what, for which account.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::values::ids::AccountId;
use domain::values::role::{Deed, Role};
use domain::values::time::Timestamp;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::rows::KeyRow;
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At, JsonText};
use crate::api::idempotency::{KeepInstead, Keyed, subject};
use crate::api::number::Whole;
use crate::api::page::Page;
use crate::api::routes::{Routes, routes};
use crate::api::submission::NAME_MAX;
use crate::api::views::artifact::millis;
use crate::app::App;
use crate::keys::make;

/// The latest end of a key, in milliseconds: the year 2255.
const LATEST: i64 = 9_000_000_000_000;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
}

/// A key, without its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    account: String,
    /// `admin`, `operator`, `submitter`, `worker` or `viewer`.
    role: String,
    label: String,
    /// In milliseconds.
    created_at: i64,
    /// In milliseconds.
    expires_at: Option<i64>,
    /// In milliseconds.
    revoked_at: Option<i64>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        let at = |time: i64| millis(Timestamp(time));
        Self {
            id: row.id,
            account: row.account,
            role: row.role,
            label: row.label,
            created_at: at(row.created_at),
            expires_at: row.expires_at.map(at),
            revoked_at: row.revoked_at.map(at),
        }
    }
}

/// Keys, in the order of their making.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Keys {
    keys: Vec<Key>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    /// Whose; by default the caller's own account.
    #[serde(default)]
    #[schema(pattern = "^[a-z0-9][a-z0-9._-]{0,63}$")]
    account: Option<String>,
    /// What it may do.
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it is for, in your words.
    #[serde(default)]
    #[schema(max_length = 256, required = false)]
    label: String,
    /// When it ends to be valid, in milliseconds; never by default.
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 9_000_000_000_000_u64)]
    expires_at: Option<Whole>,
}

/// What a key is for.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "read by the description alone")]
enum RoleName {
    /// May do everything, to every account.
    Admin,
    /// May do everything to its own account but hand out keys and credits; one of account `system` registers agents, for all.
    Operator,
    /// May submit plans and steer what came of them.
    Submitter,
    /// An outside worker's.
    Worker,
    /// May look.
    Viewer,
}

/// A key that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(flatten)]
    of: Key,
    /// The whole key. It is shown this once; a repeated answer leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// List keys
#[utoipa::path(
    get, path = "/keys", tag = "access", params(Page),
    responses((status = 200, description = "A page of them", body = Keys), Refusals)
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    caller.may(Deed::Keys)?;
    // Ids are UUIDs of version 7: their order is that of making.
    let mut rows = app.engine.store.keys(None).await?;
    rows.sort_by(|one, other| one.id.cmp(&other.id));
    let (keys, next_cursor) = page.of(rows.into_iter().map(Key::from), |key| &key.id)?;
    Ok(Json(Keys { keys, next_cursor }).into_response())
}

/// Make a key
///
/// The answer shows it once. With the first one a server on loopback begins to demand keys.
#[utoipa::path(
    post, path = "/keys", tag = "access", request_body = Wish,
    responses((status = 201, description = "It", body = Made), Refusals)
)]
async fn create(
    State(app): State<App>,
    caller: Caller,
    write: Keyed,
    body: JsonText,
) -> Result<Response, Problem> {
    caller.may(Deed::Keys)?;
    let wish: Wish = body.read()?;
    let account = match &wish.account {
        Some(account) => {
            AccountId::new(account).map_err(|error| Problem::invalid(error.to_string()))?
        }
        None => caller.account,
    };
    if wish.label.chars().count() > NAME_MAX {
        return Err(Problem::invalid(format!(
            "`label` has at most {NAME_MAX} characters"
        )));
    }
    let expires_at = wish.expires_at.map(|Whole(at)| expiry(at)).transpose()?;
    let mut made = make(
        subject(&write),
        &account,
        wish.role,
        &wish.label,
        app.engine.clock.now(),
        expires_at,
    );
    let store = &app.engine.store;
    let new = store.put_key(made.row.clone()).await?;
    app.keys.forget();
    if !new && let Some(row) = store.key(&made.row.id).await? {
        made.row = row;
    }
    let mut answer = Made {
        of: made.row.into(),
        key: None,
    };
    let kept = serde_json::to_vec(&answer).map_err(Problem::internal)?;
    // One that was made before its answer was lost is not shown any more.
    answer.key = Some(made.text).filter(|_| new);
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    response
        .extensions_mut()
        .insert(KeepInstead(Bytes::from(kept)));
    Ok(response)
}

/// Microseconds since 1970.
fn expiry(millis: u64) -> Result<i64, Problem> {
    let micros = i64::try_from(millis)
        .ok()
        .filter(|millis| *millis <= LATEST)
        .map(|millis| millis * 1_000);
    micros.ok_or_else(|| Problem::invalid(format!("`expiresAt` is at most {LATEST}")))
}

/// Revoke a key
///
/// It is refused at once here, and within seconds by other replicas.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "access",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "It is revoked"), Refusals)
)]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<StatusCode, Problem> {
    caller.may(Deed::Keys)?;
    let store = &app.engine.store;
    if store.key(&id).await?.is_none() {
        return Err(Problem::not_found("there is no such key"));
    }
    store.revoke_key(&id, app.engine.clock.now().0).await?;
    app.keys.forget();
    Ok(StatusCode::NO_CONTENT)
}
