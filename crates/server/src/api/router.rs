//! All routes in one router, with what every request passes, and their description.

use std::time::Duration;

use axum::{Router, middleware};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use http::{Method, Uri};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::openapi::OpenApi;

use crate::api::error::{Code, Problem};
use crate::api::guard::guard;
use crate::api::routes::Routes;
use crate::api::{
    accounts, agents, artifacts, credits, docs, enrichments, events, feed, forecast, grants,
    health, keys, log, orchestrate, orchestrations, prices, replicas, steer,
};
use crate::app::App;

/// The routes under `/api`.
fn api() -> Routes {
    Routes::new()
        .merge(orchestrate::routes())
        .merge(orchestrations::routes())
        .merge(forecast::routes())
        .merge(steer::routes())
        .merge(events::routes())
        .merge(feed::routes())
        .merge(artifacts::routes())
        .merge(enrichments::routes())
        .merge(log::routes())
        .merge(agents::routes())
        .merge(accounts::routes())
        .merge(credits::routes())
        .merge(grants::routes())
        .merge(prices::routes())
        .merge(keys::routes())
        .merge(replicas::routes())
}

/// What all routes say of themselves.
fn description() -> OpenApi {
    let whole = health::routes().describe(docs::description(), None);
    api().describe(whole, Some("/api"))
}

/// All routes of a server.
pub fn router(app: App) -> Router {
    let router = health::routes()
        .router()
        .nest("/api", api().router())
        .merge(docs::routes(description))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .layer(
            CompressionLayer::new()
                .gzip(true)
                .compress_when(compressed()),
        );
    let origins = &app.settings.access.origins;
    let router = if origins.is_empty() {
        router
    } else {
        router.layer(cors(origins))
    };
    router.with_state(app)
}

async fn no_route(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no route {}", uri.path()))
}

async fn no_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("{} takes no {method}", uri.path()),
    )
}

/// What is worth compressing for who asks for it: not streams, which would wait for more to compress, nor zips.
fn compressed() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::new("application/zip"))
        .and(NotForContentType::new("application/x-ndjson"))
}

/// Answers to the pages of these origins.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins
        .iter()
        .filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.collect::<Vec<_>>()))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            ACCEPT,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("prefer"),
        ])
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(Duration::from_secs(600))
}
