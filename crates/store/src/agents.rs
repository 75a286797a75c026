//! Agent definitions that were registered: every version stays, since orchestrations have pinned it.

use crate::chain::content_hash;
use crate::db::Store;
use crate::errand::Errand;
use crate::error::StoreError;
use crate::prepare::no_nul;
use crate::record::{Record, Value};
use crate::rows::{AgentRow, Hash};

/// The columns of an agent, in the order of `decode`.
macro_rules! columns {
    () => {
        "select id, version, hash, definition, source, url, created_at, retired_at from agent "
    };
}

/// What became of a definition that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentPut {
    /// It is stored now.
    New,
    /// This version was stored already, with the same hash. Nothing is changed, its retirement neither.
    Same,
    /// This version is stored with another hash; it stays as it was.
    Differs {
        /// The hash of what is stored.
        hash: Hash,
    },
}

impl Store {
    /// Stores a version of a definition, durably. A version that is there is never overwritten.
    ///
    /// # Errors
    /// `Nul` for a text with a NUL character, `Refused` for a hash that is not over the definition, else whatever the database said.
    pub async fn put_agent(&self, row: AgentRow) -> Result<AgentPut, StoreError> {
        no_nul("agent.id", &row.id)?;
        no_nul("agent.version", &row.version)?;
        no_nul("agent.definition", &row.definition)?;
        no_nul("agent.source", &row.source)?;
        no_nul("agent.url", row.url.as_deref().unwrap_or(""))?;
        if content_hash(row.definition.as_bytes()) != row.hash {
            let why = "the hash of an agent is over its definition as it stands";
            return Err(StoreError::Refused(why.to_owned()));
        }
        let (id, version, hash) = (row.id.clone(), row.version.clone(), row.hash);
        if self.errand(Errand::PutAgent(row)).await?[0] > 0 {
            return Ok(AgentPut::New);
        }
        // A version never changes, so that it may be read apart from the attempt to write it.
        const TEXT: &str = "select hash from agent where id = $1 and version = $2";
        let parameters = vec![Value::from(id.as_str()), Value::from(version.as_str())];
        let found = self.query(TEXT, parameters).await?.pop();
        let stored = found.map_or(Ok(hash), |mut r| r.fixed("agent.hash"))?;
        Ok(if stored == hash {
            AgentPut::Same
        } else {
            AgentPut::Differs { hash: stored }
        })
    }

    /// All versions of all agents, by id and then by the time of registration.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn agents(&self, include_retired: bool) -> Result<Vec<AgentRow>, StoreError> {
        const TEXT: &str = concat!(
            columns!(),
            "where $1 = 1 or retired_at is null order by id, created_at, version"
        );
        let parameters = vec![Value::Int(i64::from(include_retired))];
        let rows = self.query(TEXT, parameters).await?;
        rows.into_iter().map(decode).collect()
    }

    /// Retires a version at `at` (microseconds); `false` when it is not there or retired already.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn retire_agent(&self, id: &str, version: &str, at: i64) -> Result<bool, StoreError> {
        let errand = Errand::RetireAgent(id.to_owned(), version.to_owned(), at);
        Ok(self.errand(errand).await?[0] > 0)
    }

    /// A number that grows whenever an agent is registered or retired: equal numbers, equal agents. `idle_look` tells it too.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn agents_stamp(&self) -> Result<i64, StoreError> {
        // Versions are never deleted and never come back from retirement.
        const TEXT: &str = "select count(*) + count(retired_at) from agent";
        match self.query(TEXT, Vec::new()).await?.pop() {
            Some(mut row) => row.int("agent.stamp"),
            None => Ok(0),
        }
    }
}

fn decode(mut r: Record) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        id: r.text("agent.id")?,
        version: r.text("agent.version")?,
        hash: r.fixed("agent.hash")?,
        definition: r.text("agent.definition")?,
        source: r.text("agent.source")?,
        url: r.opt_text("agent.url")?,
        created_at: r.int("agent.created_at")?,
        retired_at: r.opt_int("agent.retired_at")?,
    })
}
