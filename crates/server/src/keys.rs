//! Keys: `afp_<id>_<secret>`, known to the store only by the secret's hash, and to this replica for a few seconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::values::ids::AccountId;
use domain::values::role::Role;
use domain::values::time::Timestamp;
use sha2::{Digest, Sha256};
use store::db::Store;
use store::error::StoreError;
use store::rows::KeyRow;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// How long what the store said of a key is believed, in microseconds: a revocation elsewhere is felt within this.
const BELIEVED: i64 = 3_000_000;

/// Keys remembered at most; beyond that all are forgotten.
const REMEMBERED: usize = 10_000;

/// Longest text that is looked at as a key.
const TEXT_MAX: usize = 200;

/// Whose a key is, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The key's id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its role.
    pub role: Role,
}

/// A key that was just made.
#[derive(Clone)]
pub struct NewKey {
    /// What is stored.
    pub row: KeyRow,
    /// The whole key: shown once, never stored.
    pub text: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("id", &self.row.id)
            .finish_non_exhaustive()
    }
}

/// Makes the key `id` for `account`; the caller stores its row. `expires_at` is in microseconds.
pub fn make(
    id: Uuid,
    account: &AccountId,
    role: Role,
    label: &str,
    now: Timestamp,
    expires_at: Option<i64>,
) -> NewKey {
    let id = id.simple().to_string();
    // UUIDs of version 7 made in the same millisecond share a counter: each still brings 32 bits or more of its own.
    let mut chance = Vec::with_capacity(64);
    for _ in 0..4 {
        chance.extend_from_slice(Uuid::now_v7().as_bytes());
    }
    let secret = URL_SAFE_NO_PAD
        .encode(Sha256::digest(&chance))
        .replace('_', "-");
    let row = KeyRow {
        id: id.clone(),
        account: account.as_str().to_owned(),
        role: role.name().to_owned(),
        label: label.to_owned(),
        secret_hash: Sha256::digest(secret.as_bytes()).into(),
        created_at: now.0,
        expires_at,
        revoked_at: None,
    };
    NewKey {
        text: format!("afp_{id}_{secret}"),
        row,
    }
}

/// The keys that were asked for a moment ago; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    rows: HashMap<String, (i64, Option<Arc<KeyRow>>)>,
    any: Option<(i64, bool)>,
}

impl Keys {
    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: a key was made or revoked here.
    pub fn forget(&self) {
        *self.remembered() = Remembered::default();
    }

    /// Whether there is any key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn any(&self, store: &Store, now: Timestamp) -> Result<bool, StoreError> {
        if let Some((at, any)) = self.remembered().any
            && (any || now.0 - at < BELIEVED)
        {
            return Ok(any);
        }
        let any = store.any_key().await?;
        self.remembered().any = Some((now.0, any));
        Ok(any)
    }

    /// Whose the key `text` is; none for a key that is unknown, wrong, expired or revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn holder(
        &self,
        store: &Store,
        text: &str,
        now: Timestamp,
    ) -> Result<Option<Holder>, StoreError> {
        let parts = text
            .strip_prefix("afp_")
            .and_then(|rest| rest.split_once('_'));
        let Some((id, secret)) = parts.filter(|_| text.len() <= TEXT_MAX) else {
            return Ok(None);
        };
        let Some(row) = self.row(store, id, now).await? else {
            return Ok(None);
        };
        let given = Sha256::digest(secret.as_bytes());
        let equal: bool = given.as_slice().ct_eq(row.secret_hash.as_slice()).into();
        let over = row.revoked_at.is_some() || row.expires_at.is_some_and(|until| until <= now.0);
        if !equal || over {
            return Ok(None);
        }
        let (Ok(account), Ok(role)) = (AccountId::new(&row.account), row.role.parse()) else {
            return Ok(None);
        };
        Ok(Some(Holder {
            id: id.to_owned(),
            account,
            role,
        }))
    }

    async fn row(
        &self,
        store: &Store,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<KeyRow>>, StoreError> {
        if let Some((at, row)) = self.remembered().rows.get(id)
            && now.0 - at < BELIEVED
        {
            return Ok(row.clone());
        }
        let row = store.key(id).await?.map(Arc::new);
        let mut remembered = self.remembered();
        if remembered.rows.len() >= REMEMBERED {
            remembered.rows.clear();
        }
        remembered.rows.insert(id.to_owned(), (now.0, row.clone()));
        Ok(row)
    }
}
