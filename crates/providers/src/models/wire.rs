//! One question over the wire: posted, and its answer heard piece by piece within its times.

use std::time::Duration;

use bytes::Bytes;
use domain::agent::asking::{Delta, Finish, ModelCall};
use domain::agent::retry::ErrorClass;
use domain::money::usage::Usage;
use domain::values::time::Millis;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::asking::{Asking, Reply};
use crate::failure::Failure;
use crate::frames::{Frame, Frames, Framing};
use crate::models::anthropic_stream::AnthropicStream;
use crate::models::asked::{AskLimits, Asked};
use crate::models::endpoint::Endpoint;
use crate::models::names::Names;
use crate::models::openai_stream::OpenaiStream;
use crate::models::said_error;
use crate::models::settings::Kind;
use crate::models::{anthropic, openai};
use crate::outgoing::Outgoing;
use crate::refused;

/// How long the end of an answer's body is waited for, so that its connection can serve again.
const LINGER: Duration = Duration::from_millis(50);

/// What an answer turned out to be, apart from what was said.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) model: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) finish: Option<Finish>,
    pub(crate) usage: Usage,
    /// The end marker has come.
    pub(crate) over: bool,
}

/// A wire format's reading of a stream.
pub(crate) trait Answering: Send {
    /// Takes one event.
    fn take(&mut self, frame: Frame<'_>, hear: &mut dyn FnMut(Delta)) -> Result<(), Failure>;

    /// Takes an answer that came in one piece.
    fn take_whole(&mut self, body: &[u8], hear: &mut dyn FnMut(Delta)) -> Result<(), Failure>;

    /// Nothing more comes.
    fn ended(&mut self, hear: &mut dyn FnMut(Delta));

    /// What is known so far.
    fn told(&mut self) -> &mut Told;
}

/// Asks `model` once.
pub(crate) async fn ask(
    outgoing: &Outgoing,
    endpoint: &Endpoint,
    model: &str,
    call: &ModelCall,
    limits: &AskLimits,
    hear: &mut (impl FnMut(Delta) + Send),
) -> Result<Asked, Failure> {
    let names = Names::of(&call.tools);
    let body = match endpoint.kind {
        Kind::Openai => openai::body(endpoint, model, call, &names),
        Kind::Anthropic => anthropic::body(endpoint, model, call, &names),
    };
    let posting = Posting {
        body: body.to_string().into(),
        endpoint,
        user_agent: &outgoing.user_agent,
    };
    let asked = match endpoint.kind {
        Kind::Openai => {
            let answering = OpenaiStream::new(names);
            posting.hear_out(outgoing, answering, limits, hear).await
        }
        Kind::Anthropic => {
            let answering = AnthropicStream::new(names, anthropic::forced(call));
            posting.hear_out(outgoing, answering, limits, hear).await
        }
    };
    let told = asked.map_err(|failure| endpoint.redacted(failure))?;
    Ok(Asked {
        asked: String::new(),
        model: told.model.unwrap_or_else(|| model.to_owned()),
        finish: told.finish.unwrap_or(Finish::Unknown),
        usage: told.usage.believed().0,
        request: told.request,
    })
}

/// A question as a request.
struct Posting<'a> {
    body: Bytes,
    endpoint: &'a Endpoint,
    user_agent: &'a HeaderValue,
}

impl Asking for Posting<'_> {
    fn method(&self) -> Method {
        Method::POST
    }

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn headers(&self, trusted: bool) -> Result<HeaderMap, Failure> {
        Ok(self.endpoint.headers(self.user_agent, trusted))
    }
}

impl Posting<'_> {
    async fn hear_out(
        &self,
        outgoing: &Outgoing,
        mut answering: impl Answering,
        limits: &AskLimits,
        hear: &mut (impl FnMut(Delta) + Send),
    ) -> Result<Told, Failure> {
        let mut times = Times::new(limits);
        let asked = self.listen(outgoing, &mut answering, limits, &mut times, hear);
        let heard = asked.await;
        let told = std::mem::take(answering.told());
        match heard {
            Ok(()) => Ok(told),
            Err(failure) => Err(Failure {
                usage: Box::new(told.usage.believed().0),
                ..failure
            }),
        }
    }

    async fn listen(
        &self,
        outgoing: &Outgoing,
        answering: &mut impl Answering,
        limits: &AskLimits,
        times: &mut Times<'_>,
        hear: &mut (impl FnMut(Delta) + Send),
    ) -> Result<(), Failure> {
        let asked = outgoing.ask(&self.endpoint.url, self);
        let mut reply = match timeout_at(times.until(), asked).await {
            Ok(reply) => reply?,
            Err(_) => return Err(times.passed(&self.endpoint.provider)),
        };
        if !reply.status.is_success() {
            return Err(refusal(&mut reply).await);
        }
        let known = request_id(&reply.headers);
        answering.told().request = known;
        if !is_stream(&reply) {
            let whole = timeout_at(times.until(), reply.whole(limits.bytes));
            let Ok(body) = whole.await else {
                return Err(times.passed(&self.endpoint.provider));
            };
            answering.take_whole(&body?, &mut *hear)?;
            answering.ended(hear);
            return Ok(());
        }
        let (mut frames, mut read) = (Frames::new(Framing::Events), 0_usize);
        while !answering.told().over {
            let piece = match timeout_at(times.until(), reply.piece()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                // All is said: what became of the connection is no matter.
                Ok(Err(_)) | Err(_) if answering.told().finish.is_some() => break,
                Ok(Err(failure)) => return Err(failure),
                Err(_) => return Err(times.passed(&self.endpoint.provider)),
            };
            read = read.saturating_add(piece.len());
            if read > limits.bytes {
                return Err(reply.too_long(limits.bytes));
            }
            let mut pass = |delta| {
                times.heard();
                hear(delta);
            };
            frames.feed(&piece, |frame| answering.take(frame, &mut pass))?;
        }
        answering.ended(hear);
        if answering.told().finish.is_none() {
            let message = format!(
                "the answer of `{}` broke off: its stream ended without an end",
                self.endpoint.provider
            );
            return Err(Failure::transient(message));
        }
        // Read to its end, so that the connection serves the next question.
        let rest = async { while let Ok(Some(_)) = reply.piece().await {} };
        let _ = timeout(LINGER, rest).await;
        Ok(())
    }
}

/// The times of one try.
struct Times<'a> {
    limits: &'a AskLimits,
    begun: Instant,
    /// When the last piece of the answer came.
    last: Option<Instant>,
}

impl<'a> Times<'a> {
    fn new(limits: &'a AskLimits) -> Self {
        Self {
            limits,
            begun: Instant::now(),
            last: None,
        }
    }

    fn heard(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Until when something must come.
    fn until(&self) -> Instant {
        let after = |at: Instant, span: Millis| at + Duration::from_millis(span.0);
        let next = match self.last {
            None => after(self.begun, self.limits.first),
            Some(last) => after(last, self.limits.between),
        };
        next.min(after(self.begun, self.limits.whole))
    }

    /// Nothing came in time.
    fn passed(&self, provider: &str) -> Failure {
        let whole = self.begun + Duration::from_millis(self.limits.whole.0);
        let what = match self.last {
            _ if self.until() >= whole => {
                format!("did not end its answer within {} ms", self.limits.whole.0)
            }
            None => format!("did not begin to answer within {} ms", self.limits.first.0),
            Some(_) => format!("said nothing more for {} ms", self.limits.between.0),
        };
        Failure::transient(format!("`{provider}` {what}"))
    }
}

/// What an answer that is no success means.
async fn refusal(reply: &mut Reply) -> Failure {
    let said = reply.beginning().await;
    let mut failure = refused::failure(&reply.target, reply.status, &reply.headers, &said, None);
    failure.usage = Box::default();
    // Waiting brings no money.
    let error = serde_json::from_slice::<Value>(&said).ok();
    let spent = error.as_ref().is_some_and(said_error::is_spent);
    if reply.status == StatusCode::TOO_MANY_REQUESTS && spent {
        failure.class = ErrorClass::Fatal;
    }
    failure
}

/// How the provider calls its answer, for its support.
fn request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [HeaderName; 2] = [
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-request-id"),
    ];
    let value = NAMES.iter().find_map(|name| headers.get(name))?;
    let text = value.to_str().ok()?;
    Some(text.chars().take(128).collect())
}

/// Whether the answer comes in events; what calls itself JSON comes whole.
fn is_stream(reply: &Reply) -> bool {
    let kind = reply.header(&CONTENT_TYPE).unwrap_or_default();
    !kind
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("application/json")
}
