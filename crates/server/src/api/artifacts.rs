//! The plan artifact of an orchestration: at any version, what each version added, the difference of two, and as a zip.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::orchestration::state::{Head, Orchestration};
use domain::values::credits::Credits;
use domain::values::ids::OrchestrationId;
use domain::values::role::Deed;
use engine::artifact::enriched_plan;
use engine::transition::load;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::auth::Caller;
use crate::api::error::{Problem, Refusals};
use crate::api::events::sees;
use crate::api::extract::{Asked, At};
use crate::api::number::Whole;
use crate::api::routes::{Routes, routes};
use crate::api::submission::{VERSION_MAX, bounded};
use crate::api::views::artifact::{PlanArtifact, applied, bare_version, plan_artifact, plan_text};
use crate::api::views::event::payload::exact;
use crate::app::App;
use crate::enriched::outcome;

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(artifact))
        .routes(routes!(versions))
        .routes(routes!(diff))
        .routes(routes!(enriched_zip))
}

/// An orchestration's state, where it is the caller's.
pub(crate) struct Own {
    pub(crate) id: OrchestrationId,
    pub(crate) state: Orchestration,
    pub(crate) head: Head,
}

impl Own {
    /// Loads it.
    ///
    /// # Errors
    /// 403 where the caller may not read, 404 where there is none or it is another account's.
    pub(crate) async fn load(app: &App, caller: &Caller, id: Uuid) -> Result<Self, Problem> {
        caller.may(Deed::Read)?;
        let state = load(&app.engine, OrchestrationId(id)).await?.state;
        let head = state
            .head
            .clone()
            .filter(|head| sees(caller, head.account.as_str()));
        let head =
            head.ok_or_else(|| Problem::not_found(format!("there is no orchestration {id}")))?;
        let id = OrchestrationId(id);
        Ok(Self { id, state, head })
    }

    /// That version, where there is one; else the last.
    fn version(&self, version: Option<u64>) -> Result<u64, Problem> {
        let (bare, last) = (bare_version(&self.state, &self.head), self.head.version);
        let version = version.unwrap_or(last);
        if (bare..=last).contains(&version) {
            return Ok(version);
        }
        let detail = format!("there is no version {version}: they go from {bare} to {last}");
        Err(Problem::not_found(detail))
    }

    async fn artifact(
        &self,
        app: &App,
        plan: Arc<RawValue>,
        version: u64,
    ) -> Result<PlanArtifact, Problem> {
        let of = (&self.state, &self.head);
        Ok(plan_artifact(&app.engine, self.id, of, plan, Some(version)).await?)
    }
}

/// Which version.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AtVersion {
    /// The version; without it the last one.
    #[param(minimum = 1)]
    pub version: Option<u64>,
}

/// The plan artifact
///
/// The plan with its enrichments, as they stood at a version.
#[utoipa::path(
    get, path = "/orchestrations/{id}/artifact", tag = "artifacts",
    params(("id" = Uuid, Path, description = "The orchestration"), AtVersion),
    responses((status = 200, description = "The plan artifact", body = PlanArtifact), Refusals)
)]
async fn artifact(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(asked): Asked<AtVersion>,
) -> Result<Json<PlanArtifact>, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let version = own.version(asked.version)?;
    let engine = &app.engine;
    let plan = engine
        .plans
        .load(&engine.store, &own.head.account, own.head.plan)
        .await?;
    let plan = plan_text(&plan).map_err(Problem::internal)?;
    own.artifact(&app, plan, version).await.map(Json)
}

/// A version of a plan artifact: what it added to the one before.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactVersion {
    /// Its number.
    #[schema(minimum = 1)]
    pub version: u64,
    /// The agent whose enrichment made it; none for the bare plan.
    pub agent_id: Option<String>,
    /// That agent's version.
    pub agent_version: Option<String>,
    /// `completed` or `partial`; none for the bare plan.
    pub status: Option<&'static str>,
    /// When it was made, in milliseconds since 1970.
    pub at: i64,
    /// SHA-256 over what was added: the enrichment's data, or the plan.
    pub hash: String,
    /// What it cost, in credits.
    #[serde(serialize_with = "exact")]
    #[schema(value_type = f64)]
    pub credits_charged: Credits,
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionPage {
    /// From the bare plan on.
    pub versions: Vec<ArtifactVersion>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// Which versions.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionQuery {
    /// The `nextCursor` of the page before.
    #[param(minimum = 0, maximum = 9_007_199_254_740_992_u64)]
    pub cursor: Option<u64>,
    /// Most versions of a page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<usize>,
}

/// The versions of the plan artifact
///
/// The bare plan, and one for each enrichment applied.
#[utoipa::path(
    get, path = "/orchestrations/{id}/versions", tag = "artifacts",
    params(("id" = Uuid, Path, description = "The orchestration"), VersionQuery),
    responses((status = 200, description = "The versions", body = VersionPage), Refusals)
)]
async fn versions(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
    Asked(asked): Asked<VersionQuery>,
) -> Result<Json<VersionPage>, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let limit = limit(asked.limit)?;
    let after = asked.cursor.unwrap_or(0);
    let after = bounded("cursor", Whole(after), 0, VERSION_MAX)?;
    let mut versions: Vec<_> = all_versions(&own)
        .into_iter()
        .filter(|version| version.version > after)
        .take(limit + 1)
        .collect();
    let is_more = versions.len() > limit;
    versions.truncate(limit);
    let last = versions.last().filter(|_| is_more);
    let next_cursor = last.map(|last| last.version.to_string());
    Ok(Json(VersionPage {
        versions,
        next_cursor,
    }))
}

/// The size of a page that is asked for.
///
/// # Errors
/// When it is not 1 to 500.
pub(crate) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(100) {
        limit @ 1..=500 => Ok(limit),
        limit => Err(Problem::invalid(format!("limit: {limit} is not 1 to 500"))),
    }
}

fn all_versions(own: &Own) -> Vec<ArtifactVersion> {
    let (state, head) = (&own.state, &own.head);
    let bare = ArtifactVersion {
        version: bare_version(state, head),
        agent_id: None,
        agent_version: None,
        status: None,
        at: head.created_at.0.div_euclid(1_000),
        hash: head.plan.to_string(),
        credits_charged: Credits::ZERO,
    };
    let made = applied(state, head.version)
        .into_iter()
        .filter_map(|(version, index)| {
            let (rules, step) = (state.graph.rules(index), &state.steps[index]);
            let added = step.enrichment.as_ref()?;
            Some(ArtifactVersion {
                version,
                agent_id: Some(rules.agent.to_string()),
                agent_version: Some(rules.agent_version.clone()),
                status: Some(step.state.name()),
                at: step.ended_at.map_or(0, |at| at.0.div_euclid(1_000)),
                hash: added.data.to_string(),
                credits_charged: added.cost,
            })
        });
    std::iter::once(bare).chain(made).collect()
}

/// From which version.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FromVersion {
    /// The version to compare with; without it the one before.
    #[param(minimum = 1)]
    pub from: Option<u64>,
}

/// The difference of two versions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionDiff {
    /// The version compared with.
    pub from: u64,
    /// The version.
    pub to: u64,
    /// The agents whose enrichments came in between; of an older version than the one compared with, those that are not there yet.
    pub agents: Vec<String>,
    /// A JSON Patch (RFC 6902) that makes the plan artifact at `from` into the one at `to`.
    #[schema(value_type = Vec<Object>)]
    pub patch: json_patch::Patch,
}

/// What lies between two versions
///
/// As the agents that were added, and as a JSON Patch of the plan artifact.
#[utoipa::path(
    get, path = "/orchestrations/{id}/versions/{version}/diff", tag = "artifacts",
    params(
        ("id" = Uuid, Path, description = "The orchestration"),
        ("version" = u64, Path, description = "The version"),
        FromVersion,
    ),
    responses((status = 200, description = "The difference", body = VersionDiff), Refusals)
)]
async fn diff(
    State(app): State<App>,
    caller: Caller,
    At((id, version)): At<(Uuid, u64)>,
    Asked(asked): Asked<FromVersion>,
) -> Result<Json<VersionDiff>, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let to = own.version(Some(version))?;
    let bare = bare_version(&own.state, &own.head);
    let from = own.version(Some(
        asked.from.unwrap_or_else(|| to.saturating_sub(1).max(bare)),
    ))?;
    // The plan is the same in both: it need not be compared.
    let nothing: Arc<RawValue> = RawValue::NULL.to_owned().into();
    let older = own.artifact(&app, nothing.clone(), from).await?;
    let newer = own.artifact(&app, nothing, to).await?;
    let value = |artifact: &PlanArtifact| serde_json::to_value(artifact).map_err(Problem::internal);
    let between = applied(&own.state, from.max(to));
    let agents = between
        .into_iter()
        .filter(|(version, _)| *version > from.min(to))
        .map(|(_, index)| own.state.graph.rules(index).agent.to_string());
    Ok(Json(VersionDiff {
        from,
        to,
        agents: agents.collect(),
        patch: json_patch::diff(&value(&older)?, &value(&newer)?),
    }))
}

/// The enriched plan as a zip
///
/// The original files, `enrichments/`, the manifest, the summary and the report: what `afterplan enrich --output` writes.
#[utoipa::path(
    get, path = "/orchestrations/{id}/enriched.zip", tag = "artifacts",
    params(("id" = Uuid, Path, description = "The orchestration")),
    responses((status = 200, description = "The zip", body = Vec<u8>, content_type = "application/zip"), Refusals)
)]
async fn enriched_zip(
    State(app): State<App>,
    caller: Caller,
    At(id): At<Uuid>,
) -> Result<Response, Problem> {
    let own = Own::load(&app, &caller, id).await?;
    let enriched = enriched_plan(&app.engine, own.id).await?;
    let (id, name) = (own.id, own.head.name.clone());
    let zipped = tokio::task::spawn_blocking(move || {
        let made = report::files::files(&outcome(&name, id, &enriched));
        let originals = enriched.plan.plan.artifacts.values();
        let originals: Vec<_> = originals
            .map(|file| (file.path.clone(), file.bytes.clone()))
            .collect();
        report::archive::bytes(&originals, &made)
    });
    let bytes = zipped
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)?;
    let file = format!(
        "attachment; filename=\"{}.enriched.zip\"",
        file_name(&own.head.name)
    );
    let file = HeaderValue::from_str(&file).map_err(Problem::internal)?;
    let media = HeaderValue::from_static("application/zip");
    Ok(([(CONTENT_TYPE, media), (CONTENT_DISPOSITION, file)], bytes).into_response())
}

/// A name that is safe in a header and on any disk.
fn file_name(name: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(100).map(safe).collect();
    let name = name.trim_matches(['.', '_']);
    if name.is_empty() {
        "plan".to_owned()
    } else {
        name.to_owned()
    }
}
