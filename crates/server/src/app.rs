//! What every route is given, and the server that gives it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::values::time::Timestamp;
use engine::handle::Engine;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::api::router;
use crate::config::Settings;
use crate::history::History;
use crate::keys::Keys;
use crate::limits::Rates;
use crate::listen::{Reception, receive};
use crate::stream::hub::Hubs;
use crate::tls;

/// Between two looks at what has expired: answers of repeated writes, buckets of keys that stay away.
const TIDY_EVERY: Duration = Duration::from_secs(300);

/// Plans that are unpacked at one time: each may take its limit of memory.
const UNPACKING: usize = 2;

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
    /// How long agents take.
    pub history: History,
    /// Who follows which log.
    pub hubs: Hubs,
    /// Whoever calls needs no key while there is none.
    pub open: bool,
    /// Since when it serves.
    pub started: Timestamp,
    /// Room for plans that are being unpacked.
    pub unpacking: Arc<Semaphore>,
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
    /// On loopback as it is set up, nobody could come in.
    #[error(
        "`requireKeys` is set in [access] and there are no keys: `afterplan keys create --role admin` makes one, or leave the setting out"
    )]
    KeysRequired,
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
            keys: Keys::default(),
            rates: Rates::of(&settings.access),
            history: History::default(),
            hubs: Hubs::new(engine.clone(), draining.clone()),
            open: settings.listen.ip().is_loopback() && !settings.access.require_keys,
            started: engine.clock.now(),
            settings: Arc::new(settings),
            unpacking: Arc::new(Semaphore::new(UNPACKING)),
            engine,
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
    let tls = tls::acceptor(&settings.tls).map_err(ServeError::Tls)?;
    let app = App::new(engine, settings);
    let any_key = app.keys.any(&app.engine.store, app.started).await?;
    if !app.open && !any_key {
        return Err(if address.ip().is_loopback() {
            ServeError::KeysRequired
        } else {
            ServeError::NoKeys(address)
        });
    }
    let failed = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let reception = Reception {
        router: router::router(app.clone()),
        tls,
        limits: app.settings.limits.clone(),
        draining: app.draining.clone(),
    };
    // Who asked may have gone away.
    let _ = ready.send(bound);
    let draining = app.draining.clone();
    let tending = tokio::spawn(tend(app));
    let stopping = tokio::spawn(async move {
        shutdown.cancelled().await;
        draining.cancel();
    });
    receive(listener, reception).await;
    tending.abort();
    stopping.abort();
    Ok(())
}

/// Deletes what has expired, now and then.
async fn tend(app: App) {
    loop {
        tokio::time::sleep(TIDY_EVERY).await;
        app.rates.sweep();
        let now = app.engine.clock.now().0;
        if let Err(error) = app.engine.store.delete_expired_writes(now).await {
            tracing::warn!("Expired answers stay for now: {error}");
        }
    }
}
