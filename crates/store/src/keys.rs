//! Keys of accounts: who may ask for what. Only the hash of a secret is here.

use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::no_nul;
use crate::record::{Record, Value};
use crate::rows::KeyRow;

/// The columns of a key, in the order of `decode`.
macro_rules! columns {
    () => {
        "select id, account, role, label, secret_hash, created_at, expires_at, revoked_at from api_key "
    };
}

impl Store {
    /// Stores a new key, durably; `false` when its id is taken.
    ///
    /// # Errors
    /// `Nul` for a text with a NUL character, else whatever the database said.
    pub async fn put_key(&self, row: KeyRow) -> Result<bool, StoreError> {
        no_nul("api_key.id", &row.id)?;
        no_nul("api_key.account", &row.account)?;
        no_nul("api_key.role", &row.role)?;
        no_nul("api_key.label", &row.label)?;
        Ok(self.errand(Errand::PutKey(row)).await?[0] > 0)
    }

    /// One key, revoked or expired ones too.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn key(&self, id: &str) -> Result<Option<KeyRow>, StoreError> {
        const TEXT: &str = concat!(columns!(), "where id = $1");
        // No id has a NUL, and PostgreSQL would not hear of one.
        if id.contains('\0') {
            return Ok(None);
        }
        let mut rows = self.query(TEXT, vec![Value::from(id)]).await?;
        rows.pop().map(decode).transpose()
    }

    /// All keys, or those of one account, in the order of their making.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn keys(&self, account: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        const TEXT: &str = concat!(
            columns!(),
            "where $1 = 1 or account = $2 order by created_at, id"
        );
        let parameters = vec![
            Value::Int(i64::from(account.is_none())),
            Value::from(account.unwrap_or("")),
        ];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// Revokes a key at `at` (microseconds); `false` when it is not there or revoked already.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn revoke_key(&self, id: &str, at: i64) -> Result<bool, StoreError> {
        let errand = Errand::RevokeKey(id.to_owned(), at);
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// Whether there is any key, revoked and expired ones too.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn any_key(&self) -> Result<bool, StoreError> {
        const TEXT: &str = "select 1 from api_key limit 1";
        Ok(!self.query(TEXT, Vec::new()).await?.is_empty())
    }
}

fn decode(mut r: Record) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: r.text("api_key.id")?,
        account: r.text("api_key.account")?,
        role: r.text("api_key.role")?,
        label: r.text("api_key.label")?,
        secret_hash: r.fixed("api_key.secret_hash")?,
        created_at: r.int("api_key.created_at")?,
        expires_at: r.opt_int("api_key.expires_at")?,
        revoked_at: r.opt_int("api_key.revoked_at")?,
    })
}
