//! A client of another Afterplan server. Whoever names the server answers for where it is: no guard stands in the way.

pub mod error;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use url::Url;

use crate::frames::{Frames, Framing};
use crate::remote::error::RemoteError;
use crate::trust::{Distrust, certificates, deepest, distrust};

/// For a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// For the next part of an answer; streams send a heartbeat more often.
const SILENCE: Duration = Duration::from_secs(60);

/// Of a JSON answer or a problem, in bytes.
const ANSWER_MAX: usize = 64 << 20;

/// Of a line or an event in a stream, in bytes.
const EVENT_MAX: usize = 16 << 20;

/// Bytes of a file sent at one time.
const PIECE: usize = 64 * 1024;

/// A server, and who asks it. Clones share the connections.
#[derive(Clone)]
pub struct Remote {
    client: reqwest::Client,
    base: Url,
    key: Option<String>,
    authority: Option<String>,
}

impl Remote {
    /// The server at `url`, asked with `key` if there is one, and trusted also by the certificates in the PEM file `authority`.
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn new(
        url: &str,
        key: Option<&str>,
        authority: Option<&Path>,
    ) -> Result<Self, RemoteError> {
        crate::outgoing::install_tls();
        let address = || RemoteError::Address {
            url: without_secrets(url),
        };
        let mut base = Url::parse(url).map_err(|_| address())?;
        if !["http", "https"].contains(&base.scheme()) || base.host().is_none() {
            return Err(address());
        }
        base.set_query(None);
        base.set_fragment(None);
        let path = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&path);
        if key.is_some_and(|key| http::HeaderValue::from_str(key).is_err()) {
            return Err(RemoteError::Key);
        }
        let unusable = |file: &Path| {
            let path = file.display().to_string();
            move |reason| RemoteError::Authority { path, reason }
        };
        let trusted = match authority {
            Some(file) => certificates(file).map_err(unusable(file))?,
            None => Vec::new(),
        };
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .user_agent(concat!("afterplan/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(trusted)
            .build();
        let client = client.map_err(|error| match authority {
            Some(file) => unusable(file)(words(&error)),
            None => RemoteError::Unreachable {
                url: without_secrets(url),
                reason: words(&error),
            },
        })?;
        Ok(Self {
            client,
            base,
            key: key.map(str::to_owned),
            authority: authority.map(|file| file.display().to_string()),
        })
    }

    /// Where it is, without what is secret.
    pub fn url(&self) -> String {
        let url = without_secrets(self.base.as_str());
        url.trim_end_matches('/').to_owned()
    }

    /// The JSON at `path` (`api/agents`).
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError> {
        let request = self.request(Method::GET, path, query)?;
        self.json(self.answered(request).await?).await
    }

    /// Asks for a change. `idempotency` makes that asking twice changes once.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn post(
        &self,
        path: &str,
        idempotency: &str,
        body: &Value,
    ) -> Result<Value, RemoteError> {
        self.ask(Method::POST, path, idempotency, Some(body)).await
    }

    /// Asks for something to be taken away.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn delete(&self, path: &str, idempotency: &str) -> Result<Value, RemoteError> {
        self.ask(Method::DELETE, path, idempotency, None).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        idempotency: &str,
        body: Option<&Value>,
    ) -> Result<Value, RemoteError> {
        let mut request = self
            .request(method, path, &[])?
            .header("idempotency-key", idempotency);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.json(self.answered(request).await?).await
    }

    /// Sends the zip at `file` as a body of its own.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn upload(
        &self,
        path: &str,
        query: &[(&str, String)],
        idempotency: &str,
        file: &Path,
    ) -> Result<Value, RemoteError> {
        let failed = |error: io::Error| unusable(file, &error);
        let opened = File::open(file).map_err(failed)?;
        let length = opened.metadata().map_err(failed)?.len();
        // A piece of a file that was just written or read: no thread is worth it.
        let pieces = futures_util::stream::try_unfold(opened, |mut file| async move {
            let mut piece = vec![0; PIECE];
            let read = file.read(&mut piece)?;
            piece.truncate(read);
            Ok::<_, io::Error>((read > 0).then_some((piece, file)))
        });
        let request = self
            .request(Method::POST, path, query)?
            .header("idempotency-key", idempotency)
            .header("content-type", "application/zip")
            .header("content-length", length)
            .body(Body::wrap_stream(pieces));
        self.json(self.answered(request).await?).await
    }

    /// Writes what stands at `path` into the file `to`.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn download(&self, path: &str, to: &Path) -> Result<(), RemoteError> {
        let request = self.request(Method::GET, path, &[])?;
        let mut pieces = self.answered(request).await?.bytes_stream();
        let failed = |error: io::Error| unusable(to, &error);
        let mut written = File::create(to).map_err(failed)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.lost(&error))?;
            written.write_all(&piece).map_err(failed)?;
        }
        written.flush().map_err(failed)
    }

    /// The JSON lines at `path`.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn lines(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Vec<Value>, RemoteError> {
        let request = self
            .request(Method::GET, path, query)?
            .header("accept", "application/x-ndjson");
        let bytes = self.bytes(self.answered(request).await?).await?;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| self.strange(error.to_string()))
            })
            .collect()
    }

    /// The server-sent events at `path`, as they come.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn follow(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Events, RemoteError> {
        let request = self
            .request(Method::GET, path, query)?
            .header("accept", "text/event-stream");
        let answer = self.answered(request).await?;
        let kind = answer.headers().get("content-type");
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(self.strange(format!("a stream was asked for, and `{kind}` came")));
        }
        Ok(Events {
            remote: self.clone(),
            pieces: answer.bytes_stream().boxed(),
            frames: Frames::new(Framing::Events),
            heard: VecDeque::new(),
            pending: 0,
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<RequestBuilder, RemoteError> {
        let joined = self.base.join(path.trim_start_matches('/'));
        let mut url = joined.map_err(|error| self.strange(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    /// Sends it; an answer that is no success is an error.
    async fn answered(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        let answer = request.send().await.map_err(|error| self.lost(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = self.bytes(answer).await.unwrap_or_default();
        Err(self.problem(status, &body))
    }

    fn problem(&self, status: StatusCode, body: &[u8]) -> RemoteError {
        let said: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        match (text("code"), text("detail").or_else(|| text("title"))) {
            (Some(code), Some(detail)) => RemoteError::Problem {
                status: status.as_u16(),
                code,
                detail,
            },
            _ if status.is_redirection() => {
                self.strange(format!("it sends us elsewhere (HTTP {})", status.as_u16()))
            }
            _ => self.strange(format!("HTTP {} without a reason", status.as_u16())),
        }
    }

    async fn json(&self, answer: Response) -> Result<Value, RemoteError> {
        let bytes = self.bytes(answer).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|error| self.strange(error.to_string()))
    }

    async fn bytes(&self, answer: Response) -> Result<Vec<u8>, RemoteError> {
        let mut pieces = answer.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| self.lost(&error))?);
            if bytes.len() > ANSWER_MAX {
                return Err(self.strange(format!("more than {ANSWER_MAX} bytes came")));
            }
        }
        Ok(bytes)
    }

    fn lost(&self, error: &reqwest::Error) -> RemoteError {
        let url = self.url();
        let otherwise = |from: &str, to: &str| url.replacen(from, to, 1);
        match distrust(error) {
            Some(Distrust::Stranger) => RemoteError::Untrusted {
                authority: self.authority.clone(),
                url,
            },
            Some(Distrust::Certificate(reason)) => RemoteError::Certificate { url, reason },
            Some(Distrust::NoTls) => RemoteError::Spoken {
                what: "TLS",
                instead: otherwise("https:", "http:"),
                url,
            },
            Some(Distrust::NoHttp) => RemoteError::Spoken {
                what: "plain HTTP",
                instead: otherwise("http:", "https:"),
                url,
            },
            None => RemoteError::Unreachable {
                url,
                reason: words(error),
            },
        }
    }

    fn strange(&self, reason: String) -> RemoteError {
        RemoteError::Strange {
            url: self.url(),
            reason,
        }
    }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its name; `message` where it bears none.
    pub name: String,
    /// Its data.
    pub data: Vec<u8>,
}

/// Server-sent events as they come.
pub struct Events {
    remote: Remote,
    pieces: BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>,
    frames: Frames,
    heard: VecDeque<Heard>,
    /// Bytes that have come since an event ended.
    pending: usize,
}

impl Events {
    /// The next event; nothing when the server has ended the stream.
    ///
    /// # Errors
    /// When the connection is lost: come back with the cursor of the last event.
    pub async fn next(&mut self) -> Result<Option<Heard>, RemoteError> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(Some(heard));
            }
            let Some(piece) = self.pieces.next().await else {
                return Ok(None);
            };
            let piece = piece.map_err(|error| self.remote.lost(&error))?;
            self.pending += piece.len();
            let heard = &mut self.heard;
            let fed = self
                .frames
                .feed::<std::convert::Infallible>(&piece, |frame| {
                    heard.push_back(Heard {
                        name: frame.name.unwrap_or("message").to_owned(),
                        data: frame.text.to_vec(),
                    });
                    Ok(())
                });
            match fed {
                Ok(()) => {}
                Err(never) => match never {},
            }
            if !self.heard.is_empty() {
                self.pending = 0;
            } else if self.pending > EVENT_MAX {
                return Err(self
                    .remote
                    .strange(format!("an event of more than {EVENT_MAX} bytes came")));
            }
        }
    }
}

fn unusable(path: &Path, error: &io::Error) -> RemoteError {
    RemoteError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// What went wrong, down to its cause.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    deepest(error).to_string()
}

/// The address without user and password.
fn without_secrets(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.set_query(None);
            parsed.to_string()
        }
        Err(_) => url.split('?').next().unwrap_or_default().to_owned(),
    }
}
