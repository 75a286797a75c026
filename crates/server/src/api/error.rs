//! Problems (RFC 9457): the one form in which anything that goes wrong leaves this server.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use engine::error::{SubmitError, TransitionError};
use http::StatusCode;
use serde::Serialize;
use store::error::StoreError;
use utoipa::{IntoResponses, ToSchema};

/// The media type of a problem.
pub const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What kind of failure: stable names that clients may decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The body is not JSON.
    InvalidJson,
    /// The body, the path or the query is not what this route takes.
    InvalidRequest,
    /// The body is nested deeper than is read.
    TooDeep,
    /// No key, or none that is known.
    Unauthorized,
    /// The key's role may not do this.
    Forbidden,
    /// The `Host` header names another host than this one.
    HostRefused,
    /// There is no such thing, or it belongs to another account.
    NotFound,
    /// The route takes no such method.
    MethodNotAllowed,
    /// The client wants a form that this route does not give.
    NotAcceptable,
    /// The request did not arrive in time.
    RequestTimeout,
    /// It does not fit the state: ended already, not waiting for approval, a version that is taken.
    Conflict,
    /// A write with the same idempotency key is under way.
    IdempotencyKeyInUse,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The body is larger than is taken.
    PayloadTooLarge,
    /// The body's media type is not one that this route takes.
    UnsupportedMediaType,
    /// Understood, and refused: an unknown agent, a plan that is none, a budget that does not suffice.
    Refused,
    /// Too many requests of one key.
    RateLimited,
    /// A defect of this server.
    Internal,
    /// Another server did not do what was asked of it.
    BadGateway,
    /// The database cannot be reached, or the server is being stopped.
    Unavailable,
}

impl Code {
    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson | Self::InvalidRequest | Self::TooDeep => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::HostRefused => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict | Self::IdempotencyKeyInUse => StatusCode::CONFLICT,
            Self::IdempotencyKeyReused | Self::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A few words for people: the same for each of its kind.
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidJson => "The body is not JSON",
            Self::InvalidRequest => "The request is not what this route takes",
            Self::TooDeep => "The body is nested too deep",
            Self::Unauthorized => "A valid key is needed",
            Self::Forbidden => "The key's role may not do this",
            Self::HostRefused => "The host is not this server's",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The route takes no such method",
            Self::NotAcceptable => "The route gives no such form",
            Self::RequestTimeout => "The request did not arrive in time",
            Self::Conflict => "It does not fit how things stand",
            Self::IdempotencyKeyInUse => "The same write is under way",
            Self::IdempotencyKeyReused => "The idempotency key was used for another request",
            Self::PayloadTooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The media type is not taken here",
            Self::Refused => "Understood, and refused",
            Self::RateLimited => "Too many requests",
            Self::Internal => "A defect of this server",
            Self::BadGateway => "Another server failed",
            Self::Unavailable => "Not available now",
        }
    }
}

/// A problem (RFC 9457), with its detail once more as `error` for who knows only that.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:afterplan:problem:not-found", "title": "There is no such thing", "status": 404, "code": "not-found",
    "detail": "there is no orchestration 01900000-0000-7000-8000-000000000000",
    "error": "there is no orchestration 01900000-0000-7000-8000-000000000000"
}))]
pub struct Problem {
    /// A name for this kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in a few words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The kind by a stable name.
    code: Code,
    /// What is wrong, in a sentence.
    detail: String,
    /// The same as `detail`.
    error: String,
    /// Each thing that is wrong, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<String>,
    /// Seconds after which to try again.
    #[serde(skip)]
    retry_after: Option<u64>,
    /// Further headers.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of a kind, with what is wrong in a sentence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let name = serde_json::to_value(code).unwrap_or_default();
        Self {
            kind: format!(
                "urn:afterplan:problem:{}",
                name.as_str().unwrap_or("unknown")
            ),
            title: code.title(),
            status: code.status().as_u16(),
            code,
            error: detail.clone(),
            detail,
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
        }
    }

    /// There is no such thing, or it is another account's.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Code::NotFound, what)
    }

    /// The request is not what this route takes.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// A defect: what it was goes to the log, not to the client.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        tracing::error!("A request failed by a defect: {what}");
        Self::new(
            Code::Internal,
            "the server could not do this; its log says more",
        )
    }

    /// With each thing that is wrong.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<String>) -> Self {
        self.errors = errors;
        self
    }

    /// With the seconds after which to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its kind.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (retry_after, headers) = (self.retry_after, self.headers.clone());
        let mut response = (self.code.status(), Json(self)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM);
        for (name, value) in headers {
            response.headers_mut().append(name, value);
        }
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Lost { .. }
            | StoreError::CannotConnect { .. }
            | StoreError::Closed
            | StoreError::Locked { .. }
            | StoreError::Contended { .. }
            | StoreError::DiskFull { .. }
            | StoreError::ReadOnly { .. } => {
                tracing::error!("The database does not do its work: {error}");
                Self::new(
                    Code::Unavailable,
                    "the database does not do its work now; nothing of the request is stored",
                )
                .retry_after(5)
            }
            StoreError::Nul { .. } => Self::invalid(error.to_string()),
            error => Self::internal(error),
        }
    }
}

impl From<TransitionError> for Problem {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::Unknown(_) => Self::not_found(error.to_string()),
            TransitionError::Rejected(domain::orchestration::command::Rejected::UnknownStep(_)) => {
                Self::not_found(error.to_string())
            }
            TransitionError::Rejected(_) | TransitionError::Duplicate(_) => {
                Self::new(Code::Conflict, error.to_string())
            }
            TransitionError::Overtaken(_) | TransitionError::Stopping => {
                Self::new(Code::Unavailable, error.to_string()).retry_after(1)
            }
            TransitionError::Store(error) => error.into(),
            TransitionError::Corrupt { .. } => Self::internal(error),
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Transition(error) => error.into(),
            SubmitError::Store(error) => error.into(),
            error => Self::new(Code::Refused, error.to_string()),
        }
    }
}

/// The problems that any route may answer with, for its description.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "read by the description alone")]
pub enum Refusals {
    /// The request is not what this route takes
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(#[to_schema] Problem),
    /// No key, or none that is known
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(#[to_schema] Problem),
    /// The key's role may not do this
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(#[to_schema] Problem),
    /// There is no such thing, or it belongs to another account
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(#[to_schema] Problem),
    /// The client wants a form that this route does not give
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(#[to_schema] Problem),
    /// The request did not arrive in time
    #[response(status = 408, content_type = "application/problem+json")]
    TooSlow(#[to_schema] Problem),
    /// It does not fit how things stand
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(#[to_schema] Problem),
    /// The body is too large
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(#[to_schema] Problem),
    /// The media type is not taken here
    #[response(status = 415, content_type = "application/problem+json")]
    Unsupported(#[to_schema] Problem),
    /// Understood, and refused
    #[response(status = 422, content_type = "application/problem+json")]
    Refused(#[to_schema] Problem),
    /// Too many requests of one key
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(#[to_schema] Problem),
    /// A defect of this server
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(#[to_schema] Problem),
    /// Not available now
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(#[to_schema] Problem),
}
