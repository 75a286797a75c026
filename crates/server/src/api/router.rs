//! All routes in one router, and their description.

use axum::Router;
use utoipa_axum::router::OpenApiRouter;

use crate::api::{
    accounts, agents, artifacts, enrichments, events, feed, health, keys, log, orchestrate,
    orchestrations, replicas, steer, uploads,
};
use crate::app::App;

/// All routes of a server.
pub fn router(app: App) -> Router {
    let api = OpenApiRouter::new()
        .merge(orchestrate::routes())
        .merge(orchestrations::routes())
        .merge(uploads::routes())
        .merge(steer::routes())
        .merge(events::routes())
        .merge(feed::routes())
        .merge(artifacts::routes())
        .merge(enrichments::routes())
        .merge(log::routes())
        .merge(agents::routes())
        .merge(accounts::routes())
        .merge(keys::routes())
        .merge(replicas::routes());
    let (router, _description) = OpenApiRouter::new()
        .merge(health::routes())
        .nest("/api", api)
        .split_for_parts();
    router.with_state(app)
}
