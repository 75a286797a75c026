//! Opens a connection: name, guard, TCP, TLS. The address that was checked is the one that is dialled.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use domain::agent::retry::ErrorClass;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::guard::Guard;
use crate::outgoing::OutgoingSettings;
use crate::target::Target;

/// The most that a response's status line and headers may have, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// The most addresses of a name that are tried: each has its share of the time.
const ADDRESSES_MAX: usize = 8;

/// What a connection speaks over.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// Opens connections.
#[derive(Debug)]
pub(crate) struct Dialler {
    guard: Guard,
    settings: OutgoingSettings,
    /// Made for the first TLS connection: what has no certificates to trust can still speak plain HTTP.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl Dialler {
    pub(crate) fn new(guard: Guard, settings: OutgoingSettings) -> Self {
        let tls = OnceLock::new();
        Self {
            guard,
            settings,
            tls,
        }
    }

    /// Refuses an address that is written in the URL itself; names are held against the guard when they are resolved.
    pub(crate) fn check_literal(&self, target: &Target) -> Result<(), Failure> {
        let refused = target
            .literal
            .and_then(|ip| self.guard.refusal(&target.host, ip, target.port));
        match refused {
            Some(kind) => Err(refusal(target, kind)),
            None => Ok(()),
        }
    }

    /// A fresh connection.
    pub(crate) async fn dial(&self, target: &Target) -> Result<Connection, Failure> {
        let limit = Duration::from_millis(self.settings.connect_timeout.0);
        match timeout(limit, self.open(target, limit)).await {
            Ok(opened) => opened,
            Err(_) => Err(too_slow(target, self.settings.connect_timeout.0)),
        }
    }

    async fn open(&self, target: &Target, limit: Duration) -> Result<Connection, Failure> {
        let addresses = self.addresses(target).await?;
        let stream = connect(target, &addresses, limit).await?;
        // Requests are written whole: waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        let socket: Box<dyn Socket> = if target.secure {
            Box::new(self.secure(target, stream).await?)
        } else {
            Box::new(stream)
        };
        let (send, wire) = http1::Builder::new()
            .max_header_size(HEAD_MAX)
            .handshake::<_, Full<Bytes>>(TokioIo::new(socket))
            .await
            .map_err(|error| Failure::transient(format!("{target}: {error}")))?;
        Ok(Connection::new(send, wire))
    }

    /// The addresses that may be dialled.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let found: Vec<IpAddr> = match (target.literal, self.settings.names.get(&target.host)) {
            (Some(ip), _) => vec![ip],
            (None, Some(fixed)) => fixed.clone(),
            (None, None) => lookup_host((target.host.as_str(), target.port))
                .await
                .map_err(|error| {
                    Failure::transient(format!("{target}: the host is not found: {error}"))
                })?
                .map(|address| address.ip())
                .collect(),
        };
        let mut refused = None;
        let mut open = Vec::with_capacity(found.len());
        for ip in found {
            match self.guard.refusal(&target.host, ip, target.port) {
                Some(kind) => refused = Some(kind),
                None => open.push(SocketAddr::new(ip, target.port)),
            }
        }
        match refused {
            Some(kind) if open.is_empty() => Err(refusal(target, kind)),
            None if open.is_empty() => Err(Failure::transient(format!(
                "{target}: the host has no address"
            ))),
            _ => {
                open.truncate(ADDRESSES_MAX);
                Ok(open)
            }
        }
    }

    async fn secure(
        &self,
        target: &Target,
        stream: TcpStream,
    ) -> Result<impl Socket + use<>, Failure> {
        let name = match target.literal {
            Some(ip) => ServerName::from(ip),
            None => ServerName::try_from(target.host.clone()).map_err(|_| {
                Failure::fatal(format!("{target} has a host that no certificate can name"))
            })?,
        };
        TlsConnector::from(self.tls(target)?)
            .connect(name, stream)
            .await
            .map_err(|error| tls_failure(target, &error))
    }

    fn tls(&self, target: &Target) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = trusting_the_system().map_err(|error| {
            Failure::fatal(format!("{target}: no certificates to trust: {error}"))
        })?;
        Ok(self.tls.get_or_init(|| Arc::new(config)).clone())
    }
}

/// TLS 1.2 and 1.3 by ring, trusting what the operating system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` where set).
fn trusting_the_system() -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(config)
}

/// One address after the other. Each but the last has its share of the time, so that one that swallows packets does not
/// hide the next.
async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<TcpStream, Failure> {
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::Error::from(io::ErrorKind::TimedOut),
        }
    }
    Err(Failure::transient(format!(
        "{target}: no connection: {last}"
    )))
}

fn refusal(target: &Target, kind: &str) -> Failure {
    let message = format!(
        "refused: {target} leads to {kind}; only the configuration's allow list opens such addresses"
    );
    Failure::fatal(message)
}

fn too_slow(target: &Target, limit_ms: u64) -> Failure {
    Failure::transient(format!("{target}: no connection within {limit_ms} ms"))
}

/// A certificate that does not fit will not fit the next time; a connection that broke may hold.
fn tls_failure(target: &Target, error: &io::Error) -> Failure {
    let certificate = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
    let class = if certificate {
        ErrorClass::Fatal
    } else {
        ErrorClass::Transient
    };
    Failure::new(class, format!("{target}: TLS: {error}"))
}
