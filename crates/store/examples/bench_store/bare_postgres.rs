//! The bare loop on PostgreSQL: one UNNEST statement a table, pipelined, one transaction a batch, nothing else.

use store::db::Store;
use store::rows::Hash;
use store::url::DatabaseUrl;
use store::write::RowSet;
use tokio_postgres::{Client, NoTls, Statement};

use crate::load::{Load, chain_after};
use crate::measure::{Round, timed};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// An empty schema of that name, as a URL.
pub fn schema(server: &str, name: &str) -> String {
    let text = format!("drop schema if exists {name} cascade; create schema {name}");
    runtime().block_on(async { connect(server).await.batch_execute(&text).await.unwrap() });
    let mark = if server.contains('?') { '&' } else { '?' };
    format!("{server}{mark}options=-csearch_path%3D{name}")
}

pub fn drop_schemas(server: &str, names: &[String]) {
    runtime().block_on(async {
        let client = connect(server).await;
        for name in names {
            client
                .batch_execute(&format!("drop schema {name} cascade"))
                .await
                .unwrap();
        }
    });
}

/// The store makes the schema and the first rows; then a connection of its own writes.
pub fn round(load: &Load, sizes: &[usize], url: &str) -> Round {
    let runtime = runtime();
    let client = runtime.block_on(async {
        let store = Store::open(&DatabaseUrl::parse(url).unwrap())
            .await
            .unwrap();
        for set in &load.first {
            store.commit(set.clone()).await.unwrap();
        }
        store.close().await;
        connect(url).await
    });
    let rows: Vec<(&RowSet, Hash)> = load.in_turn().map(|set| (set, chain_after(set))).collect();
    timed(None, load.len(), sizes.len(), || {
        runtime.block_on(write(&client, load.in_flight(), &rows, sizes));
    })
}

const UPDATE: &str = "
    update orchestration o
    set status = t.status, claimable = t.claimable, exclusive = t.exclusive, running = t.running, version = o.version + 1,
        artifact_version = t.artifact_version, cursor = t.cursor, chain = t.chain, wake_at = t.wake_at, detail = t.detail,
        updated_at = t.updated_at, ended_at = t.ended_at
    from unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bytea[],
                $9::bigint[], $10::text[], $11::bigint[], $12::bigint[])
      as t(id, status, claimable, exclusive, running, artifact_version, cursor, chain, wake_at, detail, updated_at, ended_at)
    where o.id = t.id";

const PUT: &str = "
    insert into step (orchestration, step, id, agent, state, due_at, wake_at, exclusive, concurrency_key, concurrency_max,
                      holder, epoch, attempt, detail)
    select * from unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                         $9::text[], $10::bigint[], $11::bytea[], $12::bigint[], $13::bigint[], $14::text[])
    on conflict (orchestration, step) do update
    set id = excluded.id, agent = excluded.agent, state = excluded.state, due_at = excluded.due_at, wake_at = excluded.wake_at,
        exclusive = excluded.exclusive, concurrency_key = excluded.concurrency_key, concurrency_max = excluded.concurrency_max,
        holder = excluded.holder, epoch = excluded.epoch, attempt = excluded.attempt, detail = excluded.detail";

const APPEND: &str = "
    insert into event (orchestration, seq, account, feed, at, kind, step, data, hash)
    select * from unnest($1::bytea[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                         $9::bytea[])";

/// One column of a batch.
fn column<'r, T>(
    rows: &'r [(&'r RowSet, Hash)],
    of: impl Fn(&'r (&'r RowSet, Hash)) -> T,
) -> Vec<T> {
    rows.iter().map(of).collect()
}

struct Prepared {
    update: Statement,
    put: Statement,
    append: Statement,
    set_feed: Statement,
}

async fn write(client: &Client, before: usize, rows: &[(&RowSet, Hash)], sizes: &[usize]) {
    let set_feed = "update account set feed = $1 where id = 'system'";
    let prepared = Prepared {
        update: client.prepare(UPDATE).await.unwrap(),
        put: client.prepare(PUT).await.unwrap(),
        append: client.prepare(APPEND).await.unwrap(),
        set_feed: client.prepare(set_feed).await.unwrap(),
    };
    let mut feed = before as i64;
    let mut rest = rows;
    for size in sizes {
        let (batch, after) = rest.split_at(*size);
        rest = after;
        write_batch(client, &prepared, feed, batch).await;
        feed += *size as i64;
    }
}

async fn write_batch(client: &Client, to: &Prepared, before: i64, batch: &[(&RowSet, Hash)]) {
    let feed = before + batch.len() as i64;
    let c = |of: fn(&RowSet) -> i64| column(batch, |r| of(r.0));
    let id = column(batch, |r| &r.0.orchestration.id[..]);
    let hash = column(batch, |r| &r.1[..]);
    let seq = c(|r| r.events[0].seq);
    let feeds: Vec<i64> = (before + 1..=feed).collect();
    let (status, account) = (
        column(batch, |r| &r.0.orchestration.status),
        column(batch, |r| &r.0.orchestration.account),
    );
    let (claimable, exclusive, running) = (
        c(|r| r.orchestration.claimable.into()),
        c(|r| r.orchestration.exclusive.into()),
        c(|r| r.orchestration.running),
    );
    let (version, updated) = (
        c(|r| r.orchestration.artifact_version),
        c(|r| r.orchestration.updated_at),
    );
    let (wake, ended) = (
        column(batch, |r| r.0.orchestration.wake_at),
        column(batch, |r| r.0.orchestration.ended_at),
    );
    let detail = column(batch, |r| &r.0.orchestration.detail);
    let (s_step, s_exclusive, s_attempt) = (
        c(|r| r.steps[0].step),
        c(|r| r.steps[0].exclusive.into()),
        c(|r| r.steps[0].attempt),
    );
    let (s_id, s_agent, s_state) = (
        column(batch, |r| &r.0.steps[0].id),
        column(batch, |r| &r.0.steps[0].agent),
        column(batch, |r| &r.0.steps[0].state),
    );
    let (s_due, s_wake, s_max, s_epoch) = (
        column(batch, |r| r.0.steps[0].due_at),
        column(batch, |r| r.0.steps[0].wake_at),
        column(batch, |r| r.0.steps[0].concurrency_max),
        column(batch, |r| r.0.steps[0].epoch),
    );
    let s_key = column(batch, |r| r.0.steps[0].concurrency_key.as_deref());
    let s_holder = column(batch, |r| r.0.steps[0].holder.as_ref().map(|h| &h[..]));
    let s_detail = column(batch, |r| &r.0.steps[0].detail);
    let (at, kind, step, data) = (
        c(|r| r.events[0].at),
        column(batch, |r| &r.0.events[0].kind),
        column(batch, |r| r.0.events[0].step.as_deref()),
        column(batch, |r| &r.0.events[0].data),
    );
    let done = tokio::join! { biased;
        async { client.batch_execute("begin").await.map(|()| 0) },
        async { client.execute(&to.update, &[&id, &status, &claimable, &exclusive, &running, &version, &seq, &hash, &wake, &detail, &updated, &ended]).await },
        async { client.execute(&to.put, &[&id, &s_step, &s_id, &s_agent, &s_state, &s_due, &s_wake, &s_exclusive, &s_key, &s_max, &s_holder, &s_epoch, &s_attempt, &s_detail]).await },
        async { client.execute(&to.append, &[&id, &seq, &account, &feeds, &at, &kind, &step, &data, &hash]).await },
        async { client.execute(&to.set_feed, &[&feed]).await },
        async { client.batch_execute("commit").await.map(|()| 0) },
    };
    for answer in [done.0, done.1, done.2, done.3, done.4, done.5] {
        answer.unwrap();
    }
}
