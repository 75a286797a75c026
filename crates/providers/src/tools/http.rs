//! A tool that is one HTTP request, to an address that the guard lets pass.

use std::time::Duration;

use bytes::Bytes;
use domain::agent::conversing::{HttpTool, Method as Way, TOOL_TIMEOUT_DEFAULT};
use domain::agent::message::ToolCall;
use domain::values::hash::ContentHash;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use tokio::time::timeout;
use url::Url;

use crate::asking::Asking;
use crate::failure::Failure;
use crate::outgoing::Outgoing;
use crate::tools::secrets::Variables;
use crate::tools::{Outcome, Toolbox};

/// A request of a tool.
struct Calling {
    method: Method,
    body: Bytes,
    common: HeaderMap,
    /// Headers of the definition: they may hold secrets.
    own: HeaderMap,
}

impl Asking for Calling {
    fn method(&self) -> Method {
        self.method.clone()
    }

    fn body(&self) -> Bytes {
        self.body.clone()
    }

    fn headers(&self, trusted: bool) -> Result<HeaderMap, Failure> {
        let mut headers = self.common.clone();
        if trusted {
            headers.extend(self.own.clone());
        }
        Ok(headers)
    }
}

/// Carries out a call.
pub(crate) async fn call(toolbox: &Toolbox, tool: &HttpTool, call: &ToolCall) -> Outcome {
    let limit = tool.timeout.unwrap_or(TOOL_TIMEOUT_DEFAULT);
    let asking = ask(toolbox, tool, call);
    match timeout(Duration::from_millis(limit.0), asking).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => Outcome::bad(failure.message),
        Err(_) => Outcome::bad(format!("the tool did not answer within {} ms", limit.0)),
    }
}

async fn ask(toolbox: &Toolbox, tool: &HttpTool, call: &ToolCall) -> Result<Outcome, Failure> {
    let outgoing = &toolbox.outgoing;
    let calling = Calling {
        method: match tool.method {
            Way::Post => Method::POST,
            Way::Get => Method::GET,
        },
        body: match tool.method {
            Way::Post => call.input.to_string().into(),
            Way::Get => Bytes::new(),
        },
        common: common(outgoing, &key(toolbox, call)),
        own: headers(&tool.headers, &toolbox.variables)?,
    };
    let url = match tool.method {
        Way::Post => tool.url.clone(),
        Way::Get => with_query(&tool.url, &call.input)?,
    };
    let mut reply = outgoing.ask(&url, &calling).await?;
    let body = reply.whole(toolbox.settings.answer_max).await?;
    let said = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    if reply.status.is_success() {
        return Ok(Outcome::good(said));
    }
    let why = format!("the tool answered {}", reply.status);
    Ok(Outcome {
        output: json!({"errorMessage": why, "answer": said}),
        failed: true,
    })
}

/// Names the call for ever. A call may be sent before its answer stands, and another answer's call has the same id: only with
/// the same input is it the same.
fn key(toolbox: &Toolbox, call: &ToolCall) -> String {
    let input = ContentHash::of(format!("{}\n{}", call.name, call.input).as_bytes());
    format!("{}/{}/{:016x}", toolbox.key, call.id, input.seed())
}

fn common(outgoing: &Outgoing, key: &str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/*;q=0.5"),
    );
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(USER_AGENT, outgoing.user_agent.clone());
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert("idempotency-key", key);
    }
    headers
}

/// A definition's headers with their variables put in.
pub(crate) fn headers(
    declared: &std::collections::BTreeMap<String, String>,
    variables: &Variables,
) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::with_capacity(declared.len());
    for (name, value) in declared {
        let value = variables.put_in(value).map_err(Failure::fatal)?;
        let unfit = || Failure::fatal(format!("the header `{name}` cannot be sent"));
        let known = HeaderName::try_from(name.as_str()).map_err(|_| unfit())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| unfit())?;
        value.set_sensitive(true);
        headers.insert(known, value);
    }
    Ok(headers)
}

/// The URL with the input's members as its query: texts as they are, other values as JSON.
fn with_query(url: &str, input: &Value) -> Result<String, Failure> {
    let mut url = Url::parse(url).map_err(|error| Failure::fatal(format!("no URL: {error}")))?;
    for (name, value) in input.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        url.query_pairs_mut().append_pair(name, &text);
    }
    Ok(url.into())
}
