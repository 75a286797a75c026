//! A log as lines of JSON, read from the store stride by stride as fast as the client takes them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::api::views::stored::StoredEvent;
use crate::stream::hub::{Hubs, Unreadable};
use crate::stream::page::Search;

/// The media type of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";

struct Export {
    hubs: Hubs,
    search: Search,
    /// The last event that is exported: what comes later is not waited for.
    until: u64,
    is_over: bool,
}

/// Answers with a line for all that is wanted, up to the event at `until`.
pub fn respond(hubs: &Hubs, search: Search, until: u64) -> Response {
    let export = Export {
        hubs: hubs.clone(),
        search,
        until,
        is_over: false,
    };
    let lines = stream::try_unfold(export, |mut export| async move {
        let lines = export.lines().await?;
        Ok::<_, Unreadable>(lines.map(|lines| (lines, export)))
    });
    let media = HeaderValue::from_static(NDJSON);
    ([(CONTENT_TYPE, media)], Body::from_stream(lines)).into_response()
}

impl Export {
    /// The next lines; nothing after the last.
    async fn lines(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let mut lines = Vec::new();
        while lines.is_empty() {
            if self.is_over {
                return Ok(None);
            }
            let (rows, is_all) = self.search.rows(&self.hubs, Some(self.until)).await?;
            self.is_over = is_all;
            for row in rows {
                let wanted = self.search.wanted(&row)?;
                if !self.search.is_stored() {
                    for event in wanted {
                        serde_json::to_writer(&mut lines, &event)?;
                        lines.push(b'\n');
                    }
                } else if !wanted.is_empty() {
                    serde_json::to_writer(&mut lines, &StoredEvent::of(&row))?;
                    lines.push(b'\n');
                }
            }
        }
        Ok(Some(lines.into()))
    }
}
