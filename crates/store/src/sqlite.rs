//! SQLite: one file, one writer thread, a few connections for reads, shared with other programs by its own locks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::errand::{Errand, Numbers, Tx, at_once, perform};
use crate::error::StoreError;
use crate::migrate::{self, missing};
use crate::presence::Presence;
use crate::queue::{Queue, Request, UnderWay, WAITING};
use crate::record::{Record, Value};
use crate::sqlite_write::{Errands, write_loop};

/// How long a statement waits for another program's lock.
const LOCKED: Duration = Duration::from_secs(10);

/// Bytes of a page. A commit writes every page that it touches, so that small ones write less; smaller still, and the work a page
/// costs outweighs it.
const PAGE: i64 = 2048;

/// Bytes of the log before it is brought into the file: a page that many commits touch is then brought in once.
const CHECKPOINT: i64 = 64 << 20;

/// KiB of pages that the writer keeps. A commit that balanced a tree makes SQLite look through all of them (it names pages by a number past
/// the end for a moment): more of them cost each commit more than reading the others again.
const CACHE_KIB: i64 = 8 << 10;

/// A log that is left lying by a program with nothing to do is brought into the file from this many bytes on.
const LEFT_LYING: u64 = 1 << 20;

/// A prepared statement holds for all parameters. Else SQLite compares some of them with what partial indexes ask for, and prepares
/// the statement anew whenever one is bound.
const ANY_PARAMETERS: DbConfig = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;

/// Connections for reads: two cores keep no more than this busy.
const READERS: usize = 4;

/// Prepared statements kept by a connection; this crate has fewer.
const STATEMENTS: usize = 64;

/// An open file.
pub(crate) struct Sqlite {
    path: PathBuf,
    name: Arc<str>,
    writer: Mutex<Option<mpsc::Sender<Request<Errands>>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
    elsewhere: Mutex<Elsewhere>,
    pub(crate) presence: Presence,
}

/// What is known of commits by others.
#[derive(Default)]
struct Elsewhere {
    /// Length and time of the log when it was asked last.
    log: Option<(u64, SystemTime)>,
    /// How often it was asked with the log so. A log may change twice within one tick of the file system's clock, so that the first
    /// answer may be too early.
    asked: u8,
    number: i64,
    /// The log when it was brought into the file last, with nothing else to do.
    tidied: Option<(u64, SystemTime)>,
}

impl Sqlite {
    pub(crate) async fn open(path: PathBuf, under_way: UnderWay) -> Result<Self, StoreError> {
        let name: Arc<str> = path.display().to_string().into();
        let (opened, label) = (path.clone(), name.clone());
        let connection = blocking(move || open_writer(&opened, &label)).await??;
        let (sender, receiver) = mpsc::channel(WAITING);
        let label = name.clone();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_loop(connection, Queue::new(receiver, under_way), &label))
            .map_err(|e| StoreError::CannotConnect {
                database: name.to_string(),
                detail: e.to_string(),
            })?;
        Ok(Self {
            presence: Presence::beside(&path),
            elsewhere: Mutex::default(),
            path,
            name,
            writer: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            idle: Arc::default(),
            places: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// The way to the writer.
    pub(crate) fn writer(&self) -> Result<mpsc::Sender<Request<Errands>>, StoreError> {
        match self.writer.lock() {
            Ok(sender) => sender.clone().ok_or(StoreError::Closed),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Does something on the writer's connection, between its batches.
    pub(crate) async fn on_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let errand: Errands = Box::new(move |connection, name| {
            // Nobody waits any more when the caller was dropped.
            let _ = answer.send(work(connection, name));
        });
        self.writer()?
            .send(Request::Other(errand))
            .await
            .map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Does something on a connection of its own.
    pub(crate) async fn on_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| StoreError::Closed)?;
        let (idle, path, name) = (self.idle.clone(), self.path.clone(), self.name.clone());
        blocking(move || {
            let kept = idle.lock().ok().and_then(|mut idle| idle.pop());
            let connection = match kept {
                Some(connection) => connection,
                None => open_reader(&path, &name)?,
            };
            let answer = work(&connection, &name);
            if let Ok(mut idle) = idle.lock() {
                idle.push(connection);
            }
            drop(place);
            answer
        })
        .await?
    }

    /// Does an errand in a transaction of its own.
    pub(crate) async fn errand(&self, errand: Errand) -> Result<Numbers, StoreError> {
        self.on_writer(move |connection, name| {
            let tx = Open { connection, name };
            batch(&tx, "begin immediate")?;
            let done = at_once(perform(&tx, &errand)).and_then(|numbers| {
                batch(&tx, "commit")?;
                Ok(numbers)
            });
            if done.is_err() && !connection.is_autocommit() {
                let _ = batch(&tx, "rollback");
            }
            done
        })
        .await
    }

    /// Reads in one transaction: all as of one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Open<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.on_reader(move |connection, name| {
            let tx = Open { connection, name };
            batch(&tx, "begin")?;
            let answer = work(&tx);
            let ended = batch(&tx, "rollback");
            answer.and_then(|answer| ended.map(|()| answer))
        })
        .await
    }

    /// A number that changes with the commits of others. Nothing is asked while the log stays as it is.
    pub(crate) async fn commits_elsewhere(&self) -> Result<i64, StoreError> {
        let log = self.log();
        if let Ok(known) = self.elsewhere.lock()
            && known.asked > 1
            && known.log == log
        {
            return Ok(known.number);
        }
        // The writer's connection sees commits of others only, so that this program does not wake itself.
        let ask = |c: &Connection, name: &str| {
            query(c, name, "pragma data_version", &[])?
                .pop()
                .map_or(Ok(0), |mut r| r.int("data_version"))
        };
        let number = self.on_writer(ask).await?;
        if let Ok(mut known) = self.elsewhere.lock() {
            known.asked = if known.log == log {
                known.asked.saturating_add(1)
            } else {
                1
            };
            known.log = log;
            known.number = number;
        }
        Ok(number)
    }

    /// Length and time of the write-ahead log.
    fn log(&self) -> Option<(u64, SystemTime)> {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        let found = std::fs::metadata(path).ok()?;
        Some((found.len(), found.modified().ok()?))
    }

    /// Brings a long log into the file, which the next commit then begins anew: for a program that has nothing else to do.
    pub(crate) async fn tidy_log(&self) -> Result<(), StoreError> {
        let log = self.log();
        let long = log.is_some_and(|(length, _)| length >= LEFT_LYING);
        let tidied = self.elsewhere.lock().is_ok_and(|known| known.tidied == log);
        if tidied || !long {
            return Ok(());
        }
        // Without waiting for those who read: what they keep from it the next time does.
        let bring =
            |c: &Connection, name: &str| query(c, name, "pragma wal_checkpoint(passive)", &[]);
        self.on_writer(bring).await?;
        if let Ok(mut known) = self.elsewhere.lock() {
            known.tidied = log;
        }
        Ok(())
    }

    /// Ends the writer after what it was given, and drops the connections.
    pub(crate) async fn close(&self) {
        if let Ok(mut writer) = self.writer.lock() {
            writer.take();
        }
        self.places.close();
        let thread = self.thread.lock().ok().and_then(|mut t| t.take());
        if let Some(thread) = thread {
            let _ = blocking(move || thread.join()).await;
        }
        if let Ok(mut idle) = self.idle.lock() {
            idle.clear();
        }
        self.presence.give_back_all();
    }
}

/// A connection in use.
pub(crate) struct Open<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) name: &'c str,
}

impl Tx for Open<'_> {
    async fn query(&self, text: &str, parameters: &[Value]) -> Result<Vec<Record>, StoreError> {
        query(self.connection, self.name, text, parameters)
    }

    async fn execute(&self, text: &str, parameters: &[Value]) -> Result<u64, StoreError> {
        execute(self.connection, self.name, text, parameters)
    }
}

fn batch(open: &Open<'_>, text: &str) -> Result<(), StoreError> {
    open.connection
        .execute_batch(text)
        .map_err(|e| failed(open.name, &e))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| StoreError::Closed)
}

fn open_writer(path: &Path, name: &str) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|e| StoreError::CannotConnect {
            database: name.to_owned(),
            detail: format!("{}: {e}", folder.display()),
        })?;
    }
    let started = Instant::now();
    loop {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match set_up(path, flags, name).and_then(|mut c| migrate(&mut c, name).map(|()| c)) {
            // Going over to WAL does not wait for locks by itself: two programs that open a new file at once meet here.
            Err(StoreError::Locked { .. }) if started.elapsed() < LOCKED => {
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn set_up(path: &Path, flags: OpenFlags, name: &str) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failed(name, &e))?;
    let pragmas = |c: &Connection| -> rusqlite::Result<()> {
        c.busy_timeout(LOCKED)?;
        c.pragma_update(None, "page_size", PAGE)?;
        c.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        c.pragma_update(None, "synchronous", "full")?;
        c.pragma_update(None, "wal_autocheckpoint", CHECKPOINT / PAGE)?;
        c.pragma_update(None, "journal_size_limit", CHECKPOINT)?;
        c.pragma_update(None, "cache_size", -CACHE_KIB)?;
        c.set_db_config(ANY_PARAMETERS, true)?;
        c.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    };
    pragmas(&connection).map_err(|e| failed(name, &e))?;
    Ok(connection)
}

fn open_reader(path: &Path, name: &str) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failed(name, &e))?;
    let pragmas = |c: &Connection| -> rusqlite::Result<()> {
        c.busy_timeout(LOCKED)?;
        c.pragma_update(None, "query_only", 1)?;
        c.set_db_config(ANY_PARAMETERS, true)?;
        c.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(())
    };
    pragmas(&connection).map_err(|e| failed(name, &e))?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, name: &str) -> Result<(), StoreError> {
    let sql = |e| failed(name, &e);
    let applied = |c: &Connection| -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        let known = "select 1 from sqlite_schema where name = 'schema_migration'";
        if !c.prepare(known)?.exists([])? {
            return Ok(Vec::new());
        }
        c.prepare(migrate::APPLIED)?
            .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
            .collect()
    };
    // Without a lock first: a database that is as it should be is opened while others write.
    if missing(name, migrate::SQLITE, &applied(connection).map_err(sql)?)?.is_empty() {
        return Ok(());
    }
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Exclusive)
        .map_err(sql)?;
    tx.execute_batch(migrate::TABLE_SQLITE).map_err(sql)?;
    for migration in missing(name, migrate::SQLITE, &applied(&tx).map_err(sql)?)? {
        tx.execute_batch(migration.text).map_err(sql)?;
        let checksum = migration.checksum();
        tx.execute(
            migrate::REMEMBER_SQLITE,
            (migration.number, migration.name, &checksum[..]),
        )
        .map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

/// Asks with a text of `$n` parameters.
pub(crate) fn query(
    connection: &Connection,
    name: &str,
    text: &str,
    parameters: &[Value],
) -> Result<Vec<Record>, StoreError> {
    let ask = || -> rusqlite::Result<Vec<Record>> {
        let mut statement = connection.prepare_cached(&text.replace('$', "?"))?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns).map(|i| row.get_ref(i).map(value));
            records.push(Record::new(values.collect::<rusqlite::Result<_>>()?));
        }
        Ok(records)
    };
    ask().map_err(|e| failed(name, &e))
}

/// Changes with a text of `$n` parameters; answers how many rows.
pub(crate) fn execute(
    connection: &Connection,
    name: &str,
    text: &str,
    parameters: &[Value],
) -> Result<u64, StoreError> {
    connection
        .prepare_cached(&text.replace('$', "?"))
        .and_then(|mut s| s.execute(rusqlite::params_from_iter(parameters)))
        .map(|n| n as u64)
        .map_err(|e| failed(name, &e))
}

fn value(v: ValueRef<'_>) -> Value {
    match v {
        ValueRef::Integer(v) => Value::Int(v),
        ValueRef::Text(v) => Value::Text(String::from_utf8_lossy(v).into_owned()),
        ValueRef::Blob(v) => Value::Bytes(v.to_vec()),
        // The schema has no reals.
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(v) => ValueRef::Integer(*v),
            Self::Text(v) => ValueRef::Text(v.as_bytes()),
            Self::Bytes(v) => ValueRef::Blob(v),
        }))
    }
}

/// What SQLite said, as what it means.
pub(crate) fn failed(name: &str, error: &rusqlite::Error) -> StoreError {
    let database = name.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Locked { database }
        }
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { database },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { database },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { database, detail }
        }
        Some(ErrorCode::CannotOpen) => StoreError::CannotConnect { database, detail },
        Some(ErrorCode::ConstraintViolation) => StoreError::Constraint { database, detail },
        _ => StoreError::Other { database, detail },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("create table t (x blob)").unwrap();
        connection
    }

    #[test]
    fn a_full_disk_and_a_read_only_file_are_called_that() {
        let full = table();
        full.pragma_update(None, "max_page_count", 2).unwrap();
        let error = full.execute("insert into t values (zeroblob(100000))", []);
        let said = failed("plans.db", &error.unwrap_err());
        assert!(
            said.to_string().starts_with("plans.db: the disk is full"),
            "{said}"
        );
        let closed = table();
        closed.pragma_update(None, "query_only", 1).unwrap();
        let error = closed.execute("insert into t values (null)", []);
        let said = failed("plans.db", &error.unwrap_err());
        assert!(
            said.to_string().starts_with("plans.db is read-only"),
            "{said}"
        );
    }
}
