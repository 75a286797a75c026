//! One attempt of an agent that is reached over HTTP: one POST, and its answer as it comes.

use bytes::Bytes;
use domain::values::time::Timestamp;
use serde_json::Value;

use crate::failure::Failure;
use crate::outgoing::Outgoing;
use crate::sign::SigningSecret;

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
    /// What it has used so far.
    Usage(Usage),
}

/// What an agent has used so far, in all: a later one replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens.
    pub tokens_used: u64,
}

/// An agent's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// A JSON object, without the members that are about the answer itself (`tokensUsed`).
    pub data: Value,
    /// As reported, by the result or by the last usage line.
    pub tokens_used: Option<u64>,
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
        hear: impl FnMut(Heard) + Send,
    ) -> Result<Answer, Failure> {
        let _ = (invocation, hear);
        Err(Failure::fatal("agents over HTTP are not performed yet"))
    }
}
