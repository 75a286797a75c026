//! Connections that speak TLS, and those that do not as they should.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;
use server::config::Tls;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::stage::{PATIENCE, Stage, refused, seed_request, settings};

/// The certificate of a test authority for 127.0.0.1, its key, or the authority itself.
fn certificate(name: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.join("../providers/tests/it/certificates").join(name)
}

fn tls() -> Tls {
    Tls {
        cert: Some(certificate("agent.pem")),
        key: Some(certificate("agent.key")),
    }
}

/// A client that trusts this authority alone.
fn trusting(authority: &str) -> Client {
    let pem = std::fs::read(certificate(authority)).unwrap();
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .build()
        .unwrap()
}

#[tokio::test]
async fn over_tls_everything_is_as_without() {
    let stage = Stage::with(|settings| settings.tls = tls()).await;
    let base = format!("https://{}", stage.address);
    // One who connects and says nothing keeps nobody waiting.
    let _silent = TcpStream::connect(stage.address).await.unwrap();
    let client = trusting("ca.pem");
    let answer = client
        .post(format!("{base}/api/orchestrate"))
        .json(&seed_request())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "complete", "{answer}");
    let id = answer["orchestrationId"].as_str().unwrap();
    let stream = client
        .get(format!("{base}/api/orchestrations/{id}/events"))
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap();
    assert!(
        stream
            .text()
            .await
            .unwrap()
            .contains("event: orchestration_completed")
    );
    stage.close().await;
}

#[tokio::test]
async fn who_speaks_no_tls_or_does_not_trust_is_not_served() {
    let stage = Stage::with(|settings| settings.tls = tls()).await;
    let health = format!("https://{}/health", stage.address);
    let error = trusting("agent.pem").get(&health).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    let plain = format!("http://{}/health", stage.address);
    assert!(stage.client.get(&plain).send().await.is_err());
    // What is no handshake is hung up on.
    let mut stream = TcpStream::connect(stage.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /health HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said))
        .await
        .unwrap();
    assert!(!said.starts_with(b"HTTP/"), "{said:?}");
    stage.close().await;
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() {
    let with = |cert: Option<&str>, key: Option<&str>| {
        let mut settings = settings();
        settings.tls = Tls {
            cert: cert.map(certificate),
            key: key.map(certificate),
        };
        settings
    };
    for (cert, key, said) in [
        (Some("agent.pem"), None, "both or not at all"),
        (Some("none.pem"), Some("agent.key"), "none.pem"),
        (Some("agent.key"), Some("agent.key"), "no certificate in it"),
        (Some("ca.pem"), Some("agent.key"), "ca.pem"),
    ] {
        let error = refused(with(cert, key)).await.to_string();
        assert!(error.contains(said), "{error}");
    }
}
