//! What is submitted: the seed's request, read into the engine's terms, and begun.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::orchestration::command::Rejected;
use domain::orchestration::event::Request;
use domain::orchestration::select::Wanted;
use domain::values::credits::Credits;
use domain::values::ids::{AgentId, OrchestrationId};
use domain::values::role::Deed;
use domain::values::time::Timestamp;
use engine::error::{SubmitError, TransitionError};
use engine::plans::LoadedPlan;
use engine::submit::{GivenPrior, Submission, Submitted, submit};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::api::auth::Caller;
use crate::api::error::Problem;
use crate::api::grants::Policy;
use crate::api::number::Whole;
use crate::api::object::{self, Object};
use crate::app::App;

/// Longest text that names something: a plan, a user, a reason. In characters.
pub const NAME_MAX: usize = 256;

/// The highest version of a plan artifact that is taken: doubles hold every whole number up to here.
const VERSION_MAX: u64 = 9_007_199_254_740_992;

/// The latest time that is taken, in milliseconds.
const TIME_MAX: u64 = 9_007_199_254_740;

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

/// A plan artifact as submitted. What the server decides (`status`, `createdAt`, …) is taken and overwritten.
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
    #[serde(default)]
    #[schema(required = false, value_type = Option<BTreeMap<String, GivenEnrichment>>)]
    pub enrichments: Option<BTreeMap<String, Object<GivenEnrichment>>>,
    /// Taken and overwritten.
    #[serde(default, rename = "createdAt")]
    #[schema(value_type = Value, required = false)]
    _created_at: Option<serde::de::IgnoredAny>,
    /// Taken and overwritten.
    #[serde(default, rename = "lastUpdatedAt")]
    #[schema(value_type = Value, required = false)]
    _last_updated_at: Option<serde::de::IgnoredAny>,
    /// Taken and overwritten.
    #[serde(default, rename = "orchestrationId")]
    #[schema(value_type = Value, required = false)]
    _orchestration_id: Option<serde::de::IgnoredAny>,
    /// Taken and overwritten.
    #[serde(default, rename = "status")]
    #[schema(value_type = Value, required = false)]
    _status: Option<serde::de::IgnoredAny>,
    /// Taken and overwritten.
    #[serde(default, rename = "failureReason")]
    #[schema(value_type = Value, required = false)]
    _failure_reason: Option<serde::de::IgnoredAny>,
    /// Taken and overwritten.
    #[serde(default, rename = "planHash")]
    #[schema(value_type = Value, required = false)]
    _plan_hash: Option<serde::de::IgnoredAny>,
}

/// An enrichment that a plan has already.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GivenEnrichment {
    /// When it was made, in milliseconds.
    #[serde(default)]
    #[schema(value_type = Option<u64>, maximum = 9_007_199_254_740_u64)]
    timestamp: Option<Whole>,
    /// `completed` (or `success`) and `partial` count; others are left out and their agents performed.
    #[serde(default)]
    status: Option<String>,
    /// The agent's version; without one, the version that is registered.
    #[serde(default)]
    agent_version: Option<String>,
    /// The agent's output.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    data: Value,
    /// What it took.
    #[serde(default, deserialize_with = "object::option")]
    #[schema(required = false)]
    metadata: Option<GivenMetadata>,
}

/// What an enrichment took that a plan has already. What it says of its input and its duration is left out: nobody here can tell
/// whether it is so, and equal inputs are what results are reused by.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GivenMetadata {
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    tokens_used: Option<Whole>,
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    credits_charged: Option<Credits>,
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
    if text.is_empty() || text.chars().count() > NAME_MAX {
        return Err(Problem::invalid(format!(
            "{what} has 1 to {NAME_MAX} characters"
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
fn bounded(what: &str, Whole(number): Whole, least: u64, most: u64) -> Result<u64, Problem> {
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
        .map_err(|error| Problem::invalid(format!("the plan cannot be kept: {error}")))?;
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
                .map(|id| agent(id))
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

fn agent(id: &str) -> Result<AgentId, Problem> {
    AgentId::new(id).map_err(|error| Problem::invalid(error.to_string()))
}

/// An enrichment that counts as done; none for one that failed.
fn prior(id: &str, given: GivenEnrichment) -> Result<Option<GivenPrior>, Problem> {
    let partial = match given.status.as_deref() {
        None | Some("completed" | "success") => false,
        Some("partial") => true,
        Some("pending" | "running" | "failed" | "timeout") => return Ok(None),
        Some(other) => {
            return Err(Problem::invalid(format!(
                "planArtifact.enrichments.{id}.status is none of completed, success, partial, pending, running, failed, timeout: {other:?}"
            )));
        }
    };
    if !given.data.is_object() {
        return Err(Problem::invalid(format!(
            "planArtifact.enrichments.{id}.data is no object"
        )));
    }
    let metadata = given.metadata.unwrap_or_default();
    let timestamp = given.timestamp.unwrap_or_default();
    let at = bounded("an enrichment's timestamp", timestamp, 0, TIME_MAX)?;
    Ok(Some(GivenPrior {
        agent: agent(id)?,
        agent_version: given.agent_version,
        data: given.data,
        at: Timestamp(i64::try_from(at.saturating_mul(1_000)).unwrap_or(i64::MAX)),
        tokens_used: metadata.tokens_used.map(|Whole(tokens)| tokens),
        credits: metadata.credits_charged.unwrap_or_default(),
        status_partial: partial,
    }))
}

/// Begins the orchestration `id`. One that a write broken off before has begun already goes on.
///
/// # Errors
/// 422 for what cannot be orchestrated, 503 while the database does not do its work.
pub async fn begin(
    app: &App,
    id: OrchestrationId,
    submission: Submission,
) -> Result<Submitted, Problem> {
    match submit(&app.engine, id, submission).await {
        Err(SubmitError::Transition(TransitionError::Rejected(Rejected::Exists))) => {
            Ok(Submitted {
                id,
                continued: true,
                excluded: Vec::new(),
            })
        }
        submitted => Ok(submitted?),
    }
}
