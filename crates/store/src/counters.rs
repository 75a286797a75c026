//! Shared counters: what concurrency keys and in-flight work hold now.

use std::collections::BTreeMap;

use crate::db::Store;
use crate::error::StoreError;
use crate::record::Value;

impl Store {
    /// What all counters hold; those that hold nothing are left out. For the check: there may be as many as attempts in flight.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn all_counters(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let text = "select key, held from counter where held <> 0 order by key";
        let rows = self.query(text, Vec::new()).await?;
        rows.into_iter()
            .map(|mut r| Ok((r.text("counter.key")?, r.int("counter.held")?)))
            .collect()
    }

    /// What these counters hold; one that holds nothing is left out.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn counters(&self, keys: &[&str]) -> Result<BTreeMap<String, i64>, StoreError> {
        let keys = keys.iter().map(|k| Value::from(*k)).collect();
        let rows = self
            .query_in(
                "select key, held from counter where held > 0 and key in",
                keys,
            )
            .await?;
        rows.into_iter()
            .map(|mut r| Ok((r.text("counter.key")?, r.int("counter.held")?)))
            .collect()
    }
}
