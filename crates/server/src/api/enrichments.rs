//! Enrichments: those of one orchestration with their data, and an account's by agent, type, status and plan.

use axum::Json;
use axum::extract::State;
use domain::artifact::Enrichment;
use domain::values::credits::Credits;
use domain::values::hash::ContentHash;
use domain::values::ids::AgentId;
use domain::values::role::Deed;
use serde::{Deserialize, Serialize};
use store::accounts::EnrichmentFilter;
use store::rows::EnrichmentRow;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::artifacts::{Own, limit};
use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::extract::{Asked, At};
use crate::api::routes::{Routes, routes};
use crate::api::views::artifact::{AgentEnrichment, enrichment};
use crate::api::views::event::payload::exact;
use crate::app::App;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(of_orchestration))
        .routes(routes!(of_agent))
        .routes(routes!(of_account))
}

/// Which enrichments of an orchestration.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrichmentQuery {
    /// Only this agent's.
    pub agent_id: Option<String>,
    /// Only those of this type, as agents declare it.
    pub enrichment_type: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    pub status: Option<Standing>,
    /// The `nextCursor` of the page before.
    #[param(max_length = 64, pattern = "^[0-9]{1,18}$")]
    pub cursor: Option<String>,
    /// Most enrichments of a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<usize>,
}

/// How an enrichment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Whole.
    Completed,
    /// A part.
    Partial,
}

impl Standing {
    const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
        }
    }
}

/// A page of an orchestration's enrichments.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrichmentPage {
    /// In the order in which they were applied.
    pub enrichments: Vec<AgentEnrichment>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// The enrichments of an orchestration
///
/// With their data, in the order in which they were applied.
#[utoipa::path(
    get, path = "/orchestrations/{id}/enrichments", tag = "artifacts",
    params(("id" = Uuid, Path, description = "The orchestration"), EnrichmentQuery),
    responses((status = 200, description = "The enrichments", body = EnrichmentPage), Refusals)
)]
async fn of_orchestration(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(asked): Asked<EnrichmentQuery>,
) -> Result<Json<EnrichmentPage>, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let limit = limit(asked.limit)?;
    let after: i64 = match &asked.cursor {
        Some(cursor) => cursor.parse().map_err(|_| no_cursor())?,
        None => 0,
    };
    let fits = |row: &EnrichmentRow| {
        row.version > after
            && asked
                .agent_id
                .as_ref()
                .is_none_or(|agent| *agent == row.agent)
            && asked
                .enrichment_type
                .as_ref()
                .is_none_or(|name| *name == row.enrichment_type)
            && asked
                .status
                .is_none_or(|status| status.name() == row.status)
    };
    let rows = app.engine.store.enrichments(*id.as_bytes()).await?;
    let mut rows = rows.into_iter().filter(fits);
    let (mut enrichments, mut last) = (Vec::new(), 0);
    for row in rows.by_ref().take(limit) {
        last = row.version;
        enrichments.extend(told(&app, &own, &row).await?);
    }
    let next_cursor = rows.next().map(|_| last.to_string());
    Ok(Json(EnrichmentPage {
        enrichments,
        next_cursor,
    }))
}

fn no_cursor() -> Problem {
    Problem::invalid("cursor: it is none that a page gave")
}

/// The enrichment of a row, with its data and how its step came to it.
async fn told(
    app: &App,
    own: &Own,
    row: &EnrichmentRow,
) -> Result<Option<AgentEnrichment>, Problem> {
    let version = u64::try_from(row.version).ok();
    let steps = &own.state.steps;
    let Some(index) = steps
        .iter()
        .position(|step| step.version.is_some() && step.version == version)
    else {
        return Ok(None);
    };
    let told = enrichment(&app.engine, own.id, &own.state, index).await?;
    Ok(told.map(|told| AgentEnrichment {
        enrichment_type: Some(row.enrichment_type.clone()),
        ..told
    }))
}

/// An agent's enrichment
#[utoipa::path(
    get, path = "/orchestrations/{id}/enrichments/{agent}", tag = "artifacts",
    params(
        ("id" = Uuid, Path, description = "The orchestration"),
        ("agent" = String, Path, description = "The agent"),
    ),
    responses((status = 200, description = "The enrichment", body = AgentEnrichment), Refusals)
)]
async fn of_agent(
    State(app): State<App>,
    caller: Caller,
    At((id, agent)): At<(Uuid, String)>,
) -> Result<Json<AgentEnrichment>, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let unknown = || Problem::not_found(format!("`{agent}` has added nothing to {id}"));
    let agent = AgentId::new(&agent).map_err(|_| unknown())?;
    let rows = app.engine.store.enrichments(*id.as_bytes()).await?;
    let row = rows.into_iter().find(|row| row.agent == agent.as_str());
    let row = row.ok_or_else(unknown)?;
    told(&app, &own, &row).await?.map(Json).ok_or_else(unknown)
}

/// Which enrichments of an account.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountEnrichmentQuery {
    /// Only this agent's.
    pub agent_id: Option<String>,
    /// Only those of this type, as agents declare it.
    pub enrichment_type: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    pub status: Option<Standing>,
    /// Only those of the plan with this hash.
    #[param(pattern = "^[0-9a-f]{64}$")]
    pub plan_hash: Option<String>,
    /// The `nextCursor` of the page before.
    #[param(
        pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9]{1,18}$"
    )]
    pub cursor: Option<String>,
    /// Most enrichments of a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<usize>,
}

/// An enrichment, without its data.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrichmentLine {
    /// The orchestration that it came from: its data is at `/api/orchestrations/{orchestrationId}/enrichments/{agentId}`.
    pub orchestration_id: Uuid,
    /// The agent.
    pub agent_id: String,
    /// In which version.
    pub agent_version: String,
    /// The type that the agent declares.
    pub enrichment_type: String,
    /// The plan artifact's version that it made.
    pub version: i64,
    /// When it was applied, in milliseconds since 1970.
    pub timestamp: i64,
    /// `completed` or `partial`.
    pub status: String,
    /// Why it is only partial.
    pub reason: Option<String>,
    /// SHA-256 over the declared inputs.
    pub input_hash: String,
    /// SHA-256 over the data.
    pub data_hash: Option<String>,
    /// Tokens of language models, as the agent reported them.
    pub tokens_used: Option<u64>,
    /// What it cost, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
    /// The orchestration whose equal enrichment was taken over.
    pub reused_from: Option<Uuid>,
}

/// A page of an account's enrichments.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountEnrichmentPage {
    /// Of the newest orchestration first, and of each the last version first.
    pub enrichments: Vec<EnrichmentLine>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// The caller's enrichments
///
/// Of all orchestrations of the account, without their data.
#[utoipa::path(
    get, path = "/enrichments", tag = "artifacts", params(AccountEnrichmentQuery),
    responses((status = 200, description = "The enrichments", body = AccountEnrichmentPage), Refusals)
)]
async fn of_account(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<AccountEnrichmentQuery>,
) -> Result<Json<AccountEnrichmentPage>, Problem> {
    caller.may(Deed::Read)?;
    let limit = limit(asked.limit)?;
    let plan_hash = match &asked.plan_hash {
        Some(hash) => {
            let hash: ContentHash = hash
                .parse()
                .map_err(|_| Problem::invalid("planHash: it is no SHA-256"))?;
            Some(*hash.as_bytes())
        }
        None => None,
    };
    let filter = EnrichmentFilter {
        agent: name(asked.agent_id)?,
        enrichment_type: name(asked.enrichment_type)?,
        status: asked.status.map(|status| status.name().to_owned()),
        plan_hash,
    };
    let after = asked.cursor.as_deref().map(cursor).transpose()?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX) + 1;
    let store = &app.engine.store;
    let mut rows = store
        .enrichments_of(caller.account.as_str(), &filter, after, most)
        .await?;
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| is_more);
    let next_cursor =
        last.map(|row| format!("{}:{}", Uuid::from_bytes(row.orchestration), row.version));
    let enrichments = rows
        .into_iter()
        .map(line)
        .collect::<Result<_, _>>()
        .map_err(Problem::internal)?;
    Ok(Json(AccountEnrichmentPage {
        enrichments,
        next_cursor,
    }))
}

/// A name as the store may be asked for it: no text there has a NUL.
fn name(name: Option<String>) -> Result<Option<String>, Problem> {
    match name {
        Some(name) if name.contains('\0') => Err(Problem::invalid("no name has a NUL character")),
        name => Ok(name),
    }
}

fn cursor(text: &str) -> Result<([u8; 16], i64), Problem> {
    let parts = text.split_once(':').and_then(|(id, version)| {
        Some((*id.parse::<Uuid>().ok()?.as_bytes(), version.parse().ok()?))
    });
    parts.ok_or_else(no_cursor)
}

fn line(row: EnrichmentRow) -> Result<EnrichmentLine, serde_json::Error> {
    let detail: Enrichment = serde_json::from_str(&row.detail)?;
    Ok(EnrichmentLine {
        orchestration_id: Uuid::from_bytes(row.orchestration),
        agent_id: row.agent,
        agent_version: row.agent_version,
        enrichment_type: row.enrichment_type,
        version: row.version,
        timestamp: row.at.div_euclid(1_000),
        status: row.status,
        reason: detail.reason,
        input_hash: detail.input.to_string(),
        data_hash: row
            .data_hash
            .map(|hash| ContentHash::from_bytes(hash).to_string()),
        tokens_used: detail.tokens_used,
        credits_charged: Credits::from_nano(row.cost),
        reused_from: detail.reused_from.map(|from| from.0),
    })
}
