//! Plans as they are submitted beside the seed's way: JSON, zips, forms, paths on the server. The answer is always 202.

use std::error::Error;
use std::fs::File;

use axum::body::Body;
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use domain::values::ids::OrchestrationId;
use domain::values::role::Deed;
use engine::submit::Submission;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::api::auth::Caller;
use crate::api::error::{Code, Problem, Refusals};
use crate::api::extract::{
    Asked, JsonText, is_json, media_type, next_part, refuse_large, too_large, too_slow, unreadable,
    within,
};
use crate::api::idempotency::{Keyed, subject};
use crate::api::object::{self, Object};
use crate::api::orchestrate::{Accepted, accepted};
use crate::api::submission::{EnrichmentRequest, GivenArtifact, begin, name, of_artifact, of_plan};
use crate::app::App;
use crate::spool::{self, Spool, Upload};

/// Bytes of a form's `request`.
const REQUEST_MAX: usize = 1 << 20;

/// A plan to be enriched: as JSON, or by its path on the server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submit<'a> {
    /// The plan.
    #[serde(borrow, default, deserialize_with = "object::option")]
    plan_artifact: Option<GivenArtifact<'a>>,
    /// A PlanExe run directory or zip on the server, below its `planRoots`: for operators.
    #[serde(default)]
    path: Option<String>,
    /// The plan's id, in your words; goes with `path`.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    plan_id: Option<String>,
    /// How it is to be enriched.
    #[serde(default, deserialize_with = "object::option")]
    #[schema(required = false)]
    enrichment_request: Option<EnrichmentRequest>,
}

/// A form with a plan.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the description alone")]
pub struct UploadForm {
    /// The zip of a PlanExe run directory.
    #[schema(value_type = String, format = Binary, content_media_type = "application/zip")]
    plan: Vec<u8>,
    /// How it is to be enriched.
    request: Option<UploadRequest>,
}

/// How an uploaded plan is to be enriched.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadRequest {
    /// The plan's id, in your words.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    plan_id: Option<String>,
    /// What to call it; by default the file's name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    name: Option<String>,
    /// How it is to be enriched.
    #[serde(default, deserialize_with = "object::option")]
    #[schema(required = false)]
    enrichment_request: Option<EnrichmentRequest>,
}

/// What goes with a zip that is the whole body.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ZipQuery {
    /// With a zip: the plan's id, in your words.
    #[param(nullable = false, min_length = 1, max_length = 256)]
    plan_id: Option<String>,
    /// With a zip: what to call it.
    #[param(nullable = false, min_length = 1, max_length = 256)]
    name: Option<String>,
    /// With a zip: an `enrichmentRequest` as JSON.
    #[param(nullable = false)]
    enrichment_request: Option<String>,
}

/// Submit a plan
///
/// Answers at once. The plan is JSON as in `POST /api/orchestrate`; or a path on the server, for operators; or the zip of a PlanExe
/// run directory, as the whole body or in a form.
#[utoipa::path(
    post, path = "/orchestrations", tag = "orchestrations", params(ZipQuery),
    request_body(content((Submit = "application/json"), (Vec<u8> = "application/zip"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 202, description = "It goes on", body = Accepted, headers(("Location" = String, description = "Where to ask how it stands"))),
        Refusals
    )
)]
pub async fn submit(
    State(app): State<App>,
    caller: Caller,
    Asked(query): Asked<ZipQuery>,
    write: Keyed,
    request: Request,
) -> Result<Response, Problem> {
    let submission = submission(&app, &caller, query, request).await?;
    let id = OrchestrationId(subject(&write));
    let submitted = begin(&app, id, submission, write).await?;
    Ok(accepted(submitted.id, submitted.continued))
}

/// What a request submits, in whichever form.
///
/// # Errors
/// 403 for who may not submit, 415 for another form, and all that is wrong with the plan or how it is to be enriched.
pub async fn submission(
    app: &App,
    caller: &Caller,
    query: ZipQuery,
    request: Request,
) -> Result<Submission, Problem> {
    caller.may(Deed::Submit)?;
    let media = media_type(request.headers());
    if is_json(request.headers()) {
        let body = JsonText::from_request(request, app).await?;
        of_json(app, caller, &body).await
    } else if media == "application/zip" || media == "application/octet-stream" {
        of_zip(app, caller, query, request).await
    } else if media == "multipart/form-data" {
        of_form(app, caller, request).await
    } else {
        Err(Problem::new(
            Code::UnsupportedMediaType,
            "send application/json, application/zip or multipart/form-data",
        ))
    }
}

async fn of_json(app: &App, caller: &Caller, body: &JsonText) -> Result<Submission, Problem> {
    let given: Submit<'_> = body.read()?;
    let request = given.enrichment_request.unwrap_or_default();
    match (given.plan_artifact, given.path) {
        (Some(artifact), None) => of_artifact(app, caller, artifact, request),
        (None, Some(path)) => {
            caller.may(Deed::ReadPaths)?;
            let upload = spool::at_path(app, &path).await?;
            of_upload(app, caller, upload, given.plan_id, None, request)
        }
        _ => Err(Problem::invalid("send either planArtifact or path")),
    }
}

async fn of_zip(
    app: &App,
    caller: &Caller,
    query: ZipQuery,
    request: Request,
) -> Result<Submission, Problem> {
    let enrichment = match &query.enrichment_request {
        Some(text) => {
            let Object(told) =
                serde_json::from_str(text).map_err(|error| unreadable(&error, text.as_bytes()))?;
            told
        }
        None => EnrichmentRequest::default(),
    };
    let limits = &app.settings.limits;
    let (parts, mut body) = request.into_parts();
    refuse_large(&parts.headers, limits.upload_bytes)?;
    let spool = within(limits, async {
        let mut spool = Spool::new();
        while let Some(part) = next_part(&mut body, limits).await? {
            spool.take(part, limits.upload_bytes).await?;
        }
        spool.end().await
    })
    .await?;
    let title = query.name.clone().unwrap_or_else(|| "plan".to_owned());
    name("name", &title)?;
    let upload = spool::unpack(app, spool, title).await?;
    of_upload(app, caller, upload, query.plan_id, query.name, enrichment)
}

async fn of_form(app: &App, caller: &Caller, request: Request) -> Result<Submission, Problem> {
    let limits = &app.settings.limits;
    refuse_large(
        request.headers(),
        limits.upload_bytes.saturating_add(REQUEST_MAX as u64),
    )?;
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, paced(body, app));
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|error| no_form(&error.body_text()))?;
    let read = async {
        let (mut plan, mut told) = (None, None);
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            match field.name() {
                Some("plan") if plan.is_none() => plan = Some(plan_of(field, app).await?),
                Some("request") if told.is_none() => told = Some(request_of(field).await?),
                other => {
                    let other = other.unwrap_or("").to_owned();
                    return Err(Problem::invalid(format!(
                        "a form has one `plan` and one `request`, and no field {other:?} beside"
                    )));
                }
            }
        }
        Ok((plan, told))
    };
    let (plan, told) = within(limits, read).await?;
    let (file, spool) = plan.ok_or_else(|| Problem::invalid("the form has no `plan`"))?;
    let told: UploadRequest = told.unwrap_or_default();
    let title = told
        .name
        .clone()
        .or(file)
        .unwrap_or_else(|| "plan".to_owned());
    name("name", &title)?;
    let upload = spool::unpack(app, spool, title).await?;
    of_upload(
        app,
        caller,
        upload,
        told.plan_id,
        told.name,
        told.enrichment_request.unwrap_or_default(),
    )
}

/// The body, with an end where it pauses for too long.
fn paced(mut body: Body, app: &App) -> Body {
    let limits = app.settings.limits.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let part = next_part(&mut body, &limits).await;
            let sent = match part {
                Ok(Some(part)) => sender.send(Ok(part)).await,
                Ok(None) => break,
                Err(problem) => {
                    let kind = match problem.code() {
                        Code::RequestTimeout => std::io::ErrorKind::TimedOut,
                        _ => std::io::ErrorKind::Other,
                    };
                    let error = std::io::Error::new(kind, problem.detail().to_owned());
                    let _ = sender.send(Err(error)).await;
                    break;
                }
            };
            if sent.is_err() {
                break;
            }
        }
    });
    Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver))
}

async fn plan_of(mut field: Field<'_>, app: &App) -> Result<(Option<String>, File), Problem> {
    let file = field
        .file_name()
        .map(str::to_owned)
        .filter(|file| !file.is_empty());
    let mut spool = Spool::new();
    while let Some(part) = chunk(&mut field).await? {
        spool.take(part, app.settings.limits.upload_bytes).await?;
    }
    Ok((file, spool.end().await?))
}

async fn request_of(mut field: Field<'_>) -> Result<UploadRequest, Problem> {
    let mut text = Vec::new();
    while let Some(part) = chunk(&mut field).await? {
        text.extend_from_slice(&part);
        if text.len() > REQUEST_MAX {
            return Err(too_large(REQUEST_MAX as u64));
        }
    }
    let Object(told) = serde_json::from_slice(&text).map_err(|error| unreadable(&error, &text))?;
    Ok(told)
}

async fn chunk(field: &mut Field<'_>) -> Result<Option<bytes::Bytes>, Problem> {
    let part = field.chunk().await;
    part.map_err(|error| broken(&error))
}

/// What ended the reading of a form: 408 where that is our own patience with its body, else 400.
fn broken(error: &MultipartError) -> Problem {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(found) = found.downcast_ref::<std::io::Error>()
            && found.kind() == std::io::ErrorKind::TimedOut
        {
            return too_slow();
        }
        cause = found.source();
    }
    no_form(&error.body_text())
}

fn no_form(why: &str) -> Problem {
    Problem::invalid(format!("the form cannot be read: {why}"))
}

fn of_upload(
    app: &App,
    caller: &Caller,
    upload: Upload,
    plan_id: Option<String>,
    title: Option<String>,
    request: EnrichmentRequest,
) -> Result<Submission, Problem> {
    if let Some(id) = &plan_id {
        name("planId", id)?;
    }
    let title = title.unwrap_or(upload.name);
    let mut submission = of_plan(app, caller, title, upload.plan, request)?;
    submission.request.plan_id = plan_id;
    Ok(submission)
}
