//! PostgreSQL: a pool for reads and errands, one connection that writes, one that listens.

use std::future::poll_fn;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Transaction};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_postgres::{AsyncMessage, Client};

use crate::errand::{Errand, Numbers, Tx, perform};
use crate::error::StoreError;
use crate::migrate::{self, missing};
use crate::postgres_error::failed;
use crate::postgres_outage::Outage;
use crate::postgres_tls::Address;
use crate::postgres_write::write_loop;
use crate::queue::{Queue, Request, UnderWay, WAITING};
use crate::record::{Record, Value};

/// Connections of the pool: reads are short, and a server has a hundred for all replicas.
const POOL: usize = 8;

/// The oldest server version that is tested.
const OLDEST: u32 = 15;

/// How long to wait before listening again after a loss, doubled up to the last.
const RELISTEN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// One lock for all who migrate: "afterpln" as a number.
const MIGRATION_LOCK: i64 = 0x6166_7465_7270_6c6e;

/// Nothing but row sets reaches the writer of PostgreSQL: errands have the pool.
pub(crate) enum Never {}

/// What the writer, the listener and the handle share.
pub(crate) struct Shared {
    pub(crate) address: Address,
    pub(crate) name: String,
    /// One channel a schema, so that databases within a database do not wake each other.
    pub(crate) channel: String,
    /// The writer's backend, whose notifications are our own.
    pub(crate) writer_pid: AtomicI32,
    pub(crate) outage: Outage,
}

/// An open database.
pub(crate) struct Postgres {
    pool: Pool,
    shared: Arc<Shared>,
    writer: Mutex<Option<mpsc::Sender<Request<Never>>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    elsewhere: watch::Receiver<i64>,
}

impl Postgres {
    pub(crate) async fn open(
        url: &str,
        name: String,
        under_way: UnderWay,
    ) -> Result<Self, StoreError> {
        let mut address = Address::parse(url, &name)?;
        if address.config.get_application_name().is_none() {
            address.config.application_name("afterplan");
        }
        let channel = migrated(&address, &name).await?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let (config, tls) = (address.config.clone(), address.tls.clone());
        let connecting = Manager::from_config(config, tls, recycling);
        let pool = Pool::builder(connecting)
            .max_size(POOL)
            .build()
            .map_err(|e| StoreError::CannotConnect {
                database: name.clone(),
                detail: e.to_string(),
            })?;
        let shared = Arc::new(Shared {
            address,
            name,
            channel,
            writer_pid: AtomicI32::new(0),
            outage: Outage::default(),
        });
        let (sender, receiver) = mpsc::channel(WAITING);
        let (count, elsewhere) = watch::channel(0);
        let (ready, listening) = oneshot::channel();
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer_thread(&of_thread, (receiver, under_way), count, ready))
            .map_err(|e| cannot_start(&shared.name, &e))?;
        listening.await.map_err(|_| StoreError::Closed)??;
        Ok(Self {
            pool,
            shared,
            writer: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            elsewhere,
        })
    }

    /// The way to the writer.
    pub(crate) fn writer(&self) -> Result<mpsc::Sender<Request<Never>>, StoreError> {
        match self.writer.lock() {
            Ok(sender) => sender.clone().ok_or(StoreError::Closed),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Counts commits of others, as they are heard of.
    pub(crate) fn elsewhere(&self) -> watch::Receiver<i64> {
        self.elsewhere.clone()
    }

    /// Asks; again while the server cannot be reached.
    pub(crate) async fn query(
        &self,
        text: &str,
        parameters: &[Value],
    ) -> Result<Vec<Record>, StoreError> {
        let mut patience = self.shared.outage.patience();
        loop {
            let answer = self.query_once(text, parameters).await;
            if !patience.again(&answer).await {
                return answer;
            }
        }
    }

    async fn query_once(
        &self,
        text: &str,
        parameters: &[Value],
    ) -> Result<Vec<Record>, StoreError> {
        let client = self.connection().await?;
        let ask = async {
            let statement = client.prepare_cached(text).await?;
            client.query(&statement, &borrowed(parameters)).await
        };
        let rows = ask.await.map_err(|e| failed(&self.shared.name, &e))?;
        records(&self.shared.name, &rows)
    }

    /// Does an errand in a transaction of its own, again when it collided with another or the server cannot be reached: each errand may
    /// be done twice (at most an epoch is skipped, or a second answer says that nothing was left to do).
    pub(crate) async fn errand(&self, errand: Errand) -> Result<Numbers, StoreError> {
        let mut patience = self.shared.outage.patience();
        let mut collisions = 0;
        loop {
            let answer = self.try_errand(&errand).await;
            if let Err(StoreError::Contended { .. }) = answer
                && collisions < 3
            {
                collisions += 1;
            } else if !patience.again(&answer).await {
                return answer;
            }
        }
    }

    async fn try_errand(&self, errand: &Errand) -> Result<Numbers, StoreError> {
        let name = &self.shared.name;
        let mut client = self.connection().await?;
        // Dropped halfway it rolls back.
        let transaction = client.transaction().await.map_err(|e| failed(name, &e))?;
        let tx = Open { transaction, name };
        let numbers = perform(&tx, errand).await?;
        let ended = tx.transaction.commit().await;
        ended.map_err(|e| failed(name, &e)).map(|()| numbers)
    }

    /// Reads in one transaction, all as of one moment; from the start again while the server cannot be reached.
    pub(crate) async fn read<T>(
        &self,
        work: impl AsyncFn(&Open<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut patience = self.shared.outage.patience();
        loop {
            let answer = self.read_once(&work).await;
            if !patience.again(&answer).await {
                return answer;
            }
        }
    }

    async fn read_once<T>(
        &self,
        work: impl AsyncFn(&Open<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let name = &self.shared.name;
        let mut client = self.connection().await?;
        let transaction = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(|e| failed(name, &e))?;
        work(&Open { transaction, name }).await
    }

    async fn connection(&self) -> Result<deadpool_postgres::Client, StoreError> {
        self.pool.get().await.map_err(|e| match e {
            PoolError::Backend(e) => failed(&self.shared.name, &e),
            PoolError::Closed => StoreError::Closed,
            other => StoreError::CannotConnect {
                database: self.shared.name.clone(),
                detail: other.to_string(),
            },
        })
    }

    /// Ends the writer after what it was given, and drops the connections.
    pub(crate) async fn close(&self) {
        if let Ok(mut writer) = self.writer.lock() {
            writer.take();
        }
        let thread = self.thread.lock().ok().and_then(|mut t| t.take());
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.pool.close();
    }
}

/// A transaction under way.
pub(crate) struct Open<'c> {
    transaction: Transaction<'c>,
    name: &'c str,
}

impl Tx for Open<'_> {
    async fn query(&self, text: &str, parameters: &[Value]) -> Result<Vec<Record>, StoreError> {
        let ask = async {
            let statement = self.transaction.prepare_cached(text).await?;
            self.transaction
                .query(&statement, &borrowed(parameters))
                .await
        };
        let rows = ask.await.map_err(|e| failed(self.name, &e))?;
        records(self.name, &rows)
    }

    async fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, StoreError> {
        let change = async {
            let statement = self.transaction.prepare_cached(text).await?;
            self.transaction
                .execute(&statement, &borrowed(parameters))
                .await
        };
        change.await.map_err(|e| failed(self.name, &e))
    }
}

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

fn borrowed(parameters: &[Value]) -> Vec<Parameter<'_>> {
    parameters.iter().map(|p| p as Parameter<'_>).collect()
}

fn records(name: &str, rows: &[tokio_postgres::Row]) -> Result<Vec<Record>, StoreError> {
    rows.iter()
        .map(|row| {
            (0..row.len())
                .map(|i| row.try_get::<_, Value>(i))
                .collect::<Result<_, _>>()
                .map(Record::new)
                .map_err(|e| failed(name, &e))
        })
        .collect()
}

/// Checks the server's version, migrates; answers the channel's name.
async fn migrated(address: &Address, name: &str) -> Result<String, StoreError> {
    let (mut client, connection) = address
        .connect()
        .await
        .map_err(|e| failed(name, &e).at_open())?;
    let version = connection
        .parameter("server_version")
        .unwrap_or("")
        .to_owned();
    tokio::spawn(connection);
    let major = version
        .split(['.', ' '])
        .next()
        .and_then(|m| m.parse().ok());
    if major.is_some_and(|major: u32| major < OLDEST) {
        return Err(StoreError::TooOld {
            database: name.to_owned(),
            found: version,
        });
    }
    let sql = |e| failed(name, &e);
    if !missing(
        name,
        migrate::POSTGRES,
        &applied(&client).await.map_err(sql)?,
    )?
    .is_empty()
    {
        let tx = client.transaction().await.map_err(sql)?;
        tx.execute("select pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(sql)?;
        make_schema(tx.client()).await.map_err(sql)?;
        tx.batch_execute(migrate::TABLE_POSTGRES)
            .await
            .map_err(sql)?;
        let done = applied(tx.client()).await.map_err(sql)?;
        for migration in missing(name, migrate::POSTGRES, &done)? {
            tx.batch_execute(migration.text).await.map_err(sql)?;
            let checksum = migration.checksum();
            tx.execute(
                migrate::REMEMBER_POSTGRES,
                &[&migration.number, &migration.name, &&checksum[..]],
            )
            .await
            .map_err(sql)?;
        }
        tx.commit().await.map_err(sql)?;
    }
    let text = "select coalesce(current_schema()::text, 'public')";
    let row = client.query_one(text, &[]).await.map_err(sql)?;
    let schema: String = row.try_get(0).map_err(sql)?;
    Ok(format!("afterplan_{schema}"))
}

/// Makes the schema that `search_path` names first where there is none, as a file is made that is not there.
async fn make_schema(client: &Client) -> Result<(), tokio_postgres::Error> {
    let text = "select quote_ident(trim(both ' \"' from split_part(current_setting('search_path'), ',', 1)))
        where current_schema() is null";
    if let Some(row) = client.query_opt(text, &[]).await? {
        let schema: String = row.try_get(0)?;
        let text = format!("create schema if not exists {schema}");
        client.batch_execute(&text).await?;
    }
    Ok(())
}

async fn applied(client: &Client) -> Result<Vec<(i64, Vec<u8>)>, tokio_postgres::Error> {
    let known = "
        select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relname = 'schema_migration' and n.nspname = current_schema()";
    if client.query(known, &[]).await?.is_empty() {
        return Ok(Vec::new());
    }
    let rows = client.query(migrate::APPLIED, &[]).await?;
    rows.iter()
        .map(|r| Ok((r.try_get(0)?, r.try_get(1)?)))
        .collect()
}

/// The thread of the writer and of the listener: its own runtime, so that a busy program does not delay its commits.
fn writer_thread(
    shared: &Arc<Shared>,
    (inbox, under_way): (mpsc::Receiver<Request<Never>>, UnderWay),
    count: watch::Sender<i64>,
    ready: oneshot::Sender<Result<(), StoreError>>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Err(e) => drop(ready.send(Err(cannot_start(&shared.name, &e)))),
        Ok(runtime) => runtime.block_on(async {
            tokio::spawn(listen(shared.clone(), count, ready));
            write_loop(shared, Queue::new(inbox, under_way)).await;
        }),
    }
}

fn cannot_start(name: &str, error: &std::io::Error) -> StoreError {
    StoreError::CannotConnect {
        database: name.to_owned(),
        detail: error.to_string(),
    }
}

/// Listens, and again after each loss; each time it listens anew counts as a commit elsewhere, since some may have been missed.
async fn listen(
    shared: Arc<Shared>,
    count: watch::Sender<i64>,
    ready: oneshot::Sender<Result<(), StoreError>>,
) {
    let mut ready = Some(ready);
    let mut pause = RELISTEN.0;
    loop {
        let lost = listen_once(&shared, &count, &mut ready).await;
        match (lost, ready.take()) {
            (Err(error), Some(ready)) => {
                let _ = ready.send(Err(error.at_open()));
                return;
            }
            (Err(error), None) => tracing::warn!(%error, "Cannot listen for commits elsewhere"),
            (Ok(()), _) => {
                tracing::warn!("The listening connection was lost");
                pause = RELISTEN.0;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RELISTEN.1);
    }
}

/// Until the connection is lost.
async fn listen_once(
    shared: &Shared,
    count: &watch::Sender<i64>,
    ready: &mut Option<oneshot::Sender<Result<(), StoreError>>>,
) -> Result<(), StoreError> {
    let sql = |e| failed(&shared.name, &e);
    let (client, mut connection) = shared.address.connect().await.map_err(sql)?;
    let (heard, mut hear) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(n) = message
                && heard.send(n.process_id()).is_err()
            {
                return;
            }
        }
    });
    let text = format!("listen \"{}\"", shared.channel.replace('"', "\"\""));
    client.batch_execute(&text).await.map_err(sql)?;
    shared.outage.over();
    count.send_modify(|n| *n += 1);
    if let Some(ready) = ready.take() {
        let _ = ready.send(Ok(()));
    }
    while let Some(pid) = hear.recv().await {
        if pid != shared.writer_pid.load(Ordering::Relaxed) {
            count.send_modify(|n| *n += 1);
        }
    }
    Ok(())
}
