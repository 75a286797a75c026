//! What every request passes: who calls, how often, a time limit, the mark of a write to be done once; and a panic ends in a problem.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::Method;
use http::header::CONTENT_ENCODING;

use crate::api::auth::identify;
use crate::api::error::{Code, Problem};
use crate::api::idempotency;
use crate::app::App;

/// Passes a request on, or says why not.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(pass(app, request, next)).catch_unwind();
    match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(panic) => {
            let said = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Problem::internal(said.unwrap_or("a panic that does not say why")).into_response()
        }
    }
}

async fn pass(app: App, mut request: Request, next: Next) -> Result<Response, Problem> {
    let path = request.uri().path();
    if is_open(path) {
        return Ok(next.run(request).await);
    }
    let caller = identify(&app, request.headers()).await?;
    if let Some(key) = &caller.key {
        app.rates.count(key).map_err(|wait| {
            let seconds = wait.div_ceil(1_000);
            Problem::new(
                Code::RateLimited,
                format!("this key may come again in {wait} ms"),
            )
            .retry_after(seconds)
        })?;
    }
    if is_encoded(&request) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "a body with a `Content-Encoding` is not taken here: send it as it is",
        ));
    }
    let waits = waits(request.method(), path);
    idempotency::mark(&app, &caller, &mut request);
    request.extensions_mut().insert(caller);
    let answer = async { Ok(next.run(request).await) };
    if waits {
        return answer.await;
    }
    let limit = Duration::from_millis(app.settings.limits.request_timeout);
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| {
            Err(
                Problem::new(Code::Unavailable, "this took longer than a request may")
                    .retry_after(1),
            )
        })
}

/// Whether the body is packed: nobody here unpacks it.
fn is_encoded(request: &Request) -> bool {
    let encoding = request.headers().get(CONTENT_ENCODING);
    encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// What anybody may see: whether the server lives, and how to speak to it.
fn is_open(path: &str) -> bool {
    !path.starts_with("/api/") || path == "/api/openapi.json" || path.starts_with("/api/docs")
}

/// Requests that may take long for good reasons, with time limits of their own.
pub fn waits(method: &Method, path: &str) -> bool {
    let plans = ["/api/orchestrate", "/api/orchestrations", "/api/forecast"];
    method == Method::POST && plans.contains(&path)
}
