//! One request and its reply, redirects followed by hand and checked each.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, LOCATION};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, hung_up};
use crate::failure::Failure;
use crate::outgoing::Outgoing;
use crate::pool::Pool;
use crate::target::Target;

/// How often one request follows a redirect.
const REDIRECTS_MAX: u32 = 5;

/// About how many bytes of an unwelcome answer are read.
const BEGINNING_MAX: usize = 8 * 1024;

/// And for how long.
const BEGINNING_TIME: Duration = Duration::from_secs(1);

/// What is asked. Headers are made for each sending, since most are sent once.
pub(crate) trait Asking {
    fn method(&self) -> Method;

    fn body(&self) -> Bytes;

    /// The headers, with room for three more. Secrets are only for the origin of the given URL: where it is `trusted`.
    fn headers(&self, trusted: bool) -> Result<HeaderMap, Failure>;
}

/// A response whose body is still to be read. Dropped before its end it closes the connection.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Who answered.
    pub(crate) target: Arc<Target>,
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl Outgoing {
    /// Asks, and follows where it is led.
    pub(crate) async fn ask(&self, url: &str, asking: &impl Asking) -> Result<Reply, Failure> {
        let mut target = self.targets.of(url)?;
        let first = target.clone();
        for _ in 0..=REDIRECTS_MAX {
            let trusted = target.origin == first.origin;
            let reply = self.ask_once(&target, asking, trusted).await?;
            match next(&reply, &asking.method())? {
                Some(onward) => target = Arc::new(onward),
                None => return Ok(reply),
            }
        }
        let message = format!("{target}: redirected more than {REDIRECTS_MAX} times");
        Err(Failure::fatal(message))
    }

    /// Asks once. A connection that was kept may have been hung up at the very moment: then once more over a fresh one, which
    /// the idempotency key makes harmless where the peer saw the first after all.
    async fn ask_once(
        &self,
        target: &Arc<Target>,
        asking: &impl Asking,
        trusted: bool,
    ) -> Result<Reply, Failure> {
        self.dialler.check_literal(target)?;
        if let Some(mut kept) = self.pool.take(&target.origin).await {
            match kept.exchange(request(target, asking, trusted)?).await {
                Ok(response) => return Ok(self.reply(target, kept, response)),
                Err(error) if hung_up(&error) => {}
                Err(error) => return Err(broken(target, &error)),
            }
        }
        let mut fresh = self.dialler.dial(target).await?;
        let response = fresh
            .exchange(request(target, asking, trusted)?)
            .await
            .map_err(|error| broken(target, &error))?;
        Ok(self.reply(target, fresh, response))
    }

    fn reply(
        &self,
        target: &Arc<Target>,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Reply {
        let (head, body) = response.into_parts();
        Reply {
            status: head.status,
            headers: head.headers,
            target: target.clone(),
            body,
            connection: Some(connection),
            pool: self.pool.clone(),
        }
    }
}

impl Reply {
    /// The next piece of the body; nothing at its end, where the connection is put aside for the next request.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let piece = if self.body.is_end_stream() {
            None
        } else {
            connection.piece(&mut self.body).await
        };
        match piece {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(error)) => Err(broken(&self.target, &error)),
            None => {
                if let Some(connection) = self.connection.take() {
                    self.pool.put(&self.target.origin, connection).await;
                }
                Ok(None)
            }
        }
    }

    /// The whole body.
    pub(crate) async fn whole(&mut self, max: usize) -> Result<Bytes, Failure> {
        if self.body.size_hint().lower() > max as u64 {
            return Err(self.too_long(max));
        }
        let Some(first) = self.piece().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.piece().await? else {
            return self.within(first, max);
        };
        let mut whole = Vec::with_capacity((first.len() + second.len()) * 2);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        while whole.len() <= max {
            match self.piece().await? {
                Some(piece) => whole.extend_from_slice(&piece),
                None => break,
            }
        }
        self.within(whole.into(), max)
    }

    fn within(&self, body: Bytes, max: usize) -> Result<Bytes, Failure> {
        if body.len() > max {
            return Err(self.too_long(max));
        }
        Ok(body)
    }

    pub(crate) fn too_long(&self, max: usize) -> Failure {
        Failure::invalid(format!(
            "{} answered with more than {max} bytes",
            self.target
        ))
    }

    /// The beginning of the body, as far as it comes soon: of an answer that is no success nobody waits for more.
    pub(crate) async fn beginning(&mut self) -> Vec<u8> {
        let mut said = Vec::new();
        let soon = Instant::now() + BEGINNING_TIME;
        while said.len() < BEGINNING_MAX {
            match timeout_at(soon, self.piece()).await {
                Ok(Ok(Some(piece))) => said.extend_from_slice(&piece),
                _ => break,
            }
        }
        said
    }

    /// A header's value, as far as it is text.
    pub(crate) fn header(&self, name: &http::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn request(
    target: &Target,
    asking: &impl Asking,
    trusted: bool,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::new(Full::new(asking.body()));
    *request.method_mut() = asking.method();
    *request.uri_mut() = target.request_target.clone();
    let mut headers = asking.headers(trusted)?;
    headers.insert(HOST, target.authority.clone());
    if trusted && let Some(credentials) = &target.credentials {
        headers.insert(AUTHORIZATION, credentials.clone());
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// Where a reply leads, when it is a redirect. A POST follows only those that keep it one.
fn next(reply: &Reply, method: &Method) -> Result<Option<Target>, Failure> {
    let target = &reply.target;
    let keeps = matches!(reply.status.as_u16(), 307 | 308);
    if !keeps && !matches!(reply.status.as_u16(), 301..=303) {
        return Ok(None);
    }
    if !keeps && method == Method::POST {
        let message = format!(
            "{target} redirects with {}; a POST follows only 307 and 308",
            reply.status.as_u16()
        );
        return Err(Failure::fatal(message));
    }
    match reply.header(&LOCATION) {
        Some(location) => target.redirected(location).map(Some),
        None => Err(Failure::fatal(format!(
            "{target} redirects without saying where"
        ))),
    }
}

/// A connection that broke, or that spoke no HTTP.
fn broken(target: &Target, error: &hyper::Error) -> Failure {
    let mut message = format!("{target}: {error}");
    if let Some(cause) = std::error::Error::source(error) {
        message.push_str(&format!(": {cause}"));
    }
    Failure::transient(message)
}
