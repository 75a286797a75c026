//! The registry: agent definitions in all their versions.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::agent::definition::{AgentDefinition, Executor};
use domain::values::role::Deed;
use engine::agents::{RegisterError, Registered, register};
use engine::registry::{Known, Source};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::auth::Caller;
use crate::api::error::{Code, Problem, Refusals};
use crate::api::extract::{JsonText, unreadable};
use crate::api::number::{Amount, whole_numbers};
use crate::app::App;

/// Its routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add))
}

/// An agent, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgentLine<'a> {
    id: &'a str,
    display_name: &'a str,
    description: &'a str,
    /// Longest time of one attempt, in milliseconds.
    timeout: u64,
    /// Flat price of one completed step.
    #[schema(value_type = f64)]
    cost_per_run: Amount,
    version: &'a str,
    /// How it is performed; null where the server decides.
    executor: Option<&'static str>,
    enrichment_type: &'a str,
    dependencies: Vec<&'a str>,
    hash: String,
    /// `built_in`, `file`, `api` or `discovery`.
    source: &'static str,
}

/// The agents that may be asked for.
#[derive(Debug, Serialize, ToSchema)]
struct AgentList<'a> {
    agents: Vec<AgentLine<'a>>,
}

fn line(known: &Known) -> AgentLine<'_> {
    let definition = &known.definition;
    AgentLine {
        id: definition.id.as_str(),
        display_name: &definition.display_name,
        description: &definition.description,
        timeout: definition.timeout.0,
        cost_per_run: Amount(definition.cost_per_run),
        version: &definition.version,
        executor: definition.executor.as_ref().map(kind),
        enrichment_type: &definition.output_schema.enrichment_type,
        dependencies: definition
            .dependencies
            .iter()
            .map(|edge| edge.agent.as_str())
            .collect(),
        hash: known.hash.to_string(),
        source: known.source.name(),
    }
}

fn kind(executor: &Executor) -> &'static str {
    match executor {
        Executor::Analysis {} => "analysis",
        Executor::Http { .. } => "http",
        Executor::Worker {} => "worker",
        Executor::Model {} => "model",
        Executor::Script {} => "script",
    }
}

/// List agents
///
/// Of each agent the version that is used when none is named.
#[utoipa::path(get, path = "/agents", tag = "agents", responses((status = 200, description = "The agents", body = AgentList), Refusals))]
async fn list(State(app): State<App>, _caller: Caller) -> Response {
    let agents = app.engine.registry.snapshot();
    let lines = agents.ids().filter_map(|id| agents.latest(id.as_str()));
    Json(AgentList {
        agents: lines.map(|known| line(known)).collect(),
    })
    .into_response()
}

/// Register an agent
///
/// The body is `{"agent": …}`. A version is never changed: the same definition again changes nothing (200), another one under the
/// same version is refused.
#[utoipa::path(
    post, path = "/agents", tag = "agents", request_body = Value,
    responses((status = 201, description = "It is registered", body = Value), (status = 200, description = "It was registered before", body = Value), Refusals)
)]
async fn add(State(app): State<App>, caller: Caller, body: JsonText) -> Result<Response, Problem> {
    caller.may(Deed::Register)?;
    let definition = definition(&body)?;
    let registered = register(&app.engine, definition, Source::Api, None).await?;
    let status = if registered.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(told(&registered)?)).into_response())
}

/// The definition in `{"agent": …}`.
///
/// # Errors
/// 400 with what is wrong.
fn definition(body: &JsonText) -> Result<AgentDefinition, Problem> {
    let mut told: Value = body.read()?;
    let agent = told.get_mut("agent").map(Value::take);
    let Some(mut agent) = agent.filter(Value::is_object) else {
        return Err(Problem::invalid(
            "Missing required fields: send {\"agent\": {\"id\": …, \"displayName\": …}}",
        ));
    };
    whole_numbers(&mut agent);
    serde_json::from_value(agent).map_err(|error| unreadable(&error))
}

fn told(registered: &Registered) -> Result<Value, Problem> {
    Ok(json!({"agent": shown(&registered.definition)?, "hash": registered.hash.to_string()}))
}

/// A definition as the wire shows it: its price as a number.
///
/// # Errors
/// Never for a registered one.
pub fn shown(definition: &AgentDefinition) -> Result<Value, Problem> {
    let mut shown = serde_json::to_value(definition).map_err(Problem::internal)?;
    let cost: f64 = definition.cost_per_run.to_string().parse().unwrap_or(0.0);
    if let Some(object) = shown.as_object_mut() {
        object.insert("costPerRun".to_owned(), json!(cost));
    }
    Ok(shown)
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        let detail = error.to_string();
        match error {
            RegisterError::Invalid(errors) => Self::invalid(detail).with_errors(errors),
            RegisterError::VersionTaken { .. } => Self::new(Code::Conflict, detail),
            RegisterError::Refused(_) => Self::new(Code::Refused, detail),
            RegisterError::Store(error) => error.into(),
        }
    }
}
