//! The handle: opens a database, commits row sets, answers reads. Cheap to clone.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::errand::{Errand, Numbers};
use crate::error::StoreError;
use crate::postgres::Postgres;
use crate::prepare::{PackedPlan, Prepared, prepare};
use crate::queue::{Answer, Request, Waiting};
use crate::queue::{Expected, UnderWay};
use crate::record::{Record, Value};
use crate::sqlite::{Sqlite, query};
use crate::url::DatabaseUrl;
use crate::write::{CommitError, Committed, NewBlob, NewPlan, RowSet};

/// An open store. Clones share the writer and the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) database: Arc<Database>,
    url: Arc<DatabaseUrl>,
    under_way: UnderWay,
}

/// The two databases: an enum, not a trait, since there are two and each call says which of them does what.
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// Keys asked for at once: a text with so many parameters at most.
const KEYS: usize = 64;

/// Plain bytes of blobs beyond which packing would keep other futures of the thread waiting.
const PACK_APART: usize = 64 << 10;

impl NewPlan {
    /// Whether packing it takes so long that a look at whether it is stored already pays.
    fn is_heavy(&self) -> bool {
        self.artifacts.iter().map(|b| b.bytes.len()).sum::<usize>() > PACK_APART
    }
}

impl Store {
    /// Opens the database, making it (and its folder) when it is a file that is not there, and migrates it to this program's schema.
    ///
    /// # Errors
    /// Each names the database and the way out: `CannotConnect`, `Newer`, `Altered`, `TooOld`, `Locked`, `ReadOnly`, `Corrupt`.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let under_way = UnderWay::default();
        let to_writer = under_way.clone();
        let database = match url {
            DatabaseUrl::Sqlite(path) => {
                Database::Sqlite(Sqlite::open(path.clone(), to_writer).await?)
            }
            DatabaseUrl::Postgres(server) => {
                Database::Postgres(Postgres::open(server, url.to_string(), to_writer).await?)
            }
        };
        Ok(Self {
            database: Arc::new(database),
            url: Arc::new(url.clone()),
            under_way,
        })
    }

    /// Says that an orchestration has attempts under way, until what is answered is dropped: under load the writer waits some
    /// milliseconds for the row sets that are about to come.
    pub fn expect(&self) -> Expected {
        self.under_way.expect()
    }

    /// Commits a row set; answers once it is durable. Row sets that arrive while a transaction is under way share the next one.
    /// Dropping the future does not take the row set back.
    ///
    /// # Errors
    /// Each `CommitError` says what it means for the caller.
    pub async fn commit(&self, rows: RowSet) -> Result<Committed, CommitError> {
        let (known, plan) = match rows.plan.as_ref().filter(|plan| plan.is_heavy()) {
            Some(plan) => {
                let stored = self.plan(&plan.row.account, plan.row.hash).await?;
                (stored.is_some(), Some(plan.clone()))
            }
            None => (false, None),
        };
        let set = self.prepare(rows, known).await?;
        let (answer, mut waiting) = self.hand_over(set).await?;
        // Between the look and the commit retention may have taken the plan away: then it is packed after all.
        if let (Err(CommitError::BlobMissing { hash }), Some(plan)) = (&answer, plan)
            && known
            && *hash == plan.row.manifest_hash
        {
            let packed = tokio::task::spawn_blocking(move || PackedPlan::new(plan, false)).await;
            waiting.set.plan = Some(packed.map_err(|_| StoreError::Closed)??);
            return self
                .hand_over(waiting.set)
                .await
                .map(|(answer, _)| answer)?;
        }
        answer
    }

    /// Packs here, or on a thread of its own when that would keep other futures waiting.
    async fn prepare(&self, rows: RowSet, plan_known: bool) -> Result<Prepared, StoreError> {
        let plain = |blobs: &[NewBlob]| blobs.iter().map(|b| b.bytes.len()).sum::<usize>();
        let heavy_plan = rows.plan.as_ref().is_some_and(NewPlan::is_heavy) && !plan_known;
        if heavy_plan || plain(&rows.blobs) > PACK_APART {
            let prepared = tokio::task::spawn_blocking(move || prepare(rows, plan_known)).await;
            prepared.map_err(|_| StoreError::Closed)?
        } else {
            prepare(rows, plan_known)
        }
    }

    async fn hand_over(&self, set: Prepared) -> Result<Answer, StoreError> {
        let (answer, answered) = oneshot::channel();
        let request = Box::new(Waiting {
            set,
            answer: Some(answer),
        });
        let sent = match &*self.database {
            Database::Sqlite(sqlite) => {
                let writer = sqlite.writer()?;
                writer.send(Request::Commit(request)).await.is_ok()
            }
            Database::Postgres(postgres) => {
                let writer = postgres.writer()?;
                writer.send(Request::Commit(request)).await.is_ok()
            }
        };
        if !sent {
            return Err(StoreError::Closed);
        }
        answered.await.map_err(|_| StoreError::Closed)
    }

    /// A number that changes when another program or replica has committed since. Cheap: on SQLite nothing is asked while the log
    /// stays as it is, PostgreSQL counts notifications without asking the server.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn commits_elsewhere(&self) -> Result<i64, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => sqlite.commits_elsewhere().await,
            Database::Postgres(postgres) => Ok(*postgres.elsewhere().borrow()),
        }
    }

    /// Register BEFORE looking for work: `wait` then misses nothing that was committed after this call.
    ///
    /// # Errors
    /// Whatever the database said.
    pub async fn woken(&self) -> Result<Woken, StoreError> {
        Ok(Woken {
            seen: self.commits_elsewhere().await?,
            store: self.clone(),
        })
    }

    /// Ends the writer after what was handed over, and closes the connections. Other clones then answer `Closed`.
    pub async fn close(&self) {
        match &*self.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(postgres) => postgres.close().await,
        }
    }

    /// Whether it is a file, whose programs all live on this machine.
    pub fn is_embedded(&self) -> bool {
        matches!(&*self.database, Database::Sqlite(_))
    }

    /// The database, for messages; without its password.
    pub fn name(&self) -> String {
        self.url.to_string()
    }

    pub(crate) async fn query(
        &self,
        text: &'static str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Record>, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => {
                sqlite
                    .on_reader(move |c, name| query(c, name, text, &parameters))
                    .await
            }
            Database::Postgres(postgres) => postgres.query(text, &parameters).await,
        }
    }

    /// `text` ends in `in`; the keys follow. Order and repetition of keys do not matter to the answer, which has no order.
    pub(crate) async fn query_in(
        &self,
        text: &'static str,
        keys: Vec<Value>,
    ) -> Result<Vec<Record>, StoreError> {
        let mut answer = Vec::new();
        for chunk in keys.chunks(KEYS) {
            // Few different texts, so that few are prepared: the last key is repeated up to a power of two.
            let places = chunk.len().next_power_of_two();
            let mut parameters = chunk.to_vec();
            parameters.resize(places, parameters[chunk.len() - 1].clone());
            let list: Vec<String> = (1..=places).map(|n| format!("${n}")).collect();
            let text = format!("{text} ({})", list.join(", "));
            answer.extend(match &*self.database {
                Database::Sqlite(sqlite) => {
                    sqlite
                        .on_reader(move |c, name| query(c, name, &text, &parameters))
                        .await?
                }
                Database::Postgres(postgres) => postgres.query(&text, &parameters).await?,
            });
        }
        Ok(answer)
    }

    pub(crate) async fn errand(&self, errand: Errand) -> Result<Numbers, StoreError> {
        match &*self.database {
            Database::Sqlite(sqlite) => sqlite.errand(errand).await,
            Database::Postgres(postgres) => postgres.errand(errand).await,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

/// Waits for commits of other replicas or programs.
#[derive(Debug)]
pub struct Woken {
    store: Store,
    seen: i64,
}

impl Woken {
    /// Returns when another program or replica has committed: at once on PostgreSQL, within `poll` on SQLite (which has to be asked).
    /// Errors of the asking count as woken: look, and meet the error there.
    pub async fn wait(&mut self, poll: Duration) {
        match &*self.store.database {
            Database::Sqlite(_) => loop {
                match self.store.commits_elsewhere().await {
                    Ok(number) if number == self.seen => tokio::time::sleep(poll).await,
                    Ok(number) => {
                        self.seen = number;
                        return;
                    }
                    Err(_) => return,
                }
            },
            Database::Postgres(postgres) => {
                let mut elsewhere = postgres.elsewhere();
                if let Ok(number) = elsewhere.wait_for(|n| *n != self.seen).await {
                    self.seen = *number;
                }
            }
        }
    }
}
