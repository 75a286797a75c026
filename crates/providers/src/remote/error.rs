//! Why another server did not do what it was asked.

/// Why a server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It is no address of a server.
    #[error("`{url}` is no server's address: it should look like http://host:8080")]
    Address {
        /// What was given.
        url: String,
    },
    /// It holds characters that no header may hold.
    #[error("the key holds characters that no key has")]
    Key,
    /// It holds no certificates.
    #[error("{path} holds no certificates to trust: {reason}")]
    Authority {
        /// Which file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be reached, or the connection was lost.
    #[error("the server {url} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the network says.
        reason: String,
    },
    /// Nobody who is trusted answers for its certificate.
    #[error(
        "the server {url} cannot be reached safely: no authority that is trusted here signed its certificate{}",
        authority.as_ref().map(|file| format!(", nor did one in {file}, which must hold the authority's certificate and not the server's")).unwrap_or_default()
    )]
    Untrusted {
        /// Where it is.
        url: String,
        /// The file of certificates that are trusted beside the system's.
        authority: Option<String>,
    },
    /// Its certificate is none for it.
    #[error("the server {url} cannot be reached safely: its certificate is not accepted: {reason}")]
    Certificate {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It speaks otherwise than its address says.
    #[error("at {url} nobody speaks {what}: {instead} may be meant")]
    Spoken {
        /// What was asked.
        url: String,
        /// What is not spoken there.
        what: &'static str,
        /// The other address.
        instead: String,
    },
    /// It refused or failed, and says why.
    #[error("{detail} ({code}, HTTP {status})")]
    Problem {
        /// HTTP's number for it.
        status: u16,
        /// Its stable name.
        code: String,
        /// What it says.
        detail: String,
    },
    /// It answers as no Afterplan server does.
    #[error("the server {url} does not answer like an Afterplan server: {reason}")]
    Strange {
        /// Where it is.
        url: String,
        /// What is strange.
        reason: String,
    },
    /// A file here could not be read or written.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        reason: String,
    },
}

impl RemoteError {
    /// Whether the same request may succeed a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem { status, .. } => {
                matches!(status, 429 | 502 | 503 | 504) || self.is_under_way()
            }
            _ => false,
        }
    }

    /// Whether the first asking is still under way there, of what was asked again after a lost connection.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Problem { code, .. } if code == "idempotency-key-in-use")
    }
}
