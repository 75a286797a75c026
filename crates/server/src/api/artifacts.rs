//! Plan artifacts: their versions, what changed between two, and the enriched plan as a zip.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// Its routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
}
