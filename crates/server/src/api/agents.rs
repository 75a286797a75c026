//! The registry: agent definitions in all their versions.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::values::ids::AccountId;
use domain::values::role::Deed;
use engine::agents::{RegisterError, Registered, refresh, register, retire, validate};
use engine::discovery::discover;
use engine::registry::{Agents, Known, Source};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::{Code, Problem, Refusals};
use crate::api::extract::{Asked, At, JsonText};
use crate::api::number::whole_numbers;
use crate::api::page::Page;
use crate::api::routes::{Routes, routes};
use crate::api::views::agent::{AgentLine, AgentShown, AgentVersion, Health, definition};
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, add))
        .routes(routes!(check))
        .routes(routes!(find))
        .routes(routes!(show, retire_all))
        .routes(routes!(show_version, retire_version))
}

/// The agents that may be asked for, by id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AgentList<'a> {
    agents: Vec<AgentLine<'a>>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// A definition to be registered.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the description alone")]
struct Registration {
    /// The definition.
    #[schema(value_type = AgentDefinition)]
    agent: Value,
}

/// What may be a definition.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the description alone")]
struct Candidate {
    /// Whatever is to be looked at.
    #[schema(value_type = Object)]
    agent: Value,
}

/// As the JSON Schema of definitions says; set in when the description is made.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the description alone")]
struct AgentDefinition {}

/// What was registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RegisteredAgent {
    /// The definition, with all its defaults.
    #[schema(value_type = Object)]
    agent: Value,
    /// SHA-256 of the definition in canonical JSON.
    hash: String,
    /// It was not registered before.
    new: bool,
}

impl RegisteredAgent {
    fn of(registered: &Registered) -> Result<Self, Problem> {
        Ok(Self {
            agent: definition(&registered.definition)?,
            hash: registered.hash.to_string(),
            new: registered.new,
        })
    }
}

/// What a definition is worth.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Validation {
    /// It could be registered.
    valid: bool,
    /// Everything that is wrong with it.
    errors: Vec<String>,
    /// SHA-256 of the definition in canonical JSON.
    hash: Option<String>,
}

/// Where an agent is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Address {
    /// Its base URL: the definition stands below it at `/.well-known/afterplan-agent.json`.
    #[schema(format = "uri", example = "https://agents.example.org/security")]
    url: String,
}

/// What was found there.
#[derive(Debug, Serialize, ToSchema)]
struct Discovered {
    agents: Vec<RegisteredAgent>,
}

/// List agents
///
/// Of each agent the version that is used when none is named, how its circuit breaker stands, and what its last probe said.
#[utoipa::path(
    get, path = "/agents", tag = "agents", params(Page),
    responses((status = 200, description = "A page of them", body = AgentList), Refusals)
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    refresh(&app.engine).await?;
    let agents = app.engine.registry.snapshot();
    let health = Health::of(&app.engine);
    let latest = agents.ids().filter_map(|id| agents.latest(id.as_str()));
    let lines = latest.map(|known| AgentLine::of(known, &health));
    let (agents, next_cursor) = page.of(lines, |line| line.id)?;
    Ok(Json(AgentList {
        agents,
        next_cursor,
    })
    .into_response())
}

/// Register an agent
///
/// For all accounts: with an admin's key, or an operator's of account `system`. A version never changes: the same definition again changes nothing (200), another one under the same version is refused (409).
#[utoipa::path(
    post, path = "/agents", tag = "agents", request_body = Registration,
    responses(
        (status = 201, description = "It is registered", body = RegisteredAgent),
        (status = 200, description = "It was registered before", body = RegisteredAgent),
        Refusals
    )
)]
async fn add(State(app): State<App>, caller: Caller, body: JsonText) -> Result<Response, Problem> {
    may_register(&caller)?;
    let told = told(&body)?;
    let definition = validate(&told).map_err(RegisterError::Invalid)?;
    let registered = register(&app.engine, definition, Source::Api, None).await?;
    let status = if registered.new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(RegisteredAgent::of(&registered)?)).into_response())
}

/// The definition in `{"agent": …}` as text, its whole numbers written as such.
///
/// # Errors
/// 400 without what every definition has.
fn told(body: &JsonText) -> Result<String, Problem> {
    let missing = "Missing required fields: send {\"agent\": {\"id\": …, \"displayName\": …}}";
    let agent = candidate(body)?;
    let named = |field: &str| agent.get(field).is_some_and(Value::is_string);
    if named("id") && named("displayName") {
        Ok(agent.to_string())
    } else {
        Err(Problem::invalid(missing))
    }
}

/// Whatever stands in `{"agent": …}`, its whole numbers written as such.
///
/// # Errors
/// 400 where nothing does.
fn candidate(body: &JsonText) -> Result<Value, Problem> {
    let mut told: Map<String, Value> = body.read()?;
    let other = told.keys().find(|key| *key != "agent").cloned();
    if let Some(other) = other {
        return Err(Problem::invalid(format!(
            "unknown field `{other}`: send {{\"agent\": …}}"
        )));
    }
    let mut agent = told
        .remove("agent")
        .filter(Value::is_object)
        .ok_or_else(|| Problem::invalid("Missing required fields: send {\"agent\": {…}}"))?;
    whole_numbers(&mut agent);
    Ok(agent)
}

/// Validate a definition
///
/// Registers nothing.
#[utoipa::path(
    post, path = "/agents/validate", tag = "agents", request_body = Candidate,
    responses((status = 200, description = "What it is worth", body = Validation), Refusals)
)]
async fn check(caller: Caller, body: JsonText) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    let told = candidate(&body)?.to_string();
    let validation = match validate(&told) {
        Ok(definition) => Validation {
            valid: true,
            errors: Vec::new(),
            hash: definition.hash().ok().map(|hash| hash.to_string()),
        },
        Err(errors) => Validation {
            valid: false,
            errors,
            hash: None,
        },
    };
    Ok(Json(validation).into_response())
}

/// Discover agents
///
/// Asks the address for its definitions and registers them for all accounts: all, or when one cannot be, none. With an admin's
/// key, or an operator's of account `system`.
#[utoipa::path(
    post, path = "/agents/discover", tag = "agents", request_body = Address,
    responses((status = 200, description = "What was found", body = Discovered), Refusals)
)]
async fn find(State(app): State<App>, caller: Caller, body: JsonText) -> Result<Response, Problem> {
    may_register(&caller)?;
    let address: Address = body.read()?;
    let found = discover(&app.engine, &address.url).await?;
    let agents = found
        .iter()
        .map(RegisteredAgent::of)
        .collect::<Result<_, _>>()?;
    Ok(Json(Discovered { agents }).into_response())
}

/// Agents are common to all accounts: who registers one is sent the plans of all who use it.
fn may_register(caller: &Caller) -> Result<(), Problem> {
    caller.may(Deed::Register)?;
    if caller.account == AccountId::system() || caller.role.may(Deed::AllAccounts) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        format!(
            "agents are common to all accounts, and this key is one of account `{}`: an admin's key registers and retires them, or an operator's of account `system`",
            caller.account
        ),
    ))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such agent")
}

fn versions<'a>(agents: &'a Agents, id: &str) -> Result<&'a [std::sync::Arc<Known>], Problem> {
    let versions = agents.versions(id);
    if versions.is_empty() {
        Err(unknown())
    } else {
        Ok(versions)
    }
}

/// Show an agent
///
/// The version that is used when none is named (of a retired agent the last), and all versions.
#[utoipa::path(
    get, path = "/agents/{id}", tag = "agents", params(("id" = String, Path, description = "The agent")),
    responses((status = 200, description = "It", body = AgentShown), Refusals)
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    refresh(&app.engine).await?;
    let agents = app.engine.registry.snapshot();
    let versions = versions(&agents, &id)?;
    let latest = agents.latest(&id).or(versions.last()).ok_or_else(unknown)?;
    let shown = AgentShown::of(latest, versions, &Health::of(&app.engine))?;
    Ok(Json(shown).into_response())
}

/// Show one version of an agent
#[utoipa::path(
    get, path = "/agents/{id}/versions/{version}", tag = "agents",
    params(("id" = String, Path, description = "The agent"), ("version" = String, Path, description = "Its version")),
    responses((status = 200, description = "It", body = AgentVersion), Refusals)
)]
async fn show_version(
    State(app): State<App>,
    caller: Caller,
    At((id, version)): At<(String, String)>,
) -> Result<Response, Problem> {
    caller.may(Deed::Read)?;
    refresh(&app.engine).await?;
    let agents = app.engine.registry.snapshot();
    let known = agents.get(&id, &version).ok_or_else(unknown)?;
    Ok(Json(AgentVersion::of(known)?).into_response())
}

/// Retire an agent
///
/// All its versions, for all accounts. Nothing new begins with it; what has begun goes on with what it pinned.
#[utoipa::path(
    delete, path = "/agents/{id}", tag = "agents", params(("id" = String, Path, description = "The agent")),
    responses((status = 204, description = "It is retired"), Refusals)
)]
async fn retire_all(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<StatusCode, Problem> {
    retired(&app, &caller, &id, None).await
}

/// Retire one version of an agent
#[utoipa::path(
    delete, path = "/agents/{id}/versions/{version}", tag = "agents",
    params(("id" = String, Path, description = "The agent"), ("version" = String, Path, description = "Its version")),
    responses((status = 204, description = "It is retired"), Refusals)
)]
async fn retire_version(
    State(app): State<App>,
    caller: Caller,
    At((id, version)): At<(String, String)>,
) -> Result<StatusCode, Problem> {
    retired(&app, &caller, &id, Some(&version)).await
}

async fn retired(
    app: &App,
    caller: &Caller,
    id: &str,
    version: Option<&str>,
) -> Result<StatusCode, Problem> {
    may_register(caller)?;
    refresh(&app.engine).await?;
    let agents = app.engine.registry.snapshot();
    let known = versions(&agents, id)?;
    if version.is_some_and(|version| {
        known
            .iter()
            .all(|known| known.definition.version != version)
    }) {
        return Err(unknown());
    }
    retire(&app.engine, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
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
