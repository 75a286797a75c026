//! The API's description (OpenAPI 3.1), and a page that shows it without asking anybody else for anything.

use axum::routing::get;
use axum::{Json, Router};
use domain::agent::definition::json_schema;
use http::Method;
use serde_json::{Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, SecurityRequirement};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::api::error::{Code, Problem};
use crate::api::idempotency::{self, KEY_MAX};
use crate::app::App;

/// What the description says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Afterplan",
        description = "Durable enrichment of PlanExe plans: submit a plan, follow what becomes of it, read the enriched plan.\n\n\
            Every failure is a problem (RFC 9457) with a stable `code`, and its detail once more as `error`. Every write takes an \
            `Idempotency-Key`: for 24 hours the same request gives the same answer. Lists are read on by `cursor`. Times are \
            milliseconds since 1970, amounts of credits are decimal numbers with at most nine places.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "orchestrations", description = "Submit plans, look at what becomes of them, steer it"),
        (name = "events", description = "What happened, as pages, streams and exports"),
        (name = "artifacts", description = "Plan artifacts and enrichments"),
        (name = "agents", description = "The registry of agents"),
        (name = "credits", description = "What it costs, what it may cost, and what accounts have"),
        (name = "access", description = "Accounts and keys"),
        (name = "server", description = "The server itself")
    ),
    components(schemas(Problem, Code)),
    modifiers(&Security)
)]
struct Description;

/// How callers say who they are.
struct Security;

impl Modify for Security {
    fn modify(&self, description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some(
            "A key as `afterplan keys create` shows it, once: `afp_<id>_<secret>`. On loopback none is needed while there is none."
                .to_owned(),
        );
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        description.security = Some(vec![
            SecurityRequirement::new("key", Vec::<String>::new()),
            SecurityRequirement::default(),
        ]);
    }
}

/// What the description says of the whole; the routes add themselves.
pub fn description() -> OpenApi {
    Description::openapi()
}

/// Where the description is.
const AT: &str = "/api/openapi.json";

/// The description, made by `describe` for each who asks (a large tree that hardly anybody wants), and the page that shows it.
pub fn routes(describe: fn() -> OpenApi) -> Router<App> {
    // Without this the page asks a validator on the internet about the description.
    let page = SwaggerUi::new("/api/docs").config(Config::new([AT]).validator_url("none"));
    Router::from(page).route(AT, get(async move || Json(whole(describe()))))
}

/// The description with the schema of agent definitions, which comes from their own types.
fn whole(description: OpenApi) -> Value {
    let mut whole = serde_json::to_value(description).unwrap_or_default();
    take_keys(&mut whole);
    let mut schema = json_schema();
    let parts = schema.as_object_mut().and_then(|schema| {
        schema.remove("$schema");
        schema.remove("$defs")
    });
    let schemas = whole
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    if let Some(schemas) = schemas {
        for (name, mut part) in parts
            .and_then(|parts| parts.as_object().cloned())
            .unwrap_or_default()
        {
            lead_here(&mut part);
            schemas.insert(format!("AgentDefinition{name}"), part);
        }
        lead_here(&mut schema);
        schemas.insert("AgentDefinition".to_owned(), schema);
    }
    whole
}

/// Says of each write that it takes a key, as [`crate::api::idempotency`] has it.
fn take_keys(whole: &mut Value) {
    let paths = whole.get_mut("paths").and_then(Value::as_object_mut);
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes());
            if !method.is_ok_and(|method| idempotency::is_write(&method, path)) {
                continue;
            }
            let parameters = operation
                .as_object_mut()
                .map(|operation| operation.entry("parameters").or_insert_with(|| json!([])));
            if let Some(parameters) = parameters.and_then(Value::as_array_mut) {
                parameters.push(json!({
                    "name": "Idempotency-Key", "in": "header", "required": false,
                    "description": "Your name for this write: for 24 hours the same request under it is done once, and gives the same answer.",
                    "schema": { "type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~]+$" },
                }));
            }
        }
    }
}

/// References to the parts of a definition lead to where they stand in the description.
fn lead_here(part: &mut Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("#/components/schemas/AgentDefinition{name}");
            }
            members.values_mut().for_each(lead_here);
        }
        Value::Array(items) => items.iter_mut().for_each(lead_here),
        _ => {}
    }
}
