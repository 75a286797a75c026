//! The handle for requests to the outside: one guard, one pool of connections.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use domain::values::time::Millis;
use http::HeaderValue;

use crate::dial::Dialler;
use crate::guard::Guard;
use crate::pool::Pool;
use crate::target::Targets;

/// What outgoing requests may do.
#[derive(Clone, Debug)]
pub struct OutgoingSettings {
    /// What may be reached although it is not public: a CIDR range or address (`10.0.0.0/8`, `127.0.0.1`), an address with a
    /// port (`127.0.0.1:9000`), a host (`agents.internal`) or a host with a port (`localhost:9000`).
    pub allow: Vec<String>,
    /// How long a connection may take, with name resolution and TLS.
    pub connect_timeout: Millis,
    /// What is said in `User-Agent`.
    pub user_agent: String,
    /// Names with fixed addresses, asked before DNS and guarded like its answers.
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

impl Default for OutgoingSettings {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: Millis(10_000),
            user_agent: concat!("afterplan/", env!("CARGO_PKG_VERSION")).to_owned(),
            names: BTreeMap::new(),
        }
    }
}

/// Settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// An entry of the allow list that is neither a range nor a host.
    #[error("`{0}` is neither an address range nor a host that could be allowed")]
    Allow(String),
    /// A `User-Agent` that no header may hold.
    #[error("the user agent holds characters that no header may hold")]
    UserAgent,
}

/// Makes requests to the outside. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) dialler: Arc<Dialler>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) targets: Arc<Targets>,
    pub(crate) user_agent: HeaderValue,
}

impl Outgoing {
    /// A handle with an empty pool. Nothing is connected yet.
    ///
    /// # Errors
    /// An entry of the allow list or a user agent that cannot be used.
    pub fn new(settings: OutgoingSettings) -> Result<Self, OutgoingError> {
        install_tls();
        let user_agent =
            HeaderValue::from_str(&settings.user_agent).map_err(|_| OutgoingError::UserAgent)?;
        let guard = Guard::new(&settings.allow)?;
        Ok(Self {
            dialler: Arc::new(Dialler::new(guard, settings)),
            pool: Arc::default(),
            targets: Arc::default(),
            user_agent,
        })
    }
}

/// Makes ring the cryptography of every TLS library in this program that does not name its own. Once is enough, more does
/// no harm.
pub fn install_tls() {
    // Refused only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
