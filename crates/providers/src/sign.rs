//! Signatures by the Standard Webhooks specification, version 1: HMAC-SHA256 over `id.timestamp.body`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::values::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a signature's time may lie from the receiver's, in seconds, as the specification's libraries have it.
pub const TOLERANCE_SECS: i64 = 300;

/// A secret shared with an agent: `whsec_` and 24 to 64 bytes in base64. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// A text that is no signing secret. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` followed by 24 to 64 bytes in base64")]
pub struct InvalidSecret;

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// No signature of version 1 fits.
    #[error("no signature fits")]
    Signature,
    /// It was made too long ago, or for the future.
    #[error("the signature's time is too far from now")]
    Time,
}

impl SigningSecret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    /// Another form, or a length out of bounds.
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or(InvalidSecret)?;
        let key = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(InvalidSecret)
        }
    }

    /// The value of `webhook-signature` for a message `id` sent at `at`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let code = self.code(id, seconds(at), body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(code))
    }

    /// Holds `signatures` (the value of `webhook-signature`, several separated by spaces) against the message.
    ///
    /// # Errors
    /// No fitting signature, or a time further than [`TOLERANCE_SECS`] from `now`.
    pub fn verify(
        &self,
        id: &str,
        timestamp_secs: i64,
        signatures: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Unverified> {
        if seconds(now).saturating_sub(timestamp_secs).saturating_abs() > TOLERANCE_SECS {
            return Err(Unverified::Time);
        }
        let fits = signatures
            .split_ascii_whitespace()
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .any(|code| {
                self.code(id, timestamp_secs, body)
                    .verify_slice(&code)
                    .is_ok()
            });
        if fits {
            Ok(())
        } else {
            Err(Unverified::Signature)
        }
    }

    fn code(&self, id: &str, secs: i64, body: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of every length.
        let mut code = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        code.update(format!("{id}.{secs}.").as_bytes());
        code.update(body);
        code
    }
}

/// Whole seconds since 1970, as the specification's `webhook-timestamp`.
pub(crate) fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000_000)
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(whsec_…)")
    }
}
