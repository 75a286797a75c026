//! The writer of PostgreSQL: each batch is one transaction in two pipelined round trips, first what must be locked and known, then one
//! statement a table and the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::error::StoreError;
use crate::postgres::{Never, Shared as Connected};
use crate::postgres_columns::Columns;
use crate::postgres_error::failed;
use crate::prepare::Prepared;
use crate::queue::{Batch as Waiters, Next, Queue, Waiting};
use crate::rows::{Hash, Id};
use crate::shared::Shared;
use crate::sqlite_write::refused_by_fence;
use crate::statements::{
    ADD_ENRICHMENT, DROP_COUNTER, INSERT_ORCHESTRATION, LOCK_ACCOUNT, LOCK_BLOB, LOCK_COUNTER,
    MAKE_ACCOUNT, OPEN_SUBMISSION, PROGRESS, PUT_BLOB, REFER_BLOB, SET_COUNTER, STANDING,
};
use crate::write::{CommitError, Committed};

type Answers = Vec<Result<Committed, CommitError>>;

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// How often a batch is tried that collided with another transaction.
const TRIES: usize = 3;

/// What holds for the writer's transactions whatever the server's defaults are: durable when answered, and no replica that froze keeps
/// the others waiting for long.
const SETTINGS: &str = "
    set synchronous_commit = on;
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '10s'";

/// One pass after another until every sender is gone.
pub(crate) async fn write_loop(connected: &Connected, mut queue: Queue<Never>) {
    let mut line: Option<Line> = None;
    while let Some(next) = queue.next().await {
        match next {
            Next::Other(never) => match never {},
            Next::Batch(batch) => answer(connected, &mut line, batch).await,
        }
    }
}

async fn answer(connected: &Connected, line: &mut Option<Line>, batch: Waiters) {
    let sets: Vec<&Prepared> = batch.iter().map(|w| &w.set).collect();
    let answers = match commit(connected, line, &sets).await {
        Ok(answers) => answers,
        // One row set that the schema refuses must not fail its neighbours: each on its own.
        Err(StoreError::Constraint { .. }) if sets.len() > 1 => {
            let mut answers = Vec::with_capacity(sets.len());
            for set in &sets {
                let alone = commit(connected, line, &[*set]).await;
                answers.extend(alone.unwrap_or_else(|e| vec![Err(e.into())]));
            }
            answers
        }
        Err(error) => sets.iter().map(|_| Err(error.clone().into())).collect(),
    };
    batch.into_iter().zip(answers).for_each(Waiting::answered);
}

/// One transaction, tried again when it collided, or when the server could not be reached before anything was sent to be kept. An
/// error means that nothing of it is stored.
async fn commit(
    connected: &Connected,
    line: &mut Option<Line>,
    sets: &[&Prepared],
) -> Result<Answers, StoreError> {
    let mut patience = connected.outage.patience();
    let mut tries = 1;
    loop {
        let answer = try_commit(connected, line, sets).await;
        if let Err(StoreError::Contended { .. }) = answer
            && tries < TRIES
        {
            tries += 1;
        } else if !patience.again(&answer).await {
            return answer;
        }
    }
}

/// One transaction, connected anew where needed.
async fn try_commit(
    connected: &Connected,
    line: &mut Option<Line>,
    sets: &[&Prepared],
) -> Result<Answers, StoreError> {
    let open = match line.take() {
        Some(open) if !open.client.is_closed() => open,
        _ => Line::open(connected).await?,
    };
    line.insert(open).commit(connected, sets).await
}

/// The connection that writes, with its statements.
struct Line {
    client: Client,
    insert: Statement,
    progress: Statement,
    enrichment: Statement,
    blob: Statement,
    refer: Statement,
    set_counter: Statement,
    drop_counter: Statement,
    lock_account: Statement,
    lock_counter: Statement,
    standing: Statement,
    make_account: Statement,
    /// Accounts that have a row: none is ever deleted.
    accounts: BTreeSet<String>,
    lock_blob: Statement,
    open_submission: Statement,
}

impl Line {
    async fn open(connected: &Connected) -> Result<Self, StoreError> {
        let name = &connected.name;
        let opened = connected.config.connect(NoTls).await;
        let (client, connection) = opened.map_err(|e| failed(name, &e))?;
        tokio::spawn(connection);
        let prepare = async {
            client.batch_execute(SETTINGS).await?;
            let row = client.query_one("select pg_backend_pid()", &[]).await?;
            connected
                .writer_pid
                .store(row.try_get(0)?, Ordering::Relaxed);
            Ok(Self {
                insert: client.prepare(INSERT_ORCHESTRATION.postgres).await?,
                progress: client.prepare(PROGRESS.postgres).await?,
                enrichment: client.prepare(ADD_ENRICHMENT.postgres).await?,
                blob: client.prepare(PUT_BLOB.postgres).await?,
                refer: client.prepare(REFER_BLOB.postgres).await?,
                set_counter: client.prepare(SET_COUNTER.postgres).await?,
                drop_counter: client.prepare(DROP_COUNTER.postgres).await?,
                lock_account: client.prepare(LOCK_ACCOUNT.postgres).await?,
                lock_counter: client.prepare(LOCK_COUNTER.postgres).await?,
                standing: client.prepare(STANDING.postgres).await?,
                make_account: client.prepare(MAKE_ACCOUNT.postgres).await?,
                accounts: BTreeSet::new(),
                lock_blob: client.prepare(LOCK_BLOB.postgres).await?,
                open_submission: client.prepare(OPEN_SUBMISSION.postgres).await?,
                client,
            })
        };
        prepare.await.map_err(|e| failed(name, &e))
    }

    async fn commit(
        &mut self,
        connected: &Connected,
        sets: &[&Prepared],
    ) -> Result<Answers, StoreError> {
        let sql = |e| failed(&connected.name, &e);
        self.make_accounts(sets).await.map_err(sql)?;
        let known = match self.lock(sets).await {
            Ok(known) => known,
            Err(error) => {
                let _ = self.client.batch_execute("rollback").await;
                return Err(sql(error));
            }
        };
        let mut batch = known.admit(sets);
        if batch.columns.is_empty() {
            self.client.batch_execute("rollback").await.map_err(sql)?;
            return Ok(batch.answers);
        }
        match self.write(connected, &batch).await {
            Ok(()) => Ok(batch.answers),
            Err(error) => match sql(error) {
                // What was sent ended with the commit: it may have been carried out, only the answer is missing.
                StoreError::Lost { detail, .. } => {
                    for answer in batch.answers.iter_mut().filter(|a| a.is_ok()) {
                        *answer = Err(CommitError::Unknown(detail.clone()));
                    }
                    Ok(batch.answers)
                }
                error => {
                    let _ = self.client.batch_execute("rollback").await;
                    Err(error)
                }
            },
        }
    }

    /// Rows for accounts that this connection meets for the first time; stays even when the batch fails.
    async fn make_accounts(&mut self, sets: &[&Prepared]) -> Result<(), tokio_postgres::Error> {
        let mut new: BTreeMap<&str, i64> = BTreeMap::new();
        for o in sets.iter().map(|set| &set.rows.orchestration) {
            if !self.accounts.contains(&o.account) {
                new.entry(&o.account).or_insert(o.updated_at);
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let (names, times): (Vec<&str>, Vec<i64>) = new.into_iter().unzip();
        self.client
            .execute(&self.make_account, &[&names, &times])
            .await?;
        self.accounts.extend(names.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The first round trip. Locks in this order: accounts, counters, blobs; each sorted by key. The accounts' locks stand for their
    /// orchestrations too.
    async fn lock(&self, sets: &[&Prepared]) -> Result<Known, tokio_postgres::Error> {
        let mut accounts: BTreeSet<&str> = BTreeSet::new();
        let mut counters: BTreeSet<&str> = BTreeSet::new();
        let mut ids: Vec<&[u8]> = Vec::with_capacity(sets.len());
        let mut versions: Vec<Option<i64>> = Vec::with_capacity(sets.len());
        let mut cursors: Vec<Option<i64>> = Vec::with_capacity(sets.len());
        let mut chains: Vec<Option<&[u8]>> = Vec::with_capacity(sets.len());
        let mut blobs: BTreeSet<&[u8]> = BTreeSet::new();
        let (mut submitters, mut submissions): (Vec<&str>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        for set in sets {
            let o = &set.rows.orchestration;
            accounts.insert(&o.account);
            counters.extend(set.rows.counters.iter().map(|c| c.key.as_str()));
            let expected = set.rows.expected_version;
            ids.push(&o.id);
            versions.push(expected);
            cursors.push(expected.and(Some(set.cursor_before)));
            chains.push(expected.and(Some(&set.chain_before[..])));
            blobs.extend(set.referred.iter().map(|(hash, _)| hash.as_slice()));
            if let (None, Some(key)) = (expected, &o.submission_key) {
                submitters.push(&o.account);
                submissions.push(key);
            }
        }
        let accounts: Vec<&str> = accounts.into_iter().collect();
        let counters: Vec<&str> = counters.into_iter().collect();
        let blobs: Vec<&[u8]> = blobs.into_iter().collect();
        let c = &self.client;
        let none = || Ok(Vec::new());
        // Sent in this order, one after another, without waiting for the answers in between.
        let (begun, feeds, held, otherwise, open, stored) = tokio::join! { biased;
            c.batch_execute("begin"),
            async { c.query(&self.lock_account, &[&accounts]).await },
            async { if counters.is_empty() { none() } else { c.query(&self.lock_counter, &[&counters]).await } },
            async { c.query(&self.standing, &[&ids, &versions, &cursors, &chains]).await },
            async { if submissions.is_empty() { none() } else { c.query(&self.open_submission, &[&submitters, &submissions]).await } },
            async { if blobs.is_empty() { none() } else { c.query(&self.lock_blob, &[&blobs]).await } },
        };
        begun?;
        Known::read(&feeds?, &held?, &otherwise?, &open?, &stored?)
    }

    /// The second round trip: all writes, one notification, the commit.
    async fn write(
        &self,
        connected: &Connected,
        batch: &Batch<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        let Columns {
            insert,
            update,
            steps,
            events,
            enrichments,
            blobs,
            referred,
            ..
        } = &batch.columns;
        let (c, shared) = (&self.client, &batch.shared);
        let (accounts, feeds): (Vec<&str>, Vec<i64>) =
            shared.feeds.iter().map(|(a, f)| (a.as_str(), *f)).unzip();
        let changed = || shared.counters.iter().filter(|(_, c)| c.1);
        let (keys, held): (Vec<&str>, Vec<i64>) = changed()
            .filter(|(_, c)| c.0 != 0)
            .map(|(k, c)| (k.as_str(), c.0))
            .unzip();
        // Rows that were made only to be locked go too.
        let free = shared.counters.iter().filter(|(_, c)| c.0 == 0);
        let free: Vec<&str> = free.map(|(k, _)| k.as_str()).collect();
        let hint = feeds.iter().max().copied().unwrap_or(0).to_string();
        let mut progress = update.parameters();
        progress.extend(steps.parameters());
        progress.extend(events.parameters());
        progress.extend([
            &accounts as Parameter<'_>,
            &feeds,
            &connected.channel,
            &hint,
        ]);
        // Sent in this order without waiting in between; most batches are the first and the last only. Ended orchestrations come before
        // new ones, so that a submission may follow its equal.
        let written = tokio::join! { biased;
            one(c, &self.progress, true, progress),
            one(c, &self.insert, !insert.is_empty(), insert.parameters()),
            one(c, &self.enrichment, !enrichments.is_empty(), enrichments.parameters()),
            one(c, &self.blob, !blobs.is_empty(), blobs.parameters()),
            one(c, &self.refer, !referred.is_empty(), referred.parameters()),
            one(c, &self.set_counter, !keys.is_empty(), vec![&keys, &held]),
            one(c, &self.drop_counter, !free.is_empty(), vec![&free]),
            async { c.batch_execute("commit").await.map(|()| 0) },
        };
        let (p, i, e, b, r, sc, dc, done) = written;
        for answer in [p, i, e, b, r, sc, dc, done] {
            answer?;
        }
        Ok(())
    }
}

/// A statement of the batch, where it is wanted.
async fn one(
    client: &Client,
    statement: &Statement,
    wanted: bool,
    parameters: Vec<Parameter<'_>>,
) -> Result<u64, tokio_postgres::Error> {
    if wanted {
        client.execute(statement, &parameters).await
    } else {
        Ok(0)
    }
}

/// What the first round trip has locked and found.
struct Known {
    shared: Shared,
    /// Orchestrations that do not stand as expected, and their versions.
    otherwise: BTreeMap<Id, Option<i64>>,
    open: BTreeMap<(String, Vec<u8>), Id>,
    stored: BTreeSet<Vec<u8>>,
}

impl Known {
    fn read(
        feeds: &[Row],
        held: &[Row],
        otherwise: &[Row],
        open: &[Row],
        stored: &[Row],
    ) -> Result<Self, tokio_postgres::Error> {
        let mut known = Self {
            shared: Shared::default(),
            otherwise: BTreeMap::new(),
            open: BTreeMap::new(),
            stored: BTreeSet::new(),
        };
        for r in feeds {
            known.shared.feeds.insert(r.try_get(0)?, r.try_get(1)?);
        }
        for r in held {
            let counter = (r.try_get(1)?, false);
            known.shared.counters.insert(r.try_get(0)?, counter);
        }
        for r in otherwise {
            known.otherwise.insert(fixed(r.try_get(0)?), r.try_get(1)?);
        }
        for r in open {
            let submission = (r.try_get(0)?, r.try_get(1)?);
            known.open.insert(submission, fixed(r.try_get(2)?));
        }
        for r in stored {
            known.stored.insert(r.try_get(0)?);
        }
        Ok(known)
    }

    /// Admits row sets one by one, in memory, each against what the ones before it have changed.
    fn admit<'s>(mut self, sets: &[&'s Prepared]) -> Batch<'s> {
        let mut columns = Columns::with_room_for(sets);
        let mut answers = Vec::with_capacity(sets.len());
        for set in sets {
            answers.push(self.admit_one(set).map(|version| {
                let before = self.shared.take(set);
                columns.put(set, before);
                Committed {
                    version,
                    cursor: set.rows.orchestration.cursor,
                    feed: before + set.hashes.len() as i64,
                    chain: set.rows.orchestration.chain,
                    batch: sets.len(),
                }
            }));
        }
        columns.finish();
        Batch {
            shared: self.shared,
            columns,
            answers,
        }
    }

    /// The order of `sqlite_write::admit`. Answers the new version.
    fn admit_one(&mut self, set: &Prepared) -> Result<i64, CommitError> {
        self.shared.fits(set)?;
        let o = &set.rows.orchestration;
        let submission = o
            .submission_key
            .map(|key| (o.account.clone(), key.to_vec()));
        if let (None, Some(submission)) = (set.rows.expected_version, &submission) {
            match self.open.get(submission) {
                Some(existing) if *existing == o.id => return Err(CommitError::Overtaken),
                Some(existing) => {
                    return Err(CommitError::Duplicate {
                        existing: *existing,
                    });
                }
                None => {}
            }
        }
        let missing = |(hash, _): &&(Hash, i64)| !self.stored.contains(hash.as_slice());
        if let Some((hash, _)) = set.referred.iter().find(missing) {
            return Err(CommitError::BlobMissing { hash: *hash });
        }
        let version = match (set.rows.expected_version, self.otherwise.get(&o.id)) {
            (expected, None) => expected.unwrap_or(0) + 1,
            (Some(expected), Some(found)) => return Err(refused_by_fence(*found, expected)),
            (None, Some(_)) => return Err(CommitError::Overtaken),
        };
        if let Some(submission) = submission {
            if o.ended_at.is_some() {
                self.open.remove(&submission);
            } else {
                self.open.insert(submission, o.id);
            }
        }
        for blob in &set.blobs {
            self.stored.insert(blob.hash.to_vec());
        }
        Ok(version)
    }
}

/// What is to be written, and what will be answered once it is.
struct Batch<'s> {
    shared: Shared,
    columns: Columns<'s>,
    answers: Answers,
}

/// The schema has these columns at their lengths; another length decodes to what matches nothing.
fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}
