//! The seed's way in: one call that answers with the enriched plan.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::values::ids::{AccountId, OrchestrationId};
use domain::values::role::Deed;
use engine::follow::{self, Ended, Waiting};
use engine::handle::Engine;
use engine::transition::load;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At, JsonText, orchestration_id};
use crate::api::idempotency::{Keyed, subject};
use crate::api::number::Amount;
use crate::api::routes::{Routes, routes};
use crate::api::submission::{Orchestrate, begin, of_artifact};
use crate::api::views::artifact::{PlanArtifact, plan_artifact, plan_text};
use crate::api::views::state::{ExcludedAgent, OrchestrationState, results, state};
use crate::api::views::status::{Agents, OrchestrationStatus};
use crate::app::App;

/// JSON's media type.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(orchestrate))
        .routes(routes!(show))
}

/// How long to wait for the answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Patience {
    /// Seconds to wait for the orchestration's end; 0 not at all. Without it the answer comes when it has ended.
    #[param(minimum = 0, maximum = 86_400)]
    wait: Option<u32>,
}

/// The same in HTTP's own words.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by the description alone")]
struct Preference {
    /// `respond-async`: as `wait=0`, which wins over it.
    #[param(rename = "Prefer", nullable = false, example = "respond-async")]
    prefer: Option<String>,
}

impl Patience {
    /// As the query or the header `Prefer` says (RFC 7240).
    ///
    /// # Errors
    /// 400 for a time that is too long.
    fn of(self, headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
        let prefer = headers
            .get("prefer")
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let said = |wish: &str| {
            prefer
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(wish))
        };
        let wait = match self.wait {
            None if said("respond-async") => Some(0),
            wait => wait,
        };
        if wait.is_some_and(|wait| wait > 86_400) {
            return Err(Problem::invalid("`wait` is at most 86400 seconds"));
        }
        Ok(wait.map(|seconds| Duration::from_secs(u64::from(seconds))))
    }
}

/// The enriched plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer<'a> {
    /// The orchestration.
    #[schema(value_type = String, format = Uuid)]
    orchestration_id: OrchestrationId,
    /// How it ended.
    status: OrchestrationStatus,
    /// Agents by how their work ended.
    #[serde(flatten)]
    ended: Agents<'a>,
    /// Agents left out of the default set.
    excluded_agents: Vec<ExcludedAgent<'a>>,
    /// What it cost.
    #[schema(value_type = f64)]
    credits_used: Amount,
    /// The same as an exact decimal.
    credits_used_exact: String,
    /// The plan with what was added.
    plan_artifact: PlanArtifact,
}

/// An orchestration that goes on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The orchestration.
    #[schema(value_type = String, format = Uuid)]
    pub orchestration_id: OrchestrationId,
    /// How it stands.
    pub status: OrchestrationStatus,
    /// An unfinished orchestration of the same submission goes on.
    pub continued: bool,
    /// Where to ask how it stands.
    pub status_url: String,
    /// Where to follow its events.
    pub events_url: String,
}

/// Enrich a plan
///
/// Answers with the enriched plan when all is done; with `Prefer: respond-async` or `?wait=0` at once, with 202.
#[utoipa::path(
    post, path = "/orchestrate", tag = "orchestrations", params(Patience, Preference),
    request_body(content = Orchestrate, example = json!({
        "planArtifact": {
            "id": "plan-123", "version": 1, "plan": {"title": "My Plan", "description": "..."}, "enrichments": {},
            "createdAt": 1_708_462_300_000_i64, "lastUpdatedAt": 1_708_462_300_000_i64, "orchestrationId": null, "status": "pending"
        }
    })),
    responses(
        (status = 200, description = "It has ended", body = Answer),
        (status = 202, description = "It goes on", body = Accepted, headers(("Location" = String, description = "Where to ask how it stands"))),
        Refusals
    )
)]
async fn orchestrate(
    State(app): State<App>,
    caller: Caller,
    Asked(patience): Asked<Patience>,
    write: Keyed,
    headers: HeaderMap,
    body: JsonText,
) -> Result<Response, Problem> {
    caller.may(Deed::Submit)?;
    let patience = patience.of(&headers)?;
    let submission = {
        let given: Orchestrate<'_> = body.read()?;
        let artifact = given
            .plan_artifact
            .ok_or_else(|| Problem::invalid("Missing planArtifact"))?;
        of_artifact(
            &app,
            &caller,
            artifact,
            given.enrichment_request.unwrap_or_default(),
        )?
    };
    // Whoever waits keeps no copy of the body: there may be thousands.
    drop(body);
    let id = OrchestrationId(subject(&write));
    let waiting = Waiting::for_end(&app.engine, id);
    let submitted = begin(&app, id, submission, write).await?;
    if patience == Some(Duration::ZERO) {
        return Ok(accepted(submitted.id, submitted.continued));
    }
    let end = async {
        if submitted.id == id {
            waiting.ended().await
        } else {
            follow::ended(&app.engine, submitted.id).await
        }
    };
    let ended = tokio::select! {
        ended = end => ended?,
        () = app.draining.cancelled() => return Ok(accepted(submitted.id, submitted.continued)),
        () = pass(patience) => return Ok(accepted(submitted.id, submitted.continued)),
    };
    answer(&app.engine, &ended).await
}

async fn pass(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

/// 202: it goes on.
pub fn accepted(id: OrchestrationId, continued: bool) -> Response {
    let body = Accepted {
        orchestration_id: id,
        status: OrchestrationStatus::Running,
        continued,
        status_url: format!("/api/orchestrate/{id}"),
        events_url: format!("/api/orchestrations/{id}/events"),
    };
    let location = HeaderValue::try_from(&body.status_url);
    let mut response = (StatusCode::ACCEPTED, axum::Json(body)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response.headers_mut().insert(
        HeaderName::from_static("preference-applied"),
        HeaderValue::from_static("respond-async"),
    );
    response
}

/// The enriched plan, written once: outputs and plan are set in as they are stored.
async fn answer(engine: &Engine, ended: &Ended) -> Result<Response, Problem> {
    let head = ended.state.head.as_ref();
    let head = head.ok_or_else(|| Problem::internal("an orchestration without a head"))?;
    let plan = engine
        .plans
        .load(&engine.store, &head.account, head.plan)
        .await?;
    let text = plan_text(&plan).map_err(Problem::internal)?;
    let answer = Answer {
        orchestration_id: ended.id,
        status: OrchestrationStatus::of(&ended.state),
        ended: Agents::of(&ended.state),
        excluded_agents: head.excluded.iter().map(ExcludedAgent::from).collect(),
        credits_used: Amount(head.cost),
        credits_used_exact: head.cost.to_string(),
        plan_artifact: plan_artifact(engine, ended.id, (&ended.state, head), text, None).await?,
    };
    Ok(json(
        serde_json::to_vec(&answer).map_err(Problem::internal)?,
    ))
}

/// An answer of JSON text.
pub fn json(text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// How an orchestration stands
///
/// The seed's `getStatus` and `OrchestrationState` in one; `results` is an object by agent id.
#[utoipa::path(
    get, path = "/orchestrate/{id}", tag = "orchestrations",
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "How it stands", body = OrchestrationState), Refusals)
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let id = orchestration_id(&id)?;
    let orchestration = load(&app.engine, id).await?.state;
    let head = seen(&caller, id, orchestration.head.as_ref())?;
    let estimate = if head.status.ended() {
        None
    } else {
        app.history
            .remaining(&app.engine, &orchestration, head)
            .await?
    };
    let results = results(&app.engine, id, &orchestration).await?;
    let budget = app.settings.default_budget;
    let shown = state(id, &orchestration, head, results, budget, estimate);
    Ok(json(serde_json::to_vec(&shown).map_err(Problem::internal)?))
}

/// The head of an orchestration that the caller may see.
///
/// # Errors
/// 404 where there is none, or it is another account's.
pub fn seen<'a>(
    caller: &Caller,
    id: OrchestrationId,
    head: Option<&'a domain::orchestration::state::Head>,
) -> Result<&'a domain::orchestration::state::Head, Problem> {
    head.filter(|head| caller.sees(head.account.as_str()))
        .ok_or_else(|| unknown(id))
}

/// There is no such orchestration, or it is another account's: nobody can tell which.
pub fn unknown(id: OrchestrationId) -> Problem {
    Problem::not_found(format!("there is no orchestration {id}"))
}

/// Whose rows `account` means: `me` is the caller's own.
pub fn account_of(caller: &Caller, account: &str) -> Option<AccountId> {
    if account == "me" {
        return Some(caller.account.clone());
    }
    AccountId::new(account)
        .ok()
        .filter(|account| caller.sees(account.as_str()))
}
