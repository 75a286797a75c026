//! The writer of PostgreSQL: each batch is one transaction in two pipelined round trips, first what must be locked and known, then one
//! statement a table and the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use tokio_postgres::{Client, Statement};

use crate::error::StoreError;
use crate::money_statements::{MONEY, READ_LEDGER};
use crate::postgres::{Never, Shared as Connected};
use crate::postgres_columns::Columns;
use crate::postgres_error::failed;
use crate::postgres_known::{Batch, Found, Known};
use crate::postgres_money::Ledgers;
use crate::prepare::Prepared;
use crate::queue::{Batch as Waiters, Next, Queue, Waiting};
use crate::statements::{
    ADD_PLAN, ADD_REVISION, DROP_BLOB, DROP_COUNTER, INSERT_ORCHESTRATION, LAST_REVISION,
    LOCK_ACCOUNT, LOCK_BLOB, LOCK_COUNTER, LOCK_PLAN, MAKE_ACCOUNT, OPEN_SUBMISSION, PROGRESS,
    PUT_BLOB, REFER_BLOB, SET_COUNTER, STANDING, TOUCH_PLAN,
};
use crate::turns::ADD_TURN;
use crate::write::{CommitError, Committed};

pub(crate) type Answers = Vec<Result<Committed, CommitError>>;

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// How often a batch is tried that collided with another transaction.
const TRIES: usize = 3;

/// What holds for the writer's transactions whatever the server's defaults are: durable when answered, and no replica that froze keeps
/// the others waiting for long. Each statement is planned once, and finds its rows by their keys: planned on tables that are still
/// empty it would read them whole, and go on doing so until statistics come, a minute or more later.
const SETTINGS: &str = "
    set synchronous_commit = on;
    set lock_timeout = '10s';
    set idle_in_transaction_session_timeout = '10s';
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set enable_hashjoin = off;
    set enable_mergejoin = off;
    set random_page_cost = 0.01;
    set jit = off";

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
    turn: Statement,
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
    drop_blob: Statement,
    lock_plan: Statement,
    plan: Statement,
    touch: Statement,
    last_revision: Statement,
    revision: Statement,
    open_submission: Statement,
    read_ledger: Statement,
    money: Statement,
}

impl Line {
    async fn open(connected: &Connected) -> Result<Self, StoreError> {
        let name = &connected.name;
        let opened = connected.address.connect().await;
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
                turn: client.prepare(ADD_TURN.postgres).await?,
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
                drop_blob: client.prepare(DROP_BLOB.postgres).await?,
                lock_plan: client.prepare(LOCK_PLAN.postgres).await?,
                plan: client.prepare(ADD_PLAN.postgres).await?,
                touch: client.prepare(TOUCH_PLAN.postgres).await?,
                last_revision: client.prepare(LAST_REVISION.postgres).await?,
                revision: client.prepare(ADD_REVISION.postgres).await?,
                open_submission: client.prepare(OPEN_SUBMISSION.postgres).await?,
                read_ledger: client.prepare(READ_LEDGER.postgres).await?,
                money: client.prepare(MONEY).await?,
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

    /// The first round trip. Locks in this order: accounts, plans, counters, blobs; each sorted by key. The accounts' locks stand for their
    /// orchestrations too.
    async fn lock(&self, sets: &[&Prepared]) -> Result<Known, tokio_postgres::Error> {
        let mut accounts: BTreeSet<&str> = BTreeSet::new();
        let mut payers: BTreeSet<&str> = BTreeSet::new();
        let mut counters: BTreeSet<&str> = BTreeSet::new();
        let mut ids: Vec<&[u8]> = Vec::with_capacity(sets.len());
        let mut versions: Vec<Option<i64>> = Vec::with_capacity(sets.len());
        let mut cursors: Vec<Option<i64>> = Vec::with_capacity(sets.len());
        let mut chains: Vec<Option<&[u8]>> = Vec::with_capacity(sets.len());
        let mut blobs: BTreeSet<&[u8]> = BTreeSet::new();
        let (mut planners, mut plans): (Vec<&str>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        let (mut revisers, mut revised): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let (mut submitters, mut submissions): (Vec<&str>, Vec<&[u8]>) = (Vec::new(), Vec::new());
        for set in sets {
            let o = &set.rows.orchestration;
            accounts.insert(&o.account);
            counters.extend(set.rows.counters.iter().map(|c| c.key.as_str()));
            if !set.rows.money.is_empty() {
                payers.insert(&o.account);
            }
            let expected = set.rows.expected_version;
            ids.push(&o.id);
            versions.push(expected);
            cursors.push(expected.and(Some(set.cursor_before)));
            chains.push(expected.and(Some(&set.chain_before[..])));
            let named = set.referred.iter().chain(&set.released);
            blobs.extend(named.map(|(hash, _)| hash.as_slice()));
            if let Some(plan) = &set.plan {
                planners.push(&o.account);
                plans.push(&plan.row.hash);
                if let Some(plan_id) = &plan.plan_id {
                    revisers.push(&o.account);
                    revised.push(plan_id);
                }
            }
            if let (None, Some(key)) = (expected, &o.submission_key) {
                submitters.push(&o.account);
                submissions.push(key);
            }
        }
        let accounts: Vec<&str> = accounts.into_iter().collect();
        let payers: Vec<&str> = payers.into_iter().collect();
        let counters: Vec<&str> = counters.into_iter().collect();
        let blobs: Vec<&[u8]> = blobs.into_iter().collect();
        let c = &self.client;
        let none = || Ok(Vec::new());
        // Sent in this order, one after another, without waiting for the answers in between.
        let (begun, feeds, ledgers, plans, revisions, held, otherwise, open, blobs) = tokio::join! { biased;
            c.batch_execute("begin"),
            async { c.query(&self.lock_account, &[&accounts]).await },
            async { if payers.is_empty() { none() } else { c.query(&self.read_ledger, &[&payers]).await } },
            async { if plans.is_empty() { none() } else { c.query(&self.lock_plan, &[&planners, &plans]).await } },
            async { if revised.is_empty() { none() } else { c.query(&self.last_revision, &[&revisers, &revised]).await } },
            async { if counters.is_empty() { none() } else { c.query(&self.lock_counter, &[&counters]).await } },
            async { c.query(&self.standing, &[&ids, &versions, &cursors, &chains]).await },
            async { if submissions.is_empty() { none() } else { c.query(&self.open_submission, &[&submitters, &submissions]).await } },
            async { if blobs.is_empty() { none() } else { c.query(&self.lock_blob, &[&blobs]).await } },
        };
        begun?;
        Known::read(&Found {
            feeds: feeds?,
            held: held?,
            ledgers: ledgers?,
            otherwise: otherwise?,
            open: open?,
            blobs: blobs?,
            plans: plans?,
            revisions: revisions?,
        })
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
            turns,
            blobs,
            referred,
            released,
            plans,
            touched,
            revisions,
            money,
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
        progress.extend(enrichments.parameters());
        progress.extend([
            &accounts as Parameter<'_>,
            &feeds,
            &connected.channel,
            &hint,
        ]);
        let ledgers = Ledgers::of(shared);
        // Sent in this order without waiting in between; most batches are the first and the last only. Ended orchestrations come before
        // new ones, so that a submission may follow its equal.
        let written = tokio::join! { biased;
            one(c, &self.progress, true, progress),
            one(c, &self.plan, !plans.is_empty(), plans.parameters()),
            one(c, &self.touch, !touched.is_empty(), touched.parameters()),
            one(c, &self.revision, !revisions.is_empty(), revisions.parameters()),
            one(c, &self.insert, !insert.is_empty(), insert.parameters()),
            one(c, &self.turn, !turns.is_empty(), turns.parameters()),
            one(c, &self.blob, !blobs.is_empty(), blobs.parameters()),
            one(c, &self.refer, !referred.is_empty(), referred.parameters()),
            one(c, &self.drop_blob, !released.is_empty(), vec![released]),
            one(c, &self.set_counter, !keys.is_empty(), vec![&keys, &held]),
            one(c, &self.money, !money.is_empty(), ledgers.and(money)),
            one(c, &self.drop_counter, !free.is_empty(), vec![&free]),
            async { c.batch_execute("commit").await.map(|()| 0) },
        };
        let (p, np, tp, nr, i, t, b, r, db, sc, m, dc, done) = written;
        for answer in [p, np, tp, nr, i, t, b, r, db, sc, m, dc, done] {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
    use super::*;
    use crate::db::Store;
    use crate::url::DatabaseUrl;

    const WRITER: [&str; 19] = [
        INSERT_ORCHESTRATION.postgres,
        PROGRESS.postgres,
        PUT_BLOB.postgres,
        REFER_BLOB.postgres,
        SET_COUNTER.postgres,
        DROP_COUNTER.postgres,
        LOCK_ACCOUNT.postgres,
        LOCK_COUNTER.postgres,
        STANDING.postgres,
        MAKE_ACCOUNT.postgres,
        LOCK_BLOB.postgres,
        DROP_BLOB.postgres,
        LOCK_PLAN.postgres,
        ADD_PLAN.postgres,
        TOUCH_PLAN.postgres,
        LAST_REVISION.postgres,
        OPEN_SUBMISSION.postgres,
        READ_LEDGER.postgres,
        MONEY,
    ];

    async fn planned(client: &Client, text: &str) -> Vec<String> {
        let parameters = (1..100).filter(|n| text.contains(&format!("${n}"))).max();
        let nulls = vec!["null"; parameters.unwrap()].join(", ");
        let prepare = format!("prepare looked_at as {text}");
        client.batch_execute(&prepare).await.unwrap();
        let explain = format!("explain execute looked_at({nulls})");
        let rows = client.query(&explain, &[]).await.unwrap();
        client.batch_execute("deallocate looked_at").await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[tokio::test]
    async fn what_is_planned_on_empty_tables_finds_its_rows_by_their_keys() {
        let Ok(server) = std::env::var("AFTERPLAN_TEST_POSTGRES") else {
            println!("SKIPPED: PostgreSQL (AFTERPLAN_TEST_POSTGRES is not set)");
            return;
        };
        let schema = format!("planned_{}", std::process::id());
        let mark = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{mark}options=-csearch_path%3D{schema}");
        let place = DatabaseUrl::parse(&url).unwrap();
        Store::open(&place).await.unwrap().close().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(SETTINGS).await.unwrap();
        for text in WRITER {
            let plan = planned(&client, text).await;
            for (at, line) in plan.iter().enumerate() {
                assert!(!line.contains("Seq Scan"), "{text}\n{plan:#?}");
                let by_key = || plan.get(at + 1).is_some_and(|l| l.contains("Index Cond:"));
                let scan = line.contains("Index Scan") || line.contains("Index Only Scan");
                assert!(!scan || by_key(), "{text}\n{plan:#?}");
            }
        }
        let drop = format!("drop schema {schema} cascade");
        client.batch_execute(&drop).await.unwrap();
    }
}
