//! MCP over streamable HTTP, on our own connections: guarded addresses, bounded answers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::asking::{Asking, Reply};
use crate::failure::Failure;
use crate::frames::{Frames, Framing};
use crate::outgoing::Outgoing;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// How long the end of a session may take to be told.
const FAREWELL: Duration = Duration::from_secs(2);

/// The way to one server. Clones share the connections.
#[derive(Clone)]
pub(crate) struct Wire {
    outgoing: Outgoing,
    /// Headers of the definition: they may hold secrets.
    own: HeaderMap,
    /// The most bytes of one answer.
    max: usize,
    /// Ends when whoever opened this wants no more of it: then requests under way are dropped, and their connections closed.
    open: watch::Receiver<()>,
}

/// One request.
struct Sending<'a> {
    wire: &'a Wire,
    method: Method,
    body: Bytes,
    session: Option<Arc<str>>,
    /// What the protocol itself adds.
    added: HashMap<HeaderName, HeaderValue>,
}

impl Asking for Sending<'_> {
    fn method(&self) -> Method {
        self.method.clone()
    }

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn headers(&self, trusted: bool) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, both);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, self.wire.outgoing.user_agent.clone());
        headers.extend(self.added.clone());
        if !trusted {
            return Ok(headers);
        }
        if let Some(session) = &self.session {
            let value = HeaderValue::from_str(session);
            headers.insert(
                SESSION,
                value.map_err(|_| Failure::fatal("an unfit session"))?,
            );
        }
        headers.extend(self.wire.own.clone());
        Ok(headers)
    }
}

type Wrong = StreamableHttpError<Failure>;

impl Wire {
    pub(crate) fn new(
        outgoing: &Outgoing,
        own: HeaderMap,
        max: usize,
        open: watch::Receiver<()>,
    ) -> Self {
        Self {
            outgoing: outgoing.clone(),
            own,
            max,
            open,
        }
    }

    async fn send(
        &self,
        uri: &str,
        method: Method,
        body: Bytes,
        session: Option<Arc<str>>,
        added: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Reply, Wrong> {
        let sending = Sending {
            wire: self,
            method,
            body,
            session,
            added,
        };
        let reply = self.outgoing.ask(uri, &sending).await;
        reply.map_err(StreamableHttpError::Client)
    }
}

impl StreamableHttpClient for Wire {
    type Error = Failure;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Wrong> {
        let posting = self.post(&uri, message, session_id, custom_headers);
        tokio::select! {
            posted = posting => posted,
            () = closed(self.open.clone()) => Err(StreamableHttpError::TransportChannelClosed),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Wrong> {
        let sending = self.send(
            &uri,
            Method::DELETE,
            Bytes::new(),
            Some(session_id),
            custom_headers,
        );
        if let Ok(sent) = timeout(FAREWELL, sending).await {
            sent?.beginning().await;
        }
        Ok(())
    }

    /// What servers say unasked is not listened to: it would hold a connection open for each.
    async fn get_stream(
        &self,
        _uri: Arc<str>,
        _session_id: Option<Arc<str>>,
        _last_event_id: Option<String>,
        _auth_header: Option<String>,
        _custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Wrong> {
        Err(StreamableHttpError::ServerDoesNotSupportSse)
    }
}

/// Waits until nobody wants the wire any more.
async fn closed(mut open: watch::Receiver<()>) {
    while open.changed().await.is_ok() {}
}

impl Wire {
    async fn post(
        &self,
        uri: &str,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Wrong> {
        let body = serde_json::to_vec(&message)?;
        let attached = session_id.is_some();
        let mut reply = self
            .send(uri, Method::POST, body.into(), session_id, custom_headers)
            .await?;
        if matches!(reply.status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            reply.beginning().await;
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if reply.status == StatusCode::NOT_FOUND && attached {
            return Err(StreamableHttpError::SessionExpired);
        }
        let session = reply.header(&SESSION).map(str::to_owned);
        let kind = reply.header(&CONTENT_TYPE).unwrap_or_default();
        let is = |name: &str| kind.trim_start().to_ascii_lowercase().starts_with(name);
        let (events, json) = (is("text/event-stream"), is("application/json"));
        if reply.status.is_success() && events {
            let events = events_of(reply, self.max, self.open.clone());
            return Ok(StreamableHttpPostResponse::Sse(events, session));
        }
        let waits = matches!(message, ClientJsonRpcMessage::Request(_));
        if reply.status.is_success() && !waits && reply.header(&CONTENT_LENGTH) == Some("0") {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let body = reply.whole(self.max).await;
        let body = body.map_err(StreamableHttpError::Client)?;
        match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            // An error may come under any status.
            Ok(said @ ServerJsonRpcMessage::Error(_)) => {
                Ok(StreamableHttpPostResponse::Json(said, session))
            }
            Ok(said) if reply.status.is_success() => {
                Ok(StreamableHttpPostResponse::Json(said, session))
            }
            _ if reply.status.is_success() && !waits => Ok(StreamableHttpPostResponse::Accepted),
            _ => {
                let what = if json { "an unusable answer" } else { "no MCP" };
                let why = format!("{what}, status {}", reply.status);
                Err(StreamableHttpError::UnexpectedServerResponse(why.into()))
            }
        }
    }
}

/// A reply's events, as they come, `max` bytes of them at most.
fn events_of(
    reply: Reply,
    max: usize,
    open: watch::Receiver<()>,
) -> BoxStream<'static, Result<Sse, SseError>> {
    struct Reading {
        reply: Reply,
        frames: Frames,
        ready: VecDeque<Sse>,
        read: usize,
        over: bool,
    }
    let reading = Reading {
        reply,
        frames: Frames::new(Framing::Events),
        ready: VecDeque::new(),
        read: 0,
        over: false,
    };
    let next = move |mut reading: Reading| async move {
        loop {
            if let Some(event) = reading.ready.pop_front() {
                return Some((Ok(event), reading));
            }
            if reading.over {
                return None;
            }
            let failure = match reading.reply.piece().await {
                Ok(Some(piece)) => {
                    reading.read = reading.read.saturating_add(piece.len());
                    if reading.read <= max {
                        let ready = &mut reading.ready;
                        let fed = reading.frames.feed(&piece, |frame| {
                            let data = String::from_utf8_lossy(frame.text).into_owned();
                            ready.push_back(Sse {
                                event: frame.name.map(str::to_owned),
                                data: Some(data),
                                ..Sse::default()
                            });
                            Ok::<(), std::convert::Infallible>(())
                        });
                        let Ok(()) = fed;
                        continue;
                    }
                    reading.reply.too_long(max)
                }
                Ok(None) => return None,
                Err(failure) => failure,
            };
            reading.over = true;
            return Some((Err(SseError::Body(Box::new(failure))), reading));
        }
    };
    stream::unfold(reading, next)
        .take_until(Box::pin(closed(open)))
        .boxed()
}
