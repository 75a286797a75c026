//! The writer of SQLite: a thread that makes each batch one transaction, statement by prepared statement.

use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, params, params_from_iter};

use crate::error::StoreError;
use crate::ledger::Moved;
use crate::prepare::{EventColumns, PackedBlob, Prepared};
use crate::queue::{Batch, Next, Queue, Waiting};
use crate::shared::Shared;
use crate::sqlite::failed;
use crate::sqlite_money;
use crate::sqlite_plan::{is_stored, put_plan};
use crate::statements::{
    DROP_BLOB, DROP_COUNTER, INSERT_ORCHESTRATION, LOCK_ACCOUNT, LOCK_BLOB, LOCK_COUNTER,
    MAKE_ACCOUNT, OPEN_SUBMISSION, PROGRESS, PUT_BLOB, REFER_BLOB, SET_COUNTER, STANDING,
};
use crate::write::{CommitError, Committed};

/// Work on the writer's connection between batches.
pub(crate) type Errands = Box<dyn FnOnce(&Connection, &str) + Send>;

type Answers = Vec<Result<Committed, CommitError>>;

/// One pass after another until every sender is gone.
pub(crate) fn write_loop(connection: Connection, mut queue: Queue<Errands>, name: &str) {
    while let Some(next) = queue.next_blocking() {
        match next {
            Next::Other(errand) => errand(&connection, name),
            Next::Batch(batch) => answer(&connection, name, batch),
        }
    }
}

fn answer(connection: &Connection, name: &str, batch: Batch) {
    let sets: Vec<&Prepared> = batch.iter().map(|w| &w.set).collect();
    let answers = match commit(connection, name, &sets) {
        Ok(answers) => answers,
        // One row set that the schema refuses must not fail its neighbours: each on its own.
        Err(StoreError::Constraint { .. }) if sets.len() > 1 => sets
            .iter()
            .map(|set| alone(commit(connection, name, &[*set])))
            .collect(),
        Err(error) => sets.iter().map(|_| Err(error.clone().into())).collect(),
    };
    batch.into_iter().zip(answers).for_each(Waiting::answered);
}

fn alone(answers: Result<Answers, StoreError>) -> Result<Committed, CommitError> {
    match answers {
        Ok(mut answers) => answers.pop().unwrap_or(Err(StoreError::Closed.into())),
        Err(error) => Err(error.into()),
    }
}

/// One transaction. An error means that nothing of it is stored.
pub(crate) fn commit(
    connection: &Connection,
    name: &str,
    sets: &[&Prepared],
) -> Result<Answers, StoreError> {
    let sql = |e| failed(name, &e);
    let run = |text| connection.prepare_cached(text)?.execute([]);
    run("begin immediate").map_err(sql)?;
    match write(connection, sets).and_then(|answers| run("commit").map(|_| answers)) {
        Ok(answers) => Ok(answers),
        Err(error) => {
            if !connection.is_autocommit() {
                let _ = run("rollback");
            }
            Err(sql(error))
        }
    }
}

fn write(connection: &Connection, sets: &[&Prepared]) -> rusqlite::Result<Answers> {
    let mut statements = Statements::prepare(connection)?;
    let mut shared = Shared::default();
    let mut answers = Vec::with_capacity(sets.len());
    for set in sets {
        let admitted = admit(&mut statements, connection, &mut shared, set)?;
        answers.push(match admitted {
            Err(refused) => Err(refused),
            Ok(version) => {
                let before = shared.take(set);
                let first_revision = match &set.plan {
                    Some(plan) => put_plan(&mut statements, plan)?,
                    None => false,
                };
                statements.put(set, before, &shared.moved)?;
                sqlite_money::put(connection, set, &shared.moved)?;
                Ok(Committed {
                    version,
                    cursor: set.rows.orchestration.cursor,
                    feed: before + set.hashes.len() as i64,
                    chain: set.rows.orchestration.chain,
                    batch: sets.len(),
                    first_revision,
                })
            }
        });
    }
    for (key, (held, changed)) in &shared.counters {
        match (changed, held) {
            (false, _) => {}
            (true, 0) => drop(one(connection, DROP_COUNTER.sqlite)?.execute([key])?),
            (true, held) => drop(one(connection, SET_COUNTER.sqlite)?.execute(params![key, held])?),
        }
    }
    sqlite_money::end(connection, &shared)?;
    for (account, feed) in &shared.feeds {
        one(connection, PROGRESS.set_feed)?.execute(params![account, feed])?;
    }
    Ok(answers)
}

pub(crate) fn one<'c>(
    connection: &'c Connection,
    text: &str,
) -> rusqlite::Result<CachedStatement<'c>> {
    connection.prepare_cached(text)
}

/// Asks for room in the counters, that no equal submission is under way, that the blobs it names are there; then the fence, which
/// writes the orchestration's row. Answers the new version.
fn admit(
    statements: &mut Statements<'_>,
    connection: &Connection,
    shared: &mut Shared,
    set: &Prepared,
) -> rusqlite::Result<Result<i64, CommitError>> {
    load(connection, shared, set)?;
    if let Err(full) = shared.fits(set) {
        return Ok(Err(full));
    }
    let o = &set.rows.orchestration;
    if let (None, Some(key)) = (set.rows.expected_version, &o.submission_key) {
        let open: Option<[u8; 16]> = one(connection, OPEN_SUBMISSION.sqlite)?
            .query_row(params![o.account, &key[..]], |r| r.get(0))
            .optional()?;
        match open {
            Some(existing) if existing == o.id => return Ok(Err(CommitError::Overtaken)),
            Some(existing) => return Ok(Err(CommitError::Duplicate { existing })),
            None => {}
        }
    }
    if let Some(plan) = set.plan.as_ref().filter(|plan| plan.is_bare())
        && !is_stored(connection, plan)?
    {
        let hash = plan.row.manifest_hash;
        return Ok(Err(CommitError::BlobMissing { hash }));
    }
    for (hash, _) in &set.referred {
        if !one(connection, LOCK_BLOB.sqlite)?.exists([&hash[..]])? {
            return Ok(Err(CommitError::BlobMissing { hash: *hash }));
        }
    }
    let Some(expected) = set.rows.expected_version else {
        let inserted = statements.insert(set)?;
        return Ok(if inserted {
            Ok(1)
        } else {
            Err(CommitError::Overtaken)
        });
    };
    if statements.update(set, expected)? {
        return Ok(Ok(expected + 1));
    }
    let version: Option<i64> = one(connection, STANDING.sqlite)?
        .query_row([&o.id[..]], |r| r.get(0))
        .optional()?;
    Ok(Err(refused_by_fence(version, expected)))
}

/// Why the fence let nothing pass: the version moved on, or the events do not go on from where the chain stands.
pub(crate) fn refused_by_fence(found: Option<i64>, expected: i64) -> CommitError {
    if found == Some(expected) {
        let why = "the events do not go on from the orchestration's cursor and chain";
        CommitError::Store(StoreError::Refused(why.to_owned()))
    } else {
        CommitError::Overtaken
    }
}

/// Reads the shared rows that this row set touches, unless an earlier one of the batch did.
fn load(connection: &Connection, shared: &mut Shared, set: &Prepared) -> rusqlite::Result<()> {
    let o = &set.rows.orchestration;
    if !shared.feeds.contains_key(&o.account) {
        one(connection, MAKE_ACCOUNT.sqlite)?.execute(params![o.account, o.updated_at])?;
        let feed = one(connection, LOCK_ACCOUNT.sqlite)?.query_row([&o.account], |r| r.get(0))?;
        shared.feeds.insert(o.account.clone(), feed);
    }
    sqlite_money::load(connection, shared, set)?;
    for change in &set.rows.counters {
        if !shared.counters.contains_key(&change.key) {
            let held: Option<i64> = one(connection, LOCK_COUNTER.sqlite)?
                .query_row([&change.key], |r| r.get(0))
                .optional()?;
            shared
                .counters
                .insert(change.key.clone(), (held.unwrap_or(0), false));
        }
    }
    Ok(())
}

/// The statements of every row set, prepared once a batch.
pub(crate) struct Statements<'c> {
    pub(crate) connection: &'c Connection,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    end: CachedStatement<'c>,
    step: CachedStatement<'c>,
    event: CachedStatement<'c>,
    enrichment: CachedStatement<'c>,
    blob: CachedStatement<'c>,
    refer: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            insert: one(connection, INSERT_ORCHESTRATION.sqlite)?,
            update: one(connection, PROGRESS.update_orchestration)?,
            end: one(connection, PROGRESS.end_orchestration)?,
            step: one(connection, PROGRESS.put_step)?,
            event: one(connection, PROGRESS.append_events)?,
            enrichment: one(connection, PROGRESS.add_enrichment)?,
            blob: one(connection, PUT_BLOB.sqlite)?,
            refer: one(connection, REFER_BLOB.sqlite)?,
        })
    }

    fn insert(&mut self, set: &Prepared) -> rusqlite::Result<bool> {
        let o = &set.rows.orchestration;
        let changed = self.insert.execute(params![
            &o.id[..],
            o.account,
            &o.plan_hash[..],
            o.submission_key.as_ref().map(|k| &k[..]),
            &o.pinned_hash[..],
            o.status,
            o.claimable,
            o.exclusive,
            o.running,
            o.artifact_version,
            o.cursor,
            &o.chain[..],
            o.wake_at,
            set.texts.orchestration,
            o.created_at,
            o.updated_at,
            o.ended_at,
        ])?;
        Ok(changed == 1)
    }

    fn update(&mut self, set: &Prepared, expected: i64) -> rusqlite::Result<bool> {
        let o = &set.rows.orchestration;
        let statement = match o.ended_at {
            None => &mut self.update,
            Some(_) => &mut self.end,
        };
        let columns: [&dyn ToSql; 14] = [
            &&o.id[..],
            &expected,
            &set.cursor_before,
            &&set.chain_before[..],
            &o.status,
            &o.claimable,
            &o.exclusive,
            &o.running,
            &o.artifact_version,
            &o.cursor,
            &&o.chain[..],
            &o.wake_at,
            &set.texts.orchestration,
            &o.updated_at,
        ];
        let ended_at = o.ended_at.as_ref().map(|at| at as &dyn ToSql);
        let columns = columns.into_iter().chain(ended_at);
        Ok(statement.execute(params_from_iter(columns))? == 1)
    }

    /// All rows but the orchestration's own.
    fn put(&mut self, set: &Prepared, feed_before: i64, moved: &[Moved]) -> rusqlite::Result<()> {
        let o = &set.rows.orchestration;
        for (s, detail) in set.rows.steps.iter().zip(&set.texts.steps) {
            self.step.execute(params![
                &o.id[..],
                s.step,
                s.id,
                s.agent,
                s.state,
                s.due_at,
                s.wake_at,
                s.exclusive,
                s.concurrency_key,
                s.concurrency_max,
                s.holder.as_ref().map(|h| &h[..]),
                s.epoch,
                s.attempt,
                s.kept_hash.as_ref().map(|h| &h[..]),
                detail,
            ])?;
        }
        if let Some(events) = EventColumns::of(set, feed_before, moved) {
            self.event.execute(params![
                &o.id[..],
                events.last.seq,
                o.account,
                events.feed,
                events.last.at,
                events.last.kind,
                events.last.step,
                events.data,
                &events.hash[..],
                events.count,
                events.earlier,
                events.transfers,
                events.transfer,
            ])?;
        }
        self.enrichments(set)?;
        crate::turns::put(self.connection, set)?;
        self.blobs(&set.blobs)?;
        for (hash, refs) in &set.referred {
            self.refer.execute(params![&hash[..], refs])?;
        }
        for (hash, refs) in &set.released {
            self.refer.execute(params![&hash[..], -refs])?;
            one(self.connection, DROP_BLOB.sqlite)?.execute([&hash[..]])?;
        }
        Ok(())
    }

    fn enrichments(&mut self, set: &Prepared) -> rusqlite::Result<()> {
        let rows = set.rows.enrichments.iter().zip(&set.texts.enrichments);
        for ((e, detail), own) in rows.zip(&set.own) {
            self.enrichment.execute(params![
                &e.orchestration[..],
                e.version,
                e.step,
                e.agent,
                e.agent_version,
                e.account,
                e.enrichment_type,
                e.status,
                &e.input_hash[..],
                e.data_hash.as_ref().map(|h| &h[..]),
                e.reusable,
                e.at,
                e.cost,
                detail,
                own.as_ref().map(|own| own.size),
                own.as_ref().map(|own| own.encoding),
                own.as_ref().map(|own| &own.stored),
            ])?;
        }
        Ok(())
    }

    pub(crate) fn blobs(&mut self, blobs: &[PackedBlob]) -> rusqlite::Result<()> {
        for b in blobs {
            self.blob
                .execute(params![&b.hash[..], b.size, b.encoding, b.stored, b.refs])?;
        }
        Ok(())
    }
}
