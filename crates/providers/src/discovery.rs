//! What an agent says of itself: its definition, and whether it is well.

use std::time::Duration;

use bytes::Bytes;
use domain::values::time::Millis;
use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::timeout;

use crate::asking::{Asking, Reply};
use crate::failure::Failure;
use crate::outgoing::Outgoing;
use crate::refused;
use crate::target::Target;

/// The most bytes that a definition served by an agent may have.
pub const DEFINITION_MAX: usize = 256 * 1024;

/// How long fetching a definition may take in all.
pub const DEFINITION_TIMEOUT: Millis = Millis(10_000);

impl Outgoing {
    /// The bytes at `url`, at most [`DEFINITION_MAX`] of them, within [`DEFINITION_TIMEOUT`].
    ///
    /// # Errors
    /// Whatever kept them from coming; a refused address is fatal.
    pub async fn definition(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let fetching = async {
            let mut reply = self.get(url).await?;
            reply.whole(DEFINITION_MAX).await
        };
        Ok(within(url, DEFINITION_TIMEOUT, fetching).await?.into())
    }

    /// Asks an agent whether it is well: a GET that is answered with a status from 200 to 299 within `timeout`.
    ///
    /// # Errors
    /// What it answered instead, or that it did not answer.
    pub async fn healthy(&self, url: &str, timeout: Millis) -> Result<(), Failure> {
        let asking = async {
            // Read, so that the connection serves the next time.
            self.get(url).await?.beginning().await;
            Ok(())
        };
        within(url, timeout, asking).await
    }

    async fn get(&self, url: &str) -> Result<Reply, Failure> {
        let asking = Getting {
            user_agent: &self.user_agent,
        };
        let mut reply = self.ask(url, &asking).await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let said = reply.beginning().await;
        let failure = refused::failure(&reply.target, reply.status, &reply.headers, &said, None);
        Err(failure)
    }
}

/// A GET of JSON.
struct Getting<'a> {
    user_agent: &'a HeaderValue,
}

impl Asking for Getting<'_> {
    fn method(&self) -> Method {
        Method::GET
    }

    fn body(&self) -> Bytes {
        Bytes::new()
    }

    fn headers(&self, _: bool) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        Ok(headers)
    }
}

async fn within<T>(
    url: &str,
    limit: Millis,
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout(Duration::from_millis(limit.0), asking).await {
        Ok(answered) => answered,
        Err(_) => {
            let target = Target::read(url)?;
            let message = format!("{target}: no answer within {} ms", limit.0);
            Err(Failure::transient(message))
        }
    }
}
