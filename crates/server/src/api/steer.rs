//! Steering an orchestration: cancel, pause, resume, approve.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use domain::orchestration::command::Command;
use domain::orchestration::state::Step;
use domain::values::ids::{OrchestrationId, StepId};
use domain::values::role::Deed;
use domain::values::time::Millis;
use engine::transition::{load, transition};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::{Code, Problem, Refusals};
use crate::api::extract::{At, JsonText, media_type, orchestration_id, read_body};
use crate::api::number::Whole;
use crate::api::orchestrate::unknown;
use crate::api::routes::{Routes, routes};
use crate::api::submission::name;
use crate::api::views::status::OrchestrationStatus;
use crate::app::App;

/// How long attempts may still take after a cancel, where nobody says.
const GRACE: u64 = 10_000;

/// Longest grace.
const GRACE_MAX: u64 = 86_400_000;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(cancel))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(approve))
}

/// How to cancel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cancel {
    /// Why, for people.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    reason: Option<String>,
    /// Milliseconds that attempts in flight may still take; 10,000 by default.
    #[serde(default)]
    #[schema(value_type = u64, required = false, maximum = 86_400_000)]
    grace: Option<Whole>,
    /// Only this step.
    #[serde(default)]
    step: Option<String>,
}

/// Which step.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Which {
    /// Only this step; without one all.
    #[serde(default)]
    step: Option<String>,
}

/// What a command made of an orchestration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Steered {
    #[schema(value_type = String, format = Uuid)]
    orchestration_id: OrchestrationId,
    /// How it stands now.
    status: OrchestrationStatus,
    /// The last event's cursor.
    cursor: u64,
}

/// A JSON body that may be left away.
struct Maybe(Option<JsonText>);

impl Maybe {
    fn read<'a, T: Deserialize<'a> + Default>(&'a self) -> Result<T, Problem> {
        let told = self.0.as_ref().map(JsonText::read_or_null);
        Ok(told.transpose()?.flatten().unwrap_or_default())
    }
}

impl FromRequest<App> for Maybe {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !media_type(request.headers()).is_empty() {
            let body = JsonText::from_request(request, app).await?;
            return Ok(Self(Some(body).filter(|body| !body.0.is_empty())));
        }
        let (parts, body) = request.into_parts();
        let bytes = read_body(body, &parts.headers, 0, &app.settings.limits).await;
        // What is no JSON by its own word is refused as such, not as too long.
        match bytes {
            Ok(_) => Ok(Self(None)),
            Err(_) => Err(Problem::new(
                Code::UnsupportedMediaType,
                "send JSON, with `Content-Type: application/json`, or no body",
            )),
        }
    }
}

async fn steer(
    app: &App,
    caller: &Caller,
    id: OrchestrationId,
    command: Command,
) -> Result<Response, Problem> {
    may_steer(app, caller, id).await?;
    let outcome = transition(&app.engine, id, command, Vec::new()).await?;
    let steered = Steered {
        orchestration_id: id,
        status: OrchestrationStatus::named(outcome.status, true),
        cursor: outcome.cursor,
    };
    Ok(Json(steered).into_response())
}

/// # Errors
/// 403 where the caller may steer nothing, 404 for what is not there or another account's.
async fn may_steer(app: &App, caller: &Caller, id: OrchestrationId) -> Result<(), Problem> {
    caller.may(Deed::Steer)?;
    let row = app.engine.store.orchestration(*id.0.as_bytes()).await?;
    let seen = row.filter(|row| caller.sees(&row.account));
    seen.map(drop).ok_or_else(|| unknown(id))
}

/// # Errors
/// 403 where a yes would bring the account into debt, and the caller may not decide on its credits.
async fn may_say_yes(
    app: &App,
    caller: &Caller,
    id: OrchestrationId,
    step: &StepId,
) -> Result<(), Problem> {
    if caller.role.may(Deed::Money) {
        return Ok(());
    }
    let state = load(&app.engine, id).await?.state;
    let asked = state.graph.index(step).map(|index| &state.steps[index]);
    if !asked.is_some_and(Step::waits_for_account) {
        return Ok(());
    }
    Err(Problem::new(
        Code::Forbidden,
        "the account has too little, and its debt is not yours to decide on: a grant lets the step go on by itself, or an admin says yes",
    ))
}

fn step(text: Option<&str>) -> Result<Option<StepId>, Problem> {
    let step =
        text.map(|text| StepId::new(text).map_err(|_| Problem::not_found("there is no such step")));
    step.transpose()
}

/// Cancel an orchestration, or one step of it
///
/// What has not started is cancelled; what is in flight may end within the grace.
#[utoipa::path(
    post, path = "/orchestrations/{id}/cancel", tag = "orchestrations", request_body(content = Option<Cancel>),
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "It is being cancelled", body = Steered), Refusals)
)]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    body: Maybe,
) -> Result<Response, Problem> {
    caller.may(Deed::Steer)?;
    let how: Cancel = body.read()?;
    let id = orchestration_id(&id)?;
    let reason = how
        .reason
        .unwrap_or_else(|| format!("cancelled by {}", caller.name()));
    name("reason", &reason)?;
    let grace = how.grace.map_or(GRACE, |Whole(grace)| grace);
    if grace > GRACE_MAX {
        return Err(Problem::invalid(format!(
            "`grace` is at most {GRACE_MAX} ms"
        )));
    }
    let step = step(how.step.as_deref())?;
    steer(
        &app,
        &caller,
        id,
        Command::Cancel {
            step,
            reason,
            grace: Millis(grace),
        },
    )
    .await
}

/// Pause an orchestration, or one step of it
///
/// What is in flight ends, nothing more starts. A conversation ends with its turn, goes back to the queue, and goes on from there once it is resumed: nothing
/// is asked or paid again.
#[utoipa::path(
    post, path = "/orchestrations/{id}/pause", tag = "orchestrations", request_body(content = Option<Which>),
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "It is paused", body = Steered), Refusals)
)]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    body: Maybe,
) -> Result<Response, Problem> {
    caller.may(Deed::Steer)?;
    let which: Which = body.read()?;
    let id = orchestration_id(&id)?;
    let step = step(which.step.as_deref())?;
    steer(&app, &caller, id, Command::Pause { step }).await
}

/// Resume an orchestration, or one step of it
#[utoipa::path(
    post, path = "/orchestrations/{id}/resume", tag = "orchestrations", request_body(content = Option<Which>),
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "It goes on", body = Steered), Refusals)
)]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    body: Maybe,
) -> Result<Response, Problem> {
    caller.may(Deed::Steer)?;
    let which: Which = body.read()?;
    let id = orchestration_id(&id)?;
    let step = step(which.step.as_deref())?;
    steer(&app, &caller, id, Command::Resume { step }).await
}

/// Say yes to a step that waits for it
#[utoipa::path(
    post, path = "/orchestrations/{id}/steps/{step}/approve", tag = "orchestrations",
    params(("id" = Uuid, Path, description = "The orchestration"), ("step" = String, Path, description = "The step")),
    responses((status = 200, description = "It may start", body = Steered), Refusals)
)]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    At((id, parked)): At<(String, String)>,
) -> Result<Response, Problem> {
    let id = orchestration_id(&id)?;
    let by = caller.name();
    match step(Some(&parked))? {
        Some(step) => {
            may_steer(&app, &caller, id).await?;
            may_say_yes(&app, &caller, id, &step).await?;
            steer(&app, &caller, id, Command::Approve { step, by }).await
        }
        None => Err(Problem::not_found("there is no such step")),
    }
}
