//! Routes that say what they are only when somebody asks: a description is a tree of megabytes that hardly anybody wants.

use axum::routing::{MethodFilter, MethodRouter};
use axum::{Router, middleware};
use utoipa::Path;
use utoipa::openapi::OpenApi;
use utoipa_axum::PathItemExt;
use utoipa_axum::router::OpenApiRouter;

use crate::api::idempotency::once;
use crate::app::App;

/// The handlers of one path, and how to describe them.
pub struct Described {
    /// Where they are.
    pub path: String,
    /// By their methods.
    pub methods: MethodRouter<App>,
    /// Makes their description.
    pub describe: fn() -> OpenApiRouter<App>,
}

/// Handlers of one path, annotated with `utoipa::path`, as [`Described`].
macro_rules! routes {
    ($first:ident $(, $more:ident)*) => {
        utoipa_axum::paste! {
            $crate::api::routes::Described {
                path: <[<__path_ $first>] as utoipa::Path>::path(),
                methods: axum::routing::MethodRouter::new()
                    .on($crate::api::routes::methods_of::<[<__path_ $first>]>(), $first)
                    $(.on($crate::api::routes::methods_of::<[<__path_ $more>]>(), $more))*,
                describe: || {
                    utoipa_axum::router::OpenApiRouter::new()
                        .routes(utoipa_axum::routes!($first $(, $more)*))
                },
            }
        }
    };
}
pub(crate) use routes;

/// The methods that a handler was annotated with: one of them at least.
pub fn methods_of<P: Path>() -> MethodFilter {
    let methods = P::methods();
    let filters = methods.iter().map(PathItemExt::to_method_filter);
    filters
        .reduce(MethodFilter::or)
        .unwrap_or(MethodFilter::GET)
}

/// Routes, and what makes their descriptions.
#[derive(Default)]
pub struct Routes {
    router: Router<App>,
    described: Vec<fn() -> OpenApiRouter<App>>,
}

impl Routes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the handlers of one more path.
    pub fn routes(mut self, added: Described) -> Self {
        let methods = added.methods.route_layer(middleware::from_fn(once));
        self.router = self.router.route(&added.path, methods);
        self.described.push(added.describe);
        self
    }

    /// With all of these.
    pub fn merge(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.described.extend(others.described);
        self
    }

    /// The routes alone.
    pub fn router(self) -> Router<App> {
        self.router
    }

    /// `description` with all of these, below `prefix`.
    pub fn describe(self, description: OpenApi, prefix: Option<&str>) -> OpenApi {
        let made = self.described.into_iter().map(|describe| describe());
        let all = made.fold(OpenApiRouter::new(), OpenApiRouter::merge);
        let whole = OpenApiRouter::with_openapi(description);
        let whole = match prefix {
            Some(prefix) => whole.nest(prefix, all),
            None => whole.merge(all),
        };
        whole.into_openapi()
    }
}
