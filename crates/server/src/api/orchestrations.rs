//! Orchestrations: submit, list, show.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::orchestration::state::{Head, Orchestration};
use domain::values::ids::OrchestrationId;
use engine::transition::load;
use engine::waits::wait_of;
use serde::{Deserialize, Serialize};
use store::error::StoreError;
use store::orchestrations::OrchestrationFilter;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At, orchestration_id};
use crate::api::number::Amount;
use crate::api::orchestrate::{account_of, seen};
use crate::api::page::limit;
use crate::api::routes::{Routes, routes};
use crate::api::uploads::{__path_submit, submit};
use crate::api::views::artifact::millis;
use crate::api::views::state::{ExcludedAgent, plan_id, remaining};
use crate::api::views::status::{Agents, OrchestrationStatus, why};
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list, submit))
        .routes(routes!(show))
}

/// Which orchestrations are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Where to go on: `nextCursor` of the page before.
    #[param(nullable = false, format = Uuid)]
    cursor: Option<String>,
    /// Most items; 50 by default.
    #[param(minimum = 1, maximum = 500, nullable = false)]
    limit: Option<u32>,
    /// Only those that stand like this.
    #[param(nullable = false, inline)]
    status: Option<Word>,
    /// Only those that have not ended.
    #[param(nullable = false)]
    unended: Option<bool>,
    /// Another account's, for who may see it; `me` for one's own.
    #[param(nullable = false)]
    account: Option<String>,
}

/// How orchestrations stand, as a filter has it.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    Running,
    Complete,
    Partial,
    Failed,
    Cancelled,
}

impl Word {
    const fn stored(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An orchestration, in short.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Its id.
    #[schema(value_type = String, format = Uuid)]
    orchestration_id: OrchestrationId,
    /// Whose it is.
    account: String,
    /// The plan's id: its sender's, else its name.
    plan_id: String,
    /// The plan's name.
    name: String,
    /// SHA-256 of the plan.
    plan_hash: String,
    /// On whose behalf.
    user_id: Option<String>,
    /// How it stands.
    status: OrchestrationStatus,
    /// Nothing starts until it is resumed.
    paused: bool,
    /// It is being cancelled.
    cancelling: bool,
    /// Why it failed or was cancelled.
    reason: Option<String>,
    /// The plan artifact's version.
    version: u64,
    /// How many steps have started.
    step_number: u32,
    /// The last event's cursor.
    cursor: u64,
    /// What it cost so far.
    #[schema(value_type = f64)]
    credits_used: Amount,
    /// The same as an exact decimal.
    credits_used_exact: String,
    /// What is left of its budget.
    #[schema(value_type = f64)]
    credits_remaining: Amount,
    /// When it was created, in milliseconds.
    created_at: i64,
    /// When it ended, in milliseconds.
    ended_at: Option<i64>,
}

impl Line {
    /// The orchestration `id`.
    pub fn of(app: &App, id: OrchestrationId, head: &Head) -> Self {
        let ended = head.status.ended();
        Self {
            orchestration_id: id,
            account: head.account.to_string(),
            plan_id: plan_id(head).into_owned(),
            name: head.name.clone(),
            plan_hash: head.plan.to_string(),
            user_id: head.request.user.clone(),
            status: OrchestrationStatus::named(head.status, head.last_number > 0),
            paused: head.paused_at.is_some() && !ended,
            cancelling: head.cancelling.is_some() && !ended,
            reason: head.reason.clone(),
            version: head.version,
            step_number: head.last_number,
            cursor: head.cursor,
            credits_used: Amount(head.cost),
            credits_used_exact: head.cost.to_string(),
            credits_remaining: Amount(remaining(head, app.settings.default_budget)),
            created_at: millis(head.created_at),
            ended_at: head.ended_at.map(millis),
        }
    }
}

/// Orchestrations, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Lines {
    orchestrations: Vec<Line>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// List orchestrations
///
/// The newest first.
#[utoipa::path(
    get, path = "/orchestrations", tag = "orchestrations", params(Wanted),
    responses((status = 200, description = "A page of them", body = Lines), Refusals)
)]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Response, Problem> {
    let limit = limit(wanted.limit)?;
    let account = wanted.account.as_deref().unwrap_or("me");
    let account = account_of(&caller, account)
        .ok_or_else(|| Problem::not_found("there is no such account"))?;
    let cursor = wanted.cursor.as_deref().map(|cursor| {
        let cursor = cursor.parse::<Uuid>();
        cursor.map_err(|_| Problem::invalid("`cursor` is none that a page has named"))
    });
    let cursor = cursor.transpose()?.map(Uuid::into_bytes);
    let filter = OrchestrationFilter {
        status: wanted.status.map(|status| status.stored().to_owned()),
        plan_hash: None,
        unended: wanted.unended.unwrap_or(false),
    };
    let ask = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut rows = app
        .engine
        .store
        .list(account.as_str(), &filter, cursor, ask)
        .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|row| Uuid::from_bytes(row.id).to_string());
    let lines = rows.iter().map(|row| {
        let head: Head = serde_json::from_str(&row.detail).map_err(Problem::internal)?;
        Ok(Line::of(
            &app,
            OrchestrationId(Uuid::from_bytes(row.id)),
            &head,
        ))
    });
    let orchestrations = lines.collect::<Result<_, Problem>>()?;
    Ok(Json(Lines {
        orchestrations,
        next_cursor: next,
    })
    .into_response())
}

/// What a plan gives a step to read.
#[derive(Debug, Serialize, ToSchema)]
struct InputsLine<'a> {
    /// Declared inputs that the plan lacks: required ones with the reason, for which the step is skipped; optional ones by
    /// name, without which it does its work.
    missing: Vec<&'a String>,
}

/// One step of an orchestration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StepLine<'a> {
    step_id: &'a str,
    agent_id: &'a str,
    agent_version: &'a str,
    /// `waiting`, `parked`, `ready`, `running`, or how it ended: `completed`, `partial`, `failed`, `timeout`, `gated_off`,
    /// `skipped`, `cancelled`.
    status: &'static str,
    /// The order of starting, from 1.
    step_number: Option<u32>,
    /// Steps that end first.
    dependencies: Vec<&'a str>,
    /// The step that spawned it, if it is a child.
    parent_step_id: Option<&'a str>,
    /// Turns of its conversations so far, those that were given up too.
    turns: u32,
    /// What its own attempts were charged.
    #[schema(value_type = f64)]
    credits_charged: Amount,
    /// The same with all steps below it.
    #[schema(value_type = f64)]
    credits_charged_in_all: Amount,
    /// The last attempt's number.
    attempt: u32,
    /// Retries used.
    retries: u32,
    /// Holders lost.
    lapses: u32,
    /// What it waits for, in words: for steps or a person, for its time, for a counter that is full, for an agent whose
    /// breaker is open, for room. Null while an attempt is in flight and after its end.
    waits_for: Option<String>,
    /// What this plan gives it to read.
    inputs: InputsLine<'a>,
    /// Why it ended as it did, in words.
    reason: Option<String>,
    /// What the last failed attempt said.
    last_error: Option<&'a str>,
    /// An attempt has left a part to be kept.
    has_partial: bool,
    /// The plan artifact's version that it made.
    version: Option<u64>,
    /// When its current or last attempt started, in milliseconds.
    started_at: Option<i64>,
    /// When it ended, in milliseconds.
    ended_at: Option<i64>,
    /// From when on it may be claimed, in milliseconds.
    due_at: Option<i64>,
}

/// An orchestration with its steps.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(flatten)]
    line: Line,
    /// Agents at work.
    current_agents: Vec<&'a str>,
    #[serde(flatten)]
    ended: Agents<'a>,
    /// Agents left out of the default set.
    excluded_agents: Vec<ExcludedAgent<'a>>,
    /// The versions of the price tables that its steps' tokens are billed by, pinned when it began; none where all prices are flat.
    price_tables: BTreeSet<&'a str>,
    /// In the order of submission; children behind them.
    steps: Vec<StepLine<'a>>,
}

/// Show an orchestration
///
/// How it stands, with each of its steps; what they gave stands under `/artifact` and `/enrichments`.
#[utoipa::path(
    get, path = "/orchestrations/{id}", tag = "orchestrations",
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "It", body = Shown), Refusals)
)]
async fn show(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
) -> Result<Response, Problem> {
    let id = orchestration_id(&id)?;
    let orchestration = load(&app.engine, id).await?.state;
    let head = seen(&caller, id, orchestration.head.as_ref())?;
    let shown = Shown {
        line: Line::of(&app, id, head),
        current_agents: Agents::current(&orchestration),
        ended: Agents::of(&orchestration),
        excluded_agents: head.excluded.iter().map(ExcludedAgent::from).collect(),
        price_tables: orchestration.graph.price_tables(),
        steps: steps(&app, &orchestration).await?,
    };
    Ok(Json(shown).into_response())
}

async fn steps<'a>(
    app: &App,
    orchestration: &'a Orchestration,
) -> Result<Vec<StepLine<'a>>, StoreError> {
    let mut lines = Vec::with_capacity(orchestration.steps.len());
    for index in 0..orchestration.steps.len() {
        let waits_for = wait_of(&app.engine, orchestration, index).await?;
        lines.push(step(orchestration, index, waits_for));
    }
    Ok(lines)
}

fn step(orchestration: &Orchestration, index: usize, waits_for: Option<String>) -> StepLine<'_> {
    let (rules, step) = (
        orchestration.graph.rules(index),
        &orchestration.steps[index],
    );
    StepLine {
        step_id: rules.id.as_str(),
        agent_id: rules.agent.as_str(),
        agent_version: &rules.agent_version,
        status: step.state.name(),
        step_number: step.number,
        dependencies: rules
            .dependencies
            .iter()
            .map(|edge| edge.step.as_str())
            .collect(),
        parent_step_id: step.child.as_ref().map(|child| child.parent.as_str()),
        turns: step.all_turns(),
        credits_charged: Amount(step.charged),
        credits_charged_in_all: Amount(step.charged.saturating_add(step.below)),
        attempt: step.attempt,
        retries: step.retries,
        lapses: step.lapses,
        waits_for,
        inputs: InputsLine {
            missing: rules.missing.iter().chain(&rules.absent).collect(),
        },
        reason: why(step),
        last_error: step.last_error.as_deref(),
        has_partial: step.kept.is_some(),
        version: step.version,
        started_at: step.started_at.map(millis),
        ended_at: step.ended_at.map(millis),
        due_at: step.due_at.map(millis),
    }
}
