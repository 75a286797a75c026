//! What every route is given, and the server that gives it.

use std::net::SocketAddr;
use std::sync::Arc;

use engine::handle::Engine;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::api::router;
use crate::config::Settings;
use crate::keys::Keys;
use crate::limits::Rates;
use crate::stream::hub::Hubs;

/// What every route is given; clones share everything.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub engine: Engine,
    /// How this server is set up.
    pub settings: Arc<Settings>,
    /// The keys.
    pub keys: Keys,
    /// How often each key comes.
    pub rates: Rates,
    /// Who follows which log.
    pub hubs: Hubs,
    /// Cancelled when the server is being stopped: streams end with a hint to come back, who waits is told.
    pub draining: CancellationToken,
}

/// A server that cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Off loopback anybody could come in.
    #[error(
        "{0} is no loopback address and there are no keys: `afterplan keys create --role admin` makes one, or listen at 127.0.0.1"
    )]
    NoKeys(SocketAddr),
    /// The certificate or its key.
    #[error("TLS: {0}")]
    Tls(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::error::StoreError),
}

impl App {
    /// The parts of a server on `engine`.
    pub fn new(engine: Engine, settings: Settings) -> Self {
        let draining = CancellationToken::new();
        Self {
            hubs: Hubs::new(engine.clone(), draining.clone()),
            engine,
            settings: Arc::new(settings),
            keys: Keys::default(),
            rates: Rates::default(),
            draining,
        }
    }
}

/// Serves `engine` until `shutdown`, then lets requests under way come to their end. `ready` is told the address once the
/// server can be reached.
///
/// # Errors
/// When it cannot begin; what fails later is told to who asked for it.
pub async fn serve(
    engine: Engine,
    settings: Settings,
    shutdown: CancellationToken,
    ready: oneshot::Sender<SocketAddr>,
) -> Result<(), ServeError> {
    let address = settings.listen;
    let app = App::new(engine, settings);
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // Who asked may have gone away.
    let _ = ready.send(listener.local_addr().map_err(failed)?);
    let router = router::router(app);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { shutdown.cancelled().await })
        .await
        .map_err(failed)
}
