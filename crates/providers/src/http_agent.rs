//! One attempt of an agent that is reached over HTTP: one POST, and its answer as it comes.

use std::time::Duration;

use bytes::Bytes;
use domain::money::usage::Usage;
use domain::values::time::Timestamp;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::answer::{self, shortened};
use crate::asking::{Asking, Reply};
use crate::failure::Failure;
use crate::frames::{Frames, Framing};
use crate::hearing::Hearing;
use crate::outgoing::Outgoing;
use crate::refused;
use crate::sign::{SigningSecret, seconds};

/// Partials are handed on no more often: each is whole, and a flood of small patches must not cost a copy apiece.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// How long a stream may stay open after its result, before it is closed.
const LINGER: Duration = Duration::from_secs(1);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ANSWERS: HeaderValue =
    HeaderValue::from_static("application/json, application/x-ndjson, text/event-stream");
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ATTEMPT: HeaderName = HeaderName::from_static("afterplan-attempt");
const DEADLINE: HeaderName = HeaderName::from_static("afterplan-deadline");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One request to an agent.
#[derive(Clone, Debug)]
pub struct Invocation<'a> {
    /// Where the agent answers; `http` or `https`.
    pub url: &'a str,
    /// The same for every attempt at a step.
    pub idempotency_key: &'a str,
    /// The attempt's number.
    pub attempt: u32,
    /// Until when an answer is worth something, as told to the agent. Whoever calls holds to it by dropping the future.
    pub deadline: Timestamp,
    /// The W3C trace context, where there is one.
    pub traceparent: Option<&'a str>,
    /// Signs the request, where the agent has a secret.
    pub secret: Option<&'a SigningSecret>,
    /// The time of day: of the signature, and what `Retry-After` is reckoned from.
    pub now: Timestamp,
    /// What is sent: JSON.
    pub body: Bytes,
    /// The most that an answer may have, in bytes, a stream's lines taken together.
    pub answer_max: usize,
}

/// What an agent says before its result.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// How far it is, in its own words: shown, not kept.
    Progress(Value),
    /// What it has so far: all its merge patches applied. Several in quick succession are handed on as one.
    Partial(Value),
    /// What it has used so far, in all.
    Usage(Usage),
}

/// An agent's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// A JSON object, without the members that are about the answer itself (`tokensUsed`, `usage`).
    pub data: Value,
    /// As reported, by the result and by the usage lines.
    pub usage: Usage,
    /// The reason, when the agent itself says that its result is partial.
    pub partial: Option<String>,
}

impl Outgoing {
    /// Posts to an agent and reads its answer to the end. Has no time limit but the connection's: dropping the future closes
    /// the connection. What the agent says on the way is given to `hear` at once.
    ///
    /// # Errors
    /// Whatever kept the agent from a usable answer, with its class; a refused address is fatal.
    pub async fn invoke(
        &self,
        invocation: Invocation<'_>,
        mut hear: impl FnMut(Heard) + Send,
    ) -> Result<Answer, Failure> {
        let asking = Invoking {
            invocation: &invocation,
            user_agent: &self.user_agent,
        };
        let mut reply = self.ask(invocation.url, &asking).await?;
        if !reply.status.is_success() {
            let said = reply.beginning().await;
            let failure = refused::failure(
                &reply.target,
                reply.status,
                &reply.headers,
                &said,
                Some(invocation.now),
            );
            return Err(failure);
        }
        if reply.status == StatusCode::ACCEPTED {
            let message = format!(
                "{} answered 202: an agent answers with its result",
                reply.target
            );
            return Err(Failure::fatal(message));
        }
        if let Some(coding) = reply.header(&CONTENT_ENCODING)
            && !coding.eq_ignore_ascii_case("identity")
        {
            let message = format!(
                "{} answered in `{}`, which was not asked for",
                reply.target,
                shortened(coding)
            );
            return Err(Failure::invalid(message));
        }
        match framing(&reply) {
            Some(framing) => listen(reply, framing, invocation.answer_max, &mut hear).await,
            None => {
                let body = reply.whole(invocation.answer_max).await?;
                answer::of_json(&body, reply.header(&CONTENT_TYPE))
            }
        }
    }
}

/// An invocation as a request.
struct Invoking<'a> {
    invocation: &'a Invocation<'a>,
    user_agent: &'a HeaderValue,
}

impl Asking for Invoking<'_> {
    fn method(&self) -> Method {
        Method::POST
    }

    fn body(&self) -> Bytes {
        self.invocation.body.clone()
    }

    fn headers(&self, trusted: bool) -> Result<HeaderMap, Failure> {
        let invocation = self.invocation;
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, ANSWERS);
        headers.insert(ACCEPT_ENCODING, IDENTITY);
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(IDEMPOTENCY_KEY, value(invocation.idempotency_key)?);
        headers.insert(ATTEMPT, HeaderValue::from(invocation.attempt));
        headers.insert(DEADLINE, value(&invocation.deadline.to_string())?);
        if let Some(traceparent) = invocation.traceparent {
            headers.insert(TRACEPARENT, value(traceparent)?);
        }
        if let Some(secret) = invocation.secret.filter(|_| trusted) {
            let signature =
                secret.sign(invocation.idempotency_key, invocation.now, &invocation.body);
            headers.insert(WEBHOOK_ID, value(invocation.idempotency_key)?);
            headers.insert(
                WEBHOOK_TIMESTAMP,
                HeaderValue::from(seconds(invocation.now)),
            );
            headers.insert(WEBHOOK_SIGNATURE, value(&signature)?);
        }
        Ok(headers)
    }
}

fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::fatal("an idempotency key or trace context that no header may hold"))
}

/// How a stream is framed; nothing for what is one JSON text, whatever it calls itself.
fn framing(reply: &Reply) -> Option<Framing> {
    let essence = reply.header(&CONTENT_TYPE)?.split(';').next()?.trim();
    let is = |name: &&str| essence.eq_ignore_ascii_case(name);
    if is(&"text/event-stream") {
        return Some(Framing::Events);
    }
    [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
    ]
    .iter()
    .any(is)
    .then_some(Framing::Lines)
}

/// Reads a stream to its end.
async fn listen(
    mut reply: Reply,
    framing: Framing,
    max: usize,
    hear: &mut impl FnMut(Heard),
) -> Result<Answer, Failure> {
    let mut hearing = Hearing::default();
    let heard = listen_to_end(&mut reply, framing, max, &mut hearing, hear).await;
    hearing.tell(hear);
    let usage = Box::new(hearing.usage().clone());
    heard
        .and_then(|()| hearing.answer())
        .map_err(|failure| Failure { usage, ..failure })
}

async fn listen_to_end(
    reply: &mut Reply,
    framing: Framing,
    max: usize,
    hearing: &mut Hearing,
    hear: &mut impl FnMut(Heard),
) -> Result<(), Failure> {
    let mut frames = Frames::new(framing);
    let (mut read, mut told, mut result_at) = (0_usize, None::<Instant>, None::<Instant>);
    loop {
        let until = match (result_at, told) {
            (Some(at), _) => Some(at + LINGER),
            (None, Some(at)) if hearing.untold() => Some(at + TELL_EVERY),
            _ => None,
        };
        let Some(piece) = next(reply, until).await else {
            if hearing.has_result() {
                return Ok(());
            }
            hearing.tell(hear);
            told = Some(Instant::now());
            continue;
        };
        let piece = match piece {
            Ok(Some(piece)) => piece,
            Ok(None) => return hearing.ended(frames.rest(), hear),
            // The result is whole, whatever became of the connection.
            Err(_) if hearing.has_result() => return Ok(()),
            Err(failure) => return Err(failure),
        };
        read = read.saturating_add(piece.len());
        if read > max {
            return Err(reply.too_long(max));
        }
        frames.feed(&piece, |frame| hearing.take(frame, hear))?;
        if hearing.has_result() && result_at.is_none() {
            result_at = Some(Instant::now());
        }
        if hearing.untold() && told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            hearing.tell(hear);
            told = Some(Instant::now());
        }
    }
}

/// The next piece; nothing when `until` has come before it.
async fn next(reply: &mut Reply, until: Option<Instant>) -> Option<Result<Option<Bytes>, Failure>> {
    match until {
        Some(until) => timeout_at(until, reply.piece()).await.ok(),
        None => Some(reply.piece().await),
    }
}
