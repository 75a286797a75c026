//! Where a PostgreSQL server is, and whether one speaks to it in the clear or over TLS.
//!
//! `sslmode=require`, `verify-ca` and `verify-full` all mean the same here: TLS, with a certificate that is valid for the
//! host. What is encrypted for whoever answers protects nobody. Any other mode, and none, is a connection in the clear.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// How long a server may take to answer at first, where the URL does not say it.
const CONNECT: Duration = Duration::from_secs(10);

/// What a connection's bytes go through.
type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// A server, and how to speak to it.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
}

impl Address {
    /// Reads a URL: `sslmode` and `sslrootcert` (a PEM file of authorities, in place of the system's) here, the rest as
    /// PostgreSQL's own programs do. `name` is for messages.
    pub(crate) fn parse(url: &str, name: &str) -> Result<Self, StoreError> {
        let cannot = |detail: String| StoreError::CannotConnect {
            database: name.to_owned(),
            detail,
        };
        let asked = Asked::split(url);
        let mut config = Config::from_str(&asked.rest).map_err(|e| cannot(e.to_string()))?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        let encrypted = match asked.mode.as_deref() {
            Some("require" | "verify-ca" | "verify-full") => true,
            None | Some("disable" | "allow" | "prefer") => false,
            Some(other) => {
                return Err(cannot(format!(
                    "sslmode `{other}` is none: disable (in the clear), or verify-full (TLS, the certificate checked)"
                )));
            }
        };
        config.ssl_mode(if encrypted {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        let tls = if encrypted {
            trusting(asked.authorities.as_deref())
        } else {
            plain()
        };
        let tls = MakeRustlsConnect::new(tls.map_err(|why| cannot(format!("TLS: {why}")))?);
        Ok(Self { config, tls })
    }

    /// A new connection.
    pub(crate) async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, Stream>), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}

/// What a URL asks of TLS, and what is left of it.
struct Asked {
    rest: String,
    mode: Option<String>,
    authorities: Option<String>,
}

impl Asked {
    fn split(url: &str) -> Self {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut authorities, mut others) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let value = || {
                let mut decoded = url::form_urlencoded::parse(pair.as_bytes());
                decoded.next().map(|(_, value)| value.into_owned())
            };
            match pair.split('=').next() {
                Some("sslmode") => mode = value(),
                Some("sslrootcert") => authorities = value(),
                _ => others.push(pair),
            }
        }
        let rest = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", others.join("&"))
        };
        Self {
            rest,
            mode,
            authorities,
        }
    }
}

/// TLS 1.2 and 1.3 by ring, trusting the authorities in the file, or those that the operating system trusts.
fn trusting(authorities: Option<&str>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(file) = authorities else {
        let builder = builder
            .with_platform_verifier()
            .map_err(|error| error.to_string())?;
        return Ok(builder.with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(file);
    for certificate in found.map_err(|error| format!("sslrootcert {file}: {error}"))? {
        let added = certificate.map_err(|error| error.to_string());
        added
            .and_then(|der| roots.add(der).map_err(|error| error.to_string()))
            .map_err(|error| format!("sslrootcert {file}: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("sslrootcert {file} holds no certificate"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// What is never used: the connection is in the clear.
fn plain() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mode(url: &str) -> SslMode {
        Address::parse(url, "test").unwrap().config.get_ssl_mode()
    }

    #[test]
    fn a_url_that_demands_tls_gets_it_and_no_other() {
        for (query, wanted) in [
            ("", SslMode::Disable),
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=prefer", SslMode::Disable),
            ("?sslmode=require", SslMode::Require),
            ("?application_name=x&sslmode=verify-full", SslMode::Require),
        ] {
            assert_eq!(mode(&format!("postgres://a@b/c{query}")), wanted, "{query}");
        }
    }

    #[test]
    fn what_is_not_about_tls_is_left_as_it_was() {
        let asked = Asked::split(
            "postgres://a@b/c?options=-csearch_path%3Dx&sslmode=require&sslrootcert=%2Fa%20b",
        );
        assert_eq!(asked.rest, "postgres://a@b/c?options=-csearch_path%3Dx");
        assert_eq!(asked.authorities.as_deref(), Some("/a b"));
    }

    #[test]
    fn a_mode_or_file_that_is_none_is_named() {
        for (query, named) in [
            ("sslmode=sometimes", "sometimes"),
            ("sslmode=require&sslrootcert=/nowhere.pem", "/nowhere.pem"),
        ] {
            let refused = Address::parse(&format!("postgres://a@b/c?{query}"), "test");
            let said = refused.err().unwrap().to_string();
            assert!(said.contains(named), "{said}");
        }
    }
}
