//! A log as lines of JSON, read from the store page by page as fast as the client takes them.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::stream::cursor::Cursor;
use crate::stream::filter::Filter;
use crate::stream::hub::{Hubs, Topic, Unreadable};
use crate::stream::telling::{Batch, entries};

/// Stored events read at one time.
const PAGE: i64 = 200;

/// The media type of JSON lines.
pub const NDJSON: &str = "application/x-ndjson";

/// What the lines are.
pub enum Lines {
    /// Client events.
    Events(Filter),
    /// The stored events themselves, with their hashes.
    Stored,
}

struct Export {
    hubs: Hubs,
    topic: Topic,
    cursor: Cursor,
    /// The last event that is exported: what comes later is not waited for.
    until: u64,
    lines: Lines,
}

/// Answers with the lines of all that stands behind `cursor`, up to the event at `until`.
pub fn respond(hubs: &Hubs, topic: Topic, cursor: Cursor, until: u64, lines: Lines) -> Response {
    let export = Export {
        hubs: hubs.clone(),
        topic,
        cursor,
        until,
        lines,
    };
    let pages = stream::try_unfold(export, |mut export| async move {
        let page = export.page().await?;
        Ok::<_, Unreadable>(page.map(|page| (page, export)))
    });
    let media = HeaderValue::from_static(NDJSON);
    ([(CONTENT_TYPE, media)], Body::from_stream(pages)).into_response()
}

impl Export {
    /// The next lines; nothing after the last. Where the filter leaves none of a page it is an empty text, and the next is
    /// asked for.
    async fn page(&mut self) -> Result<Option<Bytes>, Unreadable> {
        let left = i64::try_from(self.until.saturating_sub(self.cursor.position)).unwrap_or(PAGE);
        let rows = self
            .hubs
            .rows(&self.topic, self.cursor.position, left.min(PAGE))
            .await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let log = self.topic.log();
        let (after, mut lines) = (self.cursor, BytesMut::new());
        self.cursor = Cursor::at(log.position(last));
        match &self.lines {
            Lines::Stored => {
                for row in &rows {
                    let line = crate::api::views::stored::StoredEvent::of(row);
                    lines.extend_from_slice(&serde_json::to_vec(&line)?);
                    lines.extend_from_slice(b"\n");
                }
            }
            Lines::Events(filter) => {
                for told in Batch::of(entries(&rows, log)?).untold(after, filter) {
                    lines.extend_from_slice(told.json.as_str().as_bytes());
                    lines.extend_from_slice(b"\n");
                }
            }
        }
        Ok(Some(lines.freeze()))
    }
}
