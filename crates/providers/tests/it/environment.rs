//! What the environment decides: which certificates are trusted, and that no proxy is asked. Each test is played by this same
//! program started once more, with an environment of its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use domain::agent::retry::ErrorClass;
use providers::outgoing::{Outgoing, OutgoingSettings};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::peer::{Peer, invocation, invoke, json};

fn certificate(name: &str) -> std::path::PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("tests/it/certificates").join(name)
}

/// Plays a test that is only there to be played so.
fn played(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("environment::{test}"), "--ignored"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn tls_trusts_what_the_system_trusts() {
    let authority = certificate("ca.pem");
    played(
        "an_agent_with_a_certificate",
        &[("SSL_CERT_FILE", authority.to_str().unwrap())],
    );
}

#[test]
fn tls_trusts_nobody_else() {
    let another = certificate("agent.pem");
    played(
        "an_agent_with_an_unknown_certificate",
        &[("SSL_CERT_FILE", another.to_str().unwrap())],
    );
}

#[test]
fn no_proxy_is_asked() {
    let nowhere = "http://127.0.0.1:1";
    let proxies = [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    played(
        "an_agent_beside_a_proxy",
        &proxies.map(|name| (name, nowhere)),
    );
}

/// A TLS agent that answers every connection once; returns its port.
async fn tls_agent() -> u16 {
    let chain = vec![CertificateDer::from_pem_file(certificate("agent.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(certificate("agent.key")).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = [0; 4_096];
                while matches!(stream.read(&mut request).await, Ok(read) if read > 0) {
                    let _ = stream.write_all(&json("{\"tls\":true}")).await;
                }
            });
        }
    });
    port
}

fn by_name(name: &str) -> Outgoing {
    Outgoing::new(OutgoingSettings {
        allow: vec![name.to_owned()],
        names: [(name.to_owned(), vec!["127.0.0.1".parse().unwrap()])].into(),
        ..OutgoingSettings::default()
    })
    .unwrap()
}

#[tokio::test]
#[ignore = "played by tls_trusts_what_the_system_trusts"]
async fn an_agent_with_a_certificate() {
    let port = tls_agent().await;
    for _ in 0..2 {
        let url = format!("https://agents.test:{port}/");
        let answer = by_name("agents.test")
            .invoke(invocation(&url), |_| {})
            .await
            .unwrap();
        assert_eq!(answer.data, json!({"tls": true}));
    }
    let by_address = invoke(&format!("https://127.0.0.1:{port}/")).await.0;
    assert_eq!(by_address.unwrap().data, json!({"tls": true}));
    let url = format!("https://impostor.test:{port}/");
    let failure = by_name("impostor.test")
        .invoke(invocation(&url), |_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::Fatal, "{failure}");
    assert!(failure.message.contains("certificate"), "{failure}");
}

#[tokio::test]
#[ignore = "played by tls_trusts_nobody_else"]
async fn an_agent_with_an_unknown_certificate() {
    let url = format!("https://agents.test:{}/", tls_agent().await);
    let failure = by_name("agents.test")
        .invoke(invocation(&url), |_| {})
        .await
        .unwrap_err();
    assert_eq!(failure.class, ErrorClass::Fatal, "{failure}");
}

#[tokio::test]
#[ignore = "played by no_proxy_is_asked"]
async fn an_agent_beside_a_proxy() {
    let peer = Peer::saying(json("{}")).await;
    assert!(invoke(&peer.url("/")).await.0.is_ok());
}
