//! What is submitted: the seed's request, read into the engine's terms, and begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Extension;
use domain::orchestration::command::Rejected;
use domain::orchestration::event::Request;
use domain::orchestration::select::Wanted;
use domain::values::credits::Credits;
use domain::values::ids::{AgentId, OrchestrationId};
use domain::values::role::Deed;
use engine::error::{SubmitError, TransitionError};
use engine::plans::LoadedPlan;
use engine::submit::{Submission, Submitted, submit};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::Problem;
use crate::api::grants::Policy;
use crate::api::idempotency::Keyed;
use crate::api::number::{Moment, Whole};
use crate::api::object::{self, Object};
use crate::api::priors::{GivenEnrichment, prior};
use crate::api::views::artifact::ArtifactStatus;
use crate::app::App;

/// Longest text that names something: a plan, a user, a reason. In characters.
pub const NAME_MAX: usize = 256;

/// The highest version and count that is taken: doubles hold every whole number up to here.
pub const VERSION_MAX: u64 = 9_007_199_254_740_992;

/// The highest budget.
pub const BUDGET_MAX: Credits = Credits::from_nano(9_000_000_000_000_000_000);

/// The most steps that may be asked for.
const STEPS_MAX: u64 = 10_000;

/// A plan to be enriched, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Orchestrate<'a> {
    /// The plan.
    #[serde(borrow, default, deserialize_with = "object::option")]
    #[schema(required = true, nullable = false)]
    pub plan_artifact: Option<GivenArtifact<'a>>,
    /// How it is to be enriched; by default by every agent whose inputs the plan has.
    #[serde(default, deserialize_with = "object::option")]
    #[schema(required = false)]
    pub enrichment_request: Option<EnrichmentRequest>,
}

/// A plan artifact as submitted. What the server decides (`status`, `createdAt`, …) is held to its type, and overwritten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GivenArtifact<'a> {
    /// The plan's id, in your words.
    #[serde(default)]
    #[schema(required = true, nullable = false, min_length = 1, max_length = 256)]
    pub id: Option<String>,
    /// The plan artifact's version; goes on from here.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 9_007_199_254_740_992_u64)]
    pub version: Option<Whole>,
    /// The plan: any JSON. An object with the names of PlanExe's artifacts as its keys is a PlanExe plan.
    #[serde(borrow, default)]
    #[schema(value_type = Value, required = true)]
    pub plan: Option<&'a RawValue>,
    /// Enrichments that the plan has already: their agents count as done.
    #[serde(default, deserialize_with = "object::members")]
    #[schema(required = false, value_type = Option<BTreeMap<String, GivenEnrichment>>)]
    pub enrichments: Option<BTreeMap<String, Object<GivenEnrichment>>>,
    /// Milliseconds since 1970. Overwritten.
    #[serde(default, rename = "createdAt")]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_u64)]
    _created_at: Option<Moment>,
    /// Milliseconds since 1970. Overwritten.
    #[serde(default, rename = "lastUpdatedAt")]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_u64)]
    _last_updated_at: Option<Moment>,
    /// Overwritten.
    #[serde(default, rename = "orchestrationId")]
    _orchestration_id: Option<String>,
    /// Overwritten.
    #[serde(default, rename = "status")]
    _status: Option<ArtifactStatus>,
    /// Overwritten.
    #[serde(default, rename = "failureReason")]
    _failure_reason: Option<String>,
    /// Overwritten.
    #[serde(default, rename = "planHash")]
    _plan_hash: Option<String>,
}

/// How a plan is to be enriched.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrichmentRequest {
    /// On whose behalf, in your words. Of operators and admins it also says which of PlanExe's users pays, where the account is none's.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    pub user_id: Option<String>,
    /// These agents and what they depend on; by default every agent whose inputs the plan has.
    #[serde(default)]
    pub agents: Option<Vec<String>>,
    /// The most that it may cost, in credits.
    #[serde(default)]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 9_000_000_000_u64)]
    pub budget: Option<Credits>,
    /// What happens to a step that does not fit the budget: `stop` (so by default) fails it, `pause` lets a person decide, `warn` starts
    /// it all the same.
    #[serde(default)]
    pub at_limit: Option<Policy>,
    /// Most steps.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 10_000)]
    pub max_steps: Option<Whole>,
    /// Refuse it when its worst case costs more than the budget.
    #[serde(default)]
    #[schema(required = false)]
    pub strict: bool,
    /// Neither go on with an unfinished equal orchestration nor take over equal enrichments.
    #[serde(default)]
    #[schema(required = false)]
    pub fresh: bool,
    /// Settings for all agents, such as `seed`.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    pub parameters: Map<String, Value>,
}

/// A name that people gave: within bounds, and without what no name has.
///
/// # Errors
/// 400 with what is wrong.
pub fn name(what: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() || text.chars().count() > NAME_MAX {
        return Err(Problem::invalid(format!(
            "{what} has 1 to {NAME_MAX} characters, and not only blanks"
        )));
    }
    if text.contains('\0') {
        return Err(Problem::invalid(format!(
            "{what} must not have NUL characters"
        )));
    }
    Ok(())
}

/// The number, where it lies within bounds.
///
/// # Errors
/// 400 where it does not.
pub fn bounded(what: &str, Whole(number): Whole, least: u64, most: u64) -> Result<u64, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Problem::invalid(format!("{what} is {least} to {most}")))
}

/// The engine's terms for what was asked for.
///
/// # Errors
/// 400 with what is missing or wrong.
pub fn of_artifact(
    app: &App,
    caller: &Caller,
    given: GivenArtifact<'_>,
    request: EnrichmentRequest,
) -> Result<Submission, Problem> {
    let missing = || Problem::invalid("Missing planArtifact: it has an `id` and a `plan`");
    let id = given.id.filter(|id| !id.is_empty()).ok_or_else(missing)?;
    name("planArtifact.id", &id)?;
    let plan = given
        .plan
        .ok_or_else(|| Problem::invalid("Missing planArtifact.plan"))?;
    text_is_whole(plan.get())?;
    let plan = LoadedPlan::of_json(plan.get())
        .map_err(|error| Problem::invalid(format!("planArtifact.plan: {error}")))?;
    let mut submission = of_plan(app, caller, id.clone(), Arc::new(plan), request)?;
    submission.request.plan_id = Some(id);
    if let Some(version) = given.version {
        let version = bounded("planArtifact.version", version, 0, VERSION_MAX)?;
        submission.version = version.max(1);
    }
    for (agent, Object(enrichment)) in given.enrichments.unwrap_or_default() {
        submission.priors.extend(prior(&agent, enrichment)?);
    }
    Ok(submission)
}

/// The engine's terms for a plan that was read.
///
/// # Errors
/// 400 with what is wrong.
pub fn of_plan(
    app: &App,
    caller: &Caller,
    title: String,
    plan: Arc<LoadedPlan>,
    request: EnrichmentRequest,
) -> Result<Submission, Problem> {
    if let Some(user) = &request.user_id {
        name("enrichmentRequest.userId", user)?;
    }
    if request
        .budget
        .is_some_and(|budget| budget < Credits::ZERO || budget > BUDGET_MAX)
    {
        return Err(Problem::invalid(
            "enrichmentRequest.budget is 0 to 9000000000",
        ));
    }
    let max_steps = request.max_steps;
    let max_steps =
        max_steps.map(|steps| bounded("enrichmentRequest.maxSteps", steps, 1, STEPS_MAX));
    let wanted = match request.agents {
        None => Wanted::Default(app.engine.registry.snapshot().by_default()),
        Some(agents) => Wanted::Named(
            agents
                .iter()
                .map(|id| agent("enrichmentRequest.agents", id))
                .collect::<Result<_, _>>()?,
        ),
    };
    let mut submission = Submission::new(caller.account.clone(), title, plan, wanted);
    submission.parameters = request.parameters;
    submission.max_steps = max_steps
        .transpose()?
        .map(|steps| usize::try_from(steps).unwrap_or(usize::MAX));
    submission.fresh = request.fresh;
    submission.strict = request.strict;
    submission.request = Request {
        plan_id: None,
        pays_not: request.user_id.is_some() && !caller.role.may(Deed::OnBehalf),
        user: request.user_id,
        budget: request.budget,
        at_limit: request.at_limit.map(Into::into),
    };
    Ok(submission)
}

/// Nothing, where each escaped half of a character has its other half: one that has not is no text, and no agent could read it.
///
/// # Errors
/// 400 where a half stands alone.
fn text_is_whole(json: &str) -> Result<(), Problem> {
    // Halves begin with these; most plans have none, and are not read once more for them.
    if !["\\ud", "\\uD"].iter().any(|half| json.contains(half)) {
        return Ok(());
    }
    let read = serde_json::from_str::<Value>(json);
    read.map(drop)
        .map_err(|error| Problem::invalid(format!("planArtifact.plan: {error}")))
}

/// The id that was given as `what`.
///
/// # Errors
/// 400 for one that is none.
pub fn agent(what: &str, id: &str) -> Result<AgentId, Problem> {
    AgentId::new(id).map_err(|error| Problem::invalid(format!("{what}: {error}")))
}

/// Begins the orchestration `id`, or goes on with one that is there. Under a key that is done to its end also when its caller goes away,
/// so that who repeats it is led to the same orchestration.
///
/// # Errors
/// 422 for what cannot be orchestrated, 503 while the database does not do its work.
pub async fn begin(
    app: &App,
    id: OrchestrationId,
    mut submission: Submission,
    write: Keyed,
) -> Result<Submitted, Problem> {
    let Some(Extension(write)) = write else {
        return begun(app, id, submission).await;
    };
    submission.tried_at = write.tried_at;
    let app = app.clone();
    let spawned = app.engine.spawned.clone();
    let beginning = spawned.spawn(async move {
        let submitted = match begun(&app, id, submission).await {
            // What is there was begun when nothing stood against it.
            Err(_) if is_there(&app, id).await? => continued(id),
            submitted => submitted?,
        };
        if submitted.id != id {
            write.led_to(submitted.id.0).await?;
        }
        Ok(submitted)
    });
    beginning.await.map_err(Problem::internal)?
}

/// One that a write broken off before has begun already, or was led to, goes on.
async fn begun(
    app: &App,
    id: OrchestrationId,
    submission: Submission,
) -> Result<Submitted, Problem> {
    match submit(&app.engine, id, submission).await {
        Err(SubmitError::Transition(TransitionError::Rejected(Rejected::Exists))) => {
            Ok(continued(id))
        }
        submitted => Ok(submitted?),
    }
}

async fn is_there(app: &App, id: OrchestrationId) -> Result<bool, Problem> {
    let row = app.engine.store.orchestration(*id.0.as_bytes()).await?;
    Ok(row.is_some())
}

const fn continued(id: OrchestrationId) -> Submitted {
    Submitted {
        id,
        continued: true,
        excluded: Vec::new(),
    }
}
