//! Whether this server is alive.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::routes::{Routes, routes};
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new().routes(routes!(health))
}

/// A sign of life.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok", "uptime": 12.5, "version": "0.1.0"}))]
struct Health {
    /// `ok`, or `draining` while the server is being stopped.
    status: &'static str,
    /// Seconds since it began to serve.
    uptime: f64,
    /// The program's version.
    version: &'static str,
}

/// Whether this server is alive
///
/// Asks nobody, and needs no key.
#[utoipa::path(get, path = "/health", tag = "server", security(()), responses((status = 200, description = "It is", body = Health)))]
async fn health(State(app): State<App>) -> Json<Health> {
    let since = app.engine.clock.now() - app.started;
    Json(Health {
        status: if app.draining.is_cancelled() {
            "draining"
        } else {
            "ok"
        },
        uptime: since.0 as f64 / 1_000.0,
        version: env!("CARGO_PKG_VERSION"),
    })
}
