//! The bare loop on SQLite: prepared statements, one transaction a batch, nothing else.

use std::path::Path;

use rusqlite::{Connection, params};
use store::db::Store;
use store::url::DatabaseUrl;

use crate::load::{Load, chain_after};
use crate::measure::{Round, timed};

/// The store makes the schema and the first rows; then a connection of the same settings writes.
pub fn round(load: &Load, sizes: &[usize], path: &Path) -> Round {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = DatabaseUrl::Sqlite(path.to_owned());
        let store = Store::open(&url).await.unwrap();
        for set in &load.first {
            store.commit(set.clone()).await.unwrap();
        }
        store.close().await;
    });
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "synchronous", "full")
        .unwrap();
    connection
        .pragma_update(None, "cache_size", -32_000)
        .unwrap();
    let hashes: Vec<_> = load.in_turn().map(chain_after).collect();
    timed(None, load.len(), sizes.len(), || {
        write(&connection, load, sizes, &hashes)
    })
}

const UPDATE: &str = "update orchestration set status = ?2, claimable = ?3, exclusive = ?4, running = ?5, version = version + 1,
       artifact_version = ?6, cursor = ?7, chain = ?8, wake_at = ?9, detail = ?10, updated_at = ?11
     where id = ?1";

const PUT: &str = "insert into step (orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max,
                       holder, epoch, attempt, detail)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
     on conflict (orchestration, step) do update
     set id = excluded.id, agent = excluded.agent, state = excluded.state, due_at = excluded.due_at,
         wake_at = excluded.wake_at, exclusive = excluded.exclusive, concurrency_key = excluded.concurrency_key,
         concurrency_max = excluded.concurrency_max, holder = excluded.holder, epoch = excluded.epoch,
         attempt = excluded.attempt, detail = excluded.detail";

const APPEND: &str =
    "insert into event (orchestration, seq, account, feed, at, kind, step, data, hash)
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

fn write(connection: &Connection, load: &Load, sizes: &[usize], hashes: &[[u8; 32]]) {
    let mut update = connection.prepare(UPDATE).unwrap();
    let mut put = connection.prepare(PUT).unwrap();
    let mut append = connection.prepare(APPEND).unwrap();
    let mut feed = load.first.len() as i64;
    let mut rows = load.in_turn().zip(hashes);
    for size in sizes {
        connection.execute_batch("begin immediate").unwrap();
        for (set, hash) in rows.by_ref().take(*size) {
            let (o, s, e) = (&set.orchestration, &set.steps[0], &set.events[0]);
            feed += 1;
            update
                .execute(params![
                    &o.id[..],
                    o.status,
                    o.claimable,
                    o.exclusive,
                    o.running,
                    o.artifact_version,
                    e.seq,
                    &hash[..],
                    o.wake_at,
                    o.detail,
                    o.updated_at
                ])
                .unwrap();
            put.execute(params![
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
                s.detail
            ])
            .unwrap();
            append
                .execute(params![
                    &o.id[..],
                    e.seq,
                    o.account,
                    feed,
                    e.at,
                    e.kind,
                    e.step,
                    e.data,
                    &hash[..]
                ])
                .unwrap();
        }
        connection
            .execute("update account set feed = ?1 where id = 'system'", [feed])
            .unwrap();
        connection.execute_batch("commit").unwrap();
    }
}
