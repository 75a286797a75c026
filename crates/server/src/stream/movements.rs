//! An account's movements as lines of JSON or CSV, read from the store stride by stride as fast as the client takes them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::values::ids::AccountId;
use engine::credits::{self, CreditsError, Filter};
use engine::handle::Engine;
use futures_util::stream;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::views::money::Movement;
use crate::stream::ndjson::NDJSON;

/// The media type of CSV.
pub const CSV: &str = "text/csv; charset=utf-8; header=present";

/// Movements of a stride.
const STRIDE: i64 = 1_000;

/// How movements are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A page.
    Json,
    /// All, a line of JSON each.
    Ndjson,
    /// All, a line each under a line of names.
    Csv,
}

impl Form {
    /// What `Accept` asks for: a page, where it does not name another form.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        match accepted.unwrap_or("") {
            accepted if accepted.contains(NDJSON) => Self::Ndjson,
            accepted if accepted.contains("text/csv") => Self::Csv,
            _ => Self::Json,
        }
    }
}

struct Export {
    engine: Engine,
    account: AccountId,
    filter: Filter,
    form: Form,
    after: i64,
    is_headed: bool,
    is_over: bool,
}

/// Answers with a line for every movement that is wanted, the oldest first.
pub fn respond(engine: Engine, account: AccountId, filter: Filter, form: Form) -> Response {
    let media = match form {
        Form::Csv => CSV,
        Form::Json | Form::Ndjson => NDJSON,
    };
    let export = Export {
        engine,
        account,
        filter,
        form,
        after: 0,
        is_headed: form != Form::Csv,
        is_over: false,
    };
    let lines = stream::try_unfold(export, |mut export| async move {
        let lines = export.lines().await?;
        Ok::<_, CreditsError>(lines.map(|lines| (lines, export)))
    });
    let media = HeaderValue::from_static(media);
    ([(CONTENT_TYPE, media)], Body::from_stream(lines)).into_response()
}

impl Export {
    /// The next lines; nothing after the last.
    async fn lines(&mut self) -> Result<Option<Bytes>, CreditsError> {
        let mut lines = String::new();
        if !std::mem::replace(&mut self.is_headed, true) {
            lines.push_str(Movement::COLUMNS);
            lines.push_str("\r\n");
        }
        while lines.is_empty() {
            if self.is_over {
                return Ok(None);
            }
            let (account, filter) = (&self.account, &self.filter);
            let entries =
                credits::history_from(&self.engine, account, filter, self.after, STRIDE).await?;
            self.is_over = entries.len() < usize::try_from(STRIDE).unwrap_or(usize::MAX);
            for entry in entries {
                self.after = entry.seq;
                let movement = Movement::from(entry);
                if self.form == Form::Csv {
                    lines.push_str(&movement.csv());
                    lines.push_str("\r\n");
                } else {
                    let line = serde_json::to_string(&movement).map_err(|error| {
                        CreditsError::Refused(format!("a movement that is no JSON: {error}"))
                    })?;
                    lines.push_str(&line);
                    lines.push('\n');
                }
            }
        }
        Ok(Some(lines.into()))
    }
}
