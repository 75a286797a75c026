//! Where a request goes: a URL taken apart, and how it may be shown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use url::{Host, Position, Url};

use crate::failure::Failure;

/// How many URLs are remembered as they were read.
const READ_MAX: usize = 1_024;

/// URLs as they were read, so that one that is asked again and again is read once.
#[derive(Debug, Default)]
pub(crate) struct Targets(Mutex<BTreeMap<String, Arc<Target>>>);

impl Targets {
    pub(crate) fn of(&self, url: &str) -> Result<Arc<Target>, Failure> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = read.get(url) {
            return Ok(target.clone());
        }
        let target = Arc::new(Target::read(url)?);
        if read.len() >= READ_MAX {
            read.clear();
        }
        read.insert(url.to_owned(), target.clone());
        Ok(target)
    }
}

/// A place that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    url: Url,
    /// Name as in DNS, or address without brackets.
    pub(crate) host: String,
    /// The address, when the URL has one in place of a name.
    pub(crate) literal: Option<IpAddr>,
    pub(crate) port: u16,
    /// By TLS.
    pub(crate) secure: bool,
    /// Scheme, host and port: what connections are shared by, and beyond which no secret goes.
    pub(crate) origin: String,
    /// Path and query, as the request line has them.
    pub(crate) request_target: Uri,
    /// The value of `Host`.
    pub(crate) authority: HeaderValue,
    /// The value of `Authorization`, when the URL has a user or a password.
    pub(crate) credentials: Option<HeaderValue>,
}

impl Target {
    pub(crate) fn read(url: &str) -> Result<Self, Failure> {
        let url = Url::parse(url)
            .map_err(|error| Failure::fatal(format!("the address is no URL: {error}")))?;
        Self::of(url)
    }

    fn of(url: Url) -> Result<Self, Failure> {
        let (secure, usual) = match url.scheme() {
            "http" => (false, 80),
            "https" => (true, 443),
            other => {
                let message = format!("refused: `{other}:` is neither http nor https");
                return Err(Failure::fatal(message));
            }
        };
        let literal = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(Failure::fatal("the address names no host")),
        };
        let host = match literal {
            Some(ip) => ip.to_string(),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let port = url.port().unwrap_or(usual);
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let origin = format!("{}://{authority}", url.scheme());
        let unsaid =
            |what| Failure::fatal(format!("`{origin}` with a {what} that no request can name"));
        let request_target = url[Position::BeforePath..Position::AfterQuery]
            .parse()
            .map_err(|_| unsaid("path"))?;
        let authority = HeaderValue::from_str(authority).map_err(|_| unsaid("host"))?;
        let credentials = credentials(&url);
        Ok(Self {
            url,
            host,
            literal,
            port,
            secure,
            origin,
            request_target,
            authority,
            credentials,
        })
    }

    /// Where a redirect leads.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, Failure> {
        let joined = self.url.join(location).map_err(|error| {
            Failure::fatal(format!("{self} redirects to what is no URL: {error}"))
        })?;
        let next = Self::of(joined)
            .map_err(|failure| Failure::fatal(format!("{self} redirects: {}", failure.message)))?;
        if self.secure && !next.secure {
            let message = format!("refused: {self} redirects to {next}, without TLS");
            return Err(Failure::fatal(message));
        }
        Ok(next)
    }
}

fn credentials(url: &Url) -> Option<HeaderValue> {
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return None;
    }
    let plain = [
        decoded(user),
        b":".to_vec(),
        decoded(password.unwrap_or_default()),
    ]
    .concat();
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Percent-encoding taken off.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    bytes
}

impl std::fmt::Display for Target {
    /// Without user, password, query and fragment: what may stand in a message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}{}`", self.origin, self.url.path())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_redirect_may_not_leave_tls() {
        let target = Target::read("https://agent.example/a/b?c").unwrap();
        assert_eq!(
            target.redirected("../d").unwrap().to_string(),
            "`https://agent.example/d`"
        );
        assert!(target.redirected("https://other.example/").is_ok());
        let refused = target.redirected("http://agent.example/").unwrap_err();
        assert!(refused.message.starts_with("refused"), "{refused}");
        let plain = Target::read("http://agent.example/").unwrap();
        assert!(plain.redirected("https://agent.example/").is_ok());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_secret() {
        let origin = |url: &str| Target::read(url).unwrap().origin;
        assert_eq!(
            origin("HTTP://user:pass@Agent.Example:80/x?y"),
            "http://agent.example"
        );
        assert_eq!(origin("https://[::1]:8443/"), "https://[::1]:8443");
        assert_ne!(
            origin("https://agent.example/"),
            origin("http://agent.example/")
        );
    }
}
