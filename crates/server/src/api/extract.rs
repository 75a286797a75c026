//! Path, query and body, each refused with a problem where it is not what the route takes.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::{Bytes, BytesMut};
use domain::values::ids::OrchestrationId;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::api::error::{Code, Problem};
use crate::api::object::Object;
use crate::api::place::place;
use crate::app::App;
use crate::config::Limits;

/// The path's parameters. What cannot be an id names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state)
            .await
            .map(|Path(path)| Self(path))
            .map_err(|refused: PathRejection| Problem::not_found(refused.body_text()))
    }
}

/// The orchestration that a path names, as its canonical text.
///
/// # Errors
/// 404 for a text that is no id.
pub fn orchestration_id(text: &str) -> Result<OrchestrationId, Problem> {
    let parsed = text.parse::<OrchestrationId>().ok();
    parsed
        .filter(|id| id.to_string() == text)
        .ok_or_else(|| Problem::not_found("there is no such orchestration"))
}

/// The query's parameters. Types with `deny_unknown_fields` refuse what they do not know.
#[derive(Clone, Copy, Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state)
            .await
            .map(|Query(query)| Self(query))
            .map_err(|refused: QueryRejection| Problem::invalid(refused.body_text()))
    }
}

/// A JSON body as it came, within the limits: read once it is known that the caller may.
#[derive(Clone, Debug)]
pub struct JsonText(pub Bytes);

impl FromRequest<App> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send JSON, with `Content-Type: application/json`",
            ));
        }
        let limits = &app.settings.limits;
        let bytes = read_body(body, &parts.headers, limits.json_bytes, limits).await?;
        if is_deeper(&bytes, limits.json_depth) {
            return Err(Problem::new(
                Code::TooDeep,
                format!(
                    "the body is nested deeper than {} levels",
                    limits.json_depth
                ),
            ));
        }
        Ok(Self(bytes))
    }
}

impl JsonText {
    /// Reads the body.
    ///
    /// # Errors
    /// 400, with line and column, for what is no JSON or not of this form.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        let Object(told) =
            serde_json::from_slice(&self.0).map_err(|error| unreadable(&error, &self.0))?;
        Ok(told)
    }

    /// Reads a body that may be null.
    ///
    /// # Errors
    /// 400, with line and column, for what is no JSON or not of this form.
    pub fn read_or_null<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>, Problem> {
        let told: Option<Object<T>> =
            serde_json::from_slice(&self.0).map_err(|error| unreadable(&error, &self.0))?;
        Ok(told.map(|Object(told)| told))
    }
}

/// A JSON text that could not be read, as a problem; it names what could not be.
pub fn unreadable(error: &serde_json::Error, text: &[u8]) -> Problem {
    let why = if error.is_data() {
        error.to_string()
    } else if serde_json::from_slice::<IgnoredAny>(text).is_ok() {
        // So does the reader speak of a word that is given as something else.
        let (line, column) = (error.line(), error.column());
        format!("a text is wanted, at line {line} column {column}")
    } else {
        return Problem::new(Code::InvalidJson, format!("the body is no JSON: {error}"));
    };
    let place = place(text, error.line(), error.column());
    Problem::invalid(match place.as_str() {
        "" => why,
        place => format!("{place}: {why}"),
    })
}

/// Whether the headers say that a body is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let media = media_type(headers);
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// The body's media type without parameters, in lower case; empty where none is given.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = value.unwrap_or("").split(';').next().unwrap_or("");
    media.trim().to_ascii_lowercase()
}

/// Reads a body of at most `most` bytes, within the times that `limits` give.
///
/// # Errors
/// 413 for more bytes, 408 for a body that comes too slowly, 400 for one that breaks off.
pub async fn read_body(
    mut body: Body,
    headers: &HeaderMap,
    most: usize,
    limits: &Limits,
) -> Result<Bytes, Problem> {
    refuse_large(headers, most as u64)?;
    let whole = async {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(part) = next_part(&mut body, limits).await? {
            if first.is_empty() && rest.is_empty() {
                // One part is the rule: it is handed on without a copy.
                first = part;
            } else {
                if rest.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&part);
            }
            if first.len().max(rest.len()) > most {
                return Err(too_large(most as u64));
            }
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    };
    within(limits, whole).await
}

/// Holds the reading of a whole body to its time.
///
/// # Errors
/// 408 when it is over, else those of the reading.
pub async fn within<T>(
    limits: &Limits,
    reading: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let longest = Duration::from_millis(limits.body_timeout);
    tokio::time::timeout(longest, reading)
        .await
        .unwrap_or_else(|_| Err(too_slow()))
}

/// The next part of a body that holds any bytes; none at its end.
///
/// # Errors
/// 408 for a pause that is too long, 400 for a body that breaks off.
pub async fn next_part(body: &mut Body, limits: &Limits) -> Result<Option<Bytes>, Problem> {
    let pause = Duration::from_millis(limits.body_pause);
    loop {
        let frame = tokio::time::timeout(pause, body.frame())
            .await
            .map_err(|_| too_slow())?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let frame =
            frame.map_err(|error| Problem::invalid(format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data()
            && !data.is_empty()
        {
            return Ok(Some(data));
        }
    }
}

/// Refuses a body that says itself that it is too large.
///
/// # Errors
/// 413.
pub fn refuse_large(headers: &HeaderMap, most: u64) -> Result<(), Problem> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    match length.and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > most => Err(too_large(most)),
        _ => Ok(()),
    }
}

/// A body of more than `most` bytes.
pub fn too_large(most: u64) -> Problem {
    Problem::new(
        Code::PayloadTooLarge,
        format!("the body has more than {most} bytes"),
    )
}

/// A body that came too slowly.
pub fn too_slow() -> Problem {
    Problem::new(Code::RequestTimeout, "the body did not arrive in time")
}

/// Whether brackets stand in brackets more than `most` deep. What is no JSON is left to the parser.
pub fn is_deeper(text: &[u8], most: usize) -> bool {
    let opening = text
        .iter()
        .filter(|byte| matches!(byte, b'[' | b'{'))
        .count();
    if opening <= most {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(!is_deeper(nested(128).as_bytes(), 128));
        assert!(is_deeper(nested(129).as_bytes(), 128));
        let wide = format!("[{}]", "[],".repeat(500));
        assert!(!is_deeper(wide.as_bytes(), 128));
        let quoted = format!("[\"{}\\\"{}\"]", "[".repeat(200), "{".repeat(200));
        assert!(!is_deeper(quoted.as_bytes(), 128));
    }
}
