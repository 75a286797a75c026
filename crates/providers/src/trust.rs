//! Which certificates a client of another server trusts beside the system's, and what it says of a connection that TLS kept it from.

use std::error::Error;
use std::io;
use std::path::Path;

use rustls::CertificateError;

/// The certificates in a PEM file.
///
/// # Errors
/// Why there are none to trust, for people.
pub(crate) fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let found = reqwest::Certificate::from_pem_bundle(&bytes);
    match found {
        Ok(found) if found.is_empty() => Err(what_it_is(&bytes).to_owned()),
        found => found.map_err(|error| deepest(&error).to_string()),
    }
}

/// What a file is that holds no certificate in PEM, and what to do about it.
fn what_it_is(bytes: &[u8]) -> &'static str {
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    if bytes.starts_with(&[0x30, 0x82]) {
        "it is in DER; `openssl x509 -inform der` writes it as PEM"
    } else if holds("PRIVATE KEY-----") {
        "it holds a private key; the authority's certificate is wanted, which begins with -----BEGIN CERTIFICATE-----"
    } else {
        "it is no PEM file of certificates, which begin with -----BEGIN CERTIFICATE-----"
    }
}

/// Why no connection came about where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// Nobody who is trusted signed the certificate.
    Stranger,
    /// The certificate itself, for people.
    Certificate(String),
    /// TLS was asked for, and not spoken.
    NoTls,
    /// HTTP was asked for, and not spoken.
    NoHttp,
}

/// What a failed connection says of TLS, if that is what it failed of.
pub(crate) fn distrust(error: &reqwest::Error) -> Option<Distrust> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(found) = cause.map(inside) {
        if let Some(error) = found.downcast_ref::<rustls::Error>() {
            return of_tls(error);
        }
        let http = found.downcast_ref::<hyper::Error>();
        if http.is_some_and(hyper::Error::is_parse) {
            return Some(Distrust::NoHttp);
        }
        cause = found.source();
    }
    None
}

/// What errors of input and output hold, layer by layer: as a source they pass over it.
fn inside<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let held = error.downcast_ref::<io::Error>();
    match held.and_then(io::Error::get_ref) {
        Some(held) => inside(held),
        None => error,
    }
}

fn of_tls(error: &rustls::Error) -> Option<Distrust> {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Some(Distrust::Stranger)
        }
        rustls::Error::InvalidCertificate(error) => {
            let said = error.to_string();
            // Only the verifier's own library has a name for it.
            Some(Distrust::Certificate(
                match said.contains("CaUsedAsEndEntity") {
                    true => "it is an authority's own certificate (CA:TRUE), which no server may show for itself; let the server show one that this authority signed, or a self-signed one with CA:FALSE".to_owned(),
                    false => said,
                },
            ))
        }
        rustls::Error::InvalidMessage(_) => Some(Distrust::NoTls),
        _ => None,
    }
}

/// What went wrong at the bottom of it.
pub(crate) fn deepest<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}
