//! Writes that a caller may repeat: the first answer is kept under the caller's key and given again.

use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::no_nul;
use crate::record::Value;
use crate::rows::{Hash, Id};

/// Microseconds after which a write without an answer counts as broken off: the next caller takes it over.
pub const TAKEN_OVER_AFTER: i64 = 60_000_000;

/// What a caller meets who begins a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is the caller's to do.
    New {
        /// The id of what it makes: the one given, or that of a write which was broken off before.
        subject: Id,
    },
    /// Another caller is at it.
    InProgress {
        /// The id of what it makes.
        subject: Id,
        /// Since when, in microseconds.
        since: i64,
    },
    /// It was done: this was the answer.
    Done {
        /// HTTP status.
        status: i64,
        /// Headers, JSON.
        headers: String,
        /// Body.
        body: Vec<u8>,
    },
    /// The key was used for another request.
    Differs,
}

/// How a key stood at the beginning of a write.
struct Standing {
    request: Hash,
    subject: Id,
    since: i64,
    status: Option<i64>,
    headers: Option<String>,
    body: Option<Vec<u8>>,
}

impl Store {
    /// Begins the write that `key` names in `scope` (an account). `request` is a hash over all that makes the request what it is,
    /// `subject` the id that it will make, `now` and `expires` are microseconds. A key that has expired counts as new.
    ///
    /// # Errors
    /// `Nul` for a text with a NUL character, else whatever the database said.
    pub async fn begin_write(
        &self,
        scope: &str,
        key: &str,
        request: Hash,
        subject: Id,
        now: i64,
        expires: i64,
    ) -> Result<Begun, StoreError> {
        no_nul("idempotency.scope", scope)?;
        no_nul("idempotency.key", key)?;
        loop {
            let errand = Errand::BeginWrite {
                scope: scope.to_owned(),
                key: key.to_owned(),
                request,
                subject,
                now,
                expires,
            };
            if self.errand(errand).await?[0] > 0 {
                return Ok(Begun::New { subject });
            }
            let Some(found) = self.standing(scope, key).await? else {
                continue; // expired and deleted in between
            };
            if found.request != request {
                return Ok(Begun::Differs);
            }
            if let Some(status) = found.status {
                return Ok(Begun::Done {
                    status,
                    headers: found.headers.unwrap_or_default(),
                    body: found.body.unwrap_or_default(),
                });
            }
            let (subject, since) = (found.subject, found.since);
            if now - since < TAKEN_OVER_AFTER {
                return Ok(Begun::InProgress { subject, since });
            }
            let errand =
                Errand::TakeOverWrite(scope.to_owned(), key.to_owned(), since, now, expires);
            if self.errand(errand).await?[0] > 0 {
                return Ok(Begun::New { subject });
            }
        }
    }

    async fn standing(&self, scope: &str, key: &str) -> Result<Option<Standing>, StoreError> {
        const TEXT: &str = "
            select request, subject, since, status, headers, body
            from idempotency
            where scope = $1 and key = $2";
        let parameters = vec![Value::from(scope), Value::from(key)];
        let Some(mut r) = self.query(TEXT, parameters).await?.pop() else {
            return Ok(None);
        };
        Ok(Some(Standing {
            request: r.fixed("idempotency.request")?,
            subject: r.fixed("idempotency.subject")?,
            since: r.int("idempotency.since")?,
            status: r.opt_int("idempotency.status")?,
            headers: r.opt_text("idempotency.headers")?,
            body: r.opt_bytes("idempotency.body")?,
        }))
    }

    /// Keeps the answer of a write that was begun; `false` when it has one already.
    ///
    /// # Errors
    /// `Nul` for a text with a NUL character, else whatever the database said.
    pub async fn end_write(
        &self,
        scope: &str,
        key: &str,
        status: i64,
        headers: &str,
        body: &[u8],
    ) -> Result<bool, StoreError> {
        no_nul("idempotency.headers", headers)?;
        let errand = Errand::EndWrite {
            scope: scope.to_owned(),
            key: key.to_owned(),
            status,
            headers: headers.to_owned(),
            body: body.to_vec(),
        };
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// Notes that a write that was begun at `since` (microseconds) did not make what it was to make, but led to `subject`, which
    /// others had made: whoever takes it over is led there too. `false` when it was not under way since then.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn write_led_to(
        &self,
        scope: &str,
        key: &str,
        since: i64,
        subject: Id,
    ) -> Result<bool, StoreError> {
        let errand = Errand::WriteLedTo(scope.to_owned(), key.to_owned(), since, subject);
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// Lets the next caller take over a write that was begun at `since` (microseconds) and has no answer to keep. What it was
    /// to make stays its own, since some of it may be made; `false` when it was not under way since then.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn release_write(
        &self,
        scope: &str,
        key: &str,
        since: i64,
    ) -> Result<bool, StoreError> {
        let errand = Errand::ReleaseWrite(scope.to_owned(), key.to_owned(), since);
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// Deletes what expired before `now` (microseconds), a thousand at most; answers how many. Retention does it too.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn delete_expired_writes(&self, now: i64) -> Result<u64, StoreError> {
        Ok(self.errand(Errand::DeleteExpiredWrites(now)).await?[0])
    }
}
