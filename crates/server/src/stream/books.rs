//! Charges of accounts as rows of PlanExe's `credit_history`, read from the store stride by stride as fast as the client takes them.

use std::collections::VecDeque;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::values::ids::AccountId;
use engine::credits::CreditsError;
use engine::handle::Engine;
use engine::planexe_credits;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::views::money::HistoryLine;
use crate::stream::movements::CSV;
use crate::stream::ndjson::NDJSON;

/// Charges of a stride.
const STRIDE: i64 = 500;

/// How they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineForm {
    /// A line of JSON each.
    Ndjson,
    /// A line each under a line of names.
    Csv,
}

struct Books {
    engine: Engine,
    accounts: VecDeque<AccountId>,
    form: LineForm,
    after: i64,
    is_headed: bool,
}

/// Answers with a line for every charge of these accounts.
pub fn respond(engine: Engine, accounts: Vec<AccountId>, form: LineForm) -> Response {
    let media = match form {
        LineForm::Csv => CSV,
        LineForm::Ndjson => NDJSON,
    };
    let books = Books {
        engine,
        accounts: accounts.into(),
        form,
        after: 0,
        is_headed: form != LineForm::Csv,
    };
    let lines = stream::try_unfold(books, |mut books| async move {
        let lines = books.lines().await?;
        Ok::<_, CreditsError>(lines.map(|lines| (lines, books)))
    });
    let media = HeaderValue::from_static(media);
    ([(CONTENT_TYPE, media)], Body::from_stream(lines)).into_response()
}

impl Books {
    /// The next lines; nothing after the last.
    async fn lines(&mut self) -> Result<Option<Bytes>, CreditsError> {
        let mut lines = String::new();
        if !std::mem::replace(&mut self.is_headed, true) {
            lines.push_str(HistoryLine::COLUMNS);
            lines.push_str("\r\n");
        }
        while lines.is_empty() {
            let Some(account) = self.accounts.front() else {
                return Ok(None);
            };
            let rows = planexe_credits::rows(&self.engine, account, self.after, STRIDE).await?;
            match rows.last() {
                Some(last) => self.after = last.seq,
                None => {
                    self.accounts.pop_front();
                    self.after = 0;
                }
            }
            for line in rows.into_iter().map(HistoryLine::from) {
                if self.form == LineForm::Csv {
                    lines.push_str(&line.csv());
                    lines.push_str("\r\n");
                } else {
                    let text = serde_json::to_string(&line).map_err(|error| {
                        CreditsError::Refused(format!("a charge that is no JSON: {error}"))
                    })?;
                    lines.push_str(&text);
                    lines.push('\n');
                }
            }
        }
        Ok(Some(lines.into()))
    }
}
