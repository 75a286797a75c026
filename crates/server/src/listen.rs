//! Connections: accepted, held to time limits, drained at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::Limits;
use crate::stream::stall::Stalling;

/// Bytes of a connection's buffer: a slow reader holds no more than this.
const BUFFER: usize = 64 * 1024;

/// Longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The pause after a connection could not be accepted: files may have run out.
const PAUSE: Duration = Duration::from_millis(50);

/// What every connection is given.
#[derive(Clone)]
pub struct Reception {
    /// The routes.
    pub router: Router,
    /// TLS, if it is spoken.
    pub tls: Option<TlsAcceptor>,
    /// How much and how long.
    pub limits: Limits,
    /// Cancelled when connections should come to their end.
    pub draining: CancellationToken,
}

/// Accepts connections until `draining`, then waits for those under way as long as the limits say.
pub async fn receive(listener: TcpListener, reception: Reception) {
    let room = Arc::new(Semaphore::new(reception.limits.connections.max(1)));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = reception.draining.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, peer, permit)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (reception, cut) = (reception.clone(), cut.clone());
        connections.spawn(async move {
            let _permit = permit;
            tokio::select! {
                () = cut.cancelled() => {}
                () = hold(stream, peer, reception) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    let drain = Duration::from_millis(reception.limits.drain);
    if tokio::time::timeout(drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            "{} connections are cut: they did not end in time",
            connections.len()
        );
        cut.cancel();
        connections.wait().await;
    }
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, permit)),
        Err(error) => {
            tracing::warn!("A connection could not be accepted: {error}");
            None
        }
    }
}

/// One connection from its first byte to its last.
async fn hold(stream: TcpStream, peer: SocketAddr, reception: Reception) {
    // Answers are written whole: waiting for more to send only costs time.
    let _ = stream.set_nodelay(true);
    let Some(tls) = reception.tls.clone() else {
        return speak(stream, peer, reception).await;
    };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, peer, reception).await,
        Ok(Err(error)) => tracing::debug!("No TLS with {peer}: {error}"),
        Err(_) => tracing::debug!("No TLS with {peer} in time"),
    }
}

async fn speak<S>(stream: S, peer: SocketAddr, reception: Reception)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let router = reception.router;
    let stream = Stalling::within(stream, Duration::from_millis(reception.limits.take_pause));
    let answer = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(reception.limits.header_timeout))
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), answer)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = reception.draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("The connection with {peer} ended early: {error}");
    }
}
