//! Reads of enrichments: those of an orchestration, and the one that equal work may take instead of being done again.

use crate::db::Store;
use crate::error::StoreError;
use crate::record::{Record, Value};
use crate::rows::{EnrichmentRow, Hash, Id};

/// The columns of an enrichment `e`, in the order of `decode`.
macro_rules! columns {
    () => {
        "select e.orchestration, e.version, e.step, e.agent, e.agent_version, e.account, e.enrichment_type, e.status, e.input_hash,
                e.data_hash, e.reusable, e.at, e.cost, e.detail "
    };
}
pub(crate) use columns;

impl Store {
    /// All enrichments of an orchestration, by the version they made.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn enrichments(&self, orchestration: Id) -> Result<Vec<EnrichmentRow>, StoreError> {
        const TEXT: &str = concat!(
            columns!(),
            "from enrichment e
            where orchestration = $1
            order by version"
        );
        let rows = self.query(TEXT, vec![Value::from(&orchestration)]).await?;
        rows.into_iter().map(decode).collect()
    }

    /// The account's latest reusable enrichment of equal input. Uses `enrichment_reusable`.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn reusable(
        &self,
        account: &str,
        input_hash: Hash,
    ) -> Result<Option<EnrichmentRow>, StoreError> {
        const TEXT: &str = concat!(
            columns!(),
            "from enrichment e
            where account = $1 and input_hash = $2 and reusable = 1
            order by at desc, orchestration desc, version desc
            limit 1"
        );
        let parameters = vec![Value::from(account), Value::from(&input_hash)];
        self.query(TEXT, parameters)
            .await?
            .pop()
            .map(decode)
            .transpose()
    }
}

pub(crate) fn decode(mut r: Record) -> Result<EnrichmentRow, StoreError> {
    Ok(EnrichmentRow {
        orchestration: r.fixed("enrichment.orchestration")?,
        version: r.int("enrichment.version")?,
        step: r.text("enrichment.step")?,
        agent: r.text("enrichment.agent")?,
        agent_version: r.text("enrichment.agent_version")?,
        account: r.text("enrichment.account")?,
        enrichment_type: r.text("enrichment.enrichment_type")?,
        status: r.text("enrichment.status")?,
        input_hash: r.fixed("enrichment.input_hash")?,
        data_hash: r.opt_fixed("enrichment.data_hash")?,
        reusable: r.flag("enrichment.reusable")?,
        at: r.int("enrichment.at")?,
        cost: r.int("enrichment.cost")?,
        detail: r.packed("enrichment.detail")?,
    })
}
