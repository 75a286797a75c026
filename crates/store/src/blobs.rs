//! Blobs: bytes under their hash, stored compressed, kept as long as a row refers to them.

use std::collections::BTreeMap;

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{Hash, Id};

impl Store {
    /// The plain bytes of one blob.
    ///
    /// # Errors
    /// `Decode` when the stored bytes do not unpack, else whatever the database said.
    pub async fn blob(&self, hash: Hash) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.blobs(&[hash]).await?.remove(&hash))
    }

    /// The plain bytes of these blobs; those that are not stored are left out.
    ///
    /// # Errors
    /// `Decode` when stored bytes do not unpack, else whatever the database said.
    pub async fn blobs(&self, hashes: &[Hash]) -> Result<BTreeMap<Hash, Vec<u8>>, StoreError> {
        let keys = hashes.iter().map(Value::from).collect();
        let rows = self
            .query_in(
                "select hash, size, encoding, stored from blob where hash in",
                keys,
            )
            .await?;
        rows.into_iter().map(decode).collect()
    }

    /// The plain data of an enrichment of this orchestration, or of any blob: what is not in a row of the one is looked for in the
    /// other.
    ///
    /// # Errors
    /// `Decode` when the stored bytes do not unpack, else whatever the database said.
    pub async fn result(
        &self,
        orchestration: Id,
        hash: Hash,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        const TEXT: &str = "
            select data_hash, size, encoding, stored
            from enrichment
            where orchestration = $1 and data_hash = $2 and stored is not null
            union all
            select hash, size, encoding, stored
            from blob
            where hash = $2
            limit 1";
        let parameters = vec![Value::from(&orchestration), Value::from(&hash)];
        let found = self.query(TEXT, parameters).await?.pop();
        Ok(found.map(decode).transpose()?.map(|(_, plain)| plain))
    }

    /// Which of these blobs are stored.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn stored(&self, hashes: &[Hash]) -> Result<Vec<Hash>, StoreError> {
        let keys = hashes.iter().map(Value::from).collect();
        let rows = self
            .query_in("select hash from blob where hash in", keys)
            .await?;
        rows.into_iter().map(|mut r| r.fixed("blob.hash")).collect()
    }
}

fn decode(record: Record) -> Result<(Hash, Vec<u8>), StoreError> {
    let (hash, plain) = decode_loose(record)?;
    Ok((hash, plain?))
}

/// The hash, and apart from it whether the bytes unpack: for the check.
pub(crate) fn decode_loose(
    mut r: Record,
) -> Result<(Hash, Result<Vec<u8>, StoreError>), StoreError> {
    let hash = r.fixed("blob.hash")?;
    let size = r.int("blob.size")?;
    let encoding = r.int("blob.encoding")?;
    let stored = r.bytes("blob.stored")?;
    Ok((hash, crate::pack::unpack(encoding, size, stored)))
}
