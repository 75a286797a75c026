//! `Idempotency-Key`: the same write again gives the same answer, for a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use domain::values::hash::ContentHash;
use domain::values::role::Deed;
use domain::values::time::{Millis, Timestamp};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::idempotency::Begun;
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::boundary::Unbounded;
use crate::api::error::{Code, Problem};
use crate::api::extract::{media_type, next_part, refuse_large, within};
use crate::api::guard::waits;
use crate::app::App;
use crate::spool::{Spool, body_of};

/// The header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// How long an answer is kept.
const KEPT: Millis = Millis::from_secs(24 * 3_600);

/// Longest key, in bytes.
pub const KEY_MAX: usize = 255;

/// Largest answer that is kept; a larger one is made anew from what was written, by its id.
const ANSWER_MAX: usize = 32 << 20;

/// A write under its key. Until its answer is kept it may be taken over, also when its caller goes away in the middle: the next one
/// with its key makes what it was to make, and finds what is made of it already.
pub struct KeyedWrite {
    /// The id of what it makes: the same when it is tried again.
    pub subject: Uuid,
    /// When it was begun first, where it is tried again.
    pub tried_at: Option<Timestamp>,
    app: App,
    scope: String,
    key: String,
    since: i64,
    answered: AtomicBool,
}

/// How a route is given the write that it carries out, where that has a key.
pub type Keyed = Option<Extension<Arc<KeyedWrite>>>;

/// The id of what a write makes: its key's, else a new one.
pub fn subject(write: &Keyed) -> Uuid {
    let keyed = write.as_ref();
    keyed.map_or_else(Uuid::now_v7, |Extension(write)| write.subject)
}

/// Goes with an answer that must not be stored as it is: this is stored in its place.
#[derive(Clone, Debug)]
pub struct KeepInstead(pub Bytes);

/// Whether this is a write. A forecast writes nothing, not even that it was asked for.
pub fn is_write(method: &Method, path: &str) -> bool {
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    writes.contains(method) && path != "/api/forecast"
}

/// Goes with a write that wants to be done once, until it has found its route.
#[derive(Clone)]
struct Wanted {
    app: App,
    caller: Caller,
    uri: Uri,
}

/// Marks the request, where it is a write that wants to be done once.
pub fn mark(app: &App, caller: &Caller, request: &mut Request) {
    let uri = request.uri();
    if is_write(request.method(), uri.path()) && request.headers().contains_key(KEY) {
        let wanted = Wanted {
            app: app.clone(),
            caller: caller.clone(),
            uri: uri.clone(),
        };
        request.extensions_mut().insert(wanted);
    }
}

/// What every route is asked through: a key is used up by no request that has none.
pub async fn once(mut request: Request, next: Next) -> Response {
    match request.extensions_mut().remove::<Wanted>() {
        Some(wanted) => answer(&wanted, request, next).await.into_response(),
        None => next.run(request).await,
    }
}

/// Answers the write, from memory where it was done before.
///
/// # Errors
/// 400 for a key that is none, 409 while the write is under way, 422 where the key was used for another request.
async fn answer(wanted: &Wanted, request: Request, next: Next) -> Result<Response, Problem> {
    let Wanted { app, caller, uri } = wanted;
    let key = key(&request)?;
    let (parts, body) = request.into_parts();
    let (hash, body) = taken(wanted, &parts, body).await?;
    // What was begun is not left lying when its caller goes away in the middle: whoever lets go of it releases it.
    let spawned = app.engine.spawned.clone();
    let scope = caller.account.as_str().to_owned();
    let begun = spawned.spawn(begun(app.clone(), scope, key, hash)).await;
    let write = match begun.map_err(Problem::internal)?? {
        Ok(write) => write,
        Err(answered) => return Ok(answered),
    };
    let waits = waits(&parts.method, uri.path());
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(write.clone());
    let done = done(write, request, next);
    if waits {
        return done.await;
    }
    // Done to its end, so that its repetition has its answer.
    spawned.spawn(done).await.map_err(Problem::internal)?
}

/// The write as its caller's to do, or the answer that it has already.
///
/// # Errors
/// 409 while it is under way, 422 where its key was used for another request.
async fn begun(
    app: App,
    scope: String,
    key: String,
    hash: [u8; 32],
) -> Result<Result<Arc<KeyedWrite>, Response>, Problem> {
    let now = app.engine.clock.now();
    let (new, expires) = (Uuid::now_v7(), now + KEPT);
    let store = &app.engine.store;
    let begun = store.begin_write(&scope, &key, hash, *new.as_bytes(), now.0, expires.0);
    match begun.await? {
        Begun::New { subject } => Ok(Ok(Arc::new(KeyedWrite {
            subject: Uuid::from_bytes(subject),
            tried_at: begun_at(subject).filter(|_| subject != *new.as_bytes()),
            app,
            scope,
            key,
            since: now.0,
            answered: AtomicBool::new(false),
        }))),
        Begun::Done {
            status,
            headers,
            body,
        } => Ok(Err(again(status, &headers, body))),
        Begun::InProgress { .. } => Err(Problem::new(
            Code::IdempotencyKeyInUse,
            "a write with this Idempotency-Key is under way; ask again for its answer",
        )
        .retry_after(1)),
        Begun::Differs => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "this Idempotency-Key was used for another request; take a new one",
        )),
    }
}

/// When a write was begun first: the id of what it makes, a UUID of version 7, tells the time.
fn begun_at(subject: [u8; 16]) -> Option<Timestamp> {
    let (seconds, nanos) = Uuid::from_bytes(subject).get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Some(Timestamp(seconds * 1_000_000 + i64::from(nanos / 1_000)))
}

/// Does the write, and keeps its answer.
async fn done(write: Arc<KeyedWrite>, request: Request, next: Next) -> Result<Response, Problem> {
    let response = next.run(request).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX)
        .await
        .map_err(Problem::internal)?;
    if is_kept(parts.status) && bytes.len() <= ANSWER_MAX {
        let headers = kept_headers(&parts.headers);
        let instead = parts.extensions.get::<KeepInstead>();
        let kept = instead.map_or(&bytes, |KeepInstead(kept)| kept);
        let status = i64::from(parts.status.as_u16());
        let store = &write.app.engine.store;
        let ended = store.end_write(&write.scope, &write.key, status, &headers, kept);
        ended.await?;
        write.answered.store(true, Ordering::Relaxed);
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

impl KeyedWrite {
    /// Notes that it made nothing, but led to what others had made: so will its repetition, also when that has ended by then.
    ///
    /// # Errors
    /// 503 while the database does not do its work.
    pub async fn led_to(&self, subject: Uuid) -> Result<(), Problem> {
        let (store, subject) = (&self.app.engine.store, *subject.as_bytes());
        let noted = store.write_led_to(&self.scope, &self.key, self.since, subject);
        // Where others have taken it over, they find the same.
        noted.await.map(drop).map_err(Problem::from)
    }
}

impl Drop for KeyedWrite {
    fn drop(&mut self) {
        if self.answered.load(Ordering::Relaxed) {
            return;
        }
        let (store, since) = (self.app.engine.store.clone(), self.since);
        let (scope, key) = (
            std::mem::take(&mut self.scope),
            std::mem::take(&mut self.key),
        );
        self.app.engine.spawned.spawn(async move {
            if let Err(error) = store.release_write(&scope, &key, since).await {
                tracing::warn!("A write that was broken off seems under way for a minute: {error}");
            }
        });
    }
}

/// Answers that the same request would get again: not those of a defect, of an outage or of haste.
fn is_kept(status: StatusCode) -> bool {
    !status.is_server_error()
        && !matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::UNAUTHORIZED
        )
}

fn key(request: &Request) -> Result<String, Problem> {
    let value = request
        .headers()
        .get(KEY)
        .and_then(|value| value.to_str().ok());
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.filter(|key| (1..=KEY_MAX).contains(&key.len()));
    key.filter(visible)
        .map(str::to_owned)
        .ok_or_else(|| Problem::invalid("an Idempotency-Key has 1 to 255 visible ASCII characters"))
}

/// Takes the whole body, hashed with all that makes the request what it is. A large one waits in a file: only who may submit
/// plans has anything so large to say.
async fn taken(
    Wanted { app, caller, uri }: &Wanted,
    parts: &Parts,
    mut body: Body,
) -> Result<([u8; 32], Body), Problem> {
    let limits = &app.settings.limits;
    let most = limits.upload_bytes.max(limits.json_bytes as u64);
    refuse_large(&parts.headers, most)?;
    let mut hash = Sha256::new();
    let (method, uri) = (parts.method.as_str(), uri.to_string());
    for part in [
        method.as_bytes(),
        uri.as_bytes(),
        media_type(&parts.headers).as_bytes(),
    ] {
        hash.update(ContentHash::of(part).as_bytes());
    }
    let mut form = Unbounded::of(&parts.headers);
    let mut memory = BytesMut::new();
    let mut spool: Option<Spool> = None;
    let reading = async {
        while let Some(part) = next_part(&mut body, limits).await? {
            match &mut form {
                Some(form) => form.take(&part, &mut hash),
                None => hash.update(&part),
            }
            match &mut spool {
                Some(spool) => spool.take(part, most).await?,
                None if memory.len() + part.len() <= limits.json_bytes => {
                    memory.extend_from_slice(&part)
                }
                None => {
                    caller.may(Deed::Submit)?;
                    let mut file = Spool::new();
                    file.take(std::mem::take(&mut memory).freeze(), most)
                        .await?;
                    file.take(part, most).await?;
                    spool = Some(file);
                }
            }
        }
        match spool {
            Some(spool) => Ok(body_of(spool.end().await?)),
            None => Ok(Body::from(memory.freeze())),
        }
    };
    let body = within(limits, reading).await?;
    if let Some(form) = form {
        form.end(&mut hash);
    }
    Ok((hash.finalize().into(), body))
}

fn kept_headers(headers: &http::HeaderMap) -> String {
    let kept: Map<String, Value> = [CONTENT_TYPE, LOCATION]
        .into_iter()
        .filter_map(|name| {
            let value = headers.get(&name)?.to_str().ok()?.to_owned();
            Some((name.as_str().to_owned(), Value::from(value)))
        })
        .collect();
    Value::from(kept).to_string()
}

fn again(status: i64, headers: &str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let kept: Map<String, Value> = serde_json::from_str(headers).unwrap_or_default();
    for (name, value) in kept {
        if let (Ok(name), Some(Ok(value))) = (
            HeaderName::try_from(name),
            value.as_str().map(HeaderValue::from_str),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    response
        .headers_mut()
        .insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
