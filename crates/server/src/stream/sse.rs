//! A reader's news as server-sent events. Its pace is the client's: what it does not take is not made.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::ToSchema;

use crate::stream::filter::Filter;
use crate::stream::reader::{News, Reader};

/// The first frame: after how many milliseconds to come back when the connection is lost.
const START: &[u8] = b"retry: 1000\n\n";

/// The last frame of an orchestration that has ended. It bears no id: the last event's stands.
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// A comment: it keeps the connection, and shows the server when nobody is there any more.
const BEAT: &[u8] = b": still here\n\n";

/// A server-sent event.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read by the description alone")]
pub struct Frame {
    /// The client event's type; `end` behind the last one.
    event: String,
    /// Where to go on behind it. None where it passes by and is not stored.
    #[schema(nullable = false)]
    id: Option<String>,
    /// The client event, a `ClientEvent`, as JSON.
    #[schema(content_media_type = "application/json")]
    data: String,
}

struct Reading {
    reader: Reader,
    filter: Filter,
    beat: Interval,
    is_over: bool,
}

/// Answers with what the reader hears, until the end; a beat each `heartbeat`.
pub fn respond(reader: Reader, filter: Filter, heartbeat: Duration) -> Response {
    let mut beat = interval(heartbeat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    let reading = Reading {
        reader,
        filter,
        beat,
        is_over: false,
    };
    let frames = stream::unfold((reading, true), |(mut reading, is_first)| async move {
        if is_first {
            return Some((Ok(Bytes::from_static(START)), (reading, false)));
        }
        let frame: Result<Bytes, Infallible> = Ok(reading.frame().await?);
        Some((frame, (reading, false)))
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // A proxy that buffers would hold back what is live.
        (
            http::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    (headers, Body::from_stream(frames)).into_response()
}

impl Reading {
    /// The next frames; nothing after the end.
    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if self.is_over {
                return None;
            }
            let news = tokio::select! {
                biased;
                news = self.reader.next() => news,
                _ = self.beat.tick() => return Some(Bytes::from_static(BEAT)),
            };
            let frame = match news {
                Ok(News::Told(telling, after)) => telling.sse(after, &self.filter),
                Ok(News::Passing(passing)) if self.filter.wants_passing(&passing) => passing.sse(),
                Ok(News::Passing(_)) => continue,
                Ok(News::Ended) => {
                    self.is_over = true;
                    Bytes::from_static(END)
                }
                Ok(News::Closing) => return None,
                Err(error) => {
                    tracing::warn!("A reader is sent away to come back: {error}");
                    return None;
                }
            };
            if !frame.is_empty() {
                return Some(frame);
            }
        }
    }
}
